"""Sphinx extension: how an executed notebook becomes a page for readers.

Its code moves into one fold. A figure gets an address, its description and files to keep: SVG and
its numbers as CSV. A table gets an address, its caption and its cells as CSV. What is said of them
stands in the metadata of their cell: ``mystnb: {image: {alt}}`` and ``pdrr: {caption}``. Files lie
in `_files/<stem>/`; beside them lies the notebook without results.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from html import escape
from io import StringIO
from pathlib import Path
from typing import Any

from bs4 import BeautifulSoup
from sphinx.errors import SphinxError

from pdrr.claims.words import machine_readable, typeset

RUN = "## Run it yourself"  # from there on parameters are in sight
ORIGIN = "## Where this comes from"
SVG, CSV, HTML = "image/svg+xml", "text/csv", "text/html"
TABLE = re.compile(r"\s*(<div>\s*)?(<style.*?</style>\s*)?<table", re.S)  # and nothing before
NAME = re.compile(r'(\bid="|url\(#|href="#)(?=f[0-9a-f]{8}-)')
TAG = re.compile(r" *<!-- holds: [\w-]+ -->")


def as_page(text: str, stem: str, folder: Path) -> str:
    """The notebook as the page shows it; writes the page's files into `folder`.

    Raises
    ------
    SphinxError
        For a figure without a description, or a table without a caption.
    """
    notebook = json.loads(text)
    kept, code, running = [], [], False
    for cell in notebook["cells"]:
        tags, source = cell["metadata"].get("tags", []), "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            running |= source.startswith(RUN)
            cell["source"] = re.sub(r"^#.*", lambda line: TAG.sub("", line.group()), source)
            kept.append(cell)
            continue
        if "injected-parameters" in tags:
            continue
        if "parameters" in tags and running:
            cell["metadata"]["tags"] = ["parameters"]
            kept.append(cell)
            continue
        code.append(source)
        if not cell["outputs"] or "remove-output" in tags:
            continue
        cell["metadata"]["tags"] = [*(tag for tag in tags if tag != "hide-input"), "remove-input"]
        name = cell["id"] if cell["id"][0].isalpha() else f"cell-{cell['id']}"
        for number, output in enumerate(cell["outputs"]):
            anchor = f"{name}-{number}" if number else name
            _dress(output.get("data", {}), cell["metadata"], stem, anchor, folder)
        kept.append(cell)
    at = next((i for i, c in enumerate(kept) if "".join(c["source"]).startswith(ORIGIN)), len(kept))
    notebook["cells"] = [*kept[:at], *_fold(code), *kept[at:]]
    return json.dumps(notebook)


def plain(text: str) -> str:
    """The notebook without results and without this run's parameters."""
    notebook = json.loads(text)
    for cell in notebook["cells"]:
        cell["metadata"].pop("papermill", None)
        if cell["cell_type"] == "code":
            cell["outputs"], cell["execution_count"] = [], None
    notebook["metadata"].pop("papermill", None)
    notebook["cells"] = [
        cell
        for cell in notebook["cells"]
        if "injected-parameters" not in cell["metadata"].get("tags", [])
    ]
    return json.dumps(notebook, indent=1)


def _dress(
    data: dict[str, Any], metadata: dict[str, Any], stem: str, anchor: str, folder: Path
) -> None:
    """Give a figure or a table of an output what belongs to it."""
    html = "".join(data.get(HTML, ""))
    if SVG in data:
        alt = metadata.get("mystnb", {}).get("image", {}).get("alt", "")
        if not alt:
            raise SphinxError(f"{stem}, cell {anchor}: a figure needs a description")
        html = re.sub(r'aria-label="[^"]*"', f'aria-label="{escape(alt)}"', html, count=1)
        html = NAME.sub(rf"\g<1>{anchor}-", html)  # the same picture may stand on a page twice
        files = {"svg": "".join(data[SVG]), "csv": "".join(data.get(CSV, ""))}
        kind = "figure"
    elif TABLE.match(html):
        table = BeautifulSoup(html, "html.parser")
        said, caption = metadata.get("pdrr", {}).get("caption", ""), table.find("caption")
        if not said and caption is None:
            raise SphinxError(f"{stem}, cell {anchor}: a table needs a caption")
        if said and caption is not None:
            html = html.replace(
                "<caption>", f"<caption><strong>{escape(typeset(said))}.</strong> ", 1
            )
        elif said:
            named = f"<caption><strong>{escape(typeset(said))}.</strong></caption>"
            html = re.sub(r"(<table[^>]*>)", lambda opened: opened[1] + named, html, count=1)
        files, kind = {"csv": table_csv(table)}, "table"
    else:
        return
    folder.mkdir(parents=True, exist_ok=True)
    links = []
    for ending, content in files.items():
        if content:
            (folder / f"{anchor}.{ending}").write_text(content, "utf-8")
            links.append(_link(f"{stem}/{anchor}.{ending}", ending.upper()))
    links.append(_link(f"{stem}/{stem}.ipynb", "notebook"))
    data[HTML] = (
        f'<div class="pdrr-{kind}" id="{anchor}">{html}<p class="pdrr-links">'
        f'<a href="#{anchor}">link to this {kind}</a> {" ".join(links)}</p></div>'
    )
    for other in (SVG, CSV, "image/png", "text/latex"):
        data.pop(other, None)


def _link(path: str, words: str) -> str:
    return f'<a href="../_files/{path}" download>{words}</a>'


def table_csv(table: BeautifulSoup) -> str:
    """The cells of an HTML table, a line below another as " | ", numbers as programs read them."""
    csv.writer(written := StringIO(), lineterminator="\n").writerows(_rows(table))
    return written.getvalue()


def _rows(table: BeautifulSoup) -> Iterator[list[str]]:
    for row in table.find_all("tr"):
        yield [
            machine_readable(cell.get_text(" | ", strip=True))
            for cell in row.find_all(["th", "td"])
            for _ in range(int(str(cell.get("colspan", "1"))))
        ]


def _fold(code: list[str]) -> list[dict[str, Any]]:
    """One fold with the code of the page."""
    if not code:
        return []
    lines = "\n\n".join(code)
    fold = (
        '<details class="pdrr-code"><summary>How this page is drawn</summary>\n\n'
        f"```python\n{lines}\n```\n\n</details>"
    )
    return [{"cell_type": "markdown", "id": "how-drawn", "metadata": {}, "source": fold}]


def read(app: Any, name: str, source: list[str]) -> None:
    """Change what Sphinx reads of a notebook; the file stays as it is."""
    folder, _, stem = name.rpartition("/")
    if folder == "notebooks":
        files = Path(app.outdir, "_files", stem)
        files.mkdir(parents=True, exist_ok=True)
        (files / f"{stem}.ipynb").write_text(plain(source[0]), "utf-8")
        source[0] = as_page(source[0], stem, files)


def setup(app: Any) -> dict[str, bool]:
    """Connect to Sphinx."""
    app.connect("source-read", read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
