"""The attacks: what they craft, from what they know, and that the rules fall for it."""

import math
import re

import numpy as np
import pytest

from helpers import oracles
from pdrr import (
    ATTACKS,
    Round,
    krum,
    krum_attack,
    median,
    median_attack,
    trimmed_mean,
    trimmed_mean_attack,
)

# name -> (attack, its settings, the rule it is made for, the rule's settings) at k = 15, c = 5
CASES = {
    "krum": (krum_attack, {}, krum, {"c": 5}),
    "trimmed_mean": (trimmed_mean_attack, {"beta": 5}, trimmed_mean, {"beta": 5}),
    "median": (median_attack, {}, median, {}),
}
every_attack = pytest.mark.parametrize("name", CASES)
sampled_attacks = pytest.mark.parametrize("name", ["trimmed_mean", "median"])
both_kinds_of_knowledge = pytest.mark.parametrize("knowledge", ["full", "partial"])

K, C, D = 15, 5, 60
FIRST_C = np.arange(K) < C
SCATTERED = np.isin(np.arange(K), [2, 3, 7, 10, 14])  # compromised devices anywhere in the round


def honest_round(seed=0, d=D, k=K, dtype=np.float64, spread=1.0):
    """Updates around a common direction; the first fifth of the coordinates does not move."""
    rng = np.random.default_rng(seed)
    previous = rng.normal(size=d).astype(dtype)
    updates = 0.1 * (rng.normal(size=d) + spread * rng.normal(size=(k, d)))
    updates[:, : d // 5] = 0
    return Round((previous + updates).astype(dtype), previous, 3)


def run(name, honest, byzantine=FIRST_C, knowledge="full", seed=0, **settings):
    attack, defaults, _, _ = CASES[name]
    rng = np.random.default_rng(seed)
    return attack(honest, byzantine, knowledge=knowledge, rng=rng, **{**defaults, **settings})


def full_direction(name, honest):
    """Sgn(A(all honest models) - w_p), exactly."""
    clients, previous = honest.clients, oracles.exact([honest.previous])[0]
    target = {
        "krum": lambda: oracles.exact(clients[[oracles.krum_index(clients, C)]])[0],
        "trimmed_mean": lambda: oracles.trimmed_mean(clients, 5),
        "median": lambda: oracles.median(clients),
    }[name]()
    return np.array([oracles.sign(t - p) for t, p in zip(target, previous, strict=True)])


def partial_direction(honest, byzantine):
    """Sgn(mean of the attackers' honest models - w_p), exactly."""
    known, previous = oracles.mean(honest.clients[byzantine]), oracles.exact([honest.previous])[0]
    return np.array([oracles.sign(m - p) for m, p in zip(known, previous, strict=True)])


def krum_setting(honest, byzantine, knowledge):
    """(models the attacker simulates Krum with, direction): both from the oracles."""
    if knowledge == "full":
        return honest.clients[~byzantine], full_direction("krum", honest)
    return honest.clients[byzantine], partial_direction(honest, byzantine)


# ------------------------------------------------------------------------------ every attack


@every_attack
@both_kinds_of_knowledge
@pytest.mark.parametrize("byzantine", [FIRST_C, SCATTERED], ids=["first", "scattered"])
def test_only_the_compromised_rows_change(name, knowledge, byzantine):
    honest = honest_round(dtype=np.float32)
    before = honest.clients.tobytes(), honest.previous.tobytes()
    crafted = run(name, honest, byzantine, knowledge)
    observed = crafted.observed

    assert crafted.succeeded is True
    assert observed.clients[~byzantine].tobytes() == honest.clients[~byzantine].tobytes()
    assert (observed.clients[byzantine] != honest.clients[byzantine]).any(axis=1).all()
    assert observed.previous.tobytes() == honest.previous.tobytes()
    assert observed.number == honest.number
    assert observed.clients.dtype == np.float32
    assert (honest.clients.tobytes(), honest.previous.tobytes()) == before


@every_attack
@pytest.mark.parametrize("byzantine", [FIRST_C, SCATTERED], ids=["first", "scattered"])
def test_partial_knowledge_reads_no_benign_model(name, byzantine):
    honest = honest_round()
    altered = honest.clients.copy()
    altered[~byzantine] = 50 + 7 * oracles.distinct_values(K - C, D, seed=99)
    elsewhere = Round(altered, honest.previous, honest.number)

    rows = run(name, honest, byzantine, "partial").observed.clients[byzantine]
    same = run(name, elsewhere, byzantine, "partial").observed.clients[byzantine]
    assert rows.tobytes() == same.tobytes()
    full = run(name, honest, byzantine, "full").observed.clients[byzantine]
    moved = run(name, elsewhere, byzantine, "full").observed.clients[byzantine]
    assert full.tobytes() != moved.tobytes()


@every_attack
@both_kinds_of_knowledge
def test_the_generator_decides_every_draw(name, knowledge):
    honest = honest_round()
    once, again, other = (
        run(name, honest, knowledge=knowledge, seed=s).observed.clients for s in (1, 1, 2)
    )
    assert once.tobytes() == again.tobytes()
    assert once.tobytes() != other.tobytes()


@every_attack
@both_kinds_of_knowledge
@pytest.mark.parametrize("c", [3, 5])
def test_a_coordinate_that_nobody_moved_keeps_its_value(name, knowledge, c):
    # In float64 the mean of three times 0.1 is not 0.1: the differences have to come first. Their
    # zero is exact, and so is then the zero of s.
    rng = np.random.default_rng(0)
    previous = np.full(40, 0.1)
    clients = previous + np.where(np.arange(40) < 20, 0, rng.normal(size=(9, 40)) + 0.3)
    settings = {"beta": 3} if name == "trimmed_mean" else {}
    attackers = np.arange(9) < c
    crafted = run(name, Round(clients, previous, 1), attackers, knowledge, **settings)
    rows = crafted.observed.clients[attackers]
    if name == "krum":  # its other models are w'_1 plus noise everywhere
        rows = rows[:1]
    assert crafted.succeeded is True
    assert (rows[:, :20] == 0.1).all()
    assert (rows[:, 20:] != 0.1).all()


@every_attack
@both_kinds_of_knowledge
@pytest.mark.parametrize("seed", range(3))
def test_the_attacked_rule_is_pushed_against_the_honest_direction(name, knowledge, seed):
    # Equation (2): s^T (w - w') is positive, with either kind of knowledge.
    _, _, rule, settings = CASES[name]
    honest = honest_round(seed, spread=1.5)
    without = rule(honest.clients, **settings)
    crafted = run(name, honest, knowledge=knowledge)
    attacked = rule(crafted.observed.clients, **settings)
    assert crafted.succeeded is True
    assert full_direction(name, honest) @ (without - attacked) > 0


@every_attack
@both_kinds_of_knowledge
def test_array_libraries_see_the_same_attack(name, knowledge, xp):
    honest = honest_round(dtype=np.float32)
    expected = run(name, honest, knowledge=knowledge).observed.clients
    home = Round(xp.asarray(honest.clients), xp.asarray(honest.previous), honest.number)
    observed = run(name, home, knowledge=knowledge).observed
    assert isinstance(observed.clients, type(home.clients))
    assert isinstance(observed.previous, type(home.clients))
    assert observed.clients.dtype == xp.float32
    np.testing.assert_allclose(np.asarray(observed.clients), expected, rtol=1e-6)


@every_attack
@both_kinds_of_knowledge
def test_read_only_stacks_are_enough(name, knowledge, tmp_path):
    honest = honest_round(dtype=np.float32)
    expected = run(name, honest, knowledge=knowledge).observed.clients
    honest.clients.tofile(tmp_path / "stack")
    mapped = np.memmap(tmp_path / "stack", dtype=np.float32, mode="r", shape=(K, D))
    previous = honest.previous.copy()
    previous.setflags(write=False)
    observed = run(name, Round(mapped, previous, 3), knowledge=knowledge).observed
    assert observed.clients.tobytes() == expected.tobytes()


@every_attack
@both_kinds_of_knowledge
def test_the_block_size_does_not_change_the_attack(name, knowledge, monkeypatch):
    # Up to the last bits of sums, and without changing which random number goes where.
    honest = honest_round()
    expected = run(name, honest, knowledge=knowledge).observed.clients
    monkeypatch.setattr("pdrr.core.arrays.BLOCK", 7)
    observed = run(name, honest, knowledge=knowledge).observed.clients
    np.testing.assert_allclose(observed, expected, rtol=1e-12)


def test_the_registry_names_every_attack():
    assert {name: case[0] for name, case in CASES.items()} == dict(ATTACKS)


# ------------------------------------------------------------------------------------- Krum


@both_kinds_of_knowledge
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_first_compromised_model_is_w_p_minus_lambda_s(knowledge, dtype):
    honest = honest_round(dtype=dtype)
    crafted = run("krum", honest, SCATTERED, knowledge)
    _, s = krum_setting(honest, SCATTERED, knowledge)
    first = crafted.observed.clients[2]
    expected = honest.previous - dtype(crafted.detail["lambda"]) * s
    np.testing.assert_allclose(first, expected, rtol=4 * np.finfo(dtype).eps, atol=1e-7)
    assert first[s == 0].tobytes() == honest.previous[s == 0].tobytes()
    assert (s == 0).sum() == D // 5
    assert (np.sign(first - honest.previous) == -s).all()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("byzantine", [FIRST_C, SCATTERED], ids=["first", "scattered"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_krum_selects_a_malicious_model_after_a_full_knowledge_attack(seed, byzantine, dtype):
    honest = honest_round(seed, dtype=dtype)
    observed = run("krum", honest, byzantine).observed
    for previous in (None, observed.previous):
        chosen = krum(observed.clients, c=C, previous=previous)
        assert chosen.tobytes() in {row.tobytes() for row in observed.clients[byzantine]}
    assert oracles.krum_index(observed.clients, C) in np.flatnonzero(byzantine)


@both_kinds_of_knowledge
@pytest.mark.parametrize("spread", [0.8, 1.0, 3.0])
@pytest.mark.parametrize("seed", range(4))
def test_lambda_is_the_largest_that_the_attacker_s_own_krum_accepts(knowledge, spread, seed):
    honest = honest_round(seed, d=30, spread=spread)
    detail = run("krum", honest, SCATTERED, knowledge).detail
    known, s = krum_setting(honest, SCATTERED, knowledge)
    lam, copies, bound = detail["lambda"], detail["copies"], detail["bound"]

    assert bound == pytest.approx(oracles.attack_bound(known, honest.previous, s, copies), rel=1e-9)
    assert 0 < lam <= bound
    assert oracles.attack_is_accepted(known, honest.previous, s, lam, copies)
    beyond = lam * (1 + 2e-3)
    assert beyond > bound or not oracles.attack_is_accepted(
        known, honest.previous, s, beyond, copies
    )
    if knowledge == "full":
        assert copies == C
    else:  # not one copy more than needed
        assert 1 <= copies <= C
        for fewer in range(1, copies):
            assert not oracles.halving_finds_a_lambda(known, honest.previous, s, fewer)


def test_the_search_does_not_stop_at_the_first_halving():
    # Halving alone lands on bound / 2^i; some of these twelve attacks must lie well between.
    details = [run("krum", honest_round(seed, d=30)).detail for seed in range(12)]
    halvings = np.log2([d["bound"] / d["lambda"] for d in details])
    assert (np.abs(halvings - np.round(halvings)) > 0.05).sum() >= 6


def test_a_full_knowledge_attack_fails_only_where_no_halving_is_accepted():
    # Tight honest models (a spread of half the common step) leave Krum no reason to choose another.
    outcomes = set()
    for seed in range(6):
        honest = honest_round(seed, d=30, spread=0.5)
        crafted = run("krum", honest)
        known, s = krum_setting(honest, FIRST_C, "full")
        found = oracles.halving_finds_a_lambda(known, honest.previous, s, C)
        assert crafted.succeeded is found
        assert (crafted.detail["lambda"] > 0) is found
        outcomes.add(found)
    assert outcomes == {True, False}


def test_partial_knowledge_adds_copies_until_krum_accepts_one():
    # c - 1 copies are always enough: each then has c - 2 clones for neighbours, and a score of 0.
    seen = {run("krum", honest_round(s), knowledge="partial").detail["copies"] for s in range(10)}
    assert 1 < max(seen) <= C - 1


def test_a_tie_with_an_honest_model_counts_as_selected():
    # Attackers at -1, 5, 20 over w_p = 0: s = +1, and one copy at -l with c - 2 = 1 neighbour.
    # Its nearest is -1 at |l - 1|, which has the same score if 5, at 6, is not nearer: a tie, and
    # all that one copy can ever reach with one neighbour. So the largest lambda is 7; the search
    # comes from sqrt(36 / 1) + 20 = 26 by 13 and 6.5.
    clients = np.array([[-1.0], [5.0], [20.0], [0.5], [0.5], [0.5]])
    honest = Round(clients, np.zeros(1), 1)
    detail = run("krum", honest, np.arange(6) < 3, "partial").detail
    assert detail["bound"] == pytest.approx(26, rel=1e-12)
    assert detail["copies"] == 1
    assert 7 / (1 + 1e-3) <= detail["lambda"] <= 7


@pytest.mark.parametrize("c", [3, 4, 5])
def test_partial_knowledge_works_from_three_attackers_on(c):
    honest = honest_round(4)
    crafted = run("krum", honest, np.arange(K) < c, "partial")
    known, s = honest.clients[:c], partial_direction(honest, np.arange(K) < c)
    lam, copies = crafted.detail["lambda"], crafted.detail["copies"]
    assert crafted.succeeded is True
    assert oracles.attack_is_accepted(known, honest.previous, s, lam, copies)


def test_full_knowledge_where_eq_4_divides_by_zero_or_less():
    # k = 8, c = 4: k - 2c - 1 = -1, counted as 1.
    honest = honest_round(2, k=8)
    attackers = np.arange(8) < 4
    detail = run("krum", honest, attackers).detail
    chosen = honest.clients[oracles.krum_index(honest.clients, 4)]
    s = np.sign(chosen - honest.previous)
    expected = oracles.attack_bound(honest.clients[4:], honest.previous, s, 4)
    assert detail["bound"] == pytest.approx(expected, rel=1e-9)


def test_equation_4_by_hand():
    # w_p = 0, k = 6, c = 1, one attacker: models 1..5 at (1, 0) (2, 0) (3, 0) (4, 0) (6, 0), the
    # attacker at (2.5, 0). All honest: Krum with 3 neighbours takes (2.5, 0) or a neighbour: in any
    # case s = (1, 0), ||s||_0 = 1. Benign: k - c - 2 = 3 nearest of the five:
    #   1: 1 + 4 + 9 = 14   2: 1 + 1 + 4 = 6   3: 1 + 1 + 4 = 6   4: 1 + 4 + 4 = 9   6: 29
    # k - 2c - 1 = 3: bound = sqrt(6 / (3 * 1)) + 6 / sqrt(1).
    line = np.array([2.5, 1.0, 2.0, 3.0, 4.0, 6.0])
    honest = Round(np.stack([line, np.zeros(6)], axis=1), np.zeros(2), 1)
    crafted = run("krum", honest, np.arange(6) == 0)
    assert crafted.detail["bound"] == pytest.approx(np.sqrt(2) + 6, rel=1e-12)


@pytest.mark.parametrize("epsilon", [1e-7, 1e-3])
def test_coordinate_noise_is_uniform_and_independent(epsilon):
    honest = honest_round(d=3000)
    crafted = run("krum", honest, SCATTERED, epsilon=epsilon, noise="coordinate")
    rows = crafted.observed.clients[SCATTERED]
    noise = (rows[1:] - rows[0]) / epsilon  # [c-1, d]
    assert np.abs(noise).max() <= 1 + 1e-6
    assert np.abs(noise).max() > 0.99
    assert noise.mean() == pytest.approx(0, abs=0.03)
    assert (noise**2).mean() == pytest.approx(1 / 3, abs=0.02)
    between = np.corrcoef(noise) - np.eye(C - 1)
    assert np.abs(between).max() < 0.1


def test_ball_noise_is_uniform_in_the_ball_of_radius_epsilon():
    # In d dimensions (r / epsilon)^d is uniform on (0, 1); two dimensions show it best.
    volumes = []
    for seed in range(60):
        honest = honest_round(seed, d=2, spread=3.0)
        crafted = run("krum", honest, FIRST_C, "partial", seed, epsilon=1e-3)
        assert crafted.succeeded is True
        rows = crafted.observed.clients[:C]
        volumes.extend((np.linalg.norm(rows[1:] - rows[0], axis=1) / 1e-3) ** 2)
    assert max(volumes) <= 1 + 1e-9
    assert np.mean(volumes) == pytest.approx(1 / 2, abs=0.07)
    assert np.var(volumes) == pytest.approx(1 / 12, abs=0.02)


def test_ball_noise_keeps_the_whole_model_within_epsilon():
    honest = honest_round(d=500)
    ball = run("krum", honest, epsilon=1e-3).observed.clients[:C]
    per_coordinate = run("krum", honest, epsilon=1e-3, noise="coordinate").observed.clients[:C]
    radii = np.linalg.norm(ball[1:] - ball[0], axis=1)
    assert (radii <= 1e-3).all()
    assert (radii > 0.9e-3).all()  # nearly all of a 500-ball lies at its surface
    assert (np.linalg.norm(per_coordinate[1:] - per_coordinate[0], axis=1) > 1e-2).all()
    assert len({row.tobytes() for row in ball}) == C


def test_float32_keeps_of_the_ball_only_what_exceeds_half_a_spacing():
    # A coordinate of a point drawn in a large ball is normal with deviation epsilon / sqrt(d); it
    # survives where it is beyond half the distance to the next float32.
    honest = honest_round(d=20_000, dtype=np.float32)
    first, *copies = run("krum", honest, seed=1, epsilon=3e-6).observed.clients[:C]
    half = np.abs(np.spacing(first)).astype(float) / 2
    survive = [math.erfc(x / (3e-6 / math.sqrt(honest.d)) / math.sqrt(2)) for x in half]
    expected, deviation = sum(survive), math.sqrt(sum(p * (1 - p) for p in survive))
    assert 0.1 < expected / honest.d < 0.9
    for copy in copies:
        assert abs((copy != first).sum() - expected) < 5 * deviation
        assert np.linalg.norm(copy.astype(float) - first) <= 3e-6 + np.linalg.norm(half)


UNWINNABLE = {
    # All honest models agree: their Krum score is 0, and no other model can reach it.
    "agreement": (np.tile(np.linspace(1, 2, 8), (K, 1)), np.zeros(8), "full"),
    # Nobody moves: there is no direction to oppose.
    "no change": (np.ones((K, 8)), np.ones(8), "full"),
    # The attackers' updates cancel exactly: no direction can be estimated.
    "cancelling": (
        np.ones((K, 8)) + np.resize([1, -1, 0, 2, -2], K)[:, None],
        np.ones(8),
        "partial",
    ),
}


@pytest.mark.parametrize("case", UNWINNABLE)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_failed_krum_attack_sends_the_honest_models_and_says_so(case, dtype):
    clients, previous, knowledge = UNWINNABLE[case]
    honest = Round(clients.astype(dtype), previous.astype(dtype), 1)
    crafted = run("krum", honest, FIRST_C, knowledge)
    assert crafted.succeeded is False
    assert crafted.detail["lambda"] == 0.0
    assert crafted.observed.clients.tobytes() == honest.clients.tobytes()


# ----------------------------------------------------------------- trimmed mean and median

# One column per case of section 3.2.1, for k = 5: two attackers, then three benign models. The
# attackers' honest values are more extreme than any benign one and must not widen the interval.
#       s       +1    +1    -1    -1    0     -1    +1
#       extreme min>0 min<0 max>0 max<0       max=0 min=0
SIGN_CASES = np.array(
    [
        [0.5, -9.0, 0.0, -9.0, 0.25, -9.0, -9.0],
        [9.0, 7.0, 9.0, 7.0, 0.25, 9.0, 9.0],
        [2.0, -3.0, 1.0, -3.0, 0.25, -2.0, 0.0],
        [3.0, -2.0, 2.0, -2.0, 0.25, -1.0, 1.0],
        [4.0, -1.0, 3.0, -1.0, 0.25, 0.0, 2.0],
    ]
)
SIGN_CASES_PREVIOUS = np.array([1.0, -5.0, 5.0, 0.0, 0.25, 1.0, -1.0])
SIGN_CASES_INTERVALS = [
    (2 / 1.05, 2.0),
    (-3 * 1.05, -3.0),
    (3.0, 3 * 1.05),
    (-1.0, -1 / 1.05),
    (0.25, 0.25),
    (0.0, 0.0),
    (0.0, 0.0),
]


@sampled_attacks
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_full_knowledge_draws_just_outside_the_benign_models(name, dtype):
    # 500 copies of every case give 2 * 500 draws from each interval.
    clients, previous = np.tile(SIGN_CASES, 500), np.tile(SIGN_CASES_PREVIOUS, 500)
    honest = Round(clients.astype(dtype), previous.astype(dtype), 1)
    settings = {"beta": 1} if name == "trimmed_mean" else {}
    rows = run(name, honest, np.arange(5) < 2, **settings).observed.clients[:2]
    rows = rows.astype(float).reshape(2, 500, 7)
    slack = 4 * np.finfo(dtype).eps  # the last rounding, relative
    for case, (low, high) in enumerate(SIGN_CASES_INTERVALS):
        drawn = rows[:, :, case]  # [2 attackers, 500]
        assert drawn.min() >= low - slack * abs(low)
        assert drawn.max() <= high + slack * abs(high)
        if low < high:
            uniform = (drawn - low) / (high - low)
            assert uniform.mean() == pytest.approx(1 / 2, abs=0.04)
            assert uniform.var() == pytest.approx(1 / 12, abs=0.01)
            assert abs(np.corrcoef(uniform)[0, 1]) < 0.15  # every attacker draws for itself
            neighbours = np.corrcoef(uniform[0, 1:], uniform[0, :-1])
            assert abs(neighbours[0, 1]) < 0.15  # and for every coordinate


@sampled_attacks
@pytest.mark.parametrize("byzantine", [FIRST_C, SCATTERED], ids=["first", "scattered"])
@pytest.mark.parametrize("b", [1.05, 2.0, 10.0])
def test_full_knowledge_intervals_on_random_models(name, byzantine, b):
    honest = honest_round(7)
    rows = run(name, honest, byzantine, b=b).observed.clients[byzantine]
    benign = honest.clients[~byzantine]
    s = full_direction(name, honest)
    assert set(s.tolist()) == {-1, 0, 1}
    for j in range(D):
        low, high = oracles.crafted_interval(
            s[j], benign[:, j].min(), benign[:, j].max(), honest.previous[j], b
        )
        assert (rows[:, j] >= low - 1e-15).all()
        assert (rows[:, j] <= high + 1e-15).all()
        assert len(set(rows[:, j])) == (1 if s[j] == 0 else C)


def test_the_two_attacks_differ_only_in_the_direction():
    # Values 0 0 0 1 9 over w_p = 0.5: median below, trimmed mean (0 + 0 + 1) / 3 below, beta = 0
    # takes the mean 2 above. The attackers are clients 0 and 4, so benign is 0 0 1.
    honest = Round(np.array([[0.0], [0.0], [0.0], [1.0], [9.0]]), np.array([0.5]), 1)
    attackers = np.array([True, False, False, False, True])
    for settings, low, high in (({"beta": 1}, 1, 1.05), ({"beta": 0}, 0, 0)):
        rows = run("trimmed_mean", honest, attackers, **settings).observed.clients[attackers]
        assert ((rows >= low) & (rows <= high)).all()
    rows = run("median", honest, attackers).observed.clients[attackers]
    assert ((rows >= 1) & (rows <= 1.05)).all()


def test_the_median_of_an_even_number_of_models_can_be_unmoved():
    # Differences -2 -1 1 5: the middle two average to 0, s = 0, and w_p is kept.
    honest = Round(np.array([[1.0], [2.0], [4.0], [8.0]]), np.array([3.0]), 1)
    crafted = run("median", honest, np.arange(4) < 1)
    assert crafted.observed.clients[0].tolist() == [3.0]


@sampled_attacks
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_partial_knowledge_draws_three_to_four_sigmas_off(name, dtype):
    # The attackers' own models are 1 and 3: mu = 2, population sigma = 1 (the sample's is 1.41).
    #   w_p = 0: s = +1, [mu - 4 sigma, mu - 3 sigma] = [-2, -1]
    #   w_p = 5: s = -1, [mu + 3 sigma, mu + 4 sigma] = [5, 6]
    #   w_p = 2: s = 0, keeps 2
    # The benign models lie elsewhere, and would reverse s.
    clients = np.array([[1.0], [3.0], [-70.0], [90.0], [95.0]])
    previous = np.tile([0.0, 5.0, 2.0], 500)
    clients = np.tile(clients, 1500)
    clients[2:, 0::3] *= -1
    honest = Round(clients.astype(dtype), previous.astype(dtype), 1)
    settings = {"beta": 1} if name == "trimmed_mean" else {}
    rows = run(name, honest, np.arange(5) < 2, "partial", **settings).observed.clients[:2]
    rows = rows.astype(float).reshape(2, 500, 3)
    assert (rows[:, :, 2] == 2).all()
    for case, low in ((0, -2), (1, 5)):
        uniform = rows[:, :, case] - low
        assert uniform.min() >= 0
        assert uniform.max() <= 1
        assert uniform.mean() == pytest.approx(1 / 2, abs=0.04)
        assert uniform.var() == pytest.approx(1 / 12, abs=0.01)
        assert abs(np.corrcoef(uniform)[0, 1]) < 0.15


@sampled_attacks
def test_partial_knowledge_intervals_on_random_models(name):
    honest = honest_round(8)
    rows = run(name, honest, SCATTERED, "partial").observed.clients[SCATTERED]
    known = honest.clients[SCATTERED]
    mu, sigma = known.mean(axis=0), known.std(axis=0)
    s = partial_direction(honest, SCATTERED)
    low = np.where(s < 0, mu + 3 * sigma, mu - 4 * sigma)
    high = np.where(s < 0, mu + 4 * sigma, mu - 3 * sigma)
    low, high = np.where(s == 0, honest.previous, low), np.where(s == 0, honest.previous, high)
    assert set(s.tolist()) == {-1, 0, 1}
    assert ((rows >= low - 1e-14) & (rows <= high + 1e-14)).all()


@sampled_attacks
def test_b_scales_weights_and_not_updates(name):
    # Shifting all models and w_p by a constant widens the interval [w_max, b * w_max].
    honest = honest_round(9)
    shifted = Round(honest.clients + 100, honest.previous + 100, 1)
    width = np.ptp(run(name, honest).observed.clients[:C], axis=0)
    wider = np.ptp(run(name, shifted).observed.clients[:C], axis=0)
    moved = full_direction(name, honest) != 0
    assert (wider[moved] > 10 * width[moved]).mean() > 0.9


# -------------------------------------------------------------------------------- bad inputs


def craft(name, byzantine=FIRST_C, knowledge="full", **settings):
    return lambda: run(name, honest_round(), byzantine, knowledge, **settings)


BAD_FOR_EVERY_ATTACK = {
    "nobody compromised": ({"byzantine": np.zeros(K, dtype=bool)}, ValueError),
    "everybody compromised": ({"byzantine": np.ones(K, dtype=bool)}, ValueError),
    "too short a mask": ({"byzantine": FIRST_C[:-1]}, ValueError),
    "a mask of two axes": ({"byzantine": np.stack([FIRST_C, FIRST_C])}, ValueError),
    "indices for a mask": ({"byzantine": np.arange(K)}, (TypeError, ValueError)),
    "unknown knowledge": ({"knowledge": "some"}, ValueError),
}


@every_attack
@pytest.mark.parametrize("problem", BAD_FOR_EVERY_ATTACK)
def test_every_attack_refuses(name, problem):
    arguments, error = BAD_FOR_EVERY_ATTACK[problem]
    with pytest.raises(error) as caught:
        craft(name, **arguments)()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("call", "mentions"),
    [
        (craft("krum", np.arange(K) < 13), "c + 3"),
        (craft("krum", np.arange(K) < 2, "partial"), "c >= 3"),
        (craft("krum", noise="gaussian"), "gaussian"),
        (craft("krum", epsilon=-1e-7), "epsilon"),
        (craft("krum", epsilon=float("nan")), "epsilon"),
        (craft("trimmed_mean", beta=8), "beta"),
        (craft("trimmed_mean", beta=-1), "beta"),
        (craft("trimmed_mean", b=1.0), "b"),
        (craft("trimmed_mean", b=float("nan")), "b"),
        (craft("median", b=0.5), "b"),
    ],
)
def test_settings_outside_an_attack_s_range(call, mentions):
    with pytest.raises(ValueError, match=re.escape(mentions)) as caught:
        call()
    assert "\n" not in str(caught.value)


@every_attack
def test_randomness_is_an_explicit_generator(name):
    attack, settings, _, _ = CASES[name]
    with pytest.raises(TypeError):
        attack(honest_round(), FIRST_C, knowledge="full", **settings)


@every_attack
@both_kinds_of_knowledge
def test_honest_models_must_be_finite(name, knowledge):
    clients = honest_round().clients.copy()
    clients[1, 5] = np.nan
    with pytest.raises(ValueError, match=r"rows \[1\]"):
        run(name, Round(clients, honest_round().previous, 1), FIRST_C, knowledge)
