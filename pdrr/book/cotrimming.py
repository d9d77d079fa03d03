"""The page of Co-trimming: what it looks at, and what it makes of rounds nobody tuned it to."""

from __future__ import annotations

from textwrap import fill
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from pandas.io.formats.style import Styler

from pdrr.book.drawing import Drawing
from pdrr.book.readings import shown
from pdrr.book.style import BESIDE, COOL, ON_CELL, WARM, fading
from pdrr.claims.chance import exact_interval
from pdrr.claims.words import short, span
from pdrr.experiments.attacking import NOBODY
from pdrr.experiments.matrix import CHAIN, Way
from pdrr.experiments.records import Records

PAPER = ("krum", "trimmed_mean", "median")
TARGETED = (*PAPER, "alie", "ipm", "min_max", "min_sum", "shift", "mimic")
"""Attacks of which neither a benign model may be flagged nor a malicious one missed, 1% each."""

WEAK = ("sign_flip", "alie_noise")
"""Attacks of which a fifth may be missed."""

LONG = 26  # letters of a line


def matrices(records: Records) -> Drawing:
    """How alike the sides of each two models are: a panel for each attack, the attackers first."""
    runs, table = records.runs, records.table
    panels = {}
    with mpl.rc_context({**BESIDE, "axes.grid": False}):
        for run in runs.to_dict("records"):
            title = words_of(run["attack"], run["knowledge"])
            panels[title] = Figure(figsize=(3, 3.6), layout="constrained")
            ax = panels[title].subplots()
            own = table[table["attack"] == run["attack"]]
            alike = own.pivot_table(index="client", columns="other", values="likeness").to_numpy()
            image = ax.imshow(
                alike, cmap=fading(COOL, WARM), vmin=-1, vmax=1, extent=(0.5, 50.5, 50.5, 0.5)
            )
            ax.set_title(fill(title, LONG))
            flags = "nobody is flagged" if not run["flagged"] else f"{run['flagged']} are flagged"
            ax.set_xlabel(f"gap {run['gap']:.1f}, critical {run['critical']:.1f}:\n{flags}")
            ax.set(xticks=[1, 20, 50], yticks=[1, 20, 50], ylabel="client (1 to 20 attack)")
            bar: dict[str, Any] = {"location": "bottom", "ticks": [-1, 0, 1], "shrink": 0.8}
            panels[title].colorbar(image, ax=ax, label="likeness of sides", **bar)
    return Drawing(panels, table)


def words_of(attack: str, knowledge: str = "", noise: str = "") -> str:
    """An attack as panels and rows call it."""
    if attack == NOBODY:
        return "nobody attacks"
    words = Way(attack, knowledge, CHAIN, noise).words
    return f"{words}, {knowledge}" if knowledge and attack in (*PAPER, "alie") else words


def told(table: pd.DataFrame) -> pd.DataFrame:
    """Rows with what the attack is called; attacks that found nothing to do are left out."""
    there = without_gaps(table[table["succeeded"] | (table["attack"] == NOBODY)])
    names = [
        words_of(row["attack"], row["knowledge"], row["noise"]) for row in there.to_dict("records")
    ]
    return there.assign(words=names)


def without_gaps(table: pd.DataFrame) -> pd.DataFrame:
    """The table with "" where an attack has no noise; a file has nothing there."""
    noise = table["noise"].astype(object)
    return table.assign(noise=noise.where(noise.notna(), ""))


def errors(records: Records) -> Drawing:
    """Shares missed and falsely flagged, by attack and by how many clients and attackers."""
    table = told(records.table)
    attacked = table[table["attack"] != NOBODY]
    sizes = [f"{c}\nof {k}" for k, c in attacked[["k", "c"]].to_numpy()]
    attacked, columns = attacked.assign(size=sizes), list(dict.fromkeys(sizes))
    rows = list(dict.fromkeys(attacked["words"]))
    panels = {}
    with mpl.rc_context({**BESIDE, "axes.grid": False}):
        for rate, title in (("mar", "attackers missed"), ("far", "honest models flagged")):
            panels[title] = Figure(figsize=(4.6, 0.36 * len(rows) + 1), layout="constrained")
            ax = panels[title].subplots()
            cells = attacked.pivot_table(index="words", columns="size", values=rate, sort=False)
            cells = cells.reindex(index=rows, columns=columns)
            ax.imshow(cells.to_numpy(), cmap=fading(COOL, WARM), vmin=-1, vmax=1, aspect="auto")
            for (i, j), value in np.ndenumerate(cells.to_numpy()):
                text = "" if np.isnan(value) else "0" if value == 0 else short(value)
                ax.text(j, i, text, ha="center", va="center", fontsize=8, color=ON_CELL)
            ax.set_xticks(range(len(columns)), columns, fontsize=9)
            ax.set_yticks(range(len(rows)), [fill(row, LONG) for row in rows], fontsize=9)
            ax.set_title(title)
            ax.set_xlabel("attackers, of so many clients")
    return Drawing(panels, records.table)


