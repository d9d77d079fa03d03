"""Figs. 1 and 3 of the paper, drawn from a trained round: sketches there, data here.

`round_values` and `attacked_coordinate` take the few numbers that a diagram shows from a trained
round; `fig01` and `fig03` draw them.
"""

from __future__ import annotations

import time
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from pdrr.aggregators import AGGREGATORS, sort_clients, trimmed_mean, trimmed_mean_of_sorted
from pdrr.arrays import blocks
from pdrr.config import Settings
from pdrr.data import FederatedDataset
from pdrr.experiments import attack, dataset, settings
from pdrr.federation import Federation, byzantine
from pdrr.figures import BENIGN, GREEN, MALICIOUS, STYLE
from pdrr.records import Records, provenance
from pdrr.store import Store
from pdrr.types import Round

SHOWN, IMAGES, FILTERS, SIDE = 3, 4, 4, 5  # clients, images of each, 5x5 filters of the network
INK, PAPER = "#1b1f24", "#f3f4f6"


def round_values(
    *,
    profile: str = "quick",
    source: str = "glyphs",
    seed: int = 1,
    number: int = 1,
    rule: str = "trimmed_mean",
    store: Store | None = None,
) -> Records:
    """What Fig. 1 shows of an honest round: images and first weights of the first clients.

    Parameters
    ----------
    profile, source, seed, number, store : as in `experiments.detection`
    rule : {"mean", "krum", "trimmed_mean", "median"}
        How the server aggregates.

    Returns
    -------
    Records
        A row per value: ``part`` is "previous", "new", "update" (w_i - w_p) or "image"; ``client``
        is 0 for the server's; ``item`` numbers images and filters, ``row`` and ``column`` their
        pixels and weights. The weights are those of the network's first 5x5 filters.
    """
    started = time.perf_counter()
    chosen = settings(profile, source, seed)
    federation = Federation(chosen, dataset(chosen, store), rule, store)
    honest = next(federation.rounds([number]))
    own = {
        "krum": {"c": chosen.federation.c},
        "trimmed_mean": {"beta": chosen.defense.beta},
    }.get(rule, {})
    new = AGGREGATORS[rule](honest.clients, **own)

    parts = [
        _cells("previous", 0, _filters(honest.previous, chosen)),
        _cells("new", 0, _filters(new, chosen) - _filters(honest.previous, chosen)),
    ]
    for i, client in enumerate(federation.clients(number)[:SHOWN]):
        images, _ = federation.dataset.train(int(client))
        parts.append(_cells("image", i + 1, images[:IMAGES, :, :, 0]))
        change = _filters(honest.clients[i], chosen) - _filters(honest.previous, chosen)
        parts.append(_cells("update", i + 1, change))
    run = {"seed": seed, "round": number, "rule": rule, "k": honest.k, **own}
    return _records(
        pd.concat(parts, ignore_index=True), run, chosen, federation.dataset, started, honest.d
    )


