"""The verdicts as HTML: counts, and a fold for each section of the paper."""

from __future__ import annotations

from html import escape

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
COLUMNS = ("verdict", "claim", "paper", "ours", "runs", "interval", "tolerance")
LEGEND = (
    "<p><small>Runs: attacked rounds that a verdict rests on. Interval: exact (Clopper and"
    " Pearson), two-sided, 95 %, of the share of runs that meet the claim, as if the runs were"
    " independent."
    " ↳: part of another claim, or true by construction; not counted.</small></p>"
)


def verdicts_html(table: pd.DataFrame) -> str:
    """The table of `verdicts.table` as HTML: counts, then a fold for each section of the paper.

    A column `tolerance` is shown if it is there, and the folds are then open. Claims that do not
    count, parts of others and what is true by construction, are indented and in no number.
    """
    columns = [name for name in COLUMNS if name in table]
    counted = table["counted"] if "counted" in table else pd.Series(True, table.index)
    shown = table.copy()
    for column in columns[1:]:
        shown[column] = table[column].map(str).map(escape)
    shown["verdict"] = [badge(verdict, verdict) for verdict in table["verdict"]]
    shown["claim"] = [
        f'{"" if own else "↳ "}<a href="./{stem}.html">{text}</a>'
        for stem, text, own in zip(table["figure"], shown["claim"], counted, strict=True)
    ]
    folds = [
        f"<details{' open' if 'tolerance' in table else ''}>"
        f'<summary style="cursor: pointer; margin: .5rem 0">{escape(str(section))}'
        f" {badges(table['verdict'][rows.index][counted[rows.index]])}</summary>"
        f'<div class="pdrr-scroll">{_plain(rows[columns])}</div></details>'
        for section, rows in shown.groupby("section", sort=False)
    ]
    numbers = badges(table["verdict"][counted])
    return f'<div class="verdicts"><p>{numbers}</p>{LEGEND}{"".join(folds)}</div>'


def badges(verdicts: pd.Series) -> str:
    """How many claims got each verdict, where there are any: first those about the claim."""
    names = [*BADGES, *sorted(set(verdicts) - set(BADGES))]
    numbers = {name: int((verdicts == name).sum()) for name in names}
    return " ".join(badge(name, f"{n} {name}") for name, n in numbers.items() if n)


def badge(verdict: str, text: str) -> str:
    """A text on the colour of a verdict."""
    colour = BADGES.get(verdict, "secondary")
    return f'<span class="sd-badge sd-bg-{colour} sd-bg-text-{colour}">{escape(text)}</span>'


def _plain(rows: pd.DataFrame) -> str:
    return rows.to_html(index=False, escape=False, border=0, classes="table verdicts")
