"""The box that opens a page: what the paper says, what we find, and the verdict on each claim."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
from IPython.display import HTML

from pdrr.book.verdicts_html import badge, badges
from pdrr.claims import verdicts
from pdrr.claims.expected import expected
from pdrr.core.files import RECORDED
from pdrr.experiments.schemes import OURS

SHOWN = 3  # claims that stand open; the rest is folded
LABELS = {"paper": "paper says", "ours": "we find"}
ELSEWHERE = ("claim", "verdict", "figure", "section", "tolerance", "id", "part_of", "counted")


def box(stem: str, folder: Path = RECORDED / "paper") -> HTML:
    """The claims of one page, judged on the records in `folder`.

    Parameters
    ----------
    stem : str
        Of the page, such as "fig04".
    folder : Path

    Raises
    ------
    ValueError
        If no claim belongs to that page.
    """
    known = dict.fromkeys(claim.page for claim in expected().claims)
    if stem not in known:
        raise ValueError(
            f"a box needs a page with claims, got {stem!r}: there are {', '.join(known)}"
        )
    return HTML(box_html(verdicts.table(folder, stem)))


def box_html(rows: pd.DataFrame) -> str:
    """Rows of `verdicts.table` as a box: the counted ones first, what is too much folded.

    A row with something in `part_of` is not counted: it says again what another claim says, or
    holds by construction. Columns beyond verdict, claim, paper and ours are shown where they hold
    something, under their own names.
    """
    again = rows["part_of"].map(_holds_something) if "part_of" in rows else rows["claim"].isna()
    # what is said of the defence itself comes first
    counted = rows[~again].sort_values("claim", key=_not_ours, kind="stable")
    say = "that says" if again.sum() == 1 else "that say"
    groups = {
        f"{len(counted) - SHOWN} more of these claims": counted[SHOWN:],
        f"{again.sum()} {say} a part of another claim again, not counted": rows[again],
    }
    opened = " open" if counted.empty else ""
    folds = [
        f"<details{opened}><summary>{title}: {badges(part['verdict'])}</summary>"
        f"{_claims(part)}</details>"
        for title, part in groups.items()
        if len(part)
    ]
    return (
        '<div class="pdrr-box"><p class="head"><strong>What the paper says, and what we find'
        '</strong>, judged on <a href="./verdicts.html">recorded runs at its size</a>:'
        f" {badges(counted['verdict'])}</p>{_claims(counted[:SHOWN])}{''.join(folds)}</div>"
    )


def _claims(rows: pd.DataFrame) -> str:
    if rows.empty:
        return ""
    return f"<ul>{''.join(f'<li>{_claim(row)}</li>' for row in rows.to_dict('records'))}</ul>"


def _claim(row: Mapping[Any, Any]) -> str:
    names = [*LABELS, *(name for name in row if name not in (*LABELS, *ELSEWHERE))]
    said = "".join(
        f"<div><dt>{escape(LABELS.get(name, name.replace('_', ' ')))}</dt>"
        f"<dd>{escape(str(row[name]))}</dd></div>"
        for name in names
        if _holds_something(row[name])
    )
    return f"<p>{badge(row['verdict'], row['verdict'])} {escape(row['claim'])}</p><dl>{said}</dl>"


def _not_ours(claims: pd.Series) -> pd.Series:
    return ~claims.str.contains(OURS, regex=False)


def _holds_something(value: Any) -> bool:
    return not (value is None or value != value or value == "")
