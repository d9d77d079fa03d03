"""PDRR: what is counted, who is flagged, what is aggregated afterwards; and the Round it reads."""

import dataclasses
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pdrr.core.arrays
from helpers import oracles
from pdrr import (
    ATTACKS,
    PDRR,
    Crafted,
    Detection,
    Round,
    far,
    krum,
    mar,
    median,
    q_range,
    trimmed_mean,
)
from pdrr.defenses import suspicion

# rule -> settings that are legal for k = 7
RULES = {"krum": {"c": 2}, "trimmed_mean": {"beta": 2}, "median": {}}
AGGREGATE = {"krum": krum, "trimmed_mean": trimmed_mean, "median": median}
every_rule = pytest.mark.parametrize("rule", RULES)
counting_rules = pytest.mark.parametrize("rule", ["trimmed_mean", "median"])


def detect(rule, clients, previous, q=0.9, **settings):
    return PDRR(rule, q=q, **{**RULES[rule], **settings}).detect(Round(clients, previous, 1))


def oracle_statistic(rule, clients, previous, settings, zero_change=False):
    if rule == "krum":
        return oracles.krum_correlations(clients, previous, settings["c"])
    beta = settings["beta"] if rule == "trimmed_mean" else (len(clients) - 1) // 2
    trimmed, kept = oracles.counts(clients, previous, beta, zero_change)
    return [float(count) for count in (trimmed if rule == "trimmed_mean" else kept)]


def oracle_scores(rule, statistic):
    """Section 4: larger is more suspicious; nothing to compare with gives 0."""
    if max(statistic) <= 0 or max(statistic) - min(statistic) < 1e-12 * max(statistic):
        return [0.0] * len(statistic)
    if rule == "median":
        return [1 - value / max(statistic) for value in statistic]
    return [value / max(statistic) for value in statistic]