def targets(records: Records) -> Styler:
    """What was asked of it before it was run, and what came of it."""
    return shown(
        {row["asked"]: {k: v for k, v in row.items() if k != "asked"} for row in met(records)}
    )


def met(records: Records) -> list[dict[str, str]]:
    """For each target: what was asked, in how many rounds, the result, and whether it is met."""
    table = told(records.table)
    quiet = table[table["attack"] == NOBODY]
    loud = int((quiet["flagged"] > 0).sum())
    low, high = exact_interval(loud, len(quiet))
    share = quiet["flagged"].sum() / quiet["k"].sum()
    rows = [
        {
            "asked": "nobody attacks: an alarm in 5% of the rounds at most",
            "rounds": str(len(quiet)),
            "found": f"{loud} ({low:.0%} to {high:.0%})",
            "met": _yes(loud <= 0.05 * len(quiet)),
        },
        {
            "asked": "nobody attacks: 0.5% of the models flagged at most",
            "rounds": str(len(quiet)),
            "found": f"{share:.2%}",
            "met": _yes(share <= 0.005),
        },
    ]
    for attack in (*TARGETED, *WEAK):
        own = table[table["attack"] == attack]
        if own.empty:
            continue
        limit = 0.01 if attack in TARGETED else 0.2
        ok = own["mar"].mean() <= limit and own["far"].mean() <= 0.01
        rows.append(
            {
                "asked": f"{words_of(attack)}: MAR {limit:.0%}, FAR 1% at most",
                "rounds": str(len(own)),
                "found": f"MAR {own['mar'].mean():.1%}, FAR {own['far'].mean():.2%}",
                "met": _yes(ok),
            }
        )
    return rows


def left_out(table: pd.DataFrame) -> pd.Series:
    """How far the aggregate moves where exactly the attackers are left out: by k and c."""
    exact = table[(table["mar"] == 0) & (table["far"] == 0)]
    return exact.groupby(["k", "c"])["moved_defended"].mean()


def _yes(is_met: bool) -> str:
    return "yes" if is_met else "no"


def findings(records: Records) -> str:
    """What the rounds show, losses first, as Markdown."""
    rows = met(records)
    missed = [row for row in rows if row["met"] != "yes"]
    lines = [
        f"- **Of {len(rows)} targets {len(rows) - len(missed)} are met.** Not met:"
        + ("".join(f" {row['asked']} ({row['found']});" for row in missed).rstrip(";") or " none")
        + "."
    ]
    table = told(records.table)
    weak = table[(table["mar"] > 0.5) & table["attack"].isin(WEAK)]
    if len(weak):
        sizes = ", ".join(
            f"{c} of {k}" for k, c in sorted(set(zip(weak["k"], weak["c"], strict=True)))
        )
        absent = left_out(table).reindex(pd.MultiIndex.from_frame(weak[["k", "c"]]))
        lines.append(
            f"- **Where it misses more than half** of the attackers, under {_and(weak['words'])}"
            f" ({sizes} clients), they move the undefended trimmed mean by"
            f" {span(weak['moved'])} of the round's own step. Leaving as many attackers out moves"
            f" it by {span(absent)}, attacked or not."
        )
    clear = table[table["attack"].isin(TARGETED)]
    wrong = int(((clear["mar"] > 0) | (clear["far"] > 0)).sum())
    low, high = exact_interval(wrong, len(clear))
    rounds = len(clear[["seed", "round"]].drop_duplicates())
    lines.append(
        f"- **Under the attacks of which it may miss 1%** it errs in {wrong} of {len(clear)}"
        f" attacked rounds ({low:.1%} to {high:.1%}), with {clear['c'].min()} to {clear['c'].max()}"
        f" attackers among {clear['k'].min()} to {clear['k'].max()} clients. All were made of"
        f" {rounds} trained round{'s' * (rounds != 1)}, so that they are far"
        " from independent."
    )
    return "\n".join(lines)


def _and(names: pd.Series) -> str:
    return " and ".join(dict.fromkeys(names))
