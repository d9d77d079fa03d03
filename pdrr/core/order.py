"""Models in the order of their values: passes that sort each coordinate over the clients.

The aggregation rules, PDRR's counts and the attacks' directions are made of these. A pass named
`checked_...` also says whether all values that it read are finite: no other pass has to look. Where
it says no, `finite_rows` decides; if they are finite after all, what it gave is right.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pdrr.core.arrays import (
    Array,
    array_namespace,
    blocks,
    float64,
    like,
    select,
    to_host,
    transposed,
)
from pdrr.core.dispatch import accelerated

SHRINK = 2.0**-64
"""What values are multiplied by before they are added where their sum would overflow."""

HUGE = 2.0**1000
"""Beyond it sums and differences of float64 values may overflow."""


def median_beta(k: int) -> int:
    """The beta with which a trimmed mean of k values is their median."""
    return (k - 1) // 2


@accelerated
def closest_to_median(clients: Array, rows: np.ndarray, gamma: int) -> Array:
    """Mean [d] of the `gamma` values closest to the median of the given rows of a finite stack.

    They lie side by side in sorted order: those farthest away fall off at either end, and of two
    equally far the larger one.
    """

    def rule(x: Array) -> Array:
        xp = array_namespace(x)
        x = float64(sort_clients(select(x, rows)))  # [theta, m]
        scale = room(x[0, :], x[-1, :])
        x = x * scale[None, :]
        middle = trimmed_mean_of_sorted(x, median_beta(len(rows)))
        order = xp.argsort(xp.abs(x - middle[None, :]), axis=0, stable=True)[:gamma, :]
        kept = _along(x, order)
        smallest, mean = xp.min(kept, axis=0), xp.mean(kept, axis=0)
        same = smallest == xp.max(kept, axis=0)
        mean = xp.where(same, smallest, mean)  # of equal values exactly that one
        return xp.where(scale == 1, mean, grown(mean))

    return _per_block(clients, rule)[0]


@accelerated
def checked_mean(clients: Array) -> tuple[Array, bool]:
    """Mean [d] of a stack [k, d], and whether all its values are finite."""
    return _per_block(clients, lambda x: mean_of_rows(float64(x)))


@accelerated
def checked_middle(clients: Array, beta: int, rows: np.ndarray | None = None) -> tuple[Array, bool]:
    """Trimmed mean [d] of a stack [k, d], or of the given rows of it, and whether all is finite."""
    rows = np.arange(clients.shape[0]) if rows is None else rows
    return _per_block(clients, lambda x: trimmed_mean_of_sorted(sort_clients(x), beta), rows)


def middle_mean(clients: Array, beta: int, rows: np.ndarray | None = None) -> Array:
    """Trimmed mean [d] of a finite stack [k, d], or of the given rows of it."""
    return checked_middle(clients, beta, rows)[0]


def _along(x: Array, order: Array) -> Array:
    """Values of `x` [n, m] at the places `order` [g, m] of each column."""
    xp = array_namespace(x)
    if hasattr(xp, "take_along_axis"):
        return xp.take_along_axis(x, order, axis=0)
    # the standard has it since 2024, Dask not yet
    return like(np.take_along_axis(to_host(x), to_host(order), axis=0), x)


def mean_of_rows(x: Array) -> Array:
    """Mean [m] of a float64 block [n, m]; where the sum overflows, that of smaller values grown."""
    xp = array_namespace(x)
    with np.errstate(over="ignore", invalid="ignore"):
        mean = xp.mean(x, axis=0)
        if xp.all(xp.isfinite(mean)):
            return mean
        return xp.where(xp.isfinite(mean), mean, grown(xp.mean(x * SHRINK, axis=0)))


def room(smallest: Array, largest: Array) -> Array:
    """1, or SHRINK where sums of values [m] float64 between these two might overflow."""
    xp = array_namespace(smallest)
    huge = xp.maximum(xp.abs(smallest), xp.abs(largest)) > HUGE
    return xp.where(huge, SHRINK, xp.ones_like(smallest))


def grown(x: Array) -> Array:
    """float64 values that were multiplied by SHRINK as they were, none beyond the largest."""
    largest = float(np.finfo(np.float64).max) * SHRINK
    xp = array_namespace(x)
    return xp.clip(x, -largest, largest) / SHRINK


def sort_clients(x: Array) -> Array:
    """Sort each coordinate of a block [k, m] over the clients."""
    return transposed(array_namespace(x).sort(transposed(x), axis=1, stable=False))


def trimmed_mean_of_sorted(x: Array, beta: int) -> Array:
    """Mean [m] float64 of the middle k - 2 * beta rows of a sorted block [k, m]."""
    xp = array_namespace(x)
    middle = float64(x[beta : x.shape[0] - beta, :])
    smallest, largest = middle[0, :], middle[-1, :]
    # of equal values exactly that value: a coordinate that nobody moved must not seem to move
    return xp.where(smallest == largest, smallest, mean_of_rows(middle))


def kept_fraction(block: Array, beta: int, ordered: Array | None = None) -> Array:
    """How much of each value a trimmed mean keeps, in expectation over random tie-breaking.

    If t of the m models that share a value are kept, each of them is kept for t / m. So counts
    do not depend on the order of the clients, even where a third of all values are equal.

    Parameters
    ----------
    block : array [k, m]
        Some coordinates of all models.
    beta : int
        Values dropped per side.
    ordered : array [k, m], optional
        ``sort_clients(block)``, where the caller has it already.

    Returns
    -------
    array [k, m] float64 in [0, 1]; each column sums to k - 2 * beta.
    """
    xp = array_namespace(block)
    k = block.shape[0]
    ordered = sort_clients(block) if ordered is None else ordered
    kept = xp.astype((block > ordered[beta, :]) & (block < ordered[k - 1 - beta, :]), xp.float64)
    # only the first and the last kept value can be shared with a dropped one
    for edge in (ordered[beta, :], ordered[k - 1 - beta, :]):
        shared = block == edge[None, :]
        first = xp.count_nonzero(block < edge[None, :], axis=0)  # in sorted order
        count = xp.count_nonzero(shared, axis=0)
        inside = xp.minimum(first + count, xp.full_like(count, k - beta)) - xp.maximum(
            first, xp.full_like(first, beta)
        )
        fraction = xp.astype(inside, xp.float64) / xp.astype(count, xp.float64)
        kept = xp.where(shared, fraction[None, :], kept)
    return kept


def dropped_sides(block: Array, beta: int) -> Array:
    """On which side a trimmed mean drops each value, in expectation over random tie-breaking.

    Parameters
    ----------
    block : array [k, m]
        Some coordinates of all models.
    beta : int
        Values dropped per side.

    Returns
    -------
    array [k, m] float64 in [-1, 1]: -1 among the beta smallest, 1 among the beta largest, 0 if
    kept; models that share a value at an edge share what falls to it. Each column sums to 0.
    """
    xp = array_namespace(block)
    if not beta:
        return xp.zeros_like(block, dtype=xp.float64)
    ordered = sort_clients(block)
    low, high = ordered[beta, :][None, :], ordered[block.shape[0] - 1 - beta, :][None, :]
    below, above = block < low, block > high
    side = float64(above) - float64(below)
    for sign, edge, outside in ((-1, low, below), (1, high, above)):
        shared = block == edge
        left = beta - float64(xp.count_nonzero(outside, axis=0))
        share = left / float64(xp.count_nonzero(shared, axis=0))
        side = side + sign * share[None, :] * float64(shared)
    return side


def _per_block(
    clients: Array, rule: Callable[[Array], Array], rows: np.ndarray | None = None
) -> tuple[Array, bool]:
    """Apply `rule` ([n, m] -> [m] float64) to blocks of coordinates of the given rows.

    The results in the dtype of the stack, and whether all that was read is finite.
    """
    xp, (k, d) = array_namespace(clients), clients.shape
    parts, finite = [], True
    for cols in blocks(d, k):
        x = clients[:, cols] if rows is None else select(clients[:, cols], rows)
        finite = finite and bool(xp.all(xp.isfinite(x)))
        with np.errstate(over="ignore", invalid="ignore"):
            parts.append(xp.astype(rule(x), clients.dtype))
    return xp.concat(parts), finite
