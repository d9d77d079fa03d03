"""The page that tells a student what was found: drawn where it can be, in plain words always."""

from __future__ import annotations

import binascii
import html
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path

import nbformat
from bs4 import BeautifulSoup
from bs4.exceptions import ParserRejectedMarkup
from jinja2 import TemplateError
from nbconvert import HTMLExporter
from nbconvert.utils.exceptions import ConversionException
from nbformat import NotebookNode, ValidationError
from nbgrader.preprocessors import LimitOutput
from nbgrader.server_extensions import formgrader
from traitlets import TraitError

from pdrr.grading import sandbox
from pdrr.grading.assignments import Assignment, mark
from pdrr.grading.results import Mark

PAGE = 40 << 20  # characters of a page that is drawn
SHOWN, CELLS = 20_000, 200  # characters of a cell, and cells, on a plain page
FAILING = (  # what has been seen to come out of drawing what people type and show
    ParserRejectedMarkup,
    TemplateError,
    TraitError,
    ConversionException,
    ValidationError,
    binascii.Error,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)


def page(
    work: Assignment, notebook: NotebookNode, marks: Sequence[Mark], remarks: Sequence[str]
) -> str:
    """The graded notebook as a page, or where that fails what `plain` makes of it."""
    try:
        drawn = drawn_page(work, notebook, marks, remarks)
    except FAILING:
        drawn = ""
    return drawn if 0 < len(drawn) <= PAGE else plain(work, notebook, marks, remarks)


def plain(
    work: Assignment, notebook: NotebookNode, marks: Sequence[Mark], remarks: Sequence[str]
) -> str:
    """A page that needs no drawing: the same points, messages and remarks, and the answers."""
    total, most = (sum(getattr(item, of) for item in marks) for of in ("points", "max"))
    said = [f"{m.cell}: {m.points:g} of {m.max:g}. {m.message}" for m in marks]
    graded = {item.cell for item in marks}
    locked = {mark(c, "grade_id") for c in work.complete.cells if mark(c, "locked")}
    own = [c for c in notebook.cells if mark(c, "grade_id") not in graded | locked]
    cells = [c.source[:SHOWN] for c in own[:CELLS]]
    listed = "".join(f"<li>{html.escape(line)}</li>" for line in [*said, *remarks])
    below = "".join(f"<pre>{html.escape(text)}</pre>" for text in cells)
    name = html.escape(work.name)
    return (
        f'<!DOCTYPE html><html><head><meta charset="utf-8"><title>{name}</title>'
        "<style>pre { white-space: pre-wrap; }</style></head><body>"
        f"<h1>{name} (Score: {total:g} / {most:g})</h1>"
        f"<p>The notebook itself cannot be shown as a page.</p><ul>{listed}</ul>{below}"
        "</body></html>"
    )


def drawn_page(
    work: Assignment, notebook: NotebookNode, marks: Sequence[Mark], remarks: Sequence[str]
) -> str:
    """Points, messages, the student's work; no hidden test.

    Nothing in it runs: scripts are taken out, and of outputs only text and pictures are kept.
    """
    shown, _ = LimitOutput(max_lines=200).preprocess(deepcopy(notebook), {})
    by_cell = {item.cell: item for item in marks}
    public = {mark(c, "grade_id"): c.source for c in work.student.cells if mark(c, "grade_id")}
    for cell in shown.cells:
        name = mark(cell, "grade_id")
        if name in by_cell and cell.cell_type == "code":
            item = by_cell[name]
            cell.source = public[name]
            cell.metadata.nbgrader["score"] = item.points
            if item.message:
                cell.outputs = [sandbox.failure("", item.message)]
                cell.outputs[0].traceback = [item.message]
            else:
                cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text="passed")]
        elif cell.cell_type == "code":
            kept = [] if is_fixed(cell) else cell.outputs
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
    text, _ = exporter.from_notebook_node(shown, resources)
    page = BeautifulSoup(text, "html.parser")
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


def is_fixed(cell: NotebookNode) -> bool:
    """Whether a cell is locked, and nothing that points are given for."""
    return bool(mark(cell, "locked")) and not mark(cell, "grade")


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
