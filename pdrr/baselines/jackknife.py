"""The aggregation rules on all models but one, for each model in turn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from pdrr.core.arrays import Array, array_namespace, blocks, float64, to_host
from pdrr.core.checks import check_beta, check_c, check_finite
from pdrr.core.dispatch import accelerated
from pdrr.core.distances import krum_choice, pairwise_squared_distances
from pdrr.core.order import grown, median_beta, room, sort_clients

if TYPE_CHECKING:
    from pdrr.types import Round


RULES = ("mean", "krum", "trimmed_mean", "median")
SAMPLED = 256  # coordinates that tell models apart, before all are compared


def leave_one_out(
    observed: Round, rule: str, *, c: int | None = None, beta: int | None = None
) -> Iterator[Array]:
    """The rule on all models but i, for i = 0 .. k-1.

    Parameters
    ----------
    observed : Round
        k finite models [k, d].
    rule : {"mean", "krum", "trimmed_mean", "median"}
    c, beta : int
        Setting of Krum, of the trimmed mean; unchanged although only k - 1 models are left.

    Returns
    -------
    iterator of k arrays [d], dtype and device of the models. For Krum they are views of rows.

    Raises
    ------
    ValueError, TypeError
        At the call: unknown rule, models that are not finite, c or beta that k - 1 models forbid.

    Notes
    -----
    One sort serves all: leaving x_i out of the k - 2 beta kept values takes away x_i itself, or
    the kept value at the edge beyond which x_i lies. So the rule on the others is
    (inner + low + high - clip(x_i, low, high)) / (k - 1 - 2 beta). Memory beside the models: a
    few [d].

    Examples
    --------
    >>> from pdrr.baselines import leave_one_out
    >>> observed = pdrr.Round(np.array([[1.0], [2.0], [6.0]]), np.zeros(1))
    >>> [model.tolist() for model in leave_one_out(observed, "mean")]
    [[4.0], [3.5], [1.5]]
    """
    who, k = f"leave_one_out of {rule}", observed.k
    if rule not in RULES:
        raise ValueError(f"leave_one_out needs a rule of {', '.join(RULES)}, got {rule!r}")
    check_finite("leave_one_out", observed.clients)
    if rule != "krum":
        betas = {"mean": 0, "trimmed_mean": beta, "median": median_beta(k - 1)}
        return _trimmed_means(observed.clients, check_beta(who, k - 1, betas[rule]))
    return (observed.clients[row, :] for row in chosen_without(observed, c).tolist())


def chosen_without(observed: Round, c: int | None) -> np.ndarray:
    """The row of the model that Krum chooses of all but i, for i = 0 .. k-1: int [k]."""
    k = observed.k
    neighbours = k - 1 - check_c("leave_one_out of krum", k - 1, c) - 2
    squared = pairwise_squared_distances(observed.clients, observed.previous)
    others = [np.delete(np.arange(k), i) for i in range(k)]
    best = [
        krum_choice(observed.clients, observed.previous, o, squared[np.ix_(o, o)], neighbours)
        for o in others
    ]
    return np.array([o[b] for o, b in zip(others, best, strict=True)])


def equal(one: Array, other: Array) -> bool:
    """Whether two models [d] have the same values; a few coordinates tell most of them apart."""
    some = slice(None, None, -(-len(one) // SAMPLED))
    return bool((one[some] == other[some]).all()) and bool((one == other).all())


def first_equal(models: Array) -> list[int]:
    """For each of some models [k, d] the row of the first with the same values."""
    k, d = models.shape
    some = to_host(models[:, :: -(-d // SAMPLED)])
    first = list(range(k))
    for row in range(1, k):
        alike = np.flatnonzero((some[:row] == some[row]).all(axis=1)).tolist()
        first[row] = next((i for i in alike if equal(models[i, :], models[row, :])), row)
    return first


def _trimmed_means(clients: Array, beta: int) -> Iterator[Array]:
    """The trimmed mean without model i, for each i; needs 2 * beta < k - 1."""
    edges, total = kept_values(clients, beta)
    for i in range(clients.shape[0]):
        yield mean_without(clients, i, beta, edges, total)


@accelerated
def kept_values(clients: Array, beta: int) -> tuple[Array, Array]:
    """What all leave-one-out means need of the values with the ranks beta, ..., k - beta - 1.

    Parameters
    ----------
    clients : array [k, d]
        Finite models.
    beta : int
        Needs 2 * beta < k - 1.

    Returns
    -------
    edges : array [3, d], dtype of the models
        The lowest kept value, the one of rank k // 2, the highest.
    total : float64 array [d]
        Sum of the differences to that middle value of all kept values but the lowest and the
        highest, times `room` of these: if all others are equal, exactly that value is left, and a
        value far outside takes no digits from the others.
    """
    xp = array_namespace(clients)
    k, d = clients.shape
    edges, total = [], []
    for cols in blocks(d, k):
        ordered = sort_clients(clients[:, cols])
        edges.append(xp.stack([ordered[j, :] for j in (beta, k // 2, k - 1 - beta)]))
        low, middle, high = (float64(edges[-1][j, :]) for j in range(3))
        scale = room(low, high)
        inner = float64(ordered[beta + 1 : k - beta - 1, :]) * scale[None, :]
        total.append(xp.sum(inner - (middle * scale)[None, :], axis=0))
    return xp.concat(edges, axis=1), xp.concat(total)


@accelerated
def mean_without(clients: Array, i: int, beta: int, edges: Array, total: Array) -> Array:
    """The trimmed mean [d] without model i, in the models' dtype, from what `kept_values` gave."""
    xp = array_namespace(clients)
    k, d = clients.shape
    parts = []
    for cols in blocks(d, k):
        low, middle, high = (float64(edges[j, cols]) for j in range(3))
        scale = room(low, high)
        x, middle, kept = float64(clients[i, cols]), middle * scale, k - 1 - 2 * beta
        below, above = low * scale - middle, high * scale - middle
        edges_left = below + above - (x * scale - middle)
        edges_left = xp.where(x >= high, below, xp.where(x <= low, above, edges_left))
        mean = middle + (total[cols] + edges_left) / kept
        mean = xp.where(scale == 1, mean, grown(mean))
        if kept == 1:
            mean = xp.where(x <= low, high, low)
        parts.append(xp.astype(mean, clients.dtype))
    return xp.concat(parts)
