"""Marking one submission: restore what students must not change, execute, count points, explain."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence

import nbformat
from nbconvert.filters import strip_ansi
from nbformat import NotebookNode
from nbgrader.utils import determine_grade

from pdrr.grading import drawing, reading, sandbox
from pdrr.grading.assignments import Assignment, mark
from pdrr.grading.handed_in import LARGEST
from pdrr.grading.restoring import restore
from pdrr.grading.results import Mark, Result

MESSAGE = 2000  # characters of a message that are kept
UNANSWERED = "no answer yet"
LOG = logging.getLogger("pdrr.grading.marking")


def nothing(work: Assignment, why: str) -> Result:
    """The result of a submission that cannot be graded at all."""
    marks = tuple(Mark(cell, 0.0, most, why) for cell, most in work.points.items())
    empty = nbformat.v4.new_notebook(cells=[])
    return Result(marks, (why,), drawing.plain(work, empty, marks, [why]))


def grade(
    work: Assignment,
    content: bytes,
    limits: sandbox.Limits,
    early: Callable[[Result], None] = lambda _: None,
) -> Result:
    """Grade the content of a submitted notebook file.

    `early` gets the marks with a plain page, before the page is drawn: whatever that ends in, they
    are safe.
    """
    if len(content) > LARGEST:
        return nothing(work, f"the file has {len(content):,} bytes, over {LARGEST:,}")
    try:
        notebook, remarks = reading.notebook(content)
    except ValueError as error:
        return nothing(work, f"the file is not a notebook that can be read: {error}")
    remarks += restore(work, notebook)
    sandbox.run([c for c in notebook.cells if c.cell_type == "code" and not _shown(c)], limits)
    order = list(work.points)
    marks = tuple(sorted(_marks(notebook), key=lambda item: order.index(item.cell)))
    early(Result(marks, tuple(remarks), drawing.plain(work, notebook, marks, remarks)))
    return Result(marks, tuple(remarks), drawing.page(work, notebook, marks, remarks))


def _shown(cell: NotebookNode) -> bool:
    """Whether a cell is there to be looked at only: locked, without points, named plot-..."""
    return drawing.is_fixed(cell) and str(mark(cell, "grade_id")).startswith("plot-")


def _marks(notebook: NotebookNode) -> list[Mark]:
    """Points and messages of all graded cells; their outputs become the messages."""
    found = []
    answers: list[NotebookNode] = []  # since the last graded cell
    for cell in notebook.cells:
        if mark(cell, "solution"):
            answers.append(cell)
        if not mark(cell, "grade"):
            continue
        for output in cell.get("outputs", ()):  # a cell of text, graded by a person, has none
            if output.output_type == "stream":
                output.name = "stdout"  # nbgrader takes a warning on stderr for an error
        most = float(mark(cell, "points"))
        try:
            points, _ = determine_grade(cell, LOG)
        except KeyError:  # its value has no text, and so is none that counts points
            points = most
        except ValueError as error:  # more than the maximum
            cell.outputs, points = [sandbox.failure("ValueError", str(error))], 0.0
        message = "" if points == most else _message(cell, answers)
        if points is None:
            points, message = 0.0, "needs a person to grade it"
        found.append(Mark(mark(cell, "grade_id"), float(points), most, message))
        answers = []
    return found


def _message(cell: NotebookNode, answers: Sequence[NotebookNode]) -> str:
    """Why a cell lost points: its error, or what it printed; and what ended the answers above."""
    outputs = cell.get("outputs", ())
    said = [_said(out) for out in outputs if out.output_type == "error"][-1:]
    if not said:
        said = [out.text.strip() for out in outputs if out.output_type == "stream"][-1:]
    ended = [out for c in answers for out in c.get("outputs", ()) if out.output_type == "error"]
    if any(out.ename == "NotImplementedError" for out in ended):
        return UNANSWERED
    said += [f"(the answer's cell ended with: {_said(out)})" for out in ended]
    return reading.clean(" ".join(said))[:MESSAGE]


def _said(output: NotebookNode) -> str:
    text = re.sub(r"\(\d+\.py, (line \d+)\)", r"(\1)", strip_ansi(output.evalue).strip())
    if output.ename == "NotImplementedError" and not text:
        return UNANSWERED
    if output.ename in ("AssertionError", "TimeOut", "ProcessDied", "OutputLimitError") and text:
        return text
    return f"{output.ename}: {text}" if text else str(output.ename)
