"""What the claims about columns of the runs, and about every round, are judged by: see `measures`.

Rounds of one federation follow from each other; intervals over rounds treat them as independent,
and are to that extent too narrow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from pdrr.claims import chance, words
from pdrr.claims.measures import measure
from pdrr.core.rules import in_words
from pdrr.experiments.records import KEYS, Records

# columns of the runs


def _names(runs: pd.DataFrame, *without: str) -> list[str]:
    """The keys that tell the runs apart, but for some, and what follows from rule or attack."""
    keys = [name for name in KEYS if name in runs and name not in without]
    telling = [name for name in keys if len(runs[name].unique()) > 1]
    for first, name in [
        *(("rule", own) for own in ("attack", "beta", "noise")),
        ("attack", "noise"),
    ]:
        if first in telling and name in telling:
            several = runs.groupby(first)[name].nunique(dropna=False).max() > 1
            telling = telling if several else [own for own in telling if own != name]
    return telling or [name for name in ("rule", "seed") if name in runs][:1]


BARE = ("rule", "knowledge", "chain", "reading", "scheme")  # values that say what they are


def _word(name: str, value: Any) -> str:
    said = f"{value:g}" if isinstance(value, float) else in_words(str(value)).replace("_", " ")
    return said if name in BARE else f"{'β' if name == 'beta' else name} {said}"


def _label(names: Sequence[str], values: Any) -> str:
    """In words, without a setting that the run does not have."""
    row = values if isinstance(values, tuple) else (values,)
    return " ".join(_word(n, x) for n, x in zip(names, row, strict=True) if x == x and x != "")


def _labelled(cells: Any) -> pd.Series:
    labels = [_label(cells.index.names, row) for row in cells.index]
    return pd.Series(list(cells), index=labels)


def _each(runs: pd.DataFrame, values: Any) -> pd.Series:
    names = _names(runs)
    return _labelled(pd.Series(list(values), index=pd.MultiIndex.from_frame(runs[names])))


@measure
def column(records: Records, *, of: str) -> pd.Series:
    """A column of the runs, of each run."""
    return _each(records.runs, records.runs[of])


@measure
def difference(records: Records, *, of: str, over: str) -> pd.Series:
    """One column of the runs minus another, of each run."""
    return _each(records.runs, records.runs[of] - records.runs[over])


@measure
def paired(
    records: Records, *, column: str, by: str, of: Any, over: Any, ignore: Sequence[str] = ()
) -> pd.Series:
    """A column where the key `by` has one value minus where it has another, other keys equal.

    `ignore`: keys that follow from `by`, such as the noise from the attack. KeyError if no pair is
    there.
    """
    runs = records.runs
    names = _names(runs, by, *ignore)
    missing = [str(value) for value in (of, over) if not (runs[by] == value).any()]
    if missing:
        raise KeyError(f"{by} {', '.join(missing)}")
    first, second = (
        runs[runs[by] == value].set_index(names)[column].rename(end)
        for value, end in ((of, "of"), (over, "over"))
    )
    both: Any = pd.concat([first, second], axis=1, join="inner")
    return _labelled(both["of"] - both["over"])


@measure
def worst_gap(records: Records, *, by: str, over: Any) -> pd.Series:
    """The larger of FAR and MAR, the worst of the runs, for each value of `by`, minus at `over`."""
    worst = records.runs[["far", "mar"]].max(axis=1).groupby(records.runs[by]).max()
    return _labelled(worst.drop(over) - worst[over])


@measure
def won_gap(records: Records, *, by: str, above: float) -> pd.Series:
    """Share of the runs in which Krum selects a malicious model, for each knowledge.

    That of the runs with a larger `by` minus that of the others.
    """
    won = (records.runs["selected"] == "malicious").groupby(
        [records.runs["knowledge"], records.runs[by] > above]
    )
    shares: Any = won.mean()
    return pd.Series(shares.xs(True, level=1) - shares.xs(False, level=1))


@measure
def lost_along(records: Records, *, by: str) -> pd.Series:
    """Whether Krum selects a malicious model at the smallest value of `by`, not at the largest.

    For each knowledge and seed.
    """
    runs = records.runs.sort_values(by)
    won = (runs["selected"] == "malicious").groupby([runs["knowledge"], runs["seed"]])
    return _labelled(won.first() & ~won.last())


@measure
def benign_place(records: Records) -> pd.Series:
    """Place of the benign model with the largest score, from 1; detections by lot are left out.

    KeyError if all are.
    """
    runs = records.runs[~records.runs["by_lot"].astype(bool)]
    if runs.empty:
        raise KeyError("all detections are by lot")
    names = ["scheme", "rule", "seed", "round"]
    groups = dict(iter(records.table.groupby(names)))
    cells = {}
    for values in runs[names].itertuples(index=False, name=None):
        rows = groups[values]
        larger = rows["score"] > rows.loc[~rows["byzantine"], "score"].max()
        cells[_label(names, values)] = 1 + int(larger.sum())
    return pd.Series(cells, name="run")


@measure
def draws_apart(records: Records) -> pd.Series:
    """Largest minus smallest MAR over the auxiliary sets, for each scheme under each attack.

    Detections by lot are left out, and who has not two others. KeyError if nobody is left.
    """
    runs = records.runs[~records.runs["by_lot"].astype(bool)]
    mar = runs.groupby(["scheme", "rule", "seed", "round"])["mar"]
    apart: Any = (mar.max() - mar.min())[mar.size() > 1]
    if apart.empty:
        raise KeyError("two detections that are not by lot")
    return _labelled(apart)


# every round: what stands behind the colon of a label is told, and named by what stands before


def _groups(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Rows of each knowledge, and of each chain, rule or beta if there are several, by label."""
    several = [name for name in ("chain", "rule", "beta") if len(rows[name].unique()) > 1]
    names = [*several, "knowledge"]
    return {_label(names, row): own for row, own in rows.groupby(names, dropna=False)}


