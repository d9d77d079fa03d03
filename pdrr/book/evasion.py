"""What hiding costs attackers that know the defence, and what it buys: damage against damage."""

from __future__ import annotations

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
from pdrr.book.readings import shown
from pdrr.book.style import (
    BESIDE,
    GREEN,
    GREY,
    GRID,
    INK,
    LINE,
    OLIVE,
    PAPER,
    PINK,
    RUST,
    SAND,
    SKY,
)
from pdrr.claims.words import digits, short, typeset
from pdrr.core.rules import in_words
from pdrr.experiments.evasion import ALONE, DEFENCES, PLAIN
from pdrr.experiments.records import Records

HUGE = ("sparse", "sacrifice")
"""Families with values so large that only the length of the damage can be told."""

OWN = ("camps", "strangers", "strangers, z = 3", "strangers, 30%")
"""Families made against Co-trimming."""

WORTH = 0.1  # of a step: to undo less is hardly an attack, and no measure of others
PLACE = ["rule", "beta", "knowledge"]
SIGNS = {"epsilon": "ε", "z": "z"}
LOOKS: dict[str, dict[str, Any]] = {
    "flipped signs": {"color": RUST, "marker": "v"},
    "copies apart": {"color": SAND, "marker": "P"},
    "decoy": {"color": RUST, "marker": "v"},
    "rotating": {"color": SAND, "marker": "P"},
    "mixed strengths": {"color": OLIVE, "marker": "s"},
    "shift": {"color": GREEN, "marker": "D"},
    "camps": {"color": PINK, "marker": "^"},
    "strangers": {"color": SKY, "marker": "o"},
    "strangers, z = 3": {"color": SKY, "marker": "o", "ls": "--"},
    "strangers, 30%": {"color": SKY, "marker": "o", "ls": ":"},
}
GLYPHS = {"v": "▼", "P": "✚", "s": "■", "D": "◆", "^": "▲", "o": "●"}
LINES = {"--": "╌", ":": "┈"}
STAR: dict[str, Any] = {"color": INK, "marker": "*", "ms": 10, "ls": "", "zorder": 6}


def left_over(records: Records) -> pd.DataFrame:
    """A row per place, family, value and defence, with what the attack does to the rule alone.

    `alone_damage`, `alone_moved` and `alone_accuracy` stand beside what is left behind the defence;
    `harm`, the damage of either in the unit of its family: share of the step undone, or steps moved
    where values are huge.
    """
    table = records.table.assign(beta=pd.to_numeric(records.table["beta"]).fillna(-1))
    table["value"] = table["value"].fillna(-1)  # of the paper's attack, which has no parameter
    huge = table["family"].isin(HUGE)
    table["harm"] = np.where(huge, table["moved"], table["damage"])
    keys = ["seed", "round", *PLACE, "family", "parameter", "value"]
    table["parameter"] = table["parameter"].fillna("")
    told = ["damage", "moved", "accuracy", "harm"]
    alone = table[table["defence"] == ALONE][[*keys, *told]]
    alone = alone.rename(columns={name: f"alone_{name}" for name in told})
    return table[table["defence"] != ALONE].merge(alone, on=keys, validate="many_to_one")


def main_knowledge(cells: pd.DataFrame) -> pd.DataFrame:
    """The rows of partial knowledge, or of the only knowledge there is."""
    partial = cells[cells["knowledge"] == "partial"]
    return cells if partial.empty else partial


def worst(cells: pd.DataFrame, column: str = "harm") -> Any:
    """The row that leaves most, or is first in another column."""
    return cells.iloc[int(np.argmax(cells[column]))]


def at(row: Any) -> str:
    """The value of a family's parameter: "share 0.3", "z 1.5"; empty where it has none."""
    if not row["parameter"]:
        return ""
    return f"{SIGNS.get(row['parameter'], row['parameter'])} {row['value']:g}"


def curves(records: Records) -> Drawing:
    """Damage behind each defence against damage without: for each rule PDRR beside Co-trimming.

    On the diagonal the defence does nothing. The dotted line is at the most that any attack leaves
    that hides; along the family of this one stand the values of its parameter.
    """
    cells = main_knowledge(left_over(records))
    cells = cells[~cells["family"].isin(HUGE)]
    rules: list[Any] = [place for place, _ in cells.groupby(["rule", "beta"], sort=False)]
    panels = {}
    with mpl.rc_context(BESIDE):
        for (rule, beta), defence in product(rules, DEFENCES):
            of_rule = cells[(cells["rule"] == rule) & (cells["beta"] == beta)]
            title = f"{defence}, {in_words(rule, beta)}"
            panels[title] = Figure(figsize=(4.3, 4), layout="constrained")
            ax = panels[title].subplots()
            most = _panel(ax, of_rule[of_rule["defence"] == defence], _ends(of_rule))
            ax.set(xlabel="damage without a defence", ylabel="damage left")
            ax.set_title(f"{title}\n{most}" if most else title)
    return Drawing(panels, records.table, key=_key(cells))


