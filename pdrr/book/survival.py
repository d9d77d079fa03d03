"""What is left of the global model when every round is attacked: figure, table and sentences."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pandas.io.formats.style import Styler

from pdrr.book.alignment import styled
from pdrr.book.drawing import Drawing
from pdrr.book.style import BENIGN, BESIDE, GREEN, GREY, GRID, INK
from pdrr.claims.words import span, typeset
from pdrr.core.rules import DEFENDED, in_words
from pdrr.experiments.arms import LATE, ORACLE, PEACE, UNDEFENDED
from pdrr.experiments.records import Records
from pdrr.experiments.schemes import OURS

NEW = "Co-trimming"
NEAR = 0.01  # of the error that oracle removal ends with
MEASURES = {"accuracy": "all images", "worst_decile": "worst decile of writers"}
LOOKS: dict[str, dict[str, Any]] = {
    OURS: {"color": BENIGN, "lw": 2, "zorder": 4},
    NEW: {"color": GREEN, "lw": 2, "zorder": 5},
    ORACLE: {"color": INK, "lw": 1.2, "ls": "--", "zorder": 6},
    UNDEFENDED: {"color": "#555555", "lw": 1.6, "zorder": 3},
}
LETTERS = 8  # points
TO_NAME = {  # from the end of a line to where its name begins
    "arrowstyle": "-",
    "color": GREY,
    "lw": 0.6,
    "shrinkA": 2,
    "shrinkB": 0,
    "relpos": (0, 0.5),
}
MARGIN = 0.3  # of a panel's width, for the names at the ends of lines


# the figure


def lives(records: Records) -> Drawing:
    """Error rates over the rounds: for each rule a panel of all images, one of the worst decile.

    Each line is the mean of the last five rounds, one line a seed. The names stand where the
    longest runs end, on average over their seeds.

    Parameters
    ----------
    records : Records
        Of `experiments.survival`.
    """
    table = records.table.sort_values("round", kind="stable")
    rules = [rule for rule in DEFENDED if (table["rule"] == rule).any()]
    panels = {}
    with mpl.rc_context(BESIDE):
        for rule, (column, words) in product(rules, MEASURES.items()):
            own = table[table["rule"] == rule]
            rule_in_words = in_words(rule, own["beta"].iloc[0])
            title = f"{rule_in_words}, {words}"
            panels[title] = Figure(figsize=(4.3, 3), layout="constrained")
            ax = panels[title].subplots()
            _panel(ax, own, column)
            ax.set(xlabel="round", ylabel="error rate")
            ax.set_title(f"{rule_in_words}\n{words}")
    return Drawing(panels, records.table)


def _panel(ax: Axes, own: pd.DataFrame, column: str) -> None:
    longest = own["round"].max()
    ends = {}
    for arm, rounds in own.groupby("arm", sort=False):
        look = LOOKS.get(str(arm), {"color": GREY, "lw": 1, "zorder": 2})
        last = []
        for _, one in rounds.groupby("seed"):
            error = (1 - one[column]).rolling(LATE, min_periods=1).mean()
            ax.plot(one["round"], error, **look)
            if one["round"].max() == longest:
                last.append(error.iloc[-1])
        ends[str(arm)] = float(np.mean(last))
    first = own["round"].min()
    reach = max(longest - first, 1)
    ax.set_xlim(first - 0.02 * reach, longest + MARGIN / (1 - MARGIN) * reach)
    ax.spines["bottom"].set_bounds(first, longest)
    ax.set_xticks([tick for tick in ax.get_xticks() if first <= tick <= longest])
    bottom, top = ax.get_ylim()
    gap = (top - bottom) * LETTERS * 1.3 / (2.0 * 72)  # a panel is about two inches high
    places = spread(list(ends.values()), gap)
    ax.set_ylim(min(bottom, min(places) - gap), max(top, max(places) + gap))
    ax.set_yticks([tick for tick in ax.get_yticks() if ax.get_ylim()[0] <= tick <= 1])
    for (arm, end), y in zip(ends.items(), places, strict=True):
        look = LOOKS.get(arm, {"color": GREY})
        ax.annotate(
            arm,
            (longest, end),
            xytext=(longest + 0.05 * reach, y),
            va="center",
            fontsize=LETTERS,
            color=look["color"],
            weight="bold" if arm in (OURS, NEW) else "normal",
            arrowprops=TO_NAME,
        )
    # not below the names
    ax.hlines(ax.get_yticks(), ax.get_xlim()[0], longest, color=GRID, lw=0.8, zorder=0)


def spread(heights: Sequence[float], gap: float) -> list[float]:
    """Heights of labels at least `gap` apart, in the same order and as near as can be.

    Labels that would touch share the place around their mean.

    Examples
    --------
    >>> from pdrr.book.survival import spread
    >>> spread([0.5, 0.5, 0.0], 0.25)
    [0.375, 0.625, 0.0]
    """
    order = sorted(range(len(heights)), key=lambda i: heights[i])
    blocks: list[tuple[list[int], float]] = []  # labels that touch, and the middle of their place
    for i in order:
        members, middle = [i], heights[i]
        while blocks:
            below, at = blocks[-1]
            if middle - at >= gap * (len(below) + len(members)) / 2:
                break
            blocks.pop()
            members = below + members
            middle = sum(heights[j] for j in members) / len(members)
        blocks.append((members, middle))
    found = [0.0] * len(heights)
    for members, middle in blocks:
        for place, i in enumerate(members):
            found[i] = middle + gap * (place - (len(members) - 1) / 2)
    return found


# the table


def ends(records: Records) -> pd.DataFrame:
    """Final errors of each rule's longest runs: a row for each rule, seed and arm.

    `error` and `worst` are means over the last five rounds; `to_oracle` and `to_undefended` what
    `error` is above those of the same seed, NaN without that arm.
    """
    runs = records.runs.rename(columns={"final_error": "error", "final_worst": "worst"})
    runs = runs[runs["rounds"] == runs.groupby("rule")["rounds"].transform("max")].copy()
    for name, arm in (("to_oracle", ORACLE), ("to_undefended", UNDEFENDED)):
        there = runs.loc[runs["arm"] == arm].set_index(["rule", "seed"])["error"]
        where = pd.MultiIndex.from_frame(runs[["rule", "seed"]])
        runs[name] = runs["error"] - there.reindex(where).to_numpy()
    return runs.reset_index(drop=True)


def final_table(records: Records) -> Styler:
    """Final error of each arm, and what it is above oracle removal's; spans over several seeds."""
    found = ends(records)
    rows: dict[str, dict[tuple[str, str], str]] = {arm: {} for arm in found["arm"].unique()}
    for rule in [rule for rule in DEFENDED if (found["rule"] == rule).any()]:
        own = found[found["rule"] == rule]
        name = f"{in_words(rule, own['beta'].iloc[0])}, round {own['rounds'].iloc[0]}"
        for arm, cells in rows.items():
            each = own[own["arm"] == arm]
            cells[name, "error"] = span(each["error"], "{:.3f}") if len(each) else "–"
            above = each["to_oracle"].dropna() if arm != ORACLE else pd.Series(dtype=float)
            cells[name, "above oracle"] = _signed(above) if len(above) else "–"
    header = pd.MultiIndex.from_tuples(next(iter(rows.values())))
    texts = [list(cells.values()) for cells in rows.values()]
    return styled(pd.DataFrame(texts, list(rows), header), "schemes numbers")


