"""Contracts of the parts of Krum: squared distances, scores, and the digits that they keep."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from pdrr.contracts import oracles
from pdrr.contracts.judging import Answer, Case, judge

LOSES_DIGITS = (
    "your distances lose digits: take the difference of two models first, in float64, then square;"
    " |a|^2 - 2 a.b + |b|^2 cancels where two models are close"
)
SCORE_MISTAKES: dict[str, dict[str, Any]] = {
    "your Krum counts a model's distance to itself, 0: sum the k - c - 2 nearest OTHER models": {
        "itself": True
    },
    "your Krum sums the k - c - 1 nearest, the paper k - c - 2": {"more": 1},
    "your Krum sums the k - c nearest, the paper k - c - 2": {"more": 2},
    "your Krum sums distances that are not squared": {"power": 0.5},
    "your Krum squares the distances twice": {"power": 2},
    "your Krum sums the farthest models: sort, then take the first k - c - 2": {"farthest": True},
}
# Small stacks of models in the plane with c. Each mistake selects another model than Krum does in
# some of them, and no two mistakes agree in all.
_PLANES: list[tuple[list[list[int]], int]] = [
    ([[4, 3], [9, 1], [9, 4], [3, 2], [3, 0], [7, 3]], 1),
    ([[7, 8], [4, 1], [9, 2], [0, 4], [5, 9], [0, 2], [4, 9]], 2),
    ([[9, 6], [1, 1], [0, 3], [8, 2], [8, 0], [0, 4], [1, 8]], 1),
    ([[7, 9], [8, 0], [5, 1], [2, 5], [8, 6], [1, 3], [0, 2]], 1),
    ([[6, 5], [7, 2], [8, 3], [9, 3], [3, 3], [3, 8], [1, 0]], 1),
]
STACKS = [(np.array(models, np.float32), c) for models, c in _PLANES]


def check_distances(f: Answer, seeds: Iterable[int] = ()) -> None:
    """Check squared Euclidean distances: ``f(clients)`` with clients [k, d] gives [k, k].

    Examples
    --------
    >>> from pdrr.contracts import check_distances
    >>> check_distances(lambda x: np.linalg.norm(x[:, None] - x, axis=2))
    Traceback (most recent call last):
        ...
    AssertionError: your distances are not squared: Krum sums squared Euclidean distances.
    """
    cases = [Case(f"{len(models)} models in the plane", (models,)) for models, _ in STACKS[:2]]
    for seed in seeds:
        models = np.random.default_rng(seed).integers(-9, 9, (6, 4)).astype(np.float32)
        cases.append(Case("6 random models", (models,)))
    mistakes: dict[str, Answer] = {
        "your distances are not squared: Krum sums squared Euclidean distances": (
            lambda x: np.sqrt(oracles.distances(x))
        ),
        "your distances are squared twice: Krum needs |a - b|^2": (
            lambda x: oracles.distances(x) ** 2
        ),
        "your distances add absolute values: Krum needs squares": lambda x: np.abs(
            x[:, None, :].astype(np.float64) - x[None, :, :]
        ).sum(axis=2),
        "your distances fill only one half: the distance from j to i is that from i to j": (
            lambda x: np.triu(oracles.distances(x))
        ),
        "your distances are averaged over the parameters: Krum sums them": (
            lambda x: oracles.distances(x) / x.shape[1]
        ),
        "your distances lie between the coordinates: compare the rows": (
            lambda x: oracles.distances(x.T)
        ),
        "your distances have infinity on the diagonal: a model is at distance 0 of itself": (
            lambda x: oracles.distances(x) + np.diag(np.full(len(x), np.inf))
        ),
    }
    judge("your distance matrix", f, cases, oracles.distances, mistakes)


def check_krum_scores(f: Answer, seeds: Iterable[int] = ()) -> None:
    """Check Krum's scores: ``f(distances, c=...)`` with squared distances [k, k] gives [k].

    Examples
    --------
    >>> from pdrr.contracts import check_krum_scores
    >>> check_krum_scores(lambda squared, c: np.sort(squared)[:, 1 : len(squared) - c].sum(axis=1))
    Traceback (most recent call last):
        ...
    AssertionError: your Krum sums the k - c - 1 nearest, the paper k - c - 2.
    """
    stacks = list(STACKS)
    for seed in seeds:
        rng = np.random.default_rng(seed)
        stacks.append((rng.normal(size=(9, 4)).astype(np.float32), int(rng.integers(1, 5))))
    cases = [
        Case(f"distances of k = {len(x)} models, c = {c}", (oracles.distances(x),), {"c": c})
        for x, c in stacks
    ]
    mistakes: dict[str, Answer] = {
        message: oracles.scores_with(**wrong) for message, wrong in SCORE_MISTAKES.items()
    }
    mistakes["your Krum averages the distances: sum them"] = lambda squared, c: (
        oracles.scores_with()(squared, c) / (len(squared) - c - 2)
    )
    judge("your Krum score", f, cases, oracles.scores_with(), mistakes)


def check_precision(f: Answer, of: str) -> None:
    """Check that nearly equal models stay different models.

    Parameters
    ----------
    f : function
        ``f(clients)`` for distances, ``f(clients, c=...)`` for Krum.
    of : {"distances", "krum"}

    Raises
    ------
    AssertionError
        If differences in the last digits of float32 are lost.

    Examples
    --------
    >>> from pdrr.contracts import check_precision
    >>> def expanded(clients):
    ...     squares = (clients**2).sum(axis=1)
    ...     return squares[:, None] - 2 * clients @ clients.T + squares
    >>> check_precision(expanded, "distances")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    AssertionError: your distances lose digits: take the difference of two models first, ...
    """
    if of not in ("distances", "krum"):
        raise ValueError(f"check_precision needs of 'distances' or 'krum', got {of!r}")
    rng = np.random.default_rng(7)
    start = rng.normal(size=300).astype(np.float32)
    steps = np.array([14, 0, 1, 3, 4, 9, 40])[:, None] * rng.choice([-1, 1], (7, 300))
    models = (start + steps * np.spacing(np.abs(start))).astype(np.float32)
    text = "7 models that differ in their last digits"
    if of == "krum":
        case, needed = Case(text, (models,), {"c": 2}), oracles.krum
        judge("your Krum", f, [case], needed, {}, rtol=1e-9, otherwise=LOSES_DIGITS)
    else:
        case, needed = Case(text, (models,)), oracles.distances
        judge("your distance matrix", f, [case], needed, {}, rtol=1e-4, otherwise=LOSES_DIGITS)
