"""Figures of the coursework: what a student has built, drawn in one call. Nothing is computed here.

Orange is malicious and blue benign, as everywhere. Matplotlib alone, which loads in a moment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

BENIGN, MALICIOUS, GREEN = "#4a96d2", "#b84a00", "#029e73"
COLOURS = (BENIGN, MALICIOUS, GREEN, "#cc78bc", "#ca9161", "#949494")
WIDTH = 5  # inches: letters of 10 points stay legible where a phone makes that its own width
STYLE: dict[Any, Any] = {
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": "medium",
    "figure.dpi": 110,
    "font.size": 10,
    "legend.frameon": False,
}


def curves(accuracies: Mapping[str, Sequence[float]], title: str = "") -> Figure:
    """Accuracy of the global model, round by round, one line for each game."""
    with mpl.rc_context(STYLE):
        figure, ax = _axes(title, "round", "accuracy")
        for (name, values), colour in zip(accuracies.items(), _colours(accuracies), strict=True):
            ax.plot(range(len(values)), values, label=name, color=colour, marker=".")
        ax.set_ylim(0, 1)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        _legend(figure, ax)
    return figure


def sweep(
    x: Sequence[float],
    series: Mapping[str, Sequence[float]],
    *,
    xlabel: str,
    ylabel: str,
    marked: Mapping[str, float] | None = None,
    log: bool = False,
) -> Figure:
    """One line for each series over x; `marked` values of x get a dashed line in its colour."""
    with mpl.rc_context(STYLE):
        figure, ax = _axes("", xlabel, ylabel)
        for (name, values), colour in zip(series.items(), _colours(series), strict=True):
            ax.plot(x, values, label=name, color=colour, marker=".")
            if marked and name in marked:
                ax.axvline(marked[name], color=colour, ls="--", lw=1)
        if log:
            ax.set_xscale("log")
        else:
            ax.xaxis.set_major_locator(MaxNLocator(integer=isinstance(x[0], int)))
        _legend(figure, ax)
    return figure


def plane(
    models: np.ndarray, byzantine: np.ndarray, aggregates: Mapping[str, np.ndarray]
) -> Figure:
    """Two parameters of all models [k, 2], and of what the rules make of them [2]."""
    with mpl.rc_context(STYLE):
        figure, ax = _axes("", "one parameter", "another parameter")
        kinds = (("benign", BENIGN, ~byzantine), ("malicious", MALICIOUS, byzantine))
        for name, colour, which in kinds:
            if which.any():
                ax.plot(models[which, 0], models[which, 1], "o", color=colour, label=name)
        for (name, model), marker in zip(aggregates.items(), "X*DPsv", strict=False):
            look: dict[str, Any] = {"marker": marker, "ms": 11, "mec": "black", "mfc": "none"}
            ax.plot(model[0], model[1], ls="", label=name, **look)
        _legend(figure, ax)
    return figure


def client_bars(
    panels: Mapping[str, np.ndarray], byzantine: np.ndarray, q: float | None = None
) -> Figure:
    """A bar for each client: the values [k] of each panel; q draws the threshold."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 1.7 * len(panels) + 0.5), layout="constrained")
        for (name, values), ax in zip(
            panels.items(), figure.subplots(len(panels), 1, squeeze=False).flat, strict=True
        ):
            clients = np.arange(1, len(values) + 1)
            for kind, colour, which in (
                ("benign", BENIGN, ~byzantine),
                ("malicious", MALICIOUS, byzantine),
            ):
                if which.any():
                    ax.bar(clients[which], values[which], color=colour, label=kind)
            if q is not None:
                ax.axhline(q, color="black", lw=1, ls="--", label=f"q = {q:g}")
            ax.set(title=name, xlabel="client")
        _legend(figure, ax)
    return figure


def _axes(title: str, xlabel: str, ylabel: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDTH, 3.4), layout="constrained")
    ax = figure.subplots()
    ax.set(title=title, xlabel=xlabel, ylabel=ylabel)
    return figure, ax


def _colours(series: Mapping[str, Any]) -> list[str]:
    return [COLOURS[i % len(COLOURS)] for i in range(len(series))]


def _legend(figure: Figure, ax: Axes) -> None:
    handles, labels = ax.get_legend_handles_labels()
    fit = 3 if max(map(len, labels), default=0) < 17 else 2
    rows = max(1, -(-len(labels) // fit))
    figure.legend(handles, labels, loc="outside lower left", ncols=max(1, -(-len(labels) // rows)))
