"""What stands in the cells of the tables: a mean over seeds, how sure it is, the mark of lots."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from pdrr.claims.words import bounds

ENOUGH = 5  # seeds for an interval; below, the smallest and the largest value say more
LOT = '<sup class="lot" title="drawn by lot">lot</sup>'
"""Stands behind a number that luck made: see `pdrr.by_lot`."""


def drawn(text: str, runs: pd.DataFrame) -> str:
    """A cell, marked if lots fill more than half of the flagged places in one of its runs."""
    if "by_lot" not in runs or not runs["by_lot"].any():
        return text
    number, gap, below = text.partition("<br>")
    return f"{number}{LOT}{gap}{below}"


def lots_in_words(runs: pd.DataFrame) -> str:
    """What the mark means, if some run has it; begins with a blank."""
    if "by_lot" not in runs or not runs["by_lot"].any():
        return ""
    union = runs["by_lot"] & (runs["scheme"] == "Union")
    more = "; of Union, the draw that was made" if union.any() else ""
    return (
        f" {LOT}: in a run of this cell more than half of the flagged places are drawn between"
        f" equal scores; shown is the expectation over all draws{more}."
    )


def mean(values: pd.Series) -> str:
    """Mean of rates over seeds with its uncertainty, as `spread_in_words` says."""
    n, mean = len(values), values.mean()
    if n == 0:
        return "–"
    if n == 1:
        return f"{mean:.2f}"
    if n < ENOUGH:
        return f"{mean:.2f}<br><small>{bounds(values.min(), values.max())}</small>"
    half = stats.t.ppf(0.975, n - 1) * values.std(ddof=1) / np.sqrt(n)
    return f"{mean:.2f}<br><small>{bounds(max(mean - half, 0), min(mean + half, 1))}</small>"


def spread_in_words(sizes: pd.Series) -> str:
    """What stands behind a mean of so many seeds."""
    if (sizes == 1).all():
        return "One seed."
    words = []
    if sizes.between(2, ENOUGH - 1).any():
        words.append("below it the smallest and the largest")
    if (sizes >= ENOUGH).any():
        words.append("below it its 95% t interval, cut at 0 and 1")
    some = "; one seed where there is nothing below" if (sizes == 1).any() else ""
    return f"Mean over {sizes.max()} seeds, {', or '.join(words)}{some}."
