"""Sphinx extension: outputs of the executed notebooks as files that chapters can show.

Before anything is read, the first picture of `notebooks/<stem>.ipynb` is written to
`_outputs/<stem>.png` and its first HTML table to `_outputs/<stem>.html`, both in the source folder.
A chapter then shows them with `figure` and `raw`, which always see the notebook as it is now.
`_outputs/seconds.md` tells what the notebooks of each section of the paper took.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from pdrr.book import status


def extract(app: Any) -> None:
    """Write the files of all notebooks; leave those alone that would not change."""
    source = Path(app.srcdir)
    for notebook in sorted(source.glob("notebooks/*.ipynb")):
        shown = [
            output.get("data", {})
            for cell in json.loads(notebook.read_text("utf-8"))["cells"]
            for output in cell.get("outputs", [])
        ]
        pictures = [data["image/png"] for data in shown if "image/png" in data]
        tables = [
            data["text/html"] for data in shown if "<table" in "".join(data.get("text/html", ""))
        ]
        if pictures:
            write(source / "_outputs" / f"{notebook.stem}.png", base64.b64decode(pictures[0]))
        if tables:
            # chapters lie one folder above: ./fig04.html there is notebooks/fig04.html here
            table = "".join(tables[0]).replace('href="./', 'href="notebooks/')
            write(source / "_outputs" / f"{notebook.stem}.html", table.encode())
    taken = status.sections(source / "notebooks", source / "_toc.yml")
    write(source / "_outputs" / "seconds.md", taken.encode())


def write(path: Path, content: bytes) -> None:
    """Write `content` unless it is there already: an untouched file is not read again."""
    if not path.exists() or path.read_bytes() != content:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)


def setup(app: Any) -> dict[str, bool]:
    """Connect to Sphinx."""
    app.connect("builder-inited", extract, priority=1)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
