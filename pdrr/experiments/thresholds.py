"""The threshold q of PDRR: from labelled calibration runs, or from the scores of one round."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pdrr.config import Settings
from pdrr.experiments.records import KEYS, Records

ONE_RUN = ["rule", "beta", "noise", "seed", "round", "knowledge"]
COUNTS = ["benign", "false_alarms", "malicious", "missed"]


def thresholds(calibration: Records) -> pd.DataFrame:
    """The plateau of thresholds with the fewest errors, and its middle q.

    The error is the mean of FAR and MAR over all runs of a rule, beta and noise. It is the same
    for all q between two neighbouring scores; of several best intervals the widest is taken, of
    these the lowest. Runs in which Krum selected a benign model show no attack that succeeded, and
    do not count.

    Parameters
    ----------
    calibration : Records
        Of `experiments.detection`: attacked rounds, with the truth.

    Returns
    -------
    DataFrame
        A row for each rule, beta and noise: the number of runs, low < q <= high of the plateau, its
        middle q in two digits (more where the plateau is narrow), and the counts `benign`,
        `false_alarms`, `malicious`, `missed` on the plateau.

    Raises
    ------
    ValueError
        If no attack succeeded.

    Examples
    --------
    >>> from pdrr import experiments
    >>> from pdrr.experiments.thresholds import thresholds
    >>> found = thresholds(experiments.detection("median", profile="smoke"))
    >>> found[["rule", "runs", "false_alarms", "missed"]].to_dict("records")
    [{'rule': 'median', 'runs': 1, 'false_alarms': 0, 'missed': 0}]
    """
    runs = calibration.runs
    won = runs[runs["succeeded"] & (runs["selected"] != "benign")]
    if won.empty:
        raise ValueError(f"thresholds needs runs with an attack that succeeded, got {len(runs)}")
    # no noise is written as a gap
    rows, known = (part.assign(noise=part["noise"].fillna("")) for part in (calibration.table, won))
    table = rows.merge(known[ONE_RUN], on=ONE_RUN)
    by = ["rule", "beta", "noise"]
    found = []
    for names, clients in table.groupby(by, dropna=False):
        edges = np.unique(np.clip([0.0, 1.0, *clients["score"]], 0, 1))
        # score >= q decides alike for all q in (edge before, edge]
        errors = errors_by_q(clients, edges[1:], by=by)
        mean = errors["false_alarms"] / errors["benign"] + errors["missed"] / errors["malicious"]
        width = np.where(np.isclose(mean, mean.min()), np.diff(edges), 0)
        best = int(np.argmax(width))
        low, high = float(edges[best]), float(edges[best + 1])
        plateau = {"low": low, "high": high, "q": _middle(low, high)}
        group = dict(zip(by, names, strict=True))
        runs_of_it = len(clients[ONE_RUN].drop_duplicates())
        counts: dict[Any, int] = errors[COUNTS].iloc[best].to_dict()
        found.append({**group, "runs": runs_of_it, **plateau, **counts})
    return pd.DataFrame(found)


def _middle(low: float, high: float) -> float:
    """The middle with two digits, or with as many more as it takes to lie in (low, high]."""
    rounded = (round((low + high) / 2, digits) for digits in range(2, 18))
    return next((q for q in rounded if low < q <= high), high)


def in_use(found: pd.DataFrame, settings: Settings) -> dict[str, float]:
    """Of `thresholds`, the q of each rule at the beta and the noise of the settings.

    One server has one q for each rule: it is used for every other beta as well.

    Examples
    --------
    >>> from pdrr import experiments
    >>> from pdrr.experiments.thresholds import in_use, thresholds
    >>> settings = experiments.settings("quick", "glyphs", seed=1)
    >>> found = in_use(thresholds(experiments.recorded("calibration", "quick")), settings)
    >>> found == {rule: settings.defense.q[rule] for rule in ("krum", "median", "trimmed_mean")}
    True
    """
    beta = found["beta"].isna() | (found["beta"] == settings.defense.beta)
    noise = found["noise"].isna() | found["noise"].isin(["", settings.attack.noise])
    usual = found[beta & noise]
    return {str(rule): float(q) for rule, q in zip(usual["rule"], usual["q"], strict=True)}


def errors_by_q(
    table: pd.DataFrame, grid: npt.ArrayLike, *, by: Sequence[str] = ("rule", "beta")
) -> pd.DataFrame:
    """False and missing alarms at every q of a grid, counted over all clients of a group.

    Parameters
    ----------
    table : DataFrame
        A row per client of any number of runs: the columns `by`, `byzantine`, `score`.
    grid : array [n]
        The thresholds.
    by : names of columns
        What tells the groups apart; a missing value is a value of its own.

    Returns
    -------
    DataFrame
        A row for each group and q: `by`, q, and the counts `benign`, `false_alarms`, `malicious`,
        `missed`.

    Examples
    --------
    >>> import pandas as pd
    >>> from pdrr.experiments.thresholds import errors_by_q
    >>> clients = pd.DataFrame({"byzantine": [True, True, False], "score": [1.0, 0.4, 0.6]})
    >>> errors_by_q(clients.assign(rule="median"), [0.3, 0.5, 0.7], by=["rule"])
         rule    q  benign  false_alarms  malicious  missed
    0  median  0.3       1             1          2       0
    1  median  0.5       1             1          2       1
    2  median  0.7       1             0          2       1
    """
    by, q = list(by), np.asarray(grid, float)
    parts = []
    for names, clients in table.groupby(by, dropna=False, sort=False):
        byzantine = clients["byzantine"].to_numpy(bool)
        scores = clients["score"].to_numpy(float)
        benign, malicious = np.sort(scores[~byzantine]), np.sort(scores[byzantine])
        part = {
            **dict(zip(by, names, strict=True)),
            "q": q,
            "benign": len(benign),
            "false_alarms": len(benign) - np.searchsorted(benign, q, "left"),
            "malicious": len(malicious),
            "missed": np.searchsorted(malicious, q, "left"),
        }
        parts.append(pd.DataFrame(part))
    return pd.concat(parts, ignore_index=True)


def unlabelled(scores: npt.ArrayLike) -> float:
    """A threshold from one round's scores alone: the middle of the widest gap between them.

    A server that knows of no attack with labels may expect two kinds of model, and a gap between
    their scores. It always finds one, attacked or not.

    Parameters
    ----------
    scores : array [k]
        Suspicion of each client. What lies outside [0, 1] counts as at its end, as PDRR's q does.

    Returns
    -------
    float
        Of several widest gaps the highest, which flags the fewest. 1 where all scores are equal:
        there is no gap then. PDRR's are all 0 in such a round, and it flags nobody.

    Raises
    ------
    ValueError
        Without scores, or if one is NaN.

    Examples
    --------
    >>> from pdrr.experiments.thresholds import unlabelled
    >>> unlabelled([0.1, 0.0, 0.9, 0.2, 1.0])
    0.55
    """
    values = np.asarray(scores, float)
    if values.ndim != 1 or not values.size or np.isnan(values).any():
        raise ValueError(f"unlabelled needs scores [k], k >= 1, none NaN, got {values}")
    edges = np.unique(np.clip(values, 0, 1))
    if len(edges) == 1:
        return 1.0
    widths = np.diff(edges)
    widest = int(np.flatnonzero(widths == widths.max())[-1])
    low, high = edges[widest : widest + 2]
    middle = (low + high) / 2
    return float(middle if middle > low else high)  # between neighbouring floats there is no middle


def without_labels(table: pd.DataFrame, *, by: Sequence[str] = ("rule", "beta")) -> pd.DataFrame:
    """What `unlabelled`, asked anew in every run, would have cost.

    Parameters
    ----------
    table : DataFrame
        As for `errors_by_q`, with the columns that tell the runs apart.
    by : names of columns

    Returns
    -------
    DataFrame
        A row for each group: the number of runs, the smallest and the largest q chosen, the number
        of runs without any error, and the counts `benign`, `false_alarms`, `malicious`, `missed`.

    Examples
    --------
    >>> from pdrr import experiments
    >>> from pdrr.experiments.thresholds import without_labels
    >>> found = without_labels(experiments.recorded("calibration", "quick").table)
    >>> list(found.columns[:6])
    ['rule', 'beta', 'runs', 'q_smallest', 'q_largest', 'without_error']
    """
    keys = [key for key in KEYS if key in table]
    runs = [
        errors_by_q(clients, [unlabelled(clients["score"])], by=keys)
        for _, clients in table.groupby(keys, dropna=False, sort=False)
    ]
    each = pd.concat(runs, ignore_index=True)
    each["right"] = (each["false_alarms"] + each["missed"]) == 0
    grouped = each.groupby(list(by), dropna=False, sort=False)
    named = {"runs": ("q", "size"), "q_smallest": ("q", "min"), "q_largest": ("q", "max")}
    sums = {name: (name, "sum") for name in COUNTS}
    return grouped.agg(**named, without_error=("right", "sum"), **sums).reset_index()