def _ends(cells: pd.DataFrame) -> tuple[float, float]:
    """Of both axes: a diagonal is a diagonal only if they are the same."""
    every = cells[["alone_harm", "harm"]].to_numpy()
    low, high = min(0.0, every.min()), max(0.1, every.max())
    return low - 0.12 * (high - low), high + 0.12 * (high - low)


def _panel(ax: Axes, own: pd.DataFrame, ends: tuple[float, float]) -> str:
    """Draw one defence; what leaves most behind it, in words."""
    ax.plot(ends, ends, color=GREY, lw=1, zorder=1)
    ax.axhline(0, color=GRID, lw=1, zorder=0)
    for name, look in LOOKS.items():
        family = own[own["family"] == name]
        if family.empty:
            continue
        ax.plot(family["alone_harm"], family["harm"], **{"ms": 4, "lw": 1.3, **look}, zorder=3)
    plain = own[own["family"] == PLAIN]
    ax.plot(plain["alone_harm"], plain["harm"], **STAR)
    ax.set(xlim=ends, ylim=ends)
    hiding = own[own["family"] != PLAIN]
    if hiding.empty:
        return ""
    most = worst(hiding)
    ax.axhline(most["harm"], **{**LINE, "ls": ":"}, zorder=2)
    _values(ax, own[own["family"] == most["family"]], 0.09 * (ends[1] - ends[0]))
    return f"at most {_number(most, 'harm')} left: {_named(most)}"


def _values(ax: Axes, family: pd.DataFrame, apart: float) -> None:
    """The values of a parameter beside their points, but for those that lie on one another."""
    taken: list[np.ndarray] = []
    for row in family.to_dict("records"):
        here = np.array([row["alone_harm"], row["harm"]])
        if all(np.abs(here - other).max() > apart for other in taken):
            taken.append(here)
            beside: dict[str, Any] = {"xytext": (4, -3), "textcoords": "offset points", "va": "top"}
            ax.annotate(f"{row['value']:g}", (here[0], here[1]), **beside, fontsize=9,
                        color=INK, bbox={"fc": PAPER, "lw": 0, "pad": 0.5})  # fmt: skip


def _key(cells: pd.DataFrame) -> list[tuple[str, str, str]]:
    """Glyph, colour and words of the families that are drawn; what looks alike shares a mark."""
    named: dict[tuple[str, str], str] = {}
    for name, look in LOOKS.items():
        if (cells["family"] == name).any():
            mark = GLYPHS[look["marker"]] + LINES.get(look.get("ls", ""), "")
            key = (mark, mpl.colors.to_hex(look["color"]))
            named[key] = f"{named[key]} / {name}" if key in named else name
    families = [(glyph, colour, words) for (glyph, colour), words in named.items()]
    return [*families, ("★", INK, PLAIN), ("─", GREY, "no defence at all")]


def worst_tables(records: Records) -> list[Styler]:
    """A table for each rule: where each defence leaves most of each family, how much, and MAR.

    What is smaller of the two that are left stands out. The accuracies are in the figure's numbers.
    """
    cells, tables = main_knowledge(left_over(records)), []
    for place, of_rule in cells.groupby(["rule", "beta"], sort=False):
        rows: dict[str, list[str]] = {}
        words = in_words(*_parts(place))
        for family, own in of_rule.groupby("family", sort=False):
            most = {name: worst(own[own["defence"] == name]) for name in DEFENCES}
            left = {name: _number(row, "harm") for name, row in most.items()}
            least = min(DEFENCES, key=lambda name: most[name]["harm"])
            tied = len(set(left.values())) == 1
            unit = ", in steps" if family in HUGE else ""
            rows[f"{family}{unit}"] = [
                text
                for name, row in most.items()
                for text in (
                    at(row) or "–",
                    _number(row, "alone_harm"),
                    f"<b>{left[name]}</b>" if name == least and not tied else left[name],
                    short(row["mar"]),
                )
            ]
        named = [(name, column) for name in DEFENCES for column in ("at", "alone", "left", "MAR")]
        header = pd.MultiIndex.from_tuples(named)
        frame = pd.DataFrame(list(rows.values()), list(rows), header)
        table = styled(frame, "schemes numbers")
        tables.append(table.set_caption(f"{words[0].upper()}{words[1:]}."))
    return tables


def points_table(records: Records) -> Styler:
    """Every value that was tried: damage alone and left, FAR / MAR of each defence."""
    cells, rows = left_over(records), {}
    several = len(cells["family"].unique()) > 1
    keys = [*PLACE, "family", "value"]
    for _, own in cells.groupby(keys, sort=False):
        first = own.iloc[0]
        row = {"damage alone": _harm(first, "alone_harm")}
        for _, each in own.iterrows():
            name = each["defence"]
            row[f"{name}: left"] = _harm(each, "harm")
            row[f"{name}: FAR / MAR"] = f"{short(each['far'])} / {short(each['mar'])}"
            row[f"{name}: accuracy"] = f"{each['accuracy']:.2f}"
        named = [first["family"]] if several or not at(first) else []
        rows[", ".join(filter(None, [*named, at(first)]))] = row
    return shown(rows)


