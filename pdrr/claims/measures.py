"""What a claim is judged by: the part of the records it speaks of in, one value per cell out.

A cell is a run, or what the claim compares: a round, a rule, a scheme. The labels say which.
"error" is the mean of FAR and MAR, over the seeds and rounds that are there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from pdrr.claims import table4
from pdrr.core.rules import DEFENDED, in_words
from pdrr.experiments.records import Records, each_run
from pdrr.experiments.schemes import OURS

MEASURES: dict[str, Callable[..., pd.Series]] = {}
"""Every measure by its name, as ``expected.yaml`` calls it."""


def measure(function: Callable[..., pd.Series]) -> Callable[..., pd.Series]:
    """Make a function known to the claims by its own name."""
    MEASURES[function.__name__] = function
    return function


def _per_run(records: Records, value: Callable[[pd.DataFrame, pd.Series], float]) -> pd.Series:
    return pd.Series({label: value(rows, run) for label, rows, run in each_run(records)})


def _labelled(cells: Any) -> pd.Series:
    """A series with an index of one or several levels as one with plain labels."""
    labels = [x if isinstance(x, tuple) else (x,) for x in cells.index]
    texts = [" ".join(in_words(str(word)) for word in label) for label in labels]
    return pd.Series(list(cells), index=texts)


def _statistic(rows: pd.DataFrame, malicious: bool) -> pd.Series:
    return rows.loc[rows["byzantine"] == malicious, "statistic"]


# one run: Figs. 4-7, and PDRR everywhere


@measure
def benign_largest(records: Records) -> pd.Series:
    """Largest statistic of a benign model."""
    return _per_run(records, lambda rows, _: _statistic(rows, False).max())


@measure
def malicious_smallest(records: Records) -> pd.Series:
    """Smallest statistic of a malicious model."""
    return _per_run(records, lambda rows, _: _statistic(rows, True).min())


@measure
def malicious_evenness(records: Records) -> pd.Series:
    """Smallest over largest statistic of the malicious models."""
    return _per_run(
        records, lambda rows, _: _statistic(rows, True).min() / _statistic(rows, True).max()
    )


@measure
def malicious_share(records: Records) -> pd.Series:
    """Largest statistic of a malicious model over the largest of all."""
    return _per_run(records, lambda rows, _: _statistic(rows, True).max() / rows["statistic"].max())


@measure
def q_covers(records: Records, *, low: float, high: float) -> pd.Series:
    """Whether all of [low, high] detects without error, to the paper's two digits."""
    return _per_run(
        records, lambda _, run: round(run["q_low"], 2) <= low and round(run["q_high"], 2) >= high
    )


@measure
def q_length(records: Records) -> pd.Series:
    """Length of the range of suitable q, 0 if there is none."""
    return _per_run(records, lambda _, run: _length(run))


@measure
def q_high(records: Records) -> pd.Series:
    """Largest suitable q; NaN if there is none."""
    return _per_run(records, lambda _, run: run["q_high"])


def _length(run: Any) -> Any:
    """Of one run or of a table of runs."""
    length = run["q_high"] - run["q_low"]
    return length.fillna(0) if isinstance(length, pd.Series) else float(np.nan_to_num(length))


@measure
def worst_rate(records: Records) -> pd.Series:
    """The larger of FAR and MAR: 0 only if both are."""
    return _per_run(records, lambda _, run: max(run["far"], run["mar"]))


@measure
def attack_won(records: Records) -> pd.Series:
    """Whether Krum selects a malicious model."""
    return _per_run(
        records, lambda _, run: bool(run["succeeded"]) and run["selected"] == "malicious"
    )


@measure
def flagged_beyond_c(records: Records) -> pd.Series:
    """How many more models than c are flagged."""
    return _per_run(records, lambda rows, run: int(rows["flagged"].sum()) - int(run["c"]))


@measure
def accuracy_gain(records: Records, *, of: str, over: str) -> pd.Series:
    """Accuracy of one global model minus that of another: names of columns of the runs."""
    return _per_run(records, lambda _, run: run[of] - run[over])


