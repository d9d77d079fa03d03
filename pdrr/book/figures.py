"""One function per figure: records in, matplotlib figure out. Nothing is computed here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import EngFormatter, Formatter, MultipleLocator, ScalarFormatter

from pdrr.book.style import BENIGN, FLAGGED, GREEN, LINE, MALICIOUS, NONE, RED, STYLE
from pdrr.core.rules import in_words
from pdrr.experiments.attacking import attacks
from pdrr.experiments.records import Records
from pdrr.experiments.schemes import OURS, in_order, known


def fig02(records: Records) -> Figure:
    """First and second parameter of each model under the attack on Krum (Fig. 2)."""
    table = records.table
    run = records.runs.iloc[0]
    filled = {"edgecolor": "white", "lw": 1}
    marks: dict[str, dict[str, Any]] = {
        "benign": {"color": BENIGN, "marker": "o", "s": 36, "zorder": 3, **filled},
        "malicious": {"color": MALICIOUS, "marker": "o", "s": 36, "zorder": 5, **filled},
        "previous global": {"color": RED, "marker": "s", "s": 110, "zorder": 3, **filled},
        "next global": {"color": GREEN, "marker": "D", "s": 80, "zorder": 3, **filled},
        "next global, attacked": {"facecolor": "none", "edgecolor": "black", "s": 220, "zorder": 3},
    }
    with mpl.rc_context({**STYLE, "axes.grid.axis": "both"}):
        figure = Figure(figsize=(9, 4.4), layout="constrained")
        ax, zoom = figure.subplots(1, 2, width_ratios=[2, 1])
        for model, style in marks.items():
            points = table[table["model"] == model]
            number = f" ({len(points)})" if len(points) > 1 else ""
            ax.scatter(points["first"], points["second"], label=model + number, **style)
        ax.set(xlabel="first parameter", ylabel="second parameter")
        ax.set_title(
            f"round {run['round']}, {run['knowledge']} knowledge, c = {run['c']}:"
            f" λ = {run['lambda']:.2g}"
        )
        malicious = table[table["model"] == "malicious"][["first", "second"]]
        away = (malicious - malicious.iloc[0]) / run["epsilon"]
        zoom.scatter(away["first"], away["second"], **marks["malicious"])
        zoom.set(xlabel="first, from $w'_1$, in ε", ylabel="second, from $w'_1$, in ε")
        zoom.set_title(f"the malicious models, ε = {run['epsilon']:g}")
        for each in (ax, zoom):
            each.grid(visible=True, color="#dddddd", zorder=0)
            each.tick_params(axis="x", rotation=30)
        figure.legend(loc="outside lower center", ncols=3)
    return figure


def fig04(records: Records) -> Figure:
    """Pearson correlation of each model's sign vector with the pre-aggregated one (Fig. 4)."""
    return _client_bars(records, "correlation $\\rho_i$", ScalarFormatter())


def fig05(records: Records) -> Figure:
    """Trimmed values of each model, over all coordinates (Fig. 5)."""
    return _client_bars(records, "trimmed values $n_i^c$, all coordinates", EngFormatter())


def fig06(records: Records) -> Figure:
    """Trimmed values of each model, without zero-change coordinates (Fig. 6)."""
    return _client_bars(records, "trimmed values $n_i^c$", EngFormatter())


def fig07(records: Records) -> Figure:
    """Remained values of each model, without zero-change coordinates (Fig. 7)."""
    return _client_bars(records, "remained values $n_i^r$", EngFormatter(), few_is_bad=True)


def fig08(records: Records) -> Figure:
    """What each scheme measures of each client under the attack on Krum (Fig. 8)."""
    return _under_attack(records, "krum")


def fig09(records: Records) -> Figure:
    """The same under the attack on the trimmed mean (Fig. 9)."""
    return _under_attack(records, "trimmed_mean")


def fig10(records: Records) -> Figure:
    """The same under the attack on the median (Fig. 10)."""
    return _under_attack(records, "median")


