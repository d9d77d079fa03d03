"""What titles of the pages beyond the paper are held to, on cells that can be checked by eye."""

import numpy as np
import pandas as pd

from helpers.made_up import ORIGIN
from pdrr.claims import beyond_measures as measures
from pdrr.experiments.records import Records

PLACE = {"seed": 1, "round": 1, "knowledge": "full", "c": 2, "k": 10}


def matrix():
    """The attack on Krum in two noises and ALIE, which has none; one attack found nothing."""
    rows = [
        ("krum", "ball", "A", 0, 0, 1),
        ("krum", "coordinate", "A", 0, 0.5, 0.75),
        ("alie", np.nan, "A", 0, 0.005, 0.9),
        ("krum", "ball", "B", 0.25, 0, 1),
        ("krum", "coordinate", "B", 0, 0, 1),
        ("alie", np.nan, "B", 0, 1, 0.25),
        ("min_max", np.nan, "A", 1, 1, 0),
    ]
    columns = ["attack", "noise", "scheme", "far", "mar", "auc"]
    table = pd.DataFrame(rows, columns=columns).assign(**PLACE)
    runs = table[["attack", "noise", *PLACE]].drop_duplicates()
    return Records(table, runs.assign(succeeded=runs["attack"] != "min_max"), ORIGIN)


def test_attacks_count_as_they_were_tried_where_they_found_something():
    assert measures.attacks_found(matrix()).round(6).to_dict() == {"A": 0.666667, "B": 0.333333}
    assert measures.more_attacks_found(matrix(), of="B").round(6).to_dict() == {"A": -0.333333}
    assert measures.lowest_auc(matrix(), schemes=["B", "A"]).to_dict() == {"B": 0.25, "A": 0.75}


def test_alarms_are_those_of_clients_as_they_are():
    usual = {"scheme": "A", "share": 0.0, "pairs": 0, "alpha": np.nan, "flagged": 0}
    changes = ({}, {"flagged": 3}, {"flagged": 1, "pairs": 5}, {"flagged": 1, "alpha": 0.1})
    rows = pd.DataFrame([{**usual, **change} for change in changes])
    assert measures.alarms_of_rounds(Records(rows, rows, ORIGIN)).to_dict() == {"A": 0.5}


def test_counts_with_an_error_are_those_of_a_server_that_is_told_the_truth():
    usual = {**PLACE, "scheme": "A", "far": 0, "mar": 0, "expected": 2, "beta": np.nan}
    changes = (
        {"mar": 0.5},
        {"far": 0.5},
        {"far": 0.5, "c": 4},  # told 2
        {"scheme": "B", "mar": 1, "beta": 3, "expected": np.nan},  # not a fifth of 10
    )
    rows = pd.DataFrame([{**usual, **change} for change in (*changes, {"scheme": "C"})])
    found = Records(rows, rows, ORIGIN)
    assert measures.counts_with_an_error(found, schemes=["A"]).to_dict() == {"A": 1}
    assert measures.counts_with_an_error(found, schemes=["A"], others=True).to_dict() == {"C": 0}


def test_rates_are_means_where_the_attack_found_something():
    rows = pd.DataFrame(
        {"attack": ["alie"] * 3, "mar": [1, 0.5, 0], "succeeded": [True, True, False]}
    )
    found = measures.rates_under(Records(rows, rows, ORIGIN), attacks=["alie"], rate="mar")
    assert found.to_dict() == {"alie": 0.75}


def test_damage_left_is_that_of_attacks_that_hide():
    rows = pd.DataFrame(
        [
            ("median", "PDRR", "the paper's attack", 2.0),
            ("median", "PDRR", "sparse", 9.0),
            ("median", "PDRR", "decoy", 0.5),
            ("median", "PDRR", "shift", 0.25),
            ("median", "Co-trimming", "decoy", 1.0),
        ],
        columns=["rule", "defence", "family", "damage"],
    )
    found = measures.most_damage_left(Records(rows, rows, ORIGIN), defence="PDRR")
    assert found.to_dict() == {"median": 0.5}
