"""What a class handed in: who, which assignment, which file; and what could not be understood."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from pdrr.grading import handed_in, names, reading, restoring, roster
from pdrr.grading.assignments import Assignment, mark
from pdrr.grading.handed_in import File, Handed, UnreadableError
from pdrr.grading.names import Owner

ROSTER = "roster.csv"


@dataclass(frozen=True)
class Submission:
    """One student's notebook for one assignment."""

    student: str
    assignment: str
    file: File


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


def find(path: Path, works: Mapping[str, Assignment], listed: Path | None = None) -> Class:
    """Look through a folder or a zip file for notebooks of the assignments.

    Whose a file is, is told by the folder at the top that it lies in, or by its own name, where
    Moodle or Canvas has written it. Which assignment it is, is told by nbgrader's ids in it, and
    without them by its name. The newest of several counts; of equally new ones that with most
    answers. With a roster, those who handed in nothing are known too: `listed`, or `roster.csv` at
    the top of the folder.

    Raises ValueError if there is no such folder or file, or the roster is none.
    """
    handed = handed_in.look(path)
    if not path.is_dir():
        _take_shell_off(handed, works)
    enrolled, remarks = _enrolled(path, handed, listed)
    remarks += handed.remarks
    found: dict[Owner, dict[str, list[File]]] = {}
    for who, files in _by_owner(handed, remarks).items():
        sorted_out = _by_assignment(files, works, remarks)
        if not who.name.startswith("."):
            found[who] = sorted_out
            if not any(names.is_notebook(file.parts[-1]) for file in files):
                beside = f", but {files[0].where}" if files else ""
                remarks.append(f"{who.name}/: holds no notebook{beside}")
        elif sorted_out:
            found[who] = sorted_out
    of_student: dict[str, dict[str, list[File]]] = {}
    namesakes = _namesakes(found)
    for who, sorted_out in found.items():
        student = f"{who.name}_{who.number}" if who.name in namesakes else who.name
        own = of_student.setdefault(student, {})
        for name, files in sorted_out.items():
            own.setdefault(name, []).extend(files)
    remarks += [
        f"{name}: several people have this name, told apart by the platform's numbers"
        for name in sorted(namesakes)
    ]
    chosen = [
        Submission(student, name, _newest(student, works[name], own[name], remarks))
        for student, own in sorted(of_student.items())
        for name in sorted(own)
    ]
    students = set(of_student)
    if enrolled:
        strangers, absent = _compared(students, enrolled)
        remarks += [f"{student}: not in {ROSTER}, graded all the same" for student in strangers]
        students |= absent
    return Class(tuple(chosen), tuple(sorted(students)), tuple(remarks))


def _take_shell_off(handed: Handed, works: Mapping[str, Assignment]) -> None:
    """Leave out the one folder around everybody's in a zip file."""
    notebooks = [file.parts for file in handed.files if names.is_notebook(file.parts[-1])]
    tops = {parts[0] for parts in notebooks}
    if len(tops) != 1 or names.owner((top := tops.pop(),)) or min(map(len, notebooks)) < 2:
        return
    own = [parts for parts in notebooks if not names.owner(parts[1:2])]
    if any(parts[1][:1] == "." or names.assignment(parts[1], works) for parts in own):
        return  # the folder of one student
    handed.remarks.append(f"{names.printed(top)}/: taken for the folder around all students")
    handed.files = [
        File(file.parts[1:], file.time, file.size, file.opened)
        for file in handed.files
        if file.parts[0] == top and len(file.parts) > 1
    ]
    handed.folders = sorted({file.parts[0] for file in handed.files if len(file.parts) > 1})


def _enrolled(path: Path, handed: Handed, listed: Path | None) -> tuple[list[str], list[str]]:
    """Those on the roster, and remarks on it; it is no longer among the files."""
    own = [file for file in handed.files if file.parts[0].lower() == ROSTER]
    handed.files = [file for file in handed.files if file not in own]
    if listed:
        return roster.of_path(listed)
    folders = [name for name in handed.folders if name.lower() == ROSTER]
    if folders or len(own) > 1:
        raise ValueError(f"{names.local(path)} needs one file {ROSTER}, got a folder or several")
    if not own:
        return [], []
    try:
        content = own[0].read()
    except UnreadableError as error:
        raise ValueError(f"{names.local(path / own[0].parts[0])}: {error}") from error
    return roster.read(content, names.local(path / own[0].parts[0]))


