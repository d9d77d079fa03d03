"""Every cell of Tables 1, 2 and 2b in one picture: the paper's number, ours, and chance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pdrr.book.drawing import Drawing
from pdrr.book.style import BESIDE, GREEN, GRID, INK, LINE, PAPER
from pdrr.book.tables import RATES, Numbers
from pdrr.claims.chance import expected_rates
from pdrr.experiments.records import Records
from pdrr.experiments.schemes import OURS, in_order

UNION = "Union"  # counts the votes of others, and is not in the paper
KEY = (
    ("◇", INK, "the paper"),
    ("●", GREEN, "ours, with the least and the most over the seeds"),
    ("╌", INK, "chance: c of k clients flagged without looking"),
)


def strip(parts: Mapping[str, Records], paper: Mapping[str, Numbers], rounds: list[int]) -> Drawing:
    """A panel for each table, MAR above FAR, a group for each scheme, a place for each round.

    Parameters
    ----------
    parts : mapping
        Title of a panel -> records of `experiments.rounds`, one reading and one setting.
    paper : mapping
        Title -> the paper's numbers, where it has any.
    rounds : list of int
        Those of the paper's columns.
    """
    cells = pd.concat(
        [_cells(name, part, paper.get(name, {}), rounds) for name, part in parts.items()],
        ignore_index=True,
    )
    with mpl.rc_context(BESIDE):
        panels = {str(name): _panel(own) for name, own in cells.groupby("table", sort=False)}
    return Drawing(panels, cells, key=KEY)


def _cells(name: str, records: Records, paper: Numbers, rounds: list[int]) -> pd.DataFrame:
    runs = expected_rates(records).runs
    flagged = records.table.groupby("client")["byzantine"].first()
    share = float(flagged.mean())  # of clients, flagged by chance
    rows: list[dict[str, Any]] = []
    for scheme in (each for each in in_order(runs["scheme"]) if each != UNION):
        own = runs[runs["scheme"] == scheme]
        for rate, column in RATES.items():
            printed = dict(zip(rounds, paper.get(scheme, {}).get(rate, ()), strict=False))
            for number in sorted({*own["round"], *printed}):
                found = own.loc[own["round"] == number, column]
                row = {"table": name, "scheme": scheme, "rate": rate, "round": int(number)}
                told = {"paper": printed.get(number), "ours": found.mean(), "seeds": len(found)}
                ends = {"least": found.min(), "most": found.max()}
                chance = share if rate == "FAR" else 1 - share
                rows.append({**row, **told, **ends, "chance": chance})
    return pd.DataFrame(rows)


def _panel(cells: pd.DataFrame) -> Figure:
    figure = Figure(figsize=(4.3, 3.7), layout="constrained")
    schemes = sorted(dict.fromkeys(cells["scheme"]), key=lambda name: name != OURS)
    numbers = sorted(cells["round"].unique())
    step = 0.8 / len(numbers)
    for ax, rate in zip(figure.subplots(2, 1, sharex=True), ("MAR", "FAR"), strict=True):
        own = cells[cells["rate"] == rate]
        offset = own["round"].map({n: (i + 0.5) * step - 0.4 for i, n in enumerate(numbers)})
        x = own["scheme"].map({scheme: i for i, scheme in enumerate(schemes)}) + offset
        _draw(ax, x, own)
        ax.set(ylim=(-0.06, 1.06), yticks=[0, 0.5, 1], ylabel=rate)
        ax.set_xticks(range(len(schemes)), schemes)
        ax.tick_params(axis="x", length=0)
        for edge in range(1, len(schemes)):
            ax.axvline(edge - 0.5, color=GRID, lw=0.8, zorder=0)
    listed = ", ".join(map(str, numbers))
    figure.axes[0].set_title(f"{cells['table'].iloc[0]}\nrounds {listed}")
    return figure


def _draw(ax: Axes, x: pd.Series, own: pd.DataFrame) -> None:
    ax.axhline(own["chance"].iloc[0], **LINE, zorder=2)
    ax.text(1.01, own["chance"].iloc[0], "chance", va="center", transform=ax.get_yaxis_transform())
    ax.vlines(x, own["least"], own["most"], color=GREEN, lw=1.6, zorder=3)
    ax.plot(x, own["ours"], ls="", marker="o", ms=4.4, color=GREEN, zorder=4)
    ax.plot(x, own["paper"].astype(float), ls="", marker="D", ms=6.2, mfc="none", mec=INK, zorder=5)
    ax.set_facecolor(PAPER)
