"""Contracts of PDRR's three statistics: correlations, trimmed values, remained values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from pdrr.contracts import oracles
from pdrr.contracts.judging import Answer, Case, judge
from pdrr.types import Round

NAMES = {
    "krum": "your correlation",
    "trimmed_mean": "your count of trimmed values",
    "median": "your count of remained values",
}
TIES = (
    "your counts depend on the order of the clients: ties count in expectation, t / m for each of"
    " m equal values of which t have the place"
)


def check_statistic(f: Answer, rule: str, seeds: Iterable[int] = ()) -> None:
    """Check the statistic of PDRR on rounds without equal values.

    Parameters
    ----------
    f : function
        ``f(observed, c=...)`` for Krum gives rho [k]; ``f(observed, beta=...)`` for the trimmed
        mean n^c [k]; ``f(observed)`` for the median n^r [k]. observed is a `Round`.
    rule : {"krum", "trimmed_mean", "median"}
    seeds : ints, optional
        Each adds two random rounds.

    Raises
    ------
    AssertionError
        If an answer is wrong; the message names the mistake where it is a known one.

    Examples
    --------
    >>> from pdrr.contracts import check_statistic
    >>> def rho(observed, c):
    ...     chosen = pdrr.krum(observed.clients, c=c)
    ...     return [np.corrcoef(model, chosen)[0, 1] for model in observed.clients]
    >>> check_statistic(rho, "krum")
    Traceback (most recent call last):
        ...
    AssertionError: you correlate weights: subtract w_p, then take signs.
    """
    _check_rule("check_statistic", rule)
    rounds = [_distinct(20, 7, 30), _distinct(21, 8, 30)]
    for seed in seeds:
        rounds += [_distinct(seed, 9, 40), _distinct(seed, 10, 40)]
    judge(NAMES[rule], f, _cases(rule, rounds), ORACLES[rule], MISTAKES[rule])


def check_ties(f: Answer, rule: str, seeds: Iterable[int] = (0, 1)) -> None:
    """Check the statistic where values are equal, or a model does not move; as `check_statistic`.

    In the first rounds many models stay where they were, and attackers send equal models.

    Examples
    --------
    >>> from pdrr.contracts import check_ties
    >>> def trimmed(observed, beta):
    ...     rank = observed.clients.argsort(axis=0, kind="stable").argsort(axis=0)
    ...     moved = pdrr.trimmed_mean(observed.clients, beta=beta) != observed.previous
    ...     return ((rank < beta) | (rank >= observed.k - beta))[:, moved].sum(axis=1)
    >>> check_ties(trimmed, "trimmed_mean")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    AssertionError: you sorted with argsort: of equal values the lower client always comes ...
    """
    _check_rule("check_ties", rule)
    rounds = []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        for k in (7, 8):
            stack = rng.integers(-1, 3, (k + 1, 24)).astype(np.float32)
            stack[3] = stack[0]  # a client that does not move
            stack[5] = stack[6]  # two equal models
            rounds.append(Round(stack[1:], stack[0]))
    otherwise = None if rule == "krum" else TIES
    judge(
        NAMES[rule], f, _cases(rule, rounds), ORACLES[rule],
        {**TIE_MISTAKES[rule], **MISTAKES[rule]}, otherwise=otherwise,
    )  # fmt: skip


# The rounds


def _check_rule(who: str, rule: str) -> None:
    if rule not in NAMES:
        raise ValueError(f"{who} needs a rule of {', '.join(NAMES)}, got {rule!r}")


def _distinct(seed: int, k: int, d: int) -> Round:
    """Models without equal values, of which a third moves against the others.

    In every fifth coordinate they lie on either side of w_p alike, so that no rule moves it.
    """
    rng = np.random.default_rng(seed)
    previous = rng.normal(0, 2, d)
    previous[::5] = previous[::5].round()
    lean = np.where(np.arange(k) % 3 == 1, -0.8, 0.8)[:, None] * rng.choice([-1, 1], d)
    clients = previous + rng.normal(0, 1, (k, d)) + lean
    alike = np.arange(k) - (k - 1) / 2
    for j in range(0, d, 5):
        clients[:, j] = previous[j] + rng.permutation(alike)
    return Round(clients.astype(np.float32), previous.astype(np.float32))


def _cases(rule: str, rounds: list[Round]) -> list[Case]:
    settings = {"krum": {"c": 2}, "trimmed_mean": {"beta": 2}, "median": {}}[rule]
    text = "".join(f", {name} = {value}" for name, value in settings.items())
    return [Case(f"a round of k = {r.k} models{text}", (r,), settings) for r in rounds]


# The statistics, right and with a mistake


def _correlation(kind: str = "signs", *, pre: str = "krum") -> Answer:
    def rho(observed: Round, c: int) -> list[float]:
        chosen = oracles.krum(observed.clients, c)
        if pre == "mean":
            chosen = oracles.mean(observed.clients)
        still = observed.previous if kind != "weights" else np.zeros(observed.d)
        vectors = np.vstack([observed.clients.astype(np.float64), chosen]) - still
        if kind in ("signs", "cosine", "sample"):
            vectors = np.sign(vectors)
        *rows, last = vectors
        if kind == "cosine":
            return [float(a @ last / np.sqrt((a @ a) * (last @ last))) for a in rows]
        factor = observed.d / (observed.d - 1) if kind == "sample" else 1
        return [factor * oracles.pearson(a.tolist(), last.tolist()) for a in rows]

    return rho


def _unguarded(observed: Round, c: int) -> np.ndarray:
    """NaN where a model does not move."""
    still = (observed.clients == observed.previous).all(axis=1)
    return np.where(still, np.nan, _correlation()(observed, c))


def _count(
    *,
    trimmed: bool,
    zero_change: bool = False,
    places: Answer = oracles.kept,
    side: str = "both",
) -> Answer:
    """Trimmed or remained values [k]; each setting makes a mistake."""

    def count(observed: Round, beta: int | None = None) -> list[float]:
        clients, total = observed.clients.astype(np.float64), np.zeros(observed.k)
        beta = (observed.k - 1) // 2 if beta is None else beta
        moved = oracles.trimmed_mean(clients, beta) != observed.previous
        for j, column in enumerate(oracles.columns(clients)):
            if moved[j] or zero_change:
                share = np.array(places(column, beta))
                middle = np.median(column)
                if side != "both":
                    below = np.array(column) < middle
                    share[below if side == "upper" else ~below] = 1
                total += 1 - share if trimmed else share
        return total.tolist()

    return count


def _strictly(column: list[float], beta: int) -> list[float]:
    """Kept unless strictly beyond the values at the edges."""
    ordered = sorted(column)
    low, high = ordered[beta], ordered[len(column) - 1 - beta]
    return [float(low <= value <= high) for value in column]


def _inclusively(column: list[float], beta: int) -> list[float]:
    """Kept only strictly within the dropped values."""
    ordered = sorted(column)
    low, high = ordered[beta - 1], ordered[len(column) - beta]
    return [float(low < value < high) for value in column]


def _last_client_first(column: list[float], beta: int) -> list[float]:
    return oracles.kept_by_order(column, beta, last_first=-1)


def _lower_middle(column: list[float], beta: int) -> list[float]:
    """Only the lower of the two middle values of even k."""
    middle = sorted(column)[beta]
    return [float(value == middle) for value in column]


ORACLES: dict[str, Answer] = {
    "krum": _correlation(),
    "trimmed_mean": _count(trimmed=True),
    "median": _count(trimmed=False),
}
_ALL_COORDINATES = "you count all coordinates: leave out those where w_pag equals w_p"
MISTAKES: dict[str, Mapping[str, Answer]] = {
    "krum": {
        "you correlate the updates: correlate their signs": _correlation("updates"),
        "you correlate weights: subtract w_p, then take signs": _correlation("weights"),
        "your correlation is a cosine: subtract the mean of each vector": _correlation("cosine"),
        "your covariance has ddof=1 and your standard deviations ddof=0: one ddof for both": (
            _correlation("sample")
        ),
        "you correlate with the mean: w_pag is Krum's choice": _correlation(pre="mean"),
    },
    "trimmed_mean": {
        "you count the remained values: count the trimmed ones": _count(trimmed=False),
        "you count the largest values only: the smallest are trimmed as well": (
            _count(trimmed=True, side="upper")
        ),
        "you count the smallest values only: the largest are trimmed as well": (
            _count(trimmed=True, side="lower")
        ),
        _ALL_COORDINATES: _count(trimmed=True, zero_change=True),
    },
    "median": {
        "you count the trimmed values: count the remained ones": _count(trimmed=True),
        "for even k two models supply the median: count both": (
            _count(trimmed=False, places=_lower_middle)
        ),
        _ALL_COORDINATES: _count(trimmed=False, zero_change=True),
    },
}


def _tie_mistakes(*, trimmed: bool) -> dict[str, Answer]:
    return {
        f"you sorted with argsort: of equal values the lower client always comes first; {TIES}": (
            _count(trimmed=trimmed, places=oracles.kept_by_order)
        ),
        f"of equal values the higher client always comes first; {TIES}": (
            _count(trimmed=trimmed, places=_last_client_first)
        ),
        f"of equal values at the edge you trim none; {TIES}": (
            _count(trimmed=trimmed, places=_strictly)
        ),
        f"of equal values at the edge you trim all; {TIES}": (
            _count(trimmed=trimmed, places=_inclusively)
        ),
    }


TIE_MISTAKES: dict[str, Mapping[str, Answer]] = {
    "krum": {
        "a model that does not move has a constant sign vector: its correlation is 0, not NaN": (
            _unguarded
        ),
    },
    "trimmed_mean": _tie_mistakes(trimmed=True),
    "median": _tie_mistakes(trimmed=False),
}
