"""The part of the records that a claim speaks of, and what of it is not there yet."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from pdrr.experiments.records import Records


class NotMeasuredError(Exception):
    """The records do not hold what a claim speaks of."""


def load(folder: Path, stem: str) -> Records:
    """Records that may not be there yet: NotMeasuredError if so."""
    if not any((folder / f"{stem}.{suffix}").exists() for suffix in ("csv", "json")):
        raise NotMeasuredError(f"no records of {stem} yet")
    return Records.load(folder, stem)


def part_of(
    whole: Records, stem: str, where: Mapping[str, Any], some_rounds: bool
) -> tuple[Records, str]:
    """The part of the records that has the values, and which rounds are missing.

    Of a list all values must be there. With `some_rounds` one of a list of rounds will do; all that
    is asked for of it must be there, such as each scheme of a list.
    """
    table, runs = whole.table, whole.runs
    values = {name: x if isinstance(x, list) else [x] for name, x in where.items()}
    rounds = values.pop("round", None) if some_rounds else None
    for name, asked in values.items():
        if name not in runs:
            raise ValueError(f"the records {stem}.* have no column {name!r}")
        _there(runs, name, asked, stem, where)
        runs = runs[runs[name].isin(asked)]
    gap = ""
    if rounds is not None:
        keys = [name for name, asked in values.items() if len(asked) > 1]
        cells = runs.drop_duplicates(["round", *keys]).groupby("round").size()
        whole_rounds = cells.index[cells == math.prod(len(values[name]) for name in keys)]
        kept = [number for number in rounds if number in whole_rounds]
        if not kept:
            _there(runs[runs["round"].isin(whole_rounds)], "round", rounds, stem, where)
        absent = [str(number) for number in rounds if number not in kept]
        if absent:
            page = re.sub("^table", "Table ", stem)
            gap = f"{page}: round{'s' * (len(absent) > 1)} {', '.join(absent)} not recorded"
        runs = runs[runs["round"].isin(kept)]
        values["round"] = kept
    rows = pd.Series(True, table.index)
    for name, asked in values.items():
        if name in table:
            rows &= table[name].isin(asked)
    return Records(table if rows.all() else table[rows], runs, whole.provenance), gap


def _there(
    runs: pd.DataFrame, name: str, asked: Sequence[Any], stem: str, where: Mapping[str, Any]
) -> None:
    missing = [str(x) for x in asked if not (runs[name] == x).any()]
    if missing:
        raise NotMeasuredError(f"{stem} has no {name} {', '.join(missing)}{_so_far(name, where)}")


def _so_far(name: str, where: Mapping[str, Any]) -> str:
    told = ("attack", "rule", "scheme", "knowledge", "beta", "noise")
    single = [
        f"{k} {v}" for k, v in where.items() if k in told and k != name and not isinstance(v, list)
    ]
    return f" ({', '.join(single)})" if single else ""
