"""The contract of the models that the trimmed-mean attack sends, with either knowledge."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from pdrr.contracts.judging import Answer, Case, call
from pdrr.types import Round

KNOWLEDGE = ("full", "partial")
B = 1.05


def check_extremes(
    f: Answer, knowledge: str, *, below_zero: bool = True, seeds: Iterable[int] = (0,)
) -> None:
    """Check the models of the trimmed-mean attack.

    Parameters
    ----------
    f : function
        Full knowledge: ``f(honest, byzantine, direction, b=..., rng=...)``, partial knowledge
        without b; gives the models [c, d] of the c attackers, in the order of their clients.
    knowledge : {"full", "partial"}
    below_zero : bool
        Whether some cases have negative weights.
    seeds : ints
        Of the generators given to `f`.

    Raises
    ------
    AssertionError
        If a value lies outside its interval, or is not drawn for each attacker and coordinate.

    Examples
    --------
    >>> from pdrr.contracts import check_extremes
    >>> def attack(honest, byzantine, direction, rng):
    ...     own = honest.clients[byzantine]
    ...     return own.mean(axis=0) - rng.random(own.shape) * direction * own.std(axis=0)
    >>> check_extremes(attack, "partial")
    Traceback (most recent call last):
        ...
    AssertionError: you draw from 0 to 1 sigma: from 3 to 4.
    """
    if knowledge not in KNOWLEDGE:
        raise ValueError(f"check_extremes needs knowledge 'full' or 'partial', got {knowledge!r}")
    task, used = "your attack", np.ones(HONEST.d, dtype=bool)
    if not below_zero:
        used = (HONEST.clients >= 0).all(axis=0)
    honest = Round(HONEST.clients[:, used], HONEST.previous[used])
    settings: dict[str, Any] = {"b": B} if knowledge == "full" else {}
    low, high = (end[used] for end in (_interval() if knowledge == "full" else _estimated()))
    for seed in seeds:
        settings["rng"] = np.random.default_rng(seed)
        got = call(task, f, Case("7 models", (honest, BYZANTINE, DIRECTION[used]), settings))
        needed = (int(BYZANTINE.sum()), honest.d)
        if got.shape != needed:
            hint = ": return the attackers' only" if got.shape == honest.clients.shape else ""
            raise AssertionError(f"{task} returns shape {got.shape}, needed is {needed}{hint}.")
        if not np.isfinite(got).all():
            raise AssertionError(f"{task} returns NaN or infinity.")
        if not _inside(got, low, high):
            for message, mistake in EXTREME_MISTAKES[knowledge].items():
                if _inside(got, *(end[used] for end in mistake())):
                    raise AssertionError(f"{message}.")
            raise AssertionError(_outside(task, honest, DIRECTION[used], got, low, high))
        _check_drawn(task, got, low, high)


# Extreme models: six kinds of coordinates, forty of each

_KINDS = np.array(  # w_p, then the models of four benign clients and of three attackers
    [
        [0, 1, 2, 3, 4, 0.5, 5, 6],  # all above 0, moving up
        [10, 1, 2, 3, 4, 8, 0.5, 6],  # all above 0, moving down
        [-10, -1, -2, -3, -4, -8, -6, -5],  # all below 0, moving up
        [0, -1, -2, -3, -4, -0.5, -6, -5],  # all below 0, moving down
        [10, -2, -1, 1, 3, 4, -5, 2],  # on both sides of 0, moving down
        [0.75, 0.75, 0.75, 0.75, 0.75, 0.5, 0.75, 1],  # not moving on the whole
    ]
)
_STACK = np.repeat(_KINDS, 40, axis=0).T.astype(np.float32)  # [8, 240]
BYZANTINE = np.array([False, True, False, False, True, True, False])
_ORDER = [0, 4, 1, 2, 5, 6, 3]
HONEST = Round(_STACK[1:][_ORDER], _STACK[0])
DIRECTION = np.repeat([1.0, -1, 1, -1, -1, 0], 40)
Interval = tuple[np.ndarray, np.ndarray]


def _interval(
    *,
    who: np.ndarray = ~BYZANTINE,
    s: np.ndarray = DIRECTION,
    updates: bool = False,
    inwards: bool = False,
) -> Interval:
    """Where full knowledge draws from, low and high [d]; each setting makes a mistake."""
    base = HONEST.previous if updates else np.zeros(HONEST.d)
    models = HONEST.clients[who].astype(np.float64) - base
    edge = np.where(s < 0, models.max(axis=0), models.min(axis=0))
    grows = (s < 0) == (edge > 0) if not inwards else s < 0
    other = np.where(grows, B * edge, edge / B)
    return _ends(base + edge, base + other, s)


def _estimated(
    *,
    who: np.ndarray = BYZANTINE,
    s: np.ndarray = DIRECTION,
    ddof: int = 0,
    around: np.ndarray | None = None,
    reach: tuple[float, float] = (3, 4),
) -> Interval:
    """Where partial knowledge draws from."""
    models = HONEST.clients[who].astype(np.float64)
    middle = models.mean(axis=0) if around is None else around
    near, far = (middle - s * times * models.std(axis=0, ddof=ddof) for times in reach)
    return _ends(near, far, s)


def _ends(a: np.ndarray, b: np.ndarray, s: np.ndarray) -> Interval:
    still = HONEST.previous.astype(np.float64)
    low, high = np.minimum(a, b), np.maximum(a, b)
    return np.where(s == 0, still, low), np.where(s == 0, still, high)


_ALL = np.ones(7, dtype=bool)
_DOWN, _UP = np.where(DIRECTION == 0, -1, DIRECTION), np.where(DIRECTION == 0, 1, DIRECTION)
_STILL = "where s = 0 the attackers must stay at w_p"
_SIDE = "your attack moves along s: where s = +1 it must be low, where s = -1 high"
EXTREME_MISTAKES: dict[str, Mapping[str, Callable[[], Interval]]] = {
    "full": {
        "the attack acts on weights, not updates: b times the weight, not times w_i - w_p": (
            lambda: _interval(updates=True)
        ),
        "your extremes count the attackers' own models: of the benign ones only": (
            lambda: _interval(who=_ALL)
        ),
        "b times a negative maximum lies inside: divide by b there": lambda: _interval(
            inwards=True
        ),
        _SIDE: lambda: _interval(s=-DIRECTION),
        f"{_STILL}; yours go up": lambda: _interval(s=_DOWN),
        f"{_STILL}; yours go down": lambda: _interval(s=_UP),
    },
    "partial": {
        "your standard deviation divides by c - 1: the population's, ddof=0": (
            lambda: _estimated(ddof=1)
        ),
        "you use the models of all clients: the attacker knows those of its own devices only": (
            lambda: _estimated(who=_ALL)
        ),
        "you use the benign models: the attacker knows those of its own devices only": (
            lambda: _estimated(who=~BYZANTINE)
        ),
        "you start from w_p: mu is the mean of the attacker's own models": (
            lambda: _estimated(around=HONEST.previous.astype(np.float64))
        ),
        "you draw from 0 to 1 sigma: from 3 to 4": lambda: _estimated(reach=(0, 1)),
        _SIDE: lambda: _estimated(s=-DIRECTION),
        f"{_STILL}; yours go up": lambda: _estimated(s=_DOWN),
        f"{_STILL}; yours go down": lambda: _estimated(s=_UP),
    },
}


def _inside(got: np.ndarray, low: np.ndarray, high: np.ndarray) -> bool:
    return bool(((got >= low - 1e-5) & (got <= high + 1e-5)).all())


def _outside(
    task: str, honest: Round, s: np.ndarray, got: np.ndarray, low: np.ndarray, high: np.ndarray
) -> str:
    """The first wrong kind of coordinate."""
    j = int(((got < low - 1e-5) | (got > high + 1e-5)).any(axis=0).argmax())
    models = honest.clients[:, j]
    return (
        f"{task} leaves its interval. Case: w_p = {honest.previous[j]:g}, s = {s[j]:g}, "
        f"benign models {models[~BYZANTINE].tolist()}, attackers {models[BYZANTINE].tolist()}\n"
        f"needed: values in [{low[j]:.4f}, {high[j]:.4f}]\ngot:    {got[:, j].round(4).tolist()}"
    )


def _check_drawn(task: str, got: np.ndarray, low: np.ndarray, high: np.ndarray) -> None:
    """Each value has its own uniform draw."""
    wide = high > low
    place = ((got - low)[:, wide]) / (high - low)[wide]  # [c, wide], in [0, 1]
    if np.ptp(place) < 0.9:
        raise AssertionError(f"{task} is not drawn from the whole interval: uniformly, rng.random.")
    if np.ptp(place, axis=0).max() < 1e-3:
        raise AssertionError(f"{task} sends the same model from all attackers: draw for each.")
    if np.ptp(place, axis=1).max() < 1e-3:
        raise AssertionError(f"{task} has one draw for all coordinates: draw for each.")
