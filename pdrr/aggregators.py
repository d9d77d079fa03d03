"""Aggregation rules: mean, Krum, trimmed mean, median, Bulyan (paper, sections 2.1.2 and 2.2).

Each takes a stack of local models [k, d] and returns the global model [d]. All work through the
coordinates in blocks, so that a stack may be larger than memory; differences and sums are taken
in float64, so that two nearly equal models stay two models.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pdrr.core.arrays import Array, array_namespace
from pdrr.core.checks import check_beta, check_c, check_finite, check_int, check_stack
from pdrr.core.distances import (
    bulyan_picks,
    krum_choice,
    pairwise_squared_distances,
    shrunk_distances,
)
from pdrr.core.order import checked_mean, checked_middle, closest_to_median, median_beta


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

    Examples
    --------
    >>> pdrr.mean(np.array([[1.0, 0.0], [2.0, 0.0], [9.0, 3.0]]))
    array([4., 1.])
    """
    check_stack("mean", clients)
    model, finite = checked_mean(clients)
    if not finite:
        check_finite("mean", clients)
    return model


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

    Examples
    --------
    >>> pdrr.trimmed_mean(np.array([[1.0], [2.0], [4.0], [99.0]]), beta=1)
    array([3.])
    """
    check_stack("trimmed_mean", clients)
    beta = check_beta("trimmed_mean", clients.shape[0], beta)
    return _finite_middle("trimmed_mean", clients, beta)


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

    Examples
    --------
    >>> pdrr.median(np.array([[1.0], [2.0], [9.0]]))
    array([2.])
    >>> pdrr.median(np.array([[1.0], [2.0], [4.0], [99.0]]))
    array([3.])
    """
    check_stack("median", clients)
    return _finite_middle("median", clients, median_beta(clients.shape[0]))


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

    Examples
    --------
    Each of the four models is judged by its nearest other one; 5 and 6 are closest to each other.

    >>> pdrr.krum(np.array([[1.0], [3.0], [5.0], [6.0]]), c=1)
    array([5.])
    """
    row = clients[krum_index(clients, c=c, previous=previous), :]
    return array_namespace(clients).asarray(row, copy=True)


def krum_index(clients: Array, *, c: int, previous: Array | None = None) -> int:
    """The row that `krum` selects; same parameters and errors."""
    check_stack("krum", clients, previous)
    k = clients.shape[0]
    c = check_c("krum", k, c)
    distances = _finite_distances("krum", clients, previous)
    return krum_choice(clients, previous, np.arange(k), distances, k - c - 2)


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

    Examples
    --------
    Krum picks 1, 2, 3, 7 and 9; of these 1, 2 and 3 are closest to their median 3.

    >>> pdrr.bulyan(np.array([[1.0], [2.0], [3.0], [7.0], [9.0], [50.0], [90.0]]), c=1)
    array([2.])
    """
    check_stack("bulyan", clients, previous)
    k = clients.shape[0]
    c = check_int("bulyan", "c", c)
    if c < 0 or k < 4 * c + 3:
        raise ValueError(f"bulyan needs c >= 0 and k >= 4*c + 3, got c={c} for k={k}")
    distances = _finite_distances("bulyan", clients, previous)
    apart = distances[~np.eye(k, dtype=bool)]
    if not np.isfinite(apart).any():
        distances = shrunk_distances(clients, previous, np.arange(k))

    def choice(rows: np.ndarray, neighbours: int) -> int:
        return krum_choice(clients, previous, rows, distances[np.ix_(rows, rows)], neighbours)

    wide = clients.dtype == array_namespace(clients).float64
    picks = bulyan_picks(distances, c, choice if wide else None)
    return closest_to_median(clients, np.sort(picks), k - 4 * c)


AGGREGATORS: dict[str, Callable[..., Array]] = {
    "mean": mean,
    "krum": krum,
    "trimmed_mean": trimmed_mean,
    "median": median,
    "bulyan": bulyan,
}


def _finite_middle(who: str, clients: Array, beta: int) -> Array:
    """Trimmed mean [d] of finite models; ValueError naming the rows that are not."""
    model, finite = checked_middle(clients, beta)
    if not finite:
        check_finite(who, clients)
    return model


def _finite_distances(who: str, clients: Array, previous: Array | None) -> np.ndarray:
    """Squared distances [k, k] of finite models; ValueError naming the rows that are not."""
    distances = pairwise_squared_distances(clients, previous)
    if np.isnan(np.diag(distances)).any():
        check_finite(who, clients)
    return distances
