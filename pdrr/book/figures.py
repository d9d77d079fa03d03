"""One function per figure: records in, drawing out. Nothing is computed here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, Formatter, MaxNLocator, MultipleLocator, ScalarFormatter

from pdrr.book.drawing import Drawing
from pdrr.book.style import (
    BENIGN,
    BESIDE,
    GREEN,
    GRID,
    INK,
    KEY,
    LINE,
    MALICIOUS,
    MARKS,
    PAPER,
    RED,
    STYLE,
)
from pdrr.book.suitable import fig11 as fig11
from pdrr.claims.words import interval, typeset
from pdrr.core.rules import in_words
from pdrr.experiments.attacking import attacks
from pdrr.experiments.records import Records
from pdrr.experiments.schemes import OURS, in_order, known

PANEL = {**STYLE, "font.size": 10.5}  # of a panel that stands alone
ALONE, SMALL = (5.0, 3.1), (4.3, 2.7)  # inches


def fig02(records: Records) -> Drawing:
    """First and second parameter of each model under the attack on Krum (Fig. 2)."""
    table, run = records.table, records.runs.iloc[0]
    clients = {bad: dict(MARKS[bad], ms=5.5, mec=PAPER, mew=0.8) for bad in MARKS}
    models: dict[str, dict[str, Any]] = {
        "previous global": {"color": RED, "marker": "+", "ms": 13, "mew": 2},
        "next global": {"color": GREEN, "marker": "D", "ms": 7},
        "next global, attacked": {"mfc": "none", "mec": INK, "marker": "o", "ms": 14, "mew": 1.2},
    }
    with mpl.rc_context({**BESIDE, "axes.grid.axis": "both"}):
        whole, zoom = (
            Figure((4.3, 3.5), layout="constrained"),
            Figure((4.3, 3.5), layout="constrained"),
        )
        ax, near = whole.subplots(), zoom.subplots()
        for bad, kind in ((False, "benign"), (True, "malicious")):
            points = table[table["model"] == kind]
            ax.plot(points["first"], points["second"], **clients[bad])
        for model, style in models.items():
            points = table[table["model"] == model]
            ax.plot(points["first"], points["second"], ls="", zorder=6, **style)
        malicious = table[table["model"] == "malicious"][["first", "second"]]
        away = (malicious - malicious.iloc[0]) / run["epsilon"]
        near.plot(away["first"], away["second"], **clients[True])
        ax.set(xlabel="first parameter", ylabel="second parameter")
        ax.set_title(f"round {run['round']}, {run['knowledge']} knowledge, c = {run['c']}")
        near.set(xlabel="first, from w′₁, in ε", ylabel="second, from w′₁, in ε")
        near.set_title(typeset(f"the malicious ones; ε = {run['epsilon']:g}"))
        for each in (ax, near):
            each.grid(visible=True, color=GRID, zorder=0)
            each.xaxis.set_major_locator(MaxNLocator(4))
            each.tick_params(axis="x", rotation=30)
    number = table["model"].value_counts()
    key = [
        ("■", MALICIOUS, f"malicious ({number['malicious']})"),
        ("●", BENIGN, f"benign ({number['benign']})"),
        ("+", RED, "previous global model"),
        ("◆", GREEN, "next one, nobody attacking"),
        ("◯", INK, "next one, attacked"),
    ]
    return Drawing({"all models": whole, "the malicious ones": zoom}, table, key=key)


def fig04(records: Records) -> Drawing:
    """Pearson correlation of each model's sign vector with the pre-aggregated one (Fig. 4)."""
    return _clients(records, "correlation $\\rho_i$", ScalarFormatter())


def fig05(records: Records) -> Drawing:
    """Trimmed values of each model, over all coordinates (Fig. 5)."""
    return _clients(records, "trimmed values $n_i^c$, all coordinates", EngFormatter(sep=""))


def fig06(records: Records) -> Drawing:
    """Trimmed values of each model, without zero-change coordinates (Fig. 6)."""
    return _clients(records, "trimmed values $n_i^c$", EngFormatter(sep=""))


def fig07(records: Records) -> Drawing:
    """Remained values of each model, without zero-change coordinates (Fig. 7)."""
    return _clients(records, "remained values $n_i^r$", EngFormatter(sep=""), few_is_bad=True)


def fig08(records: Records) -> Drawing:
    """What each scheme measures of each client under the attack on Krum (Fig. 8)."""
    return _under_attack(records, "krum")


def fig09(records: Records) -> Drawing:
    """The same under the attack on the trimmed mean (Fig. 9)."""
    return _under_attack(records, "trimmed_mean")


def fig10(records: Records) -> Drawing:
    """The same under the attack on the median (Fig. 10)."""
    return _under_attack(records, "median")


