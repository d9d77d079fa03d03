"""Aggregation rules: mean, Krum, trimmed mean, median, Bulyan (paper, sections 2.1.2 and 2.2).

Each takes a stack of local models [k, d] and returns the global model [d]. All work through the
coordinates in blocks, so that a stack may be larger than memory; differences and sums are taken
in float64, so that two nearly equal models stay two models.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pdrr.arrays import (
    Array,
    accelerated,
    array_namespace,
    blocks,
    check_finite,
    check_int,
    check_stack,
    float64,
    select,
    transposed,
)
from pdrr.distances import krum_scores, pairwise_squared_distances


def mean(clients: Array) -> Array:
    """Average all models, eq. (1).

    Parameters
    ----------
    clients : array [k, d] float32 or float64
        One flattened local model per row.

    Returns
    -------
    array [d], dtype and device of `clients`.

    References
    ----------
    Lu et al. 2022, eq. (1); McMahan et al. 2017, arXiv:1602.05629 (equal weights).
    """
    check_stack("mean", clients)
    check_finite("mean", clients)
    return row_mean(clients)


def trimmed_mean(clients: Array, *, beta: int) -> Array:
    """Average each coordinate after dropping its `beta` smallest and `beta` largest values.

    Parameters
    ----------
    clients : array [k, d] float32 or float64
        One flattened local model per row.
    beta : int
        Values dropped per side; needs ``0 <= 2 * beta < k``.

    Returns
    -------
    array [d], dtype and device of `clients`.

    References
    ----------
    Lu et al. 2022, section 2.2.2; Yin et al., ICML 2018, arXiv:1803.01498.
    """
    check_stack("trimmed_mean", clients)
    beta = check_beta("trimmed_mean", clients.shape[0], beta)
    check_finite("trimmed_mean", clients)
    return middle_mean(clients, beta)


def median(clients: Array) -> Array:
    """Take the median of each coordinate; for even k the mean of the middle two values.

    Parameters
    ----------
    clients : array [k, d] float32 or float64
        One flattened local model per row.

    Returns
    -------
    array [d], dtype and device of `clients`.

    Notes
    -----
    The median is the trimmed mean that drops all but the middle one or two values, and is
    computed so. (Section 4.3 of the paper says "d odd/even" where it must mean k.)

    References
    ----------
    Lu et al. 2022, section 2.2.3; Yin et al., ICML 2018, arXiv:1803.01498.
    """
    check_stack("median", clients)
    check_finite("median", clients)
    return middle_mean(clients, median_beta(clients.shape[0]))


def krum(clients: Array, *, c: int, previous: Array | None = None) -> Array:
    """Select the model with the smallest sum of squared distances to its nearest others.

    Parameters
    ----------
    clients : array [k, d] float32 or float64
        One flattened local model per row.
    c : int
        Compromised models to tolerate; needs ``k >= c + 3``, since each model is judged by its
        ``k - c - 2`` nearest other models.
    previous : array [d], optional
        The previous global model. Distances are then taken between the differences to it, which
        loses fewer digits; the result is the same up to rounding.

    Returns
    -------
    array [d], the selected row bit for bit; of several equal scores the lowest index.

    References
    ----------
    Lu et al. 2022, section 2.2.1; Blanchard et al., NIPS 2017.
    """
    row = clients[krum_index(clients, c=c, previous=previous), :]
    return array_namespace(clients).asarray(row, copy=True)


def krum_index(clients: Array, *, c: int, previous: Array | None = None) -> int:
    """The row that `krum` selects; same parameters and errors."""
    check_stack("krum", clients, previous)
    k = clients.shape[0]
    c = check_c("krum", k, c)
    distances = _finite_distances("krum", clients, previous)
    return int(np.argmin(krum_scores(distances, neighbours=k - c - 2)))


def bulyan(clients: Array, *, c: int, previous: Array | None = None) -> Array:
    """Pick k - 2c models by iterated Krum, then average the values closest to their median.

    After each pick Krum runs again on the models that remain. Of the theta = k - 2c picked
    values of a coordinate, the gamma = theta - 2c closest to their median are averaged; of two
    equally close values the smaller one is taken.

    Parameters
    ----------
    clients : array [k, d] float32 or float64
        One flattened local model per row.
    c : int
        Compromised models to tolerate; needs ``k >= 4 * c + 3``.
    previous : array [d], optional
        As in `krum`.

    Returns
    -------
    array [d], dtype and device of `clients`.

    Notes
    -----
    Late picks leave few models; each is then judged by at least its one nearest other model.

    References
    ----------
    Lu et al. 2022, section 2.2.2 (whose gamma <= k - 2c is a misprint); El Mhamdi et al.,
    ICML 2018, arXiv:1802.07927.
    """
    check_stack("bulyan", clients, previous)
    k = clients.shape[0]
    c = check_int("bulyan", "c", c)
    if c < 0 or k < 4 * c + 3:
        raise ValueError(f"bulyan needs c >= 0 and k >= 4*c + 3, got c={c} for k={k}")
    distances = _finite_distances("bulyan", clients, previous)
    remaining = list(range(k))
    picked: list[int] = []
    for _ in range(k - 2 * c):
        among = distances[np.ix_(remaining, remaining)]
        scores = krum_scores(among, neighbours=max(1, len(remaining) - c - 2))
        picked.append(remaining.pop(int(np.argmin(scores))))

    return closest_to_median(clients, np.sort(picked), k - 4 * c)


AGGREGATORS: dict[str, Callable[..., Array]] = {
    "mean": mean,
    "krum": krum,
    "trimmed_mean": trimmed_mean,
    "median": median,
    "bulyan": bulyan,
}


# The parts that attacks and defences share


def check_beta(who: str, k: int, beta: int | None) -> int:
    """`beta` as an int; ValueError unless 0 <= 2 * beta < k."""
    beta = check_int(who, "beta", beta)
    if not 0 <= 2 * beta < k:
        raise ValueError(f"{who} needs 0 <= 2*beta < k, got beta={beta} for k={k}")
    return beta


def check_c(who: str, k: int, c: int | None) -> int:
    """`c` as an int; ValueError unless Krum is defined: c >= 0 and k >= c + 3."""
    c = check_int(who, "c", c)
    if c < 0 or k < c + 3:
        raise ValueError(f"{who} needs c >= 0 and k >= c + 3, got c={c} for k={k}")
    return c


def median_beta(k: int) -> int:
    """The beta with which a trimmed mean of k values is their median."""
    return (k - 1) // 2


def _finite_distances(who: str, clients: Array, previous: Array | None) -> np.ndarray:
    """Squared distances [k, k] of finite models; ValueError naming the rows that are not."""
    distances = pairwise_squared_distances(clients, previous)
    if np.isnan(np.diag(distances)).any():
        check_finite(who, clients)
    return distances


@accelerated
def closest_to_median(clients: Array, rows: np.ndarray, gamma: int) -> Array:
    """Mean [d] of the `gamma` values closest to the median of the given rows of a finite stack.

    They lie side by side in sorted order: those farthest away fall off at either end, and of two
    equally far the larger one.
    """

    def rule(x: Array) -> Array:
        xp = array_namespace(x)
        x = float64(sort_clients(select(x, rows)))  # [theta, m]
        middle = trimmed_mean_of_sorted(x, median_beta(len(rows)))
        order = xp.argsort(xp.abs(x - middle[None, :]), axis=0, stable=True)[:gamma, :]
        return xp.mean(xp.take_along_axis(x, order, axis=0), axis=0)

    return _per_block(clients, rule)


@accelerated
def row_mean(clients: Array) -> Array:
    """Mean [d] of a finite stack [k, d]."""
    return _per_block(clients, lambda x: array_namespace(x).mean(float64(x), axis=0))


@accelerated
def middle_mean(clients: Array, beta: int, rows: np.ndarray | None = None) -> Array:
    """Trimmed mean [d] of a finite stack [k, d], or of the given rows of it."""
    rows = np.arange(clients.shape[0]) if rows is None else rows
    return _per_block(
        clients, lambda x: trimmed_mean_of_sorted(sort_clients(select(x, rows)), beta)
    )


def sort_clients(x: Array) -> Array:
    """Sort each coordinate of a block [k, m] over the clients."""
    return transposed(array_namespace(x).sort(transposed(x), axis=1, stable=False))


def trimmed_mean_of_sorted(x: Array, beta: int) -> Array:
    """Mean [m] float64 of the middle k - 2 * beta rows of a sorted block [k, m]."""
    xp = array_namespace(x)
    middle = float64(x[beta : x.shape[0] - beta, :])
    smallest, largest = middle[0, :], middle[-1, :]
    # of equal values exactly that value: a coordinate that nobody moved must not seem to move
    return xp.where(smallest == largest, smallest, xp.mean(middle, axis=0))


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


def _per_block(clients: Array, rule: Callable[[Array], Array]) -> Array:
    """Apply `rule` ([k, m] -> [m] float64) to blocks of coordinates; the result in their dtype."""
    xp, (k, d) = array_namespace(clients), clients.shape
    return xp.concat([xp.astype(rule(clients[:, cols]), clients.dtype) for cols in blocks(d, k)])
