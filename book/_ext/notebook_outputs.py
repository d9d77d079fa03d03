"""Sphinx extension: outputs of the executed notebooks as files that chapters can show.

Before anything is read, the first picture of `notebooks/<stem>.ipynb` is written to
`_outputs/<stem>.png`, its drawing to `_outputs/<stem>.drawing.html` and its first HTML table to
`_outputs/<stem>.html`, all in the source folder. A chapter then shows them with `figure` and `raw`,
which always see the notebook as it is now.
`_outputs/seconds.md` tells what the notebooks of each section of the paper took.
"""

from __future__ import annotations

import base64
import json
import re
from html import escape
from pathlib import Path
from typing import Any

from pdrr.book import status


def extract(app: Any) -> None:
    """Write the files of all notebooks; leave those alone that would not change."""
    source = Path(app.srcdir)
    for notebook in sorted(source.glob("notebooks/*.ipynb")):
        cells = json.loads(notebook.read_text("utf-8"))["cells"]
        shown = [output.get("data", {}) for cell in cells for output in cell.get("outputs", [])]
        pictures = [data["image/png"] for data in shown if "image/png" in data]
        tables = [
            data["text/html"] for data in shown if "<table" in "".join(data.get("text/html", ""))
        ]
        if drawn := first_drawing(cells):
            write(source / "_outputs" / f"{notebook.stem}.drawing.html", drawn.encode())
        if pictures:
            write(source / "_outputs" / f"{notebook.stem}.png", base64.b64decode(pictures[0]))
        if tables:
            # chapters lie one folder above: ./fig04.html there is notebooks/fig04.html here
            table = "".join(tables[0]).replace('href="./', 'href="notebooks/')
            write(source / "_outputs" / f"{notebook.stem}.html", table.encode())
    taken = status.sections(source / "notebooks", source / "_toc.yml")
    write(source / "_outputs" / "seconds.md", taken.encode())


def first_drawing(cells: list[dict[str, Any]]) -> str:
    """HTML of the first figure that is a drawing, described by its cell; "" if there is none."""
    for cell in cells:
        alt = cell["metadata"].get("mystnb", {}).get("image", {}).get("alt", "")
        for output in cell.get("outputs", []):
            html = "".join(output.get("data", {}).get("text/html", ""))
            if html.startswith('<div class="pdrr-drawing'):
                return re.sub(r'aria-label="[^"]*"', f'aria-label="{escape(alt)}"', html, count=1)
    return ""


def write(path: Path, content: bytes) -> None:
    """Write `content` unless it is there already: an untouched file is not read again."""
    if not path.exists() or path.read_bytes() != content:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)


def setup(app: Any) -> dict[str, bool]:
    """Connect to Sphinx."""
    app.connect("builder-inited", extract, priority=1)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
