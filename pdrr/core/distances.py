"""Distances between models, to the last digit that matters, and Krum's scores made of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pdrr.core.arrays import Array, array_namespace, blocks, float64, select, to_host
from pdrr.core.checks import check_pairs, finite_rows
from pdrr.core.dispatch import accelerated

SMALL = 2.0**-900
"""Below it a sum of squares may have lost float64 differences: their squares underflow."""


LARGE = 2.0**1000
"""A model with a larger squared norm may lie beside one whose squared norm overflows."""


def pairwise_squared_distances(
    clients: Array, previous: Array | None = None, rows: np.ndarray | None = None
) -> np.ndarray:
    """Squared Euclidean distances between all models, or between some of them.

    Computed from the Gram matrix of the differences to `previous`, in float64. Where two models
    are so close that the Gram matrix would cancel (clones at 1e-7 in millions of coordinates),
    they are computed again: the largest group of close models from differences to one of them,
    what is left pair by pair.

    Parameters
    ----------
    clients : array [k, d] float32 or float64
        One flattened local model per row. Models with NaN or infinite values are found on the
        way, without a pass of their own.
    previous : array [d], optional
        A point near the models; 0 by default.
    rows : int array [n], optional
        The models to compare; all k by default.

    Returns
    -------
    numpy array [n, n] float64 on the host, symmetric, zero diagonal; infinite where it overflows,
    NaN in the row and column of a model that is not finite, diagonal included.

    Raises
    ------
    ValueError
        For more than 10,000 models.
    """
    rows = np.arange(clients.shape[0]) if rows is None else rows
    check_pairs(len(rows))
    with np.errstate(over="ignore", invalid="ignore"):
        norms, squared = _from_products(gram(clients, previous, rows))
        close = _cancelled(norms, squared)
        centre = int(np.argmax(np.count_nonzero(close, axis=1)))
        group = np.flatnonzero(close[centre] | (np.arange(len(rows)) == centre))
        if len(group) > 2:  # an attacker's clones: take the differences to one of them
            among = np.ix_(group, group)
            nearer = gram(clients, clients[int(rows[centre]), :], rows[group])
            own_norms, squared[among] = _from_products(nearer)
            close[among] = _cancelled(own_norms, squared[among])
        i, j = np.nonzero(np.triu(close, 1))
        if i.size:
            squared[i, j] = squared[j, i] = pair_distances(clients, rows, i, j)
        np.fill_diagonal(squared, 0)
        if not np.isfinite(norms).all():  # a norm may also overflow
            finite = to_host(finite_rows(clients))[rows]
            squared[~finite, :] = squared[:, ~finite] = np.nan
            # models whose norms overflow may yet lie side by side
            huge = np.flatnonzero(finite & ~(norms < LARGE))
            i, j = (huge[of] for of in np.triu_indices(len(huge), 1))
            if i.size:
                squared[i, j] = squared[j, i] = pair_distances(clients, rows, i, j)
    return squared


def _from_products(products: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Squared norms [n] and squared distances [n, n] from inner products [n, n]."""
    norms = np.diag(products)
    squared = norms[:, None] + norms[None, :] - 2 * products
    squared[~np.isfinite(squared)] = np.inf
    return norms, np.maximum(squared, 0)


def _cancelled(norms: np.ndarray, squared: np.ndarray) -> np.ndarray:
    """bool [n, n]: of which two models the distance has too few digits left.

    Inner products are exact to about 1e-15 of the norms: all others keep six digits.
    """
    scale = norms[:, None] + norms[None, :]
    close: np.ndarray = np.isfinite(squared) & (squared <= 1e-9 * scale) & (scale > 0)
    np.fill_diagonal(close, False)
    return close


@accelerated
def gram(clients: Array, previous: Array | None, rows: np.ndarray) -> np.ndarray:
    """Inner products [n, n] of w_i - w_p (of w_i without `previous`) of the given rows [n]."""
    total = np.zeros((len(rows), len(rows)))
    k, d = clients.shape
    for cols in blocks(d, k):
        x = float64(select(clients[:, cols], rows))
        if previous is not None:
            x = x - float64(previous[cols])[None, :]
        total += to_host(x @ x.T)
    return total


@accelerated
def pair_distances(
    clients: Array, rows: np.ndarray, first: np.ndarray, second: np.ndarray
) -> np.ndarray:
    """Squared distances between the models rows[first] and rows[second], pair by pair."""
    xp = array_namespace(clients)
    total = np.zeros(len(first))
    k, d = clients.shape
    for cols in blocks(d, k):
        x = float64(select(clients[:, cols], rows))
        pairs = zip(first.tolist(), second.tolist(), strict=True)
        total += [float(xp.sum((x[i, :] - x[j, :]) ** 2)) for i, j in pairs]
    return total


