"""Co-trimming: silent among strangers, sees groups anywhere, and keeps the rule's share."""

import re
from dataclasses import replace

import numpy as np
import pytest

from pdrr import beyond, krum, median, trimmed_mean
from pdrr.beyond.cotrim import CoTrimming, _split, critical_gap, likeness, split
from pdrr.types import Round

K, D = 25, 1500


def strangers(seed=0, k=K, d=D):
    """Models with steps of their own, and a third of the coordinates standing still."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(size=(k, d)) * rng.lognormal(size=d) + rng.normal(size=d)
    steps[:, ::3] = 0
    return Round(steps.astype(np.float32), np.zeros(d, np.float32), ids=np.arange(k))


def replaced(observed, rows, models):
    clients = observed.clients.copy()
    clients[rows] = models
    return replace(observed, clients=clients)


def flagged(observed, **options):
    return np.flatnonzero(beyond.improved("median", **options).detect(observed).flagged).tolist()


# what it sees


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("k", [10, 25, 50])
def test_among_strangers_nobody_is_flagged(k, seed):
    assert flagged(strangers(seed, k=k)) == []


@pytest.mark.parametrize("z", [0.0, 0.5, 0.84, 3.0])
@pytest.mark.parametrize("c", [3, 7, 12])
def test_copies_are_seen_inside_the_cloud_and_outside(c, z):
    observed = strangers()
    rows = np.arange(c) * 2  # anywhere
    others = np.delete(observed.clients, rows, axis=0)
    model = others.mean(axis=0) - z * others.std(axis=0)
    assert flagged(replaced(observed, rows, model)) == rows.tolist()


def test_honest_shapes_that_shift_the_same_way_are_seen():
    observed = strangers()
    rows = np.arange(8)
    shifted = observed.clients[rows] - 0.84 * observed.clients.std(axis=0)
    assert flagged(replaced(observed, rows, shifted)) == rows.tolist()


def test_two_camps_that_push_in_different_places_are_both_seen():
    observed = strangers()
    spread = observed.clients.std(axis=0)
    one, other = np.arange(5), np.arange(5, 10)
    clients = observed.clients.copy()
    clients[one, : D // 2] = -3 * spread[: D // 2]
    clients[other, D // 2 :] = 3 * spread[D // 2 :]
    assert flagged(replace(observed, clients=clients)) == list(range(10))


def test_one_alone_is_nobody_s_accomplice():
    observed = strangers()
    assert flagged(replaced(observed, [4], 100 * observed.clients[4])) == []


def test_of_two_groups_the_larger_is_taken_for_the_honest_one():
    observed = strangers(k=21)
    for copies in (10, 11):
        model = np.ones(D, np.float32)
        found = flagged(replaced(observed, np.arange(copies), model))
        smaller = range(10) if copies == 10 else range(11, 21)
        assert found == list(smaller)
        assert 2 * len(found) < 21


# how it sees


def test_the_widest_gap_along_the_leading_direction_splits():
    alike = np.full((9, 9), -0.1)
    alike[:3, :3] = alike[3:, 3:] = 0.3
    np.fill_diagonal(alike, 1)
    found = split(alike)
    assert found.flagged.tolist() == 3 * [True] + 6 * [False]
    assert found.scores[:3].min() > found.scores[3:].max()


def test_a_gap_is_measured_in_deviations_of_the_larger_group():
    # -1, 1, -.5, .5 and 0: half of them lie within .5 of their median 0; then two at 5 and 6
    found = _split(np.array([-1.0, 1.0, -0.5, 0.5, 0.0, 5.0, 6.0]))
    assert found.gap == pytest.approx(4 / (0.5 * 1.4826))
    assert found.flagged.tolist() == 5 * [False] + 2 * [True]
    assert found.scores[5:] == pytest.approx(np.array([5, 6]) / (0.5 * 1.4826))


def test_two_groups_of_one_size_tell_nothing():
    found = _split(np.array([0.0, 0.1, 5.0, 5.1]))
    assert not found.flagged.any()
    assert found.gap == 0


@pytest.mark.parametrize(("n", "level"), [(9, 0.1), (24, 0.05), (50, 0.005)])
def test_a_critical_gap_is_exceeded_as_often_as_it_says(n, level):
    rng = np.random.default_rng(12)
    gaps = np.array([_split(rng.standard_normal(n)).gap for _ in range(20_000)])
    share = (gaps >= critical_gap(n, level)).mean()
    assert share == pytest.approx(level, abs=4 * np.sqrt(level / 20_000) + 0.1 * level)


def test_likeness_is_the_mean_of_two_correlations_of_sides():
    """By brute force, without ties: an odd number of models, each coordinate sorted on its own."""
    x = np.random.default_rng(3).normal(size=(11, 60))
    ranks = x.argsort(axis=0).argsort(axis=0)
    alike = []
    for beta in (11 // 5, 5):
        side = (ranks >= 11 - beta).astype(float) - (ranks < beta)
        products = side @ side.T
        alike.append(products / np.sqrt(np.outer(np.diag(products), np.diag(products))))
    expected = (alike[0] + alike[1]) / 2
    np.testing.assert_allclose(likeness(Round(x, np.zeros(60))), expected, atol=1e-12)


def test_nobody_is_flagged_where_nobody_moves():
    still = Round(np.ones((12, 40)), np.ones(40))
    assert flagged(still) == []


# what every detector keeps, on a round where it flags


def attacked():
    observed = strangers()
    return replaced(observed, np.arange(6), np.full(D, 0.2, np.float32))


def test_order_place_and_scale_make_no_difference():
    observed = attacked()
    order = np.random.default_rng(1).permutation(K)
    mixed = replace(observed, clients=observed.clients[order], ids=observed.ids[order])
    assert flagged(mixed) == np.flatnonzero(order < 6).tolist()
    scaled = replace(observed, clients=observed.clients * 4, previous=observed.previous + 1)
    assert flagged(scaled) == list(range(6))
    wide = Round(observed.clients.astype(float), observed.previous.astype(float))
    assert flagged(wide) == list(range(6))


def test_models_that_are_not_finite_go_first_and_change_nothing_else():
    observed = attacked()
    broken = observed.clients.copy()
    broken[[10, 20], 7] = np.nan, np.inf
    found = beyond.improved("median").detect(replace(observed, clients=broken))
    assert np.flatnonzero(found.flagged).tolist() == [*range(6), 10, 20]
    assert "models [10, 20] are not finite: flagged" in found.notes


def test_too_few_models_are_left_alone_and_a_note_says_so():
    observed = Round(np.random.default_rng(0).normal(size=(7, 30)), np.zeros(30))
    found = beyond.improved("median").detect(observed)
    assert not found.flagged.any()
    assert found.notes == ("7 finite models are too few to see a group: nobody flagged",)


def test_a_stack_on_disk_is_judged_as_one_in_memory(tmp_path):
    observed = attacked()
    np.save(tmp_path / "stack.npy", observed.clients)
    mapped = replace(observed, clients=np.load(tmp_path / "stack.npy", mmap_mode="r"))
    assert flagged(mapped) == list(range(6))


# the rule over what is left


def test_the_rule_keeps_its_share_of_what_is_left():
    observed = attacked()  # 6 of 25 are flagged, 19 left
    left = observed.clients[6:]
    model, found = beyond.improved("trimmed_mean", beta=5).aggregate(observed)
    assert found.flagged.sum() == 6
    np.testing.assert_array_equal(model, trimmed_mean(left, beta=4))  # 19 / 5, rounded up
    model, _ = beyond.improved("krum", c=8).aggregate(observed)
    np.testing.assert_array_equal(model, krum(left, c=7, previous=observed.previous))
    model, _ = beyond.improved("median").aggregate(observed)
    np.testing.assert_array_equal(model, median(left))


def test_whoever_lets_some_of_his_models_be_found_does_not_buy_a_mean():
    observed = attacked()
    clients = observed.clients.copy()
    clients[24, 5] = 1e6  # one that nobody accompanies
    model, found = beyond.improved("trimmed_mean", beta=5).aggregate(
        replace(observed, clients=clients)
    )
    assert found.flagged.sum() == 6
    assert np.abs(model).max() < 100


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (("mean", {}), ValueError, "CoTrimming needs a rule of krum, trimmed_mean, median, got 'm"),
        (("median", {"level": 1}), ValueError, "CoTrimming needs a level between 0 and 1, got 1"),
        (("krum", {}), TypeError, "CoTrimming('krum') needs c, got none"),
        (("median", {"beta": 3}), TypeError, "CoTrimming('median') takes no beta, got 3"),
        (("krum", {"c": -1}), ValueError, "CoTrimming needs c >= 0, got -1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(options, error, message):
    rule, settings = options
    with pytest.raises(error, match=re.escape(message)):
        CoTrimming(rule, **settings)
