"""Rivals that follow clients over rounds: known answers, and who is who."""

import numpy as np
import pytest

from pdrr import Round
from pdrr.beyond.rivals import foolsgold
from pdrr.beyond.rivals.fldetector import FLDetector, hessian_product
from pdrr.beyond.rivals.foolsgold import FoolsGold
from pdrr.core.arrays import to_host


def a_round(updates, number=1, ids=None, dtype=np.float64):
    updates = np.array(updates, dtype)
    return Round(updates, np.zeros(updates.shape[1], dtype), number, ids)


# FoolsGold


def weights_by_hand(sums):
    """As the paper's algorithm writes it, entry by entry."""
    n = len(sums)
    unit = sums / np.linalg.norm(sums, axis=1)[:, None]
    cs = unit @ unit.T - np.eye(n)
    v = [max(0, *(cs[i, j] for j in range(n) if j != i)) for i in range(n)]
    for i in range(n):
        for j in range(n):
            if i != j and v[i] < v[j]:
                cs[i, j] *= v[i] / v[j]
    alpha = [1 - max(0, *(cs[i, j] for j in range(n) if j != i)) for i in range(n)]
    alpha = [min(1, max(0, a)) for a in alpha]
    alpha = [a / max(alpha) for a in alpha]
    alpha = [0.99 if a == 1 else a for a in alpha]
    return [min(1, max(0, np.log(a / (1 - a)) + 0.5)) for a in alpha]


def test_two_clones_among_orthogonal_updates_lose_all_weight():
    updates = np.vstack([np.eye(6)[:4] * [[1], [2], [3], [4]], np.eye(6)[[5, 5]]])
    model, found = FoolsGold().aggregate(a_round(updates))
    np.testing.assert_array_equal(found.scores, [0, 0, 0, 0, 1, 1])
    np.testing.assert_array_equal(found.flagged, [False] * 4 + [True] * 2)
    np.testing.assert_array_equal(model, [0.25, 0.5, 0.75, 1, 0, 0])
    total, _ = FoolsGold(total=True).aggregate(a_round(updates))
    np.testing.assert_array_equal(total, [1, 2, 3, 4, 0, 0])


@pytest.mark.parametrize("seed", range(4))
def test_weights_are_those_of_the_paper_s_algorithm(seed):
    updates = np.random.default_rng(seed).normal(0.3, 1, (7, 6)).astype(np.float32)
    found = FoolsGold().detect(a_round(updates))
    by_hand = weights_by_hand(updates.astype(float))
    assert any(0 < weight < 1 for weight in by_hand)
    np.testing.assert_allclose(1 - found.scores, by_hand, rtol=1e-9, atol=1e-12)


def test_what_counts_is_the_sum_of_a_client_s_updates(xp):
    rng = np.random.default_rng(5)
    gold, sums = FoolsGold(), np.zeros((9, 8))
    for number in (1, 2, 3):
        ids = rng.permutation(9)[:6]
        updates = rng.integers(-5, 6, (6, 8)).astype(float) + 2
        new = 6 - np.count_nonzero(sums[ids].any(axis=1))
        sums[ids] += updates
        start = np.full(8, 64.0 * number)  # the global model moves on
        seen = Round(xp.asarray(start + updates), xp.asarray(start), number, xp.asarray(ids))
        found = gold.detect(seen)
        np.testing.assert_allclose(1 - to_host(found.scores), weights_by_hand(sums[ids]), atol=1e-9)
        expected = (f"{new} of 6 clients are here for the first time",) if new else ()
        assert found.notes == expected


def test_without_ids_rows_are_the_clients():
    rng = np.random.default_rng(6)
    updates = [rng.normal(0.3, 1, (5, 6)) for _ in range(2)]
    plain, named = FoolsGold(), FoolsGold()
    for number, one in enumerate(updates, 1):
        found = plain.detect(a_round(one, number))
        order = rng.permutation(5)
        mixed = named.detect(a_round(one[order], number, ids=order))
        np.testing.assert_allclose(mixed.scores, found.scores[order], rtol=1e-9, atol=1e-12)


def test_reset_forgets_all_clients():
    gold = FoolsGold()
    first = gold.detect(a_round(np.eye(4)))
    with pytest.raises(ValueError, match="needs models of one length, got 5 after 4"):
        gold.detect(a_round(np.eye(5)))
    gold.reset()
    gold.detect(a_round(np.eye(5)))
    gold.reset()
    assert gold.detect(a_round(np.eye(4))).notes == first.notes


