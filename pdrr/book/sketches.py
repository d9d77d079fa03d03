"""Figs. 1 and 3 of the paper, drawn from a trained round: sketches there, data here."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from pandas.io.formats.style import Styler

from pdrr.book.alignment import styled
from pdrr.book.drawing import Drawing, of
from pdrr.book.style import (
    AMBER,
    BENIGN,
    BESIDE,
    GREEN,
    GREY,
    MALICIOUS,
    MARKS,
    PURPLE,
    RED,
    STYLE,
    TRIMMED,
    WARM,
    fading,
)
from pdrr.experiments.records import Records
from pdrr.experiments.sketches import SHOWN

INK, PAPER = "#1b1f24", "#f3f4f6"
WEIGHTS, CHANGES = fading(WARM, GREY), fading(PURPLE, AMBER)


def fig01(records: Records) -> Drawing:
    """A communication round: send, train, upload, aggregate (Fig. 1)."""
    table, run = records.table, records.runs.iloc[0]
    server = table[table["client"] == 0]
    weight = _largest(server[server["part"] == "previous"])
    change = _largest(table[table["part"].isin(["update", "new"])])
    with mpl.rc_context({**STYLE, "font.size": 10.6}):
        figure = Figure(figsize=(4.6, 5.2))  # narrow enough for a phone
        canvas = figure.add_axes((0, 0, 1, 1))
        canvas.set(xlim=(0, 1), ylim=(0, 1))
        canvas.axis("off")
        _box(canvas, (0.01, 0.6, 0.98, 0.39), "server")
        _strip(figure, (0.05, 0.71, 0.34, 0.12), _part(server, "previous"), weight, WEIGHTS)
        _strip(figure, (0.61, 0.71, 0.34, 0.12), _part(server, "new"), change, CHANGES)
        say: dict[str, Any] = {"ha": "center", "va": "center", "color": INK}
        canvas.text(0.22, 0.87, "1  global model $w_p$", **say, weight="bold")
        canvas.text(0.78, 0.87, "4  new global model", **say, weight="bold")
        canvas.text(0.78, 0.68, "its change from $w_p$", **say)
        canvas.text(0.22, 0.68, "its first weights", **say)
        name = str(run["rule"]).replace("_", "\n")
        canvas.text(0.5, 0.825, f"{name}\nof {run['k']}", **say)
        _arrow(canvas, (0.41, 0.755), (0.59, 0.755), GREEN)
        canvas.text(
            0.5,
            0.63,
            f"red, grey: weights ±{weight:.2g};  purple, orange: changes ±{change:.2g}",
            **say,
            size=9,
        )
        gap = 0.02
        wide = (0.98 - (SHOWN - 1) * gap) / SHOWN
        for client in range(1, SHOWN + 1):
            mine = table[table["client"] == client]
            left = 0.01 + (client - 1) * (wide + gap)
            middle, down, up = left + wide / 2, left + 0.08, left + wide - 0.12
            _box(canvas, (left, 0.01, wide, 0.46), f"client {client}")
            inner = (left + 0.02, wide - 0.04)
            _strip(figure, (inner[0], 0.315, inner[1], 0.08), _part(mine, "image"), None, "gray")
            canvas.text(middle, 0.245, "2  trains $w_p$ on\nits own images", **say)
            _strip(
                figure, (inner[0], 0.105, inner[1], 0.08), _part(mine, "update"), change, CHANGES
            )
            canvas.text(middle, 0.06, f"change $w_{client} - w_p$", **say)
            _arrow(canvas, (down, 0.59), (down, 0.48), INK)
            _arrow(canvas, (up, 0.48), (up, 0.59), BENIGN)
            canvas.text(down + 0.02, 0.535, "1  $w_p$", va="center", color=INK)
            canvas.text(up + 0.02, 0.535, f"3  $w_{client}$", va="center", color=BENIGN)
    return of(figure, table)


def fig03(records: Records) -> Drawing:
    """The sorted values of one coordinate before and after the attack (Fig. 3)."""
    table, run = records.table, records.runs.iloc[0]
    k, beta = int(run["k"]), int(run["beta"])
    titles = {"before": "before: all k models honest", "after": "after: the compromised move"}
    lines: dict[str, tuple[str, dict[str, Any]]] = {
        "previous": ("previous", {"ls": ":", "color": INK}),
        "aggregate_before": ("honest", {"ls": "--", "color": GREEN}),
        "aggregate_after": ("attacked", {"ls": "-", "color": RED}),
    }
    values = [*table["value"], *(run[name] for name in lines)]
    low, high = min(values), max(values)
    room = 0.06 * (high - low)
    panels = {}
    with mpl.rc_context(BESIDE):
        for stage, title in titles.items():
            panels[title] = Figure(figsize=(4.3, 3.3), layout="constrained")
            ax = panels[title].subplots()
            rows = table[table["stage"] == stage]
            for bad, style in MARKS.items():
                points = rows[rows["byzantine"] == bad]
                ax.plot(points["rank"], points["value"], **style)
            for first, last in ((0.4, beta + 0.5), (k - beta + 0.5, k + 0.6)):
                ax.axvspan(first, last, color=TRIMMED, zorder=0, lw=0)
            shown = list(lines)[: 2 if stage == "before" else 3]
            for name in shown:
                ax.axhline(run[name], lw=1.6, zorder=2, **lines[name][1])
            for height, name in zip(
                _apart([run[n] for n in shown], 1.4 * room), shown, strict=True
            ):
                words, style = lines[name]
                place: dict[str, Any] = {"va": "center", "transform": ax.get_yaxis_transform()}
                ax.text(1.02, height, words, color=style["color"], **place)
            ax.set(xlabel=f"rank among the k = {k} values", xlim=(0.4, k + 0.6))
            ax.set(
                ylim=(low - 1.2 * room, high + room), ylabel=f"parameter j = {run['coordinate']:,}"
            )
            ax.set_title(title)
    key = [
        ("■", MALICIOUS, "compromised"),
        ("●", BENIGN, "benign"),
        ("■", TRIMMED, "ranks that are trimmed"),
        ("┈", INK, "previous global value"),
        ("╌", GREEN, "aggregate if nobody attacks"),
        ("─", RED, "aggregate under attack"),
    ]
    return Drawing(panels, table, key=key)


def coordinate_table(records: Records) -> Styler:
    """The numbers of the coordinate that `fig03` draws: a row each, a column for each run."""
    columns = {}
    for run in records.runs.to_dict("records"):
        setting = f"round {run['round']}, {run['knowledge']} knowledge"
        name = f"{setting}, c = {run['c']}, β = {run['beta']}, seed {run['seed']}"
        columns[name] = {
            "coordinate j": f"{run['coordinate']:,}",
            "previous global value": f"{run['previous']:.6f}",
            "aggregate if nobody attacks": f"{run['aggregate_before']:.6f}",
            "aggregate under attack": f"{run['aggregate_after']:.6f}",
            "candidates": f"{run['candidates']:,}",
        }
    return styled(pd.DataFrame(columns), "schemes")


def _apart(heights: list[float], least: float) -> list[float]:
    """The heights, moved up where two would be nearer than `least`."""
    moved: dict[int, float] = {}
    for i in sorted(range(len(heights)), key=heights.__getitem__):
        moved[i] = max(heights[i], max(moved.values(), default=-float("inf")) + least)
    return [moved[i] for i in range(len(heights))]


def _part(table: pd.DataFrame, part: str) -> np.ndarray:
    """The items [n, rows, columns] of a part, back from the tidy form."""
    rows = table[table["part"] == part]
    shape = rows[["item", "row", "column"]].max().to_numpy() + 1
    return rows["value"].to_numpy().reshape(shape)


def _largest(table: pd.DataFrame) -> float:
    """The end of a colour scale that shows every value of `table`; never 0."""
    return max(float(table["value"].abs().max()), np.finfo(float).tiny)


def _box(canvas: Axes, box: tuple[float, float, float, float], title: str) -> None:
    x, y, width, height = box
    style = "round,pad=0,rounding_size=0.012"
    canvas.add_patch(
        FancyBboxPatch((x, y), width, height, boxstyle=style, fc=PAPER, ec=GREY, zorder=0)
    )
    canvas.text(
        x + 0.015, y + height - 0.035, title, va="center", weight="bold", size=11, color=INK
    )


def _arrow(canvas: Axes, start: tuple[float, float], end: tuple[float, float], colour: Any) -> None:
    canvas.add_patch(
        FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=16, lw=2, color=colour)
    )


def _strip(
    figure: Figure,
    box: tuple[float, float, float, float],
    items: np.ndarray,
    scale: float | None,
    colours: str | Colormap,
) -> None:
    """Items [n, rows, columns] side by side; symmetric about 0 unless they are images."""
    x, y, width, height = box
    low, high = (0.0, 1.0) if scale is None else (-scale, scale)
    step = width / len(items)
    for i, item in enumerate(items):
        ax = figure.add_axes((x + i * step, y, step, height), facecolor="none")
        ax.imshow(item, cmap=colours, vmin=low, vmax=high, interpolation="nearest")
        ax.set(xticks=[], yticks=[])
        for spine in ax.spines.values():
            spine.set(visible=True, color=GREY)
