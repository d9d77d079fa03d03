"""How far each rule is from what the machine allows, and the paper's three numbers beside ours.

An operation is an addition, a multiplication, or the smaller or larger of two values; bytes are
those of the stack, each value counted once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter
from pandas.io.formats.style import Styler

from pdrr.book import gpu
from pdrr.book.alignment import styled
from pdrr.book.drawing import Drawing
from pdrr.book.performance import FLOOR, INK, RULES, UNCACHED, glyph, measured, nearest
from pdrr.book.style import BESIDE, GREY, GRID, PINK, RUST, SKY
from pdrr.claims.expected import expected
from pdrr.claims.words import digits, seconds
from pdrr.core.kernels.network import batcher
from pdrr.core.rules import DEFENDED
from pdrr.experiments.records import Records

DRAWN = tuple(rule for rule in RULES if not rule.startswith("attack"))
PAPER_SIZE = {"k": 50, "d": 6_603_710}
SIZE = 4  # bytes of a float32
MARKS = {  # told apart by mark as well as by colour
    "mean": ("s", GREY),
    "trimmed_mean": ("o", INK),
    "median": ("D", SKY),
    "krum": ("^", RUST),
    "bulyan": ("v", PINK),
}


def operations(rule: str, k: int) -> int:
    """Operations that a rule takes for one coordinate of k models, counted from its definition.

    A comparison of a sorting network is two of them; a distance two for each pair. What a rule does
    with k values or k^2 distances once, and not for each coordinate, is left out.

    Examples
    --------
    >>> from pdrr.book.roofline import operations
    >>> [operations(rule, 4) for rule in ("mean", "median", "krum", "PDRR krum")]
    [4, 14, 20, 28]
    """
    own = rule.removeprefix("PDRR ")
    sorting, products = 2 * len(batcher(k)) + k, k * (k + 1)
    counted = {
        "mean": k,
        "trimmed_mean": sorting,
        "median": sorting,
        "krum": products,
        "bulyan": products + sorting,
    }[own]
    return counted + (2 * k if rule != own else 0)  # a detection looks at each value once more


def points(rows: pd.DataFrame, ms: str) -> pd.DataFrame:
    """Of timed rules (columns rule, k, d and milliseconds) operations a byte and a second."""
    rows = rows[rows["rule"].isin(DRAWN)]
    counted = np.array([operations(*pair) for pair in zip(rows["rule"], rows["k"], strict=True)])
    return pd.DataFrame(
        {
            "rule": rows["rule"],
            "intensity": counted / (SIZE * rows["k"]),
            "speed": counted * rows["d"] / (rows[ms] / 1e3),
        }
    )


def bandwidth(records: Records) -> float:
    """Bytes a second of the fastest pass over a stack that no cache holds."""
    sizes = records.runs
    large = sizes[sizes["stack_mb"] >= min(UNCACHED, sizes["stack_mb"].max())]
    return float(large["pass_gb_s"].max() * 1e9)


def roofline(records: Records, lines: Sequence[gpu.Line], k: int = 50, d: int = 10**7) -> Drawing:
    """Operations a second against operations a byte: a processor, and the recorded GPU.

    The slope is the memory's limit; where the run measured it, the flat line is that of a large
    float32 matrix product.
    """
    k, d = nearest(records, k, d)
    table = measured(records, k=k, d=d)
    table = table[table["implementation"] == "pdrr"].assign(ms=1e3 * table["median_s"])
    timed = gpu.kernels(lines)
    on = timed[(timed["k"] == k) & (timed["kernels"] == "on")].rename(columns={"case": "rule"})
    read = timed[(timed["k"] == k) & (timed["case"] == "read")]
    product = [line for line in lines if line.get("case") == "product"]
    flat = [1e12 * line["tflop_s"] for line in product if line["dtype"] == "float32"]
    arithmetic = records.provenance.get("gflop_s", {}).get("host")
    drawn = [
        (records.provenance["device"], table, bandwidth(records), arithmetic and 1e9 * arithmetic),
        (gpu.titled(lines), on, 1e12 * read["tb_s"].max(), flat[0] if flat else None),
    ]
    drawn = [part for part in drawn if len(part[1])]
    panels = {}
    with mpl.rc_context(BESIDE):
        for title, rows, memory, roof in drawn:
            panels[title] = Figure(figsize=(4.3, 4), layout="constrained")
            ax = panels[title].subplots()
            _roof(ax, points(rows, "ms"), memory, roof)
            ax.set_title(fill(title, 42))
            ax.set_xlabel("operations per byte of the stack (log scale)")
            ax.set_ylabel("operations per second (log scale)")
    key = [(glyph(look), look["color"], RULES[rule]) for rule in DRAWN if (look := _look(rule))]
    return Drawing(panels, records.table, f"k = {k}, d = {d:,}, float32", key)


def _roof(ax: Axes, rules: pd.DataFrame, memory: float, roof: float | None) -> None:
    ends = np.array([rules["intensity"].min() / 2, 3 * rules["intensity"].max()])
    bend = roof / memory if roof else ends[1]
    x = np.unique(np.clip([*ends, bend], *ends))
    ax.plot(x, np.minimum(memory * x, roof or np.inf), **FLOOR)
    said = f"memory {memory / 1e9:,.0f} GB/s"
    if roof:
        said += f"\narithmetic {roof / 1e9:,.0f} GFLOP/s"
    ax.text(0.03, 0.97, said, transform=ax.transAxes, va="top", fontsize="small")
    for row in rules.to_dict("records"):
        ax.plot(row["intensity"], row["speed"], **_look(row["rule"]))
    ax.set(xscale="log", yscale="log")
    ax.set_xlim(*ends)
    ax.xaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_major_formatter(EngFormatter())
    ax.grid(visible=True, axis="both", color=GRID, zorder=0)


def _look(rule: str) -> dict[str, Any]:
    """A mark for each rule, hollow where it is a detection."""
    own = rule.removeprefix("PDRR ")
    marker, color = MARKS[own]
    face = "white" if own != rule else color
    return {"ls": "", "ms": 8, "marker": marker, "color": color, "mfc": face, "mew": 1.8}


def papers_table(parts: Mapping[str, Records], lines: Sequence[gpu.Line]) -> Styler:
    """The paper's three times of a detection, beside those of the runs at its k and d."""
    paper = expected().tables.table3["PDRR"]
    rows: dict[str, dict[str, str]] = {}
    for rule in DEFENDED:
        row = {"paper, RTX 2080 Ti": seconds(paper[rule])}
        for name, records in parts.items():
            table = measured(records, **PAPER_SIZE)
            own = table[(table["implementation"] == "pdrr") & (table["rule"] == f"PDRR {rule}")]
            took = float(own["median_s"].iloc[0]) if len(own) else np.nan
            row[f"{name}, {records.provenance['device']}"] = _beside(took, paper[rule])
        timed = gpu.kernels(lines)
        own = timed[(timed["case"] == f"PDRR {rule}") & (timed["k"] == PAPER_SIZE["k"])]
        took = float(own["ms"].iloc[0]) / 1e3 if len(own) else np.nan
        row[f"recorded, {gpu.titled(lines)}"] = _beside(took, paper[rule])
        rows[RULES[rule]] = row
    shown = pd.DataFrame(rows).T
    return styled(shown, "schemes").set_caption(
        "One detection by PDRR for each rule: k = 50 models of d = 6,603,710 float32 parameters."
    )


def _beside(took: float, paper: float) -> str:
    if np.isnan(took):
        return "–"
    return f"{seconds(took)}<br><small>{digits(paper / took, 2)} times as fast</small>"
