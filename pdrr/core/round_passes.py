"""Passes over one round that many methods share: inner products, distances, ranks.

All are of finite models; each is computed once a round (`shared`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pdrr.core.arrays import Array, array_namespace, blocks, float64, to_host
from pdrr.core.checks import check_pairs
from pdrr.core.dispatch import accelerated
from pdrr.core.distances import gram, pairwise_squared_distances
from pdrr.core.order import dropped_sides, median_beta
from pdrr.core.shared import shared

if TYPE_CHECKING:
    from pdrr.types import Round


@shared
def products(observed: Round) -> np.ndarray:
    """Inner products of the updates u_i = w_i - w_p: [k, k] float64."""
    check_pairs(observed.k)
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
    check_pairs(k)
    tails = side_products(observed.clients, max(1, k // 5))
    return tails, side_products(observed.clients, median_beta(k))


@accelerated
def side_products(clients: Array, beta: int) -> np.ndarray:
    """Inner products of the models' sides: [k, k] float64.

    The side of a model in a coordinate is -1 where a trimmed mean drops its value as one of the
    `beta` smallest, 1 as one of the largest, and 0 where it is kept (`order.dropped_sides`). Two
    models that are dropped together have a large product, two that are dropped on opposite sides
    a negative one. 0 <= 2 * beta < k.
    """
    k, d = clients.shape
    total = np.zeros((k, k))
    for cols in blocks(d, k):
        side = dropped_sides(clients[:, cols], beta)
        total += to_host(side @ side.T)
    return total
