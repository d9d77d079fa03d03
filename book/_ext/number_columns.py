"""Sphinx extension: in tables of chapters, columns of numbers are typeset and stand to the right.

Those of notebooks say so themselves (`pdrr.book.alignment.styled`).
"""

from __future__ import annotations

from typing import Any

from docutils import nodes

from pdrr.book.alignment import numeric
from pdrr.claims.words import typeset


def align(_app: Any, page: nodes.document) -> None:
    """Typeset the cells of columns that hold numbers; give them the style sheet's class."""
    for group in page.findall(nodes.tgroup):
        bodies = [row for part in group.findall(nodes.tbody) for row in part.findall(nodes.row)]
        heads = [row for part in group.findall(nodes.thead) for row in part.findall(nodes.row)]
        if any("morecols" in cell for row in bodies + heads for cell in row):
            continue
        for place in range(max(map(len, bodies), default=0)):
            cells = [row[place] for row in bodies if place < len(row)]
            if numeric(cell.astext() for cell in cells):
                for cell in [*cells, *(row[place] for row in heads if place < len(row))]:
                    cell["classes"].append("num")
                for text in [text for cell in cells for text in cell.findall(nodes.Text)]:
                    text.parent.replace(text, nodes.Text(typeset(text)))


def setup(app: Any) -> dict[str, bool]:
    """Connect to Sphinx."""
    app.connect("doctree-read", align)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
