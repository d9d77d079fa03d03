"""ALIE, IPM, sign flip, Gaussian, Mimic, label flip and shift: what they send, by hand."""

from statistics import NormalDist

import numpy as np
import pytest

from helpers.attacked_rounds import SCATTERED, C, honest_round, own_settings, run, sent
from pdrr import Round
from pdrr.beyond.attacks.alie import largest_z

both_kinds_of_knowledge = pytest.mark.parametrize("knowledge", ["full", "partial"])


def known_rows(honest, knowledge):
    return honest.clients[~SCATTERED if knowledge == "full" else SCATTERED]


# ALIE


@pytest.mark.parametrize(
    ("k", "c", "z"), [(50, 24, 1.4261), (50, 20, 0.8416), (50, 10, 0.2533), (50, 5, 0.0837)]
)
def test_alie_s_z_is_that_of_its_authors_formula(k, c, z):
    assert largest_z(k, c) == pytest.approx(z, abs=5e-5)
    farther_out = (k - c) * (1 - NormalDist().cdf(largest_z(k, c)))
    assert farther_out == pytest.approx(k // 2 + 1 - c)  # with the attackers, a majority


@pytest.mark.parametrize("c", [0, 25, 30])
def test_alie_needs_a_minority_of_attackers(c):
    with pytest.raises(ValueError, match="alie needs 1 <= c < k / 2, got"):
        largest_z(50, c)


@both_kinds_of_knowledge
def test_alie_stands_z_deviations_off_in_every_coordinate(knowledge):
    honest = honest_round()
    crafted = run("alie", honest, knowledge=knowledge)
    known, d = known_rows(honest, knowledge), honest.d
    mean, deviation = known.mean(axis=0), np.sqrt(((known - known.mean(axis=0)) ** 2).mean(axis=0))
    still = np.arange(d) < d // 5
    assert crafted.detail["z"] == largest_z(honest.k, C)
    for row in sent(crafted):
        np.testing.assert_allclose(row[still], honest.previous[still], rtol=1e-12)
        off = (row - mean)[~still] / deviation[~still]
        np.testing.assert_allclose(off, -crafted.detail["z"], rtol=1e-9)


def test_alie_s_noise_has_the_deviation_of_the_models_and_differs_by_attacker():
    honest = honest_round(d=20_000)
    noisy, plain = sent(run("alie_noise", honest)), sent(run("alie", honest))
    deviation = honest.clients[~SCATTERED].std(axis=0)
    noise = ((noisy - plain) / np.where(deviation > 0, deviation, 1))[:, honest.d // 5 :]
    np.testing.assert_allclose(noise.std(axis=1), 1, atol=0.03)
    assert np.abs(np.corrcoef(noise) - np.eye(C)).max() < 0.04


# IPM and sign flip


def test_the_mean_of_all_updates_is_nothing_at_ipm_s_turning_point():
    honest = honest_round(k=50)
    byzantine = np.arange(50) < 20
    observed = run("ipm", honest, byzantine, epsilon=1.5).observed
    np.testing.assert_allclose(observed.updates.mean(axis=0), 0, atol=1e-15)


@both_kinds_of_knowledge
@pytest.mark.parametrize(("name", "epsilon"), [("ipm", 0.5), ("ipm_10", 10)])
def test_ipm_sends_the_mean_update_turned_round(name, epsilon, knowledge):
    honest = honest_round()
    mean = known_rows(honest, knowledge).mean(axis=0) - honest.previous
    update = sent(run(name, honest, knowledge=knowledge))[0] - honest.previous
    np.testing.assert_allclose(update, -epsilon * mean, atol=1e-14)


def test_a_sign_flipped_twice_is_no_flip():
    honest = honest_round(previous=np.zeros(60))
    once = run("sign_flip", honest).observed
    assert (once.clients[SCATTERED] == -honest.clients[SCATTERED]).all()
    assert run("sign_flip", once).observed.clients.tobytes() == honest.clients.tobytes()
    four = run("sign_flip_4", honest).observed
    assert (four.clients[SCATTERED] == -4 * honest.clients[SCATTERED]).all()


# Gaussian


def test_large_noise_is_ten_times_as_long_as_the_own_update_and_its_own():
    honest = honest_round(d=20_000)
    updates = sent(run("gaussian", honest)) - honest.previous
    own = np.sqrt((honest.updates[SCATTERED] ** 2).mean(axis=1))
    np.testing.assert_allclose(updates.std(axis=1), 10 * own, rtol=0.03)
    assert (np.abs(updates.mean(axis=1)) < 0.3 * own).all()  # standard error .07
    assert np.abs(np.corrcoef([*updates, *honest.updates]) - np.eye(C + honest.k))[:C].max() < 0.04


def test_estimated_noise_has_the_moments_of_the_attackers_own_models():
    honest = honest_round(d=20_000)
    own = honest.clients[SCATTERED]
    moving = slice(honest.d // 5, None)
    z = (
        ((sent(run("gaussian_estimated", honest)) - own.mean(axis=0))[:, moving])
        / own.std(axis=0)[moving]
    )
    np.testing.assert_allclose(z.mean(axis=1), 0, atol=0.03)
    np.testing.assert_allclose(z.std(axis=1), 1, atol=0.03)
    assert np.abs(np.corrcoef(z) - np.eye(C)).max() < 0.04


# Mimic


@both_kinds_of_knowledge
@pytest.mark.parametrize("sign", [1, -1])
def test_mimic_copies_whoever_stands_farthest_out_on_either_side(knowledge, sign):
    rng = np.random.default_rng(4)
    known = ~SCATTERED if knowledge == "full" else SCATTERED
    place = rng.uniform(-1, 1, size=15)
    farthest = np.flatnonzero(known)[2]
    place[farthest] = sign * 3.0
    place[~known] *= 100  # nobody that it can see
    clients = 5 + np.outer(place, rng.normal(size=60)) + 0.01 * rng.normal(size=(15, 60))
    honest = Round(clients, np.zeros(60))
    crafted = run("mimic", honest, knowledge=knowledge)
    assert crafted.detail == {"target": farthest}
    assert all(row.tobytes() == clients[farthest].tobytes() for row in sent(crafted))


def test_mimic_draws_lots_between_models_that_stand_equally_far_out():
    honest = Round(np.array([[5.0], [1.0], [2.0]]), np.zeros(1))
    byzantine = np.array([True, False, False])
    targets = {run("mimic", honest, byzantine, seed=s).detail["target"] for s in range(12)}
    assert targets == {1, 2}


# label flip and shift


def test_label_flip_sends_the_models_given_and_needs_one_for_each_attacker():
    honest = honest_round(dtype=np.float32)
    own = own_settings(honest)
    observed = run("label_flip", honest, own=own).observed
    assert observed.clients[SCATTERED].tobytes() == own["flipped"].astype(np.float32).tobytes()
    wrong = own | {"flipped": own["flipped"][1:]}
    with pytest.raises(ValueError, match=r"label_flip needs flipped of shape \(4, 60\), got \(3,"):
        run("label_flip", honest, own=wrong)
    own["flipped"][1, 2] = np.nan
    with pytest.raises(ValueError, match="label_flip needs finite models, got .* rows"):
        run("label_flip", honest, own=own)


@both_kinds_of_knowledge
def test_shift_keeps_the_shape_of_each_model_and_moves_them_all_alike(knowledge):
    honest = honest_round()
    known = known_rows(honest, knowledge)
    expected = 1.5 * known.std(axis=0) * np.sign(known.mean(axis=0) - honest.previous)
    moved = honest.clients[SCATTERED] - sent(run("shift", honest, knowledge=knowledge))
    np.testing.assert_allclose(moved, np.tile(expected, (C, 1)), atol=1e-12)
