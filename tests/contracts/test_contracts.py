"""The published contracts: the package's own functions keep them, and mistakes are named."""

import re
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from helpers import oracles as exact
from pdrr import AGGREGATORS, PDRR, Round, contracts, far, mar, q_range, trimmed_mean_attack
from pdrr.attacks import _KrumSimulation
from pdrr.contracts import aggregation, attacking, detection, extremes, oracles, statistics
from pdrr.contracts.krum import SCORE_MISTAKES
from pdrr.core.directions import _signs
from pdrr.core.distances import krum_scores, pairwise_squared_distances
from pdrr.defenses import suspicion

SEEDS = range(8)


@pytest.fixture(params=["on", "off"])
def kernels(request, monkeypatch):
    """With the compiled loops where they are installed, and without."""
    monkeypatch.setenv("PDRR_KERNELS", request.param)


# Our own functions in the form of the contracts


def scores(distances, *, c):
    return krum_scores(distances, neighbours=len(distances) - c - 2)


def statistic(rule):
    return lambda observed, **settings: PDRR(rule, q=0.5, **settings).detect(observed).statistic


def direction(models, previous, rule):
    return _signs(Round(models, previous), np.arange(len(models)), rule)


def full(honest, byzantine, _, *, b, rng):
    crafted = trimmed_mean_attack(honest, byzantine, knowledge="full", rng=rng, beta=1, b=b)
    return crafted.observed.clients[byzantine]


def partly(honest, byzantine, _, *, rng):
    crafted = trimmed_mean_attack(honest, byzantine, knowledge="partial", rng=rng, beta=1)
    return crafted.observed.clients[byzantine]


def accepts(known, previous, s, lam, copies):
    everyone = Round(np.concatenate([known, known[:1]]), previous)
    search = _KrumSimulation(everyone, np.arange(len(known)), s.astype(np.float32))
    return search.accepts(copies, lam)


def search(accepts, bound):
    simulation = SimpleNamespace(accepts=lambda _, lam: accepts(lam))
    return _KrumSimulation.largest_lambda(simulation, 1, bound)


def damage(before, after, flagged, byzantine):
    return max(0.0, 1 - after / before) * mar(flagged, byzantine)


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("rule", aggregation.NAMES)
def test_our_aggregators_keep_the_contract(rule):
    contracts.check_aggregator(AGGREGATORS[rule], rule, SEEDS)
    if rule != "mean":
        contracts.check_edges(AGGREGATORS[rule], rule)


@pytest.mark.usefixtures("kernels")
def test_our_parts_of_krum_keep_the_contract():
    contracts.check_distances(pairwise_squared_distances, SEEDS)
    contracts.check_krum_scores(scores, SEEDS)
    contracts.check_precision(pairwise_squared_distances, "distances")
    contracts.check_precision(AGGREGATORS["krum"], "krum")


@pytest.mark.usefixtures("kernels")
def test_our_attacks_keep_the_contract():
    contracts.check_direction(direction, SEEDS)
    contracts.check_zero_change(direction)
    contracts.check_extremes(full, "full", seeds=SEEDS)
    contracts.check_extremes(full, "full", below_zero=False)
    contracts.check_extremes(partly, "partial", seeds=SEEDS)
    contracts.check_simulation(accepts, SEEDS)
    contracts.check_lambda_search(search)


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("rule", statistics.NAMES)
def test_our_statistics_keep_the_contract(rule):
    contracts.check_statistic(statistic(rule), rule, SEEDS)
    contracts.check_ties(statistic(rule), rule, SEEDS)


