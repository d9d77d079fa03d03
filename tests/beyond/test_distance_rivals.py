"""Rivals that look at distances and angles of one round: known answers, and what all keep."""

import numpy as np
import pytest

from pdrr import Round, trimmed_mean
from pdrr.beyond.rivals import dnc, flame, foolsgold, multi_krum, nnm, rfa
from pdrr.core.arrays import to_host

C, D = 3, 60


def rng():
    return np.random.default_rng(0)


MAKE = {
    "Multi-Krum": lambda c=C: multi_krum.MultiKrum(c=c, rng=rng()),
    "NNM": lambda c=C: nnm.NNM(c=c),
    "RFA": lambda _=C: rfa.RFA(),
    "DnC": lambda c=C: dnc.DnC(c=c, rng=rng()),
    "FoolsGold": lambda _=C: foolsgold.FoolsGold(),
    "FLAME": lambda _=C: flame.FLAME(rng=rng(), noise=0),
}
EVERY = pytest.mark.parametrize("name", MAKE)


def line(*values):
    """A round of models with one coordinate."""
    return Round(np.array(values, dtype=float)[:, None], np.zeros(1))


def made_up(k=11, dtype=np.float64, seed=0, xp=np):
    """Benign models around a common step, and three copies of one that goes elsewhere."""
    random = np.random.default_rng(seed)
    previous = random.normal(size=D)
    moves = random.normal(0, 0.1, (k, D)) + random.normal(0, 0.1, D)
    moves[-3:] = -3 * moves.mean(axis=0)
    clients = (previous + moves).astype(dtype)
    return Round(xp.asarray(clients), xp.asarray(previous.astype(dtype)))


# what all keep


@EVERY
def test_scaling_all_updates_scales_the_step_and_changes_no_verdict(name):
    observed = made_up()
    zero = np.zeros(D)  # powers of two: nothing is rounded
    small, large = (Round(observed.updates * size, zero) for size in (1, 4))
    one, found = MAKE[name]().aggregate(small)
    other, there = MAKE[name]().aggregate(large)
    np.testing.assert_allclose(other, 4 * one, rtol=1e-6)
    np.testing.assert_array_equal(there.flagged, found.flagged)
    np.testing.assert_array_equal(np.argsort(there.scores), np.argsort(found.scores))


@EVERY
def test_copies_have_one_score(name):
    scores = MAKE[name]().detect(made_up()).scores
    np.testing.assert_allclose(scores[-3:], scores[-1], rtol=1e-9)
    assert len(np.unique(scores.round(6))) > 1


