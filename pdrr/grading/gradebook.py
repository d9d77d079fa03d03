"""nbgrader's gradebook, filled with what was graded here: for its formgrader, feedback, exports."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from pdrr.grading import names
from pdrr.grading.assignments import Assignment
from pdrr.grading.reports import Report

PERSON = "needs a person to grade it"


def check(path: Path) -> None:
    """Make the gradebook if it is not there; ValueError if that file cannot be one."""
    if not path.parent.is_dir():
        raise ValueError(f"a gradebook needs a folder to lie in, got {names.local(path)}")
    with _opened(path):
        pass


def fill(path: Path, works: Mapping[str, Assignment], report: Report) -> int:
    """Write assignments, students and points into a gradebook; the number of submissions written.

    What is there already is brought up to date; what a person has graded by hand stays.

    Raises
    ------
    ValueError
        If the file is no gradebook of nbgrader's, or holds submissions for an assignment that has
        other cells.
    """
    written = 0
    with _opened(path) as book:
        for student in report.totals["student"]:
            book.update_or_create_student(student)
        for name, rows in report.marks.groupby("assignment", sort=False):
            _assignment(book, path, works[str(name)])
            for student, marks in rows.groupby("student", sort=False):
                with book.db.no_autoflush:
                    book.update_or_create_submission(name, student)
                points = dict(zip(marks["cell"], marks["points"], strict=True))
                by_hand = set(marks["cell"][marks["message"] == PERSON])
                for cell, value in points.items():
                    grade = book.find_grade(cell, name, name, student)
                    grade.auto_score = None if cell in by_hand else float(value)
                    grade.needs_manual_grade = cell in by_hand or grade.manual_score is not None
                written += 1
            book.db.commit()
    return written


def _assignment(book: Any, path: Path, work: Assignment) -> None:
    """Write an assignment with its notebook and its cells, as nbgrader does itself."""
    from nbgrader.preprocessors import SaveCells

    book.update_or_create_assignment(work.name)
    about = {"notebook": work.name, "assignment": work.name, "db_url": _url(path)}
    try:
        SaveCells().preprocess(deepcopy(work.complete), {"nbgrader": about})
    except RuntimeError as error:  # submissions hang on cells that are no longer there
        raise ValueError(
            f"{names.local(path)} needs the cells that {work.name} had when it was filled, "
            "got others: give a new file"
        ) from error
    book.db.expire_all()


def _url(path: Path) -> URL:
    return URL.create("sqlite", database=os.fspath(path))


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    from nbgrader.api import Gradebook

    before = os.environ.get("PATH", "")
    # a new gradebook asks the program alembic, which lies beside this Python
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), before])
    try:
        book = Gradebook(_url(path))
        try:
            yield book
        finally:
            book.close()
    except (SQLAlchemyError, subprocess.CalledProcessError, FileNotFoundError) as error:
        said = str(error).partition("\n")[0]
        raise ValueError(
            f"{names.local(path)} needs to be a gradebook of nbgrader's, got: {said}"
        ) from error
    finally:
        os.environ["PATH"] = before
