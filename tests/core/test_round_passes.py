"""What many methods share of a round: inner products, distances, cosines, ranks."""

import numpy as np
import pytest
from scipy import stats

from pdrr import Round
from pdrr.core import round_passes
from pdrr.core.shared import forget

K, D = 9, 400
PASSES = (round_passes.products, round_passes.distances, round_passes.cosines)


def made_up(dtype=np.float64, seed=0, clones=0.0):
    """Models a thousand times as long as their updates; the last three near copies of each other.

    Update 0 is 0; the copies lie `clones` apart.
    """
    rng = np.random.default_rng(seed)
    previous = rng.normal(0, 30, D)
    clients = previous + rng.normal(0, 0.03, (K, D))
    clients[0] = previous
    steps = np.zeros((3, D))
    steps[1, 5], steps[2, 9] = clones, -clones
    clients[-3:] = clients[-3] + steps
    return Round(clients.astype(dtype), previous.astype(dtype))


def brute_force(observed):
    """The same from updates in extended precision, pair by pair."""
    w = observed.clients.astype(np.longdouble)
    u = w - observed.previous.astype(np.longdouble)
    products = np.array([[(a * b).sum() for b in u] for a in u])
    distances = np.array([[((a - b) ** 2).sum() for b in w] for a in w])
    length = np.sqrt(np.diag(products))
    cosines = np.eye(K, dtype=np.longdouble)
    for i, j in np.ndindex(K, K):
        if i != j:
            scale = length[i] * length[j]
            cosines[i, j] = products[i, j] / scale if scale else 0
    return [x.astype(float) for x in (products, distances, cosines)]


@pytest.mark.parametrize("kernels", ["on", "off"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("clones", [0.0, 1e-7, 1e-3])
def test_passes_are_those_of_the_definition(monkeypatch, kernels, dtype, clones):
    monkeypatch.setenv("PDRR_KERNELS", kernels)
    observed = made_up(dtype, clones=clones)
    for shared, exact in zip(PASSES, brute_force(observed), strict=True):
        found = shared(observed)
        assert found.dtype == np.float64
        assert found.shape == (K, K)
        np.testing.assert_allclose(found, exact, rtol=1e-6, atol=1e-13)


def test_near_copies_keep_their_distance():
    squared = round_passes.distances(made_up(clones=1e-7))[-3:, -3:]
    assert squared[0, 1] == pytest.approx(1e-14, rel=1e-6)
    assert squared[1, 2] == pytest.approx(2e-14, rel=1e-6)


def test_two_groups_of_near_copies_keep_their_distances():
    observed = made_up(clones=1e-7)
    clients = observed.clients.copy()
    clients[2:4] = clients[1]
    clients[2, 0] += 3e-7
    clients[3, 1] += 4e-7
    squared = round_passes.distances(Round(clients, observed.previous))
    np.testing.assert_allclose(squared[1, 2:4], [9e-14, 16e-14], rtol=1e-5)
    np.testing.assert_allclose(squared[-3, -2], 1e-14, rtol=1e-5)


def test_an_update_of_length_zero_has_no_angle_to_others():
    found = round_passes.cosines(made_up())
    np.testing.assert_array_equal(found[0], np.eye(K)[0])
    np.testing.assert_array_equal(found[:, 0], np.eye(K)[0])


def test_copies_and_opposites_have_cosines_of_one():
    clients = np.array([[3.0, 1e-3, 7.0]] * 2 + [[-3.0, -1e-3, -7.0]])
    found = round_passes.cosines(Round(clients, np.zeros(3)))
    np.testing.assert_allclose(found, [[1, 1, -1], [1, 1, -1], [-1, -1, 1]], rtol=1e-15)
    assert abs(found).max() <= 1


def test_a_float32_stack_is_as_good_as_the_same_numbers_in_float64():
    single = made_up(np.float32, clones=1e-3)
    double = Round(single.clients.astype(float), single.previous.astype(float))
    for shared in PASSES:
        np.testing.assert_allclose(shared(single), shared(double), rtol=1e-9, atol=1e-15)


def test_a_memory_map_gives_the_same(tmp_path):
    observed = made_up(np.float32)
    np.save(tmp_path / "stack.npy", observed.clients)
    mapped = Round(np.load(tmp_path / "stack.npy", mmap_mode="r"), observed.previous)
    assert isinstance(mapped.clients, np.memmap)
    for shared in (*PASSES, round_passes.rank_moments):
        np.testing.assert_array_equal(shared(mapped), shared(observed))


def test_every_array_library_gives_the_same(xp):
    plain = made_up()
    there = Round(xp.asarray(plain.clients), xp.asarray(plain.previous))
    for shared in (*PASSES, round_passes.rank_moments):
        found = shared(there)
        np.testing.assert_allclose(found, shared(plain), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_ranks_are_mid_ranks(dtype):
    rng = np.random.default_rng(3)
    clients = rng.integers(0, 5, (K, 60)).astype(dtype)  # ties everywhere
    mean, variance = round_passes.rank_moments(Round(clients, np.zeros(60, dtype)))
    ranks = stats.rankdata(clients.astype(float), axis=0)
    np.testing.assert_allclose(mean, ranks.mean(axis=1), rtol=1e-12)
    np.testing.assert_allclose(variance, ranks.var(axis=1, ddof=1), rtol=1e-9)


def test_blocks_make_no_difference(monkeypatch):
    observed = made_up()
    whole = [shared(observed) for shared in (*PASSES, round_passes.rank_moments)]
    monkeypatch.setattr("pdrr.core.arrays.BLOCK", 7)
    monkeypatch.setenv("PDRR_KERNELS", "off")
    forget(observed)
    for shared, expected in zip((*PASSES, round_passes.rank_moments), whole, strict=True):
        np.testing.assert_allclose(shared(observed), expected, rtol=1e-9, atol=1e-13)
