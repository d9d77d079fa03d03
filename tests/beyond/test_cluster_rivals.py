"""Rivals that cluster the models: MANDERA and SignGuard."""

import array_api_strict
import numpy as np
import pytest
from scipy import stats

from pdrr import Round
from pdrr.beyond.rivals.mandera import Mandera
from pdrr.beyond.rivals.sign_guard import SignGuard
from pdrr.core.round_passes import cosines, rank_moments


def some(k=12, d=400, seed=0, dtype=np.float32):
    """Models of many scales per coordinate, a third of the coordinates standing still."""
    rng = np.random.default_rng(seed)
    updates = rng.normal(size=(k, d)) * rng.lognormal(size=d) + 0.3
    updates[:, ::3] = 0
    previous = rng.normal(size=d).astype(dtype)
    return Round(previous + updates.astype(dtype), previous)


def changed(seen, clients):
    return Round(clients.astype(seen.clients.dtype), seen.previous)


def mandera(seed=0):
    return Mandera(rng=np.random.default_rng(seed))


# MANDERA


def test_mandera_looks_at_mean_and_deviation_of_mid_ranks():
    seen = some()
    ranks = stats.rankdata(seen.clients.astype(float), axis=0)
    mean, variance = rank_moments(seen)
    np.testing.assert_allclose(mean, ranks.mean(axis=1), rtol=1e-13)
    np.testing.assert_allclose(variance, ranks.var(axis=1, ddof=1), rtol=1e-12)
    assert mean.sum() == pytest.approx(12 * 13 / 2, rel=1e-14)
    found = mandera().detect(seen)
    points = np.array([mean, np.sqrt(variance)]).T
    centre = points[~found.flagged].mean(axis=0)
    np.testing.assert_allclose(found.scores, np.linalg.norm(points - centre, axis=1), atol=1e-12)


def test_mandera_finds_the_best_split_into_two_clusters():
    seen = some(k=9, seed=4)
    mean, variance = rank_moments(seen)
    points = np.array([mean, np.sqrt(variance)]).T
    masks = [np.array(list(np.binary_repr(n, 9))) == "1" for n in range(1, 2**8)]

    def spread(mask):
        return sum(((points[m] - points[m].mean(axis=0)) ** 2).sum() for m in (mask, ~mask))

    best = min(masks, key=spread)
    found = mandera().detect(seen)
    assert (found.flagged == best).all() or (found.flagged == ~best).all()
    assert found.flagged.sum() <= 4


def test_mandera_throws_out_clones_even_where_they_are_the_majority():
    seen = some(k=12)
    clients = seen.clients.copy()
    clients[:7] = seen.previous - 5
    model, found = mandera().aggregate(changed(seen, clients))
    assert found.flagged.tolist() == [True] * 7 + [False] * 5
    np.testing.assert_allclose(model, clients[7:].mean(axis=0, dtype=float), rtol=1e-5, atol=1e-6)
    assert len(set(found.scores[:7].tolist())) == 1


def test_mandera_throws_out_the_smaller_cluster_where_nobody_repeats():
    seen = some(k=12)
    clients = seen.clients.copy()
    clients[:3] -= 9 + 0.01 * np.random.default_rng(1).random((3, seen.d)).astype(np.float32)
    assert mandera().detect(changed(seen, clients)).flagged.tolist() == [True] * 3 + [False] * 9


def test_mandera_keeps_everybody_where_all_are_equal():
    clients = np.ones((5, 4))
    model, found = mandera().aggregate(Round(clients, np.zeros(4)))
    assert not found.flagged.any()
    assert not found.scores.any()
    assert model.tolist() == [1] * 4


def test_mandera_draws_lots_where_nothing_tells_the_clusters_apart():
    seen = Round(np.array([[1.0], [2.0]]), np.zeros(1))
    assert {mandera(seed).detect(seen).flagged.argmax() for seed in range(20)} == {0, 1}


# SignGuard


def sign_guard(seed=0, similar=False):
    return SignGuard(rng=np.random.default_rng(seed), similar=similar)


def sign_guard_sim():
    return sign_guard(similar=True)


def along(*scales, d=200):
    """Updates that differ in their scale only."""
    direction = np.random.default_rng(1).normal(size=d)
    return Round(np.outer(scales, direction), np.zeros(d)), direction


def test_sign_guard_keeps_all_that_differ_in_scale_within_its_bounds():
    seen, direction = along(1, 0.5, 2, 1, 2.9, 0.11)
    for similar in (False, True):
        model, found = sign_guard(similar=similar).aggregate(seen)
        assert not found.flagged.any()
        np.testing.assert_allclose(found.scores, 0, atol=1e-12)
        # cut to the median length 1, then averaged
        np.testing.assert_allclose(model, direction * (1 + 0.5 + 1 + 1 + 1 + 0.11) / 6)


