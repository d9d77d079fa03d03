"""The paper's claims against recorded results: reproduced, partly, not, or why neither.

A claim has cells: the runs, rounds, rules or schemes it speaks of. Reproduced: all cells meet its
condition. Partly: some do, and it says which. Not distinguishable from chance: they do, and so
would a detector that flags c models without looking, with a probability above 5 %. Not comparable:
our numbers are of something else than the paper's. Parts of other claims, and what is true by
construction, are shown and not counted.
"""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pdrr.claims import chance, words
from pdrr.claims.expected import Check, Claim, Row, expected
from pdrr.claims.measures import MEASURES
from pdrr.experiments.records import KEYS, Records

VERDICTS = (
    *("reproduced", "partly", "not", "not distinguishable from chance", "not comparable"),
    "not measured",
)
GIVEN = "by construction"  # a verdict that does not count


class NotMeasuredError(Exception):
    """The records do not hold what a claim speaks of."""


# judging


def table(folder: Path) -> pd.DataFrame:
    """All claims judged on the records in `folder`, a row each.

    Columns: verdict, claim, paper, ours, runs (how many it rests on), interval (exact, 95 %, of the
    share of runs that meet it, if it is a claim about runs), figure (stem of the page), tolerance,
    section, part (of another claim), counted.
    """
    if not folder.is_dir():
        raise ValueError(f"no records: {folder} is not a folder")
    loaded = _to_be_expected(folder)
    return pd.DataFrame([_row(claim, loaded) for claim in expected().claims])


def judge(claim: Claim, folder: Path) -> dict[str, Any]:
    """One row of `table`; ValueError if its records are damaged."""
    return _row(claim, _to_be_expected(folder))


def _to_be_expected(folder: Path) -> Callable[[str], Records]:
    """Reads each recording once; rates that lots decide are their expectation."""
    return cache(lambda stem: chance.expected_rates(load(folder, stem)))


def _row(claim: Claim, loaded: Callable[[str], Records]) -> dict[str, Any]:
    try:
        found = _judged(claim, loaded)
    except NotMeasuredError as reason:
        found = {"verdict": "not measured", "ours": str(reason), "runs": "", "interval": ""}
    return {
        "verdict": found["verdict"],
        "claim": claim.text,
        "paper": claim.paper or words.row(_flat(claim.expected)),
        "ours": found["ours"],
        "runs": found["runs"],
        "interval": found["interval"],
        "figure": claim.page,
        "tolerance": claim.tolerance if claim.measure else "",
        "section": claim.section,
        "part": bool(claim.part_of),
        "counted": claim.counted,
    }


def _judged(claim: Claim, loaded: Callable[[str], Records]) -> dict[str, str]:
    if claim.measure is None:
        raise NotMeasuredError(claim.why)
    cells, met, records = cells_of(claim, loaded)
    numbers: Any = {str(label): value for label, value in cells.items()}
    if cells.index.nlevels > 1:  # of several seeds
        numbers = {str(label): list(own) for label, own in cells.groupby(level=0, sort=False)}
    ours = claim.ours.format(
        span=words.wide_span(cells),
        met=sum(met),
        all=len(met),
        cells=", ".join(f"{label} {value:.2f}" for label, value in cells.items()),
        row=words.row(numbers),
        labels=", ".join(str(label) for label in cells.index),
        device=records.provenance["device"],
    )
    verdict = "reproduced" if all(met) else "partly" if any(met) else "not"
    said = [ours]
    if verdict == "partly":
        said.append(_which(cells, met))
    if verdict != "not" and (likely := _by_chance(claim, cells, met, records)) is not None:
        said.append(f"chance does as well with probability {words.probability(likely)}")
        verdict = verdict if likely <= chance.LEVEL else "not distinguishable from chance"
    lots = int(records.runs["by_lot"].sum()) if "by_lot" in records.runs else 0
    if lots and not claim.by_construction:
        said.append(f"{lots} of {len(records.runs)} detections by lot")
    if not claim.comparable:
        verdict = "not comparable"
        said.append(claim.reason)
    if claim.by_construction and verdict == "reproduced":
        verdict = GIVEN
    about_runs = cells.name == "run" and not claim.by_construction
    interval = chance.exact_interval(sum(met), len(met)) if about_runs else ()
    return {
        "verdict": verdict,
        "ours": "; ".join(said),
        "runs": str(_number_of_runs(records.runs)),
        "interval": "–".join(map(words.short, interval)),
    }


