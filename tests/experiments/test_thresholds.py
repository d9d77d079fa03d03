"""How q is found: the middle of a plateau with labels, the widest gap without."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdrr import config, far, mar
from pdrr.experiments.records import Records
from pdrr.experiments.thresholds import (
    errors_by_q,
    in_use,
    thresholds,
    unlabelled,
    without_labels,
)

COUNTS = ["benign", "false_alarms", "malicious", "missed"]


def calibration(*runs):
    """Made-up runs: rule, seed, scores of malicious and benign models, and what is not usual."""
    rows, clients = [], []
    for rule, seed, malicious, benign, *other in runs:
        usual = {"beta": np.nan, "noise": "", "selected": "malicious", "succeeded": True}
        run = {"rule": rule, "seed": seed, "round": 1, "knowledge": "full", **usual}
        run |= dict(*other)
        rows.append(run)
        keys = {name: run[name] for name in ("rule", "seed", "round", "knowledge", "beta", "noise")}
        for byzantine, scores in ((True, malicious), (False, benign)):
            clients += [{**keys, "byzantine": byzantine, "score": score} for score in scores]
    return Records(pd.DataFrame(clients), pd.DataFrame(rows), {})


def committed():
    return Records.load(Path(__file__).parents[2] / "book/records/quick", "calibration")


# with labels


def test_thresholds_are_the_middle_of_what_makes_the_fewest_errors():
    found = thresholds(
        calibration(
            ("krum", 1, [0.9, 1.0], [0.1, 0.3]),
            ("krum", 2, [0.7, 1.0], [0.2, 0.1]),
            ("krum", 3, [0.9, 0.9], [0.6, 0.6], {"selected": "benign"}),  # shows no attack
            ("median", 1, [0.6, 1.0], [0.2, 0.7]),  # one error at best: (0.2, 0.6] or (0.7, 1]
        )
    ).set_index("rule")
    assert found[["runs", "low", "high", "q"]].to_dict("index") == {
        "krum": {"runs": 2, "low": 0.3, "high": 0.7, "q": 0.5},
        "median": {"runs": 1, "low": 0.2, "high": 0.6, "q": 0.4},
    }
    assert found.loc["krum", COUNTS].tolist() == [4, 0, 4, 0]
    assert found.loc["median", COUNTS].tolist() == [2, 1, 2, 0]


def test_attacks_that_failed_do_not_set_thresholds():
    failed = ("krum", 2, [0.2], [1.0], {"succeeded": False})
    assert thresholds(calibration(("krum", 1, [0.9], [0.1]), failed))["q"].tolist() == [0.5]
    with pytest.raises(ValueError, match="an attack that succeeded, got 1"):
        thresholds(calibration(failed))


def test_every_beta_and_every_noise_has_a_threshold_of_its_own():
    runs = calibration(
        ("krum", 1, [1.0], [0.2], {"noise": "ball"}),
        ("krum", 1, [1.0], [0.6], {"noise": "coordinate"}),
        ("trimmed_mean", 1, [1.0], [0.4], {"beta": 10.0}),
        ("trimmed_mean", 1, [0.5], [0.1], {"beta": 20.0}),
    )
    found = thresholds(runs)
    assert found["q"].tolist() == [0.6, 0.8, 0.7, 0.3]
    settings = config.load("quick")
    assert (settings.defense.beta, settings.attack.noise) == (10, "ball")
    assert in_use(found, settings) == {"krum": 0.6, "trimmed_mean": 0.7}
    other = config.load("quick", {"defense.beta": 20, "attack.noise": "coordinate"})
    assert in_use(found, other) == {"krum": 0.8, "trimmed_mean": 0.3}


def test_thresholds_survive_being_written(tmp_path):
    runs = calibration(
        ("krum", 1, [1.0], [0.2], {"noise": "ball"}), ("median", 1, [0.9], [0.4]),
        ("trimmed_mean", 1, [1.0], [0.4], {"beta": 10.0}),
    )  # fmt: skip
    runs.save(tmp_path, "calibration")
    pd.testing.assert_frame_equal(
        thresholds(Records.load(tmp_path, "calibration")), thresholds(runs)
    )


def test_the_profiles_thresholds_are_those_of_the_committed_calibration():
    for profile in config.PROFILES:
        settings = config.load(profile)
        computed = in_use(thresholds(committed()), settings)
        assert set(computed) == {"krum", "trimmed_mean", "median"}
        assert {rule: settings.defense.q[rule] for rule in computed} == computed


def test_the_calibration_has_what_the_thresholds_are_said_to_come_from():
    runs = committed().runs
    assert sorted(runs["seed"].unique()) == [101, 102, 103, 104, 105]
    assert set(runs["round"]) == {1}
    groups = runs.groupby(["rule", "beta", "noise"], dropna=False)["knowledge"]
    assert {key[0]: len(key) for key in groups.groups} == dict.fromkeys(
        ("krum", "median", "trimmed_mean"), 3
    )
    assert sorted(runs.loc[runs["rule"] == "krum", "noise"].unique()) == ["ball", "coordinate"]
    assert sorted(runs["beta"].dropna().unique()) == [10, 20]
    for _, knowledge in groups:
        assert sorted(knowledge) == ["full"] * 5 + ["partial"] * 5


scores = st.lists(st.floats(0, 1) | st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=1, max_size=8)


@given(malicious=scores, benign=scores, grid=st.lists(st.floats(0, 1), min_size=1, max_size=5))
def test_errors_by_q_are_those_of_far_and_mar(malicious, benign, grid):
    table = calibration(("median", 1, malicious, benign)).table
    found = errors_by_q(table, grid)
    assert found["q"].tolist() == grid
    byzantine = table["byzantine"].to_numpy()
    for row, q in zip(found.itertuples(), grid, strict=True):
        flagged = table["score"].to_numpy() >= q
        assert row.false_alarms / row.benign == far(flagged, byzantine)
        assert row.missed / row.malicious == mar(flagged, byzantine)


def test_errors_are_counted_over_all_runs_of_a_group_and_gaps_are_a_group():
    runs = calibration(
        ("median", 1, [0.9], [0.1, 0.6]), ("median", 2, [0.4], [0.2]),
        ("trimmed_mean", 1, [1.0], [0.5], {"beta": 10.0}),
    )  # fmt: skip
    found = errors_by_q(runs.table, [0.5]).set_index("rule")
    assert found.loc["median", COUNTS].tolist() == [3, 1, 2, 1]
    assert found.loc["trimmed_mean", COUNTS].tolist() == [1, 1, 1, 0]  # score >= q flags
    by_seed = errors_by_q(runs.table, [0.5], by=["rule", "seed"])
    assert by_seed["benign"].tolist() == [2, 1, 1]


@given(malicious=scores, benign=scores)
def test_no_threshold_makes_fewer_errors_than_the_plateau(malicious, benign):
    runs = calibration(("median", 1, malicious, benign))
    plateau = thresholds(runs).iloc[0]
    grid = [plateau["high"], np.nextafter(plateau["low"], 1), *malicious, *benign, 1.0]
    found = errors_by_q(runs.table, [q for q in grid if q > 0])
    errors = found["false_alarms"] / found["benign"] + found["missed"] / found["malicious"]
    assert errors.iloc[0] == pytest.approx(errors.iloc[1]) == pytest.approx(errors.min())
    assert plateau["low"] < plateau["q"] <= plateau["high"]


# without labels


@pytest.mark.parametrize(
    ("scores", "q"),
    [
        ([0.25, 0.0, 1.0, 0.25, 0.75], 0.5),  # gaps .25, .5, .25
        ([0.0, 0.25, 0.5, 1.0, 0.75], 0.875),  # all alike: the highest, which flags the fewest
        ([-0.75, -0.25, 0.5, 1.0], 0.75),  # below 0 counts as 0: gaps .5, .5
        ([1.0, 1.0, 1.0], 1.0),
        ([0.0, 0.0], 1.0),
        ([0.3], 1.0),
        ([0.5, 0.5, 0.0], 0.25),
        ([0.0, 0.5, np.inf], 0.75),
    ],
)
def test_without_labels_q_is_the_middle_of_the_widest_gap(scores, q):
    assert unlabelled(scores) == q


@pytest.mark.parametrize("scores", [[], [0.5, np.nan], [[0.5]]])
def test_what_are_no_scores_is_refused(scores):
    with pytest.raises(ValueError, match="unlabelled needs scores"):
        unlabelled(scores)


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=12), st.randoms())
def test_the_gap_is_as_wide_as_any_and_the_order_of_clients_does_not_matter(scores, random):
    q = unlabelled(scores)
    assert 0 < q <= 1
    seen = sorted({min(max(score, 0.0), 1.0) for score in scores})
    if len(seen) > 1:
        low = max(score for score in seen if score < q)
        high = min(score for score in seen if score >= q)
        assert high - low == max(b - a for a, b in pairwise(seen))
        assert not any(low < score < high for score in seen)
        wide = [b for a, b in pairwise(seen) if b - a == high - low]
        assert high == max(wide)
    shuffled = list(scores)
    random.shuffle(shuffled)
    assert unlabelled(shuffled) == q


def test_the_widest_gap_is_asked_anew_in_every_run():
    runs = calibration(
        ("median", 1, [1.0, 0.8], [0.2, 0.1]),  # gap .2 to .8: q .5, no error
        ("median", 2, [1.0, 0.3], [0.2, 0.1]),  # gap .3 to 1: q .65, one missed
        ("median", 3, [1.0], [0.9, 0.2, 0.0]),  # gap .2 to .9: q .55, one false alarm
    )
    [row] = without_labels(runs.table).to_dict("records")
    assert [row["runs"], row["without_error"]] == [3, 1]
    assert [row["q_smallest"], row["q_largest"]] == pytest.approx([0.5, 0.65])
    assert [row[name] for name in COUNTS] == [7, 1, 5, 1]