def _harm(row: Any, column: str) -> str:
    """Shares of the step in two digits; steps, where values are huge, as a number of steps."""
    return f"{_number(row, column)}{' steps' * (row['family'] in HUGE)}"


def _number(row: Any, column: str) -> str:
    if row["family"] in HUGE:
        return digits(row[column], 2)
    return typeset(f"{row[column]:.2f}")


# in sentences


def findings(records: Records) -> str:
    """What hiding buys and costs, in sentences, as Markdown: for each rule, then for the means."""
    cells = left_over(records)
    lines = []
    for place, own in cells.groupby(PLACE, sort=False):
        rule, beta, known = _parts(place)
        lines.append(_of_rule(own, f"{in_words(rule, beta)}, {known} knowledge"))
    lines += [*_own_attackers(cells), *_bought(cells)]
    return "\n".join(f"- {line}" for line in lines)


def _of_rule(own: pd.DataFrame, where: str) -> str:
    shares = own[~own["family"].isin(HUGE)]
    text = [f"**{where}**:"]
    plain = shares[shares["family"] == PLAIN]
    if not plain.empty:
        left = [f"{_harm(row, 'harm')} behind {row['defence']}" for _, row in plain.iterrows()]
        alone = _harm(plain.iloc[0], "alone_harm")
        text.append(f"the paper's attack undoes {alone} of the step, {' and '.join(left)}.")
    for defence in DEFENCES:
        hiding = shares[(shares["family"] != PLAIN) & (shares["defence"] == defence)]
        if hiding.empty:
            continue
        most = worst(hiding)
        text.append(
            f"Behind {defence}, {_named(most)} leaves most: {_harm(most, 'harm')}"
            f" of {_harm(most, 'alone_harm')} (MAR {short(most['mar'])},"
            f" accuracy {most['accuracy']:.2f})."
        )
        text.append(_against_seen(hiding, most))
    return " ".join(text)


def _against_seen(hiding: pd.DataFrame, most: Any) -> str:
    """What hiding buys beside the strongest attack whose attackers are all found."""
    seen = hiding[hiding["mar"] == 0]
    if seen.empty:
        return "No attack has all its attackers found."
    strongest = worst(seen, "alone_harm")
    bought = "hiding buys nothing"
    if most["harm"] > strongest["harm"]:
        bought = f"hiding buys {most['harm'] - strongest['harm']:.2f}"
    if strongest["alone_harm"] >= WORTH:
        share = max(0.0, most["harm"] / strongest["alone_harm"])
        bought += f", and what is left is {share:.0%} of what that attack would do undefended"
    return (
        f"The strongest attack that is found whole, {_named(strongest)}, would undo"
        f" {_harm(strongest, 'alone_harm')} and leaves {_harm(strongest, 'harm')}: {bought}."
    )


def _own_attackers(cells: pd.DataFrame) -> list[str]:
    """What those achieve that were made against Co-trimming, beside all others."""
    behind = cells[(cells["defence"] == DEFENCES[1]) & ~cells["family"].isin((*HUGE, PLAIN))]
    made = behind["family"].isin(OWN)
    if not made.any() or made.all():
        return []
    best, other = worst(behind[made]), worst(behind[~made])
    unseen = behind[made & (behind["mar"] == 1)]
    hidden = ""
    if not unseen.empty:
        most = worst(unseen, "alone_harm")
        hidden = (
            f" The strongest of these that stay unseen altogether ({_named(most)},"
            f" {in_words(most['rule'], most['beta'])}) undo {_harm(most, 'harm')}."
        )
    return [
        f"**Made against {DEFENCES[1]}**: of all rules, camps and strangers leave at most"
        f" {_harm(best, 'harm')} behind it ({_named(best)}, {in_words(best['rule'], best['beta'])},"
        f" {best['knowledge']} knowledge, MAR {short(best['mar'])}), the other attacks that hide"
        f" at most {_harm(other, 'harm')} ({_named(other)}).{hidden}"
    ]


def _bought(cells: pd.DataFrame) -> list[str]:
    """What a beta that shrinks with every removed model makes of a few huge values."""
    lines = []
    trimmed = cells[(cells["rule"] == "trimmed_mean") & cells["family"].isin(HUGE)]
    for (beta, known), own in trimmed.groupby(["beta", "knowledge"], sort=False):
        told = []
        for defence in DEFENCES:
            most = worst(own[own["defence"] == defence])
            told.append(
                f"behind {defence}, which flags {most['flagged']:.0f} models, {_named(most)} moves"
                f" the aggregate by at most {_harm(most, 'harm')} (accuracy"
                f" {most['accuracy']:.2f}; {_harm(most, 'alone_harm')} without a defence)"
            )
        kept = f"trimmed mean (β = {beta:g}), {known} knowledge"
        lines.append(f"**Huge values in few coordinates, {kept}**: {'; '.join(told)}.")
    return lines


def _parts(place: Any) -> tuple[Any, ...]:
    """The values of a group's keys."""
    return tuple(place)


def _named(row: Any) -> str:
    """The family with the value of its parameter."""
    return f"{row['family']} ({at(row)})" if at(row) else str(row["family"])