@measure
def parameters(records: Records) -> pd.Series:
    """Number of parameters d of the network."""
    return pd.Series({"d": records.provenance["d"]})


# Fig. 2: positions relative to the previous global model


def _points(rows: pd.DataFrame, model: str) -> np.ndarray:
    points = rows.set_index("model")[["first", "second"]]
    return np.atleast_2d(points.loc[model] - points.loc["previous global"])


@measure
def cluster_size(records: Records) -> pd.Series:
    """Extent of the malicious models over that of the benign ones, the larger of both axes."""
    return _per_run(
        records,
        lambda rows, _: np.max(
            np.ptp(_points(rows, "malicious"), 0) / np.ptp(_points(rows, "benign"), 0)
        ),
    )


@measure
def benign_in_quadrant(records: Records, *, opposite: bool) -> pd.Series:
    """Share of benign models in the quadrant of the malicious ones, or in the opposite one."""

    def share(rows: pd.DataFrame, _: pd.Series) -> float:
        side = np.sign(_points(rows, "malicious").mean(0))
        signs = np.sign(_points(rows, "benign"))
        return float((signs == (-side if opposite else side)).all(1).mean())

    return _per_run(records, share)


@measure
def attacked_is_malicious(records: Records) -> pd.Series:
    """Whether the next global model under attack is one of the malicious models."""

    def found(rows: pd.DataFrame, _: pd.Series) -> bool:
        return bool(
            (_points(rows, "malicious") == _points(rows, "next global, attacked")).all(1).any()
        )

    return _per_run(records, found)


# several schemes or rules: Tables 1 and 2


def _errors(records: Records, *by: str) -> Any:
    """Mean of FAR and MAR for each value of the columns `by`."""
    return records.runs.groupby(list(by), sort=False)[["far", "mar"]].mean().mean(axis=1)


def _rates(records: Records, *by: str) -> Any:
    """FAR and MAR for each value of the columns `by`: the rate is the index's first level."""
    means = records.runs.groupby(list(by))[["far", "mar"]].mean()
    return pd.concat({rate.upper(): means[rate] for rate in ("far", "mar")})


@measure
def rates(records: Records) -> pd.Series:
    """FAR at each round, then MAR, as a row of Table 1; means over the seeds."""
    return _labelled(_rates(records, "round"))


@measure
def error(records: Records) -> pd.Series:
    """Mean of FAR and MAR of each scheme under each attack."""
    return _labelled(_errors(records, "scheme", "rule"))


@measure
def error_gap(records: Records, *, better: Sequence[str], worse: Sequence[str]) -> pd.Series:
    """Error of each of the better schemes minus that of each of the worse."""
    found = _errors(records, "scheme")
    return pd.Series({f"{b} − {w}": found[b] - found[w] for b in better for w in worse})


@measure
def rule_gap(records: Records, *, of: str, over: str) -> pd.Series:
    """Error of each scheme under the attack on one rule minus that on another."""
    found = _errors(records, "rule", "scheme")
    return _labelled(found[of] - found[over])


@measure
def rule_distance(records: Records, *, of: str, over: str) -> pd.Series:
    """How far FAR and MAR of each scheme at each round are apart between two rules."""
    found = _rates(records, "scheme", "round", "rule")
    return _labelled((found.xs(of, level="rule") - found.xs(over, level="rule")).abs())


@measure
def only_complete(records: Records, *, scheme: str) -> pd.Series:
    """Whether `scheme` misses no malicious model anywhere; of each other, whether it does."""
    missed = records.runs.groupby("scheme")["mar"].max()
    return pd.Series({s: (worst == 0) == (s == scheme) for s, worst in missed.items()})


@measure
def above_lowest(records: Records, *, scheme: str) -> pd.Series:
    """FAR and MAR of `scheme` minus the lowest of the others, for each rule and round."""
    found = _rates(records, "rule", "round", "scheme")
    others = found.drop(scheme, level="scheme").groupby(level=[0, 1, 2]).min()
    return _labelled(found.xs(scheme, level="scheme") - others)


