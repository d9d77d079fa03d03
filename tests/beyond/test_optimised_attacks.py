"""Min-Max, Min-Sum and the AGR-tailored attack: closed forms and searches against brute force."""

import numpy as np
import pytest

from helpers.attacked_rounds import SCATTERED, C, K, honest_round, own_settings, run, sent
from helpers.oracles import krum_scores
from pdrr import AGGREGATORS, Round
from pdrr.aggregators import krum_index

both_kinds_of_knowledge = pytest.mark.parametrize("knowledge", ["full", "partial"])
DIRECTIONS = ("unit", "std", "sign")
every_direction = pytest.mark.parametrize("direction", DIRECTIONS)


def known_rows(honest, knowledge):
    return honest.clients[~SCATTERED if knowledge == "full" else SCATTERED]


def squared_distances(a, b):
    return ((a[:, None] - b[None, :]) ** 2).sum(axis=-1)


def along(honest, known, direction):
    update = known.mean(axis=0) - honest.previous
    update[np.abs(update) < 1e-12] = 0
    return {
        "unit": -update / np.linalg.norm(update),
        "std": -known.std(axis=0),
        "sign": -np.sign(update),
    }[direction]


@pytest.mark.parametrize("name", ["min_max", "min_sum"])
@every_direction
@both_kinds_of_knowledge
def test_the_model_sent_is_the_mean_moved_along_the_direction(name, direction, knowledge):
    honest = honest_round()
    known = known_rows(honest, knowledge)
    crafted = run(name, honest, knowledge=knowledge, direction=direction)
    expected = known.mean(axis=0) + crafted.detail["gamma"] * along(honest, known, direction)
    np.testing.assert_allclose(sent(crafted)[0], expected, atol=1e-12)
    suffix = "" if direction == "unit" else f"_{direction}"
    entry = run(f"{name}{suffix}", honest, knowledge=knowledge)
    assert entry.observed.clients.tobytes() == crafted.observed.clients.tobytes()


@every_direction
@both_kinds_of_knowledge
@pytest.mark.parametrize("seed", range(3))
def test_min_max_is_as_far_from_some_model_as_two_of_them_are(direction, knowledge, seed):
    honest = honest_round(seed)
    known = known_rows(honest, knowledge)
    crafted = run("min_max", honest, knowledge=knowledge, direction=direction)
    bound = squared_distances(known, known).max()
    farthest = squared_distances(sent(crafted)[:1], known).max()
    assert farthest == pytest.approx(bound, rel=1e-9)


@every_direction
@both_kinds_of_knowledge
@pytest.mark.parametrize("bound", ["max", "min"])
def test_min_sum_is_as_far_from_all_models_together_as_one_of_them_is(direction, knowledge, bound):
    honest = honest_round()
    known = known_rows(honest, knowledge)
    crafted = run("min_sum", honest, knowledge=knowledge, direction=direction, bound=bound)
    sums = squared_distances(known, known).sum(axis=1)
    reached = squared_distances(sent(crafted)[:1], known).sum()
    assert reached == pytest.approx(getattr(sums, bound)(), rel=1e-9)


@pytest.mark.parametrize(
    ("name", "settings"),
    [("min_max", {}), ("min_sum", {"bound": "max"}), ("min_sum", {"bound": "min"})],
)
def test_between_minus_one_and_one_everything_ends_at_minus_one(name, settings):
    honest = Round(np.array([[9.0], [-1.0], [1.0]]), np.zeros(1))
    first = np.array([True, False, False])
    crafted = run(name, honest, first, direction="std", **settings)
    assert crafted.detail["gamma"] == pytest.approx(1, rel=1e-12)
    assert crafted.observed.clients[0, 0] == pytest.approx(-1, rel=1e-12)


@pytest.mark.parametrize("name", ["min_max", "min_sum", "agr_tailored"])
@every_direction
def test_where_nothing_moved_there_is_nowhere_to_go(name, direction):
    honest = Round(np.full((K, 5), 0.5), np.full(5, 0.5))
    crafted = run(name, honest, direction=direction)
    assert not crafted.succeeded
    assert crafted.detail["gamma"] == 0
    assert crafted.observed is honest


