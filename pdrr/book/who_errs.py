"""In which rounds PDRR errs: those with a benign client of many images, against the others."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from pandas.io.formats.style import Styler
from scipy.stats import binomtest, fisher_exact

from pdrr.book.readings import shown
from pdrr.claims.words import bounds, typeset
from pdrr.experiments.records import Records


def by_largest(records: Records, *, many: int, seeds: Sequence[int] | None = None) -> pd.DataFrame:
    """Rounds and rounds with an error, by whether a benign client has more than `many` images.

    Parameters
    ----------
    records : Records
        Of `experiments.every_round`: one rule, beta, knowledge and chain.
    many : int
    seeds : sequence of int, optional
        All that are there by default.

    Returns
    -------
    DataFrame
        Columns `rounds` and `wrong`; rows True (such a client takes part) and False.
    """
    table = records.table
    if seeds is not None:
        table = table[table["seed"].isin(seeds)]
    wrong = (table["false_alarms"] > 0) | (table["missed"] > 0)
    by = wrong.groupby(table["largest"] > many)
    counts = pd.DataFrame({"rounds": by.size(), "wrong": by.sum()})
    return counts.reindex([True, False], fill_value=0)


def by_largest_table(records: Records, *, many: int, seeds: Sequence[int] | None = None) -> Styler:
    """`by_largest` with exact 95% intervals, and Fisher's exact test of the difference."""
    counts = by_largest(records, many=many, seeds=seeds)
    words = {True: f"a benign client with over {many} images", False: "none with so many"}
    rows = {}
    for there, (rounds, wrong) in counts.iterrows():
        interval = binomtest(int(wrong), int(rounds)).proportion_ci()
        rows[words[bool(there)]] = {
            "rounds": f"{rounds}",
            "with an error": f"{wrong}",
            "share": f"{wrong / rounds:.2f}",
            "exact 95%": bounds(interval.low, interval.high),
        }
    p = fisher_exact([[wrong, rounds - wrong] for rounds, wrong in counts.to_numpy()]).pvalue
    return shown(rows).set_caption(typeset(f"Fisher's exact test: p = {p:.2g}."))
