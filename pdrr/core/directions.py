"""What an attacker computes from the models it knows: directions, extremes, moments, lengths.

Passes over a round as the devices trained it honestly (paper, section 3). All models are finite.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from pdrr.core.arrays import Array, array_namespace, blocks, float64, select, to_host
from pdrr.core.dispatch import accelerated
from pdrr.core.order import sort_clients, trimmed_mean_of_sorted

if TYPE_CHECKING:
    from pdrr.types import Round


def row_direction(honest: Round, row: int) -> Array:
    """Sgn(w_row - w_p) [d]."""
    return mean_direction(honest, np.array([row]))


@accelerated
def mean_direction(honest: Round, rows: np.ndarray) -> Array:
    """Sgn(mean of the rows - w_p) [d]."""
    return _signs(honest, rows, lambda x: array_namespace(x).mean(x, axis=0))


@accelerated
def middle_direction(honest: Round, beta: int) -> Array:
    """Sgn(trimmed mean of all models - w_p) [d]."""
    rows = np.arange(honest.k)
    return _signs(honest, rows, lambda x: trimmed_mean_of_sorted(sort_clients(x), beta))


def _signs(honest: Round, rows: np.ndarray, rule: Callable[[Array], Array]) -> Array:
    """Sgn(rule(rows - w_p)) [d]; differences first, so that equal values give 0."""
    xp = array_namespace(honest.clients)
    parts = []
    for cols in blocks(honest.d, honest.k):
        x = float64(select(honest.clients[:, cols], rows)) - float64(honest.previous[cols])
        parts.append(xp.astype(xp.sign(rule(x)), honest.clients.dtype))
    return xp.concat(parts)


@accelerated
def extremes(clients: Array, rows: np.ndarray) -> tuple[Array, Array]:
    """The smallest and the largest value [d] of the given rows of a stack [k, d]."""
    xp, (k, d) = array_namespace(clients), clients.shape
    smallest, largest = [], []
    for cols in blocks(d, k):
        x = select(clients[:, cols], rows)
        smallest.append(xp.min(x, axis=0))
        largest.append(xp.max(x, axis=0))
    return xp.concat(smallest), xp.concat(largest)


@accelerated
def moments(clients: Array, rows: np.ndarray) -> tuple[Array, Array]:
    """Mean and population standard deviation [d] float64 of the given rows of a stack [k, d]."""
    xp, (k, d) = array_namespace(clients), clients.shape
    mu, sigma = [], []
    for cols in blocks(d, k):
        x = float64(select(clients[:, cols], rows))
        mu.append(xp.mean(x, axis=0))
        sigma.append(xp.std(x, axis=0))
    return xp.concat(mu), xp.concat(sigma)


@accelerated
def lengths(honest: Round, rows: np.ndarray, direction: Array) -> tuple[np.ndarray, np.ndarray]:
    """|w_i - w_p|^2 and (w_i - w_p).s of the rows, each [n] float64, for a direction s [d]."""
    xp = array_namespace(honest.clients)
    norms, products = np.zeros(len(rows)), np.zeros(len(rows))
    for cols in blocks(honest.d, honest.k):
        x = float64(select(honest.clients[:, cols], rows)) - float64(honest.previous[cols])
        norms += to_host(xp.sum(x * x, axis=1))
        products += to_host(xp.sum(x * float64(direction[cols]), axis=1))
    return norms, products