def overview(parts: Mapping[str, Records]) -> Drawing:
    """Suspicion score of every client under the attack on each rule, side by side.

    Above the panels the setting, which has to be the same for all; in each of them the range of q
    that would have worked.
    """
    settings = {_setting(records) for records in parts.values()}
    if len(settings) != 1:
        raise ValueError(f"the overview needs one setting for all rules, got {sorted(settings)}")
    panels = {}
    with mpl.rc_context(BESIDE):
        for rule, records in parts.items():
            table, run = records.table, records.runs.iloc[0]
            panels[rule] = Figure(figsize=(4.3, 3.5), layout="constrained")
            ax = panels[rule].subplots()
            _lollipops(ax, table, "score", _flagged(table, run))
            ax.set_ylim(min(-0.05, 1.1 * table["score"].min()), 1.05)
            _threshold_line(ax, run["q"], run["q"])
            beta = f" (β = {run['beta']:g})" if np.isfinite(run["beta"]) else ""
            rates = f"FAR {run['far']:.2f}, MAR {run['mar']:.2f}, q = {run['q']:g}"
            suitable = f"suitable q: {interval(float(run['q_low']), float(run['q_high']))}"
            ax.set_title(f"{rule}{beta}\n{rates}\n{suitable}", pad=22)
            ax.set_ylabel("suspicion score")
    data = pd.concat([each.table for each in parts.values()], ignore_index=True)
    return Drawing(panels, data, settings.pop(), KEY)


def _setting(records: Records) -> str:
    """Where the attacked round of one run stands, in words."""
    run = records.runs.iloc[0]
    return (
        f"c = {run['c']} of k = {len(records.table)} clients compromised,"
        f" {run['knowledge']} knowledge, round {run['round']}, seed {run['seed']}"
    )


def _clients(
    records: Records, what: str, formatter: Formatter, few_is_bad: bool = False
) -> Drawing:
    """The statistic of each client, with the thresholds that separate the two kinds."""
    table, run = records.table, records.runs.iloc[0]
    if len(records.runs) != 1:
        raise ValueError(f"such a figure shows one run, got {len(records.runs)}: choose with where")
    with mpl.rc_context(PANEL):
        figure = Figure(figsize=ALONE, layout="constrained")
        ax = figure.subplots()
        _lollipops(ax, table, "statistic", _flagged(table, run))
        top = table["statistic"].max()
        low, high = float(run["q_low"]), float(run["q_high"])
        edge = _threshold(run["q"], top, few_is_bad)
        if np.isfinite(low):
            ends = _threshold(low, top, few_is_bad), _threshold(high, top, few_is_bad)
            ax.axhspan(*ends, color=GREEN, alpha=0.18, zorder=1, lw=0)
            middle, room = sum(ends) / 2, 0.2 * np.diff(ax.get_ylim())[0]
            if abs(middle - edge) < room:
                middle = edge + (room if middle >= edge else -room)
            _beside(ax, middle, f"suitable\nq: {low:.2f}\nto {high:.2f}", GREEN)
        _threshold_line(ax, edge, run["q"])
        ax.yaxis.set_major_formatter(formatter)
        ax.set_ylabel(what, fontsize=11.8)  # for its small letters on a phone
        ax.set_title(
            f"{run['knowledge']} knowledge, c = {run['c']}, round {run['round']}:"
            f" FAR {run['far']:.2f}, MAR {run['mar']:.2f}{_failed(run).replace('; ', chr(10))}",
            pad=22,
        )
    return Drawing({what: figure}, table, key=KEY)


def _under_attack(records: Records, rule: str) -> Drawing:
    """The panels, if they are those of one rule."""
    alike = (records.runs["rule"] == rule).all()
    if not alike or records.runs["scheme"].duplicated().any():
        raise ValueError(f"the panels show one round under the attack on {rule}: choose with where")
    return scheme_panels(records)


