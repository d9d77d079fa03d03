"""Where the numbers of a page come from: one line for each record, the rest folded."""

from __future__ import annotations

from html import escape

from IPython.display import HTML

from pdrr.book.tables import provenance_table
from pdrr.experiments.records import Records


def provenance(*parts: Records) -> HTML:
    """A line for each of `parts`; `provenance_table` unfolds.

    Examples
    --------
    >>> from pdrr.book.provenance import provenance
    >>> provenance().data
    '<div class="pdrr-provenance"></div>'
    """
    return HTML(f'<div class="pdrr-provenance">{"".join(map(_fold, parts))}</div>')


def _fold(records: Records) -> str:
    p = records.provenance
    how = "Recorded" if p.get("command") else "Run for this page"
    words = f"{records.caption}; profile {p['profile']}, commit {p['commit']}, {p['date']}"
    table = provenance_table(records).to_html()
    return f"<details><summary><strong>{how}</strong>: {escape(words)}</summary>{table}</details>"
