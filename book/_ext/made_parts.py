"""Sphinx extension: parts of pages that are made from the records, before anything is read.

The landing page's go to ``_outputs/landing_*.html``, which it shows with `raw`; the explorer's data
to ``_extra/explorer/runs.js``, which the book has beside its pages. The landing page links to
the repository and to the PDF where the configuration tells their addresses.
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
        links = addresses(app.config)
        for name, html in landing.parts(source / "records", book=source, links=links).items():
            write(source / "_outputs" / f"landing_{name}.html", html.encode())
        runs = explorer.script(explorer.payload(source / "records"))
    except ValueError as error:
        raise SphinxError(str(error)) from error
    write(source / "_extra" / "explorer" / "runs.js", runs.encode())


def addresses(config: Any) -> dict[str, str]:
    """Where else the project is: name -> address, of those that the configuration tells."""
    told = {"Repository": config.book_repository, "PDF": config.book_pdf}
    return {name: address for name, address in told.items() if address}


def write(path: Path, content: bytes) -> None:
    """Write `content` unless it is there already: an untouched file is not read again."""
    if not path.exists() or path.read_bytes() != content:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def setup(app: Any) -> dict[str, bool]:
    """Connect to Sphinx."""
    for name in ("book_repository", "book_pdf"):
        app.add_config_value(name, "", "env", str)
    app.connect("builder-inited", make, priority=1)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