def _by_owner(handed: Handed, remarks: list[str]) -> dict[Owner, list[File]]:
    """All files of each person, those in zip files too."""
    tops: dict[Owner, set[str]] = {}
    owned: dict[Owner, list[File]] = {}
    for name in handed.folders:
        if who := names.owner((name, "")):
            owned.setdefault(who, [])
            tops.setdefault(who, set()).add(name)
    for file in handed.files:
        who = names.owner(file.parts)
        if who is None:
            if not file.parts[0].startswith("."):
                remarks.append(f"{file.where}: not in the folder of a student, not graded")
            continue
        owned.setdefault(who, []).append(file)
        if file.parts[-1].lower().endswith(".zip"):
            try:
                owned[who] += handed_in.inside(file)
            except UnreadableError as error:
                remarks.append(f"{file.where}: {error}")
    remarks += [
        f"{who.name}: {len(several)} folders have this name, taken together"
        for who, several in tops.items()
        if len(several) > 1 and not who.number
    ]
    return owned


def _by_assignment(
    files: Collection[File], works: Mapping[str, Assignment], remarks: list[str]
) -> dict[str, list[File]]:
    """One person's notebooks; older states that Jupyter has put aside only if there is no other."""
    found: dict[str, list[File]] = {}
    notebooks = [file for file in files if names.is_notebook(file.parts[-1])]
    for file in notebooks:
        name, remark = _which(file, works)
        if remark and not names.is_checkpoint(file.parts):
            remarks.append(f"{file.where}: {remark}")
        if name:
            found.setdefault(name, []).append(file)
    return {
        name: [file for file in several if not names.is_checkpoint(file.parts)] or several
        for name, several in found.items()
    }


def _which(file: File, works: Mapping[str, Assignment]) -> tuple[str | None, str]:
    """The assignment of a notebook, and what is remarkable about that."""
    below = file.parts[1:] or file.parts
    called = [name for part in reversed(below) if (name := names.assignment(part, works))]
    named = called[0] if called else None
    ids = reading.grade_ids(_content(file))
    shared = {
        name: len(ids & {mark(cell, "grade_id") for cell in work.complete.cells})
        for name, work in works.items()
    }
    most = max(shared.values(), default=0)
    if most and not (named and 2 * shared[named] >= most):
        leading = [name for name in works if shared[name] == most]
        if len(leading) == 1:
            instead = f", not {named}" if named else ""
            return leading[0], f"by its cells this is {leading[0]}{instead}"
    if named is None:
        return None, f"no assignment has this name, there are {', '.join(works)}"
    return named, ""


def _content(file: File) -> bytes:
    """What is in a file; nothing if it cannot be read, which is said when it is graded."""
    try:
        return file.read()
    except UnreadableError:
        return b""


def _namesakes(found: Mapping[Owner, Collection[str]]) -> set[str]:
    """Names under which several people, by the platform's numbers, handed in one assignment."""
    numbers: dict[tuple[str, str], set[str]] = {}
    for who, assignments in found.items():
        for name in assignments:
            numbers.setdefault((who.name, name), set()).add(who.number)
    return {name for (name, _), several in numbers.items() if len(several - {""}) > 1}


def _newest(student: str, work: Assignment, files: list[File], remarks: list[str]) -> File:
    """The file that counts."""
    readable = [file for file in files if _content(file)] or files
    latest = max(file.time for file in readable)
    best = [file for file in readable if file.time == latest]
    if len(best) > 1:

        def place(file: File) -> tuple[int, int, tuple[str, ...]]:
            typed = restoring.answered(work, _content(file))
            return typed, names.copy_number(file.parts[-1]), file.parts

        best = [max(best, key=place), *best]
    if len(files) > 1:
        which = "of equally new ones that with most answers" if len(best) > 1 else "the newest"
        remarks.append(
            f"{student}: {len(files)} notebooks for {work.name}, graded {which}, {best[0].where}"
        )
    return best[0]


def _compared(students: Collection[str], enrolled: Collection[str]) -> tuple[list[str], set[str]]:
    """Students who are not on the roster, and those on it who have nothing here.

    Case and spaces make no difference where they leave no doubt.
    """

    def key(name: str) -> str:
        return " ".join(unicodedata.normalize("NFKC", name).casefold().split())

    here, there = (Counter(map(key, those)) for those in (students, enrolled))
    unclear = {k for k in here | there if here[k] > 1 or there[k] > 1}

    def known(name: str, others: Collection[str]) -> bool:
        alike = {key(other) for other in others} - unclear
        return name in others or key(name) in alike

    strangers = sorted(name for name in students if not known(name, enrolled))
    return strangers, {name for name in enrolled if not known(name, students)}
