"""What aggregation and detection cost: the benchmark's tables read, drawn and laid out.

`make bench` writes them (`benchmarks/`). The unit is one plain pass over the stack, `X.sum(0)`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter
from pandas.io.formats.style import Styler
from tabulate import tabulate

from pdrr.book.alignment import styled
from pdrr.book.drawing import Drawing
from pdrr.book.style import BESIDE, GREY, GRID, PINK, RUST, SAND, SKY
from pdrr.claims.words import digits, seconds
from pdrr.core import files
from pdrr.core.rules import DEFENDED, in_words
from pdrr.experiments.records import Records

STEM = "bench"
OWN, RECORDED = Path("build/bench"), files.RECORDED / "bench"
COLUMNS = ["implementation", "rule", "k", "d", "median_s", "low_s", "high_s", "repeats"]
COLUMNS += ["passes", "extra_mb", "agrees", "note"]
THE = {rule: f"the {in_words(rule)}" for rule in ("trimmed_mean", "median")}
RULES = (  # in the order of the panels; empty ones stand aside
    {rule: in_words(rule) for rule in DEFENDED}
    | {f"PDRR {rule}": f"PDRR for {THE.get(rule, in_words(rule))}" for rule in DEFENDED}
    | {rule: in_words(rule) for rule in ("mean", "bulyan")}
    | {f"attack on {rule}": f"attack on {THE.get(rule, in_words(rule))}" for rule in DEFENDED[:2]}
)
UNCACHED = 128  # MB
PANELS = 8  # the rest is in the tables
INK = "#1b1f24"
LOOK: dict[str, dict[str, Any]] = {  # told apart by mark and line as well as by colour
    "pdrr": {"color": INK, "marker": "o", "lw": 2.2},
    "pdrr, plain": {"color": INK, "marker": "o", "ls": "--", "mfc": "white"},
    "pdrr on GPU": {"color": SKY, "marker": "*", "ms": 8, "lw": 2.2},
    "pdrr on GPU, plain": {"color": SKY, "marker": "*", "ms": 8, "ls": "--", "mfc": "white"},
    "numpy": {"color": GREY, "marker": "s"},
    "scipy": {"color": SAND, "marker": "D", "ls": ":"},
    "flower": {"color": RUST, "marker": "^"},
    "flower, matrix product": {"color": RUST, "marker": "^", "ls": "--", "mfc": "white"},
    "byzfl, torch": {"color": PINK, "marker": "v"},
    "byzfl, numpy": {"color": PINK, "marker": "v", "ls": "--", "mfc": "white"},
}
GLYPHS = {"o": "●○", "*": "★☆", "s": "■□", "D": "◆◇", "^": "▲△", "v": "▼▽", "x": "✕✕"}
LINES = {"": "", "-": "─", "--": "╌", ":": "┈"}
FLOOR: dict[str, Any] = {"color": "#929292", "lw": 5, "solid_capstyle": "butt", "zorder": 1.7}


def load(folder: Path) -> Records:
    """The benchmark's table in a folder; ValueError if it is missing or damaged."""
    found = Records.load(folder, STEM)
    words = found.table[["agrees", "note"]].astype(object).fillna("")
    return Records(found.table.assign(**words), found.runs, found.provenance)


def available() -> dict[str, Records]:
    """The reader's own run first, if there is one, and the recorded one, by their names."""
    folders = {"your run": OWN, "recorded": RECORDED}
    return {name: load(f) for name, f in folders.items() if (f / f"{STEM}.json").exists()}


def caption(parts: Mapping[str, Records]) -> str:
    """Which runs there are, on which machines; the first is the one that is drawn."""
    line = "{}: {device}, {threads} threads, kernels {kernels}, {date}".format
    return "\n".join(line(name, **found.provenance) for name, found in parts.items())


def nearest(records: Records, k: int, d: int) -> tuple[int, int]:
    """The measured size that is nearest to k and d, k first, as ratios go."""
    table = measured(records)
    if table.empty:
        raise ValueError("the benchmark's table has no measured row")
    k = min(table["k"].unique(), key=lambda each: abs(np.log(each / k)))
    sizes = table[table["k"] == k]["d"].unique()
    return int(k), int(min(sizes, key=lambda each: abs(np.log(each / d))))


def floor(records: Records, k: Any, d: Any) -> Any:
    """Seconds in which the memory can hand over a stack [k, d] float32: bytes by bandwidth.

    The bandwidth is that of the fastest pass over a stack that no cache holds, or, if none was
    measured, over the largest one.
    """
    sizes = records.runs
    large = sizes[sizes["stack_mb"] >= min(UNCACHED, sizes["stack_mb"].max())]
    return 4 * k * d / (large["pass_gb_s"].max() * 1e9)


# figures


def cost_by_d(records: Records, k: int = 50) -> Drawing:
    """Seconds of each implementation against d, a panel for each rule; k models."""
    k, _ = nearest(records, k, 1)
    return _panels(records, "d", {"k": k}, "parameters d")


