"""Where q comes from: what the tables count, on numbers that can be checked by eye."""

import numpy as np
import pandas as pd

from helpers import made_up_rounds
from pdrr.book import choosing_q
from pdrr.experiments.records import Records, recorded
from pdrr.experiments.thresholds import thresholds

PLATEAUS = pd.DataFrame(
    {
        "rule": ["krum", "krum", "trimmed_mean", "trimmed_mean"],
        "beta": [np.nan, np.nan, 10, 20],
        "noise": ["ball", "coordinate", "", ""],
        "runs": 10,
        "low": [0, 0, 0.9, 0.5],
        "high": [0.9, 0.5, 1.0, 1.0],
        "q": [0.45, 0.25, 0.95, 0.75],
        "benign": 300,
        "false_alarms": [0, 0, 1, 0],
        "malicious": 200,
        "missed": 0,
    }
)


def test_curves_take_attacked_rounds_of_the_oracle_defended_chain():
    found = choosing_q.curves(made_up_rounds.by_q())
    assert found["q"].tolist() == [0, 1]
    assert found["benign"].tolist() == [60, 60]
    assert found["false_alarms"].tolist() == [9, 0]
    assert found["missed"].tolist() == [0, 12]


def test_the_noise_in_force_leaves_one_plateau_a_rule_and_beta():
    found = choosing_q.in_force(PLATEAUS, "ball")
    assert found["q"].tolist() == [0.45, 0.95, 0.75]


def test_the_table_of_plateaus_has_a_row_for_each():
    table = choosing_q.plateaus_table(PLATEAUS, {"krum": 0.45, "trimmed_mean": 0.95}).data
    cells = table.loc["trimmed mean (β = 10)"].tolist()
    assert cells == ["10", "0.900–1.000", "0.1000", "0.95", "0.95", "1 of 300", "0 of 200"]
    assert "Krum, noise: coordinate" in table.index


def test_the_words_say_what_the_other_beta_and_the_other_noise_would_have_given():
    text = choosing_q.found_in_words(PLATEAUS, "ball")
    assert text.startswith("Krum: plateau 0.000–0.900, q = 0.45; trimmed mean (β = 10)")
    assert "β = 20 alone would have given 0.500–1.000 and 0.75" in text
    assert "a plateau 5.0 times as wide" in text
    assert text.endswith(
        "With the noise per coordinate Krum's plateau is 0.000–0.500, its middle 0.25."
    )


def test_the_committed_calibration_can_be_told():
    found = thresholds(recorded("calibration", "quick"))
    assert "times as wide" in choosing_q.found_in_words(found, "ball")


def test_margins_are_signed_distances_from_q():
    table = choosing_q.margins_table(made_up_rounds.four_rounds()).data
    cells = table.loc["trimmed mean (β = 10), partial"].tolist()
    assert cells == ["4", "0.9", "0.400", "-0.020", "0.0500", "-0.5000"]
    assert not [name for name in table.index if "none" in name]


def test_the_blind_choice_is_counted_beside_the_q_in_use():
    table = choosing_q.blind_table(made_up_rounds.four_rounds()).data
    quiet = table.loc["trimmed mean (β = 10), nobody attacks"].tolist()
    assert quiet == [
        "4",
        "6 of 20<br><small>0.30</small>",
        "8 of 20<br><small>0.40</small>",
        "–",
        "–",
        "4 of 4",
    ]
    partial = table.loc["trimmed mean (β = 10), partial"].tolist()
    assert partial[1::2] == [
        "2 of 12<br><small>0.17</small>",
        "2 of 8<br><small>0.25</small>",
        "0 of 4",
    ]
    assert choosing_q.blind_in_words(made_up_rounds.four_rounds()).endswith(
        "40% under trimmed mean (β = 10)."
    )


def test_one_round_is_told_with_the_errors_of_the_blind_choice():
    table = pd.DataFrame({"score": [1.0, 0.4, 0.6], "byzantine": [True, True, False]})
    run = {"rule": "median", "beta": np.nan, "knowledge": "full", "round": 1, "q": 0.7}
    runs = pd.DataFrame([{**run, "q_low": np.nan, "q_high": np.nan}])
    text = choosing_q.of_one_round(Records(table, runs, {}), 0.5)
    assert "suitable q none; in use 0.7;" in text
    assert text.endswith("errs in 2 of 3 models")
