"""Records of every round with numbers that can be checked by eye."""

import numpy as np
import pandas as pd

from helpers.made_up import ORIGIN
from pdrr.experiments.chains import LOOP, ORACLE
from pdrr.experiments.records import Records

NAN = float("nan")


def row(number, *, chain=ORACLE, apart=False, attack="trimmed_mean", known="partial", **values):
    """One attacked round of the trimmed mean (beta = 10) in which nothing is wrong."""
    usual = {"rule": "trimmed_mean", "seed": 1, "c": 2, "beta": 10.0, "noise": "", "q": 0.9}
    usual |= {"learning_rate": 0.06, "succeeded": True, "selected": "", "lambda": NAN}
    usual |= {"benign": 3, "false_alarms": 0, "malicious": 2, "missed": 0}
    usual |= {"benign_high": 0.5, "malicious_low": 0.95, "auc": 1.0}
    usual |= {"gap_false_alarms": 0, "gap_missed": 0, "accuracy": 0.1}
    usual |= {"accuracy_unattacked": 0.5, "accuracy_attacked": 0.3, "accuracy_defended": 0.5}
    key = {"chain": chain, "apart": apart, "attack": attack, "round": number, "knowledge": known}
    return {**key, **usual, **values}


def nobody(number, **values):
    """The same round where nobody attacks."""
    nothing = {"malicious": 0, "benign": 5, "malicious_low": NAN, "accuracy_attacked": NAN}
    return row(number, attack="none", known="none", **{**nothing, **values})


def rounds(*rows):
    """Records of such rows; a run is not looked at."""
    table = pd.DataFrame(rows)
    return Records(table, table[["seed", "round", "rule"]], ORIGIN)


def four_rounds():
    """Partial knowledge errs in rounds 2 and 3 of 4, in the loop in round 2; full never."""
    missed = {"missed": 2, "false_alarms": 1, "malicious_low": 0.4, "accuracy_attacked": 0.1}
    alarm = {"false_alarms": 1, "benign_high": 0.92}
    wrong = {2: missed, 3: alarm}
    parted = {"chain": LOOP, "apart": True}
    partial = [row(number, **wrong.get(number, {})) for number in (1, 2, 3, 4)]
    loop = [row(1, chain=LOOP), row(2, chain=LOOP, **missed), row(3, **parted), row(4, **parted)]
    full = [row(n, known="full", chain=chain) for n in (1, 2, 3, 4) for chain in (ORACLE, LOOP)]
    quiet = [nobody(n, false_alarms=n - 1, gap_false_alarms=2) for n in (1, 2, 3, 4)]
    return rounds(*partial, *loop, *full, *quiet)


def by_q():
    """Errors at two q of both kinds of knowledge, of the loop, and where nobody attacks."""
    key = {"rule": "median", "beta": np.nan, "seed": 1, "benign": 30, "malicious": 20}
    parts = [
        {**key, "chain": chain, "attack": attack, "knowledge": known, "q": q,
         "false_alarms": alarms, "missed": missed}
        for chain, attack, known, times in (
            (ORACLE, "median", "full", 1), (ORACLE, "median", "partial", 2),
            (LOOP, "median", "partial", 100), (ORACLE, "none", "none", 1000),
        )
        for q, alarms, missed in ((0.0, 3 * times, 0), (1.0, 0, 4 * times))
    ]  # fmt: skip
    return Records(pd.DataFrame(parts), pd.DataFrame({"seed": [1]}), ORIGIN)
