"""Passes over one round that many methods share: inner products, distances, ranks.

All are of finite models; each is computed once a round (`shared`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pdrr.core.arrays import Array, array_namespace, blocks, float64, to_host
from pdrr.core.dispatch import accelerated
from pdrr.core.distances import gram, pairwise_squared_distances
from pdrr.core.order import median_beta, sort_clients
from pdrr.core.shared import shared

if TYPE_CHECKING:
    from pdrr.types import Round


@shared
def products(observed: Round) -> np.ndarray:
    """Inner products of the updates u_i = w_i - w_p: [k, k] float64."""
    return gram(observed.clients, observed.previous, np.arange(observed.k))


@shared
def distances(observed: Round) -> np.ndarray:
    """Squared Euclidean distances of the models: [k, k] float64; exact for near copies too."""
    return pairwise_squared_distances(observed.clients, observed.previous)


@shared
def cosines(observed: Round) -> np.ndarray:
    """Cosines of the updates: [k, k] float64; 0 beside an update of length 0, 1 on the diagonal."""
    return cosines_of(products(observed))


def cosines_of(inner: np.ndarray) -> np.ndarray:
    """Cosines [n, n] of n vectors from their inner products; 0 beside 0, 1 on the diagonal."""
    length = np.sqrt(np.diag(inner))
    scale = np.outer(length, length)
    found: np.ndarray = np.divide(inner, scale, out=np.zeros_like(inner), where=scale > 0)
    np.fill_diagonal(found, 1)
    return found.clip(-1, 1)


@shared
def rank_moments(observed: Round) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance (ddof 1) over the coordinates of each model's mid-rank, 1..k: [k] each."""
    first, second = rank_sums(observed.clients)
    mean = first / observed.d
    return mean, np.maximum(second - observed.d * mean**2, 0) / max(1, observed.d - 1)


@accelerated
def rank_sums(clients: Array) -> tuple[np.ndarray, np.ndarray]:
    """Sums over the coordinates of each model's mid-rank and of its square, [k] float64 each.

    Equal values share the mean of their ranks: a rank by row number would tell who is who where a
    third of all coordinates stand still.
    """
    xp, (k, d) = array_namespace(clients), clients.shape
    first, second = np.zeros(k), np.zeros(k)
    for cols in blocks(d, k):
        x = clients[:, cols]
        twice = xp.zeros(x.shape, dtype=xp.float64) + (k + 1)  # below + not above + 1, at a tie
        for row in range(k):
            twice += float64(x > x[row, :][None, :]) - float64(x < x[row, :][None, :])
        ranks = twice / 2
        first += to_host(xp.sum(ranks, axis=1))
        second += to_host(xp.sum(ranks * ranks, axis=1))
    return first, second


@shared
def sides(observed: Round) -> tuple[np.ndarray, np.ndarray]:
    """Inner products [k, k] of the models' sides: at the tails, and of the median.

    See `side_products`; the tails are a fifth of the models at either end.
    """
    k = observed.k
    tails = side_products(observed.clients, max(1, k // 5))
    return tails, side_products(observed.clients, median_beta(k))


@accelerated
def side_products(clients: Array, beta: int) -> np.ndarray:
    """X X' [k, k], where X is -1 for the beta lowest of a coordinate, 1 for the highest, else 0.

    Models that share a value at an edge share its places: each has the expectation over random
    tie-breaking. A coordinate in which nobody moves adds nothing.
    """
    k, d = clients.shape
    total = np.zeros((k, k))
    for cols in blocks(d, k) if beta else ():
        x = clients[:, cols]
        ordered = sort_clients(x)
        side = _beyond(-x, -ordered[k - beta, :], beta) - _beyond(x, ordered[beta - 1, :], beta)
        total += to_host(side @ side.T)
    return total


def _beyond(x: Array, edge: Array, places: int) -> Array:
    """How much of each value [k, m] is among the `places` lowest, whose largest is `edge` [m]."""
    xp = array_namespace(x)
    below, level = float64(x < edge[None, :]), float64(x == edge[None, :])
    left = places - xp.sum(below, axis=0)
    return below + level * (left / xp.sum(level, axis=0))[None, :]
