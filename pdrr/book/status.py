"""What the book was made from: its executed notebooks, and the recorded results."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import nbformat
from tabulate import tabulate

from pdrr.book import contents
from pdrr.book.provenance import machines, once
from pdrr.config import PROFILES
from pdrr.core.files import listed
from pdrr.experiments.provenance import commit, device
from pdrr.experiments.records import Records


def page(folder: Path, records: Path) -> str:
    """The page in Markdown.

    Parameters
    ----------
    folder : Path
        Executed notebooks; the page is to lie one folder above.
    records : Path
        Folder of the recorded results, one folder for each profile.
    """
    executed = listed(folder, "*.ipynb")
    if not executed:
        raise ValueError(f"no notebooks in {folder}")
    pages = [_notebook(path) for path in executed]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return f"""# Status

**What this copy of the book was made from, and what that took.**

## Pages

Executed on {device()}, {memory / 2**30:.0f} GiB of memory, with commit `{commit()}`. The seconds \
are those of the page with all that was computed for it; what lay in the cache was not computed \
again. Each page ends with the command that makes it again.

{_table(pages)}

## Recorded results

Full runs, kept in `book/records`. *Seconds* are those of all runs of a row together, *memory* the \
largest that the process had in use.

:::{{container}} pdrr-small
{_table(_recording(path) for p in PROFILES[::-1] for path in listed(records / p, "*.json"))}
:::
"""


def sections(folder: Path, toc: Path = contents.TOC) -> str:
    """What each section of the paper took in this copy of the book, as Markdown; "" without pages.

    Parameters
    ----------
    folder : Path
        Executed notebooks.
    toc : Path
    """
    parts = contents.sections(toc)
    read = {path: nbformat.read(path, as_version=4) for path in listed(folder, "*.ipynb")}
    taken = {path.stem: seconds(content, path) for path, content in read.items()}
    known = (
        content.metadata["papermill"]["parameters"].get("profile") for content in read.values()
    )
    profiles = " and ".join(sorted({f"`{profile}`" for profile in known if profile}))
    rows = [
        {
            "command": f"`make {name}`",
            "pages": len(stems),
            "seconds": f"{sum(taken[stem] for stem in stems):,.0f}",
        }
        for name, stems in parts.items()
        if all(stem in taken for stem in stems)
    ]
    return f"On {device()}, profile {profiles}:\n\n{_table(rows)}\n" if rows else ""


def seconds(content: nbformat.NotebookNode, path: Path) -> float:
    """What an executed notebook took, with what was computed for it where that was noted."""
    told = content.metadata.get("papermill", {})
    if told.get("duration") is None:
        raise ValueError(f"{path} was not executed")
    return float(content.metadata.get("pdrr", {}).get("seconds", told["duration"]))


def _notebook(path: Path) -> dict[str, Any]:
    """A row of the first table."""
    content = nbformat.read(path, as_version=4)
    taken = seconds(content, path)
    told = content.metadata["papermill"]
    values = told["parameters"]
    title = content.cells[0].source.splitlines()[0].removeprefix("# ")
    name = title.partition(":")[0]  # what the page finds would push the seconds off a phone
    return {
        "page": f"[{name}]({path.parent.name}/{path.name})",
        "seconds": f"{taken:,.0f}",
        "profile": values.get("profile", "recorded"),
        "data": Path(values.get("data", "–")).name,
        "when (UTC)": _whole(f"{datetime.fromisoformat(told['end_time']):%Y-%m-%d %H:%M}"),
    }


def _recording(path: Path) -> dict[str, Any]:
    """A row of the second table."""
    found = Records.load(path.parent, path.stem)
    p = found.provenance
    return {
        "name": path.stem,
        "profile": p["profile"],
        "seconds": f"{p['seconds']:,.0f}",
        "memory": f"{p['peak_memory_gib']:.1f} GiB",
        "data": p["data"],
        "seeds": ", ".join(str(seed) for seed in found.runs["seed"].unique()),
        "device": machines(p["device"]),
        "commit, date": f"`{once(p['commit'])}`, {_whole(once(p['date']))}",
    }


def _whole(dates: str) -> str:
    """No line ends inside a date."""
    return dates.replace("-", "\u2011")


def _table(rows: Iterable[dict[str, Any]]) -> str:
    return tabulate(list(rows), headers="keys", tablefmt="github", disable_numparse=True)
