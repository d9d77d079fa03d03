"""Where q comes from: the calibration, its use in every round, and what choosing blindly costs."""

from __future__ import annotations

from typing import Any

import pandas as pd
from pandas.io.formats.style import Styler

from pdrr.book.readings import shown
from pdrr.claims.words import interval, short
from pdrr.core.rules import in_words
from pdrr.experiments.attacking import NOBODY
from pdrr.experiments.chains import ORACLE
from pdrr.experiments.records import Records
from pdrr.experiments.thresholds import COUNTS

BY = ["rule", "beta"]


def curves(records: Records) -> pd.DataFrame:
    """Errors at each q over all attacked rounds: both kinds of knowledge and all seeds together.

    Parameters
    ----------
    records : Records
        Of `experiments.errors_by_q`. The oracle-defended chain is taken: no server is in its way.

    Returns
    -------
    DataFrame
        As `pdrr.book.thresholds.error_by_q` takes it.
    """
    table = records.table
    table = table[(table["chain"] == ORACLE) & (table["attack"] != NOBODY)]
    return table.groupby([*BY, "q"], dropna=False, sort=False)[COUNTS].sum().reset_index()


def in_force(plateaus: pd.DataFrame, noise: str) -> pd.DataFrame:
    """Of `experiments.thresholds.thresholds`, the rows of one noise, and of rules without any."""
    return plateaus[plateaus["noise"].isin(["", noise])]


def plateaus_table(plateaus: pd.DataFrame, q: dict[str, float]) -> Styler:
    """The plateau of each rule, beta and noise, its width and middle, and the errors made on it."""
    rows = {}
    for row in plateaus.to_dict("records"):
        noise = f", noise: {row['noise']}" if row["noise"] else ""
        rows[f"{in_words(row['rule'], row['beta'])}{noise}"] = {
            "runs": str(row["runs"]),
            "fewest errors for q in": interval(row["low"], row["high"]),
            "width": f"{row['high'] - row['low']:.4f}",
            "its middle": f"{row['q']:g}",
            "q in use": f"{q[row['rule']]:g}",
            "false alarms": f"{row['false_alarms']} of {row['benign']:,}",
            "missed": f"{row['missed']} of {row['malicious']:,}",
        }
    return shown(rows)


def found_in_words(plateaus: pd.DataFrame, noise: str) -> str:
    """What the calibration gives, and what another choice would have given, as Markdown."""
    found = {
        (row["rule"], row["beta"]): row for row in in_force(plateaus, noise).to_dict("records")
    }
    named = {in_words(rule, beta): row for (rule, beta), row in found.items() if beta != 20}
    lines = [
        f"{name}: plateau {interval(row['low'], row['high'])}, q = {row['q']:g}"
        for name, row in named.items()
    ]
    ten, twenty = found["trimmed_mean", 10], found["trimmed_mean", 20]
    wide, narrow = (row["high"] - row["low"] for row in (twenty, ten))
    others = plateaus[~plateaus["noise"].isin(["", noise])].to_dict("records")
    rest = "".join(
        f" With the noise per {row['noise']} {in_words(row['rule'])}'s plateau is"
        f" {interval(row['low'], row['high'])}, its middle {row['q']:g}."
        for row in others
    )
    given = interval(twenty["low"], twenty["high"])
    return (
        f"{'; '.join(lines)}. β = 20 alone would have given {given} and {twenty['q']:g}: the β that"
        f" the paper says one must choose leaves a plateau {wide / narrow:.1f} times as wide.{rest}"
    )


def margins_table(records: Records) -> Styler:
    """How near q lies to the scores on either side, over all attacked rounds of a row.

    Below 0 the scores of that kind cross q: PDRR errs in such a round.
    """
    table = records.table
    table = table[(table["chain"] == ORACLE) & (table["attack"] != NOBODY)]
    rows = {}
    for (rule, beta, known), own in _groups(table, "knowledge"):
        below, above = own["q"] - own["benign_high"], own["malicious_low"] - own["q"]
        rows[f"{in_words(rule, beta)}, {known}"] = {
            "rounds": str(len(own)),
            "q": f"{own['q'].iloc[0]:g}",
            "largest benign score below q by, median": f"{below.median():.3f}",
            "at least": f"{below.min():.3f}",
            "smallest malicious score above q by, median": f"{above.median():.4f}",
            "at least ": f"{above.min():.4f}",
        }
    return shown(rows)


def blind_table(records: Records) -> Styler:
    """Errors of the q in use, and of one chosen in every round by the widest gap, without labels.

    A row for each rule and beta with either knowledge, and where nobody attacks.
    """
    table = records.table[records.table["chain"] == ORACLE]
    rows = {}
    for (rule, beta, known), own in _groups(table, "knowledge"):
        words = "nobody attacks" if known == NOBODY else known
        rows[f"{in_words(rule, beta)}, {words}"] = {
            "rounds": str(len(own)),
            "false alarms, q in use": _share(own, "false_alarms", "benign"),
            "by the gap": _share(own, "gap_false_alarms", "benign"),
            "missed, q in use": _share(own, "missed", "malicious"),
            "by the gap ": _share(own, "gap_missed", "malicious"),
            "rounds with an error by the gap": _wrong(own),
        }
    return shown(rows)


def blind_in_words(records: Records) -> str:
    """What the gap costs where nobody attacks, in a sentence."""
    table = records.table[records.table["attack"] == NOBODY]
    rates = {
        in_words(rule, beta): own["gap_false_alarms"].sum() / own["benign"].sum()
        for (rule, beta), own in _groups(table)
    }
    said = ", ".join(f"{rate:.0%} under {name}" for name, rate in rates.items())
    return f"Nobody attacking, the widest gap flags of the honest models {said}."


def _groups(table: pd.DataFrame, *more: str) -> Any:
    return table.groupby([*BY, *more], dropna=False, sort=False)


def _share(rounds: pd.DataFrame, wrong: str, of: str) -> str:
    total = int(rounds[of].sum())
    if not total:
        return "–"
    count = int(rounds[wrong].sum())
    return f"{count:,} of {total:,}<br><small>{short(count / total)}</small>"


def _wrong(rounds: pd.DataFrame) -> str:
    wrong = (rounds["gap_false_alarms"] > 0) | (rounds["gap_missed"] > 0)
    return f"{wrong.sum()} of {len(rounds)}"


def of_one_round(records: Records, blind: float) -> str:
    """What the run on a page found: the suitable range of its round, q in use, q by the gap."""
    run = records.runs.iloc[0]
    wrong = records.table["score"].ge(blind) != records.table["byzantine"]
    return (
        f"{in_words(str(run['rule']), run['beta'])}, {run['knowledge']} knowledge, round"
        f" {run['round']}: suitable q {interval(run['q_low'], run['q_high'])}; in use {run['q']:g};"
        f" middle of the widest gap {blind:.3f}, which errs in {int(wrong.sum())} of"
        f" {len(wrong)} models"
    )
