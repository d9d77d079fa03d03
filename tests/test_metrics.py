"""False alarms, missed alarms, and the range of thresholds that make neither."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdrr import auc, by_lot, far, mar, q_range

ATTACKERS = np.array([True, True, False, False, False])


@pytest.mark.parametrize(
    ("flagged", "false_alarms", "missed"),
    [
        ([1, 1, 0, 0, 0], 0.0, 0.0),
        ([0, 0, 1, 1, 1], 1.0, 1.0),
        ([1, 0, 1, 0, 0], 1 / 3, 1 / 2),
        ([0, 0, 0, 0, 0], 0.0, 1.0),
        ([1, 1, 1, 1, 1], 1.0, 0.0),
        ([1, 1, 0, 1, 1], 2 / 3, 0.0),
    ],
)
def test_far_is_of_the_benign_and_mar_of_the_malicious(flagged, false_alarms, missed):
    flagged = np.array(flagged, dtype=bool)
    assert far(flagged, ATTACKERS) == pytest.approx(false_alarms, abs=0)
    assert mar(flagged, ATTACKERS) == pytest.approx(missed, abs=0)


def test_a_detector_that_flags_c_models_at_random_has_the_paper_s_chance_level():
    # 20 of 50 flagged without looking: on average .40 false and .60 missed alarms. With the number
    # flagged fixed, one rate gives the other: 30 FAR = 20 MAR.
    byzantine = np.arange(50) < 20
    flagged = np.random.default_rng(0).permutation(byzantine)
    assert 30 * far(flagged, byzantine) == pytest.approx(20 * mar(flagged, byzantine))
    draws = [np.random.default_rng(seed).permutation(byzantine) for seed in range(400)]
    assert np.mean([far(draw, byzantine) for draw in draws]) == pytest.approx(0.4, abs=0.02)
    assert np.mean([mar(draw, byzantine) for draw in draws]) == pytest.approx(0.6, abs=0.02)


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([1.0, 0.9, 0.1, 0.3, 0.2], (0.3, 0.9)),
        ([1.0, 1.0, 0.0, 0.0, 0.0], (0.0, 1.0)),
        ([1.0, 0.9, -0.5, -0.2, -0.3], (0.0, 0.9)),  # a negative correlation: clipped
        ([1.0, 0.3, 0.3, 0.2, 0.1], None),  # equal scores cannot be told apart
        ([1.0, 0.2, 0.3, 0.1, 0.1], None),
        ([0.3, 0.2, 0.9, 1.0, 0.8], None),  # the wrong way round
        ([-0.1, -0.2, -0.5, -0.6, -0.7], None),  # a threshold below 0 is not in [0, 1]
    ],
)
def test_q_range_by_hand(scores, expected):
    assert q_range(np.array(scores), ATTACKERS) == expected


@st.composite
def labelled_scores(draw):
    """Scores in steps of 1/8, so that ties are common, and at least one model of each kind."""
    byzantine = np.array([True, False, *draw(st.lists(st.booleans(), max_size=8))])
    eighths = draw(st.lists(st.integers(-8, 8), min_size=len(byzantine), max_size=len(byzantine)))
    return np.array(eighths) / 8, byzantine


@given(labelled_scores())
def test_q_range_holds_exactly_the_thresholds_that_detect_without_error(case):
    scores, byzantine = case
    thresholds = np.arange(1, 33) / 32
    flawless = [
        q for q in thresholds if far(scores >= q, byzantine) == mar(scores >= q, byzantine) == 0
    ]
    found = q_range(scores, byzantine)
    inside = [] if found is None else [q for q in thresholds if found[0] < q <= found[1]]
    assert inside == flawless
    assert found is None or 0 <= found[0] < found[1] <= 1


def test_plain_python_numbers_come_back():
    flagged = np.array([True, False, True, False, False])
    scores = np.array([1.0, 0.9, 0.1, 0.3, 0.2], dtype=np.float32)
    low, high = q_range(scores, ATTACKERS)
    for number in (far(flagged, ATTACKERS), mar(flagged, ATTACKERS), low, high):
        assert type(number) is float


def test_every_array_library_gives_the_same_numbers(xp):
    flagged = xp.asarray(np.array([True, False, True, False, False]))
    scores = xp.asarray(np.array([1.0, 0.9, 0.1, 0.3, 0.2]))
    byzantine = xp.asarray(ATTACKERS)
    assert far(flagged, byzantine) == pytest.approx(1 / 3)
    assert mar(flagged, byzantine) == 0.5
    assert q_range(scores, byzantine) == (0.3, 0.9)


NOBODY, EVERYBODY = np.zeros(5, dtype=bool), np.ones(5, dtype=bool)


@pytest.mark.parametrize(
    "call",
    [
        lambda: q_range(np.zeros(5), EVERYBODY),
        lambda: q_range(np.zeros(5), NOBODY),
        lambda: far(NOBODY[:4], ATTACKERS),
        lambda: mar(NOBODY[:4], ATTACKERS),
        lambda: q_range(np.zeros(4), ATTACKERS),
        lambda: auc(np.zeros(5), NOBODY),
        lambda: auc(np.full(5, np.nan), ATTACKERS),
    ],
    ids=[
        "q_range: no benign",
        "q_range: no malicious",
        "far: lengths differ",
        "mar: lengths differ",
        "q_range: lengths differ",
        "auc: no malicious",
        "auc: not a number",
    ],
)
def test_what_cannot_be_judged_is_refused(call):
    with pytest.raises(ValueError, match=r"\b(far|mar|q_range|auc) needs") as caught:
        call()
    assert "\n" not in str(caught.value)


def test_a_rate_of_nobody_is_no_number():
    assert np.isnan(far(NOBODY, EVERYBODY))
    assert np.isnan(mar(EVERYBODY, NOBODY))
    assert far(EVERYBODY, NOBODY) == 1.0
    assert mar(EVERYBODY, EVERYBODY) == 0.0


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=2, max_size=12))
def test_auc_counts_pairs_and_ties_as_half(models):
    scores, bad = (np.array(column) for column in zip(*models, strict=True))
    if bad.all() or not bad.any():
        return
    pairs = [
        1.0 if high > low else 0.5 if high == low else 0.0
        for high in scores[bad]
        for low in scores[~bad]
    ]
    assert auc(scores.astype(float), bad) == pytest.approx(np.mean(pairs))
    assert auc(-scores.astype(float), bad) == pytest.approx(1 - np.mean(pairs))


# lots


def every_draw(scores, byzantine, c):
    """FAR and MAR of every set of c models that has no larger score outside it."""
    k = len(scores)
    draws = []
    for chosen in combinations(range(k), c):
        flagged = np.isin(np.arange(k), chosen)
        if not c or flagged.all() or scores[flagged].min() >= scores[~flagged].max():
            draws.append((far(flagged, byzantine), mar(flagged, byzantine)))
    return np.array(draws)


@given(labelled_scores(), st.data())
def test_what_to_expect_of_lots_is_the_mean_over_every_draw(case, data):
    scores, byzantine = np.round(case[0]), case[1]  # -1, 0 or 1
    c = data.draw(st.integers(0, len(scores)))
    draws = every_draw(scores, byzantine, c)
    found = by_lot(scores, byzantine, c)
    assert [found.far, found.mar] == pytest.approx(draws.mean(0), nan_ok=True)
    assert (found.tied > 0) == (len(draws) > 1)


def test_fifty_impacts_of_zero_are_chance():
    found = by_lot(np.zeros(50), np.arange(50) < 20, 20)
    assert found == (pytest.approx(0.4), pytest.approx(0.6), 50, 20, True)


def test_fifty_different_scores_leave_nothing_to_lots():
    scores, byzantine = np.arange(50.0), np.arange(50) < 20
    found = by_lot(scores, byzantine, 20)
    assert found == (20 / 30, 1.0, 0, 0, False)
    assert by_lot(-scores, byzantine, 20)[:2] == (0, 0)


def test_a_tie_that_is_flagged_whole_is_no_lottery():
    scores = np.array([1.0, 1.0, 0.0, 0.0, 0.0])
    assert by_lot(scores, ATTACKERS, 2) == (0, 0, 0, 0, False)


@pytest.mark.parametrize(("above", "luck"), [(9, True), (10, False), (11, False)])
def test_luck_is_more_than_half_of_the_places(above, luck):
    scores = (np.arange(50) < above).astype(float)
    found = by_lot(scores, np.arange(50) < 20, 20)
    assert (found.tied, found.drawn, found.by_lot) == (50 - above, 20 - above, luck)


@pytest.mark.parametrize(
    ("scores", "c", "message"),
    [
        ([0.0, 0.0, 0.0, 0.0, np.nan], 2, r"by_lot needs scores, got NaN for \[4\]"),
        ([0.0] * 5, 6, "needs 0 <= c <= k, got c=6 for k=5"),
        ([0.0] * 4, 2, r"two arrays \[k\] of one length"),
    ],
)
def test_lots_are_refused_what_cannot_be_drawn(scores, c, message):
    with pytest.raises(ValueError, match=message):
        by_lot(np.array(scores), ATTACKERS, c)


def test_lots_without_one_kind_of_model_have_no_rate_of_it():
    none = by_lot(np.zeros(3), np.zeros(3, dtype=bool), 1)
    every = by_lot(np.zeros(3), np.ones(3, dtype=bool), 1)
    assert none.far == pytest.approx(1 / 3)
    assert every.mar == pytest.approx(2 / 3)
    assert np.isnan([none.mar, every.far]).all()
