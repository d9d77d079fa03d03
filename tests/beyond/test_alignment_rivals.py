"""Rivals that look at the largest coordinates and at signs: AlignIns and LASA."""

import array_api_strict
import numpy as np
import pytest

from pdrr import Round
from pdrr.beyond.rivals.align_ins import AlignIns, deviations
from pdrr.beyond.rivals.lasa import LASA

LAYERS = ((0, 100, 4), (100, 110, 1), (110, 290, 2), (290, 300, 1))


def some(k=11, d=300, seed=0, dtype=np.float32):
    rng = np.random.default_rng(seed)
    previous = rng.normal(size=d).astype(dtype)
    updates = rng.normal(size=(k, d)) * rng.lognormal(size=(k, 1)) + 0.3
    updates[:, ::3] = 0
    return Round(previous + updates.astype(dtype), previous)


def changed(seen, clients):
    return Round(clients.astype(seen.clients.dtype), seen.previous)


def lasa():
    return LASA(layers=LAYERS)


# AlignIns


def test_align_ins_takes_the_larger_of_two_deviations_from_the_median():
    seen = some()
    u, w = seen.clients.astype(float) - seen.previous, seen.previous.astype(float)
    cosine = u @ w / np.linalg.norm(u, axis=1) / np.linalg.norm(w)
    vote = np.sign(np.sign(u).sum(axis=0))
    top = np.argsort(-np.abs(u), axis=1)[:, :90]
    right = np.take_along_axis(np.sign(u) == vote, top, axis=1)
    agreement = right.mean(axis=1)
    expected = [np.abs(x - np.median(x)) / x.std() for x in (cosine, agreement)]
    model, found = AlignIns().aggregate(seen)
    np.testing.assert_allclose(found.scores, np.max(expected, axis=0), rtol=1e-9)
    kept = found.scores < 1
    assert 0 < kept.sum() < seen.k
    assert found.flagged.tolist() == (~kept).tolist()
    length = np.linalg.norm(u[kept], axis=1)
    cut = u[kept] * np.minimum(1, np.median(length) / length)[:, None]
    np.testing.assert_allclose(model, w + cut.mean(axis=0), rtol=1e-5, atol=1e-6)


def test_align_ins_keeps_all_where_signs_and_directions_are_equal():
    direction = np.random.default_rng(0).normal(size=40)
    seen = Round(1 + np.tile(direction, (4, 1)), np.ones(40))
    model, found = AlignIns().aggregate(seen)
    assert not found.scores.any()
    assert not found.flagged.any()
    np.testing.assert_allclose(model, 1 + direction)


def test_a_vote_that_ties_is_nobody_s_sign():
    # two against two in the first coordinate, in which all are largest
    u = np.array([[9.0, 1, 1], [9, 1, 1], [-9, 1, 1], [-9, 1, -1]])
    found = AlignIns(share=1 / 3).detect(Round(u, np.zeros(3)))
    assert not found.scores.any()
    with_a_fifth = np.vstack([u, u[:1]])  # three against two: .6 agree, the median is 1
    agreement = np.array([1, 1, 0, 0, 1])
    found = AlignIns(share=1 / 3).detect(Round(with_a_fifth, np.zeros(3)))
    np.testing.assert_allclose(found.scores, deviations(agreement))


def test_coordinates_that_tie_for_the_last_places_count_in_part():
    # of four equally large coordinates two count: half of the three that agree, and so on
    u = np.array([[1.0, 1, 1, 1], [1, 1, 1, -1], [1, 1, -1, -1], [1, 1, 1, 1]])
    vote = np.array([1, 1, 1, 0])
    found = AlignIns(share=0.5).detect(Round(u, np.zeros(4)))
    np.testing.assert_allclose(found.scores, deviations((u == vote).mean(axis=1)))


def test_align_ins_keeps_the_model_where_it_keeps_nobody():
    u = np.array([[1.0, 1], [-1, -1]])  # one deviation from the median each
    model, found = AlignIns(share=0.5).aggregate(Round(1 + u, np.ones(2)))
    assert found.flagged.all()
    assert model.tolist() == [1, 1]


@pytest.mark.parametrize("wrong", [{"share": 0}, {"share": 1.1}, {"limit": 0}])
def test_align_ins_refuses_what_it_cannot_work_with(wrong):
    with pytest.raises(ValueError, match="AlignIns needs .*got"):
        AlignIns(**wrong)


# LASA


