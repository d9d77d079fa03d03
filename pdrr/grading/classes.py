"""Grading a class: every submission in a process of its own, results that a killed run keeps."""

from __future__ import annotations

import _thread
import hashlib
import json
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
from tabulate import tabulate
from tqdm import tqdm

from pdrr.core.files import atomic, digest
from pdrr.grading import sandbox
from pdrr.grading.assignments import Assignment
from pdrr.grading.marking import Mark, Result, grade, nothing
from pdrr.grading.sandbox import Limits
from pdrr.grading.submissions import Class, Submission, find

GRACE = 10  # seconds to clear up after a killed run
SPARE = 90  # seconds beyond its limit that a submission's process is waited for


@dataclass(frozen=True)
class Report:
    """What grading a class gave.

    Attributes
    ----------
    marks : data frame
        student, assignment, cell, points, max, message: a row for each graded cell.
    totals : data frame
        student, points for each assignment, points, max, missing: a row for each student.
    remarks : tuple of str
        What the teacher should look at: a line each.
    graded, kept : int
        Submissions graded now, and those whose former results still held.
    """

    marks: pd.DataFrame
    totals: pd.DataFrame
    remarks: tuple[str, ...]
    graded: int
    kept: int


def grade_class(
    folder: Path, assignments: Mapping[str, Assignment], out: Path, limits: Limits, jobs: int
) -> Report:
    """Grade all submissions of a folder.

    Parameters
    ----------
    folder : path
        As `submissions.find` reads it.
    assignments : mapping of name to Assignment
    out : path
        Gets ``marks.csv``, ``totals.csv``, ``feedback/<student>/<assignment>.html`` and, for the
        next run, ``results/<student>/<assignment>.json``.
    limits : Limits
        For each submission.
    jobs : int >= 1
        Submissions graded at the same time.

    Raises
    ------
    ValueError
        If there is nothing to grade, or `jobs` is not positive.
    """
    if jobs < 1:
        raise ValueError(f"grading needs jobs >= 1, got {jobs}")
    everything = find(folder, assignments)
    if not everything.submissions:
        raise ValueError(
            "\n  ".join([f"grading needs notebooks, got none in {folder}", *everything.remarks])
        )
    known = {s: _former(s, assignments[s.assignment], out, limits) for s in everything.submissions}
    results = {s: result for s, result in known.items() if result}
    todo = [s for s in everything.submissions if s not in results]
    failed = []
    with tqdm(total=len(todo), unit="submission", disable=None if todo else True) as bar:
        for submission, result, whole in _each(todo, assignments, limits, jobs):
            work = assignments[submission.assignment]
            _write(_feedback_path(submission, out), result.feedback)
            if whole:
                _keep(submission, work, out, limits, result)
            else:
                failed.append(f"{submission.student}, {work.name}: {result.remarks[-1]}")
            results[submission] = result
            bar.update()
    report = _report(everything, assignments, results, failed, len(todo))
    for name, table in (("marks", report.marks), ("totals", report.totals)):
        with atomic(out / f"{name}.csv") as temporary:
            table.to_csv(temporary, index=False)
    return report


def _each(
    todo: list[Submission], assignments: Mapping[str, Assignment], limits: Limits, jobs: int
) -> Iterator[tuple[Submission, Result, bool]]:
    """Grade in processes: submission, result, and whether it was graded to the end."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])  # imported once, not for each submission
    waiting = list(reversed(todo))
    running: dict[Connection, tuple[Submission, Any, float]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                submission = waiting.pop()
                here, there = context.Pipe(duplex=False)
                work = assignments[submission.assignment]
                arguments = (there, work, submission.path.read_bytes(), limits)
                process = context.Process(target=_worker, args=arguments)
                process.start()
                there.close()
                running[here] = (submission, process, time.monotonic() + limits.total + SPARE)
            ready = wait(list(running), timeout=1)
            late = [c for c, (_, _, end) in running.items() if time.monotonic() > end]
            for connection in {*ready, *late}:
                assert isinstance(connection, Connection)
                submission, process, _ = running.pop(connection)
                answer = _answer(connection) if connection in ready else "it took too long"
                _end(process)
                if isinstance(answer, Result):
                    yield submission, answer, True
                else:
                    why = f"grading itself failed, grade it again: {answer}"
                    yield submission, nothing(assignments[submission.assignment], why), False
    finally:
        for connection, (_, process, _) in running.items():
            connection.close()
            _end(process)


def _worker(answer: Connection, work: Assignment, content: bytes, limits: Limits) -> None:
    """Grade one submission and send the result, or in words why there is none."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in background jobs
    threading.Thread(target=_outlive_nobody, daemon=True).start()
    sandbox.confine(limits)
    try:
        result: Result | str = grade(work, content, limits)
    except (RuntimeError, OSError, MemoryError, ValueError) as error:
        result = f"{type(error).__name__}: {error}"
    except KeyboardInterrupt:
        return  # nobody waits for it any more
    answer.send(result)