def krum_choice(
    clients: Array, previous: Array | None, rows: np.ndarray, among: np.ndarray, neighbours: int
) -> int:
    """Which of the given rows of a finite stack Krum selects, as a place in `rows`.

    Where squares overflow or underflow, distances are taken again of larger or smaller models: the
    size of the models decides nothing.

    Parameters
    ----------
    clients, previous
        As in `pairwise_squared_distances`.
    rows : int array [n]
    among : array [n, n]
        Their squared distances.
    neighbours : int
        As in `krum_scores`.
    """
    scores = krum_scores(among, neighbours=neighbours)
    if clients.dtype == array_namespace(clients).float64:  # squares of float32 values always fit
        if not np.isfinite(scores).any():
            scores = krum_scores(shrunk_distances(clients, previous, rows), neighbours=neighbours)
        elif scores.min() < SMALL:
            # whoever is near the best has a score of much the same size
            near = np.flatnonzero(scores < SMALL * 2.0**100)
            scores = krum_scores(grown_distances(clients, rows[near]), neighbours=neighbours)
            return int(near[np.argmin(scores)])
    return int(np.argmin(scores))


def shrunk_distances(clients: Array, previous: Array | None, rows: np.ndarray) -> np.ndarray:
    """Squared distances [n, n] of the given rows times a power of two with which none overflows.

    The rows are copied: only for models so large that distances cannot tell them apart.
    """
    shrink = 2.0**-600
    base = None if previous is None else float64(previous) * shrink
    return pairwise_squared_distances(float64(select(clients, rows)) * shrink, base)


def grown_distances(clients: Array, rows: np.ndarray) -> np.ndarray:
    """Squared distances [n, n] of the given rows times a power of two with which none underflows.

    Those that overflow then are infinite. The rows are copied: only for models so much alike that
    distances cannot tell them apart.
    """
    found = np.full((len(rows), len(rows)), np.inf)
    left = np.arange(len(rows))
    while left.size:  # one group of models that lie side by side after the other
        x = float64(select(clients, rows[left]))
        with np.errstate(over="ignore"):
            x = (x - x[0, :][None, :]) * 2.0**600
        squared = pairwise_squared_distances(x)
        near = np.isfinite(squared[0])
        found[np.ix_(left[near], left[near])] = squared[np.ix_(near, near)]
        left = left[~near]
    return found


def bulyan_picks(
    squared: np.ndarray, c: int, choice: Callable[[np.ndarray, int], int] | None = None
) -> np.ndarray:
    """Rows [k - 2 * c] that iterated Krum picks, in their order of picking.

    Each row of distances is sorted once. A pick is then taken out of all rows, which stay sorted:
    the scores are those of `krum_scores` on the models that remain, bit for bit.

    Parameters
    ----------
    squared : array [k, k]
        Squared distances.
    c : int
    choice : function, optional
        ``choice(rows, neighbours)`` is a place in `rows` where scores overflow or underflow.
    """
    k = len(squared)
    others = squared.copy()
    np.fill_diagonal(others, np.inf)
    place = np.argsort(others, axis=1, kind="stable").astype(np.int32)
    ordered, remaining = np.take_along_axis(others, place, axis=1), np.arange(k)
    picked = []
    for n in range(k, 2 * c, -1):
        neighbours = max(1, n - c - 2)
        scores = ordered[:, : min(neighbours, n - 1)].sum(axis=1)
        best = int(np.argmin(scores))
        if choice and not SMALL <= scores[best] < np.inf:
            best = choice(remaining, neighbours)
        picked.append(remaining[best])
        left = np.arange(n) != best
        stay = place[left] != picked[-1]
        place, ordered = (x[left][stay].reshape(n - 1, n - 1) for x in (place, ordered))
        remaining = remaining[left]
    return np.array(picked)


def krum_scores(squared_distances: np.ndarray, *, neighbours: int) -> np.ndarray:
    """Sum of squared distances of each model to its nearest `neighbours` other models.

    Parameters
    ----------
    squared_distances : array [k, k]
    neighbours : int
        k - c - 2 in Krum.

    Returns
    -------
    array [k] float64.
    """
    others = squared_distances.copy()
    np.fill_diagonal(others, np.inf)
    nearest = np.sort(others, axis=1)[:, : min(neighbours, len(others) - 1)]
    return np.asarray(nearest.sum(axis=1))
