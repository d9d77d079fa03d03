"""What grading a class gave: tables for files, and a summary to read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd
from tabulate import tabulate

from pdrr.core.files import atomic
from pdrr.grading import names, sandbox
from pdrr.grading.assignments import Assignment
from pdrr.grading.reading import clean
from pdrr.grading.results import Result
from pdrr.grading.submissions import Class, Submission

COLUMNS = ("student", "assignment", "cell", "points", "max", "message")


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

    def write(self, out: Path) -> None:
        """Write ``marks.csv`` and ``totals.csv``."""
        for name, table in (("marks", self.marks), ("totals", self.totals)):
            safe = table.copy()
            for column in {"student", "message"} & set(table.columns):
                safe[column] = [_as_text(text) for text in table[column]]
            with atomic(out / f"{name}.csv") as temporary:
                safe.to_csv(temporary, index=False, errors="replace")


def report(
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
        rows += [{**who, **asdict(item), "message": clean(item.message)} for item in result.marks]
        said = {f"{submission.student}, {submission.assignment}: {r}" for r in result.remarks}
        remarks += sorted(said - set(failed))
    marks = pd.DataFrame(rows, columns=list(COLUMNS)).astype({"points": float, "max": float})
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
    lines = tuple(" ".join(remark.split()) for remark in remarks)
    return Report(marks, totals.reset_index(), lines, graded, kept)


def _as_text(message: str) -> str:
    """A name or message that no spreadsheet takes for a formula."""
    return f"'{message}" if message[:1] in ("=", "+", "-", "@") else message


def as_text(report: Report, out: Path) -> str:
    """A summary for the terminal: totals, how each cell fared, remarks."""
    cells = report.marks.assign(
        full=report.marks["points"] == report.marks["max"], none=report.marks["points"] == 0
    )
    fared = cells.groupby(["assignment", "cell"], sort=False)[["full", "none"]].sum()
    fared["of"] = cells.groupby(["assignment", "cell"], sort=False).size()
    totals = report.totals.drop(columns="missing")
    parts = [_table(table) for table in (totals, fared.reset_index())]
    if report.remarks:
        parts.append("\n".join(["to look at:", *(f"  {remark}" for remark in report.remarks)]))
    fence = "without network" if sandbox.alone() else "WITH network: unshare does not work here"
    parts.append(f"submitted code runs {fence}")
    where = names.local(out)
    parts.append(f"wrote {where}/marks.csv, {where}/totals.csv and {where}/feedback/")
    count = f"{report.graded} graded, {report.kept} unchanged since they were graded"
    remarks = f"{len(report.remarks)} remark" + "s" * (len(report.remarks) != 1)
    return "\n".join(["\n\n".join(parts), f"{count}, {remarks}"])


def _table(table: pd.DataFrame) -> str:
    """A table in which only points are numbers: a student's number keeps its zeros."""
    texts = len(table) and [i for i, kind in enumerate(table.dtypes) if kind.kind not in "fi"]
    return tabulate(table.to_dict("list"), headers="keys", disable_numparse=texts or True)
