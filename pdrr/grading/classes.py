"""Grading a class: every submission in a process of its own, results that a killed run keeps."""

from __future__ import annotations

import _thread
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import psutil
from tqdm import tqdm

from pdrr.grading import family, names, reports, results, sandbox
from pdrr.grading.assignments import Assignment
from pdrr.grading.handed_in import UnreadableError
from pdrr.grading.marking import grade, nothing
from pdrr.grading.reports import Report
from pdrr.grading.results import Result
from pdrr.grading.sandbox import Limits
from pdrr.grading.submissions import Submission, find

GRACE = 10  # seconds to clear up after a killed run
SPARE = 90  # seconds beyond its limit that a submission's process is waited for
DRAWING = 60  # seconds that a page of feedback may take


@dataclass
class Running:
    """A submission that is being graded, and what is known of it so far."""

    submission: Submission
    key: str
    process: Any
    end: float
    marks: Result | None = None


def grade_class(
    folder: Path,
    assignments: Mapping[str, Assignment],
    out: Path,
    limits: Limits,
    jobs: int,
    roster: Path | None = None,
) -> Report:
    """Grade all submissions of a folder or a zip file.

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
    roster : path, optional
        A table with a column `student`; by default ``roster.csv`` in the folder, if it is there.

    Raises
    ------
    ValueError
        If there is nothing to grade, `jobs` is not positive, or the roster is none.
    OSError
        If nothing can be written to `out`.
    """
    if jobs < 1:
        raise ValueError(f"grading needs jobs >= 1, got {jobs}")
    everything = find(folder, assignments, roster)
    if not everything.submissions:
        raise ValueError(
            "\n  ".join(
                [f"grading needs notebooks, got none in {names.local(folder)}", *everything.remarks]
            )
        )
    out.mkdir(parents=True, exist_ok=True)
    found, todo, failed = {}, [], []
    for submission in everything.submissions:
        former = _former(submission, assignments[submission.assignment], out, limits)
        if former:
            found[submission] = former
        else:
            todo.append(submission)
    with tqdm(total=len(todo), unit="submission", disable=not _seen(todo)) as bar:
        for submission, key, result in _each(todo, assignments, limits, jobs):
            about = f"{submission.student}, {submission.assignment}"
            if not key:
                failed.append(f"{about}: {result.remarks[-1]}")
            try:
                _write(submission, out, key, result)
            except OSError as error:
                failed.append(f"{about}: its page cannot be written: {error.strerror or error}")
            found[submission] = result
            bar.update()
    report = reports.report(everything, assignments, found, failed, len(todo))
    report.write(out)
    return report


def _seen(todo: list[Submission]) -> bool:
    """Whether there is progress to show, and somebody who sees it."""
    stream = sys.stderr
    return bool(todo) and stream is not None and not stream.closed and stream.isatty()


def _former(submission: Submission, work: Assignment, out: Path, limits: Limits) -> Result | None:
    """A former run's result, if neither the submission nor what it is graded by has changed."""
    try:
        key = results.key(submission.file.read(), work, limits)
    except UnreadableError:
        return None
    return results.former(out, submission.student, submission.assignment, key)


def _write(submission: Submission, out: Path, key: str, result: Result) -> None:
    """Write a page, and for the next run what was graded to its end."""
    results.write_page(out, submission.student, submission.assignment, result)
    if key:
        results.keep(out, submission.student, submission.assignment, key, result)


def _each(
    todo: list[Submission], assignments: Mapping[str, Assignment], limits: Limits, jobs: int
) -> Iterator[tuple[Submission, str, Result]]:
    """Grade in processes: submission, the key of its result, "" if that is not to be kept."""
    waiting = list(reversed(todo))
    running: dict[Connection, Running] = {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                submission = waiting.pop()
                work = assignments[submission.assignment]
                try:
                    content = submission.file.read()
                except UnreadableError as error:
                    yield submission, "", nothing(work, f"the file cannot be read: {error}")
                    continue
                here, process = _start(work, content, limits)
                key = results.key(content, work, limits)
                end = time.monotonic() + limits.total + SPARE
                running[here] = Running(submission, key, process, end)
            ready = wait(list(running), timeout=1) if running else []
            late = [connection for connection, one in running.items() if time.monotonic() > one.end]
            for connection in {*ready, *late}:
                assert isinstance(connection, Connection)
                one = running[connection]
                answer = _answer(connection) if connection in ready else "it took too long"
                if isinstance(answer, Result) and one.marks is None:
                    one.marks, one.end = answer, time.monotonic() + DRAWING
                    continue
                del running[connection]
                connection.close()
                _end(one.process)
                yield one.submission, *_outcome(one, answer, assignments)
    finally:
        for here, one in running.items():
            here.close()
            _end(one.process)


def _outcome(
    one: Running, answer: Result | str, assignments: Mapping[str, Assignment]
) -> tuple[str, Result]:
    """The key and the result of a submission whose process has said its last word."""
    if isinstance(answer, Result):
        return one.key, answer
    if one.marks:  # only its page was not drawn
        return one.key, one.marks
    why = f"grading itself failed, grade it again: {answer}"
    return "", nothing(assignments[one.submission.assignment], why)


def _start(work: Assignment, content: bytes, limits: Limits) -> tuple[Connection, Any]:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])  # imported once, not for each submission
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_worker, args=(there, work, content, limits))
    process.start()
    there.close()
    return here, process


def _worker(answer: Connection, work: Assignment, content: bytes, limits: Limits) -> None:
    """Grade one submission and send its marks, then with its page; or in words why not."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in background jobs
    threading.Thread(target=_outlive_nobody, daemon=True).start()
    sandbox.confine(limits)
    try:
        answer.send(grade(work, content, limits, early=answer.send))
    except (RuntimeError, OSError, MemoryError, ValueError) as error:
        answer.send(f"{type(error).__name__}: {error}")
    except KeyboardInterrupt:
        return  # nobody waits for it any more


def _outlive_nobody() -> None:
    """End this process, and all it has started, when the one that asked for it is killed."""
    asker = multiprocessing.parent_process()
    assert asker is not None
    wait([asker.sentinel])
    _thread.interrupt_main()
    time.sleep(GRACE)
    family.end_family(psutil.Process(), itself=True)


def _answer(connection: Connection) -> Result | str:
    try:
        received: Result | str = connection.recv()
    except EOFError:
        return "its process was ended"
    return received


def _end(process: Any) -> None:
    """End a submission's process with all it started."""
    if process.is_alive():
        process.join(timeout=5)
    if process.is_alive():
        family.end_family(psutil.Process(process.pid), itself=True)
    process.join()
    process.close()
