"""Weighted sums of models."""

import numpy as np
import pytest

from pdrr import Round
from pdrr.core.arrays import to_host
from pdrr.core.combine import combined


def made_up(xp=np, dtype=np.float64, k=6, d=50):
    rng = np.random.default_rng(4)
    previous = rng.normal(size=d).astype(dtype)
    clients = (previous + rng.normal(0, 0.1, (k, d))).astype(dtype)
    return Round(xp.asarray(clients), xp.asarray(previous))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "weights", [[0.1, 0.2, 0, 0.3, 0, 0.4], [2, -1, 0.5, 0, 0, 0], [0.5] * 6], ids=str
)
def test_it_is_the_previous_model_plus_the_weighted_updates(xp, dtype, weights):
    observed = made_up(xp, dtype)
    found = combined(observed, np.array(weights))
    assert found.dtype == observed.clients.dtype
    w, base = (to_host(x).astype(float) for x in (observed.clients, observed.previous))
    expected = base + sum(weight * (row - base) for weight, row in zip(weights, w, strict=True))
    precision = np.finfo(dtype).eps
    np.testing.assert_allclose(to_host(found), expected, rtol=4 * precision, atol=4 * precision)


def test_without_weights_it_is_a_copy_of_the_previous_model(xp):
    observed = made_up(xp)
    found = combined(observed, np.zeros(6))
    np.testing.assert_array_equal(to_host(found), to_host(observed.previous))
    found[0] = 99.0
    assert float(observed.previous[0]) != 99


def test_models_without_weight_may_be_anything():
    observed = made_up()
    broken = observed.clients.copy()
    broken[2], broken[4] = np.nan, np.inf
    weights = np.array([0.5, 0.25, 0, 0.25, 0, 0])
    np.testing.assert_array_equal(
        combined(Round(broken, observed.previous), weights), combined(observed, weights)
    )


def test_a_coordinate_that_nobody_moved_stays_to_the_last_bit():
    observed = made_up(dtype=np.float32)
    clients = observed.clients.copy()
    clients[:, ::3] = observed.previous[::3]
    found = combined(Round(clients, observed.previous), np.full(6, 1 / 6))
    np.testing.assert_array_equal(found[::3], observed.previous[::3])
    assert (found[1::3] != observed.previous[1::3]).all()


def test_blocks_and_memory_maps_make_no_difference(tmp_path, monkeypatch):
    observed, weights = made_up(), np.array([0.1, 0.2, 0, 0.3, 0, 0.4])
    expected = combined(observed, weights)
    np.save(tmp_path / "stack.npy", observed.clients)
    monkeypatch.setattr("pdrr.core.arrays.BLOCK", 7)
    mapped = Round(np.load(tmp_path / "stack.npy", mmap_mode="r"), observed.previous)
    np.testing.assert_allclose(combined(mapped, weights), expected, rtol=1e-15)