def gaussian_round(seed, k=7, d=40, dtype=np.float64):
    """Updates around a common direction, an eighth of the coordinates unmoved."""
    rng = np.random.default_rng(seed)
    previous = rng.normal(size=d).astype(dtype)
    updates = rng.normal(size=d) + rng.normal(size=(k, d))
    updates[:, : d // 8] = 0
    return Round((previous + updates).astype(dtype), previous, 1)


# ------------------------------------------------------------------------------ cases by hand

# Four models over w_p = 0, beta = 1 (the median of four keeps the same two values):
#   column 0: 1 2 3 4    the first and the last are trimmed
#   column 1: 0 0 0 0    w_pag - w_p = 0: not counted
#   column 2: 5 5 5 1    the last is trimmed, and one of the three fives: 1/3 each
BY_HAND = np.array([[1.0, 0, 5], [2, 0, 5], [3, 0, 5], [4, 0, 1]])


def test_trimmed_counts_by_hand():
    found = detect("trimmed_mean", BY_HAND, np.zeros(3), beta=1, q=0.6)
    np.testing.assert_allclose(found.statistic, [4 / 3, 1 / 3, 1 / 3, 2], rtol=1e-15)
    np.testing.assert_allclose(found.scores, [2 / 3, 1 / 6, 1 / 6, 1], rtol=1e-15)
    assert found.flagged.tolist() == [True, False, False, True]
    assert found.pre_aggregate.tolist() == [2.5, 0, 5]


def test_trimmed_counts_over_all_coordinates_by_hand():
    # Column 1 adds half a trimmed value to everybody: 11/6, 5/6, 5/6, 5/2.
    found = detect("trimmed_mean", BY_HAND, np.zeros(3), beta=1, q=0.7, zero_change=True)
    np.testing.assert_allclose(found.statistic, [11 / 6, 5 / 6, 5 / 6, 5 / 2], rtol=1e-15)
    np.testing.assert_allclose(found.scores, [11 / 15, 1 / 3, 1 / 3, 1], rtol=1e-15)
    assert found.flagged.tolist() == [True, False, False, True]


def test_remained_counts_by_hand():
    # Two counted columns less what was trimmed: 2/3, 5/3, 5/3, 0.
    found = detect("median", BY_HAND, np.zeros(3), q=0.7)
    np.testing.assert_allclose(found.statistic, [2 / 3, 5 / 3, 5 / 3, 0], rtol=1e-15)
    np.testing.assert_allclose(found.scores, [3 / 5, 0, 0, 1], atol=1e-15)
    assert found.flagged.tolist() == [False, False, False, True]
    assert found.pre_aggregate.tolist() == [2.5, 0, 5]


def test_the_median_of_an_odd_number_remains_from_one_model():
    # Column 0: 1 2 3 keeps the 2. Column 1: 7 7 9 keeps one of two sevens. Column 2 is unmoved:
    # its median equals w_p although the first model moved.
    clients = np.array([[1.0, 7, 4], [2, 7, 5], [3, 9, 5]])
    found = detect("median", clients, np.array([0.0, 0, 5]))
    np.testing.assert_allclose(found.statistic, [1 / 2, 3 / 2, 0], rtol=1e-15)
    everywhere = detect("median", clients, np.array([0.0, 0, 5]), zero_change=True)
    np.testing.assert_allclose(everywhere.statistic, [1 / 2, 2, 1 / 2], rtol=1e-15)


def test_correlations_by_hand():
    # Models 0 and 1 are nearest to each other, the tie goes to 0: s_pag = (1, 1, -1, 0).
    # Model 2 has its signs reversed; 3 and 4 have constant signs, which correlate with nothing.
    # Model 5 has (1, -1, 0, 0): its mean is 0 and its products with s_pag add up to 1 - 1 = 0.
    clients = np.array(
        [
            [1.0, 1.0, -1.0, 0.0],
            [1.0, 1.0, -2.0, 0.0],
            [-9.0, -9.0, 9.0, 0.0],
            [7.0, 8.0, 7.0, 7.0],
            [0.0, 0.0, 0.0, 0.0],
            [60.0, -60.0, 0.0, 0.0],
        ]
    )
    found = detect("krum", clients, np.zeros(4), c=3, q=0.5)
    np.testing.assert_allclose(found.statistic, [1, 1, -1, 0, 0, 0], atol=1e-15)
    np.testing.assert_allclose(found.scores, found.statistic, atol=1e-15)
    assert found.flagged.tolist() == [True, True, False, False, False, False]
    assert found.pre_aggregate.tolist() == clients[0].tolist()


def test_a_correlation_between_0_and_1_by_hand():
    # s_pag = (1, 1, -1, -1), and model 3 has (1, 1, 1, -1): product sum 2, means 0 and 1/2, so
    # 2 / sqrt(4 * (4 - 1)) = 1 / sqrt(3). The cosine would be 1/2.
    clients = np.array(
        [[1.0, 1, -1, -1], [1, 1, -1, -2], [1, 1, -1, -4], [90, 90, 90, -90], [-70, 70, 70, -70]]
    )
    found = detect("krum", clients, np.zeros(4), c=1)
    np.testing.assert_allclose(found.statistic, [1, 1, 1, 3**-0.5, 0], atol=1e-15)


# -------------------------------------------------------------------------------- exact oracles


@st.composite
def settings_and_rounds(draw, rules=tuple(RULES)):
    """A rule, its settings, and a round of 4 to 9 models full of ties and unmoved coordinates."""
    clients, previous = draw(oracles.rounds(min_k=4))
    k = len(clients)
    rule = draw(st.sampled_from(rules))
    settings = {
        "krum": {"c": draw(st.integers(0, k - 3))},
        "trimmed_mean": {"beta": draw(st.integers(0, (k - 1) // 2))},
        "median": {},
    }[rule]
    return rule, settings, clients, previous


@given(settings_and_rounds(), st.integers(0, 10))
def test_detection_equals_the_oracle(case, tenths):
    rule, settings, clients, previous = case
    q = tenths / 10
    found = PDRR(rule, q=q, **settings).detect(Round(clients, previous, 1))
    statistic = oracle_statistic(rule, clients, previous, settings)
    np.testing.assert_allclose(found.statistic, statistic, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found.scores, oracle_scores(rule, statistic), atol=1e-12)
    assert found.flagged.tolist() == (found.scores >= q).tolist()
    expected = AGGREGATE[rule](clients, **settings)
    np.testing.assert_allclose(found.pre_aggregate, expected, rtol=1e-12, atol=1e-12)


@given(settings_and_rounds(rules=("trimmed_mean", "median")))
def test_counts_over_all_coordinates_equal_the_oracle(case):
    rule, settings, clients, previous = case
    detector = PDRR(rule, q=0.5, zero_change=True, **settings)
    found = detector.detect(Round(clients, previous, 1)).statistic
    expected = oracle_statistic(rule, clients, previous, settings, zero_change=True)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
    kept = len(clients) - 2 * settings.get("beta", (len(clients) - 1) // 2)
    total = kept if rule == "median" else len(clients) - kept
    np.testing.assert_allclose(found.sum(), total * clients.shape[1], rtol=1e-12)


@every_rule
@pytest.mark.parametrize("q", [0.0, 0.25, 0.5, 0.9, 1.0])
def test_one_threshold_on_scores_is_the_paper_s_three_rules(rule, q):
    honest = gaussian_round(0)
    found = detect(rule, honest.clients, honest.previous, q=q)
    n = found.statistic
    expected = n <= (1 - q) * n.max() if rule == "median" else n >= q * n.max()
    assert found.flagged.tolist() == expected.tolist()


# --------------------------------------------------------------------- coordinates that rest


@counting_rules
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_coordinate_that_nobody_moved_is_never_counted(rule, dtype):
    # The float64 mean of three times 0.1 is not 0.1. Half of the coordinates rest at 0.1; with or
    # without them the counts are the same.
    moving = gaussian_round(1, d=10, dtype=dtype)
    resting = np.full((7, 10), 0.1, dtype=dtype)
    clients = np.hstack([moving.clients, resting])
    previous = np.concatenate([moving.previous, resting[0]])
    found = detect(rule, clients, previous)
    expected = detect(rule, moving.clients, moving.previous)
    np.testing.assert_allclose(found.statistic, expected.statistic, rtol=1e-12)
    assert found.pre_aggregate[10:].tolist() == resting[0].tolist()


@every_rule
def test_when_nothing_moves_nobody_is_suspicious_and_the_notes_say_so(rule):
    previous = np.linspace(-1, 1, 9)
    found = detect(rule, np.tile(previous, (7, 1)), previous, q=0.1)
    assert found.statistic.tolist() == [0.0] * 7
    assert found.scores.tolist() == [0.0] * 7
    assert not found.flagged.any()
    assert len(found.notes) >= 1
    model, _ = PDRR(rule, q=0.1, **RULES[rule]).aggregate(
        Round(np.tile(previous, (7, 1)), previous, 1)
    )
    np.testing.assert_allclose(model, previous, rtol=1e-15)


def test_a_krum_choice_with_constant_signs_has_no_correlation():
    # Everybody moves up everywhere: all signs are +1, and rho is 0 by decision, never NaN.
    found = detect("krum", 1 + oracles.distinct_values(7, 20, 2) ** 2, np.ones(20) - 0.5)
    assert found.statistic.tolist() == [0.0] * 7
    assert found.scores.tolist() == [0.0] * 7
    assert len(found.notes) >= 1


def test_an_ordinary_round_has_no_notes():
    for rule in RULES:
        honest = gaussian_round(3)
        assert detect(rule, honest.clients, honest.previous).notes == ()


# ---------------------------------------------------------------------------------- properties


@counting_rules
@given(case=oracles.rounds(min_k=5), data=st.data())
def test_permuting_the_clients_permutes_the_counts_ties_and_all(rule, case, data):
    clients, previous = case
    order = data.draw(st.permutations(range(len(clients))))
    found = detect(rule, clients, previous)
    moved = detect(rule, clients[order], previous)
    np.testing.assert_allclose(moved.statistic, found.statistic[order], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(moved.scores, found.scores[order], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_permuting_the_clients_permutes_the_correlations(seed):
    # Without ties in Krum's scores: those go to the lowest index.
    honest = gaussian_round(seed)
    order = np.random.default_rng(seed).permutation(7)
    found = detect("krum", honest.clients, honest.previous)
    moved = detect("krum", honest.clients[order], honest.previous)
    np.testing.assert_allclose(moved.statistic, found.statistic[order], rtol=1e-12)
    assert moved.pre_aggregate.tolist() == found.pre_aggregate.tolist()


@every_rule
@given(case=oracles.rounds(min_k=5), data=st.data())
def test_only_updates_matter_and_not_their_scale(rule, case, data):
    clients, previous = case
    shift = data.draw(st.integers(-5, 5))
    found = detect(rule, clients, previous)
    moved = detect(rule, 8 * clients + shift, 8 * previous + shift)
    np.testing.assert_allclose(moved.statistic, found.statistic, rtol=1e-12, atol=1e-12)


@every_rule
@pytest.mark.parametrize("block", [1, 3, 64, 1000])
def test_the_block_size_does_not_change_the_detection(rule, block, monkeypatch):
    rng = np.random.default_rng(4)
    clients = rng.integers(-3, 4, size=(7, 200)).astype(np.float32)
    previous = rng.integers(-3, 4, size=200).astype(np.float32)
    expected = detect(rule, clients, previous)
    monkeypatch.setattr(pdrr.core.arrays, "BLOCK", block)
    found = detect(rule, clients, previous)
    np.testing.assert_allclose(found.statistic, expected.statistic, rtol=1e-12, atol=1e-12)
    assert found.flagged.tolist() == expected.flagged.tolist()
    assert found.pre_aggregate.tolist() == expected.pre_aggregate.tolist()


@every_rule
def test_a_stack_on_disk_is_read_block_by_block_and_never_written(rule, tmp_path, monkeypatch):
    honest = gaussian_round(5, d=500, dtype=np.float32)
    detector = PDRR(rule, q=0.8, **RULES[rule])
    model, expected = detector.aggregate(honest)
    honest.clients.tofile(tmp_path / "stack")
    monkeypatch.setattr(pdrr.core.arrays, "BLOCK", 64)
    mapped = np.memmap(tmp_path / "stack", dtype=np.float32, mode="r", shape=(7, 500))
    from_disk, found = detector.aggregate(Round(mapped, honest.previous, 1))
    np.testing.assert_allclose(found.statistic, expected.statistic, rtol=1e-12)
    assert found.flagged.tolist() == expected.flagged.tolist()
    np.testing.assert_allclose(from_disk, model, rtol=1e-6)


@every_rule
def test_a_round_is_not_changed_by_looking_at_it(rule):
    honest = gaussian_round(6, dtype=np.float32)
    before = honest.clients.tobytes(), honest.previous.tobytes()
    PDRR(rule, q=0.5, **RULES[rule]).aggregate(honest)
    assert (honest.clients.tobytes(), honest.previous.tobytes()) == before
    honest.clients.setflags(write=False)
    PDRR(rule, q=0.5, **RULES[rule]).aggregate(honest)


@every_rule
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_shapes_and_dtypes(rule, dtype):
    model, found = PDRR(rule, q=0.9, **RULES[rule]).aggregate(gaussian_round(7, dtype=dtype))
    assert isinstance(found, Detection)
    for values, shape, kind in (
        (found.statistic, (7,), np.float64),
        (found.scores, (7,), np.float64),
        (found.flagged, (7,), np.bool_),
        (found.pre_aggregate, (40,), dtype),
        (model, (40,), dtype),
    ):
        assert values.shape == shape
        assert values.dtype == kind
    assert type(found.notes) is tuple


@every_rule
def test_every_array_library_detects_the_same_and_gets_its_own_arrays_back(rule, xp):
    honest = gaussian_round(8, dtype=np.float32)
    detector = PDRR(rule, q=0.8, **RULES[rule])
    model, expected = detector.aggregate(honest)
    home = Round(xp.asarray(honest.clients), xp.asarray(honest.previous), 1)
    own_model, found = detector.aggregate(home)
    for array in (own_model, found.statistic, found.scores, found.flagged, found.pre_aggregate):
        assert isinstance(array, type(home.clients))
    np.testing.assert_allclose(np.asarray(found.statistic), expected.statistic, rtol=1e-12)
    np.testing.assert_allclose(np.asarray(found.scores), expected.scores, rtol=1e-12, atol=1e-15)
    assert np.asarray(found.flagged).tolist() == expected.flagged.tolist()
    np.testing.assert_allclose(np.asarray(own_model), model, rtol=1e-6)


# ------------------------------------------------------------------- removal and re-aggregation


@every_rule
@pytest.mark.parametrize("removed", [1, 2, 3, 5])
def test_the_rule_runs_again_on_what_is_left(rule, removed):
    # c and beta shrink by the number removed, to no less than 0.
    honest = gaussian_round(9, k=12, d=2000)
    settings = {"krum": {"c": 4}, "trimmed_mean": {"beta": 3}, "median": {}}[rule]
    scores = PDRR(rule, q=0.5, **settings).detect(honest).scores
    q = np.sort(scores)[-removed]
    model, found = PDRR(rule, q=q, **settings).aggregate(honest)

    assert found.scores.tolist() == scores.tolist()
    assert found.flagged.tolist() == (scores >= q).tolist()
    assert found.flagged.sum() == removed
    shrunk = {name: max(0, value - removed) for name, value in settings.items()}
    expected = AGGREGATE[rule](honest.clients[~found.flagged], **shrunk)
    assert model.tolist() == expected.tolist()


def test_the_number_removed_decides_how_much_is_still_trimmed():
    # beta = 2 over w_p = 0. Column 0 is 0 1 2 3 4 10 60: 0 1 and 10 60 are trimmed. Column 1 is
    # 9 4 4 4 4 4 8: 8 and 9 are trimmed, and two of the five fours, 2/5 each. Counts: 2, 7/5, 2/5,
    # 2/5, 2/5, 7/5, 2. With q = .9 models 0 and 6 are removed, and beta = 2 - 2 = 0: column 0
    # becomes (1 + 2 + 3 + 4 + 10) / 5 = 4. Still trimming one per side would give 3.
    clients = np.array([[0.0, 9], [1, 4], [2, 4], [3, 4], [4, 4], [10, 4], [60, 8]])
    model, found = PDRR("trimmed_mean", q=0.9, beta=2).aggregate(Round(clients, np.zeros(2), 1))
    np.testing.assert_allclose(found.statistic, [2, 1.4, 0.4, 0.4, 0.4, 1.4, 2], rtol=1e-12)
    assert np.flatnonzero(found.flagged).tolist() == [0, 6]
    assert model.tolist() == [4.0, 4.0]


@every_rule
def test_nothing_left_keeps_the_previous_model_and_says_so(rule):
    # q = 0 flags every score that is not negative: all counts, and these correlations of 1.
    previous = np.tile([1.0, -1.0], 5)
    clients = previous * (2 + oracles.distinct_values(7, 10, 10) ** 2)
    model, found = PDRR(rule, q=0.0, **RULES[rule]).aggregate(Round(clients, previous, 1))
    assert found.flagged.all()
    assert model.tolist() == previous.tolist()
    assert len(found.notes) >= 1


def test_too_few_models_for_krum_keep_the_previous_model_and_say_so():
    # Five of seven models share their signs and are removed; Krum is not defined on two.
    rng = np.random.default_rng(11)
    signs = np.vstack([np.tile([1.0, -1.0, 1.0, -1.0], (5, 1)), [[-1, 1, 1, -1], [-1, 1, -1, 1]]])
    clients = signs * rng.uniform(1, 2, size=(7, 4))
    model, found = PDRR("krum", q=0.9, c=2).aggregate(Round(clients, np.zeros(4), 1))
    assert found.flagged.tolist() == [True] * 5 + [False] * 2
    assert model.tolist() == [0.0] * 4
    assert len(found.notes) >= 1


# --------------------------------------------------------------------------- non-finite models


@every_rule
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_non_finite_models_are_flagged_and_the_others_judged_without_them(rule, bad):
    honest = gaussian_round(12, k=9)
    settings = {"krum": {"c": 4}, "trimmed_mean": {"beta": 3}, "median": {}}[rule]
    clients = honest.clients.copy()
    clients[1, 39] = bad
    clients[6, :] = bad
    finite = np.isfinite(clients).all(axis=1)
    detector = PDRR(rule, q=0.9, **settings)
    model, found = detector.aggregate(Round(clients, honest.previous, 1))

    fewer = {name: value - 2 for name, value in settings.items()}
    rest = Round(clients[finite], honest.previous, 1)
    expected_model, expected = PDRR(rule, q=0.9, **fewer).aggregate(rest)
    assert np.isnan(found.statistic[~finite]).all()
    assert found.scores[~finite].tolist() == [1.0, 1.0]
    assert found.flagged[~finite].all()
    np.testing.assert_allclose(found.statistic[finite], expected.statistic, rtol=1e-12)
    np.testing.assert_allclose(found.scores[finite], expected.scores, rtol=1e-12, atol=1e-15)
    assert found.flagged[finite].tolist() == expected.flagged.tolist()
    assert found.pre_aggregate.tolist() == expected.pre_aggregate.tolist()
    assert model.tolist() == expected_model.tolist()
    assert any("1" in note and "6" in note for note in found.notes)


@every_rule
@pytest.mark.parametrize("finite", [0, 1, 2])
def test_hardly_any_finite_model_never_poisons_the_result(rule, finite):
    previous = np.linspace(-1, 1, 8)
    clients = np.full((7, 8), np.nan)
    clients[:finite] = 3.0
    model, found = PDRR(rule, q=0.5, **RULES[rule]).aggregate(Round(clients, previous, 1))
    assert found.flagged[finite:].all()
    assert np.isfinite(found.scores).all()
    assert np.isfinite(found.pre_aggregate).all()
    assert np.isfinite(model).all()
    assert len(found.notes) >= 1
    if finite == 0 or rule == "krum":
        assert model.tolist() == previous.tolist()


@every_rule
def test_a_foreign_verdict_that_leaves_a_model_with_nan_is_refused_by_row(rule):
    seen = gaussian_round(13)
    found = detect(rule, seen.clients, seen.previous)
    seen.clients[4, 39] = np.nan
    verdict = dataclasses.replace(found, flagged=np.arange(7) == 0)
    with pytest.raises(ValueError, match=r"rows \[4\]"):
        PDRR(rule, q=0.9, **RULES[rule]).reaggregate(seen, verdict)


# ------------------------------------------------------------------- the paper's setting, small


def federated_round(seed, k=50, d=2000):
    """k = 50 heterogeneous clients; 30% of the coordinates rest, as at round 1 of the paper."""
    rng = np.random.default_rng(seed)
    previous = rng.uniform(-0.5, 0.5, d).astype(np.float32)
    common = 0.01 * rng.normal(size=d)
    own_scale = 0.02 * rng.uniform(0.7, 1.3, size=(k, 1))
    updates = common + own_scale * rng.normal(size=(k, d))
    updates[:, rng.random(d) < 0.3] = 0
    return Round((previous + updates).astype(np.float32), previous, 1)


PAPER = {"krum": {"c": 20}, "trimmed_mean": {"beta": 20}, "median": {}}
ATTACKERS = np.arange(50) < 20


def attack(rule, honest, knowledge, rng):
    settings = {"beta": 20} if rule == "trimmed_mean" else {}
    return ATTACKS[rule](honest, ATTACKERS, knowledge=knowledge, rng=rng, **settings)


@every_rule
@pytest.mark.parametrize("seed", range(3))
def test_a_full_knowledge_attack_is_detected_without_error(rule, seed):
    honest = federated_round(seed)
    crafted = attack(rule, honest, "full", np.random.default_rng(seed))
    assert isinstance(crafted, Crafted)
    assert crafted.succeeded is True

    scores = PDRR(rule, q=0.5, **PAPER[rule]).detect(crafted.observed).scores
    low, high = q_range(scores, ATTACKERS)
    assert high - low > 0.15
    for q in (low + 0.01 * (high - low), (low + high) / 2, high):
        model, found = PDRR(rule, q=q, **PAPER[rule]).aggregate(crafted.observed)
        assert far(found.flagged, ATTACKERS) == mar(found.flagged, ATTACKERS) == 0
        fewer = dict.fromkeys(PAPER[rule], 0)  # 20 of 20 removed
        expected = AGGREGATE[rule](honest.clients[20:], **fewer)
        assert model.tolist() == expected.tolist()


@pytest.mark.parametrize("seed", range(3))
def test_without_an_attack_somebody_is_flagged_all_the_same(seed):
    # The largest rho and the largest n^c pass their own threshold at every q: a cost of PDRR that
    # the paper does not mention. The median's scores need not reach 1: its rule flags the clients
    # that supply (1 - q) of the largest n^r or less, and at q = .9 honest clients all supply more.
    honest = federated_round(seed)
    for rule in ("krum", "trimmed_mean"):
        found = PDRR(rule, q=1.0, **PAPER[rule]).detect(honest)
        assert found.scores.max() == 1.0
        assert found.flagged.tolist() == (found.scores == 1.0).tolist()
        assert found.flagged.sum() == 1
    found = PDRR("median", q=0.9).detect(honest)
    assert not found.flagged.any()


def test_fewer_trimmed_than_attackers_shares_the_trim_among_identical_models():
    # beta = 2 < c = 4 identical attackers at the top of every coordinate: each gets half a trimmed
    # value (a strict inequality would give them none, a sort all of it to two of them).
    benign = oracles.distinct_values(8, 30, 14)
    clients = np.vstack([np.full((4, 30), 50.0), benign])
    found = detect("trimmed_mean", clients, np.zeros(30))
    assert found.statistic[:4].tolist() == [15.0] * 4
    assert found.statistic.sum() == pytest.approx(30 * 4)


# -------------------------------------------------------------------------------- Round, records


def test_a_round_holds_what_the_server_sees():
    clients, previous = np.float32([[1, 2], [3, 5]]), np.float32([1, 1])
    seen = Round(clients, previous, 4)
    assert seen.updates.tolist() == [[0, 1], [2, 4]]
    assert seen.updates.dtype == np.float32
    assert [field.name for field in dataclasses.fields(Round)] == [
        *("clients", "previous", "number", "ids")
    ]


def test_ids_tell_clients_apart():
    honest = gaussian_round(15)
    named = dataclasses.replace(honest, ids=np.arange(honest.k)[::-1])
    assert named.ids[0] == honest.k - 1
    for ids in (np.zeros(honest.k, int), np.arange(honest.k + 1)):
        with pytest.raises(ValueError, match=f"Round needs {honest.k} different ids"):
            dataclasses.replace(honest, ids=ids)
    with pytest.raises(TypeError, match="Round needs whole numbers as ids, got float64"):
        dataclasses.replace(honest, ids=np.linspace(0, 1, honest.k))


def test_records_are_frozen_and_compare_by_identity():
    honest = gaussian_round(15)
    crafted = Crafted(honest, True, {})
    found = detect("median", honest.clients, honest.previous)
    for record, field in ((honest, "number"), (crafted, "succeeded"), (found, "scores")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(record, field, None)
        assert record != dataclasses.replace(record)


def test_a_round_may_hold_non_finite_clients():
    clients = np.full((3, 2), np.nan)
    assert np.isnan(Round(clients, np.zeros(2), 1).clients).all()


STACK, BASE = np.zeros((7, 4), dtype=np.float32), np.zeros(4, dtype=np.float32)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((STACK[0], BASE, 1), ValueError),
        ((STACK[None], BASE, 1), ValueError),
        ((STACK[:0], BASE, 1), ValueError),
        ((STACK, BASE[:3], 1), ValueError),
        ((STACK, STACK, 1), ValueError),
        ((STACK, np.full(4, np.nan, dtype=np.float32), 1), ValueError),
        ((STACK, np.full(4, np.inf, dtype=np.float32), 1), ValueError),
        ((STACK, BASE, 0), ValueError),
        ((STACK, BASE, -1), ValueError),
        ((STACK.astype(int), BASE, 1), TypeError),
        ((STACK, BASE.astype(int), 1), TypeError),
        ((STACK.astype(np.float16), BASE.astype(np.float16), 1), TypeError),
        ((STACK.tolist(), BASE, 1), TypeError),
    ],
)
def test_a_round_refuses(arguments, error):
    with pytest.raises(error) as caught:
        Round(*arguments)
    assert "\n" not in str(caught.value)


# -------------------------------------------------------------------------------- bad settings


@pytest.mark.parametrize(
    ("arguments", "settings", "error", "mentions"),
    [
        (("krum",), {"q": 1.1, "c": 2}, ValueError, "1.1"),
        (("krum",), {"q": -0.1, "c": 2}, ValueError, "-0.1"),
        (("median",), {"q": float("nan")}, ValueError, "nan"),
        (("mode",), {"q": 0.9}, ValueError, "mode"),
        (("bulyan",), {"q": 0.9, "c": 2}, ValueError, "bulyan"),
        (("krum",), {"q": 0.9}, (TypeError, ValueError), "c"),
        (("trimmed_mean",), {"q": 0.9}, (TypeError, ValueError), "beta"),
        (("median",), {}, TypeError, "q"),
    ],
)
def test_a_detector_that_makes_no_sense_is_refused_at_once(arguments, settings, error, mentions):
    with pytest.raises(error) as caught:
        PDRR(*arguments, **settings)
    assert mentions in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("rule", "settings", "needed", "given"),
    [
        ("krum", {"c": 5}, "c + 3", "c=5 for k=7"),
        ("trimmed_mean", {"beta": 4}, "0 <= 2*beta < k", "beta=4 for k=7"),
    ],
)
def test_settings_that_do_not_fit_the_round_are_refused(rule, settings, needed, given):
    with pytest.raises(ValueError, match=re.escape(needed)) as caught:
        PDRR(rule, q=0.9, **settings).detect(gaussian_round(16))
    assert given in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("n_r", "q"),
    [
        ([10, 9, 1], 0.1),
        ([10, 8, 1], 0.2),
        ([10, 7, 1], 0.3),
        ([10, 3, 1], 0.7),
        ([5, 4, 1], 0.2),
        ([20, 19, 1], 0.05),
        ([100, 99, 1], 0.01),
    ],
)
def test_a_median_count_at_the_threshold_is_flagged(n_r, q):
    # lambda_D = (1 - q) max n^r is the second count exactly (section 4.3)
    own = np.repeat([0, 1, 2], n_r)
    others = [np.where((own + 1) % 3 == i, 0.0, 2.0) for i in range(3)]
    x = np.stack([np.where(own == i, 1.0, other) for i, other in enumerate(others)])
    found = PDRR("median", q=q).detect(Round(x, np.full(sum(n_r), -9.0)))
    assert found.statistic.tolist() == n_r
    assert found.flagged.tolist() == [False, True, True]


@pytest.mark.parametrize("largest", [7, 10, 20, 99, 100])
def test_a_score_at_every_decimal_threshold_counts_as_reaching_it(largest):
    for count in range(1, largest):
        for rule, reached in (("median", largest - count), ("trimmed_mean", count)):
            score = suspicion(rule, np.array([largest, count], float))[1]
            assert score == reached / largest
