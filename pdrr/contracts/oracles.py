"""What the contracts compare with: loops over plain numbers, obviously right and slow.

Nothing here is shared with the package's own rules, attacks and statistics.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import sqrt

import numpy as np


def mean(clients: np.ndarray) -> np.ndarray:
    """Mean [d] of the models [k, d]."""
    return np.array([sum(column) / len(column) for column in columns(clients)])


def trimmed_mean(clients: np.ndarray, beta: int) -> np.ndarray:
    """Mean [d] of each coordinate without its beta smallest and beta largest values."""
    kept = [sorted(column)[beta : len(column) - beta] for column in columns(clients)]
    return np.array([sum(values) / len(values) for values in kept])


def median(clients: np.ndarray) -> np.ndarray:
    """Middle value of each coordinate [d], or the mean of the middle two."""
    return trimmed_mean(clients, (len(clients) - 1) // 2)


def columns(clients: np.ndarray) -> list[list[float]]:
    """The values of each coordinate."""
    return [[float(value) for value in column] for column in np.asarray(clients).T]


def distances(clients: np.ndarray) -> np.ndarray:
    """Squared Euclidean distances [k, k], each from its own differences."""
    rows = np.asarray(clients, np.float64)
    return np.array([[((a - b) ** 2).sum() for b in rows] for a in rows])


def scores_with(
    *,
    more: int = 0,
    itself: bool = False,
    power: float = 1,
    farthest: bool = False,
) -> Callable[..., np.ndarray]:
    """Krum's scores [k] from squared distances [k, k] and c; each setting makes a mistake."""

    def scores(squared: np.ndarray, c: int) -> np.ndarray:
        k, result = len(squared), []
        for i in range(k):
            others = [float(squared[i, j]) ** power for j in range(k) if itself or j != i]
            result.append(sum(sorted(others, reverse=farthest)[: k - c - 2 + more]))
        return np.array(result)

    return scores


def krum_with(scores: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    """Krum [d] with these scores; of equal ones the first."""

    def krum(clients: np.ndarray, c: int) -> np.ndarray:
        found = scores(distances(clients), c).tolist()
        return np.asarray(clients[found.index(min(found))], np.float64)

    return krum


krum = krum_with(scores_with())


def sign(x: float) -> int:
    """-1, 0 or +1."""
    return (x > 0) - (x < 0)


def changes(clients: np.ndarray, previous: np.ndarray) -> np.ndarray:
    """Sgn(w_i - w_p) [k, d]; of one model [d] its signs [d]."""
    return np.asarray(np.sign(np.asarray(clients, np.float64) - np.asarray(previous, np.float64)))


def pearson(a: Sequence[float], b: Sequence[float]) -> float:
    """Correlation of two vectors; 0 where one is constant."""
    mean_a, mean_b = sum(a) / len(a), sum(b) / len(b)
    between = sum((x - mean_a) * (y - mean_b) for x, y in zip(a, b, strict=True))
    spread = sum((x - mean_a) ** 2 for x in a) * sum((y - mean_b) ** 2 for y in b)
    return between / sqrt(spread) if spread else 0.0


def kept(column: Sequence[float], beta: int) -> list[float]:
    """How much of each value a trimmed mean keeps: equal values share their places."""
    k, result = len(column), []
    for value in column:
        first = sum(other < value for other in column)
        size = sum(other == value for other in column)
        places = [place for place in range(first, first + size) if beta <= place < k - beta]
        result.append(len(places) / size)
    return result


def kept_by_order(column: Sequence[float], beta: int, last_first: int = 1) -> list[float]:
    """The same by a stable sort: of equal values the first client (or the last) comes first."""
    order = sorted(range(len(column)), key=lambda i: (column[i], last_first * i))
    inside = order[beta : len(order) - beta]
    return [float(i in inside) for i in range(len(order))]