def test_sign_guard_throws_out_what_is_too_long_or_too_short():
    seen, direction = along(1, 1, 4, 0.05, 1)
    model, found = sign_guard().aggregate(seen)
    assert found.flagged.tolist() == [False, False, True, True, False]
    np.testing.assert_allclose(found.scores, [0, 0, 1 / 4, 1 / 2, 0], atol=1e-12)
    np.testing.assert_allclose(model, direction)


def test_sign_guard_throws_out_signs_unlike_the_others():
    seen = some(d=4000)
    clients = seen.clients.copy()
    clients[:4] = 2 * seen.previous - clients[:4]  # to where fewer updates point
    for similar in (False, True):
        found = sign_guard(similar=similar).detect(changed(seen, clients))
        assert found.flagged.tolist() == [True] * 4 + [False] * 8
        assert found.scores[:4].min() > found.scores[4:].max()


@pytest.mark.parametrize("similar", [False, True])
def test_sign_guard_looks_at_signs_of_a_tenth_and_at_the_median_cosine(similar):
    seen = some(d=300)
    drawn = np.random.default_rng(0).choice(300, 30, replace=False)
    sign = np.sign(seen.clients - seen.previous)[:, drawn]
    shares = np.array([(sign == value).mean(axis=1) for value in (1, 0, -1)]).T
    features = shares / shares.max(axis=0)
    if similar:
        cosine = np.array([np.median(np.delete(row, i)) for i, row in enumerate(cosines(seen))])
        middle = np.median(cosine)
        assert middle > 0
        features = np.column_stack([features, cosine.clip(0, middle) / (5 * middle)])
    found = sign_guard(similar=similar).detect(seen)
    kept = ~found.flagged
    expected = np.linalg.norm(features - features[kept].mean(axis=0), axis=1)
    assert kept.sum() >= 4
    np.testing.assert_allclose(found.scores, expected, atol=1e-12)


def test_similarity_does_not_count_where_it_is_not_positive():
    seen = Round(np.vstack([np.eye(4), -np.eye(4)]), np.zeros(4))
    one, other = sign_guard().detect(seen), sign_guard_sim().detect(seen)
    np.testing.assert_array_equal(one.scores, other.scores)


@pytest.mark.parametrize("similar", [False, True])
def test_one_model_alone_is_kept(similar):
    model, found = sign_guard(similar=similar).aggregate(Round(np.ones((1, 5)), np.zeros(5)))
    assert not found.flagged.any()
    assert model.tolist() == [1] * 5


# all of them


every_detector = pytest.mark.parametrize("make", [mandera, sign_guard, sign_guard_sim])


@every_detector
def test_the_scale_of_the_updates_makes_no_difference(make):
    seen = Round(some().clients - some().previous, np.zeros(some().d, np.float32))
    one, other = make().detect(seen), make().detect(changed(seen, 4 * seen.clients))
    np.testing.assert_allclose(one.scores, other.scores, rtol=1e-6, atol=1e-9)
    assert one.flagged.tolist() == other.flagged.tolist()


@every_detector
def test_permuting_the_models_permutes_scores_and_flags(make):
    seen, order = some(), np.random.default_rng(3).permutation(12)
    one, other = make().detect(seen), make().detect(changed(seen, seen.clients[order]))
    np.testing.assert_allclose(other.scores, one.scores[order], rtol=1e-9, atol=1e-12)
    assert other.flagged.tolist() == one.flagged[order].tolist()


@every_detector
def test_a_copy_of_a_model_is_judged_as_the_model_is(make):
    seen = some()
    clients = seen.clients.copy()
    clients[7] = clients[2]
    found = make().detect(changed(seen, clients))
    assert found.scores[7] == found.scores[2]
    assert found.flagged[7] == found.flagged[2]


@every_detector
def test_both_dtypes_give_one_verdict(make):
    seen = some()
    double = Round(seen.clients.astype(float), seen.previous.astype(float))
    one, other = make().detect(seen), make().detect(double)
    np.testing.assert_allclose(one.scores, other.scores, rtol=1e-5, atol=1e-7)
    assert one.flagged.tolist() == other.flagged.tolist()


@every_detector
def test_another_array_library_gives_the_same(make):
    seen = some()
    there = Round(*(array_api_strict.asarray(x) for x in (seen.clients, seen.previous)))
    model, found = make().aggregate(seen)
    other_model, other = make().aggregate(there)
    np.testing.assert_allclose(np.asarray(other.scores), found.scores, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(np.asarray(other_model), model, rtol=1e-6, atol=1e-7)
