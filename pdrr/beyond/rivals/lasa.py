"""LASA: layer by layer, the mean of sparse updates of usual length and sign.

Xu, Zhang, Hu, WACV 2025 (arXiv:2409.01435).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pdrr.beyond.judging import Judge, Judgement
from pdrr.beyond.rivals.align_ins import deviations
from pdrr.core.arrays import Array, array_namespace, blocks, float64, like, to_host
from pdrr.core.directions import lengths
from pdrr.core.magnitudes import thresholds
from pdrr.methods import Scheme
from pdrr.types import Round

Layer = tuple[int, int, int]
"""Where a layer starts and stops in a model [d], and its dimensions: 2 or 4 are weights."""


@dataclass(frozen=True, kw_only=True)
class Layered(Judgement):
    """A judgement of each layer of the updates.

    Attributes
    ----------
    least : array [layers, k] float64
        The magnitude below which coordinates of an update are left out.
    shares : array [layers, k] float64
        The weights of the updates in the aggregate.
    """

    least: np.ndarray
    shares: np.ndarray


class LASA(Judge):
    """Averages in each layer the updates whose length and signs are near the median ones.

    Updates are cut to their median length, and the smallest magnitudes among all weights (not the
    biases) left out. In each layer two numbers of a sparse update count: its length, and how far
    positive coordinates outnumber negative ones; those too many standard deviations (over n) from
    the median are dropped there. A layer in which nobody stays takes all. What is averaged is
    sparse, as in public code.

    Parameters
    ----------
    layers : sequence of (start, stop, dimensions)
        Of a model [d], in order and without gaps.
    sparsity : float in [0, 1)
        Which share of the weights is left out.
    limits : (float, float)
        Deviations of length and of signs below which an update is kept.

    Raises
    ------
    ValueError
        If `layers` do not cover a model, or the other numbers are none.

    Examples
    --------
    >>> from pdrr.beyond.rivals.lasa import LASA
    >>> models = np.array([[1.0, 1, 1], [1, 1, 1], [1, 1, -1], [1, 1, 1]])
    >>> lasa = LASA(layers=((0, 2, 2), (2, 3, 1)))
    >>> model, found = lasa.aggregate(pdrr.Round(models, np.zeros(3)))
    >>> found.scores.round(2).tolist(), model.tolist()  # the third is dropped in the bias
    ([0.0, 0.0, 0.33, 0.0], [1.0, 1.0, 1.0])
    """

    def __init__(
        self,
        *,
        layers: Sequence[Layer],
        sparsity: float = 0.3,
        limits: tuple[float, float] = (1.0, 1.0),
    ) -> None:
        ends = [0, *(stop for _, stop, _ in layers)]
        if not layers or [start for start, _, _ in layers] != ends[:-1]:
            raise ValueError(f"LASA needs layers without gaps, got {list(layers)}")
        if not (0 <= sparsity < 1 and min(limits) > 0):
            raise ValueError(f"LASA needs 0 <= sparsity < 1, limits > 0, got {sparsity}, {limits}")
        self.layers, self.sparsity, self.limits = tuple(layers), sparsity, limits

    def judge(self, observed: Round) -> Layered:
        """As `Judge.judge`.

        Scores are the share of an update's coordinates in layers where it is dropped; flagged is
        who is dropped everywhere.
        """
        k, d = observed.k, observed.d
        if self.layers[-1][1] != d:
            raise ValueError(f"LASA needs layers of d={d} parameters, got {self.layers[-1][1]}")
        length = np.sqrt(lengths(observed, np.arange(k), observed.previous)[0])
        middle = float(np.median(length))
        cut = np.divide(middle, length, out=np.ones(k), where=length > middle)
        least = self._least(observed)
        shares, dropped = np.empty((len(self.layers), k)), np.zeros(k)
        for number, (start, stop, _) in enumerate(self.layers):
            own_length, sign = _features(observed, start, stop, least[number])
            kept = deviations(own_length * cut) < self.limits[0]
            kept &= deviations(sign) < self.limits[1]
            kept |= not kept.any()
            shares[number] = kept * cut / kept.sum()
            dropped += ~kept * (stop - start)
        scores = dropped / d
        nobody = np.zeros(k)  # the weights are those of the layers
        return Layered(scores, dropped == d, nobody, least=least, shares=shares)

    def combine(self, observed: Round, judgement: Judgement) -> Array:
        """As `Judge.combine`, layer by layer."""
        assert isinstance(judgement, Layered)
        xp, parts = array_namespace(observed.clients), []
        for (start, stop, _), least, by in zip(
            self.layers, judgement.least, judgement.shares, strict=True
        ):
            for cols in _blocks(start, stop, observed.k):
                mean = like(by, observed.clients) @ _sparse(observed, cols, least)
                model = float64(observed.previous[cols]) + mean
                parts.append(xp.astype(model, observed.clients.dtype))
        return xp.concat(parts)

    def _least(self, observed: Round) -> np.ndarray:
        """The least magnitude [layers, k] that is not left out."""
        weights = np.array([dimensions in (2, 4) for _, _, dimensions in self.layers])
        parts = [slice(start, stop) for start, stop, dims in self.layers if dims in (2, 4)]
        if not parts or not self.sparsity:
            return np.zeros((len(weights), observed.k))
        return np.outer(weights, thresholds(observed, 1 - self.sparsity, parts))


def _blocks(start: int, stop: int, k: int) -> Iterator[slice]:
    for cols in blocks(stop - start, k):
        yield slice(start + cols.start, start + cols.stop)


def _sparse(observed: Round, cols: slice, least: np.ndarray) -> Array:
    """Updates [k, m] float64 with 0 where they are smaller than their least magnitude [k]."""
    xp = array_namespace(observed.clients)
    x = float64(observed.clients[:, cols]) - float64(observed.previous[cols])[None, :]
    return xp.where(xp.abs(x) >= like(least, observed.clients)[:, None], x, 0.0)


def _features(
    observed: Round, start: int, stop: int, least: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The lengths [k] of the sparse updates in a layer, and the sum of signs over their number."""
    xp = array_namespace(observed.clients)
    squares, positive, negative = np.zeros((3, observed.k))
    for cols in _blocks(start, stop, observed.k):
        x = _sparse(observed, cols, least)
        squares += to_host(xp.sum(x * x, axis=1))
        positive += to_host(xp.count_nonzero(x > 0, axis=1))
        negative += to_host(xp.count_nonzero(x < 0, axis=1))
    signs = (positive - negative) / np.maximum(1, positive + negative)
    return np.sqrt(squares), signs


SCHEME = Scheme(
    "LASA",
    lambda server: LASA(layers=server.layers),
    axis="share of parameters dropped",
    reference="Xu, Zhang, Hu, WACV 2025",
    flags="own",
    needs=frozenset({"layers"}),
)
