"""What chance does: lots in place of scores, and claims that a coin would meet as well.

A scheme that flags exactly c models misses as many malicious ones as it flags benign ones: its FAR
and MAR are one number. A detector that looked at nothing would draw it from the hypergeometric
distribution. Where that detector would meet a claim as well as ours, the claim says nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from pdrr.experiments.records import KEYS, Records
from pdrr.experiments.schemes import known
from pdrr.metrics import Lots, by_lot

LEVEL = 0.05  # a claim that chance meets with a larger probability is not told from chance
CONFIDENCE = 0.95

# lots


def expected_rates(records: Records) -> Records:
    """The same with FAR and MAR of each run as they are to be expected over all draws.

    Parameters
    ----------
    records : Records
        Of `experiments.rounds`; others come back as they are.

    Returns
    -------
    Records
        Its runs have the column `by_lot`: whether lots fill more than half of the flagged places.
        Runs in which lots decide nothing keep the rates that were recorded. So does the union of
        ERR and LFR, one draw of each; it is by lot if one of them is.
    """
    table, runs = records.table, records.runs
    if "scheme" not in runs or "score" not in table or table.empty:
        return records
    keys = [key for key in KEYS if key in runs and key in table and key != "scheme"]
    groups = dict(iter(table.groupby(["scheme", *(_whole(table[key]) for key in keys)])))
    names = list(zip(runs["scheme"], *(_whole(runs[key]) for key in keys), strict=True))
    drawn = {scheme for scheme in runs["scheme"].unique() if _flags_c(scheme)}
    lots = {
        name: _lots(groups[name], c)
        for name, c in zip(names, runs["c"], strict=True)
        if name in groups and name[0] in drawn
    }
    found = runs.assign(by_lot=[_luck(name, lots) for name in names])
    for rate in ("far", "mar"):
        found[rate] = [
            getattr(lots[name], rate) if name in lots and lots[name].tied else recorded
            for name, recorded in zip(names, runs[rate], strict=True)
        ]
    return Records(table, found, records.provenance)


def _luck(name: tuple[Any, ...], lots: Mapping[tuple[Any, ...], Lots]) -> bool:
    scheme, *rest = name
    of = ("ERR", "LFR") if scheme == "Union" else (scheme,)
    return any(lots[(own, *rest)].by_lot for own in of if (own, *rest) in lots)


def _whole(column: pd.Series) -> pd.Series:
    """Gaps as text: no two NaN are equal."""
    return column.astype(object).where(column.notna(), "")


def _flags_c(scheme: str) -> bool:
    found = known().get(scheme)
    return found is not None and found.flags == "c"


def _lots(rows: pd.DataFrame, c: float) -> Lots:
    return by_lot(rows["score"].to_numpy(float), rows["byzantine"].to_numpy(bool), int(c))


# a detector that looks at nothing


def misses(k: int, malicious: int, c: int) -> np.ndarray:
    """How likely c models flagged at random miss 0, 1, ... of the malicious: [malicious + 1].

    Hypergeometric, exact.
    """
    found = np.arange(malicious, -1, -1)
    return np.asarray(stats.hypergeom(k, malicious, c).pmf(found))


def as_good(chances: Sequence[float], met: int) -> float:
    """How likely at least `met` of several independent cells are met: one chance each, exact."""
    number = np.ones(1)
    for chance in chances:
        number = np.convolve(number, [1 - chance, chance])
    return float(min(1.0, number[met:].sum()))


def near(k: int, c: int, paper: float, within: float) -> float:
    """How likely the MAR of a detector that flags c of k at random is within of the paper's."""
    mar = np.arange(c + 1) / c
    return float(misses(k, c, c)[np.abs(mar - paper) <= within + 1e-9].sum())


def alike(k: int, c: int, at_most: float) -> float:
    """How likely the MAR of two such detectors are no further apart than that."""
    mar, likely = np.arange(c + 1) / c, misses(k, c, c)
    close = np.abs(mar[:, None] - mar[None, :]) <= at_most + 1e-9
    return float((likely[:, None] * likely[None, :])[close].sum())


def probability(
    measure: str,
    cells: pd.Series,
    met: Sequence[bool],
    papers: Sequence[float | None],
    bound: float | None,
    records: Records,
) -> float | None:
    """How likely a detector that flags c at random meets as many cells of a claim as ours.

    None where the claim is not about rates of schemes that flag c. The cells are taken to be
    independent; those of other schemes are left out. One value of c.
    """
    if measure not in ("misses", "rule_distance") or bound is None:
        return None
    k, c = int(records.table["client"].nunique()), int(records.runs["c"].iloc[0])
    flagging = [measure == "misses" or _flags_c(str(label).split()[0]) for label in cells.index]
    if not any(flagging):
        return None
    chances = [
        alike(k, c, bound) if paper is None else near(k, c, paper, bound) for paper in papers
    ]
    mine = [(x, m) for x, m, counts in zip(chances, met, flagging, strict=True) if counts]
    return as_good([x for x, _ in mine], sum(m for _, m in mine))


# counts


def sign_test(more: int, fewer: int) -> float:
    """How likely a fair coin falls on one side at least `more` of `more + fewer` times, exact."""
    return float(stats.binom.sf(more - 1, more + fewer, 0.5))


def exact_interval(met: int, number: int) -> tuple[float, float]:
    """The two-sided 95% interval of a share, of Clopper and Pearson.

    Of 0 of n the upper end is 1 - .025^(1/n): 0 errors in 8 runs leave room for 37%. The runs are
    taken to be independent; rounds of one seed are less than that.
    """
    found = stats.binomtest(met, number).proportion_ci(CONFIDENCE, "exact")
    return float(found.low), float(found.high)
