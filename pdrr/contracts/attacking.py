"""Contracts of attacks: the direction, the search for lambda, and the damage."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from pdrr.contracts import oracles
from pdrr.contracts.judging import Answer, Case, judge, numbers
from pdrr.contracts.krum import SCORE_MISTAKES

CALLS = 10_000  # of `accepts`, before a search is said not to end


def check_direction(f: Answer, seeds: Iterable[int] = ()) -> None:
    """Check the change direction: ``f(models, previous, rule)`` gives s [d] of -1, 0, +1.

    models is an array [n, d] float32, previous [d], and rule aggregates: [n, d] to [d].

    Examples
    --------
    >>> from pdrr.contracts import check_direction
    >>> check_direction(lambda models, previous, rule: np.sign(rule(models - previous)))
    >>> check_direction(lambda models, previous, rule: np.sign(rule(models)))
    Traceback (most recent call last):
        ...
    AssertionError: your direction is the sign of the weights: subtract w_p.
    """
    models = np.array([[3, 1, -4, 0, 9], [5, 2, -1, 0, 4], [4, 6, -7, 3, 4]], np.float32)
    previous = np.array([4, 1, -3, 2, 5], np.float32)
    cases = [Case("3 models, their mean", (models, previous, _mean))]
    cases.append(Case("3 models, their median", (models, previous, _median)))
    for seed in seeds:
        stack = np.random.default_rng(seed).integers(-3, 4, (6, 8)).astype(np.float32)
        cases.append(Case("5 models, their mean", (stack[1:], stack[0], _mean)))
        cases.append(Case("5 models, their median", (stack[1:], stack[0], _median)))
    judge("your direction", f, cases, _direction, DIRECTION_MISTAKES)


def check_zero_change(f: Answer) -> None:
    """Check that the direction is exactly 0 where no model moves; `f` as in `check_direction`.

    Examples
    --------
    >>> from pdrr.contracts import check_zero_change
    >>> check_zero_change(lambda models, previous, rule: np.sign(rule(models - previous)))
    >>> check_zero_change(lambda models, previous, rule: rule(models - previous))
    Traceback (most recent call last):
        ...
    AssertionError: your direction is the difference itself: take its sign.
    """
    stack = np.random.default_rng(3).normal(size=(7, 60)).astype(np.float32)
    stack[:, ::2] = stack[0, ::2]
    case = Case(
        "6 models that agree with w_p in every other coordinate", (stack[1:], stack[0], _mean)
    )
    otherwise = (
        "your direction is not 0 where no model moves: subtract w_p first, then aggregate;"
        " a mean of equal float32 values is rounded, and that looks like a move"
    )
    judge("your direction", f, [case], _direction, DIRECTION_MISTAKES, otherwise=otherwise)


def check_simulation(f: Answer, seeds: Iterable[int] = (0, 1, 2)) -> None:
    """Check the attacker's own Krum: ``f(known, previous, direction, lam, copies)`` gives a bool.

    Whether Krum, with c = copies, selects one of `copies` models w_p - lam * s among the honest
    models [n, d] that the attacker knows. So n + copies models are judged by n - 2 others each.

    Examples
    --------
    >>> from pdrr.contracts import check_simulation
    >>> def accepts(known, previous, direction, lam, copies):
    ...     models = np.vstack([[previous + lam * direction] * copies, known])
    ...     return (pdrr.krum(models, c=copies) == models[0]).all()
    >>> check_simulation(accepts)
    Traceback (most recent call last):
        ...
    AssertionError: your malicious model moves along s: it must move against it, w_p - lambda s.
    """
    cases = []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        known = rng.normal(0.3, 1, (8, 12)).astype(np.float32)
        previous = rng.normal(0, 0.1, 12).astype(np.float32)
        s = np.sign(known.mean(axis=0) - previous)
        for copies in (1, 3, 5):
            for lam in np.geomspace(0.02, 3, 24).tolist():
                text = f"8 known models, lambda = {lam:.3g}, {copies} copies"
                cases.append(Case(text, (known, previous, s, lam, copies)))
    towards = _simulation(oracles.scores_with(), towards=True)
    mistakes: dict[str, Answer] = {
        "your malicious model moves along s: it must move against it, w_p - lambda s": towards,
        "your simulation accepts when Krum selects an honest model": lambda *given: (
            not _simulation(oracles.scores_with())(*given)
        ),
    }
    for message, wrong in SCORE_MISTAKES.items():
        mistakes[message] = _simulation(oracles.scores_with(**wrong))
    judge("your simulation", f, cases, _simulation(oracles.scores_with()), mistakes)


def check_lambda_search(f: Answer, width: float = 1e-3) -> None:
    """Check the search: ``f(accepts, bound)`` gives the largest accepted lambda, or 0.

    accepts(lam) tells whether Krum would select the malicious model. Needed is the largest such
    lambda up to the bound, to a relative `width`; and 0 if none of 1e-9 or more is accepted. With
    width = 0.5 halving is enough.

    Examples
    --------
    >>> from pdrr.contracts import check_lambda_search
    >>> def halve(accepts, bound):
    ...     return next((lam for lam in bound / 2.0 ** np.arange(40) if accepts(lam)), 0)
    >>> check_lambda_search(halve, width=0.5)
    >>> check_lambda_search(halve)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    AssertionError: you only halve: bisect between the accepted and the rejected value. ...
    """
    task = "your search"
    settings = [(0.0, 1.0), (5.0, 1.0), (0.73, 1.0), (0.26, 2.0), (0.9, 64.0), (3e-5, 1.0)]
    for largest, bound in settings:
        got = _search(task, f, largest, bound)
        text = f"Case: accepted up to {largest:g}, bound {bound:g}; got {got:.6g}"
        best = min(largest, bound)
        if best == 0:
            if got != 0:
                raise AssertionError(f"{task} must return 0 when no lambda is accepted. {text}.")
        elif got > best:
            last = got <= best * 1.01
            why = "return the last accepted value" if last else "ask accepts() before you return"
            raise AssertionError(f"{task} returns a lambda that is not accepted: {why}. {text}.")
        elif got < best * (1 - width) / (1 + 1e-6):
            halved = any(np.isclose(got, bound / 2**n, rtol=1e-6, atol=0) for n in range(40))
            why = "you only halve: bisect between the accepted and the rejected value"
            fault = why if halved else f"{task} stops too early"
            raise AssertionError(f"{fault}. {text}; the best is {best:g}.")


def check_damage(f: Answer) -> None:
    """Check the leaderboard's number: ``f(before, after, flagged, byzantine)`` gives a float.

    The lost share of accuracy, at least 0, times the share of malicious models not flagged:
    max(0, 1 - after / before) * MAR.

    Examples
    --------
    >>> from pdrr.contracts import check_damage
    >>> check_damage(lambda before, after, flagged, byzantine: max(0, 1 - after / before))
    Traceback (most recent call last):
        ...
    AssertionError: you forget detection: multiply by the share of malicious models not flagged.
    """
    byzantine = np.array([True, False, True, False, True, True, False])
    flagged = np.array([True, True, False, False, False, False, False])
    cases = [
        Case(f"accuracy {before} before, {after} after", (before, after, flagged, byzantine))
        for before, after in ((0.8, 0.2), (0.5, 0.4), (0.6, 0.7))
    ]

    def right(before: float, after: float, flagged: np.ndarray, byzantine: np.ndarray) -> float:
        return max(0.0, 1 - after / before) * float((~flagged[byzantine]).mean())

    mistakes: dict[str, Answer] = {
        "your damage is negative when accuracy rises: at least 0": lambda b, a, f, m: (
            (1 - a / b) * (~f[m]).mean()
        ),
        "your damage is a difference of accuracies: divide by the one before": lambda b, a, f, m: (
            max(0.0, b - a) * (~f[m]).mean()
        ),
        "you count the malicious models that were flagged: count those that were not": (
            lambda b, a, f, m: max(0.0, 1 - a / b) * f[m].mean()
        ),
        "you multiply by the false alarm rate: by that of missing alarms": lambda b, a, f, m: (
            max(0.0, 1 - a / b) * f[~m].mean()
        ),
        "you divide the missed models by all k: by the malicious ones": lambda b, a, f, m: (
            max(0.0, 1 - a / b) * (~f & m).mean()
        ),
        "you forget detection: multiply by the share of malicious models not flagged": (
            lambda b, a, *_: max(0.0, 1 - a / b)
        ),
    }
    judge("your damage", f, cases, right, mistakes)


# Direction


def _mean(models: np.ndarray) -> np.ndarray:
    return np.asarray(models.mean(axis=0))


def _median(models: np.ndarray) -> np.ndarray:
    return np.asarray(np.median(models, axis=0))


Rule = Callable[[np.ndarray], np.ndarray]


def _direction(models: np.ndarray, previous: np.ndarray, rule: Rule) -> np.ndarray:
    return np.asarray(np.sign(rule(models.astype(np.float64) - previous)))


DIRECTION_MISTAKES: dict[str, Answer] = {
    "your direction points back: s is the sign of the aggregate minus w_p": (
        lambda *given: -_direction(*given)
    ),
    "your direction is the difference itself: take its sign": lambda models, previous, rule: rule(
        models.astype(np.float64) - previous
    ),
    "your direction is +1 where nothing moves: s has zeros": lambda *given: np.where(
        _direction(*given) >= 0, 1, -1
    ),
    "your direction is -1 where nothing moves: s has zeros": lambda *given: np.where(
        _direction(*given) > 0, 1, -1
    ),
    "your direction is the sign of the weights: subtract w_p": lambda models, _, rule: np.sign(
        rule(models)
    ),
    "you aggregate signs: aggregate the differences, then take the sign": (
        lambda models, previous, rule: np.sign(rule(np.sign(models - previous)))
    ),
}


# The attacker's Krum and its search


def _simulation(scores: Callable[..., np.ndarray], *, towards: bool = False) -> Answer:
    def accepts(
        known: np.ndarray, previous: np.ndarray, s: np.ndarray, lam: float, copies: int
    ) -> bool:
        malicious = previous.astype(np.float64) + (lam if towards else -lam) * s
        stack = np.concatenate([np.tile(malicious, (copies, 1)), known])
        return bool(scores(oracles.distances(stack), copies).argmin() < copies)

    return accepts


def _search(task: str, f: Answer, largest: float, bound: float) -> float:
    """The answer of a search, which must come to an end and be a number."""
    asked = 0

    def accepts(lam: float) -> bool:
        nonlocal asked
        asked += 1
        if asked > CALLS:
            raise AssertionError(f"{task} does not end: stop once lambda is below 1e-9.")
        return bool(0 < lam <= largest)

    got = numbers(task, f(accepts, bound))
    if got.shape != () or not np.isfinite(got):
        raise AssertionError(f"{task} returns {got}, needed is one number.")
    return float(got)
