"""The paper's claims against recorded results: reproduced, partly, not, or why neither.

A claim has cells: the runs, rounds, rules or schemes it speaks of. Reproduced: all cells meet its
condition. Partly: some do, and it says which. Not distinguishable from chance: they do, and so
would a detector that flags c models without looking, with a probability above 5%. Not comparable:
our numbers are of something else than the paper's. Parts of other claims, what is true by
construction, and arithmetic on the paper's own numbers are shown and not counted. Where rounds are
still to be recorded, a claim is judged on those that are there, and says so.
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
from pdrr.claims.column_measures import discordant, more_wrong_rounds
from pdrr.claims.expected import PAPER, Check, Claim, Row, expected
from pdrr.claims.measures import MEASURES
from pdrr.claims.parts import NotMeasuredError, load, part_of
from pdrr.experiments.records import KEYS, Records

VERDICTS = (
    *("reproduced", "partly", "not", "not distinguishable from chance", "not comparable"),
    "not measured",
)
GIVEN = "by construction"  # a verdict that does not count
NOTHING = Records(pd.DataFrame(), pd.DataFrame(), {"device": ""})  # what arithmetic is judged on


# judging


def table(folder: Path, page: str | None = None) -> pd.DataFrame:
    """All claims judged on the records in `folder`, a row each, or those of one `page`.

    Columns: id, verdict, claim, paper, ours, runs (how many it rests on), interval (exact, 95%, of
    the share of runs that meet it, if it is a claim about runs), figure (stem of the page),
    tolerance, section, part_of (the claim that it is part of, or why else it does not count),
    counted. Claims of other profiles are judged on the folders beside `folder`.
    """
    if not folder.is_dir():
        raise ValueError(f"no records: {folder} is not a folder")
    loaded = _to_be_expected(folder)
    claims = [claim for claim in expected().claims if page in (None, claim.page)]
    return pd.DataFrame([_row(claim, loaded) for claim in claims])


def judge(claim: Claim, folder: Path) -> dict[str, Any]:
    """One row of `table`; ValueError if its records are damaged."""
    return _row(claim, _to_be_expected(folder))


def _to_be_expected(folder: Path) -> Callable[[str, str], Records]:
    """Reads each recording of each profile once; rates that lots decide are their expectation."""
    homes = {PAPER: folder}
    return cache(
        lambda profile, stem: chance.expected_rates(
            load(homes.get(profile, folder.parent / profile), stem)
        )
    )


def _row(claim: Claim, loaded: Callable[[str, str], Records]) -> dict[str, Any]:
    try:
        found = _judged(claim, lambda stem: loaded(claim.profile, stem))
    except NotMeasuredError as reason:
        found = {"verdict": "not measured", "ours": str(reason), "runs": "", "interval": ""}
    aside = "" if claim.profile == PAPER else f" ({claim.profile} profile)"
    return {
        "id": claim.id,
        "verdict": found["verdict"],
        "claim": words.typeset(claim.text),
        "paper": words.typeset(claim.paper or words.row(_flat(claim.expected))),
        "ours": words.typeset(found["ours"] + aside),
        "runs": found["runs"],
        "interval": found["interval"],
        "figure": claim.page,
        "tolerance": words.typeset(claim.tolerance) if claim.measure else "",
        "section": claim.section,
        "part_of": claim.whole,
        "counted": claim.counted,
    }


def _judged(claim: Claim, loaded: Callable[[str], Records]) -> dict[str, str]:
    if claim.measure is None:
        raise NotMeasuredError(claim.why)
    cells, met, records, gaps = _measured(claim, loaded, some_rounds=True)
    numbers: Any = {str(label): value for label, value in cells.items()}
    if cells.index.nlevels > 1:  # of several seeds
        numbers = {str(label): list(own) for label, own in cells.groupby(level=0, sort=False)}
    ours = claim.ours.format(
        span=words.wide_span(cells),
        met=sum(met),
        all=len(met),
        cells=words.each(cells),
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
    said += gaps
    if claim.by_construction and verdict == "reproduced":
        verdict = GIVEN
    about_runs = cells.name == "run" and not claim.by_construction
    interval = chance.exact_interval(sum(met), len(met)) if about_runs else ()
    return {
        "verdict": verdict,
        "ours": "; ".join(said),
        "runs": str(_number_of_runs(records.runs)) if claim.records else "",
        "interval": words.bounds(*interval) if interval else "",
    }


def _which(cells: pd.Series, met: Sequence[bool]) -> str:
    """The cells that meet a condition or those that do not, whichever are fewer."""
    kept = np.array(met)
    few, word = (kept, "met only by") if kept.sum() < len(kept) / 2 else (~kept, "not met by")
    names: list[str] = []
    if cells.index.nlevels == 1:
        labels = words.apart([str(label).split(": ")[0] for label in cells.index])
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
    """How likely a detector that looks at nothing does as well; None if no such one could.

    Of rounds with an error under one setting only: how likely a fair coin gives as many.
    """
    if claim.measure == more_wrong_rounds.__name__:
        return chance.sign_test(*discordant(records, **claim.arguments)[:2])
    condition = claim.condition
    bound = condition.within if condition.within is not None else condition.at_most
    papers = _papers(claim, cells, records.runs)
    return chance.probability(str(claim.measure), cells, met, papers, bound, records)


def _number_of_runs(runs: pd.DataFrame) -> int:
    """Attacked rounds, however many schemes looked at them; what was only timed, once an attack."""
    if "rounds" in runs:  # of every round, a row for many
        return int(runs["rounds"].sum())
    timed = runs["median_s"].notna() if "median_s" in runs else pd.Series(False, runs.index)
    counted = runs if timed.all() else runs[~timed]
    whose = ("scheme", "reading", "coordinates")
    keys = [key for key in KEYS if key in counted and key not in whose]
    return len(counted.drop_duplicates(keys))


def cells_of(
    check: Check, loaded: Callable[[str], Records]
) -> tuple[pd.Series, list[bool], Records]:
    """What a check measures: its cells, which of them meet the condition, the records it used.

    All that it asks for has to be there.

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
    cells, met, records, _ = _measured(check, loaded, some_rounds=False)
    return cells, met, records


