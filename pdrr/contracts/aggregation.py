"""Contracts of aggregation rules: mean, trimmed mean, median, Krum; lies and breakdown points."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from pdrr.contracts import oracles
from pdrr.contracts.judging import Answer, Case, judge
from pdrr.contracts.krum import SCORE_MISTAKES, STACKS

NAMES = {"mean": "mean", "trimmed_mean": "trimmed mean", "median": "median", "krum": "Krum"}
# Five models of three parameters, to be checked by hand. The last one is far away.
MODELS = np.array([[1, 5, -2], [2, 3, -4], [4, 4, -1], [5, 9, -3], [60, -70, 90]], dtype=np.float32)
TIE = np.array([[0, 0], [1, 0], [9, 5], [20, 30]], dtype=np.float32)  # two scores of 1


def check_aggregator(f: Answer, rule: str, seeds: Iterable[int] = ()) -> None:
    """Check an aggregation rule on small cases with known answers.

    Parameters
    ----------
    f : function
        ``f(clients)``, ``f(clients, beta=...)`` for the trimmed mean, ``f(clients, c=...)`` for
        Krum; clients is an array [k, d] float32, the result [d].
    rule : {"mean", "trimmed_mean", "median", "krum"}
    seeds : ints, optional
        Each adds a random case.

    Raises
    ------
    AssertionError
        If an answer is wrong; the message names the mistake where it is a known one.

    Examples
    --------
    >>> from pdrr.contracts import check_aggregator
    >>> check_aggregator(pdrr.mean, "mean")
    >>> check_aggregator(lambda clients: clients.sum(axis=0), "mean")
    Traceback (most recent call last):
        ...
    AssertionError: your mean is the sum: divide by k.
    """
    if rule not in NAMES:
        raise ValueError(f"check_aggregator needs a rule of {', '.join(NAMES)}, got {rule!r}")
    stacks = list(STACKS) if rule == "krum" else [(MODELS, 1), (MODELS[:3], 1), (MODELS, 2)]
    for seed in seeds:
        rng = np.random.default_rng(seed)
        k = 2 * int(rng.integers(4, 7)) + 1
        models = rng.integers(-50, 50, (k, 5)).astype(np.float32)
        stacks.append((models, int(rng.integers(1, (k - 1) // 2))))
    _check(f, rule, stacks)


def check_edges(f: Answer, rule: str) -> None:
    """Check an aggregation rule at its edges; parameters as in `check_aggregator`.

    Trimmed mean: nothing to trim, and all but the middle. Median: an even number of models, and
    two. Krum: two equal scores, and a single neighbour.

    Examples
    --------
    >>> from pdrr.contracts import check_edges
    >>> check_edges(lambda x: np.sort(x, axis=0)[len(x) // 2], "median")
    Traceback (most recent call last):
        ...
    AssertionError: for even k you take the upper middle value: take the mean of the middle two.
    """
    edges = {
        "trimmed_mean": [(MODELS, 0), (MODELS[:4], 0), (MODELS, 2), (MODELS[:4], 1)],
        "median": [(MODELS[:4], 0), (MODELS[1:], 0), (MODELS[:2], 0), (MODELS, 0)],
        "krum": [(TIE, 1), (MODELS, 2), *STACKS],
    }
    if rule not in edges:
        raise ValueError(f"check_edges needs a rule of {', '.join(edges)}, got {rule!r}")
    _check(f, rule, edges[rule])


def check_selection(f: Answer) -> None:
    """Check Krum's choice: ``f(clients, scores)`` gives the model [d] with the smallest score.

    Examples
    --------
    >>> from pdrr.contracts import check_selection
    >>> check_selection(lambda clients, scores: scores.argmin())
    Traceback (most recent call last):
        ...
    AssertionError: your Krum returns the number of the client: return its model.
    """
    shown = [[5, 2, 4, 3, 9], [7, 2, 2, 3, 9], [1, 4, 1, 1, 9]]
    cases = [Case(f"scores {scores}", (MODELS, np.array(scores, float))) for scores in shown]

    def right(clients: np.ndarray, scores: np.ndarray) -> np.ndarray:
        return np.asarray(clients[scores.tolist().index(min(scores))])

    mistakes: dict[str, Answer] = {
        f"your Krum {fault}": answer
        for fault, answer in {
            "returns the number of the client: return its model": lambda _, s: s.argmin(),
            "selects the largest score: the smallest is the most central": lambda x, s: x[
                s.argmax()
            ],
            "takes the last of equal scores: take the first client": lambda x, s: x[
                len(s) - 1 - s[::-1].argmin()
            ],
            "averages models of equal scores: take the first client": lambda x, s: x[
                s == s.min()
            ].mean(axis=0),
            "returns the score: return the model": lambda _, s: s.min(),
        }.items()
    }
    judge("your Krum", f, cases, right, mistakes)


def _check(f: Answer, rule: str, stacks: list[tuple[np.ndarray, int]]) -> None:
    setting = {"trimmed_mean": "beta", "krum": "c"}.get(rule)
    cases = []
    for models, number in stacks:
        text = f"k = {len(models)} models" + (f", {setting} = {number}" if setting else "")
        cases.append(Case(text, (models,), {setting: number} if setting else {}))
    judge(f"your {NAMES[rule]}", f, cases, ORACLES[rule], MISTAKES[rule])


def check_lie(f: Answer, seeds: Iterable[int] = ()) -> None:
    """Check how one client sets the mean: ``f(others, target)`` gives its model [d].

    others is an array [k - 1, d], target [d]: with the model the mean of all k is the target.

    Examples
    --------
    >>> from pdrr.contracts import check_lie
    >>> check_lie(lambda others, target: len(others) * target - others.sum(axis=0))
    Traceback (most recent call last):
        ...
    AssertionError: you count k - 1 models: with your own there are k.
    """
    cases = [Case("4 other models", (MODELS[:4], np.array([7, 0, -1], np.float32)))]
    for seed in seeds:
        rng = np.random.default_rng(seed)
        others = rng.integers(-9, 9, (int(rng.integers(2, 9)), 3)).astype(np.float32)
        cases.append(Case(f"{len(others)} other models", (others, others[0] + 1)))

    def lie(others: np.ndarray, target: np.ndarray) -> np.ndarray:
        return np.asarray((len(others) + 1) * target - others.sum(axis=0))

    mistakes: dict[str, Answer] = {
        "your model is the target itself: the others pull the mean back": lambda _, target: target,
        "you count k - 1 models: with your own there are k": lambda others, target: (
            len(others) * target - others.sum(axis=0)
        ),
        "you subtract the mean of the others: subtract their sum": lambda others, target: (
            (len(others) + 1) * target - others.mean(axis=0)
        ),
        "you mirror the mean of the others: the mean of all k then misses the target": (
            lambda others, target: 2 * target - others.mean(axis=0)
        ),
    }
    judge("your model", f, cases, lie, mistakes)


def check_breakdown(f: Answer) -> None:
    """Check breakdown points: ``f(rule, k, beta)`` gives the smallest number of liars.

    rule is "mean", "trimmed_mean" or "median"; beta matters for the trimmed mean alone. So many
    clients, and no fewer, can move the aggregate as far as they like.

    Examples
    --------
    >>> from pdrr.contracts import check_breakdown
    >>> answers = {"mean": lambda k, beta: 1, "trimmed_mean": lambda k, beta: beta}
    >>> answers["median"] = lambda k, beta: (k + 1) // 2
    >>> check_breakdown(lambda rule, k, beta: answers[rule](k, beta))
    Traceback (most recent call last):
        ...
    AssertionError: your trimmed mean falls to beta liars: these are trimmed, one more is not.
    """
    settings = [("mean", 5, 0), ("mean", 8, 0), ("trimmed_mean", 9, 2), ("trimmed_mean", 30, 12)]
    settings += [("trimmed_mean", 5, 0), ("median", 5, 0), ("median", 8, 0), ("median", 30, 0)]
    cases = [Case(f"{rule}, k = {k}, beta = {beta}", (rule, k, beta)) for rule, k, beta in settings]

    def tried(rule: str, k: int, beta: int) -> int:
        honest = {"beta": beta} if rule == "trimmed_mean" else {}
        for liars in range(1, k + 1):
            clients = np.array([[0.0]] * (k - liars) + [[1e9]] * liars)
            if ORACLES[rule](clients, **honest)[0] > 1:
                return liars
        raise ValueError(f"check_breakdown needs a rule that can fall, got {rule!r}")

    def off_by_one(rule: str, k: int, beta: int) -> int:
        return tried(rule, k, beta) - (rule == "trimmed_mean")

    def lower_half(rule: str, k: int, beta: int) -> int:
        return k // 2 if rule == "median" else tried(rule, k, beta)

    def upper_half(rule: str, k: int, beta: int) -> int:
        return k // 2 + 1 if rule == "median" else tried(rule, k, beta)

    def both_sides(rule: str, k: int, beta: int) -> int:
        return 2 * beta + 1 if rule == "trimmed_mean" else tried(rule, k, beta)

    mistakes: dict[str, Answer] = {
        "your trimmed mean falls to beta liars: these are trimmed, one more is not": off_by_one,
        "your trimmed mean falls to 2 beta + 1 liars only: they all lie on one side": both_sides,
        "your median of odd k falls to k // 2 liars: the middle value is honest": lower_half,
        "your median of even k stands k / 2 liars: one of the middle two is theirs": upper_half,
    }
    judge("your breakdown point", f, cases, tried, mistakes)


# What each mistake answers


def _sorted_along_coordinates(clients: np.ndarray, beta: int) -> np.ndarray:
    return np.asarray(np.mean(np.sort(clients, axis=1)[beta : len(clients) - beta], axis=0))


def _whole_models(clients: np.ndarray, beta: int) -> np.ndarray:
    order = np.argsort(np.linalg.norm(clients, axis=1), kind="stable")
    return np.asarray(clients[order][beta : len(clients) - beta].mean(axis=0))


def _divided_by_k(clients: np.ndarray, beta: int) -> np.ndarray:
    k = len(clients)
    return oracles.trimmed_mean(clients, beta) * (k - 2 * beta) / k


def _cut(below: int, above: int) -> Answer:
    """A trimmed mean that drops below * beta of the smallest values, above * beta largest."""

    def rule(clients: np.ndarray, beta: int) -> np.ndarray:
        return np.asarray(
            np.mean(np.sort(clients, axis=0)[below * beta : len(clients) - above * beta], axis=0)
        )

    return rule


def _one_short(clients: np.ndarray, beta: int) -> np.ndarray:
    return np.asarray(np.mean(np.sort(clients, axis=0)[beta : len(clients) - beta - 1], axis=0))


def _half(clients: np.ndarray, beta: int) -> np.ndarray:
    return np.asarray(
        np.mean(np.sort(clients, axis=0)[beta // 2 : len(clients) - (beta - beta // 2)], axis=0)
    )


def _negative_slice(clients: np.ndarray, beta: int) -> np.ndarray:
    return np.asarray(np.mean(np.sort(clients, axis=0)[beta:-beta], axis=0))


def _middle(place: int) -> Answer:
    """The lower (0) or upper (1) middle value of even k, the middle one of odd k."""

    def rule(clients: np.ndarray) -> np.ndarray:
        k = len(clients)
        return np.asarray(np.sort(clients, axis=0)[(k // 2) if place else (k - 1) // 2])

    return rule


def _unsorted_middle(clients: np.ndarray) -> np.ndarray:
    k = len(clients)
    return np.asarray((clients[k // 2] + clients[(k - 1) // 2]) / 2)


def _krum_index(clients: np.ndarray, c: int) -> int:
    return int(oracles.scores_with()(oracles.distances(clients), c).argmin())


def _krum_last(clients: np.ndarray, c: int) -> np.ndarray:
    scores = oracles.scores_with()(oracles.distances(clients), c)
    return np.asarray(clients[np.flatnonzero(scores == scores.min())[-1]])


def _krum_largest(clients: np.ndarray, c: int) -> np.ndarray:
    return np.asarray(clients[oracles.scores_with()(oracles.distances(clients), c).argmax()])


def _multi_krum(clients: np.ndarray, c: int) -> np.ndarray:
    scores = oracles.scores_with()(oracles.distances(clients), c)
    return np.asarray(clients[np.argsort(scores, kind="stable")[: len(clients) - c]].mean(axis=0))


ACROSS = "you work along the coordinates of a model, not over the clients: axis=0"
ORACLES: dict[str, Answer] = {
    "mean": oracles.mean,
    "trimmed_mean": oracles.trimmed_mean,
    "median": oracles.median,
    "krum": oracles.krum,
}
MISTAKES: dict[str, Mapping[str, Answer]] = {
    "mean": {
        ACROSS: lambda clients: clients.mean(axis=1),
        "your mean is one number: average over the clients only, axis=0": np.mean,
        "your mean is the sum: divide by k": lambda clients: clients.sum(axis=0),
        "your mean divides by k - 1: there are k models": (
            lambda clients: clients.sum(axis=0) / (len(clients) - 1)
        ),
        "your mean is the median": oracles.median,
    },
    "trimmed_mean": {
        ACROSS: lambda clients, beta: np.sort(clients, axis=1)[
            :, beta : clients.shape[1] - beta
        ].mean(axis=1),
        "you sorted along the coordinates: np.sort takes the last axis unless you say axis=0": (
            _sorted_along_coordinates
        ),
        "you trim nothing: drop beta values on either side": _cut(0, 0),
        "you drop beta values in all: drop beta on either side": _half,
        "you drop only the largest values: drop the beta smallest as well": _cut(0, 1),
        "you drop only the smallest values: drop the beta largest as well": _cut(1, 0),
        "you drop 2 beta values on either side: beta on either side": _cut(2, 2),
        "you divide by k: k - 2 beta values are left": _divided_by_k,
        "you drop one value too many at the upper end: keep [beta : k - beta]": _one_short,
        "with beta = 0 your slice [beta : -beta] is empty: write [beta : k - beta]": (
            _negative_slice
        ),
        "you trim whole models: trim each coordinate on its own": _whole_models,
        "your trimmed mean is the median": lambda clients, **_: oracles.median(clients),
    },
    "median": {
        ACROSS: lambda clients: np.median(clients, axis=1),
        "your median is one number: take it over the clients only, axis=0": np.median,
        "for even k you take the lower middle value: take the mean of the middle two": _middle(0),
        "for even k you take the upper middle value: take the mean of the middle two": _middle(1),
        "you take the middle client, not the middle value: sort each coordinate first": (
            _unsorted_middle
        ),
        "your median is the mean": oracles.mean,
    },
    "krum": {
        "your Krum returns the number of the client: return its model": _krum_index,
        "your Krum selects the largest score: the smallest is the most central": _krum_largest,
        "of equal scores your Krum takes the last client: take the first": _krum_last,
        "your Krum averages several models: that is Multi-Krum; Krum returns one of them": (
            _multi_krum
        ),
        **{
            message: oracles.krum_with(oracles.scores_with(**wrong))
            for message, wrong in SCORE_MISTAKES.items()
        },
    },
}
