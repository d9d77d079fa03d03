"""What the statements of "Beyond the paper" are held to, see `measures`.

A cell is a detector, an attack or a rule. An attack counts as it was tried: with its knowledge and
its noise, in the rounds in which it found something to send.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from pdrr.claims.measures import measure
from pdrr.experiments.attacking import NOBODY
from pdrr.experiments.evasion import PLAIN
from pdrr.experiments.records import Records

WAY = ["attack", "knowledge", "noise"]
NONE = 0.01  # of the models, FAR and MAR: as good as none
HUGE = ("sparse", "sacrifice")  # families whose damage is a length, not a share of the step


def _tried(records: Records) -> Any:
    """FAR, MAR and AUC of each detector under each attack: means over its rounds."""
    place = [*WAY, "seed", "round"]
    table, runs = (
        frame.assign(noise=frame["noise"].astype(object).fillna(""))
        for frame in (records.table, records.runs)
    )
    sent = runs.loc[runs["succeeded"].astype(bool) & (runs["attack"] != NOBODY), place]
    tried = table.merge(sent.drop_duplicates(), on=place)
    return tried.groupby(["scheme", *WAY], sort=False)[["far", "mar", "auc"]].mean()


def _found(records: Records) -> pd.Series:
    """Of each detector, the share of the attacks that it finds without an error."""
    tried = _tried(records)
    seen = (tried["far"] <= NONE) & (tried["mar"] <= NONE)
    return pd.Series(seen.groupby(level="scheme", sort=False).mean())


@measure
def attacks_found(records: Records) -> pd.Series:
    """Of each detector, the share of the attacks that it finds without an error."""
    return _found(records)


@measure
def more_attacks_found(records: Records, *, of: str) -> pd.Series:
    """The share of the attacks that one detector finds minus that of each other."""
    found = _found(records)
    return pd.Series(found[of] - found.drop(of))


@measure
def lowest_auc(records: Records, *, schemes: Sequence[str]) -> pd.Series:
    """AUC of some detectors under the attack that they rank worst."""
    lowest: pd.Series = _tried(records)["auc"].groupby(level="scheme").min()[list(schemes)]
    return lowest


@measure
def alarms_of_rounds(records: Records) -> pd.Series:
    """Of each detector, the share of the rounds without an attack in which it flags somebody.

    Only clients as they are: no mixed or cloned images, no drawn shares of the classes.
    """
    rows = records.table
    rows = rows[(rows["share"] == 0) & (rows["pairs"] == 0) & rows["alpha"].isna()]
    share: pd.Series = (rows["flagged"] > 0).groupby(rows["scheme"], sort=False).mean()
    return share


@measure
def counts_with_an_error(
    records: Records, *, schemes: Sequence[str], others: bool = False
) -> pd.Series:
    """At how many numbers of attackers some detectors, or all others, err in some round.

    The server is told the right number, and a fifth of the values is trimmed per side.
    """
    table = records.table
    told = table["expected"].isna() | (table["expected"] == np.maximum(table["c"], 1))
    usual = table["beta"].isna() | (table["beta"] == table["k"] // 5)
    asked = table["scheme"].isin(schemes) != others
    judged = table[told & usual & asked]
    wrong = judged[(judged["far"] > 0) | (judged["mar"] > 0)].groupby("scheme")["c"].nunique()
    return wrong.reindex(judged["scheme"].unique(), fill_value=0)


@measure
def rates_under(records: Records, *, attacks: Sequence[str], rate: str) -> pd.Series:
    """The mean of "far" or "mar" under each of some attacks, where they found something to send."""
    table = records.table[records.table["succeeded"].astype(bool)]
    found: pd.Series = table.groupby("attack")[rate].mean()[list(attacks)]
    return found


@measure
def most_damage_left(records: Records, *, defence: str) -> pd.Series:
    """The largest damage that an attack that hides leaves behind a defence, under each rule."""
    table = records.table[records.table["defence"] == defence]
    hiding = table[~table["family"].isin((PLAIN, *HUGE))]
    return pd.Series(hiding.groupby("rule", sort=False)["damage"].max())