def cost_by_k(records: Records, d: int = 1_000_000) -> Drawing:
    """Seconds of each implementation against k, a panel for each rule; d parameters."""
    _, d = nearest(records, 50, d)
    return _panels(records, "k", {"d": d}, "models k")


def in_passes(records: Records, k: int = 50, d: int = 1_000_000) -> Drawing:
    """How many passes over the models each implementation takes, a line for each rule."""
    k, d = nearest(records, k, d)
    table = measured(records, k=k, d=d)
    rules = [rule for rule in RULES if (table["rule"] == rule).any()][::-1]
    with mpl.rc_context(BESIDE):
        figure = Figure(figsize=(4.6, 0.7 + 0.45 * len(rules)), layout="constrained")
        ax = figure.subplots()
        unit = table.loc[table["rule"] == "pass", "median_s"].iloc[0]
        for name, look in _present(table).items():
            rows = table[(table["implementation"] == name) & table["rule"].isin(rules)]
            y = [rules.index(rule) for rule in rows["rule"]]
            ax.hlines(y, rows["low_s"] / unit, rows["high_s"] / unit, color=look["color"], lw=1.5)
            ax.plot(rows["passes"], y, **{**look, "ls": ""}, zorder=3)
        ax.axvline(1, **FLOOR)
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter("{x:g}")
        ax.set_yticks(range(len(rules)), [fill(RULES[rule], 15) for rule in rules])
        ax.set_ylim(-0.6, len(rules) - 0.4)
        ax.set_xlabel("passes over the models (log scale)")
        ax.grid(visible=True, axis="both", color=GRID, zorder=0)
    title = f"k = {k}, d = {d:,}: one pass takes {seconds(unit)}"
    key = [*_key(table, ls=""), ("━", FLOOR["color"], "one pass, X.sum(0)")]
    return Drawing({"passes over the models": figure}, records.table, title, key)


def _panels(records: Records, x: str, fixed: Mapping[str, int], xlabel: str) -> Drawing:
    """Seconds against k or d, a panel for each rule, both axes logarithmic."""
    table = measured(records, **fixed)
    rules = [rule for rule in list(RULES)[:PANELS] if (table["rule"] == rule).any()]
    if not rules:
        raise ValueError(f"the benchmark's table has no rule with {dict(fixed)}")
    sizes = sorted(table[x].unique())
    ends = np.array([sizes[0], sizes[-1]])
    panels: dict[str, Figure] = {}
    axes: list[Axes] = []
    with mpl.rc_context(BESIDE):
        for rule in rules:
            panels[RULES[rule]] = Figure(figsize=(3.1, 2.7), layout="constrained")
            ax = panels[RULES[rule]].subplots()
            axes.append(ax)
            _panel(ax, table[table["rule"] == rule], x)
            ax.plot(ends, floor(records, **{**fixed, x: ends}), **FLOOR)
            ax.set_title(RULES[rule])
            ax.set_xticks(sizes, [EngFormatter()(float(f"{size:.2g}")) for size in sizes])
            ax.minorticks_off()
            ax.set(xlabel=f"{xlabel} (log scale)", ylabel="seconds (log scale)")
        lows, highs = zip(*(ax.get_ylim() for ax in axes), strict=True)
        for ax in axes:
            ax.set_ylim(min(lows), max(highs))
    title = ", ".join([*(f"{name} = {value:,}" for name, value in fixed.items()), "float32"])
    key = [*_key(table), ("━", FLOOR["color"], "memory floor")]
    return Drawing(panels, records.table, title, key)


def _panel(ax: Axes, table: pd.DataFrame, x: str) -> None:
    for name, look in _present(table).items():
        rows = table[table["implementation"] == name].sort_values(x)
        ax.fill_between(rows[x], rows["low_s"], rows["high_s"], color=look["color"], alpha=0.15)
        ax.plot(rows[x], rows["median_s"], **{"ms": 5, **look}, zorder=3)
    ax.set(xscale="log", yscale="log")
    ax.grid(visible=True, axis="both", color=GRID, zorder=0)
    ax.tick_params(labelbottom=True)


