"""The verdicts as HTML: counts, and what belongs to each section of the paper."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from typing import Any

import pandas as pd

BADGES = {  # colours of the theme; a verdict that is none about the claim is grey
    "reproduced": "success",
    "partly": "warning",
    "not": "danger",
    "not distinguishable from chance": "info",
    "not comparable": "light",
    "by construction": "light",
    "not measured": "secondary",
}
COLUMNS = ("claim", "paper", "ours", "runs", "interval")
HEADS = {"runs": "n", "interval": "95%"}
NUMBERS = ("runs", "interval")
LEGEND = (
    "<p><small>n: attacked rounds that a verdict rests on. 95%: exact interval (Clopper and"
    " Pearson), two-sided, of the share of them that meet the claim, as if they were independent."
    " ↳: part of another claim, or true by construction; not counted.</small></p>"
)


def verdicts_html(table: pd.DataFrame) -> str:
    """The table of `verdicts.table` as HTML: counts, then the claims of each section of the paper.

    Each section is a fold. With a column `tolerance` it is the whole: sections have an anchor, and
    so have claims that have an `id`, `claim-<id>`. There all folds are open; a script closes them
    but for the first, so that nothing is lost without it. Claims that do not count, parts of others
    and what is true by construction, stand below the others in a fold of their own and are in no
    number. On a phone the rows are cards, and `book/_static/words.js` adds a search: each row tells
    what it needs for that.
    """
    whole = "tolerance" in table
    columns = [name for name in COLUMNS if name in table]
    counted = table["counted"] if "counted" in table else pd.Series(True, table.index)
    sections = []
    for section, rows in table.groupby("section", sort=False):
        name, own = escape(str(section)), rows.assign(counted=counted[rows.index])
        numbers = badges(rows["verdict"][own["counted"]])
        if whole:
            place = "section-" + re.sub(r"\W+", "-", str(section)).strip("-")
            link = f'<a class="headerlink" href="#{place}" title="Link to this section">#</a>'
            claims, again = own[own["counted"]], own[~own["counted"]]
            parts = _table(claims, columns, name, whole) if len(claims) else ""
            if len(again):
                say, hold = ("says", "holds") if len(again) == 1 else ("say", "hold")
                words = f"{len(again)} that {say} a part of another claim or {hold} by construction"
                below = _table(again, columns, f"{name}: {words}", whole)
                parts += f"<details open><summary>{words}</summary>{below}</details>"
            sections.append(
                f'<section id="{place}"><details open><summary><h3>{name}{link}</h3> {numbers}'
                f"</summary>{parts}</details></section>"
            )
        else:
            parts = _table(own, columns, name, whole)
            sections.append(
                f"<details><summary><h3>{name}</h3> {numbers}</summary>{parts}</details>"
            )
    numbers = badges(table["verdict"][counted])
    kind = "verdicts whole" if whole else "verdicts"
    return f'<div class="{kind}"><p>{numbers}</p>{LEGEND}{"".join(sections)}</div>'


def badges(verdicts: pd.Series) -> str:
    """How many claims got each verdict, where there are any: first those about the claim."""
    names = [*BADGES, *sorted(set(verdicts) - set(BADGES))]
    numbers = {name: int((verdicts == name).sum()) for name in names}
    return " ".join(badge(name, f"{n} {name}") for name, n in numbers.items() if n)


def badge(verdict: str, text: str) -> str:
    """A text on the colour of a verdict."""
    colour = BADGES.get(verdict, "secondary")
    return f'<span class="sd-badge sd-bg-{colour} sd-bg-text-{colour}">{escape(text)}</span>'


def _table(rows: pd.DataFrame, columns: list[str], name: str, whole: bool) -> str:
    """One section. The roles stay where a phone lays the rows out as cards."""
    head = "".join(
        f'<th role="columnheader" scope="col"{_kind(column)}>{HEADS.get(column, column)}</th>'
        for column in columns
    )
    body = "".join(_row(row, columns, whole) for row in rows.to_dict("records"))
    return (
        '<div class="pdrr-scroll"><table class="table verdicts" role="table">'
        f"<caption>{name}</caption>"
        f'<thead role="rowgroup"><tr role="row">{head}</tr></thead>'
        f'<tbody role="rowgroup">{body}</tbody></table></div>'
    )


def _row(row: Mapping[Any, Any], columns: list[str], whole: bool) -> str:
    cells = []
    for column in columns:
        text = escape(str(row[column]))
        if column == "claim":
            text = f'{"" if row["counted"] else "↳ "}<a href="./{row["figure"]}.html">{text}</a>'
            if whole and "id" in row:
                text += (
                    f'<a class="headerlink" href="#claim-{escape(row["id"])}"'
                    ' title="Link to this claim">#</a>'
                )
            text = f"{badge(row['verdict'], row['verdict'])}<br>{text}"
        if column == "ours" and row.get("tolerance"):
            text += f"<br><small>judged by: {escape(str(row['tolerance']))}</small>"
        label = "" if column == "claim" else f' data-label="{HEADS.get(column, column)}:"'
        cells.append(f'<td role="cell"{_kind(column)}{label}>{text}</td>')
    place = f' id="claim-{escape(row["id"])}"' if whole and "id" in row else ""
    return f'<tr role="row"{place} data-verdict="{escape(row["verdict"])}">{"".join(cells)}</tr>'


def _kind(column: str) -> str:
    return ' class="num"' if column in NUMBERS else ""
