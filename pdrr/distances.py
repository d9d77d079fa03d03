"""Distances between models, to the last digit that matters, and Krum's scores made of them."""

from __future__ import annotations

import numpy as np

from pdrr.arrays import Array, array_namespace, blocks, float64, select, to_host


def pairwise_squared_distances(
    clients: Array, previous: Array | None = None, rows: np.ndarray | None = None
) -> np.ndarray:
    """Squared Euclidean distances between all models, or between some of them.

    Computed from the Gram matrix of the differences to `previous`, in float64. Where two models
    are so close that the Gram matrix would cancel (clones at 1e-7 in millions of coordinates),
    the pair is computed again from its own differences.

    Parameters
    ----------
    clients : array [k, d] float32 or float64, finite
        One flattened local model per row.
    previous : array [d], optional
        A point near the models; 0 by default.
    rows : int array [n], optional
        The models to compare; all k by default.

    Returns
    -------
    numpy array [n, n] float64 on the host, symmetric, zero diagonal; infinite where it overflows.
    """
    xp = array_namespace(clients)
    rows = np.arange(clients.shape[0]) if rows is None else rows
    d = clients.shape[1]
    gram = np.zeros((len(rows), len(rows)))
    with np.errstate(over="ignore", invalid="ignore"):
        for cols in blocks(d):
            x = float64(select(clients[:, cols], rows))
            if previous is not None:
                x = x - float64(previous[cols])[None, :]
            gram += to_host(x @ x.T)
        norms = np.diag(gram)
        scale = norms[:, None] + norms[None, :]
        squared = scale - 2 * gram
        squared[~np.isfinite(squared)] = np.inf
        squared = np.maximum(squared, 0)

        # the Gram matrix is exact to about 1e-15 of the norms: keep six digits of every distance
        close = np.isfinite(squared) & (squared <= 1e-9 * scale)
        i, j = np.nonzero(np.triu(close, 1))
        if i.size:
            exact = np.zeros(i.size)
            for cols in blocks(d):
                x = float64(select(clients[:, cols], rows))
                pairs = zip(i.tolist(), j.tolist(), strict=True)
                exact += [float(xp.sum((x[a, :] - x[b, :]) ** 2)) for a, b in pairs]
            squared[i, j] = squared[j, i] = exact
    np.fill_diagonal(squared, 0)
    return squared


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
