"""How the cells of any table stand: numbers to the right, PDRR's rows and the best marked."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from html import unescape
from typing import Any

import pandas as pd
from pandas.io.formats.style import Styler

from pdrr.claims.words import typeset
from pdrr.experiments.schemes import OURS

NUMBER = r"[<>≈±×+−-]? ?[\d.,]*\d(?:e[+-]?\d+)?(?: ?(?:%|s|ms|MB|GB|GiB))?"
CELL = re.compile(rf"{NUMBER}(?:(?:–| to | / | ± ){NUMBER})?(?: of [\d,]+)?")
GAPS = ("", "–", "none")


def styled(table: pd.DataFrame, kind: str, best: Collection[Any] = ()) -> Styler:
    """A table that pandas does not abbreviate, its numbers typeset and to the right.

    Parameters
    ----------
    table : DataFrame
        Of texts, which may be HTML.
    kind : str
        Its class in the pages' style sheet; "upright" sets the heads of columns on end.
    best : labels of columns
        In them the smallest number stands out, as the rows of PDRR do in any table.
    """
    columns: list[list[str]] = []
    heads: list[Any] = []
    for place, label in enumerate(table.columns):
        texts = [str(text) for text in table.iloc[:, place]]
        numbers = [_number(text) for text in texts]
        known = {number for number in numbers if number is not None}
        stands_out = min(known) if label in best and len(known) > 1 else None
        side = "num" if numeric(texts) else ""
        columns.append(
            [f"{side} best" if x is not None and x == stands_out else side for x in numbers]
        )
        if side and "upright" not in kind:
            for level in range(min(1, table.columns.nlevels - 1), table.columns.nlevels):
                head = f"th.level{level}.col{place}"
                heads.append({"selector": head, "props": [("text-align", "right !important")]})
    ours = [re.fullmatch(rf"{OURS}(?:[, ].*)?", str(name)) is not None for name in table.index]
    classes = pd.DataFrame(columns).T.set_axis(table.index).set_axis(table.columns, axis="columns")
    classes[ours] += " ours"
    shown = table.style.set_table_attributes(f'class="dataframe {kind}"')
    # FAR / MAR stay in one line
    shown = shown.format(lambda text: typeset(str(text)).replace(" / ", "\u00a0/\u00a0"))
    shown = shown.format_index(_head, axis=0).format_index(_head, axis=1)
    if table.index.is_unique and table.columns.is_unique:
        shown = shown.set_td_classes(classes.map(str.strip))
    return shown.set_table_styles(heads) if heads else shown


def _head(label: Any) -> str:
    """A label as it is set: no line ends before a number or inside a name."""
    text = str(label).replace("w_p", "w<sub>p</sub>").replace("Co-trimming", "Co\u2011trimming")
    return re.sub(r" ([=≥<]) (?=[\dck])", "\u00a0\\1\u00a0", typeset(text))


def _shown(text: str) -> str:
    """The first line of a cell as it is seen, without marks."""
    first = re.split("<br>", text)[0]
    return unescape(re.sub(r"<sup.*?</sup>|<.*?>", "", first)).strip()


def numeric(texts: Iterable[str]) -> bool:
    """Whether the cells of a column are numbers or ranges of numbers, but for gaps."""
    seen = [shown for text in texts if (shown := _shown(text)) not in GAPS]
    return bool(seen) and all(CELL.fullmatch(text) for text in seen)


def _number(text: str) -> float | None:
    """The first number of a cell; None if it does not begin with one."""
    found = re.match(r"[−-]?[\d,]*\.?\d+(?:e[+-]?\d+)?", _shown(text))
    return float(found[0].replace(",", "").replace("−", "-")) if found else None
