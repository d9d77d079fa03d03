"""What a claim is judged by: the part of the records it speaks of in, one value per cell out.

A cell is a run, or what the claim compares: a round, a rule, a scheme. The labels say which.
Cells that are runs are named "run": of them the share that meets a claim has an interval. Where the
paper has one number for several seeds, the label is a pair: the paper's cell, the seed.
"error" is the mean of FAR and MAR over the seeds of a round, then over the rounds that are there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pdrr.claims import table4
from pdrr.core.rules import in_words
from pdrr.experiments.records import Records, each_run

MEASURES: dict[str, Callable[..., pd.Series]] = {}
"""Every measure by its name, as ``expected.yaml`` calls it."""


def measure(function: Callable[..., pd.Series]) -> Callable[..., pd.Series]:
    """Make a function known to the claims by its own name."""
    MEASURES[function.__name__] = function
    return function


def _per_run(records: Records, value: Callable[[pd.DataFrame, pd.Series], float]) -> pd.Series:
    cells = {label: value(rows, run) for label, rows, run in each_run(records)}
    return pd.Series(cells, name="run")


def labelled(cells: Any) -> pd.Series:
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
def flawless(records: Records) -> pd.Series:
    """Share of the runs with neither a false nor a missing alarm, under each attack."""
    found = records.runs
    return labelled((found["far"] + found["mar"] == 0).groupby(found["rule"], sort=False).mean())


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
    """Mean of FAR and MAR for each value of the columns `by`; rounds weigh the same."""
    return table4.mean_error(records.runs, *by)


def _rates(records: Records, *by: str) -> Any:
    """FAR and MAR for each value of the columns `by`: the rate is the index's first level."""
    means = records.runs.groupby(list(by))[["far", "mar"]].mean()
    return pd.concat({rate.upper(): means[rate] for rate in ("far", "mar")})


def _by_seed(records: Records, *rates: str) -> pd.Series:
    """Rates of every seed at each round: the labels are the cell of the paper, and the seed."""
    runs = records.runs.sort_values(["round", "seed"])
    cells = {
        (f"{rate} at round {number}", f"seed {seed}"): value
        for rate in rates
        for number, seed, value in zip(runs["round"], runs["seed"], runs[rate.lower()], strict=True)
    }
    return pd.Series(cells)


@measure
def rates(records: Records) -> pd.Series:
    """FAR of every seed at each round, then MAR, as a row of Table 1."""
    return _by_seed(records, "FAR", "MAR")


@measure
def misses(records: Records) -> pd.Series:
    """MAR of every seed at each round: all there is to say of a scheme that flags c.

    It flags as many benign models as it misses malicious ones, so that FAR follows from MAR.
    """
    return _by_seed(records, "MAR").rename("run")


@measure
def error(records: Records) -> pd.Series:
    """Mean of FAR and MAR of each scheme under each attack."""
    return labelled(_errors(records, "scheme", "rule"))


@measure
def error_gap(records: Records, *, better: Sequence[str], worse: Sequence[str]) -> pd.Series:
    """Error of each of the better schemes minus that of each of the worse."""
    found = _errors(records, "scheme")
    return pd.Series({f"{b} − {w}": found[b] - found[w] for b in better for w in worse})


@measure
def rule_gap(records: Records, *, of: str, over: str) -> pd.Series:
    """Error of each scheme under the attack on one rule minus that on another."""
    found = _errors(records, "rule", "scheme")
    return labelled(found[of] - found[over])


@measure
def rule_distance(records: Records, *, of: str, over: str) -> pd.Series:
    """How far FAR or MAR, the larger, of each scheme in each run are apart between two rules.

    One number, since a scheme that flags c has only one.
    """
    found: Any = records.runs.set_index(["scheme", "round", "seed", "rule"])[["far", "mar"]]
    apart = found.xs(of, level="rule") - found.xs(over, level="rule")
    cells = apart.abs().max(axis=1, skipna=False).dropna().sort_index()
    names = [f"{scheme} round {number} seed {seed}" for scheme, number, seed in cells.index]
    return pd.Series(list(cells), names)


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
    return labelled(found.xs(scheme, level="scheme") - others)


@measure
def beta_gap(records: Records, *, of: int, over: int, what: str) -> pd.Series:
    """What one beta has minus what another has, in the same run; `what`: "error" or "length"."""
    runs = records.runs
    value = runs[["far", "mar"]].mean(axis=1) if what == "error" else _length(runs)
    found: Any = runs.assign(value=value).set_index(["beta", "seed", "round"])["value"]
    return labelled((found[of] - found[over]).dropna()).rename("run")


# Fig. 11


@measure
def knowledge_gap(records: Records) -> pd.Series:
    """Length of the q range under partial minus under full knowledge, at each round."""
    found = records.runs.assign(length=_length(records.runs))
    means: Any = found.groupby(["knowledge", "round"])["length"].mean()
    return labelled((means["partial"] - means["full"]).rename("round {}".format))


@measure
def partial_longer(records: Records) -> pd.Series:
    """Share of the rounds at which the q range is longer under partial knowledge."""
    return pd.Series({"share": (knowledge_gap(records) > 0).mean()})