# tailored to a rule


def simulated(honest, knowledge, model):
    """The stack in which the attacker tries a model: what it knows, and copies behind."""
    known = known_rows(honest, knowledge)
    copies = C if knowledge == "full" else C * C // (K - C)
    return np.concatenate([known, np.tile(model, (copies, 1))]), len(known), copies


def damage(honest, knowledge, gamma, rule, setting):
    known = known_rows(honest, knowledge)
    model = known.mean(axis=0) + gamma * along(honest, known, "sign")
    stack, _, _ = simulated(honest, knowledge, model)
    return np.linalg.norm(AGGREGATORS[rule](stack, **setting) - known.mean(axis=0))


@pytest.mark.parametrize("rule", ["trimmed_mean", "median"])
@both_kinds_of_knowledge
def test_a_rule_that_trims_enough_is_moved_to_its_plateau_and_no_farther(rule, knowledge):
    honest = honest_round(d=400)
    beta = 4 if knowledge == "full" else 4 * (C + C * C // (K - C)) // K
    setting = {"beta": beta} if rule == "trimmed_mean" else {}
    gamma = run(
        "agr_tailored", honest, knowledge=knowledge, own=own_settings(honest, rule=rule)
    ).detail["gamma"]
    plateau = damage(honest, knowledge, 1e6, rule, setting)
    assert damage(honest, knowledge, gamma, rule, setting) >= 0.99 * plateau
    assert damage(honest, knowledge, gamma / 2, rule, setting) < 0.99 * plateau


def test_a_rule_that_trims_less_is_moved_as_far_as_the_attacker_reaches():
    honest = honest_round(d=400)
    known, own = known_rows(honest, "full"), own_settings(honest, beta=2)
    unit = np.sqrt(squared_distances(known, known).max()) / np.sqrt(
        (along(honest, known, "sign") != 0).sum()
    )
    found = {
        reach: run("agr_tailored", honest, own=own, reach=reach).detail["gamma"]
        for reach in (16.0, 160.0)
    }
    assert found == pytest.approx({16.0: 16 * unit, 160.0: 160 * unit}, rel=1e-9)
    low, high = (
        damage(honest, "full", gamma, "trimmed_mean", {"beta": 2}) for gamma in found.values()
    )
    assert high / low == pytest.approx(10, rel=0.05)


@both_kinds_of_knowledge
@pytest.mark.parametrize("seed", range(4))
def test_krum_selects_the_tailored_model_and_none_farther_out(knowledge, seed):
    honest = honest_round(seed, d=400)
    own = own_settings(honest, rule="krum")
    crafted = run("agr_tailored", honest, knowledge=knowledge, own=own)
    assert crafted.succeeded
    known, gamma = known_rows(honest, knowledge), crafted.detail["gamma"]
    chosen = {}
    for step in (gamma, 1.01 * gamma):
        model = known.mean(axis=0) + step * along(honest, known, "sign")
        stack, n, copies = simulated(honest, knowledge, model)
        c = C if knowledge == "full" else max(1, C * (C + copies) // K)
        scores = krum_scores(squared_distances(stack, stack), len(stack) - c - 2)
        chosen[step] = int(np.argmin(scores)) >= n
    assert list(chosen.values()) == [True, False]
    if knowledge == "full":
        assert SCATTERED[krum_index(crafted.observed.clients, c=C)]


def test_bulyan_is_a_rule_too():
    honest = honest_round(k=19)
    crafted = run(
        "agr_tailored", honest, np.arange(19) < C, own=own_settings(honest, rule="bulyan")
    )
    assert crafted.succeeded


def test_krum_needs_three_attackers_who_know_themselves_only():
    honest = honest_round()
    with pytest.raises(ValueError, match="needs c >= 0 and k >= c \\+ 3, got"):
        own = own_settings(honest, rule="krum", c=2)
        run("agr_tailored", honest, np.arange(K) < 2, "partial", own=own)


def test_no_rule_no_attack():
    honest = honest_round()
    with pytest.raises(ValueError, match="rule needs to be one of"):
        run("agr_tailored", honest, own=own_settings(honest, rule="mode"))
