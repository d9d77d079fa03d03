"""What the statements about every round are held to, see `measures`: a cell is a run.

A run of `every_round` is a chain, an attack, a knowledge and a setting, over its rounds. The exact
intervals take the rounds to be independent; those of one federation are less than that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from pdrr.claims.chance import exact_interval
from pdrr.claims.measures import measure
from pdrr.core.rules import in_words
from pdrr.experiments.records import Records, each_run

ENDS = {"low": 0, "high": 1}


def _each(records: Records, value: Callable[[pd.DataFrame, pd.Series], float]) -> pd.Series:
    return pd.Series({label: value(rows, run) for label, rows, run in each_run(records)})


@measure
def wrong_interval(records: Records, *, end: str) -> pd.Series:
    """The "low" or "high" end of the exact 95% interval of the share of rounds with an error."""
    return _each(records, lambda _, run: exact_interval(run["wrong"], run["rounds"])[ENDS[end]])


@measure
def rounds_all_missed(records: Records) -> pd.Series:
    """In how many rounds no malicious model is flagged."""
    return _each(records, lambda rows, _: int((rows["missed"] == rows["malicious"]).sum()))


@measure
def rounds_won(records: Records) -> pd.Series:
    """In how many rounds Krum selects a malicious model."""
    return _each(records, lambda rows, _: int((rows["selected"] == "malicious").sum()))


@measure
def rounds_flagging(records: Records) -> pd.Series:
    """In how many rounds a benign model is flagged."""
    return _each(records, lambda rows, _: int((rows["false_alarms"] > 0).sum()))


@measure
def largest_benign_score(records: Records) -> pd.Series:
    """The largest score of a benign model in any round."""
    return _each(records, lambda rows, _: float(rows["benign_high"].max()))


@measure
def most_false_alarms(records: Records) -> pd.Series:
    """The largest number of benign models that are flagged in one round."""
    return _each(records, lambda rows, _: int(rows["false_alarms"].max()))


@measure
def errs_just_at(records: Records, *, numbers: Sequence[int]) -> pd.Series:
    """Whether these are the rounds with an error, and there is no other."""

    def just(rows: pd.DataFrame, _: pd.Series) -> bool:
        found = rows[(rows["false_alarms"] > 0) | (rows["missed"] > 0)]["round"]
        return sorted(found) == sorted(numbers)

    return _each(records, just)


@measure
def rounds_gained(records: Records, *, of: str, over: str) -> pd.Series:
    """In how many rounds one model is more accurate than another: names of columns."""
    return _each(records, lambda rows, _: int((rows[of] > rows[over]).sum()))


@measure
def gained_on_average(records: Records, *, of: str, over: str) -> pd.Series:
    """Accuracy of one model minus that of another, mean over the rounds."""
    return _each(records, lambda rows, _: float((rows[of] - rows[over]).mean()))


@measure
def furthest_gained(records: Records, *, of: str, over: str) -> pd.Series:
    """The largest difference in accuracy between two models in one round, either way."""
    return _each(records, lambda rows, _: float((rows[of] - rows[over]).abs().max()))


@measure
def rounds_worse(records: Records, *, of: str, over: str, end: str = "") -> pd.Series:
    """In how many rounds one knowledge leaves a lower accuracy than the other, for each rule.

    `end`: of that share the "low" or "high" end of the exact 95% interval.
    """
    keys = ["rule", "beta", "seed", "round"]
    table: Any = records.table.assign(beta=records.table["beta"].fillna(-1))
    both: Any = table.pivot_table("accuracy_attacked", keys, "knowledge")[[of, over]].dropna()
    cells = {}
    for (rule, beta), own in both.groupby(level=["rule", "beta"], sort=False):
        met = int((own[of] < own[over]).sum())
        name = in_words(rule, None if beta < 0 else beta)
        cells[name] = exact_interval(met, len(own))[ENDS[end]] if end else met
    return pd.Series(cells)


# q from the widest gap between the scores of a round, without labels


@measure
def rounds_gap_wrong(records: Records, *, end: str = "") -> pd.Series:
    """In how many rounds the widest gap is the wrong place; `end` as in `rounds_worse`."""

    def wrong(rows: pd.DataFrame, _: pd.Series) -> float:
        met = int(((rows["gap_false_alarms"] > 0) | (rows["gap_missed"] > 0)).sum())
        return exact_interval(met, len(rows))[ENDS[end]] if end else met

    return _each(records, wrong)


@measure
def gap_flagged(records: Records) -> pd.Series:
    """How many benign models the widest gap flags in a round, on average."""
    return _each(records, lambda rows, _: float(rows["gap_false_alarms"].mean()))


@measure
def wrong_with_large(records: Records, *, many: int) -> pd.Series:
    """How much more often a round has an error if a benign client has more than `many` images.

    Difference of two shares of rounds, over all runs; NaN if there are no rounds of one kind.
    """
    table = records.table
    wrong = (table["false_alarms"] > 0) | (table["missed"] > 0)
    large = table["largest"] > many
    return pd.Series({"more": wrong[large].mean() - wrong[~large].mean()})
