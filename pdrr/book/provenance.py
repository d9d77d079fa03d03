"""Where the numbers of a page come from: one line for each record, the rest folded."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

import pandas as pd
from IPython.display import HTML
from pandas.io.formats.style import Styler

from pdrr.book.alignment import styled
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
    words = (
        f"{records.caption}; profile {p['profile']}, commit {once(p['commit'])}, {once(p['date'])}"
    )
    table = provenance_table(records).to_html()
    return f"<details><summary><strong>{how}</strong>: {escape(words)}</summary>{table}</details>"


def once(joined: str) -> str:
    """Parts of several recordings, each once: "a; b; a" is "a; b"."""
    return "; ".join(dict.fromkeys(joined.split("; ")))


def machines(devices: str) -> str:
    """The same of processors: "a, 2 cores; b, 1 core"."""
    return re.sub(r"\b1 cores\b", "1 core", once(devices))


def provenance_table(records: Records) -> Styler:
    """Where the numbers of a page come from, and the command that makes them again."""
    p, runs = records.provenance, records.runs
    settings = p["settings"]
    command = p.get("command") or os.environ.get("PDRR_COMMAND")  # recorded, or run just now
    rows = {
        "data": f"{p['data']} ({'synthetic' if p['synthetic'] else 'real'})",
        "data SHA-256": p["sha256"][:16],
        "profile": f"{p['profile']}, d = {p['d']:,}",
        "seeds": _values(runs["seed"]),
        "parameters": "; ".join(f"{k} = {v}" for k, v in _parameters(settings, runs).items() if v),
        "training": ", ".join(
            f"{k.replace('_', ' ')} {v}" for k, v in settings["training"].items()
        ),
    }
    if "scheme" in runs:
        rows["VAE, DAGMM"] = ", ".join(f"{k} {v}" for k, v in settings["baselines"].items())
    rows |= {
        "versions": ", ".join(f"{k} {v}" for k, v in p["versions"].items()),
        "device": machines(p["device"]) + (", TF32" if p.get("precision") == "TF32" else ""),
        "seconds": f"{p['seconds']:,.1f} (peak memory {p['peak_memory_gib']} GiB)",
        "commit, date": f"{once(p['commit'])}, {once(p['date'])}",
    }
    if command:
        rows["again"] = f"<code>{escape(command)}</code>"
    shown = styled(pd.DataFrame({"": rows.values()}, list(rows)), "provenance")
    return shown.hide(axis="columns").set_caption("Where these numbers come from")


def _parameters(settings: Mapping[str, Any], runs: pd.DataFrame) -> dict[str, str]:
    """What was varied, from the runs; the rest from the settings, where the attacks use it."""
    attack, federation = settings["attack"], settings["federation"]
    rules = set(runs["rule"]) if "rule" in runs else {"krum"}  # Fig. 2 attacks Krum only
    fixed: dict[str, tuple[str, Any]] = {"k": ("k", federation["k"]), "c": ("c", federation["c"])}
    if "trimmed_mean" in rules:
        fixed["β"] = ("beta", settings["defense"]["beta"])
    if "krum" in rules:
        fixed["ε"] = ("epsilon", attack["epsilon"])
        fixed["noise"] = ("noise", attack["noise"])
    if rules & {"trimmed_mean", "median"}:
        fixed["b"] = ("b", attack["b"])
    shown = {symbol: _values(runs.get(name, [value])) for symbol, (name, value) in fixed.items()}
    varied = ("q", "round", "knowledge", "reading")
    return shown | {name: _values(runs[name]) for name in varied if name in runs}


def _values(column: Iterable[Any]) -> str:
    """The different values, but for gaps: "1, 2, 3"."""
    given = pd.Series(list(column))
    given = given[given.notna() & (given != "")].drop_duplicates()
    return ", ".join(f"{value:g}" if isinstance(value, float) else str(value) for value in given)
