"""Records of survival with numbers that can be checked by eye."""

import numpy as np
import pandas as pd

from helpers.made_up import ORIGIN
from pdrr.experiments.arms import ORACLE, PEACE, UNDEFENDED, summary
from pdrr.experiments.records import Records

NAN = float("nan")
FINAL = {  # error of each arm from round 2 on
    PEACE: 0.25,
    UNDEFENDED: 0.75,
    "PDRR": 0.375,
    "Co-trimming": 0.3125,
    "NNM": 0.28125,
    "Multi-Krum": 0.875,
    ORACLE: 0.3125,
}


def rows(arm, error, *, rule="krum", seed=1, rounds=8, **values):
    """An arm's rounds: error 1 in the first, then always `error`; the worst decile errs .1 more."""
    attacked = arm != PEACE
    usual = {"arm": arm, "attack": rule if attacked else "none", "rule": rule, "seed": seed}
    usual |= {"knowledge": "partial" if attacked else "none", "c": 20, "far": 0.0}
    usual |= {"beta": 10.0 if rule == "trimmed_mean" else NAN, "diverged": False, "seconds": 0.5}
    usual |= {
        "mar": 1.0 if arm == UNDEFENDED else 0.0,
        "flagged": 20,
        "apart": float(arm != ORACLE),
    }
    table = pd.DataFrame({**usual, "round": np.arange(1, rounds + 1)}).assign(**values)
    table["accuracy"] = np.where(table["round"] == 1, 0, 1 - error)
    table["worst_decile"] = table["accuracy"] - 0.1 * (table["round"] > 1)
    return table


def survived(*parts, errors=FINAL):
    """Records of such rows; by default Krum, one seed, an arm for each of `errors`."""
    table = pd.concat(parts or [rows(arm, error) for arm, error in errors.items()])
    table = table.reset_index(drop=True)
    return Records(table, summary(table), ORIGIN)