def _interval(low: float, high: float) -> str:
    return f"({words.short(low)}–{words.short(high)})"


@measure
def wrong_rounds(records: Records) -> pd.Series:
    """Rounds in which PDRR makes an error, for each knowledge; the labels say of how many.

    With the exact 95% interval of their share, and in how many no q would have made none.
    """
    cells = {}
    for name, rows in _groups(records.runs).items():
        wrong, rounds, none = (int(rows[of].sum()) for of in ("wrong", "rounds", "no_q"))
        interval = _interval(*chance.exact_interval(wrong, rounds))
        hopeless = f", in {none} no q would do" if none else ""
        cells[f"{name}: {wrong} of {rounds} {interval}{hopeless}"] = wrong
    return pd.Series(cells)


def discordant(records: Records, *, by: str, of: Any, over: Any) -> tuple[int, int, int]:
    """Rounds with an error only where `by` is `of`, only where it is `over`, and rounds of both."""
    rows = records.table
    wrong = rows.assign(wrong=(rows["false_alarms"] > 0) | (rows["missed"] > 0))
    both: Any = wrong.pivot_table(
        "wrong", ["chain", "rule", "seed", "round", "knowledge"], by, aggfunc="first"
    )
    both = both[[of, over]].dropna().astype(bool)
    only = (both[of] & ~both[over]).sum(), (both[over] & ~both[of]).sum()
    return int(only[0]), int(only[1]), len(both)


@measure
def more_wrong_rounds(records: Records, *, by: str, of: Any, over: Any) -> pd.Series:
    """How many more rounds have an error with one value of `by` than with another, same rounds."""
    more, fewer, rounds = discordant(records, by=by, of=of, over=over)
    name = "β" if by == "beta" else by
    label = f"{more} only with {name} = {of}, {fewer} only with {name} = {over}, of {rounds}"
    return pd.Series({label: more - fewer})


def mean_interval(values: Any) -> tuple[float, float, float]:
    """Mean of differences and its 95% interval, Student's t; KeyError for fewer than two."""
    x = np.asarray(values, float)
    if len(x) < 2:
        raise KeyError(f"two rounds, only {len(x)}")
    mean, error = float(x.mean()), float(x.std(ddof=1) / np.sqrt(len(x)))
    half = float(stats.t.ppf(0.5 + chance.CONFIDENCE / 2, len(x) - 1)) * error
    return mean, mean - half, mean + half


def _told(groups: Mapping[str, Any], side: str, margin: float) -> pd.Series:
    """For each group whether the interval of its mean lies on one side of the margin."""
    cells = {}
    for name, values in groups.items():
        x = np.asarray(values, float)
        mean, low, high = mean_interval(x)
        met = {"below": high < margin, "at most": high <= margin, "above": low > margin}[side]
        down = int((x < 0).sum())
        interval = f"{_signed(low)} to {_signed(high)}"
        told = f"{_signed(mean)} ({interval}; lower in {down} of {len(x)} rounds)"
        cells[f"{name}: {told}"] = met
    return pd.Series(cells)


def _signed(value: float) -> str:
    return words.typeset(f"{value:+.3f}")


@measure
def shift(records: Records, *, of: str, over: str, side: str, margin: float = 0.0) -> pd.Series:
    """Whether one column of a round is below, at most, or above another by `margin`: the mean.

    It is if the 95% interval of the mean over the rounds lies wholly on that side. For each
    knowledge, and for each rule if there are several.
    """
    groups = _groups(records.table).items()
    return _told({name: rows[of] - rows[over] for name, rows in groups}, side, margin)


@measure
def shift_between(
    records: Records, *, column: str, by: str, of: Any, over: Any, side: str
) -> pd.Series:
    """The same of one column between two values of a key, in the same round; for each rule."""
    rows = records.table.fillna({"beta": -1})
    both: Any = rows.pivot_table(column, ["rule", "beta", "seed", "round"], by)[[of, over]].dropna()
    groups = (both[of] - both[over]).groupby(level=["rule", "beta"])
    found = {
        _label(("rule", "beta"), (rule, beta if beta >= 0 else "")): own
        for (rule, beta), own in groups
    }
    return _told(found, side, 0.0)


# the paper's own numbers


@measure
def increases(_: Records, *, pairs: Mapping[str, Sequence[float]]) -> pd.Series:
    """From one number to another, the increase in percent of the first."""
    return pd.Series({name: 100 * (after / before - 1) for name, (before, after) in pairs.items()})


@measure
def quotients(_: Records, *, of: Mapping[str, Sequence[float]], over: float) -> pd.Series:
    """Products of numbers over a number."""
    return pd.Series({name: float(np.prod(own)) / over for name, own in of.items()})
