"""Marks, and how they are kept from one run to the next: sealed, so that damage is seen."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import pdrr
from pdrr.core.files import atomic, digest
from pdrr.grading import names
from pdrr.grading.assignments import Assignment
from pdrr.grading.sandbox import Limits


@dataclass(frozen=True)
class Mark:
    """What one graded cell was given.

    Attributes
    ----------
    cell : str
        Its grade_id.
    points, max : float
    message : str
        Why points are missing; empty if none are.
    """

    cell: str
    points: float
    max: float
    message: str


@dataclass(frozen=True)
class Result:
    """What one submission was given: marks in the notebook's order, remarks, feedback as HTML."""

    marks: tuple[Mark, ...]
    remarks: tuple[str, ...]
    feedback: str


@cache
def _code() -> str:
    """SHA-256 of this package's modules: what hidden tests call may have changed."""
    whole = hashlib.sha256()
    for path in sorted(Path(pdrr.__file__).parent.rglob("*.py")):
        whole.update(path.read_bytes())
    return whole.hexdigest()


def key(content: bytes, work: Assignment, limits: Limits) -> str:
    """What a result depends on."""
    return digest(
        {
            "submission": hashlib.sha256(content).hexdigest(),
            "assignment": work.digest,
            "limits": asdict(limits),
            "code": _code(),
        }
    )


def page_path(out: Path, student: str, assignment: str) -> Path:
    """Where a student's page of feedback lies."""
    return out / "feedback" / names.folder(student) / f"{assignment}.html"


def _path(out: Path, student: str, assignment: str) -> Path:
    return out / "results" / names.folder(student) / f"{assignment}.json"


def write_page(out: Path, student: str, assignment: str, result: Result) -> None:
    """Write a page of feedback."""
    with atomic(page_path(out, student, assignment)) as temporary:
        temporary.write_text(result.feedback, "utf-8", "replace")


def keep(out: Path, student: str, assignment: str, key: str, result: Result) -> None:
    """Write a result for the next run."""
    kept = {"key": key, **asdict(result)}
    page = page_path(out, student, assignment).read_bytes()
    kept["feedback"] = hashlib.sha256(page).hexdigest()
    kept["seal"] = digest(kept)
    with atomic(_path(out, student, assignment)) as temporary:
        temporary.write_text(json.dumps(kept, indent=1), "utf-8")


def former(out: Path, student: str, assignment: str, key: str) -> Result | None:
    """A former run's result; None if it has another key, or anything of it is lost or damaged."""
    try:
        kept = json.loads(_path(out, student, assignment).read_bytes())
        page = page_path(out, student, assignment).read_bytes()
        seal = kept.pop("seal")
        same = (kept["key"], kept["feedback"]) == (key, hashlib.sha256(page).hexdigest())
        if not same or seal != digest(kept):
            return None
        marks = tuple(Mark(**entry) for entry in kept["marks"])
        return Result(marks, tuple(kept["remarks"]), page.decode("utf-8"))
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