def test_our_scores_and_metrics_keep_the_contract():
    contracts.check_scores(lambda values, rule: suspicion(rule, values))
    contracts.check_far(far)
    contracts.check_mar(mar)
    contracts.check_q_range(q_range)
    contracts.check_damage(damage)
    contracts.check_lie(lambda others, target: (len(others) + 1) * target - others.sum(axis=0))
    contracts.check_breakdown(
        lambda rule, k, beta: {"mean": 1, "trimmed_mean": beta + 1, "median": -(-k // 2)}[rule]
    )
    contracts.check_selection(lambda clients, values: clients[np.argmin(values)])


# The contracts' oracles against fractions


@pytest.mark.parametrize("seed", SEEDS)
def test_the_oracles_agree_with_exact_ones(seed):
    stack = np.random.default_rng(seed).integers(-3, 4, (8, 6)).astype(np.float64)
    beta, c = 2, 2
    for ours, theirs in [
        (oracles.mean(stack), exact.mean(stack)),
        (oracles.trimmed_mean(stack, beta), exact.trimmed_mean(stack, beta)),
        (oracles.median(stack), exact.median(stack)),
        (oracles.distances(stack), exact.squared_distances(stack)),
        (oracles.krum(stack, c), stack[exact.krum_index(stack, c)]),
        (oracles.kept(stack[:, 0].tolist(), beta), exact.kept_fraction(stack[:, 0], beta)),
        (statistics.ORACLES["krum"](Round(stack[1:], stack[0]), c),
         exact.krum_correlations(stack[1:], stack[0], c)),
        (statistics.ORACLES["trimmed_mean"](Round(stack[1:], stack[0]), beta),
         exact.counts(stack[1:], stack[0], beta)[0]),
        (statistics.ORACLES["median"](Round(stack[1:], stack[0])),
         exact.counts(stack[1:], stack[0], 3)[1]),
    ]:  # fmt: skip
        np.testing.assert_allclose(ours, np.asarray(theirs, dtype=float), rtol=1e-12)


# Mistakes


def complaint(check, *args, **kwargs):
    with pytest.raises(AssertionError) as caught:
        check(*args, **kwargs)
    return str(caught.value)


AT_EDGES = ("with beta = 0", "for even k", "of equal scores")
NAMED = [
    (rule, message, f)
    for rule, mistakes in aggregation.MISTAKES.items()
    for message, f in mistakes.items()
]


@pytest.mark.parametrize("seeds", [(), SEEDS])
@pytest.mark.parametrize(("rule", "message", "f"), NAMED, ids=[m[:50] for _, m, _ in NAMED])
def test_mistakes_of_aggregators_are_named(rule, message, f, seeds):
    if message.startswith(AT_EDGES):
        contracts.check_aggregator(f, rule, seeds)  # costs the marks of the edges only
        assert complaint(contracts.check_edges, f, rule).startswith(message)
    else:
        assert complaint(contracts.check_aggregator, f, rule, seeds).startswith(message)


@pytest.mark.parametrize("message", SCORE_MISTAKES)
def test_mistakes_of_scores_are_named(message):
    wrong = oracles.scores_with(**SCORE_MISTAKES[message])
    assert complaint(contracts.check_krum_scores, wrong).startswith(message)
    simulation = attacking._simulation(wrong)
    assert complaint(contracts.check_simulation, simulation).startswith(message)


def gram(clients):
    squares = (clients**2).sum(axis=1)
    return squares[:, None] + squares[None, :] - 2 * clients @ clients.T


def test_lost_digits_are_named():
    def float32_krum(clients, c):
        return clients[np.argmin(scores(gram(clients), c=c))]

    for f, of in ((gram, "distances"), (float32_krum, "krum")):
        assert "your distances lose digits" in complaint(contracts.check_precision, f, of)


@pytest.mark.parametrize("message", attacking.DIRECTION_MISTAKES)
def test_mistakes_of_the_direction_are_named(message):
    wrong = attacking.DIRECTION_MISTAKES[message]
    assert complaint(contracts.check_direction, wrong, SEEDS).startswith(message)


def test_a_mean_of_weights_is_not_still():
    def naive(models, previous, rule):
        return np.sign(rule(models) - previous)

    contracts.check_direction(naive, SEEDS)
    assert "subtract w_p first" in complaint(contracts.check_zero_change, naive)


@pytest.mark.parametrize("knowledge", extremes.KNOWLEDGE)
def test_mistakes_of_extreme_models_are_named(knowledge):
    for message, interval in extremes.EXTREME_MISTAKES[knowledge].items():
        low, high = interval()

        def wrong(honest, _byzantine, _s, *, rng, low=low, high=high, **_):
            return low + (high - low) * rng.random((3, honest.d))

        assert complaint(contracts.check_extremes, wrong, knowledge).startswith(message)


@pytest.mark.parametrize(
    ("shape", "words"),
    [((1, 240), "same model"), ((3, 1), "one draw for all|whole interval"), (None, "not drawn")],
)
def test_draws_that_are_shared_are_named(shape, words):
    low, high = extremes._interval()

    def wrong(_honest, _byzantine, _s, *, rng, **_):
        draw = 0.5 if shape is None else rng.random(shape)
        return low + (high - low) * draw + np.zeros((3, 1))

    assert re.search(words, complaint(contracts.check_extremes, wrong, "full", seeds=SEEDS))


@pytest.mark.parametrize("rule", statistics.NAMES)
def test_mistakes_of_statistics_are_named(rule):
    for message, wrong in statistics.MISTAKES[rule].items():
        assert complaint(contracts.check_statistic, wrong, rule, SEEDS).startswith(message)
    for message, wrong in statistics.TIE_MISTAKES[rule].items():
        contracts.check_statistic(wrong, rule, SEEDS)  # costs the marks of ties only
        assert complaint(contracts.check_ties, wrong, rule).startswith(message)


@pytest.mark.parametrize(
    ("check", "wrong", "words"),
    [
        (contracts.check_far, mar, "your FAR is the MAR"),
        (contracts.check_mar, far, "your MAR is the FAR"),
        (contracts.check_far, lambda f, b: (f & ~b).mean(), "divides by all k"),
        (contracts.check_q_range, lambda *_: None, "always None"),
        (contracts.check_q_range, lambda s, b: (s[~b].max(), s[b].min()), "never None"),
        (contracts.check_q_range, lambda s, b: q_range(s, b) and q_range(s, b)[::-1], "upside"),
        (contracts.check_scores, lambda s, _: s / s.max(), "few remained"),
        (contracts.check_scores, lambda s, _: s / s.sum(), "your score is wrong"),
        (contracts.check_damage, lambda b, a, f, m: (1 - a / b) * mar(f, m), "is negative"),
        (contracts.check_damage, lambda b, a, *_: max(0, 1 - a / b), "forget detection"),
        (contracts.check_lie, lambda _, target: target, "the target itself"),
        (contracts.check_lambda_search, lambda _, bound: bound, "must return 0"),
        (contracts.check_lambda_search, lambda f, b: b if f(b) else 0, "too early|halve"),
        (contracts.check_selection, lambda _, s: s.argmin(), "number of the client"),
    ],
)  # fmt: skip
def test_other_mistakes_are_named(check, wrong, words):
    assert re.search(words, complaint(check, wrong))


def test_half_a_search_passes_half_of_the_check():
    def halve(accepts, bound):
        while bound >= 1e-9 and not accepts(bound):
            bound /= 2
        return bound if bound >= 1e-9 else 0.0

    contracts.check_lambda_search(halve, width=0.5)
    assert "you only halve" in complaint(contracts.check_lambda_search, halve)


@pytest.mark.parametrize(
    ("factor", "words"), [(1.0005, "return the last accepted value"), (1.5, "ask accepts")]
)
def test_a_lambda_that_is_not_accepted_is_refused(factor, words):
    def beyond(accepts, bound):
        found = search(accepts, bound)
        return found if found == bound else factor * found

    message = complaint(contracts.check_lambda_search, beyond, width=0.5)
    assert words in message


def test_an_endless_search_comes_to_an_end():
    def endless(accepts, bound):
        while not accepts(bound):
            bound /= 2
        return bound

    assert "does not end" in complaint(contracts.check_lambda_search, endless)


# Whatever a function returns


CHECKS = {
    "aggregator": partial(contracts.check_aggregator, rule="median"),
    "edges": partial(contracts.check_edges, rule="krum"),
    "precision": partial(contracts.check_precision, of="distances"),
    "extremes": partial(contracts.check_extremes, knowledge="full"),
    "statistic": partial(contracts.check_statistic, rule="krum"),
    "ties": partial(contracts.check_ties, rule="median"),
    **{
        name.removeprefix("check_"): getattr(contracts, name)
        for name in contracts.__all__
        if name.startswith("check_")
        and name.removeprefix("check_")
        not in ("aggregator", "edges", "precision", "extremes", "statistic", "ties", "own_work")
    },
}
ODD = {
    "nothing": None,
    "words": "models",
    "ragged": [1, [2, 3]],
    "mapping": {},
    "complex": np.array([1j]),
    "NaN": np.full(3, np.nan),
    "a number": 1e300,
    "empty": [],
    "cube": np.zeros((2, 2, 2)),
}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("check", CHECKS)
def test_odd_answers_are_refused_in_words(check, odd):
    message = complaint(CHECKS[check], lambda *_, **__: ODD[odd])
    assert len(message) > 20
    if odd == "nothing" and check != "q_range":
        assert "None" in message


@pytest.mark.parametrize("check", ["aggregator", "distances", "krum_scores", "statistic", "far"])
def test_changing_what_one_is_given_is_refused(check):
    def spoil(first, *_, **__):
        array = first.clients if isinstance(first, Round) else first
        array[:] = array.max() + 1 if array.dtype != bool else ~array
        return array

    assert "work on a copy" in complaint(CHECKS[check], spoil)


def test_an_unknown_mistake_shows_the_case():
    message = complaint(contracts.check_aggregator, lambda x: x.mean(axis=0) + 1, "mean")
    assert "Case: k = 5 models" in message
    assert "needed: [" in message
    assert "got:    [" in message


def test_a_student_s_own_error_is_left_as_it_is():
    with pytest.raises(ZeroDivisionError):
        contracts.check_far(lambda *_: 1 / 0)


@pytest.mark.parametrize(
    ("check", "kwargs"),
    [
        (contracts.check_aggregator, {"rule": "mode"}),
        (contracts.check_edges, {"rule": "mean"}),
        (contracts.check_precision, {"of": "median"}),
        (contracts.check_extremes, {"knowledge": "some"}),
        (contracts.check_statistic, {"rule": "mean"}),
        (contracts.check_ties, {"rule": "mean"}),
    ],
)
def test_unknown_names_are_refused(check, kwargs):
    with pytest.raises(ValueError, match="needs"):
        check(len, **kwargs)


def test_handing_the_work_to_this_package_is_found():
    def honest(clients):
        return np.sort(clients, axis=0)

    def borrowed(clients):
        return [AGGREGATORS["mean"](row) for row in clients] and far(clients, clients)

    def method(clients):
        return clients.far  # no name of ours, though it is spelled alike

    def imported(clients):
        from pdrr import mean

        return mean(clients)

    contracts.check_own_work(honest)
    contracts.check_own_work(method)
    assert "uses pdrr's pdrr" in complaint(contracts.check_own_work, imported)
    contracts.check_own_work(borrowed, allowed=["AGGREGATORS", "far"])
    assert "uses pdrr's far" in complaint(contracts.check_own_work, borrowed)
    assert "pdrr's own" in complaint(contracts.check_own_work, far)
    assert "def" in complaint(contracts.check_own_work, partial(far))


def test_detection_and_aggregation_share_no_names():
    checks = {name for name in dir(contracts) if name.startswith("check_")}
    assert set(contracts.__all__) == checks | {"passed"}
    assert detection.check_far is contracts.check_far