def _outlive_nobody() -> None:
    """End this process, and all it has started, when the one that asked for it is killed."""
    asker = multiprocessing.parent_process()
    assert asker is not None
    wait([asker.sentinel])
    _thread.interrupt_main()
    time.sleep(GRACE)
    sandbox.end_family(psutil.Process(), itself=True)


def _answer(connection: Connection) -> Result | str:
    try:
        received: Result | str = connection.recv()
    except EOFError:
        return "its process was ended"
    finally:
        connection.close()
    return received


def _end(process: Any) -> None:
    """End a submission's process with all it started."""
    if process.is_alive():
        process.join(timeout=5)
    if process.is_alive():
        sandbox.end_family(psutil.Process(process.pid), itself=True)
    process.join()
    process.close()


def _report(
    everything: Class,
    assignments: Mapping[str, Assignment],
    results: Mapping[Submission, Result],
    failed: list[str],
    graded: int,
) -> Report:
    """Tables of the marks, and all remarks."""
    rows = []
    remarks = [*everything.remarks, *failed]
    for submission in everything.submissions:
        result = results[submission]
        who = {"student": submission.student, "assignment": submission.assignment}
        rows += [
            {**who, **asdict(item), "message": _as_text(item.message)} for item in result.marks
        ]
        said = {f"{submission.student}, {submission.assignment}: {r}" for r in result.remarks}
        remarks += sorted(said - set(failed))
    marks = pd.DataFrame(rows)
    expected = [name for name in assignments if name in set(marks["assignment"])]
    missing = everything.missing(expected)
    totals = (
        marks.pivot_table(index="student", columns="assignment", values="points", aggfunc="sum")
        .reindex(index=pd.Index(everything.students, name="student"), columns=expected)
        .fillna(0.0)
    )
    totals.columns.name = None
    totals["points"] = totals.sum(axis=1)
    totals["max"] = sum(sum(assignments[name].points.values()) for name in expected)
    totals["missing"] = [" ".join(missing.get(student, ())) for student in totals.index]
    remarks += [
        f"{student}: nothing handed in for {', '.join(m)}" for student, m in missing.items()
    ]
    kept = len(everything.submissions) - graded
    return Report(marks, totals.reset_index(), tuple(remarks), graded, kept)


def _as_text(message: str) -> str:
    """A message that no spreadsheet takes for a formula."""
    return f"'{message}" if message[:1] in ("=", "+", "-", "@") else message


def as_text(report: Report, out: Path) -> str:
    """A summary for the terminal: totals, how each cell fared, remarks."""
    cells = report.marks.assign(
        full=report.marks["points"] == report.marks["max"], none=report.marks["points"] == 0
    )
    fared = cells.groupby(["assignment", "cell"], sort=False)[["full", "none"]].sum()
    fared["of"] = cells.groupby(["assignment", "cell"], sort=False).size()
    totals = report.totals.drop(columns="missing")
    parts = [
        tabulate(table.to_dict("list"), headers="keys") for table in (totals, fared.reset_index())
    ]
    if report.remarks:
        parts.append("\n".join(["to look at:", *(f"  {remark}" for remark in report.remarks)]))
    count = f"{report.graded} graded, {report.kept} unchanged since they were graded"
    fence = "without network" if sandbox.alone() else "WITH network: unshare does not work here"
    parts.append(f"{count}; submitted code runs {fence}")
    parts.append(f"wrote {out}/marks.csv, {out}/totals.csv and {out}/feedback/")
    return "\n\n".join(parts)


# results that are kept


@cache
def _code() -> str:
    """SHA-256 of this package's modules: what hidden tests call may have changed."""
    whole = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        whole.update(path.read_bytes())
    return whole.hexdigest()


def _key(submission: Submission, work: Assignment, limits: Limits) -> str:
    """What a result depends on."""
    content = hashlib.sha256(submission.path.read_bytes()).hexdigest()
    return digest(
        {
            "submission": content,
            "assignment": work.digest,
            "limits": asdict(limits),
            "code": _code(),
        }
    )


def _result_path(submission: Submission, out: Path) -> Path:
    return out / "results" / submission.student / f"{submission.assignment}.json"


def _feedback_path(submission: Submission, out: Path) -> Path:
    return out / "feedback" / submission.student / f"{submission.assignment}.html"


def _keep(
    submission: Submission, work: Assignment, out: Path, limits: Limits, result: Result
) -> None:
    kept = {"key": _key(submission, work, limits), **asdict(result)}
    del kept["feedback"]
    _write(_result_path(submission, out), json.dumps(kept, indent=1))


def _former(submission: Submission, work: Assignment, out: Path, limits: Limits) -> Result | None:
    """A former run's result, if neither the submission nor what it is graded by has changed."""
    path = _result_path(submission, out)
    page = _feedback_path(submission, out)
    if not (path.is_file() and page.is_file()):
        return None
    kept = json.loads(path.read_text("utf-8"))
    if kept["key"] != _key(submission, work, limits):
        return None
    marks = tuple(Mark(**entry) for entry in kept["marks"])
    return Result(marks, tuple(kept["remarks"]), page.read_text("utf-8"))


def _write(path: Path, text: str) -> None:
    with atomic(path) as temporary:
        temporary.write_text(text, "utf-8")
