"""A judge sees finite models only, and what it says is put in its place again."""

import numpy as np
import pytest

from pdrr import Round
from pdrr.beyond.judging import Judge, Judgement
from pdrr.core.arrays import to_host


class Lengths(Judge):
    """Flags the longest update and keeps what it was shown."""

    def __init__(self, size=1.0):
        self.seen, self.size = [], size

    def judge(self, observed):
        self.seen.append(observed)
        scores = np.abs(to_host(observed.updates)).sum(axis=1) * self.size
        flagged = scores == scores.max()
        return Judgement(scores, flagged, ~flagged / observed.k, ("looked at lengths",))


def made_up(xp=np, bad=(), ids=None):
    """Updates 1, 2, 3, 4, 5 in each of two coordinates, from w_p = 10."""
    clients = np.outer(np.arange(1.0, 6), np.ones(2)) + 10
    for row, value in bad:
        clients[row, 1] = value
    previous = xp.asarray(np.full(2, 10.0))
    return Round(xp.asarray(clients), previous, 7, None if ids is None else xp.asarray(ids))


def test_finite_models_are_judged_as_they_are():
    judge, observed = Lengths(), made_up(ids=np.arange(5))
    model, found = judge.aggregate(observed)
    assert judge.seen == [observed]  # not even a copy
    np.testing.assert_array_equal(found.scores, [2, 4, 6, 8, 10])
    np.testing.assert_array_equal(found.statistic, found.scores)
    np.testing.assert_array_equal(found.flagged, [False] * 4 + [True])
    np.testing.assert_array_equal(model, 10 + (1 + 2 + 3 + 4) / 5)
    assert found.notes == ("looked at lengths",)
    assert found.pre_aggregate is observed.previous


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_models_that_are_not_finite_come_first(xp, value):
    judge = Lengths()
    observed = made_up(xp, [(1, value), (4, value)], ids=np.array([50, 51, 52, 53, 54]))
    model, found = judge.aggregate(observed)
    (seen,) = judge.seen
    np.testing.assert_array_equal(to_host(seen.clients), [[11, 11], [13, 13], [14, 14]])
    np.testing.assert_array_equal(to_host(seen.ids), [50, 52, 53])
    assert seen.number == 7
    np.testing.assert_array_equal(to_host(found.scores), [2, 8, 6, 8, 8])
    np.testing.assert_array_equal(to_host(found.statistic), [2, np.nan, 6, 8, np.nan])
    np.testing.assert_array_equal(to_host(found.flagged), [False, True, False, True, True])
    np.testing.assert_allclose(to_host(model), 10 + (1 + 3) / 3)
    assert found.notes == ("models [1, 4] are not finite: flagged", "looked at lengths")


def test_a_model_that_is_not_finite_has_a_score_of_one_at_least():
    found = Lengths(size=0.01).detect(made_up(bad=[(1, np.nan)]))
    np.testing.assert_allclose(found.scores, [0.02, 1, 0.06, 0.08, 0.1])


def test_without_ids_there_are_none_afterwards():
    judge = Lengths()
    judge.detect(made_up(bad=[(0, np.nan)]))
    assert judge.seen[0].ids is None


def test_if_nothing_is_finite_the_previous_model_stays(xp):
    judge = Lengths()
    observed = made_up(xp, [(row, np.nan) for row in range(5)])
    model, found = judge.aggregate(observed)
    assert not judge.seen
    np.testing.assert_array_equal(to_host(model), [10, 10])
    assert model is not observed.previous
    np.testing.assert_array_equal(to_host(found.scores), np.ones(5))
    assert np.isnan(to_host(found.statistic)).all()
    assert to_host(found.flagged).all()
    assert found.notes == ("models [0, 1, 2, 3, 4] are not finite: flagged",)


def test_detect_and_aggregate_say_the_same():
    observed = made_up(bad=[(2, np.inf)])
    one, other = Lengths().detect(observed), Lengths().aggregate(observed)[1]
    for name in ("statistic", "scores", "flagged"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert one.notes == other.notes