def _measured(
    check: Check, loaded: Callable[[str], Records], some_rounds: bool
) -> tuple[pd.Series, list[bool], Records, list[str]]:
    """The same; with `some_rounds` on those that are there, the last says which are not."""
    parts, gaps = [], []
    for stem, own in check.records.items():
        where = own | {name: x for name, x in check.where.items() if name not in own}
        part, gap = part_of(loaded(stem), stem, where, some_rounds)
        parts.append(part)
        gaps += [gap] if gap else []
    records = Records.concat(parts) if len(parts) > 1 else parts[0] if parts else NOTHING
    try:
        cells = MEASURES[str(check.measure)](records, **check.arguments)
    except KeyError as error:
        raise NotMeasuredError(f"not recorded: {error.args[0]}") from error
    except ValueError as error:
        raise ValueError(f"damaged records {', '.join(check.records)}: {error}") from error
    if cells.empty:
        raise NotMeasuredError("not recorded")
    papers = _papers(check, cells, records.runs)
    met = [check.condition.met(x, paper) for x, paper in zip(cells, papers, strict=True)]
    return cells, met, records, gaps


def _papers(check: Check, cells: pd.Series, runs: pd.DataFrame) -> list[float | None]:
    """The paper's value of each cell: of all seeds of one cell the same, of none None."""
    asked = check.where.get("round")
    if isinstance(asked, list):  # a row of a table has a value for each round that is asked for
        kept = [x in set(runs["round"]) for x in asked]
        row: Row = {
            label: [x for x, there in zip(values, kept, strict=True) if there]
            if isinstance(values, list)
            else values
            for label, values in check.expected.items()
        }
    else:
        row = check.expected
    flat = list(_flat(row).values())
    if not flat:
        return [None] * len(cells)
    labels = cells.index.get_level_values(0)
    different = labels.unique() if cells.index.nlevels > 1 else labels
    if len(flat) != len(different):
        raise NotMeasuredError(f"{len(different)} of {len(flat)} values are recorded")
    if len(flat) == len(cells):
        return [*flat]
    return [dict(zip(different, flat, strict=True))[label] for label in labels]


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
NARROW = {"runs": 4, "interval": 9, "verdict": 15}


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
    why = table["part_of"][~table["counted"]]
    given, sums = (int((why == reason).sum()) for reason in (GIVEN, "arithmetic"))
    told = (
        f"Indented and not counted: {len(why) - given - sums} parts of other claims, {given} true"
        f" by construction, {sums} of arithmetic on the paper's own numbers."
    )
    lines += ["", *textwrap.wrap(f"{own} claims: {found}", width), *textwrap.wrap(told, width)]
    return "\n".join(lines)