@measure
def beta_gap(records: Records, *, of: int, over: int, what: str) -> pd.Series:
    """What one beta has minus what another has, in the same run; `what`: "error" or "length"."""
    runs = records.runs
    value = runs[["far", "mar"]].mean(axis=1) if what == "error" else _length(runs)
    found: Any = runs.assign(value=value).set_index(["beta", "seed", "round"])["value"]
    return _labelled((found[of] - found[over]).dropna())


# Fig. 11


@measure
def knowledge_gap(records: Records) -> pd.Series:
    """Length of the q range under partial minus under full knowledge, at each round."""
    found = records.runs.assign(length=_length(records.runs))
    means: Any = found.groupby(["knowledge", "round"])["length"].mean()
    return _labelled((means["partial"] - means["full"]).rename("round {}".format))


@measure
def partial_longer(records: Records) -> pd.Series:
    """Share of the rounds at which the q range is longer under partial knowledge."""
    return pd.Series({"share": (knowledge_gap(records) > 0).mean()})


# Tables 3 and 4


def _seconds(records: Records) -> Any:
    """Seconds of one detection [rules, schemes]; medians, of several seeds their mean."""
    found = records.runs.pivot_table("median_s", "rule", "scheme")
    found = found.reindex([rule for rule in DEFENDED if rule in found.index])
    return found.rename(index=in_words)


@measure
def seconds(records: Records, *, scheme: str) -> pd.Series:
    """Seconds of one detection of `scheme` under each attack."""
    return _labelled(_seconds(records)[scheme])


@measure
def seconds_ratio(records: Records, *, of: str, over: str) -> pd.Series:
    """Seconds of one scheme over those of another, under each attack."""
    found = _seconds(records)
    return _labelled(found[of] / found[over])


@measure
def seconds_in_order(records: Records, *, order: Sequence[str]) -> pd.Series:
    """Whether the schemes take longer in this order, under each attack."""
    found = _seconds(records)
    pairs = [found[quick] < found[slow] for quick, slow in pairwise(order)]
    return _labelled(pd.concat(pairs, axis=1).all(axis=1))


@measure
def seconds_over_others(records: Records, *, scheme: str, end: str) -> pd.Series:
    """Seconds of `scheme` over the "smallest" or "largest" of the others, under each attack."""
    found = _seconds(records)
    others = found.drop(columns=scheme)
    edge = others.min(axis=1) if end == "smallest" else others.max(axis=1)
    return _labelled(found[scheme] / edge)


def _parts(records: Records) -> tuple[list[Records], Records]:
    timed = records.runs["median_s"].notna()
    runs = (records.runs[~timed], records.runs[timed])
    evaluation, timing = (Records(records.table, part, records.provenance) for part in runs)
    return [evaluation], timing


@measure
def words(records: Records, *, scheme: str, paper: Mapping[str, str]) -> pd.Series:
    """Whether each derived word of Table 4 is the paper's."""
    try:
        derived = table4.derive(*_parts(records)).loc[scheme]
    except ValueError as missing:
        raise KeyError(str(missing)) from missing
    return pd.Series({f"{derived[column]}": derived[column] == paper[column] for column in paper})


@measure
def without_auxiliary(records: Records) -> pd.Series:
    """Whether PDRR can be set up without auxiliary data; of each other, whether it cannot."""
    needs = {s: table4.needs_auxiliary(s) for s in records.runs["scheme"].unique()}
    return pd.Series({s: needed != (s == OURS) for s, needed in needs.items()})


@measure
def spread_over_others(records: Records, *, scheme: str) -> pd.Series:
    """Spread of the error between the attacks, of `scheme` minus that of each other scheme."""
    found = _errors(records, "scheme", "rule").groupby("scheme")
    spread = found.max() - found.min()
    return _labelled(spread[scheme] - spread.drop(scheme))
