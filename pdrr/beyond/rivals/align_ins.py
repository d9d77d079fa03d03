"""AlignIns: how well each update agrees with the global model and with the majority's signs.

Xu, Zhang, Hu, CVPR 2025 (arXiv:2503.07978).
"""

from __future__ import annotations

import numpy as np

from pdrr.beyond.judging import Judge, Judgement
from pdrr.core.arrays import Array, array_namespace, blocks, float64, like, to_host
from pdrr.core.directions import lengths
from pdrr.core.magnitudes import thresholds
from pdrr.defenses import signs
from pdrr.methods import Scheme
from pdrr.types import Round


class AlignIns(Judge):
    """Keeps the models that two measures find near the median model.

    One is the cosine of the update and the global model before, of the models themselves, the other
    the share of an update's largest coordinates whose sign is the majority's. Both are turned into
    distances from their median, in standard deviations (over n). What is kept is cut to its median
    length and averaged. A limit of one deviation drops about a third of normal models at each test:
    it is never silent.

    Parameters
    ----------
    share : float in (0, 1]
        Of the coordinates of each update that vote.
    limit : float > 0
        Deviations from the median below which a model is kept.

    Raises
    ------
    ValueError
        If `share` or `limit` is none.

    Examples
    --------
    >>> from pdrr.beyond.rivals.align_ins import AlignIns
    >>> models = np.array([[2.0, 2, 2], [2, 2, 2], [2, 2, 2], [2, 2, 2], [0, 2, 0]])
    >>> AlignIns(share=1.0).detect(pdrr.Round(models, np.ones(3))).scores.round(2).tolist()
    [0.0, 0.0, 0.0, 0.0, 2.5]
    """

    def __init__(self, *, share: float = 0.3, limit: float = 1.0) -> None:
        if not (0 < share <= 1 and limit > 0):
            raise ValueError(f"AlignIns needs 0 < share <= 1, limit > 0, got {share} and {limit}")
        self.share, self.limit = share, limit

    def judge(self, observed: Round) -> Judgement:
        """As `Judge.judge`; scores are the larger of the two distances from the median."""
        rows = np.arange(observed.k)
        squared, product = lengths(observed, rows, observed.previous)
        length = np.sqrt(squared)
        scale = length * _norm(observed.previous)
        cosine = np.divide(product, scale, out=np.zeros(observed.k), where=scale > 0)
        agreement = _agreement(observed, self.share)
        scores = np.maximum(deviations(cosine), deviations(agreement))
        kept = scores < self.limit
        middle = float(np.median(length[kept])) if kept.any() else 0.0
        cut = np.divide(middle, length, out=np.ones(observed.k), where=length > middle)
        return Judgement(scores, ~kept, kept * cut / max(1, kept.sum()))


def deviations(values: np.ndarray) -> np.ndarray:
    """Distances from the median in standard deviations (over n): [k]; 0 if all are one value.

    Examples
    --------
    >>> from pdrr.beyond.rivals.align_ins import deviations
    >>> deviations(np.array([1.0, 1.0, 1.0, 5.0])).round(2).tolist()
    [0.0, 0.0, 0.0, 2.31]
    """
    if (values == values[0]).all():
        return np.zeros(len(values))
    return np.asarray(np.abs(values - np.median(values)) / values.std())


def _norm(x: Array) -> float:
    """The Euclidean length of a vector."""
    xp = array_namespace(x)
    squares = (float(xp.sum(float64(x[cols]) ** 2)) for cols in blocks(x.shape[0]))
    return float(np.sqrt(sum(squares)))


def _agreement(observed: Round, share: float) -> np.ndarray:
    """The share [k] of each update's largest coordinates whose sign is the majority's.

    Of coordinates that tie for the last places each counts in part.
    """
    xp, edge = array_namespace(observed.clients), thresholds(observed, share)
    last = like(edge, observed.clients)[:, None]
    above, equal = np.zeros(observed.k), np.zeros(observed.k)
    right_above, right_equal = np.zeros(observed.k), np.zeros(observed.k)
    for cols in blocks(observed.d, observed.k):
        x, base = observed.clients[:, cols], observed.previous[cols]
        sign = signs(x, base)
        right = sign == xp.sign(xp.sum(sign, axis=0))[None, :]
        size = xp.abs(float64(x) - float64(base)[None, :])
        for counted, inside in ((above, size > last), (equal, size == last)):
            counted += to_host(xp.count_nonzero(inside, axis=1))
        for counted, inside in ((right_above, size > last), (right_equal, size == last)):
            counted += to_host(xp.count_nonzero(inside & right, axis=1))
    n = max(1, round(share * observed.d))
    return np.asarray((right_above + (n - above) * right_equal / equal) / n)


SCHEME = Scheme(
    "AlignIns",
    lambda _: AlignIns(),
    axis="deviations from the median model",
    reference="Xu, Zhang, Hu, CVPR 2025",
    flags="own",
)