def test_a_broken_update_does_not_enter_a_client_s_sum():
    gold, other = FoolsGold(), FoolsGold()
    rng = np.random.default_rng(7)
    first, second = rng.normal(0.3, 1, (2, 4, 5))
    ids = np.arange(4)
    broken = first.copy()
    broken[2, 0] = np.nan
    gold.detect(a_round(broken, 1, ids))
    other.detect(a_round(first[[0, 1, 3]], 1, ids[[0, 1, 3]]))
    one, there = gold.detect(a_round(second, 2, ids)), other.detect(a_round(second, 2, ids))
    np.testing.assert_array_equal(one.scores, there.scores)
    assert np.isfinite(one.scores).all()


def test_if_all_point_the_same_way_the_model_stays():
    model, found = FoolsGold().aggregate(a_round([[1.0, 2.0]] * 3))
    np.testing.assert_array_equal(model, [0, 0])
    assert found.flagged.all()
    assert "all clients point the same way: nothing is left" in found.notes


def test_sums_are_kept_in_single_precision():
    gold = FoolsGold()
    gold.detect(a_round(np.eye(3)))
    assert {kept.dtype for kept in gold._sums.values()} == {np.dtype(np.float32)}


def test_whoever_resembles_a_sybil_is_pardoned():
    cosines = np.array([[1, 0.6, 0.6], [0.6, 1, 0.99], [0.6, 0.99, 1]])
    honest, *sybils = foolsgold.client_weights(cosines)
    assert honest > 0.9
    assert sybils == [0, 0]


# FLDetector


def compact(steps, v):
    """L-BFGS's B v in the compact form of Byrd, Nocedal and Schnabel, 1994."""
    s, y = steps[:-1].T, np.diff(steps, axis=0).T
    sy = s.T @ y
    sigma = sy[-1, -1] / (s[:, -1] @ s[:, -1])
    low = np.tril(sy, -1)
    middle = np.block([[sigma * s.T @ s, low], [low.T, -np.diag(np.diag(sy))]])
    wide = np.hstack([sigma * s, y])
    return sigma * v - wide @ np.linalg.solve(middle, wide.T @ v)


@pytest.mark.parametrize("pairs", [1, 2, 5])
def test_the_hessian_product_is_that_of_the_compact_form(pairs):
    steps = np.random.default_rng(8).normal(size=(pairs + 1, 12))
    found = hessian_product(steps @ steps.T) @ steps
    np.testing.assert_allclose(found, compact(steps, steps[-1]), rtol=1e-8)


def test_the_hessian_maps_the_last_pair_exactly():
    rng = np.random.default_rng(9)
    steps = rng.normal(size=(4, 6))
    steps[3] = 2.5 * steps[2]  # now the product wanted is 2.5 times that of the last pair
    found = hessian_product(steps @ steps.T) @ steps
    np.testing.assert_allclose(found, 2.5 * (steps[3] - steps[2]), rtol=1e-9)


@pytest.mark.parametrize("steps", [np.zeros((3, 4)), np.ones((3, 4))], ids=["none", "constant"])
def test_a_straight_way_has_no_curvature(steps):
    np.testing.assert_allclose(hessian_product(steps @ steps.T) @ steps, 0, atol=1e-12)


K, D = 12, 5


def run(
    rounds, *, disturbed=(), window=3, dtype=np.float64, xp=np, mixed=False, seed=0, missing=()
):
    """Exact steps on quadratic losses with a common Hessian; some clients add fresh noise.

    `mixed`: rows come in another order each time; `missing`: pairs of a round and a client.
    """
    rng = np.random.default_rng(seed)
    aims = rng.normal(size=(K, D))
    detector = FLDetector(rng=np.random.default_rng(0), window=window)
    model, found = np.zeros(D), []
    for t in range(1, rounds + 1):
        clients = model + 0.25 * (aims - model)
        for client in disturbed:
            clients[client] += rng.normal(0, 0.3, D)
        ids = rng.permutation(K) if mixed else np.arange(K)
        ids = np.array([client for client in ids if (t, client) not in missing])
        seen = Round(
            xp.asarray(clients[ids].astype(dtype)),
            xp.asarray(model.astype(dtype)),
            t,
            xp.asarray(ids),
        )
        found.append((ids, detector.detect(seen)))
        model = clients.mean(axis=0)
    return found


def by_client(ids, values):
    out = np.zeros(len(ids), values.dtype)
    out[ids] = values
    return out


def test_exact_steps_are_foretold_exactly():
    detector = FLDetector(rng=np.random.default_rng(0), window=2)
    aims, model = np.random.default_rng(1).normal(size=(4, D)), np.zeros(D)
    for t in (1, 2, 3, 4):
        seen = Round(model + 0.25 * (aims - model), model, t)
        if t > 2:
            detector._models.append(model)
            rows = np.arange(4)
            far = detector._surprises(seen, rows, detector._last, rows)
            np.testing.assert_allclose(far, 0, atol=1e-12)
            detector._models.pop()
        model = detector.aggregate(seen)[0]


