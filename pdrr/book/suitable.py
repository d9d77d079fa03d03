"""Fig. 11: which thresholds would have worked, an interval for each run."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pdrr.book.drawing import Drawing
from pdrr.book.style import BESIDE, GREEN, GRID, INK, LINE, NONE, PAPER
from pdrr.core.rules import in_words
from pdrr.experiments.records import Records
from pdrr.experiments.schemes import OURS

NEAR = 0.05  # a margin that is smaller gets a panel of its own
FACES = {"full": GREEN, "partial": PAPER}
KEY = (
    ("●", GREEN, "full knowledge"),
    ("○", GREEN, "partial knowledge"),
    ("╌", INK, "q in use"),
    ("✕", INK, "no q separates"),
)


def fig11(records: Records) -> Drawing:
    """Suitable q of PDRR in every measured round, full and partial knowledge (Fig. 11).

    A panel for each rule, and for each beta and each noise if there are several. A line is one
    run, from the largest benign score to the smallest malicious one; seeds stand side by side.
    Where q is nearer than `NEAR` to the end of a range, a second panel magnifies it.
    """
    runs = records.runs[records.runs["scheme"] == OURS]
    groups: Any = runs.groupby(["rule", "beta", "noise"], dropna=False, sort=False)
    panels = {}
    with mpl.rc_context(BESIDE):
        for (rule, beta, noise), group in groups:
            name = in_words(rule, beta)
            name += ", noise per coordinate" if noise == "coordinate" else ""
            panels[name] = _panel(group, name, (0, 1.03))
            q, margin = group["q"].iloc[0], _margin(group)
            if margin < NEAR:
                reach = max(3 * margin, 0.02)
                span = (q - reach, min(q + reach, 1 + reach / 20))
                panels[f"{name}, magnified"] = _panel(group, f"{name}, near q", span)
    shown = ["rule", "beta", "noise", "knowledge", "seed", "round", "q", "q_low", "q_high"]
    key = KEY if runs["q_low"].isna().any() else KEY[:-1]  # no cross is drawn
    return Drawing(panels, runs[[each for each in shown if each in runs]], key=key)


def _margin(group: pd.DataFrame) -> float:
    """The least distance of q to an end of a range; NaN where there is none."""
    ends = group[["q_low", "q_high"]].astype(float)
    return float(ends.sub(group["q"].iloc[0]).abs().min().min())


def _panel(group: pd.DataFrame, title: str, span: tuple[float, float]) -> Figure:
    figure = Figure(figsize=(4.3, 3), layout="constrained")
    ax = figure.subplots()
    rounds = sorted(group["round"].unique())
    step = 0.4 / max(2, group["seed"].nunique())
    ax.set(xlabel="round", xlim=(-0.6, len(rounds) - 0.4), ylim=span, ylabel="suitable q")
    for left, (knowledge, face) in zip((True, False), FACES.items(), strict=True):
        for number, here in group[group["knowledge"] == knowledge].groupby("round"):
            start = rounds.index(number) + (-0.03 - len(here) * step if left else 0.03)
            x = start + step * (np.arange(len(here)) + 0.5)
            _intervals(ax, x, here, face)
    ax.axhline(group["q"].iloc[0], **LINE, zorder=4)
    words: dict[str, Any] = {"va": "center", "transform": ax.get_yaxis_transform()}
    ax.text(1.02, group["q"].iloc[0], f"q = {group['q'].iloc[0]:g}", **words)
    ax.set_xticks(range(len(rounds)), [str(number) for number in rounds])
    ax.yaxis.set_major_locator(MaxNLocator(5))
    ax.grid(visible=True, axis="y", color=GRID, zorder=0)
    ax.set_title(title)
    return figure


def _intervals(ax: Axes, x: np.ndarray, here: pd.DataFrame, face: str) -> None:
    low, high = here["q_low"].to_numpy(float), here["q_high"].to_numpy(float)
    some = np.isfinite(low)
    dots: dict[str, Any] = {
        "ls": "",
        "marker": "o",
        "ms": 4.2,
        "mew": 1.3,
        "mec": GREEN,
        "mfc": face,
    }
    ax.vlines(x[some], low[some], high[some], color=GREEN, lw=1.6, zorder=3)
    for end in (low, high):
        ax.plot(x[some], end[some], **dots, zorder=5)
    bottom = ax.get_ylim()[0]
    ax.scatter(x[~some], np.full((~some).sum(), bottom), **NONE, clip_on=False, zorder=6)
