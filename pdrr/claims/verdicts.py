"""The paper's claims against recorded results: reproduced, partly, not, or not measured.

A claim has cells: the runs, rounds, rules or schemes it speaks of. Reproduced: all cells meet its
condition. Partly: some do.
"""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from pdrr.claims import words
from pdrr.claims.expected import Check, Claim, Row, expected
from pdrr.claims.measures import MEASURES
from pdrr.experiments.records import Records

VERDICTS = ("reproduced", "partly", "not", "not measured")


class NotMeasuredError(Exception):
    """The records do not hold what a claim speaks of."""


# judging


def table(folder: Path) -> pd.DataFrame:
    """All claims judged on the records in `folder`, a row each.

    Columns: verdict, claim, paper, ours, figure (stem of the page), tolerance, section.
    """
    if not folder.is_dir():
        raise ValueError(f"no records: {folder} is not a folder")
    return pd.DataFrame([judge(claim, folder) for claim in expected().claims])


def judge(claim: Claim, folder: Path) -> dict[str, str]:
    """One row of `table`; ValueError if its records are damaged."""
    try:
        verdict, ours = _judged(claim, folder)
    except NotMeasuredError as reason:
        verdict, ours = "not measured", str(reason)
    return {
        "verdict": verdict,
        "claim": claim.text,
        "paper": claim.paper or words.row(_flat(claim.expected)),
        "ours": ours,
        "figure": claim.page,
        "tolerance": claim.tolerance if claim.measure else "",
        "section": claim.section,
    }


def _judged(claim: Claim, folder: Path) -> tuple[str, str]:
    if claim.measure is None:
        raise NotMeasuredError(claim.why)
    cells, met, records = cells_of(claim, partial(load, folder))
    ours = claim.ours.format(
        span=words.wide_span(cells),
        met=sum(met),
        all=len(met),
        cells=", ".join(f"{label} {value:.2f}" for label, value in cells.items()),
        row=words.row({str(label): value for label, value in cells.items()}),
        labels=", ".join(str(label) for label in cells.index),
        device=records.provenance["device"],
    )
    return "reproduced" if all(met) else "partly" if any(met) else "not", ours


def load(folder: Path, stem: str) -> Records:
    """Records that may not be there yet: NotMeasuredError if so."""
    if not any((folder / f"{stem}.{suffix}").exists() for suffix in ("csv", "json")):
        raise NotMeasuredError(f"no records of {stem} yet")
    return Records.load(folder, stem)


def cells_of(
    check: Check, loaded: Callable[[str], Records]
) -> tuple[pd.Series, list[bool], Records]:
    """What a check measures: its cells, which of them meet the condition, the records it used.

    Parameters
    ----------
    check : Check
        With a measure.
    loaded : callable
        Stem -> records.

    Raises
    ------
    NotMeasuredError
        If a part of the records is not there; ValueError if they are damaged.
    """
    parts = [_part(loaded(stem), stem, check.where | own) for stem, own in check.records.items()]
    records = Records.concat(parts) if len(parts) > 1 else parts[0]
    try:
        cells = MEASURES[str(check.measure)](records, **check.arguments)
    except KeyError as error:
        raise NotMeasuredError(f"not recorded: {error.args[0]}") from error
    except ValueError as error:
        raise ValueError(f"damaged records {', '.join(check.records)}: {error}") from error
    if cells.empty:
        raise NotMeasuredError("not recorded")
    flat = list(_flat(check.expected).values())
    papers: list[float | None] = [*flat] or [None] * len(cells)
    if len(papers) != len(cells):
        raise NotMeasuredError(f"{len(cells)} of {len(papers)} values are recorded")
    met = [check.condition.met(x, paper) for x, paper in zip(cells, papers, strict=True)]
    return cells, met, records


def _part(whole: Records, stem: str, where: Mapping[str, Any]) -> Records:
    """The part of the records that has the values; of a list all must be there."""
    table, runs = whole.table, whole.runs
    for name, value in where.items():
        values = value if isinstance(value, list) else [value]
        if name not in runs:
            raise ValueError(f"the records {stem}.* have no column {name!r}")
        missing = [str(x) for x in values if not (runs[name] == x).any()]
        if missing:
            raise NotMeasuredError(f"{stem} has no {name} {', '.join(missing)}{_so_far(where)}")
        runs = runs[runs[name].isin(values)]
        if name in table:
            table = table[table[name].isin(values)]
    return Records(table, runs, whole.provenance)


def _so_far(where: Mapping[str, Any]) -> str:
    single = [f"{k} {v}" for k, v in where.items() if k in ("scheme", "knowledge", "beta")]
    return f" ({', '.join(single)})" if single else ""


def _flat(row: Row) -> dict[str, float]:
    """Every number with its label: {"FAR": [0, .1]} -> {"FAR 1": 0, "FAR 2": .1}."""
    return {
        f"{label} {i}" if isinstance(values, list) else label: value
        for label, values in row.items()
        for i, value in enumerate(values if isinstance(values, list) else [values], 1)
    }


# printing


def counts(table: pd.DataFrame) -> dict[str, int]:
    """How many claims got each verdict."""
    return {verdict: int((table["verdict"] == verdict).sum()) for verdict in VERDICTS}


def as_text(table: pd.DataFrame, width: int | None = None) -> str:
    """The table for a terminal: wrapped to its width, a summary at the end."""
    width = max(60, width or shutil.get_terminal_size((120, 40)).columns)
    columns = {"claim": 0.40, "paper": 0.22, "ours": 0.38}
    room = width - 12 - 2 * len(columns)
    widths = [int(room * share) for share in columns.values()]

    def line(texts: list[str], last: str) -> Iterator[str]:
        wrapped = [
            textwrap.wrap(text, size) or [""] for text, size in zip(texts, widths, strict=True)
        ]
        for i in range(max(map(len, wrapped))):
            cells = [part[i] if i < len(part) else "" for part in wrapped]
            shown = "  ".join(f"{x:{size}}" for x, size in zip(cells, widths, strict=True))
            yield f"{shown}  {last if i == 0 else ''}".rstrip()

    lines = list(line(list(columns), "verdict"))
    for section, rows in table.groupby("section", sort=False):
        lines += ["", f"{section}", "-" * width]
        for row in rows.to_dict("records"):
            lines += line([row[column] for column in columns], row["verdict"])
    found = ", ".join(f"{number} {verdict}" for verdict, number in counts(table).items())
    return "\n".join([*lines, "", f"{len(table)} claims: {found}"])