@pytest.mark.parametrize("mixed", [False, True])
def test_clients_with_fresh_noise_are_flagged(mixed, xp):
    ids, found = run(9, disturbed=(2, 7), mixed=mixed, xp=xp)[-1]
    scores = by_client(ids, to_host(found.scores))
    flagged = by_client(ids, to_host(found.flagged))
    assert set(np.argsort(scores)[-2:]) == {2, 7}
    np.testing.assert_array_equal(np.flatnonzero(flagged), [2, 7])
    assert scores.sum() == pytest.approx(1)


def test_the_order_of_the_rows_makes_no_difference():
    rng, aims = np.random.default_rng(2), np.random.default_rng(3).normal(size=(K, D))
    plain, mixed = (FLDetector(rng=np.random.default_rng(0), window=3) for _ in range(2))
    model, ids = np.zeros(D), np.arange(K)
    for t in range(1, 8):
        clients = model + 0.25 * (aims - model) + rng.normal(0, 0.1, (K, D))
        order = rng.permutation(K)
        found = plain.detect(Round(clients, model, t, ids))
        there = mixed.detect(Round(clients[order], model, t, order))
        np.testing.assert_allclose(there.scores, found.scores[order], rtol=1e-9)
        model = clients.mean(axis=0)


def test_nobody_is_flagged_before_a_window_of_rounds_is_compared():
    found = [detection for _, detection in run(7, disturbed=(2, 7), window=4)]
    for number, detection in enumerate(found[:5], 1):
        assert not detection.flagged.any()
        if number == 1:
            assert detection.notes == ("12 of 12 clients have no update before: nobody is flagged",)
        else:
            compared = f"{number - 2} of 4 rounds are compared: nobody is flagged"
            assert detection.notes == (compared,)
    assert found[5].notes == ()
    assert found[5].flagged.any()
    np.testing.assert_allclose(found[0].scores, 1 / K)
    assert found[3].scores.argmax() in (2, 7)  # they rank before they flag


def test_a_client_without_an_update_before_silences_it():
    found = run(8, disturbed=(2, 7), missing=[(7, 4)])
    (_, absent), (_, back) = found[6:]
    assert absent.flagged.any()  # all who are there can be compared
    assert not back.flagged.any()
    assert back.notes == ("1 of 12 clients have no update before: nobody is flagged",)


def test_the_mean_is_over_the_window():
    window = 2
    long = FLDetector(rng=np.random.default_rng(0), window=window)
    shares = [{0: 0.9, 1: 0.1}, {0: 0.5, 1: 0.5}, {0: 0.1, 1: 0.9}]
    for share in shares:
        long._distances.append(share)
    assert long._mean(0, 0) == pytest.approx((0.5 + 0.1) / 2)
    assert long._mean(5, 0.25) == 0.25


def test_a_gap_between_rounds_begins_the_history_anew():
    detector = FLDetector(rng=np.random.default_rng(0), window=1)
    rng = np.random.default_rng(4)
    for number in (1, 2, 3):
        detector.detect(a_round(rng.normal(size=(5, 3)), number))
    found = detector.detect(a_round(rng.normal(size=(5, 3)), 5))
    assert found.notes == (
        "round 5 does not follow round 3: begun anew",
        "5 of 5 clients have no update before: nobody is flagged",
    )
    again = detector.detect(a_round(rng.normal(size=(5, 3)), 6))
    assert again.notes == ("0 of 1 rounds are compared: nobody is flagged",)
    detector.reset()
    fresh = detector.detect(a_round(rng.normal(size=(5, 3)), 7))
    assert fresh.notes == ("5 of 5 clients have no update before: nobody is flagged",)


def test_single_precision_flags_alike():
    (_, single), (_, double) = (
        run(9, disturbed=(2, 7), dtype=dtype)[-1] for dtype in (np.float32, np.float64)
    )
    np.testing.assert_array_equal(single.flagged, double.flagged)
    np.testing.assert_allclose(single.scores, double.scores, rtol=1e-3, atol=1e-5)


def test_the_aggregate_is_the_mean_of_whoever_is_not_flagged():
    rng = np.random.default_rng(5)
    detector = FLDetector(rng=np.random.default_rng(0), window=1)
    updates = np.ones((6, 3))
    for number in (1, 2, 3):
        updates = np.ones((6, 3))
        updates[4] += rng.normal(0, 1, 3)
        model, found = detector.aggregate(a_round(updates, number))
    np.testing.assert_array_equal(np.flatnonzero(found.flagged), [4])
    np.testing.assert_allclose(model, 1)


def test_a_window_of_no_rounds_is_refused():
    with pytest.raises(ValueError, match="FLDetector needs window >= 1, got 0"):
        FLDetector(rng=np.random.default_rng(0), window=0)