def by_hand(seen, sparsity=0.3):
    """Scores and aggregate, from whole arrays."""
    u = seen.clients.astype(float) - seen.previous
    length = np.linalg.norm(u, axis=1)
    u = u * np.minimum(1, np.median(length) / length)[:, None]
    weights = np.concatenate([np.arange(a, b) for a, b, n in LAYERS if n in (2, 4)])
    for row in u:
        order = weights[np.argsort(np.abs(row[weights]))]
        row[order[: len(weights) - round((1 - sparsity) * len(weights))]] = 0
    model, dropped = np.zeros(seen.d), np.zeros(seen.k)
    for a, b, _ in LAYERS:
        x = u[:, a:b]
        positive = 0.5 * (1 + np.sign(x).sum(axis=1) / np.abs(np.sign(x)).sum(axis=1))
        kept = np.ones(seen.k, bool)
        for value in (np.linalg.norm(x, axis=1), positive):
            kept &= np.abs(value - np.median(value)) / value.std() < 1
        model[a:b] = x[kept].mean(axis=0) if kept.any() else x.mean(axis=0)
        dropped += (b - a) * ~kept if kept.any() else 0
    return dropped / seen.d, seen.previous + model


@pytest.mark.parametrize("seed", range(3))
def test_lasa_is_what_its_definition_says(seed):
    seen = some(seed=seed)
    scores, expected = by_hand(seen)
    model, found = lasa().aggregate(seen)
    np.testing.assert_allclose(found.scores, scores, rtol=1e-12)
    np.testing.assert_allclose(model, expected, rtol=1e-5, atol=1e-6)
    assert found.flagged.tolist() == (scores == 1).tolist()
    assert len(set(scores.tolist())) > 3


def test_lasa_drops_in_one_layer_who_is_odd_there_only():
    seen = some()
    u = np.random.default_rng(1).choice([-1.0, 1.0], size=seen.d) * np.ones((9, 1))
    u[0, LAYERS[2][0] : LAYERS[2][1]] = 1  # as long as the others
    found = lasa().detect(Round(u, np.zeros(seen.d)))
    np.testing.assert_allclose(found.scores, [180 / 300] + [0] * 8)


def test_where_nothing_differs_lasa_drops_nobody():
    seen = Round(np.tile(some().clients[:1], (5, 1)), some().previous)
    found = lasa().detect(seen)
    assert not found.scores.any()
    assert not found.flagged.any()


def test_a_layer_in_which_nobody_stays_takes_all():
    u = np.repeat([[1.0], [-1.0]], 300, axis=1)  # signs are one deviation from their median
    model, found = lasa().aggregate(Round(u, np.zeros(300)))
    assert not found.scores.any()
    assert not model.any()


@pytest.mark.parametrize(
    "wrong",
    [
        {"layers": ()},
        {"layers": ((0, 5, 2), (6, 9, 1))},
        {"layers": LAYERS, "sparsity": 1.0},
        {"layers": LAYERS, "limits": (1.0, 0.0)},
    ],
)
def test_lasa_refuses_what_it_cannot_work_with(wrong):
    with pytest.raises(ValueError, match="LASA needs .*got"):
        LASA(**wrong)


def test_lasa_refuses_models_of_another_size():
    with pytest.raises(ValueError, match="LASA needs layers of d=40 parameters, got 300"):
        lasa().detect(some(d=40))


# both


every_detector = pytest.mark.parametrize("make", [AlignIns, lasa])


@every_detector
def test_the_scale_of_the_updates_makes_no_difference(make):
    u = (some().clients - some().previous).astype(float)
    previous = some().previous.astype(float)
    one, other = (make().detect(Round(previous + s * u, previous)) for s in (1, 4))
    np.testing.assert_allclose(one.scores, other.scores, rtol=1e-9)
    assert one.flagged.tolist() == other.flagged.tolist()


@every_detector
def test_permuting_the_models_permutes_scores_and_flags(make):
    seen, order = some(), np.random.default_rng(3).permutation(11)
    one, other = make().detect(seen), make().detect(changed(seen, seen.clients[order]))
    np.testing.assert_allclose(other.scores, one.scores[order], rtol=1e-9)
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
    np.testing.assert_allclose(one.scores, other.scores, rtol=1e-6)
    assert one.flagged.tolist() == other.flagged.tolist()


@every_detector
def test_another_array_library_gives_the_same(make):
    seen = some()
    there = Round(*(array_api_strict.asarray(x) for x in (seen.clients, seen.previous)))
    model, found = make().aggregate(seen)
    other_model, other = make().aggregate(there)
    np.testing.assert_allclose(np.asarray(other.scores), found.scores, rtol=1e-9)
    np.testing.assert_allclose(np.asarray(other_model), model, rtol=1e-6, atol=1e-7)
