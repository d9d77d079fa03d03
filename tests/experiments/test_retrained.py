"""VAE and DAGMM trained again on the same snapshots."""

from __future__ import annotations

import numpy as np
import pytest

from pdrr import experiments


def test_the_first_training_is_that_of_the_comparison_and_the_others_differ(store):
    found = experiments.refits("median", times=2, profile="smoke", store=store)
    compared = experiments.compare(
        rule="median",
        profile="smoke",
        source="glyphs",
        seed=1,
        schemes=["DAGMM", "VAE"],
        store=store,
    )
    for name, own in compared.table.groupby("scheme"):
        mine = found.table[found.table["scheme"] == name]
        first, second = (mine[mine["draw"] == draw]["score"].to_numpy() for draw in (0, 1))
        np.testing.assert_array_equal(first, own["score"].to_numpy())
        assert not np.isclose(first, second).any()
    assert found.table.groupby(["scheme", "draw"])["flagged"].sum().eq(20).all()


def test_no_training_is_refused(store):
    with pytest.raises(ValueError, match="refits needs times >= 1, got 0"):
        experiments.refits("median", times=0, profile="smoke", store=store)
