"""Sphinx extension: parts of pages that are made from the records, before anything is read.

The landing page's go to ``_outputs/landing_*.html``, which it shows with `raw`; the explorer's data
to ``_extra/explorer/runs.js``, which the book has beside its pages.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sphinx.errors import SphinxError

from pdrr.book import explorer, landing


def make(app: Any) -> None:
    """Write what has changed; SphinxError where the records do not allow it."""
    source = Path(app.srcdir)
    try:
        for name, html in landing.parts(source / "records", book=source).items():
            write(source / "_outputs" / f"landing_{name}.html", html.encode())
        runs = explorer.script(explorer.payload(source / "records" / "paper"))
    except ValueError as error:
        raise SphinxError(str(error)) from error
    write(source / "_extra" / "explorer" / "runs.js", runs.encode())


def write(path: Path, content: bytes) -> None:
    """Write `content` unless it is there already: an untouched file is not read again."""
    if not path.exists() or path.read_bytes() != content:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def setup(app: Any) -> dict[str, bool]:
    """Connect to Sphinx."""
    app.connect("builder-inited", make, priority=1)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
