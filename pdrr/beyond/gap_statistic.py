"""How many groups numbers fall into: exact 1-D k-means and the gap statistic.

Tibshirani, Walther, Hastie, Journal of the Royal Statistical Society B 2001.
"""

from __future__ import annotations

import numpy as np

MOST = 7  # groups, at most
REFERENCES = 10  # uniform samples that the spread is compared with


def groups(values: np.ndarray, rng: np.random.Generator) -> int:
    """How many groups the values [n] fall into, 1 to 7; 1 if all are equal.

    They are scaled to [0, 1]; the expectation under uniform values is of the logarithm. The first
    number of groups counts whose gap is no more than a standard error below the next one's.

    Examples
    --------
    >>> from pdrr.beyond.gap_statistic import groups
    >>> rng = np.random.default_rng(0)
    >>> [groups(np.array(x), rng) for x in ([1.0, 1.1, 1.2, 5.0, 5.1, 5.2], [1.0, 1.0])]
    [2, 1]
    """
    n, low, high = len(values), values.min(), values.max()
    if n < 2 or not high > low:
        return 1
    most = min(MOST, n - 1)
    logs = np.log(spread(np.sort((values - low) / (high - low)), most + 1))
    uniform = [np.log(spread(np.sort(rng.random(n)), most + 1)) for _ in range(REFERENCES)]
    gap = np.mean(uniform, axis=0) - logs
    error = np.std(uniform, axis=0) * np.sqrt(1 + 1 / REFERENCES)
    enough = np.flatnonzero(gap[:-1] >= gap[1:] - error[1:])
    return int(enough[0]) + 1 if enough.size else most


def spread(ordered: np.ndarray, most: int) -> np.ndarray:
    """Least sum of squares within 1, 2, ... `most` groups of n sorted values in [0, 1]: [most].

    At least 1e-12 each: what is less is rounding, and has no logarithm.
    """
    cost = _costs(ordered)
    best, found = cost[0], [cost[0, -1]]
    for _ in range(1, most):
        # the last group begins at a value i > 0; those before it are split as well as can be
        best = np.min(np.concatenate([[np.inf], best[:-1]])[:, None] + cost, axis=0)
        found.append(min(best[-1], found[-1]))
    return np.maximum(found, 1e-12)


def upper_of_two(values: np.ndarray) -> np.ndarray:
    """bool [n]: the group with the larger mean of the best two groups; equal values together.

    Examples
    --------
    >>> from pdrr.beyond.gap_statistic import upper_of_two
    >>> upper_of_two(np.array([1.0, 9.0, 2.0, 8.0])).tolist()
    [False, True, False, True]
    """
    if not values.max() > values.min():
        return np.zeros(len(values), dtype=bool)
    ordered = np.sort(values)
    cost = _costs(ordered)
    total = cost[0, :-1] + cost[1:, -1]
    total[ordered[:-1] == ordered[1:]] = np.inf
    return np.asarray(values > ordered[np.argmin(total)])


def _costs(ordered: np.ndarray) -> np.ndarray:
    """Sum of squares [n, n] of the sorted values i..j about their mean; infinite below i = j."""
    n = len(ordered)
    centred = ordered - ordered.mean()
    first, second = (np.concatenate([[0], np.cumsum(centred**power)]) for power in (1, 2))
    i, j = np.arange(n)[:, None], np.arange(1, n + 1)[None, :]
    count = np.maximum(j - i, 1)
    cost = second[j] - second[i] - (first[j] - first[i]) ** 2 / count
    return np.where(j > i, np.maximum(cost, 0), np.inf)
