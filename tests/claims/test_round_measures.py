"""Measures of every round, by hand on a few made-up rounds."""

import pandas as pd
import pytest

from pdrr.claims import round_measures as each
from pdrr.experiments.records import Records

HARM = {"of": "accuracy_unattacked", "over": "accuracy_attacked"}
KEY = {"chain": "c", "attack": "a", "rule": "trimmed_mean", "seed": 1, "beta": 10.0, "noise": ""}


def rounds(**columns):
    """Four rounds under each knowledge: errors at 2 and 3 with partial knowledge only."""
    partial = {
        "false_alarms": [0, 1, 1, 0],
        "missed": [0, 20, 0, 0],
        "gap_false_alarms": [0, 3, 0, 0],
        "gap_missed": [20, 0, 0, 0],
        "benign_high": [0.2, 1.0, 1.0, 0.3],
        "accuracy_unattacked": [0.5, 0.5, 0.5, 0.5],
        "accuracy_attacked": [0.4, 0.5, 0.6, 0.3],
        "selected": ["malicious", "benign", "malicious", "malicious"],
    }
    full = {
        **{name: [0] * 4 for name in partial if "alarms" in name or "missed" in name},
        "benign_high": [0.1] * 4,
        "accuracy_unattacked": [0.5] * 4,
        "accuracy_attacked": [0.45, 0.5, 0.5, 0.5],
        "selected": ["malicious"] * 4,
    }
    parts = [
        pd.DataFrame({**own, **KEY, "knowledge": known, "round": [1, 2, 3, 4], "malicious": 20})
        for known, own in (("partial", partial), ("full", full))
    ]
    runs = [
        {**KEY, "knowledge": known, "rounds": 4, "wrong": wrong, **columns}
        for known, wrong in (("partial", 2), ("full", 0))
    ]
    return Records(pd.concat(parts, ignore_index=True), pd.DataFrame(runs), {})


@pytest.mark.parametrize(
    ("measure", "arguments", "partial", "full"),
    [
        (each.rounds_all_missed, {}, 1, 0),
        (each.rounds_won, {}, 3, 4),
        (each.rounds_flagging, {}, 2, 0),
        (each.most_false_alarms, {}, 1, 0),
        (each.largest_benign_score, {}, 1.0, 0.1),
        (each.errs_just_at, {"numbers": [3, 2]}, True, False),
        (each.errs_just_at, {"numbers": [2]}, False, False),
        (each.rounds_gained, HARM, 2, 1),
        (each.gained_on_average, HARM, 0.05, 0.0125),
        (each.furthest_gained, HARM, 0.2, 0.05),
        (each.rounds_gap_wrong, {}, 2, 0),
        (each.gap_flagged, {}, 0.75, 0),
        # Clopper and Pearson: of 2 of 4 .0676 and .9324, of 0 of 4 up to 1 - .025^(1/4)
        (each.wrong_interval, {"end": "low"}, 0.0676, 0),
        (each.wrong_interval, {"end": "high"}, 0.9324, 1 - 0.025**0.25),
        (each.rounds_gap_wrong, {"end": "high"}, 0.9324, 1 - 0.025**0.25),
    ],
)
def test_each_run_is_counted_over_its_rounds(measure, arguments, partial, full):
    found = measure(rounds(), **arguments)
    assert list(found.index) == ["knowledge partial", "knowledge full"]
    assert list(found) == pytest.approx([partial, full], abs=5e-5)


def test_the_knowledge_that_leaves_the_lower_accuracy_is_counted_round_by_round():
    worse = each.rounds_worse
    assert worse(rounds(), of="partial", over="full").to_dict() == {"trimmed mean (β = 10)": 2}
    assert worse(rounds(), of="full", over="partial").to_dict() == {"trimmed mean (β = 10)": 1}
    (low,) = worse(rounds(), of="partial", over="full", end="low")
    assert low == pytest.approx(0.0676, abs=5e-5)


def test_errors_of_rounds_with_a_large_client_are_set_against_the_others():
    table = pd.DataFrame(
        {"largest": [320, 284, 160, 165], "false_alarms": [1, 0, 0, 0], "missed": [0, 0, 0, 0]}
    )
    found = each.wrong_with_large(Records(table, table, {}), many=200)
    assert found.tolist() == [0.5]