def scheme_panels(records: Records) -> Drawing:
    """A panel for each scheme, PDRR first: the statistic of each client, filled if flagged.

    Parameters
    ----------
    records : Records
        Of `experiments.one_round`: one round and one reading of each scheme, of any number of
        them. A scheme that only counts the votes of others has no panel.
    """
    runs, entries = records.runs, known()
    names = [name for name in in_order(runs["scheme"]) if entries[name].flags != "votes"]
    if runs["scheme"].duplicated().any() or not names:
        raise ValueError("the panels show one attacked round: choose with where")
    first, panels = runs.iloc[0], {}
    rule = str(first["rule"])
    with mpl.rc_context(BESIDE):
        for scheme in sorted(names, key=lambda name: name != OURS):
            table = records.table[records.table["scheme"] == scheme]
            run = runs[runs["scheme"] == scheme].iloc[0]
            panels[scheme] = Figure(figsize=SMALL, layout="constrained")
            ax = panels[scheme].subplots()
            scale = _scale(ax, table["statistic"])
            _lollipops(ax, table, "statistic", table["flagged"], stems="not from 0" not in scale)
            if np.isfinite(run["q"]):
                low = rule in entries[scheme].low
                _threshold_line(ax, _threshold(run["q"], table["statistic"].max(), low), run["q"])
            ax.set_ylabel(entries[scheme].label(rule) + scale)
            ax.set_title(f"{scheme}: FAR {run['far']:.2f}, MAR {run['mar']:.2f}", pad=22)
    title = (
        f"{in_words(rule, first['beta'])} under {_attack(first)}, {first['knowledge']} knowledge,"
        f" c = {first['c']}, round {first['round']}{_failed(first)}"
    )
    return Drawing(panels, records.table, title, KEY)


# parts of a panel


def _lollipops(
    ax: Axes, table: pd.DataFrame, column: str, flagged: pd.Series, *, stems: bool = True
) -> None:
    """A mark for each client, hollow unless flagged, on a stem from 0; the kinds' names above."""
    for bad, style in MARKS.items():
        for filled in (True, False):
            part = table[(table["byzantine"] == bad) & (flagged == filled)]
            face = style["color"] if filled else PAPER
            ax.plot(part["client"], part[column], **style, mfc=face, clip_on=False)
            if stems:
                line = {"color": style["color"], "lw": 1.4 if bad else 1, "zorder": 3}
                ax.vlines(part["client"], 0, part[column], **line)
        clients = table["client"][table["byzantine"] == bad]
        if len(clients):
            ax.text(
                clients.mean(),
                1.04,
                f"{len(clients)} {'malicious' if bad else 'benign'}",
                color=style["color"],
                weight="bold",
                ha="center",
                transform=ax.get_xaxis_transform(),
            )
    if stems:
        ax.axhline(0, color=INK, lw=0.8, zorder=2)
    ax.set(xlabel="client", xlim=(0.3, len(table) + 0.7))
    ax.xaxis.set_major_locator(MultipleLocator(10 if len(table) >= 20 else 1))
    ax.grid(visible=True, axis="y", color=GRID, zorder=0)


def _threshold_line(ax: Axes, height: float, q: float) -> None:
    ax.axhline(height, **LINE, zorder=6)
    _beside(ax, height, f"q = {q:g}", INK)


def _beside(ax: Axes, height: float, words: str, colour: str) -> None:
    """Words to the right of the panel."""
    ax.text(1.02, height, words, color=colour, va="center", transform=ax.get_yaxis_transform())


def _flagged(table: pd.DataFrame, run: pd.Series) -> pd.Series:
    return table["flagged"] if "flagged" in table else table["score"] >= run["q"]


def _scale(ax: Axes, statistic: pd.Series) -> str:
    """Choose a scale on which every mark can be seen; what has to be said of it in the panel."""
    typical, largest = statistic.abs().median(), statistic.abs().max()
    if largest == 0:
        ax.set(ylim=(-1, 1), yticks=[0])
        return "\n(0 for every client)"
    if largest < 1e-3:
        power = int(np.floor(np.log10(largest)))
        ax.yaxis.set_major_formatter(lambda value, _: typeset(f"{value / 10.0**power:g}"))
        return f" ($10^{{{power}}}$)"
    if typical > 0 and largest > 50 * typical:
        ax.set_yscale("symlog", linthresh=typical)
        return "\n(log scale)"
    low, high = statistic.min(), statistic.max()
    if low > 0.8 * high > 0:
        ax.set_ylim(low - 0.15 * (high - low), high + 0.05 * (high - low))
        return "\n(axis not from 0)"
    if largest >= 10_000:
        ax.yaxis.set_major_formatter(EngFormatter(sep=""))
    return ""


def _threshold(q: float, top: float, few_is_bad: bool) -> float:
    """lambda_D of the paper's sections 4.1 to 4.3, from the largest statistic."""
    return float((1 - q) * top if few_is_bad else q * top)


def _attack(run: pd.Series) -> str:
    """The attack in words; the one made for the rule needs no name."""
    if run["attack"] == run["rule"]:
        return "attack"
    entry = attacks().get(run["attack"])
    return f"the {entry.words}" if entry else "no attack"


def _failed(run: pd.Series) -> str:
    """What a title has to say if there was no attack that won."""
    if not run["succeeded"]:
        return "; no λ found, so honest models were sent"
    return "; Krum selects a benign model all the same" if run["selected"] == "benign" else ""
