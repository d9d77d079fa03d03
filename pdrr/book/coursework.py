"""What the reference answers of the coursework draw, for the pages that students read."""

from __future__ import annotations

from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

from pdrr.book.notebooks import own_kernel
from pdrr.core.files import atomic

WITHOUT = "without-reference"  # a cell that would tell how good the reference is at the contest


def execute(source: Path, target: Path) -> None:
    """Run an assignment's source without its checks, and keep the executed notebook.

    ValueError for a cell that fails.
    """
    notebook = nbformat.read(source, as_version=4)
    notebook.cells = [
        cell
        for cell in notebook.cells
        if not cell.metadata.get("nbgrader", {}).get("grade")
        and WITHOUT not in cell.metadata.get("tags", ())
    ]
    with own_kernel():
        try:
            NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
        except CellExecutionError as error:
            raise ValueError(f"{source.stem}: {error.ename}: {error.evalue}") from error
    with atomic(target) as temporary:
        nbformat.write(notebook, temporary)


def shown(executed: Path) -> dict[str, list[NotebookNode]]:
    """What the cells that are there to be looked at show, by their nbgrader id.

    Nothing where the notebook was not executed.
    """
    if not executed.exists():
        return {}
    cells = nbformat.read(executed, as_version=4).cells
    marked = ((cell.metadata.get("nbgrader", {}), cell.get("outputs")) for cell in cells)
    return {
        marks["grade_id"]: outputs
        for marks, outputs in marked
        if outputs and marks.get("locked") and marks["grade_id"].startswith("plot-")
    }