def attacked_coordinate(
    *,
    profile: str = "quick",
    source: str = "glyphs",
    seed: int = 1,
    number: int = 1,
    knowledge: str = "full",
    c: int | None = None,
    beta: int | None = None,
    store: Store | None = None,
) -> Records:
    """One coordinate of all models before and after the attack on the trimmed mean (Fig. 3).

    The coordinate is typical, not the worst: of those with s_j = +1 in which no two honest values
    are equal, the one whose aggregate falls by the median amount.

    Parameters
    ----------
    profile, source, seed, number, knowledge, c, beta, store : as in `experiments.detection`

    Returns
    -------
    Records
        A row per model, ``stage`` ("before", "after") and value, with its ``rank`` among the k and
        whether it was ``trimmed``. One run: w_p,j, the aggregates, how many coordinates fall.
    """
    started = time.perf_counter()
    chosen = settings(profile, source, seed, c=c, beta=beta)
    federation = Federation(chosen, dataset(chosen, store), "trimmed_mean", store)
    honest = next(federation.rounds([number]))
    observed = attack(chosen, "trimmed_mean", honest, knowledge).observed
    width = chosen.defense.beta
    rise, fall = _changes(honest, observed, width)
    if not np.isfinite(fall).any():
        raise ValueError("no coordinate rises with all honest values different: try another seed")
    # nanargmedian: the lower middle one, which exists in the data
    j = int(np.argsort(fall)[(np.isfinite(fall).sum() - 1) // 2])

    tables = []
    for stage, values in (("before", honest.clients[:, j]), ("after", observed.clients[:, j])):
        order = np.argsort(values, kind="stable")
        rank = np.empty(honest.k, int)
        rank[order] = np.arange(1, honest.k + 1)
        tables.append(
            pd.DataFrame(
                {
                    "stage": stage,
                    "client": np.arange(1, honest.k + 1),
                    "byzantine": byzantine(chosen),
                    "value": np.asarray(values, float),
                    "rank": rank,
                    "trimmed": (rank <= width) | (rank > honest.k - width),
                }
            )
        )
    run = {
        "seed": seed,
        "round": number,
        "knowledge": knowledge,
        "c": chosen.federation.c,
        "beta": width,
        "k": honest.k,
        "coordinate": j,
        "previous": float(honest.previous[j]),
        "aggregate_before": float(trimmed_mean(honest.clients[:, j : j + 1], beta=width)[0]),
        "aggregate_after": float(trimmed_mean(observed.clients[:, j : j + 1], beta=width)[0]),
        "rising": int((rise > 0).sum()),
        "candidates": int(np.isfinite(fall).sum()),
    }
    return _records(
        pd.concat(tables, ignore_index=True), run, chosen, federation.dataset, started, honest.d
    )


def fig01(records: Records) -> Figure:
    """A communication round: send, train, upload, aggregate (Fig. 1)."""
    table, run = records.table, records.runs.iloc[0]
    server = table[table["client"] == 0]
    weight = _largest(server[server["part"] == "previous"])
    change = _largest(table[table["part"].isin(["update", "new"])])
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 6.2))
        canvas = figure.add_axes((0, 0, 1, 1))
        canvas.set(xlim=(0, 1), ylim=(0, 1))
        canvas.axis("off")
        _box(canvas, (0.02, 0.62, 0.96, 0.36), "server")
        _strip(figure, (0.06, 0.71, 0.26, 0.13), _part(server, "previous"), weight, "RdGy")
        _strip(figure, (0.68, 0.71, 0.26, 0.13), _part(server, "new"), change, "PuOr_r")
        say: dict[str, Any] = {"ha": "center", "va": "center", "color": INK}
        canvas.text(0.19, 0.885, "1   global model $w_p$", **say, weight="bold")
        canvas.text(0.81, 0.885, "4   new global model", **say, weight="bold")
        canvas.text(0.81, 0.69, "its change from $w_p$", **say)
        canvas.text(0.19, 0.69, "its first weights", **say)
        name = str(run["rule"]).replace("_", " ")
        canvas.text(0.5, 0.815, f"{name} of\nk = {run['k']} models", **say)
        _arrow(canvas, (0.35, 0.755), (0.65, 0.755), GREEN)
        left = 0.02
        wide = (0.96 - (SHOWN - 1) * 0.03) / SHOWN
        for client in range(1, SHOWN + 1):
            mine = table[table["client"] == client]
            _box(canvas, (left, 0.02, wide, 0.45), f"client {client}")
            inner = (left + 0.02, wide - 0.04)
            _strip(figure, (inner[0], 0.285, inner[1], 0.11), _part(mine, "image"), None, "gray")
            _strip(
                figure, (inner[0], 0.085, inner[1], 0.11), _part(mine, "update"), change, "PuOr_r"
            )
            canvas.text(left + wide / 2, 0.235, "2   trains $w_p$ on its own images", **say)
            canvas.text(left + wide / 2, 0.052, f"change $w_{client} - w_p$", **say)
            _arrow(canvas, (left + wide * 0.3, 0.61), (left + wide * 0.3, 0.48), INK)
            _arrow(canvas, (left + wide * 0.7, 0.48), (left + wide * 0.7, 0.61), BENIGN)
            canvas.text(left + wide * 0.3 + 0.012, 0.545, "1  $w_p$", va="center", color=INK)
            canvas.text(
                left + wide * 0.7 + 0.012, 0.545, f"3  $w_{client}$", va="center", color=BENIGN
            )
            left += wide + 0.03
        canvas.text(
            0.5,
            0.64,
            f"grey and red: weights, scale ±{weight:.2g};  "
            f"purple and orange: changes, scale ±{change:.2g}",
            **say,
            size=9,
        )
    return figure