@EVERY
def test_single_precision_flags_alike(name):
    double, single = (MAKE[name]().aggregate(made_up(dtype=t)) for t in (np.float64, np.float32))
    assert single[0].dtype == np.float32
    np.testing.assert_array_equal(single[1].flagged, double[1].flagged)
    np.testing.assert_allclose(single[1].scores, double[1].scores, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(single[0], double[0], rtol=1e-4, atol=1e-5)


@EVERY
def test_every_array_library_gives_the_same(name, xp):
    plain, found = MAKE[name]().aggregate(made_up())
    model, there = MAKE[name]().aggregate(made_up(xp=xp))
    np.testing.assert_allclose(to_host(model), plain, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(to_host(there.scores), found.scores, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(to_host(there.flagged), found.flagged)


@EVERY
def test_a_memory_map_gives_the_same_block_by_block(name, tmp_path, monkeypatch):
    observed = made_up(dtype=np.float32)
    expected, found = MAKE[name]().aggregate(observed)
    np.save(tmp_path / "stack.npy", observed.clients)
    mapped = Round(np.load(tmp_path / "stack.npy", mmap_mode="r"), observed.previous)
    monkeypatch.setattr("pdrr.core.arrays.BLOCK", 7)
    model, there = MAKE[name]().aggregate(mapped)
    np.testing.assert_allclose(model, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(there.scores, found.scores, rtol=1e-6, atol=1e-9)


@EVERY
def test_a_broken_model_does_not_change_the_verdict_on_the_others(name):
    observed = made_up()
    broken = np.vstack([observed.clients, np.full(D, np.nan)])
    alone, found = MAKE[name](C - 1).aggregate(observed)
    model, there = MAKE[name]().aggregate(Round(broken, observed.previous))
    np.testing.assert_allclose(there.scores[:-1], found.scores, rtol=1e-9)
    np.testing.assert_array_equal(there.flagged, [*found.flagged, True])
    np.testing.assert_allclose(model, alone, rtol=1e-9)


@pytest.mark.parametrize("name", ["Multi-Krum", "NNM", "DnC"])
@pytest.mark.parametrize("broken", [11, 20, 25])
def test_each_broken_model_is_one_attacker_fewer_to_expect(name, broken):
    finite = made_up(k=50 - broken)
    clients = np.vstack([finite.clients, np.full((broken, D), np.inf)])
    model, found = MAKE[name](20).aggregate(Round(clients, finite.previous))
    alone, expected = MAKE[name](max(0, 20 - broken)).aggregate(finite)
    np.testing.assert_array_equal(found.flagged, [*expected.flagged, *[True] * broken])
    np.testing.assert_allclose(model, alone, rtol=1e-9)


def test_a_judge_of_broken_models_is_the_same_judge_afterwards():
    observed = made_up()
    judge = nnm.NNM(c=C)
    judge.aggregate(Round(np.vstack([observed.clients, np.full(D, np.nan)]), observed.previous))
    assert judge.c == C


@EVERY
def test_who_comes_first_makes_no_difference_to_the_model(name):
    observed = made_up()
    order = np.random.default_rng(1).permutation(observed.k)
    mixed = Round(observed.clients[order], observed.previous)
    one, found = MAKE[name]().aggregate(observed)
    other, there = MAKE[name]().aggregate(mixed)
    np.testing.assert_allclose(other, one, rtol=1e-6, atol=1e-9)
    np.testing.assert_array_equal(there.flagged, found.flagged[order])


@pytest.mark.parametrize("name", ["NNM", "RFA"])
def test_an_aggregator_flags_nobody(name):
    assert not MAKE[name]().detect(made_up()).flagged.any()


@pytest.mark.parametrize("name", ["Multi-Krum", "FLAME", "DnC", "FoolsGold"])
def test_copies_that_go_elsewhere_are_found(name):
    np.testing.assert_array_equal(MAKE[name]().detect(made_up()).flagged[-3:], [True] * 3)


# Multi-Krum


def test_multi_krum_drops_the_farthest_and_averages_the_others():
    model, found = multi_krum.MultiKrum(c=1, rng=rng()).aggregate(line(0, 1, 2, 3, 10))
    np.testing.assert_array_equal(found.scores, [5, 2, 2, 5, 113])
    np.testing.assert_array_equal(found.flagged, [False] * 4 + [True])
    np.testing.assert_array_equal(model, [1.5])


def test_as_many_copies_as_multi_krum_has_neighbours_have_score_zero():
    observed = made_up(k=8)  # three copies, and 8 - 4 - 2 = 2 neighbours
    found = multi_krum.MultiKrum(c=4, rng=rng()).detect(observed)
    np.testing.assert_array_equal(found.scores == 0, [False] * 5 + [True] * 3)


def test_multi_krum_draws_lots_between_equals():
    dropped = set()
    for seed in range(40):
        detector = multi_krum.MultiKrum(c=1, rng=np.random.default_rng(seed))
        dropped |= set(np.flatnonzero(detector.detect(line(0, 0, 0, 0)).flagged))
    assert dropped == {0, 1, 2, 3}


# NNM


def test_nnm_mixes_each_model_with_its_nearest():
    mixed = nnm.mixing(line(0, 1, 2, 10), c=1)
    np.testing.assert_allclose(mixed @ [0, 1, 2, 10], [1, 1, 1, 13 / 3])
    np.testing.assert_allclose(mixed.sum(axis=1), 1)


def test_nnm_ends_with_the_trimmed_mean_of_the_mixtures():
    observed = made_up()
    u = observed.updates
    mixtures = []
    for row in u:
        nearest = np.argsort(((u - row) ** 2).sum(axis=1))[: observed.k - C]
        mixtures.append(u[nearest].mean(axis=0))
    expected = observed.previous + trimmed_mean(np.array(mixtures), beta=C)
    # the three copies are never at the edge of a neighbourhood: nobody ties
    np.testing.assert_allclose(nnm.NNM(c=C).aggregate(observed)[0], expected, rtol=1e-12)


def test_models_that_tie_for_the_last_place_share_it():
    mixed = nnm.mixing(line(-1, 0, 1), c=1)
    np.testing.assert_allclose(mixed, [[0.5, 0.5, 0], [0.25, 0.5, 0.25], [0, 0.5, 0.5]])
    found = nnm.NNM(c=1).detect(line(-1, 0, 1))
    np.testing.assert_allclose(found.scores, [0.75, 0, 0.75])


def test_a_model_is_its_own_neighbour_before_its_copies():
    mixed = nnm.mixing(line(5, 5, 5, 5), c=1)
    np.testing.assert_allclose(mixed, np.full((4, 4), 2 / 9) + np.eye(4) / 9)


def test_nnm_without_attackers_is_the_mean():
    observed = made_up()
    model, found = nnm.NNM(c=0).aggregate(observed)
    np.testing.assert_allclose(model, observed.clients.mean(axis=0), rtol=1e-12)
    np.testing.assert_array_equal(found.scores, np.zeros(observed.k))


def test_where_nobody_moved_nnm_does_not_either():
    observed = made_up(dtype=np.float32)
    clients = observed.clients.copy()
    clients[:, ::3] = observed.previous[::3]
    model, _ = nnm.NNM(c=C).aggregate(Round(clients, observed.previous))
    np.testing.assert_array_equal(model[::3], observed.previous[::3])


# RFA


def geometric_median(u):
    """By plain gradient steps on the sum of distances, from the median."""
    v, size = np.median(u, axis=0), 0.05
    for _ in range(4000):
        away = v - u
        v = v - size * (away / np.linalg.norm(away, axis=1)[:, None]).mean(axis=0)
        size *= 0.998
    return v


def test_rfa_comes_to_the_geometric_median():
    u = np.random.default_rng(5).normal(size=(9, 3)) * [1, 2, 5]
    expected = geometric_median(u)
    model, found = rfa.RFA(steps=1000).aggregate(Round(u, np.zeros(3)))
    np.testing.assert_allclose(model, expected, atol=5e-3)
    np.testing.assert_allclose(found.scores, np.linalg.norm(u - model, axis=1), rtol=1e-9)


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_rfa_takes_the_steps_of_weiszfeld(steps):
    observed = made_up()
    v = observed.clients.mean(axis=0)
    for _ in range(steps):
        weights = 1 / np.linalg.norm(observed.clients - v, axis=1)
        v = weights @ observed.clients / weights.sum()
    model, found = rfa.RFA(steps=steps).aggregate(observed)
    np.testing.assert_allclose(model, v, rtol=1e-9)
    np.testing.assert_allclose(found.scores, np.linalg.norm(observed.clients - v, axis=1))


def test_rfa_is_where_more_than_half_of_the_models_are():
    observed = made_up()
    clients = observed.clients.copy()
    clients[:6] = clients[0]
    model, _ = rfa.RFA(steps=1000).aggregate(Round(clients, observed.previous))
    np.testing.assert_allclose(model, clients[0], atol=1e-5)  # the smoothing


def test_of_three_models_on_a_line_rfa_is_the_middle():
    direction = np.array([3.0, 4.0])
    clients = np.outer([-7.0, 1.0, 2.0], direction)
    model, _ = rfa.RFA(steps=1000).aggregate(Round(clients, np.zeros(2)))
    np.testing.assert_allclose(model, direction, atol=1e-4)


def test_much_smoothing_makes_rfa_the_mean():
    observed = made_up()
    model, _ = rfa.RFA(smoothing=1e3).aggregate(observed)
    np.testing.assert_allclose(model, observed.clients.mean(axis=0), rtol=1e-12)


# DnC


def test_dnc_projects_on_the_line_that_the_models_lie_on():
    t, e = np.random.default_rng(6).normal(size=12), np.random.default_rng(7).normal(size=D)
    e /= np.linalg.norm(e)
    previous = np.random.default_rng(8).normal(size=D)
    observed = Round(previous + 0.3 + np.outer(t, e), previous)
    found = dnc.DnC(c=2, rng=rng()).detect(observed)
    expected = (t - t.mean()) ** 2
    np.testing.assert_allclose(found.scores, expected, rtol=1e-9, atol=1e-12)
    assert set(np.flatnonzero(found.flagged)) == set(np.argsort(expected)[-2:])


def test_dnc_looks_at_the_coordinates_drawn_only():
    observed = made_up()
    clients = observed.clients.copy()
    clients[0, 17] += 100
    flagged = [
        dnc.DnC(c=1, rng=np.random.default_rng(seed), coordinates=30)
        .detect(Round(clients, observed.previous))
        .flagged[0]
        for seed in range(30)
    ]
    assert 5 < sum(flagged) < 25  # coordinate 17 is among 30 of 60 every other time


def test_dnc_keeps_whom_every_trial_keeps():
    observed = made_up(seed=3)
    options = {"c": 1, "coordinates": 2}
    single = dnc.DnC(rng=rng(), **options)
    wanted = np.any([single.detect(observed).flagged for _ in range(6)], axis=0)
    model, found = dnc.DnC(rng=rng(), trials=6, **options).aggregate(observed)
    assert 1 < wanted.sum() < observed.k
    np.testing.assert_array_equal(found.flagged, wanted)
    np.testing.assert_allclose(model, observed.clients[~wanted].mean(axis=0))


def test_dnc_drops_a_share_of_c():
    detector = dnc.DnC(c=3, rng=rng(), share=1.5)
    assert detector.detect(made_up()).flagged.sum() == 4


# FLAME


def directions(*angles, length=1.0):
    return length * np.column_stack([np.cos(angles), np.sin(angles)])


def two_groups(spread=0.0):
    """30 models in one direction and 20 in another."""
    random = np.random.default_rng(9)
    return directions(*random.normal(0, spread, 30), *random.normal(1, spread, 20))


def test_flame_keeps_the_majority_of_two_groups():
    found = flame.FLAME(rng=rng()).detect(Round(two_groups(), np.zeros(2)))
    np.testing.assert_array_equal(found.flagged, np.arange(50) >= 30)
    assert found.scores[30:].min() > found.scores[:30].max()


def test_flame_loses_the_rim_of_a_cluster_too():
    found = flame.FLAME(rng=rng()).detect(Round(two_groups(0.01), np.zeros(2)))
    assert found.flagged[30:].all()
    assert 26 <= (~found.flagged).sum() < 30
    assert found.scores[found.flagged].min() > found.scores[~found.flagged].max()


def test_flame_with_more_than_half_of_the_models_malicious_keeps_them():
    found = flame.FLAME(rng=rng()).detect(Round(two_groups()[::-1][:39], np.zeros(2)))
    np.testing.assert_array_equal(found.flagged, np.arange(39) >= 20)


def test_flame_compares_models_not_updates():
    models, start = two_groups(0.01), np.array([0.4, 0.3])
    apart = 1 - models @ models.T  # all have length 1
    found = flame.FLAME(rng=rng()).detect(Round(models, start))
    others = np.array([np.median(np.delete(row, i)) for i, row in enumerate(apart)])
    np.testing.assert_allclose(found.scores, others + 2 * found.flagged, atol=1e-12)


@pytest.mark.parametrize("size", [1e-38, 1e-20])
def test_flame_sees_the_angles_of_models_much_smaller_than_the_previous_one(size):
    start = np.random.default_rng(3).normal(size=64)
    models = np.tile(two_groups(0.01), 32) * size
    found = flame.FLAME(rng=rng()).detect(Round(models, start))
    unit = models / np.linalg.norm(models, axis=1, keepdims=True)
    others = [np.median(np.delete(row, i)) for i, row in enumerate(1 - unit @ unit.T)]
    np.testing.assert_allclose(found.scores, others + 2.0 * found.flagged, atol=1e-12)


def test_flame_cuts_long_updates_to_the_median_length_of_all():
    lengths = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    clients = lengths[:, None] * directions(0.0, 0.001, 0.002, 0.003, 2.0)
    model, found = flame.FLAME(rng=rng(), noise=0).aggregate(Round(clients, np.zeros(2)))
    np.testing.assert_array_equal(found.flagged, [False] * 4 + [True])
    cut = np.array([1.0, 2.0, 3.0, 3.0])[:, None] * directions(0.0, 0.001, 0.002, 0.003)
    np.testing.assert_allclose(model, cut.mean(axis=0), rtol=1e-9)


def test_flame_s_noise_is_in_units_of_the_median_length():
    d = 20_000
    clients = np.zeros((5, d))
    clients[:, 0] = [1.0, 2.0, 3.0, 4.0, 5.0]
    observed = Round(clients, np.zeros(d))
    quiet, noisy, again = (
        flame.FLAME(rng=rng(), noise=noise).aggregate(observed)[0] for noise in (0, 0.1, 0.1)
    )
    np.testing.assert_array_equal(noisy, again)
    assert (noisy - quiet).std() == pytest.approx(0.1 * 3, rel=0.03)
    assert abs((noisy - quiet).mean()) < 0.01


@pytest.mark.parametrize("k", [1, 2, 3])
def test_flame_copes_with_few_models(k):
    model, _ = flame.FLAME(rng=rng(), noise=0).aggregate(Round(np.ones((k, 2)), np.zeros(2)))
    np.testing.assert_allclose(model, [1, 1])


# what they cannot work with


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nnm.NNM(c=6).detect(made_up()), "NNM needs 2*c < k, got c=6 for k=11"),
        (lambda: nnm.NNM(c=-1), "NNM needs c >= 0, got -1"),
        (lambda: rfa.RFA(steps=0), "RFA needs steps >= 1, got 0"),
        (lambda: rfa.RFA(smoothing=0), "RFA needs a finite smoothing > 0, got 0"),
        (lambda: dnc.DnC(c=1, rng=rng(), trials=0), "DnC needs trials >= 1, got 0"),
        (lambda: dnc.DnC(c=1, rng=rng(), share=-1), "DnC needs a finite share >= 0, got -1"),
        (lambda: dnc.DnC(c=11, rng=rng()).detect(made_up()), r"DnC needs share * c < k, got"),
        (lambda: flame.FLAME(rng=rng(), noise=-1), "FLAME needs a finite noise >= 0, got -1"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(make, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011, the message is compared below
        make()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
