"""How far attackers can go and still have Krum select one of them, without a pass for each step."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pdrr.core.distances import krum_scores

SMALLEST = 2.0**-30  # of the first step tried: below it the search gives up
WIDTH = 1e-3  # relative width at which the search stops


def largest_step(
    distances: Callable[[float], np.ndarray], start: float, *, crafted: int, c: int
) -> float:
    """Halve a step until Krum selects a crafted model, then bisect; 0 if it never does.

    Parameters
    ----------
    distances : callable
        ``distances(step)``: squared distances [n, n] of all models, the crafted ones first.
    start : float >= 0
        The first step tried, and the largest.
    crafted : int
        How many models are crafted.
    c : int
        Krum's: each model is judged by its n - c - 2 nearest others.

    Examples
    --------
    Two copies at 2 - step among the models 0, 1, 2, 3 and 4: they must not reach 0.

    >>> from pdrr.beyond.krum_search import largest_step
    >>> def distances(step):
    ...     x = np.array([2 - step, 2 - step, 0.0, 1.0, 2.0, 3.0, 4.0])
    ...     return (x[:, None] - x) ** 2
    >>> round(largest_step(distances, 7.0, crafted=2, c=2), 2)
    2.0
    """

    def accepts(step: float) -> bool:
        squared = distances(step)
        scores = krum_scores(squared, neighbours=len(squared) - c - 2)
        return bool(scores[:crafted].min() < scores[crafted:].min())

    low = high = start
    while low > SMALLEST * start and not accepts(low):
        high, low = low, low / 2
    if low <= SMALLEST * start:
        return 0.0
    while high - low > WIDTH * low:
        middle = (low + high) / 2
        low, high = (middle, high) if accepts(middle) else (low, middle)
    return low


def around(crafted: np.ndarray, to_known: np.ndarray, between: np.ndarray) -> np.ndarray:
    """Squared distances [m + n, m + n] from those of m crafted, crafted to n known, n known.

    Parameters
    ----------
    crafted : array [m, m]
    to_known : array [m, n]
    between : array [n, n]

    Examples
    --------
    >>> from pdrr.beyond.krum_search import around
    >>> around(np.zeros((1, 1)), np.array([[5.0, 6.0]]), np.array([[0.0, 1.0], [1.0, 0.0]]))
    array([[0., 5., 6.],
           [5., 0., 1.],
           [6., 1., 0.]])
    """
    to_known = np.maximum(to_known, 0)
    return np.block([[crafted, to_known], [to_known.T, between]])
