"""Every attack against every detector: one picture, and what it says in sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pandas.io.formats.style import Styler

from pdrr.book.alignment import styled
from pdrr.book.drawing import Drawing
from pdrr.book.readings import shown
from pdrr.book.style import BESIDE, COOL, GREY, GRID, INK, ON_CELL, WARM, fading
from pdrr.claims.words import listed, seconds, short, span
from pdrr.core.rules import DEFENDED, in_words
from pdrr.experiments.attacking import NOBODY
from pdrr.experiments.matrix import Way
from pdrr.experiments.records import Records
from pdrr.experiments.schemes import OURS, known

KEYS = ("attack", "knowledge", "noise")
CLONES = (
    "alie",
    "ipm",
    "mimic",
    *(f"min_{x}{y}" for x in ("max", "sum") for y in ("", "_std", "_sign")),
)
GROUPS = ("the paper's attacks", "clones inside the cloud", "others")
HARM = 0.01  # of the accuracy, below which an attack does none
INVERTED = 0.1  # an AUC below it ranks the benign models as the suspicious ones
WORST = "the worst of those that do damage"
KEY = (
    ("■", COOL, "AUC 1, sees"),
    ("□", INK, "AUC 0.5, blind"),
    ("■", WARM, "AUC 0, inverted"),
    ("●", INK, "flags exactly the attackers"),
    ("▲", INK, "flags benign models"),
    ("✕", INK, "misses attackers"),
)
COLOURS = fading(WARM, COOL)


def cells(records: Records) -> pd.DataFrame:
    """A row for each attack and detector: means over the rounds and seeds in which it was made.

    Columns: group, row (in words), scheme, n (rounds), far, mar, auc, seconds; `faultless` where no
    round has an error, `silent` where nobody is flagged in any. Rounds in which an attack found
    no model are left out: honest models were sent.
    """
    table = _named(records.table).merge(_made(records), how="inner")
    keys = ["group", "row", "attack", "scheme"]
    table = table.assign(
        faultless=(table["far"] == 0) & (table["mar"] == 0), silent=table["flagged"] == 0
    )
    means = {name: (name, "mean") for name in ("far", "mar", "auc", "seconds")}
    every = {name: (name, "all") for name in ("faultless", "silent")}
    return table.groupby(keys, sort=False).agg(n=("far", "size"), **means, **every).reset_index()


def harm(records: Records) -> pd.DataFrame:
    """Mean accuracy that each attack costs each rule, where it was made: index row, columns rules.

    `most` is that of the rule that suffers most.
    """
    runs = _named(records.runs)
    runs = runs[(runs["attack"] != NOBODY) & (runs["succeeded"] == 1)]
    lost = runs.assign(lost=runs["accuracy_spared"] - runs["accuracy"])
    wide = lost.pivot_table(index="row", columns="rule", values="lost", sort=False)
    return wide.assign(most=wide.max(axis=1))


def worst(records: Records) -> pd.DataFrame:
    """The smallest mean AUC of each detector with the attack behind it, best detector first.

    Over the attacks that cost some rule `HARM` of accuracy or more; over all if none does. Index
    scheme, columns auc, row.
    """
    found = cells(records)
    found = found[found["attack"] != NOBODY]
    lost = harm(records)["most"]
    harmful = found[found["row"].isin(lost.index[lost >= HARM])]
    found = harmful if len(harmful) else found
    lowest = found.loc[found.groupby("scheme", sort=False)["auc"].idxmin()]
    return lowest.set_index("scheme")[["auc", "row"]].sort_values(
        "auc", ascending=False, kind="stable"
    )


def matrix(records: Records) -> Drawing:
    """Mean AUC of every detector under every attack: a panel for each group, the worst case first.

    Best detector on top. A dot: exactly the attackers are flagged, in every round. A triangle:
    benign models are flagged; a cross: attackers are missed. Attacks that do no damage stand in
    grey.

    Parameters
    ----------
    records : Records
        Of `experiments.against`.
    """
    found, last = cells(records), worst(records)
    attacked = found[found["attack"] != NOBODY]
    detectors, lost = list(last.index), harm(records)["most"]
    harmful = set(lost.index[lost >= HARM])
    panels = {}
    with mpl.rc_context({**BESIDE, "axes.grid": False}):
        panels[WORST] = _figure(detectors)
        ax = panels[WORST].subplots()
        _heat(ax, last[["auc"]])
        for y, (value, row) in enumerate(zip(last["auc"], last["row"], strict=True)):
            number = short(round(value, 2))
            ax.text(0, y, number, color=ON_CELL, ha="center", va="center", fontsize=9)
            ax.text(0.65, y, str(row), va="center", fontsize=9)
        ax.set(xlim=(-0.5, LETTERS + 0.5), xticks=[])
        ax.set_title(WORST)
        for group in GROUPS:
            own = attacked[attacked["group"] == group]
            if own.empty:
                continue
            wide = own.pivot_table(index="scheme", columns="row", values="auc", sort=False)
            attacks = [str(name) for name in wide]
            panels[group] = _figure(detectors)
            ax = panels[group].subplots()
            _heat(ax, wide.reindex(detectors))
            _marks(ax, own, detectors, attacks)
            ax.xaxis.tick_top()
            ax.set_xticks(range(len(attacks)), attacks, rotation=60, ha="left", fontsize=9)
            for label in ax.get_xticklabels():
                label.set_color(INK if label.get_text() in harmful else GREY)
            ax.set_xlabel(group, weight="bold")
    return Drawing(panels, records.table, key=KEY)


def _figure(detectors: Sequence[str]) -> Figure:
    return Figure(figsize=(4.4, 0.25 * len(detectors) + 2.2), layout="constrained")


LETTERS = 8  # columns of a panel that are the name of an attack
DOT: dict[str, Any] = {"color": ON_CELL, "ls": "", "marker": "o", "ms": 3.5}
ALARM: dict[str, Any] = {"color": ON_CELL, "ls": "", "marker": "^", "ms": 3.5}
MISS: dict[str, Any] = {"color": ON_CELL, "ls": "", "marker": "x", "ms": 4, "mew": 1.1}


def _heat(ax: Axes, wide: pd.DataFrame) -> None:
    ax.imshow(wide.to_numpy(), cmap=COLOURS, vmin=0, vmax=1, aspect="auto")
    ax.set_yticks(range(len(wide)), list(wide.index), fontsize=9)
    ax.set_xticks([])
    ax.tick_params(length=0)
    for edge in np.arange(wide.shape[1] + 1) - 0.5:
        ax.vlines(edge, -0.5, len(wide) - 0.5, color=GRID, lw=0.8)
    for edge in np.arange(len(wide) + 1) - 0.5:
        ax.hlines(edge, -0.5, wide.shape[1] - 0.5, color=GRID, lw=0.8)
    ax.spines[:].set_visible(False)


def _marks(ax: Axes, own: pd.DataFrame, rows: Sequence[str], columns: Sequence[str]) -> None:
    for cell in own.to_dict("records"):
        if not flags(cell["scheme"]):
            continue
        x, y = columns.index(cell["row"]), rows.index(cell["scheme"])
        if cell["faultless"]:
            ax.plot(x, y, **DOT)
        if cell["far"] > 0:
            ax.plot(x - 0.2, y, **ALARM)
        if cell["mar"] > 0:
            ax.plot(x + 0.2, y, **MISS)


def rates_tables(records: Records) -> list[Styler]:
    """FAR, and MAR below it, of each detector that flags: a table for each group of attacks.

    Best detector first, a column for each attack; the first table begins with what is flagged where
    nobody attacks.
    """
    found = cells(records)
    quiet = found["attack"] == NOBODY
    schemes = [scheme for scheme in worst(records).index if flags(scheme)]
    tables: list[Styler] = []
    for group in GROUPS:
        own = found[(found["group"] == group) & ~quiet]
        if own.empty:
            continue
        if not tables:
            own = pd.concat([found[quiet], own])
        columns: dict[str, dict[str, str]] = {}
        for cell in own[own["scheme"].isin(schemes)].to_dict("records"):
            calm = cell["attack"] == NOBODY
            mar = "–" if calm else short(round(cell["mar"], 2))
            text = f"{short(round(cell['far'], 2))}<br>{mar}"
            if cell["silent" if calm else "faultless"]:
                text = f"<b>{text}</b>"
            columns.setdefault(cell["row"], {})[cell["scheme"]] = text
        table = styled(
            pd.DataFrame(columns).reindex(schemes).fillna("–"), "schemes numbers upright"
        )
        tables.append(table.set_caption(f"{group[0].upper()}{group[1:]}."))
    return tables


def seconds_table(records: Records) -> Styler:
    """What each detector takes to judge a round: median and longest."""
    taken = records.table.groupby("scheme", sort=False)["seconds"]
    rows = {
        str(scheme): {"median": seconds(own.median()), "longest": seconds(own.max())}
        for scheme, own in taken
    }
    return shown(rows)


def findings(records: Records) -> str:
    """What the matrix says, in sentences, as Markdown."""
    found, last, lost = cells(records), worst(records), harm(records)
    attacked, quiet = (found[(found["attack"] == NOBODY) == calm] for calm in (False, True))
    total = attacked["row"].nunique()
    lines = [_worst_cases(last, len(lost.index[lost["most"] >= HARM]), total)]
    for rule in DEFENDED:
        own = attacked[attacked["scheme"] == f"{OURS} ({in_words(rule)})"]
        if own.empty:
            continue
        upside = own.loc[own["auc"] < INVERTED, "row"].tolist()
        names = f": {', '.join(upside)}" if upside else ""
        lines.append(
            f"- **{OURS} ({in_words(rule)})** is inverted, AUC below {short(INVERTED)}, under"
            f" {len(upside)} of {total} attacks{names}. It flags exactly the attackers under"
            f" {int(own['faultless'].sum())}."
        )
    exact = attacked[attacked["scheme"].map(flags)].groupby("scheme", sort=False)["faultless"].sum()
    exact = exact.sort_values(ascending=False, kind="stable")
    most = ", ".join(f"{scheme} {count}" for scheme, count in exact.head(4).items())
    lines.append(f"- **Faultless**, in every round: {most} of {total} attacks.")
    flagging = quiet[quiet["scheme"].map(flags)]
    if len(flagging):
        calm = flagging.loc[flagging["silent"], "scheme"].tolist()
        loud = flagging.loc[~flagging["silent"]]
        rest = f" The others flag {span(loud['far'], '{:.0%}')} of the models." if len(loud) else ""
        lines.append(f"- **Nobody attacks**: {_list(calm)} flag nobody in any round.{rest}")
    harmless = lost.index[lost["most"] < HARM].tolist()
    lines.append(
        f"- **No damage**, less than {short(HARM)} of accuracy for any rule: {_list(harmless)}."
    )
    return "\n".join(lines)


def _worst_cases(last: pd.DataFrame, harmful: int, total: int) -> str:
    over = f"the {harmful} of {total} attacks that do damage" if harmful else f"all {total} attacks"
    best = last.iloc[0]
    pdrr = last[last.index.str.startswith(OURS)]
    second = f", then {last.index[1]}, {short(last['auc'].iloc[1])}" if len(last) > 1 else ""
    ours = ""
    if len(pdrr):
        ours = (
            f" Worst of {OURS}: {_list([f'{name} {short(x)}' for name, x in pdrr['auc'].items()])}."
        )
    return (
        f"- **Worst case** over {over}: {last.index[0]} has the best, AUC {short(best['auc'])}"
        f" ({best['row']}){second}.{ours}"
    )


def _list(words: Sequence[str]) -> str:
    return listed(words) if words else "none"


# parts


def flags(scheme: str) -> bool:
    """Whether a detector, as records name it, ever flags."""
    return (
        known()[scheme.partition(" (")[0] if scheme.startswith(OURS) else scheme].flags != "nobody"
    )


def _named(frame: pd.DataFrame) -> pd.DataFrame:
    """With the attack in words and its group."""
    frame = frame.assign(noise=frame["noise"].astype(object).fillna(""))
    ways = {key: _words(*key) for key in frame[list(KEYS)].itertuples(index=False, name=None)}
    keys = list(frame[list(KEYS)].itertuples(index=False, name=None))
    groups = [_group(attack) for attack, *_ in keys]
    frame = frame.assign(row=[ways[key] for key in keys], group=groups)
    order = [GROUPS.index(group) for group in groups]
    return frame.assign(order=order).sort_values("order", kind="stable").drop(columns="order")


def _words(attack: str, knowledge: str, noise: str) -> str:
    words = Way(attack, knowledge, "", noise).words
    if attack == NOBODY:
        return words
    words = words.replace(" attack", "").removeprefix("attack on ")
    several = attack in DEFENDED or attack == "alie"
    return f"{words} ({knowledge})" if several else words


def _group(attack: str) -> str:
    if attack in DEFENDED:
        return GROUPS[0]
    return GROUPS[1] if attack in CLONES else GROUPS[2]


def _made(records: Records) -> pd.DataFrame:
    """The rounds in which an attack found a model, or nobody attacked."""
    runs = _named(records.runs)
    made = runs[(runs["succeeded"] == 1) | (runs["attack"] == NOBODY)]
    return made[["seed", "round", "c", "k", "row"]].drop_duplicates()
