"""Sphinx extension: the build ends where a sentence of the prose no longer holds.

Sentences that state a result have a tag behind them, ``<!-- holds: id -->``. Before anything is
read, each is held to the records that lie beside the pages (`pdrr.claims.statements`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sphinx.errors import SphinxError

from pdrr.claims import statements


def look(source: Path) -> None:
    """SphinxError in one line, naming page, sentence and numbers, if a tag or a result is wrong."""
    load = statements.loader(source / "records")
    for page in sorted([*source.glob("*.md"), *source.glob("notebooks/*.ipynb")]):
        for line in statements.wrong(page, load):
            raise SphinxError(f"{page.relative_to(source)}: {line}")


def setup(app: Any) -> dict[str, bool]:
    """Connect to Sphinx."""
    app.connect("builder-inited", lambda started: look(Path(started.srcdir)))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
