"""What a class handed in: who, which assignment, which file; and what could not be understood."""

from __future__ import annotations

import csv
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

ROSTER = "roster.csv"
COPY = re.compile(r"(?:[ _-]*\(\d+\)|[ _-]*copy\d*)+$", re.I)  # what browsers and Jupyter append
IGNORED = re.compile(r"^\.|^__MACOSX$|^~")


@dataclass(frozen=True)
class Submission:
    """One student's notebook for one assignment."""

    student: str
    assignment: str
    path: Path


@dataclass(frozen=True)
class Class:
    """Everything a folder of submissions tells.

    Attributes
    ----------
    submissions : tuple of Submission
        Sorted; one for each student and assignment at most.
    students : tuple of str
        All that the roster names or that have a folder.
    remarks : tuple of str
        What was not understood, doubled, or not on the roster: a line each.
    """

    submissions: tuple[Submission, ...]
    students: tuple[str, ...]
    remarks: tuple[str, ...]

    def missing(self, expected: Collection[str]) -> dict[str, list[str]]:
        """The assignments of those `expected` that each student did not hand in."""
        have = {(s.student, s.assignment) for s in self.submissions}
        lacking = {
            student: [name for name in expected if (student, name) not in have]
            for student in self.students
        }
        return {student: names for student, names in lacking.items() if names}


def find(folder: Path, assignments: Collection[str]) -> Class:
    """Look through ``folder/<student>/`` for notebooks named after assignments.

    A notebook may lie deeper (``<student>/<assignment>/<assignment>.ipynb``), and its name may end
    as copies' names do (``poison_it (1).ipynb``, ``poison_it-Copy1.ipynb``). The newest of several
    counts. With ``folder/roster.csv``, which needs a column `student`, those who handed in nothing
    are known too.

    Raises ValueError if the folder is not there, or the roster has no such column.
    """
    if not folder.is_dir():
        raise ValueError(f"grading needs a folder of submissions, got {folder}")
    names = {name.lower(): name for name in assignments}
    remarks: list[str] = []
    found: dict[tuple[str, str], list[Path]] = {}
    students = set()
    for entry in sorted(folder.iterdir()):
        if IGNORED.match(entry.name) or entry.name == ROSTER:
            continue
        if not entry.is_dir():
            remarks.append(f"{entry.name}: not in the folder of a student, not graded")
            continue
        students.add(entry.name)
        paths = _notebooks(entry)
        if not paths:
            remarks.append(f"{entry.name}/: holds no notebook")
        for path in paths:
            name = names.get(COPY.sub("", path.stem).lower())
            if name is None:
                remarks.append(
                    f"{path.relative_to(folder)}: no assignment has this name, "
                    f"there are {', '.join(assignments)}"
                )
            else:
                found.setdefault((entry.name, name), []).append(path)
    chosen = []
    for (student, name), paths in sorted(found.items()):
        newest = max(paths, key=lambda path: (path.stat().st_mtime_ns, path))
        chosen.append(Submission(student, name, newest))
        if len(paths) > 1:
            remarks.append(
                f"{student}: {len(paths)} notebooks for {name}, "
                f"graded the newest, {newest.relative_to(folder)}"
            )
    listed = roster(folder / ROSTER)
    if listed:
        strangers = sorted(students - set(listed))
        remarks += [f"{student}: not in {ROSTER}, graded all the same" for student in strangers]
        students |= set(listed)
    return Class(tuple(chosen), tuple(sorted(students)), tuple(remarks))


def roster(path: Path) -> list[str]:
    """The column `student` of a roster; nobody if there is no file."""
    if not path.is_file():
        return []
    with open(path, newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file)
        if "student" not in (rows.fieldnames or ()):
            raise ValueError(
                f"{path} needs a column 'student', got {', '.join(rows.fieldnames or ())}"
            )
        return [row["student"].strip() for row in rows if (row["student"] or "").strip()]


def _notebooks(folder: Path) -> list[Path]:
    """Notebooks below a folder, without Jupyter's checkpoints and links that lead elsewhere."""
    return sorted(
        path
        for path in folder.rglob("*.ipynb")
        if path.is_file()
        and not path.is_symlink()
        and not any(IGNORED.match(part) for part in path.relative_to(folder).parts)
    )
