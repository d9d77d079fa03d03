"""Assignments: from one source notebook each, the student's version and what the grader restores.

A source is a notebook with nbgrader's metadata; `BEGIN SOLUTION` ... `END SOLUTION` and
`BEGIN HIDDEN TESTS` ... `END HIDDEN TESTS` mark what students do not get. nbgrader's own
preprocessors take it out, so a source also works in a course that nbgrader manages.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from pdrr.core.files import atomic

EXPECTED = nbformat.v4.new_output(
    "display_data",
    data={"text/html": '<p class="pdrr-expected">What you should see:</p>'},
)
MARKERS = ("BEGIN SOLUTION", "END SOLUTION", "BEGIN HIDDEN TESTS", "END HIDDEN TESTS")


@dataclass(frozen=True)
class Assignment:
    """One assignment in its three versions.

    Attributes
    ----------
    name : str
    source : notebook
        As the teacher wrote it, with solutions and hidden tests.
    complete : notebook
        Solutions taken out, hidden tests still there: what is graded.
    student : notebook
        Without either: what is handed out.
    """

    name: str
    source: NotebookNode
    complete: NotebookNode
    student: NotebookNode

    @property
    def digest(self) -> str:
        """SHA-256 of the source's cells, and of what nbgrader says of them."""
        keys = ("grade_id", "points", "grade", "solution", "locked")
        parts = [
            (cell.cell_type, cell.source, *(mark(cell, key) for key in keys))
            for cell in self.source.cells
        ]
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    @property
    def points(self) -> dict[str, float]:
        """What each graded cell is worth, in the notebook's order."""
        return {
            mark(cell, "grade_id"): float(mark(cell, "points"))
            for cell in self.complete.cells
            if mark(cell, "grade")
        }

    def filled(self, answers: Mapping[str, str]) -> NotebookNode:
        """The student's version with answers typed in, by the grade_id of their cells.

        ValueError for a grade_id that is not of a cell for answers.
        """
        notebook = deepcopy(self.student)
        places = {mark(c, "grade_id"): c for c in notebook.cells if mark(c, "solution")}
        for grade_id, text in answers.items():
            if grade_id not in places:
                raise ValueError(
                    f"{self.name} needs an answer's grade_id ({', '.join(places)}), "
                    f"got {grade_id!r}"
                )
            places[grade_id].source = text
        return notebook

    @property
    def solutions(self) -> dict[str, str]:
        """The reference's answers by grade_id."""
        return {mark(c, "grade_id"): c.source for c in self.source.cells if mark(c, "solution")}


def mark(cell: NotebookNode, key: str) -> Any:
    """One entry of a cell's nbgrader metadata; empty where it has none, or nonsense."""
    entries = cell.metadata.get("nbgrader")
    found = entries.get(key, "") if isinstance(entries, dict) else ""
    return found if isinstance(found, str | int | float) else ""


def read(folder: Path) -> dict[str, Assignment]:
    """All assignments of a folder of sources, by name.

    Raises
    ------
    ValueError
        If nbgrader is not installed, there is no source, or nbgrader refuses one.
    """
    paths = sorted(folder.glob("*.ipynb"))
    if not paths:
        raise ValueError(f"coursework needs source notebooks, got none in {folder}/")
    return {path.stem: assignment(path.stem, nbformat.read(path, as_version=4)) for path in paths}


def assignment(name: str, source: NotebookNode) -> Assignment:
    """Derive the versions of one assignment from its source."""
    from nbgrader import preprocessors as steps

    complete = _through(
        name,
        source,
        [
            steps.CheckCellMetadata,
            steps.LockCells,
            steps.ClearSolutions,
            steps.ClearOutput,
            steps.ComputeChecksums,
        ],
    )
    student = _through(
        name,
        complete,
        [steps.ClearHiddenTests, steps.ClearMarkScheme, steps.ComputeChecksums],
    )
    for cell in student.cells:
        if any(marker in cell.source for marker in MARKERS):
            raise ValueError(f"{name}: a marker is left in the student's version:\n{cell.source}")
    return Assignment(name, source, complete, student)


def release(assignments: Mapping[str, Assignment], folder: Path) -> list[Path]:
    """Write the student's versions as ``folder/<name>/<name>.ipynb``."""
    written = []
    for name, work in assignments.items():
        path = folder / name / f"{name}.ipynb"
        with atomic(path) as temporary:
            nbformat.write(work.student, temporary)
        written.append(path)
    return written


def stage(
    assignments: Mapping[str, Assignment],
    book: Path,
    shown: Mapping[str, Mapping[str, Sequence[NotebookNode]]] | None = None,
) -> None:
    """Put the student's versions into a book's sources: as pages, and as files to download.

    The pages are ``book/notebooks/coursework/<name>.ipynb``; each says where its file is. `shown`
    has what cells show once the reference's answers stand above them: name -> grade_id -> outputs.
    """
    release(assignments, book / "assignments")
    for name, work in assignments.items():
        page = deepcopy(work.student)
        for cell in page.cells:
            if outputs := (shown or {}).get(name, {}).get(mark(cell, "grade_id")):
                cell.outputs = [EXPECTED, *outputs]
        link = f"{{download}}`{name}.ipynb <../../assignments/{name}/{name}.ipynb>`"
        where = f"This is the student's version. Download it as a notebook: {link}."
        note = nbformat.v4.new_markdown_cell(f":::{{admonition}} Coursework\n{where}\n:::")
        page.cells.insert(1, note)
        with atomic(book / "notebooks" / "coursework" / f"{name}.ipynb") as temporary:
            nbformat.write(page, temporary)


def require() -> None:
    """ValueError that says how to install nbgrader, if it is missing."""
    if find_spec("nbgrader") is None:
        raise ValueError(
            "coursework needs nbgrader, got no such package: "
            "pip install '.[experiments,docs,coursework]'"
        )


def _through(name: str, notebook: NotebookNode, steps: Sequence[type]) -> NotebookNode:
    result = deepcopy(notebook)
    resources: dict[str, object] = {}
    for step in steps:
        try:
            result, resources = step().preprocess(result, resources)
        except RuntimeError as error:  # nbgrader's word for markers that do not fit
            raise ValueError(f"{name}: {error}") from error
    return result
