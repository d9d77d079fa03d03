"""Free riders and PoisonedFL: attackers that look at global models only."""

import numpy as np
import pytest

from helpers.attacked_rounds import SCATTERED, C, honest_round, own_settings, run, sent
from pdrr import Round
from pdrr.beyond.attacks.poisoned_fl import quantile

D = 60


# free riders


def test_free_riders_without_noise_repeat_the_last_step():
    honest = honest_round()
    own = own_settings(honest)
    rows = sent(run("free_rider", honest, own=own, noise=0.0))
    step = honest.previous - own["before"]
    np.testing.assert_allclose(rows - honest.previous, np.tile(step, (C, 1)), atol=1e-12)


@pytest.mark.parametrize("first", [True, False])
def test_free_riders_add_noise_of_their_own_and_send_it_alone_in_round_one(first):
    honest = honest_round(d=20_000)
    own = own_settings(honest)
    own["before"] = None if first else own["before"]
    step = 0 if first else honest.previous - own["before"]
    noise = sent(run("free_rider", honest, own=own)) - honest.previous - step
    np.testing.assert_allclose(noise.std(axis=1), 1e-3, rtol=0.03)
    assert np.abs(np.corrcoef(noise) - np.eye(C)).max() < 0.04


@pytest.mark.parametrize("name", ["free_rider", "poisoned_fl"])
def test_the_model_before_has_the_shape_of_a_model(name):
    honest = honest_round()
    own = own_settings(honest) | {"before": np.zeros(3)}
    with pytest.raises(ValueError, match=rf"{name} needs before of shape \[60\], got \(3,\)"):
        run(name, honest, own=own)


# PoisonedFL


def rounds(numbers, seed=0):
    """Rounds of a federation whose global model takes random steps: (round, model before)."""
    rng = np.random.default_rng(seed)
    before = rng.normal(size=D)
    for number in numbers:
        previous = before + rng.normal(size=D)
        yield Round(previous + rng.normal(size=(15, D)), previous, number), before
        before = previous


def poisoned(honest, before, memory, **settings):
    own = {"before": before, "memory": memory}
    return run("poisoned_fl", honest, own=own, **settings)


def test_poisoned_fl_pushes_the_same_way_every_round_eight_times_as_far_as_the_last_step():
    memory, signs, last = {}, None, None
    for honest, before in rounds([2, 3, 4]):
        crafted = poisoned(honest, before, memory)
        step = honest.previous - before
        update = sent(crafted)[0] - honest.previous
        assert np.linalg.norm(update) == pytest.approx(8 * np.linalg.norm(step), rel=1e-12)
        if last is None:
            v = np.abs(step)
        else:
            v = np.abs(step - last * np.linalg.norm(step) / np.linalg.norm(last))
            assert (np.sign(update) == signs).all()
        expected = 8 * np.linalg.norm(step) * v / np.linalg.norm(v)
        np.testing.assert_allclose(np.abs(update), expected, rtol=1e-9)
        signs, last = np.sign(update), update
    assert 15 < (signs > 0).sum() < 45
    (honest, before), *_ = rounds([2])
    other = sent(poisoned(honest, before, {}, secret=1))[0] - honest.previous
    assert (np.sign(other) != signs).any()


def test_poisoned_fl_waits_for_the_second_round_and_for_a_global_model_that_moves():
    honest = honest_round()
    for before in (None, honest.previous):
        crafted = poisoned(honest, before, {})
        assert not crafted.succeeded
        assert crafted.observed is honest


@pytest.mark.parametrize(("with_it", "factor"), [(True, 8.0), (False, 0.7 * 8.0)])
def test_the_factor_shrinks_after_fifty_rounds_unless_the_model_went_along(with_it, factor):
    memory = {}
    (honest, before), *_ = rounds([2])
    poisoned(honest, before, memory)
    there = honest.previous + (memory["signs"] if with_it else -memory["signs"])
    # after another fifty rounds at the same place it has not gone along since
    for number, expected in ((51, 8.0), (52, factor), (53, factor), (102, 0.7 * factor)):
        later = Round(honest.clients, there, number)
        assert poisoned(later, before, memory).detail["factor"] == pytest.approx(expected)


def test_the_factor_never_falls_below_a_half():
    memory, factors = {}, []
    (honest, before), *_ = rounds([2])
    for number in range(2, 700, 50):
        crafted = poisoned(Round(honest.clients, honest.previous, number), before, memory)
        factors.append(crafted.detail["factor"])
    assert factors[:8] == pytest.approx([8 * 0.7**n for n in range(8)])
    assert factors[8:] == factors[7:8] * len(factors[8:])
    assert 0.5 <= factors[-1] < 0.5 / 0.7


def test_the_quantile_is_that_of_the_authors_code():
    assert quantile(1_204_682) == pytest.approx(603_618, abs=1)


def test_poisoned_fl_leaves_copies_in_the_rows_of_the_attackers_only():
    (honest, before), *_ = rounds([2])
    observed = poisoned(honest, before, {}).observed
    assert (observed.clients[~SCATTERED] == honest.clients[~SCATTERED]).all()
    assert len(np.unique(observed.clients[SCATTERED], axis=0)) == 1
