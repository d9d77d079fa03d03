"""Rounds that nobody attacks: whom the detectors flag, and what that costs."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pandas.io.formats.style import Styler

from pdrr.book.door import OURS, RANK_ONLY
from pdrr.book.drawing import Drawing
from pdrr.book.readings import shown
from pdrr.book.style import BENIGN, BESIDE, GREEN, GRID, PAPER
from pdrr.claims.chance import exact_interval
from pdrr.claims.words import listed, span
from pdrr.experiments.records import Records

ALWAYS = ("Multi-Krum", "DnC")  # drop a fixed number by definition
PLAIN = "writers as they are"
GREY = "#555555"
OVER = {"fc": PAPER, "lw": 0, "pad": 1}  # behind words: no line of the grid goes through them
KEY = (("■", GREY, "PDRR"), ("■", GREEN, OURS), ("■", BENIGN, "others"))


def conditions(table: pd.DataFrame) -> pd.Series:
    """What is special about the clients of each row, in words."""
    words = pd.Series(PLAIN, index=table.index)
    usual = table["learning_rate"].mode().iloc[0] if len(table) else np.nan
    for column, text in (
        ("alpha", "Dirichlet {:g}"),
        ("share", "mixed {:.0%}"),
        ("pairs", "{:g} cloned pairs"),
    ):
        values = pd.to_numeric(table[column]).fillna(0)
        words = words.mask(values != 0, values.map(text.format))
    slow = (table["learning_rate"] != usual) & (words == PLAIN)
    return words.mask(slow, table["learning_rate"].map("rate {:g}".format))


def counted(records: Records) -> pd.DataFrame:
    """For each condition and scheme: rounds, rounds with an alarm, share flagged, accuracy lost."""
    table = records.table
    judged = table.assign(
        condition=conditions(table),
        alarm=table["flagged"] > 0,
        lost=table["accuracy_rule"] - table["accuracy_left"],
    )
    found = judged.groupby(["condition", "scheme"], sort=False).agg(
        rounds=("round", "size"),
        alarms=("alarm", "sum"),
        flagged=("flagged", "sum"),
        models=("k", "sum"),
        lost=("lost", "mean"),
        most_lost=("lost", "max"),
    )
    return found.reset_index().assign(far=lambda rows: rows["flagged"] / rows["models"])


def alarms(records: Records) -> Drawing:
    """Share of honest models that each detector flags, a panel for each kind of clients."""
    found = counted(records)
    found = found[~found["scheme"].isin(RANK_ONLY)]
    order = found[found["condition"] == PLAIN].sort_values("far", kind="stable")["scheme"].tolist()
    panels = {}
    with mpl.rc_context({**BESIDE, "axes.grid.axis": "x"}):
        for kind, own in found.groupby("condition", sort=False):
            panels[str(kind)] = Figure((4.3, 0.27 * len(order) + 0.9), layout="constrained")
            ax = panels[str(kind)].subplots()
            _panel(ax, own.set_index("scheme").reindex(order))
            ax.set_title(str(kind))
            ax.set_xlabel("share that is flagged")
    return Drawing(panels, records.table, key=KEY)


def _panel(ax: Axes, own: pd.DataFrame) -> None:
    places = np.arange(len(own))
    colours = [
        GREEN if name == OURS else GREY if name.startswith("PDRR") else BENIGN for name in own.index
    ]
    ax.barh(places, own["far"].fillna(0), color=colours, height=0.62)
    for place, share in enumerate(own["far"]):
        text = "none" if share == 0 else "" if np.isnan(share) else f"{share:.0%}"
        ax.text((share or 0) + 0.02, place, text, va="center", fontsize=8, bbox=OVER)
    ax.set_yticks(places, list(own.index))
    ax.invert_yaxis()
    ax.set(xlim=(0, 1.18), xticks=[0, 0.5, 1])
    ax.grid(visible=True, axis="x", color=GRID, zorder=0)
    ax.set_axisbelow(True)


def alarms_table(records: Records) -> Styler:
    """Rounds with an alarm, models flagged and accuracy lost, for writers as they are."""
    found = counted(records)
    rows = {}
    for row in (
        found[found["condition"] == PLAIN].sort_values("far", kind="stable").to_dict("records")
    ):
        low, high = exact_interval(row["alarms"], row["rounds"])
        rows[row["scheme"]] = {
            "rounds with an alarm": f"{row['alarms']} of {row['rounds']}",
            "interval": f"{low:.0%} to {high:.0%}",
            "models flagged": f"{row['flagged'] / row['models']:.1%}",
            "accuracy lost, mean": f"{row['lost']:+.3f}",
            "in the worst round": f"{row['most_lost']:+.3f}",
        }
    return shown(rows)


def findings(records: Records) -> str:
    """What the rounds show, in sentences, as Markdown."""
    found = counted(records)
    plain = found[found["condition"] == PLAIN].set_index("scheme")
    judging = plain.drop(index=[n for n in (*ALWAYS, *RANK_ONLY) if n in plain.index])
    quiet = judging[judging["alarms"] == 0]
    loud = judging[judging["alarms"] == judging["rounds"]]
    lines = [
        f"- **Silent** in each of {span(plain['rounds'], '{:g}')} rounds with writers as they are:"
        f" {_named(quiet.index)}.",
        f"- **An alarm in every round**: {_named(loud.index)}. {_named([*ALWAYS])} drop a fixed"
        " number by definition; NNM and RFA flag nobody by definition.",
    ]
    ours = found[found["scheme"] == OURS]
    if len(ours):
        shares = ", ".join(
            f"{row['alarms']} of {row['rounds']} with {row['condition']}"
            for row in ours.to_dict("records")
        )
        lines.append(f"- **{OURS}**, rounds with an alarm: {shares}.")
    worst = plain.sort_values("lost", ascending=False).iloc[:1]
    for name, row in worst.iterrows():
        lines.append(
            f"- **The cost**: {name} loses most, {row['lost']:.3f} of accuracy on average over one"
            f" round ({row['most_lost']:.3f} in its worst)."
        )
    return "\n".join(lines)


def _named(names: object) -> str:
    given = [str(name) for name in names]  # type: ignore[attr-defined]
    return listed(given) if given else "nobody"
