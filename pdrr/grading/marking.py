"""Marking one submission: restore what students must not change, execute, count points, explain."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import nbformat
from bs4 import BeautifulSoup
from nbconvert import HTMLExporter
from nbconvert.filters import strip_ansi
from nbformat import NotebookNode, ValidationError
from nbformat.reader import NotJSONError
from nbformat.validator import normalize
from nbgrader.preprocessors import ClearOutput, DeduplicateIds, LimitOutput
from nbgrader.server_extensions import formgrader
from nbgrader.utils import determine_grade

from pdrr.grading import sandbox
from pdrr.grading.assignments import Assignment, mark

MESSAGE = 2000  # characters of a message that are kept
LARGEST = 20 << 20  # bytes of a submission that are read
UNREADABLE = (  # what nbformat raises for files that are something else
    NotJSONError,
    UnicodeDecodeError,
    ValidationError,
    AttributeError,
    KeyError,
    TypeError,
    RecursionError,
)
UNANSWERED = "no answer yet"
LOG = logging.getLogger("pdrr.grading.marking")


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


def nothing(work: Assignment, why: str) -> Result:
    """The result of a submission that cannot be graded at all."""
    marks = tuple(Mark(cell, 0.0, most, why) for cell, most in work.points.items())
    empty = nbformat.v4.new_notebook(cells=[])
    return Result(marks, (why,), feedback(work, empty, marks, [why]))


def grade(work: Assignment, content: bytes, limits: sandbox.Limits) -> Result:
    """Grade the content of a submitted notebook file."""
    if len(content) > LARGEST:
        return nothing(work, f"the file has {len(content):,} bytes, over {LARGEST:,}")
    try:
        with warnings.catch_warnings():  # of missing and repeated ids, which are mended
            warnings.simplefilter("ignore")
            notebook = nbformat.reads(content.decode("utf-8"), as_version=4)
            _, notebook = normalize(notebook, strip_invalid_metadata=True)
            nbformat.validate(notebook)
    except UNREADABLE as error:
        reason = str(error).partition("\n")[0][:200]
        return nothing(work, f"the file is not a notebook that can be read: {reason}")
    remarks = restore(work, notebook)
    sandbox.run([c for c in notebook.cells if c.cell_type == "code" and not _shown(c)], limits)
    order = list(work.points)
    marks = tuple(sorted(_marks(notebook), key=lambda item: order.index(item.cell)))
    notebook, _ = LimitOutput(max_lines=200).preprocess(notebook, {})
    return Result(marks, tuple(remarks), feedback(work, notebook, marks, remarks))


def restore(work: Assignment, notebook: NotebookNode) -> list[str]:
    """Put the assignment's own cells back as they were made; remarks on what was changed.

    Cells are known by grade_id. Of several with the same one the last counts. A locked cell that
    is missing comes back after the one that preceded it, or at the end if the answer above it is
    missing too. An answer is never put back: it may be there, in a cell that lost its id.
    """
    made = {mark(cell, "grade_id"): cell for cell in work.complete.cells if mark(cell, "grade_id")}
    ids = [mark(cell, "grade_id") for cell in notebook.cells]
    repeated = sorted({i for i in ids if i in made and ids.count(i) > 1}, key=ids.index)
    remarks = [f"cell {i} is there {ids.count(i)} times: the last one counts" for i in repeated]
    for cell in notebook.cells:
        if mark(cell, "grade_id") not in made:
            cell.metadata.pop("nbgrader", None)
    ClearOutput().preprocess(notebook, {})
    DeduplicateIds(log=LOG).preprocess(notebook, {})
    notebook.cells = [_restored(cell, made.get(mark(cell, "grade_id"))) for cell in notebook.cells]
    here = {mark(cell, "grade_id") for cell in notebook.cells}
    answers = {name for name, cell in made.items() if mark(cell, "solution")}
    missing = [name for name in made if name not in here]
    if len(missing) == len(made):
        remarks.append(f"the notebook has no cell of {work.name}: is it another one?")
    else:
        lost = [name for name in missing if name in answers]
        back = [name for name in missing if name not in answers]
        remarks += [f"answers without a cell: {', '.join(lost)}"] if lost else []
        remarks += [f"missing, put back: {', '.join(back)}"] if back else []
    before: list[str] = []  # of the assignment's cells
    for name, cell in made.items():
        if name in missing and name not in answers:
            notebook.cells.insert(_place(notebook, before, answers, here), deepcopy(cell))
            here.add(name)
        before.append(name)
    notebook.metadata["kernelspec"] = work.source.metadata.get("kernelspec", {})
    return remarks


def _restored(cell: NotebookNode, made: NotebookNode | None) -> NotebookNode:
    if made is None:
        return cell
    new = deepcopy(made)
    if mark(made, "solution"):
        new.source = cell.source
    if "id" in cell:
        new["id"] = cell["id"]
    return new


def _place(notebook: NotebookNode, before: list[str], answers: set[str], here: set[str]) -> int:
    """Where a missing cell belongs that comes after those `before`."""
    above = [name for name in before if name in answers]
    if above and above[-1] not in here:
        return len(notebook.cells)
    present = [name for name in before if name in here]
    if not present:
        return 0
    places = {mark(cell, "grade_id"): i for i, cell in enumerate(notebook.cells)}
    return places[present[-1]] + 1


def _shown(cell: NotebookNode) -> bool:
    """Whether a cell is there to be looked at only: locked, without points, named plot-..."""
    return _is_fixed(cell) and str(mark(cell, "grade_id")).startswith("plot-")


def _is_fixed(cell: NotebookNode) -> bool:
    return bool(mark(cell, "locked")) and not mark(cell, "grade")


def _marks(notebook: NotebookNode) -> list[Mark]:
    """Points and messages of all graded cells; their outputs become the messages."""
    found = []
    answers: list[NotebookNode] = []  # since the last graded cell
    for cell in notebook.cells:
        if mark(cell, "solution"):
            answers.append(cell)
        if not mark(cell, "grade"):
            continue
        for output in cell.outputs:
            if output.output_type == "stream":
                output.name = "stdout"  # nbgrader takes a warning on stderr for an error
        most = float(mark(cell, "points"))
        try:
            points, _ = determine_grade(cell, LOG)
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
    said = [_said(out) for out in cell.outputs if out.output_type == "error"][-1:]
    if not said:
        said = [out.text.strip() for out in cell.outputs if out.output_type == "stream"][-1:]
    ended = [out for c in answers for out in c.get("outputs", ()) if out.output_type == "error"]
    if any(out.ename == "NotImplementedError" for out in ended):
        return UNANSWERED
    said += [f"(the answer's cell ended with: {_said(out)})" for out in ended]
    return " ".join(said)[:MESSAGE]


def _said(output: NotebookNode) -> str:
    text = re.sub(r"\(\d+\.py, (line \d+)\)", r"(\1)", strip_ansi(output.evalue).strip())
    if output.ename == "NotImplementedError" and not text:
        return UNANSWERED
    if output.ename in ("AssertionError", "TimeOut", "ProcessDied", "OutputLimitError") and text:
        return text
    return f"{output.ename}: {text}" if text else str(output.ename)


def feedback(
    work: Assignment, notebook: NotebookNode, marks: Sequence[Mark], remarks: Sequence[str]
) -> str:
    """The graded notebook as a page: points, messages, the student's work; no hidden test.

    Nothing in it runs: scripts are taken out, and of outputs only text and pictures are kept.
    """
    shown = deepcopy(notebook)
    by_cell = {item.cell: item for item in marks}
    public = {mark(c, "grade_id"): c.source for c in work.student.cells if mark(c, "grade_id")}
    for cell in shown.cells:
        name = mark(cell, "grade_id")
        if name in by_cell:
            item = by_cell[name]
            cell.source = public[name]
            cell.metadata.nbgrader["score"] = item.points
            if item.message:
                cell.outputs = [sandbox.failure("", item.message)]
                cell.outputs[0].traceback = [item.message]
            else:
                cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text="passed")]
        elif cell.cell_type == "code":
            kept = [] if _is_fixed(cell) else cell.outputs
            cell.outputs = [_harmless(output) for output in kept]
        elif name not in public:
            cell.source = cell.source.replace("<", "&lt;")
    shown.cells.insert(0, nbformat.v4.new_markdown_cell(_summary(marks, remarks)))
    total, most = (sum(getattr(item, of) for item in marks) for of in ("points", "max"))
    resources = {
        "nbgrader": {
            "notebook": work.name,
            "score": total,
            "max_score": most,
            "late_penalty": 0,
        }
    }
    own = Path(formgrader.__file__).parent
    exporter = HTMLExporter(
        template_name="feedback",
        extra_template_basedirs=[str(own / "templates")],
        extra_template_paths=[str(own / "static/node_modules/bootstrap/dist/css")],
    )
    exporter.exclude_input_prompt = exporter.exclude_output_prompt = True
    html, _ = exporter.from_notebook_node(shown, resources)
    page = BeautifulSoup(html, "html.parser")
    for script in page.find_all("script"):
        script.decompose()
    for table in page.find_all("table"):
        table["class"] = "table"
    for link in page.select("#toc a"):  # all of them are called "Test cell"
        link.string = str(link["href"]).lstrip("#")
    style = page.new_tag("style")
    style.string = "pre { white-space: pre-wrap; }"
    (page.head or page).append(style)
    return str(page)


def _harmless(output: NotebookNode) -> NotebookNode:
    if "data" in output:
        known = ("text/plain", "image/png")
        kept = {kind: output.data[kind] for kind in known if kind in output.data}
        kept = kept or {"text/plain": f"({', '.join(output.data)}: not shown)"}
        output = nbformat.v4.new_output("display_data", data=kept)
    return output


def _summary(marks: Sequence[Mark], remarks: Sequence[str]) -> str:
    """The marks as a table in Markdown."""
    rows = [f"| {m.cell} | {m.points:g} of {m.max:g} | {_plain(m.message)} |" for m in marks]
    table = "\n".join(["| cell | points | message |", "|---|---|---|", *rows])
    return "\n\n".join([table, *(f"- {_plain(remark)}" for remark in remarks)])


def _plain(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    for old, new in (("&", "&amp;"), ("<", "&lt;"), ("|", "&#124;"), ("\n", " "), ("$", "&#36;")):
        text = text.replace(old, new)
    return "".join(f"\\{letter}" if letter in "*_`[]\\" else letter for letter in text)
