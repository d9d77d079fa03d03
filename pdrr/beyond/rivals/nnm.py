"""NNM: each model is mixed with those nearest to it, then the trimmed mean of the mixtures.

Allouah, Farhadkhani, Guerraoui, Gupta, Pinot, Stephan, AISTATS 2023.
"""

from __future__ import annotations

from copy import copy
from typing import Self

import numpy as np

from pdrr.beyond.judging import Judge, Judgement
from pdrr.core.arrays import Array, array_namespace, blocks, float64, like
from pdrr.core.checks import whole
from pdrr.core.order import middle_mean
from pdrr.core.round_passes import distances
from pdrr.methods import Scheme
from pdrr.types import Round

EQUAL = 1e-9  # distances whose ratio is nearer to 1 are ties: rounding must not break them


class NNM(Judge):
    """Nearest-neighbour mixing before a trimmed mean; flags nobody.

    Each update becomes the mean of the k - c nearest ones, itself included; models that tie for
    the last places share them. The aggregate is the trimmed mean of these means, c per side. A
    model's score is the share of the others that leave it out of their neighbourhood. It is no sum
    of models with fixed weights; those of the judgement are the models' shares before trimming.

    Parameters
    ----------
    c : int
        How many models may be malicious; 0 <= 2c < k.

    Examples
    --------
    >>> from pdrr.beyond.rivals.nnm import NNM, mixing
    >>> observed = pdrr.Round(np.array([[0.0], [1.0], [2.0], [10.0]]), np.zeros(1))
    >>> (mixing(observed, c=1) @ observed.updates)[:, 0].round(3).tolist()
    [1.0, 1.0, 1.0, 4.333]
    >>> model, found = NNM(c=1).aggregate(observed)
    >>> model.tolist(), found.scores.round(3).tolist()  # the last is nobody's neighbour
    ([1.0], [0.333, 0.0, 0.0, 1.0])
    """

    def __init__(self, *, c: int) -> None:
        self.c = whole("NNM", "c", c)

    def without(self, dropped: int) -> Self:
        """As `Judge.without`."""
        left = copy(self)
        left.c = max(0, self.c - dropped)
        return left

    def judge(self, observed: Round) -> Judgement:
        """As `Judge.judge`."""
        k = observed.k
        mixed = mixing(observed, self.c)
        left_out = k - 1 - (mixed.sum(axis=0) - np.diag(mixed)) * (k - self.c)
        scores = np.maximum(left_out, 0) / max(1, k - 1)
        return Judgement(scores, np.zeros(k, dtype=bool), mixed.mean(axis=0))

    def combine(self, observed: Round, judgement: Judgement) -> Array:  # noqa: ARG002, it is no weighted sum
        """The trimmed mean [d] of the mixtures."""
        xp = array_namespace(observed.clients)
        mixed = like(mixing(observed, self.c), observed.clients)
        parts = []
        for cols in blocks(observed.d, observed.k):
            base = float64(observed.previous[cols])
            # updates: where nobody moved, every mixture is exactly 0
            y = mixed @ (float64(observed.clients[:, cols]) - base[None, :])
            middle = middle_mean(y, self.c)
            parts.append(xp.astype(base + middle, observed.clients.dtype))
        return xp.concat(parts)


def mixing(observed: Round, c: int) -> np.ndarray:
    """The mixing weights [k, k] float64: row i holds those of model i, which add up to 1.

    ValueError unless 2c < k.
    """
    k = observed.k
    if 2 * c >= k:
        raise ValueError(f"NNM needs 2*c < k, got c={c} for k={k}")
    squared = distances(observed).copy()
    np.fill_diagonal(squared, -1)  # the model itself comes first, before its copies
    edge = np.sort(squared, axis=1)[:, k - c - 1, None]
    inside = squared < edge * (1 - EQUAL)
    tied = ~inside & (squared <= edge * (1 + EQUAL))
    places = k - c - inside.sum(axis=1, keepdims=True)
    shares = inside + tied * places / np.maximum(tied.sum(axis=1, keepdims=True), 1)
    return np.asarray(shares / (k - c))


SCHEME = Scheme(
    "NNM",
    lambda server: NNM(c=server.c),
    axis="left out by others",
    reference="Allouah, Farhadkhani, Guerraoui, Gupta, Pinot, Stephan, AISTATS 2023",
    flags="nobody",
)