def fig03(records: Records) -> Figure:
    """The sorted values of one coordinate before and after the attack (Fig. 3)."""
    table, run = records.table, records.runs.iloc[0]
    k, beta = int(run["k"]), int(run["beta"])
    kinds: tuple[tuple[bool, dict[str, Any]], ...] = (
        (False, {"color": BENIGN, "marker": "o", "s": 30, "label": "benign"}),
        (True, {"color": MALICIOUS, "marker": "s", "s": 34, "label": "compromised"}),
    )
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 4.3), layout="constrained")
        for ax, stage, title in zip(
            figure.subplots(1, 2, sharey=True),
            ("before", "after"),
            ("before: all k models honest", "after: compromised values below all benign ones"),
            strict=True,
        ):
            rows = table[table["stage"] == stage]
            for bad, style in kinds:
                points = rows[rows["byzantine"] == bad]
                ax.scatter(points["rank"], points["value"], zorder=3, ec="white", lw=0.6, **style)
            for low, high in ((0.4, beta + 0.5), (k - beta + 0.5, k + 0.6)):
                ax.axvspan(low, high, color="#d0d4d9", zorder=0, lw=0, label="trimmed")
            lines: tuple[tuple[str, dict[str, Any]], ...] = (
                ("previous", {"ls": ":", "color": INK, "label": "previous global $w_{p,j}$"}),
                ("aggregate_before", {"ls": "--", "color": GREEN, "label": "aggregate, honest"}),
                (
                    "aggregate_after",
                    {"ls": "-", "color": "#c1121f", "label": "aggregate, attacked"},
                ),
            )
            for name, style in lines[: 2 if stage == "before" else 3]:
                ax.axhline(run[name], lw=1.6, zorder=2, **style)
            ax.set(xlabel=f"rank among the k = {k} values", xlim=(0.4, k + 0.6))
            ax.set_title(title)
        figure.axes[0].set_ylabel(f"parameter j = {run['coordinate']:,}")
        handles, labels = figure.axes[1].get_legend_handles_labels()
        once = dict(zip(labels, handles, strict=True))
        figure.legend(once.values(), once.keys(), loc="outside lower center", ncols=3)
    return figure


def _filters(model: np.ndarray, chosen: Settings) -> np.ndarray:
    """The first filters [n, 5, 5] of a flat model: its first weights are [5, 5, 1, channels]."""
    channels = chosen.model.filters[0]
    kernel = np.asarray(model[: SIDE * SIDE * channels], float).reshape(SIDE, SIDE, channels)
    return np.moveaxis(kernel, 2, 0)[:FILTERS]


def _cells(part: str, client: int, items: np.ndarray) -> pd.DataFrame:
    """The tidy form of items [n, rows, columns]."""
    item, row, column = np.indices(items.shape).reshape(3, -1)
    cells = {"item": item, "row": row, "column": column, "value": items.ravel()}
    return pd.DataFrame({"part": part, "client": client, **cells})


def _part(table: pd.DataFrame, part: str) -> np.ndarray:
    """The items [n, rows, columns] of a part, back from the tidy form."""
    rows = table[table["part"] == part]
    shape = rows[["item", "row", "column"]].max().to_numpy() + 1
    return rows["value"].to_numpy().reshape(shape)


def _changes(honest: Round, observed: Round, beta: int) -> tuple[np.ndarray, np.ndarray]:
    """How far each aggregate [d] rises without attack, and falls by it (NaN: not to be shown)."""
    rise, fall = np.empty(honest.d), np.empty(honest.d)
    for cols in blocks(honest.d, honest.k):
        before = sort_clients(honest.clients[:, cols])
        after = sort_clients(observed.clients[:, cols])
        middle = trimmed_mean_of_sorted(before, beta)
        rise[cols] = middle - honest.previous[cols]
        different = (np.diff(before, axis=0) > 0).all(axis=0) & (rise[cols] > 0)
        drop = middle - trimmed_mean_of_sorted(after, beta)
        fall[cols] = np.where(different, drop, np.nan)
    return rise, fall


def _records(
    table: pd.DataFrame,
    run: dict[str, Any],
    chosen: Settings,
    data: FederatedDataset,
    started: float,
    d: int,
) -> Records:
    seconds = time.perf_counter() - started
    return Records(table, pd.DataFrame([run]), provenance(chosen, data, d, seconds))


def _largest(table: pd.DataFrame) -> float:
    """The end of a colour scale that shows every value of `table`; never 0."""
    return max(float(table["value"].abs().max()), np.finfo(float).tiny)


def _box(canvas: Axes, box: tuple[float, float, float, float], title: str) -> None:
    x, y, width, height = box
    style = "round,pad=0,rounding_size=0.012"
    canvas.add_patch(
        FancyBboxPatch((x, y), width, height, boxstyle=style, fc=PAPER, ec="#9aa3ad", zorder=0)
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
    colours: str,
) -> None:
    """Items [n, rows, columns] side by side; symmetric about 0 unless they are images."""
    x, y, width, height = box
    low, high = (0.0, 1.0) if scale is None else (-scale, scale)
    step = width / len(items)
    for i, item in enumerate(items):
        ax = figure.add_axes((x + i * step, y, step, height))
        ax.imshow(item, cmap=colours, vmin=low, vmax=high, interpolation="nearest")
        ax.set(xticks=[], yticks=[])
        for spine in ax.spines.values():
            spine.set(visible=True, color="#9aa3ad")
