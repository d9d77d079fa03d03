"""Co-trimming: what its re-aggregation makes of models that are none."""

import numpy as np
import pytest

from pdrr import Round, krum, trimmed_mean
from pdrr.beyond import improved


def honest(k, seed=0):
    return np.random.default_rng(seed).normal(size=(k, 300))


@pytest.mark.parametrize(("broken", "beta"), [(0, 10), (4, 6), (11, 0)])
def test_each_broken_model_is_one_value_fewer_to_trim(broken, beta):
    finite = honest(40)
    clients = np.vstack([np.full((broken, 300), np.nan), finite])
    model, found = improved("trimmed_mean", beta=10).aggregate(Round(clients, np.zeros(300)))
    assert found.flagged.sum() == broken  # strangers, all of them
    np.testing.assert_allclose(model, trimmed_mean(finite, beta=beta), rtol=1e-12)


def test_for_krum_each_broken_model_is_one_attacker_fewer():
    finite = honest(12)
    finite[:, 0] += np.arange(12.0) ** 3 / 20  # whom Krum selects depends on c
    clients = np.vstack([np.full((5, 300), np.inf), finite])
    model, _ = improved("krum", c=9).aggregate(Round(clients, np.zeros(300)))
    np.testing.assert_array_equal(model, krum(finite, c=4))
    assert (krum(finite, c=9) != krum(finite, c=4)).any()