def fig11(records: Records) -> Figure:
    """Suitable q of PDRR in every measured round, full and partial knowledge (Fig. 11).

    A panel for each rule, and for each beta and each noise if there are several. A bar is one run,
    from the largest benign score to the smallest malicious one; seeds stand side by side.
    """
    runs = records.runs[records.runs["scheme"] == OURS]
    groups: Any = list(runs.groupby(["rule", "beta", "noise"], dropna=False, sort=False))
    kinds: dict[str, dict[str, Any]] = {
        "full": {"facecolor": GREEN, "edgecolor": GREEN},
        "partial": {"facecolor": "white", "edgecolor": GREEN, "hatch": "//////"},
    }
    rounds = sorted(runs["round"].unique())
    width = 0.38 / max(2, runs["seed"].nunique())  # of a bar; full left of the tick, partial right
    with mpl.rc_context({**STYLE, "hatch.linewidth": 1.5}):
        figure = Figure(figsize=(9, 4.0), layout="constrained")
        panels = figure.subplots(1, len(groups), sharey=True, squeeze=False)[0]
        for ax, ((rule, beta, noise), group) in zip(panels, groups, strict=True):
            for left, (knowledge, style) in zip((True, False), kinds.items(), strict=True):
                known = group[group["knowledge"] == knowledge]
                for number, here in known.groupby("round"):
                    start = rounds.index(number) + (-0.02 - len(here) * width if left else 0.02)
                    x = start + width * (np.arange(len(here)) + 0.5)
                    low, high = here["q_low"].to_numpy(float), here["q_high"].to_numpy(float)
                    some = np.isfinite(low)
                    span = {"height": (high - low)[some], "bottom": low[some]}
                    ax.bar(x[some], width=0.7 * width, **span, **style, zorder=3)
                    ax.scatter(x[~some], np.zeros((~some).sum()), **NONE, clip_on=False, zorder=5)
            ax.axhline(group["q"].iloc[0], **LINE, zorder=4)
            ax.set(xlabel="round", xlim=(-0.6, len(rounds) - 0.4), ylim=(0, 1.02))
            ax.set_xticks(range(len(rounds)), [str(number) for number in rounds])
            ax.grid(visible=True, axis="y", color="#dddddd", zorder=0)
            other = noise == "coordinate"
            ax.set_title(in_words(rule, beta) + (", noise per coordinate" if other else ""))
        panels[0].set_ylabel("suitable q")
        handles: list[Any] = [
            Patch(label=f"{knowledge} knowledge", **style) for knowledge, style in kinds.items()
        ]
        handles += [
            Line2D([], [], **LINE, label="q in use"),
            ax.scatter([], [], **NONE, label="no q separates"),
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=4)
    return figure


def overview(parts: Mapping[str, Records]) -> Figure:
    """Suspicion score of every client under the attack on each rule, side by side.

    Above the panels the setting, which has to be the same for all; in each of them how far q lies
    from both ends of the range that would have worked.
    """
    settings = {_setting(records) for records in parts.values()}
    if len(settings) != 1:
        raise ValueError(f"the overview needs one setting for all rules, got {sorted(settings)}")
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10, 4.1), layout="constrained")
        panels = figure.subplots(1, len(parts), sharey=True, squeeze=False)[0]
        for ax, (rule, records) in zip(panels, parts.items(), strict=True):
            table, run = records.table, records.runs.iloc[0]
            colours = [MALICIOUS if bad else BENIGN for bad in table["byzantine"]]
            ax.bar(table["client"], table["score"], color=colours, width=0.8, zorder=3)
            ax.axhline(run["q"], color="black", lw=1, ls="--", zorder=4)
            _client_axis(ax, len(table))
            beta = f" (β = {run['beta']:g})" if np.isfinite(run["beta"]) else ""
            rates = f"FAR {run['far']:.2f}, MAR {run['mar']:.2f}, q = {run['q']:g}"
            ax.set_title(f"{rule}{beta}\n{rates}\n{_margin(run)}")
            ax.axhline(0, color="black", lw=0.8, zorder=4)
        panels[0].set_ylabel("suspicion score")
        kinds = [Patch(color=MALICIOUS, label="malicious"), Patch(color=BENIGN, label="benign")]
        line = Line2D([], [], color="black", lw=1, ls="--", label="threshold q")
        figure.legend(handles=[*kinds, line], loc="outside lower center", ncols=3)
        figure.suptitle(settings.pop(), fontsize="medium")
    return figure


def _setting(records: Records) -> str:
    """Where the attacked round of one run stands, in words."""
    run = records.runs.iloc[0]
    return (
        f"c = {run['c']} of k = {len(records.table)} clients compromised,"
        f" {run['knowledge']} knowledge, round {run['round']}, seed {run['seed']}"
    )


def _margin(run: pd.Series) -> str:
    """Where the suitable range begins and ends, seen from the threshold in use."""
    low, high = float(run["q_low"]) - run["q"], float(run["q_high"]) - run["q"]
    if not np.isfinite(low):
        return "no q separates"
    ends = [f"q {'+' if end >= 0 else '−'} {abs(end):.3f}" for end in (low, high)]
    return f"suitable from {ends[0]} to {ends[1]}"