def _present(table: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """How the implementations of a table look; one nobody foresaw is grey with a cross."""
    unknown = {"color": GREY, "marker": "x", "ls": ":"}
    names = [*LOOK, *sorted(set(table["implementation"]) - set(LOOK))]
    own = table[table["rule"] != "pass"]["implementation"]
    return {name: LOOK.get(name, unknown) for name in names if (own == name).any()}


def _key(table: pd.DataFrame, **more: Any) -> list[tuple[str, str, str]]:
    """Glyph, colour and name of the implementations of a table."""
    present = _present(table).items()
    return [(glyph({**look, **more}), look["color"], name) for name, look in present]


def glyph(look: Mapping[str, Any]) -> str:
    """A mark and its line as letters; hollow where the mark is filled with white.

    Examples
    --------
    >>> from pdrr.book.performance import glyph
    >>> glyph({"marker": "^", "ls": "--", "mfc": "white"})
    '╌△'
    """
    mark = GLYPHS[look["marker"]][look.get("mfc") == "white"]
    return f"{LINES[look.get('ls', '-')]}{mark}"


# tables


def times_table(parts: Mapping[str, Records], k: int = 50, d: int = 1_000_000) -> Styler:
    """Every implementation at one size: seconds, passes and peak extra memory of each run.

    Whether results agree, and the notes below the names, are those of the first run.
    """
    first = next(iter(parts.values()))
    rows: dict[tuple[str, str], dict[tuple[str, str], str]] = {}
    notes: dict[tuple[str, str], str] = {}
    sizes = []
    for name, records in parts.items():
        size = nearest(records, k, d)
        sizes.append(f"{name}: k = {size[0]}, d = {size[1]:,}")
        for row in _rows(records, *size):
            cells = rows.setdefault((row["rule"], row["implementation"]), {})
            spread = f"{digits(row['low_s'])}–{digits(row['high_s'])}"
            cells[name, "seconds"] = digits(row["median_s"]) + _below(spread)
            cells[name, "passes"] = digits(row["passes"])
            cells[name, "extra MB"] = f"{row['extra_mb']:,.0f}"
            if records is first:
                cells["results", "agree"] = row["agrees"] or "–"
                notes[row["rule"], row["implementation"]] = row["note"]
    index = [
        f"{RULES.get(rule, 'one pass')}: {name}{_below(notes.get((rule, name), ''))}"
        for rule, name in rows
    ]
    table = pd.DataFrame(list(rows.values()), index).fillna("–")
    columns: Any = sorted(table, key=lambda column: "results" in column)
    table = table[columns]
    table.columns = pd.MultiIndex.from_tuples(columns)
    return styled(table, "schemes numbers").set_caption(
        f"{'; '.join(sizes)}. Median of the counted runs, below it the fastest and the slowest."
        " Extra: the peak of memory beyond the models and the result."
    )


def _below(words: str) -> str:
    return f"<br><small>{words}</small>" if words else ""


def skipped_table(records: Records) -> Styler:
    """What was not run, and why."""
    table = records.table[records.table["note"].str.startswith("skipped")]
    shown = table[["implementation", "k"]].assign(
        d=table["d"].map("{:,}".format), why=table["note"].str.removeprefix("skipped: ")
    )
    return styled(shown.set_axis([RULES.get(rule, rule) for rule in table["rule"]]), "runs")


def origin_table(parts: Mapping[str, Records]) -> Styler:
    """Machine, versions and commit of each run."""
    rows = {}
    for name, records in parts.items():
        p = records.provenance
        rows[name] = {
            "device": p["device"],
            "threads": str(p["threads"]),
            "versions": ", ".join(f"{k} {v}" for k, v in p["versions"].items()),
            "copying memory": ", ".join(f"{w} {s:.1f} GB/s" for w, s in p["copy_gb_s"].items()),
            "not there": "; ".join(p["missing"]) or "–",
            "counted runs": f"up to {p['repeat']}, {p['budget_s']:.0f} s for everything",
            "seconds": f"{p['seconds']:.0f}",
            "commit, date": f"{p['commit']}, {p['date']}",
        }
    return styled(pd.DataFrame(rows), "provenance")


def summary(records: Records) -> str:
    """The largest size of each k in text, for a terminal."""
    texts = []
    for k in sorted(measured(records)["k"].unique()):
        k, d = nearest(records, k, 10**12)
        rows = [
            (
                *(RULES.get(row["rule"], "one pass"), row["implementation"]),
                *(digits(row["median_s"]), f"{digits(row['low_s'])}-{digits(row['high_s'])}"),
                *(digits(row["passes"]), f"{row['extra_mb']:.0f}", row["agrees"]),
            )
            for row in _rows(records, k, d)
        ]
        titles = ("rule", "by", "median s", "range s", "passes", "extra MB", "agrees")
        texts.append(f"\nk = {k}, d = {d:,}\n{tabulate(rows, titles, disable_numparse=True)}")
    skipped = records.table["note"].str.startswith("skipped").sum()
    return "\n".join([*texts, f"\n{skipped} cases were skipped; the table says why"])


# parts


def measured(records: Records, **fixed: int) -> pd.DataFrame:
    """The rows that were run, of the sizes given."""
    table = records.table[records.table["median_s"].notna()]
    for name, value in fixed.items():
        table = table[table[name] == value]
    return table


def _rows(records: Records, k: int, d: int) -> list[dict[str, Any]]:
    """Those of one size: the pass first, then rule by rule, ours first."""
    order: Sequence[str] = ["pass", *RULES]
    found: Any = measured(records, k=k, d=d).to_dict("records")
    return sorted(found, key=lambda row: order.index(row["rule"]))
