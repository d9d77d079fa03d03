"""Co-trimming on rounds of few and many: the clients, the attackers and the damage are as said."""

import numpy as np
import pandas as pd
import pytest

from pdrr import experiments
from pdrr.experiments.collusion import summary

pytestmark = pytest.mark.usefixtures("small")


def test_attackers_are_the_first_c_of_the_first_k_clients(store):
    which = {"rounds_of": [(9, 3), (10, 2)], "tried": ["ipm_10"], "profile": "smoke"}
    table = experiments.colluders(**which, store=store).table
    assert table[["k", "c", "attack"]].to_numpy().tolist() == [
        [9, 0, "none"],
        [9, 3, "ipm_10"],
        [10, 0, "none"],
        [10, 2, "ipm_10"],
    ]
    quiet = table[table["attack"] == "none"]
    assert quiet["mar"].isna().all()
    assert (quiet["moved"] == 0).all()
    assert (table.loc[table["attack"] == "ipm_10", "moved"] > 0).all()


def test_nobody_attacks_once_for_each_k(store):
    which = {"rounds_of": [(10, 2), (10, 3)], "tried": ["ipm"], "profile": "smoke"}
    table = experiments.colluders(**which, store=store).table
    assert table["attack"].tolist() == ["none", "ipm", "ipm"]


def test_runs_count_attacks_errors_and_alarms():
    row = {"seed": 1, "round": 5, "k": 50, "far": 0.0, "mar": 0.0, "flagged": 20}
    quiet = {**row, "attack": "none", "mar": float("nan"), "far": 0.04, "flagged": 2}
    attacks = [{**row, "attack": "ipm"}, {**row, "attack": "alie", "mar": 0.1}]
    (run,) = summary(pd.DataFrame([quiet, *attacks])).to_dict("records")
    assert run == {"seed": 1, "round": 5, "k": 50, "tried": 2, "wrong": 1, "alarms": 2}


def test_likeness_has_a_row_for_every_two_clients(store):
    records = experiments.sided(tried=["none", "ipm"], profile="smoke", store=store)
    k = int(records.table["client"].max())
    for _, own in records.table.groupby("attack"):
        alike = own.pivot_table(index="client", columns="other", values="likeness").to_numpy()
        assert alike.shape == (k, k)
        np.testing.assert_allclose(alike, alike.T)
        np.testing.assert_allclose(np.diag(alike), 1)
    copies = records.table[
        (records.table["attack"] == "ipm")
        & (records.table["client"] <= records.runs["c"].iloc[0])
        & (records.table["other"] <= records.runs["c"].iloc[0])
    ]
    assert copies["likeness"].min() > 0.99
