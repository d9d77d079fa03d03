"""One function per figure: records in, matplotlib figure out. Nothing is computed here.

Colours mean the same everywhere: orange malicious, blue benign, as in the paper's figures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import EngFormatter, Formatter, MultipleLocator, ScalarFormatter
from pandas.io.formats.style import Styler

from pdrr.records import Records

BENIGN, MALICIOUS, GREEN = sns.color_palette("colorblind")[:3]
RED = "#c1121f"
STYLE: dict[Any, Any] = {
    "axes.grid.axis": "y",
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": "medium",
    "figure.dpi": 144,
    "font.size": 10,
    "legend.frameon": False,
}


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


def overview(parts: Mapping[str, Records]) -> Figure:
    """Suspicion score of every client under the attack on each rule, side by side."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10, 3.5), layout="constrained")
        panels = figure.subplots(1, len(parts), sharey=True)
        for ax, (rule, records) in zip(panels, parts.items(), strict=True):
            table, run = records.table, records.runs.iloc[0]
            colours = [MALICIOUS if bad else BENIGN for bad in table["byzantine"]]
            ax.bar(table["client"], table["score"], color=colours, width=0.8, zorder=3)
            ax.axhline(run["q"], color="black", lw=1, ls="--", zorder=4)
            _client_axis(ax, len(table))
            ax.set_title(f"{rule}: FAR {run['far']:.2f}, MAR {run['mar']:.2f}")
            ax.text(len(table) + 0.5, run["q"], f"q = {run['q']:g} ", ha="right", va="bottom")
            ax.axhline(0, color="black", lw=0.8, zorder=4)
        panels[0].set_ylabel("suspicion score")
        kinds = [Patch(color=MALICIOUS, label="malicious"), Patch(color=BENIGN, label="benign")]
        figure.legend(handles=kinds, loc="outside lower center", ncols=2)
    return figure


def runs_table(records: Records) -> Styler:
    """What was run and what came out, a row per run."""
    return _table(records.runs, [f"seed {seed}" for seed in records.runs["seed"]])


def seeds_table(records: Records) -> Styler:
    """The same over all seeds: the largest FAR and MAR, and the q that suit every run."""
    worst: Any = {
        "q": "first",
        "far": "max",
        "mar": "max",
        "q_low": lambda low: low.max(skipna=False),
        "q_high": lambda high: high.min(skipna=False),
        "lambda": "min",
        "selected": lambda whose: " or ".join(sorted(set(whose))),
        "detection_s": "median",
    }
    keys = ["rule", "noise", "c", "beta", "knowledge"]
    groups = records.runs.groupby(keys, dropna=False, sort=False)
    runs = groups.agg(worst).reset_index()
    runs["q_low"] = runs["q_low"].where(runs["q_low"] < runs["q_high"])  # none suits every run
    return _table(runs, [f"{n} seeds" for n in groups.size()])


def provenance_table(records: Records) -> Styler:
    """Where the numbers of a page come from."""
    p = records.provenance
    settings = p["settings"]
    rows = {
        "data": f"{p['data']} ({'synthetic' if p['synthetic'] else 'real'})",
        "data SHA-256": p["sha256"][:16],
        "profile": f"{p['profile']}, d = {p['d']:,}",
        "training": ", ".join(f"{k} {v}" for k, v in settings["training"].items()),
        "versions": ", ".join(f"{k} {v}" for k, v in p["versions"].items()),
        "device": p["device"],
        "seconds": f"{p['seconds']:.1f} (peak memory {p['peak_memory_gib']} GiB)",
        "commit, date": f"{p['commit']}, {p['date']}",
    }
    return _styled(
        pd.DataFrame({"where these numbers come from": rows.values()}, list(rows)), "provenance"
    )


def _table(runs: pd.DataFrame, rows: Sequence[str]) -> Styler:
    """Only the columns that say something, in the words of the book."""
    table = pd.DataFrame({"knowledge": runs["knowledge"], "c": runs["c"]})
    if runs["beta"].notna().any():
        table["β"] = runs["beta"].astype(int)
    if (runs["rule"] == "krum").all():
        table["noise"] = runs["noise"]
        table["λ"] = [f"{x:.1e}" if x > 0 else "none" for x in runs["lambda"]]
        table["selects"] = runs["selected"]
    table["q"] = runs["q"].map("{:g}".format)
    table["FAR"] = runs["far"].map("{:.2f}".format)
    table["MAR"] = runs["mar"].map("{:.2f}".format)
    table["suitable q"] = [
        "none" if np.isnan(low) else f"({low:.3f}, {high:.3f}]"
        for low, high in zip(runs["q_low"].astype(float), runs["q_high"].astype(float), strict=True)
    ]
    table["detection"] = runs["detection_s"].map("{:.1f} s".format)
    return _styled(table, "runs").relabel_index(list(rows), axis="index")


def _styled(table: pd.DataFrame, kind: str) -> Styler:
    """A table that pandas does not abbreviate; `kind` is its class in the pages' style sheet."""
    return table.style.set_table_attributes(f'class="dataframe {kind}"')


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

        def threshold(q: float) -> float:
            """lambda_D of the paper's sections 4.1 to 4.3."""
            return float((1 - q) * top if few_is_bad else q * top)

        handles = [Patch(color=MALICIOUS, label="malicious"), Patch(color=BENIGN, label="benign")]
        if np.isfinite(low):
            ax.axhspan(threshold(low), threshold(high), color=GREEN, alpha=0.18, zorder=1, lw=0)
            label = f"suitable q: ({low:.2f}, {high:.2f}]"
            handles.append(Patch(color=GREEN, alpha=0.18, label=label))
        line = ax.axhline(
            threshold(run["q"]), color="black", lw=1, ls="--", zorder=4, label=f"q = {run['q']:g}"
        )
        _client_axis(ax, len(table))
        ax.yaxis.set_major_formatter(formatter)
        ax.set_ylabel(ylabel)
        failed = "" if run["succeeded"] else "; no λ found, so honest models were sent"
        if run["succeeded"] and run["selected"] == "benign":
            failed = "; Krum selects a benign model all the same"
        ax.set_title(
            f"{run['knowledge']} knowledge, c = {run['c']}, round {run['round']}:"
            f" FAR {run['far']:.2f}, MAR {run['mar']:.2f}{failed}"
        )
        figure.legend(handles=[*handles, line], loc="outside lower center", ncols=4)
    return figure


def _client_axis(ax: Axes, k: int) -> None:
    ax.set(xlabel="client", xlim=(0.3, k + 0.7))
    ax.xaxis.set_major_locator(MultipleLocator(5 if k >= 20 else 1))
    ax.grid(visible=True, axis="y", color="#dddddd", zorder=0)


def verdicts_html(table: pd.DataFrame) -> str:
    """The table of `verdicts.table` as HTML: badges, and links to the figures' pages."""
    colours = {"reproduced": "success", "partly": "warning", "not": "danger"}
    shown = table.copy()
    shown["verdict"] = [
        f'<span class="sd-badge sd-bg-{colours[v]} sd-bg-text-{colours[v]}">{v}</span>'
        for v in table["verdict"]
    ]
    shown["claim"] = [
        f'<a href="./{stem}.html">{escape(text)}</a>'
        for stem, text in zip(table["figure"], table["claim"], strict=True)
    ]
    for column in ("paper", "ours"):
        shown[column] = table[column].map(escape)
    return shown.drop(columns="figure").to_html(
        index=False, escape=False, border=0, classes="table verdicts"
    )
