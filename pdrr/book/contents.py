"""The book's table of contents: which notebooks make a section of the paper."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

TOC = Path("book/_toc.yml")
PART = "The paper, re-run"
FIRST = 2  # section 1 is the paper's introduction


def sections(toc: Path = TOC) -> dict[str, list[str]]:
    """Stems of the notebooks of sec2, sec3 and so on, in the book's order.

    Each chapter of the part "The paper, re-run" with figures or tables below it is a section; the
    chapters' order gives the number.
    """
    parts = yaml.safe_load(toc.read_text("utf-8"))["parts"]
    chapters = [
        [Path(page["file"]).name for page in chapter.get("sections", ())]
        for part in parts
        if part["caption"] == PART
        for chapter in part["chapters"]
    ]
    shown = [pages for pages in chapters if any(re.match(r"fig|table", page) for page in pages)]
    return {f"sec{number}": pages for number, pages in enumerate(shown, FIRST)}


def stems(name: str, toc: Path = TOC) -> list[str]:
    """The notebooks that a name stands for: those of a section such as sec4, or one's own stem.

    ValueError for a section that there is not.
    """
    if not re.fullmatch(r"sec\d+", name):
        return [name]
    known = sections(toc)
    if name not in known:
        raise ValueError(f"no section {name!r} in {toc}, which has: {', '.join(known) or 'none'}")
    return known[name]