def _which(cells: pd.Series, met: Sequence[bool]) -> str:
    """The cells that meet a condition or those that do not, whichever are fewer."""
    kept = np.array(met)
    few, word = (kept, "only") if kept.sum() < len(kept) / 2 else (~kept, "not")
    names: list[str] = []
    if cells.index.nlevels == 1:
        labels = words.apart([str(label) for label in cells.index])
        names = [label for label, named in zip(labels, few, strict=True) if named]
    else:  # of several seeds
        for label, own in pd.Series(few, cells.index).groupby(level=0, sort=False):
            seeds = ", ".join(str(seed) for _, seed in own.index[own])
            if seeds:
                names.append(f"{label}" if own.all() else f"{label} ({seeds})")
    return f"{word} {words.some(names)}"


def _by_chance(
    claim: Claim, cells: pd.Series, met: Sequence[bool], records: Records
) -> float | None:
    """How likely a detector that looks at nothing does as well; None if no such one could."""
    condition = claim.condition
    bound = condition.within if condition.within is not None else condition.at_most
    papers = _papers(claim, cells)
    return chance.probability(str(claim.measure), cells, met, papers, bound, records)


def _number_of_runs(runs: pd.DataFrame) -> int:
    """Attacked rounds, however many schemes looked at them; what was only timed, once an attack."""
    timed = runs["median_s"].notna() if "median_s" in runs else pd.Series(False, runs.index)
    counted = runs if timed.all() else runs[~timed]
    whose = ("scheme", "reading", "coordinates")
    keys = [key for key in KEYS if key in counted and key not in whose]
    return len(counted.drop_duplicates(keys))


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
    papers = _papers(check, cells)
    met = [check.condition.met(x, paper) for x, paper in zip(cells, papers, strict=True)]
    return cells, met, records


def _papers(check: Check, cells: pd.Series) -> list[float | None]:
    """The paper's value of each cell: of all seeds of one cell the same, of none None."""
    flat = list(_flat(check.expected).values())
    if not flat:
        return [None] * len(cells)
    labels = cells.index.get_level_values(0)
    different = labels.unique() if cells.index.nlevels > 1 else labels
    if len(flat) != len(different):
        raise NotMeasuredError(f"{len(different)} of {len(flat)} values are recorded")
    if len(flat) == len(cells):
        return [*flat]
    return [dict(zip(different, flat, strict=True))[label] for label in labels]


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
    """How many claims got each verdict, of those that count."""
    own = table["verdict"][table["counted"]] if "counted" in table else table["verdict"]
    return {verdict: int((own == verdict).sum()) for verdict in VERDICTS}


COLUMNS = {"claim": 0.36, "paper": 0.19, "ours": 0.45}  # shares of the room that the others leave
NARROW = {"runs": 4, "interval": 8, "verdict": 15}


def as_text(table: pd.DataFrame, width: int | None = None) -> str:
    """The table for a terminal: wrapped to its width, a summary at the end."""
    width = max(80, width or shutil.get_terminal_size((140, 40)).columns)
    room = width - sum(NARROW.values()) - 2 * (len(COLUMNS) + len(NARROW) - 1)
    widths = {name: int(room * share) for name, share in COLUMNS.items()} | NARROW

    def line(row: Mapping[Any, Any], indent: str = "") -> Iterator[str]:
        wrapped = [
            textwrap.wrap(row[name], size, initial_indent=begin, subsequent_indent=begin) or [""]
            for name, size in widths.items()
            for begin in [indent if name == "claim" else ""]
        ]
        for i in range(max(map(len, wrapped))):
            cells = [part[i] if i < len(part) else "" for part in wrapped]
            sizes = widths.values()
            yield "  ".join(f"{x:{n}}" for x, n in zip(cells, sizes, strict=True)).rstrip()

    lines = list(line({name: name for name in widths}))
    for section, rows in table.groupby("section", sort=False):
        lines += ["", f"{section}", "-" * width]
        for row in rows.to_dict("records"):
            lines += line(row, "" if row["counted"] else "  ")
    found = ", ".join(f"{number} {verdict}" for verdict, number in counts(table).items())
    own = int(table["counted"].sum())
    parts = int(table["part"].sum())
    given = len(table) - own - parts
    told = f"Indented and not counted: {parts} parts of other claims, {given} true by construction."
    lines += ["", *textwrap.wrap(f"{own} claims: {found}", width), *textwrap.wrap(told, width)]
    return "\n".join(lines)