def _signed(values: pd.Series) -> str:
    return span(values.round(3) + 0.0, "{:+.3f}")  # no minus before 0


# in sentences


def findings(records: Records) -> str:
    """What the arms end with, as Markdown: a paragraph for each rule, rivals that win first."""
    found, parts = ends(records), []
    for rule in [rule for rule in DEFENDED if (found["rule"] == rule).any()]:
        own = found[found["rule"] == rule]
        seeds = own["seed"].nunique()
        count = f"mean of {seeds} seeds" if seeds > 1 else "one seed"
        arms = _means(own)
        sentences = [
            _rivals(arms),
            _cost(arms),
            *(_near(arms, arm) for arm in (OURS, NEW)),
            _worse(arms),
            _worst(arms),
            _diverged(arms),
        ]
        words = in_words(rule, own["beta"].iloc[0])
        head = f"**{words}**, round {own['rounds'].iloc[0]}, {count}."
        parts.append(f"- {' '.join([head, *filter(None, sentences)])}")
    return "\n".join(parts)


Means = dict[str, dict[str, float]]
"""Arm -> what it ends with: means over the seeds, and counts."""


def _means(own: pd.DataFrame) -> Means:
    each = own.groupby("arm", sort=False)
    means = each[["error", "worst", "to_oracle", "to_undefended"]].mean()
    counts = each[["wrong", "rounds", "diverged"]].sum()
    rows = means.join(counts).reset_index().to_dict("records")
    return {str(row.pop("arm")): {str(k): float(v) for k, v in row.items()} for row in rows}


