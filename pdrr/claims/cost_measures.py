"""What the claims about seconds and words are judged by, Tables 3 and 4: see `measures`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import pandas as pd

from pdrr.claims import table4
from pdrr.claims.measures import labelled, measure
from pdrr.core.rules import DEFENDED, in_words
from pdrr.experiments.records import Records
from pdrr.experiments.schemes import OURS

# Table 3


def _seconds(records: Records) -> Any:
    """Seconds of one detection [rules, schemes]; medians, of several seeds their mean."""
    found = records.runs.pivot_table("median_s", "rule", "scheme")
    found = found.reindex([rule for rule in DEFENDED if rule in found.index])
    return found.rename(index=in_words)


@measure
def seconds(records: Records, *, scheme: str) -> pd.Series:
    """Seconds of one detection of `scheme` under each attack."""
    return labelled(_seconds(records)[scheme])


@measure
def seconds_ratio(records: Records, *, of: str, over: str) -> pd.Series:
    """Seconds of one scheme over those of another, under each attack."""
    found = _seconds(records)
    return labelled(found[of] / found[over])


@measure
def seconds_in_order(records: Records, *, order: Sequence[str]) -> pd.Series:
    """Whether the schemes take longer in this order, under each attack."""
    found = _seconds(records)
    pairs = [found[quick] < found[slow] for quick, slow in pairwise(order)]
    return labelled(pd.concat(pairs, axis=1).all(axis=1))


@measure
def seconds_over_others(records: Records, *, scheme: str, end: str) -> pd.Series:
    """Seconds of `scheme` over the "smallest" or "largest" of the others, under each attack."""
    found = _seconds(records)
    others = found.drop(columns=scheme)
    edge = others.min(axis=1) if end == "smallest" else others.max(axis=1)
    return labelled(found[scheme] / edge)


# Table 4


def _parts(records: Records) -> tuple[list[Records], Records]:
    timed = records.runs["median_s"].notna()
    runs = (records.runs[~timed], records.runs[timed])
    evaluation, timing = (Records(records.table, part, records.provenance) for part in runs)
    return [evaluation], timing


@measure
def words(records: Records, *, scheme: str, paper: Mapping[str, str]) -> pd.Series:
    """Whether each derived word of Table 4 is the paper's; that of the auxiliary data is given."""
    try:
        derived = table4.derive(*_parts(records)).loc[scheme]
    except ValueError as missing:
        raise KeyError(str(missing)) from missing
    found = [column for column in paper if column != "auxiliary dataset"]  # true by construction
    return pd.Series(
        [derived[column] == paper[column] for column in found],
        index=[f"{column} {derived[column]}" for column in found],
    )


@measure
def without_auxiliary(records: Records) -> pd.Series:
    """Whether PDRR can be set up without auxiliary data; of each other, whether it cannot."""
    needs = {s: table4.needs_auxiliary(s) for s in records.runs["scheme"].unique()}
    return pd.Series({s: needed != (s == OURS) for s, needed in needs.items()})


@measure
def spread_over_others(records: Records, *, scheme: str) -> pd.Series:
    """Spread of the error between the attacks, of `scheme` minus that of each other scheme."""
    found = table4.mean_error(records.runs, "scheme", "rule").groupby("scheme")
    spread = found.max() - found.min()
    return labelled(spread[scheme] - spread.drop(scheme))