def _client_bars(
    records: Records, ylabel: str, formatter: Formatter, few_is_bad: bool = False
) -> Figure:
    """The statistic of each client as bars, with the thresholds that separate the two kinds."""
    table, run = records.table, records.runs.iloc[0]
    if len(records.runs) != 1:
        raise ValueError(f"a bar figure shows one run, got {len(records.runs)}: choose with where")
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 3.6), layout="constrained")
        ax = figure.subplots()
        colours = [MALICIOUS if bad else BENIGN for bad in table["byzantine"]]
        ax.bar(table["client"], table["statistic"], color=colours, width=0.8, zorder=3)
        top = table["statistic"].max()
        low, high = float(run["q_low"]), float(run["q_high"])
        handles = [Patch(color=MALICIOUS, label="malicious"), Patch(color=BENIGN, label="benign")]
        if np.isfinite(low):
            edges = _threshold(low, top, few_is_bad), _threshold(high, top, few_is_bad)
            ax.axhspan(*edges, color=GREEN, alpha=0.18, zorder=1, lw=0)
            label = f"suitable q: ({low:.2f}, {high:.2f}]"
            handles.append(Patch(color=GREEN, alpha=0.18, label=label))
        line = ax.axhline(
            _threshold(run["q"], top, few_is_bad), **LINE, zorder=4, label=f"q = {run['q']:g}"
        )
        _client_axis(ax, len(table))
        ax.yaxis.set_major_formatter(formatter)
        ax.set_ylabel(ylabel)
        ax.set_title(
            f"{run['knowledge']} knowledge, c = {run['c']}, round {run['round']}:"
            f" FAR {run['far']:.2f}, MAR {run['mar']:.2f}{_failed(run)}"
        )
        figure.legend(handles=[*handles, line], loc="outside lower center", ncols=4)
    return figure


def _under_attack(records: Records, rule: str) -> Figure:
    """The panels, if they are those of one rule."""
    alike = (records.runs["rule"] == rule).all()
    if not alike or records.runs["scheme"].duplicated().any():
        raise ValueError(f"the panels show one round under the attack on {rule}: choose with where")
    return scheme_panels(records)


def scheme_panels(records: Records) -> Figure:
    """A panel for each scheme: the statistic of each client as bars, a mark over the flagged.

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
    first = runs.iloc[0]
    rule, lines = str(first["rule"]), -(-(len(names) + 1) // 2)
    with mpl.rc_context(STYLE):
        thresholds: list[Line2D] = []
        figure = Figure(figsize=(9, 2.8 * lines), layout=ConstrainedLayoutEngine(h_pad=0.1))
        *panels, legend = figure.subplots(lines, 2).flat
        for ax in panels[len(names) :]:
            ax.axis("off")
        for ax, scheme in zip(panels, names, strict=False):
            table = records.table[records.table["scheme"] == scheme]
            run = runs[runs["scheme"] == scheme].iloc[0]
            colours = [MALICIOUS if bad else BENIGN for bad in table["byzantine"]]
            ax.bar(table["client"], table["statistic"], color=colours, width=0.8, zorder=3)
            ax.axhline(0, color="black", lw=0.8, zorder=4)
            flagged = table["client"][table["flagged"]]
            over = {"transform": ax.get_xaxis_transform(), "clip_on": False}
            ax.plot(flagged, np.full(len(flagged), 1.03), **FLAGGED, **over)
            if np.isfinite(run["q"]):
                edge = _threshold(run["q"], table["statistic"].max(), rule in entries[scheme].low)
                label = f"{scheme}: q = {run['q']:g}"
                thresholds.append(ax.axhline(edge, **LINE, zorder=5, label=label))
            _client_axis(ax, len(table))
            ax.set_ylabel(entries[scheme].label(rule) + _scale(ax, table["statistic"]))
            ax.set_title(f"{scheme}: FAR {run['far']:.2f}, MAR {run['mar']:.2f}", pad=13)
        legend.axis("off")
        handles = [
            Patch(color=MALICIOUS, label="malicious"),
            Patch(color=BENIGN, label="benign"),
            Line2D([], [], **FLAGGED, label="flagged by the scheme"),
            *thresholds,
        ]
        legend.legend(handles=handles, loc="center")
        figure.suptitle(
            f"{in_words(rule, first['beta'])} under {_attack(first)},"
            f" {first['knowledge']} knowledge, c = {first['c']},"
            f" round {first['round']}{_failed(first)}",
            fontsize="medium",
        )
    return figure


def _scale(ax: Axes, statistic: pd.Series) -> str:
    """Choose a scale on which every bar can be seen; what has to be said of it in the panel."""
    typical, largest = statistic.abs().median(), statistic.abs().max()
    if largest == 0:
        ax.set(ylim=(-1, 1), yticks=[0])
        return "\n(0 for every client)"
    if largest < 1e-3:
        power = int(np.floor(np.log10(largest)))
        ax.yaxis.set_major_formatter(lambda value, _: f"{value / 10.0**power:g}")
        return f" ($10^{{{power}}}$)"
    if typical > 0 and largest > 50 * typical:
        ax.set_yscale("symlog", linthresh=typical)
        return "\n(log scale)"
    low, high = statistic.min(), statistic.max()
    if low > 0.8 * high > 0:
        ax.set_ylim(low - 0.15 * (high - low), high + 0.05 * (high - low))
        return "\n(axis not from 0)"
    if largest >= 10_000:
        ax.yaxis.set_major_formatter(EngFormatter())
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


def _client_axis(ax: Axes, k: int) -> None:
    ax.set(xlabel="client", xlim=(0.3, k + 0.7))
    ax.xaxis.set_major_locator(MultipleLocator(5 if k >= 20 else 1))
    ax.grid(visible=True, axis="y", color="#dddddd", zorder=0)