def _rivals(arms: Means) -> str:
    """Who ends with a lower error than Co-trimming."""
    if NEW not in arms:
        return ""
    others = [arm for arm in arms if arm not in (PEACE, ORACLE, NEW)]
    less = {arm: arms[NEW]["error"] - arms[arm]["error"] for arm in others}
    named = _listed(less)
    if not named:
        return f"No rival ends with a lower error than {NEW}."
    return f"Lower than {NEW}: {named}."


def _listed(more: dict[str, float]) -> str:
    """Those above zero, the largest first: "NNM by 0.031, PDRR by 0.010"."""
    above = sorted((-value, arm) for arm, value in more.items() if round(value, 3) > 0)
    return ", ".join(f"{arm} by {-value:.3f}" for value, arm in above)


def _cost(arms: Means) -> str:
    if not {UNDEFENDED, PEACE} <= set(arms):
        return ""
    error, peace = arms[UNDEFENDED]["error"], arms[PEACE]["error"]
    return (
        f"Undefended the error is {error:.3f}, where nobody attacks {peace:.3f}: the attack costs"
        f" {error - peace:.3f}."
    )


def _near(arms: Means, arm: str) -> str:
    """How far an arm ends from oracle removal, and how often it erred on the way."""
    if ORACLE not in arms or arm not in arms:
        return ""
    own = arms[arm]
    above = round(own["to_oracle"], 3) + 0.0  # no minus before 0
    within = "within" if abs(above) <= NEAR else "not within"
    wrong = f"{own['wrong']:.0f}" if own["wrong"] else "none"
    return typeset(
        f"{arm} ends at {own['error']:.3f}, {within} {NEAR} of {ORACLE} ({above:+.3f}); it errs"
        f" in {wrong} of {own['rounds']:.0f} rounds."
    )


def _worse(arms: Means) -> str:
    if UNDEFENDED not in arms:
        return ""
    named = _listed({arm: own["to_undefended"] for arm, own in arms.items()})
    return f"Worse than undefended: {named}." if named else "No arm ends worse than undefended."


def _worst(arms: Means) -> str:
    """The error of the writers that are served worst."""
    there = [arm for arm in (UNDEFENDED, OURS, NEW, ORACLE) if arm in arms]
    each = ", ".join(f"{arms[arm]['worst']:.3f} ({arm})" for arm in there)
    return f"Error of the worst decile of writers: {each}." if there else ""


def _diverged(arms: Means) -> str:
    """Where training diverged: the model stays as it is."""
    lost = {arm: own["diverged"] for arm, own in arms.items() if own["diverged"]}
    named = ", ".join(f"{arm} in {count:.0f} rounds" for arm, count in lost.items())
    return f"Honest training diverges: {named}." if named else ""
