"""The figure of how many errors each threshold makes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from pdrr.book.drawing import Drawing
from pdrr.book.over_rounds import SUITABLE
from pdrr.book.style import BENIGN, BESIDE, GRID, INK, LINE, MALICIOUS
from pdrr.core.rules import in_words

KEY = (
    ("╌", INK, "q in use"),
    ("■", SUITABLE, "fewest errors in the calibration runs"),
)
TOP = 1.18  # of the axis of shares


def error_by_q(errors: pd.DataFrame, plateaus: pd.DataFrame, q: Mapping[str, float]) -> Drawing:
    """FAR and MAR of PDRR against its threshold, over all runs, and where q was chosen.

    Parameters
    ----------
    errors : DataFrame
        Of `experiments.thresholds.errors_by_q`: a panel for each rule and beta.
    plateaus : DataFrame
        Of `experiments.thresholds.thresholds`, one row for each rule and beta at most: its band.
    q : mapping
        The threshold in use for each rule: the dashed line.
    """
    if plateaus.duplicated(["rule", "beta"]).any():
        raise ValueError("error_by_q needs one plateau for each rule and beta: choose a noise")
    groups: Any = list(errors.groupby(["rule", "beta"], dropna=False, sort=False))
    band: dict[str, Any] = {"color": SUITABLE, "lw": 0, "ymax": 1 / TOP}  # names stand above it
    panels = {}
    with mpl.rc_context(BESIDE):
        for (rule, beta), group in groups:
            title = in_words(rule, beta)
            panels[title] = Figure(figsize=(4.3, 3), layout="constrained")
            ax = panels[title].subplots()
            same = plateaus["beta"].isna() if pd.isna(beta) else plateaus["beta"] == beta
            for plateau in plateaus[same & (plateaus["rule"] == rule)].itertuples():
                ax.axvspan(plateau.low, plateau.high, **band, zorder=1)
            ax.axvline(q[rule], ymax=1 / TOP, **LINE, zorder=4)
            for name, wrong, of, colour, left in (
                ("FAR", "false_alarms", "benign", BENIGN, True),
                ("MAR", "missed", "malicious", MALICIOUS, False),
            ):
                rate = group[wrong] / group[of]
                ax.plot(group["q"], rate, color=colour, lw=2, zorder=3, label=name)
                ax.text(  # above all curves, each at its end of the axis
                    0.01 if left else 0.99,
                    1.06,
                    f"{name} (of {group[of].iloc[0]:,})",
                    color=colour,
                    ha="left" if left else "right",
                )
            ax.set(xlabel="threshold q", xlim=(0, 1), ylim=(0, TOP), yticks=np.linspace(0, 1, 6))
            ax.set_ylabel("share of clients, all runs")
            ax.grid(visible=True, axis="y", color=GRID, zorder=0)
            ax.set_title(title)
    return Drawing(panels, errors, key=KEY)
