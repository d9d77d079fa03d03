"""MANDERA: two clusters of models by the mean and the spread of their ranks.

Zhu, Zhao, Luo, Deng, Liu, Annals of Applied Statistics 2026 (arXiv:2110.11736).
"""

from __future__ import annotations

import numpy as np

from pdrr.beyond.judging import Judge, Judgement
from pdrr.core.round_passes import rank_moments
from pdrr.methods import Scheme
from pdrr.types import Round


class Mandera(Judge):
    """Throws out one of two clusters, whatever the round: it is never silent.

    Each model is a point (e, v): mean and standard deviation of its mid-rank over the coordinates.
    Of two clusters the malicious one is that with more models that share their v with another of
    it, as clones do; if both have equally many, the smaller; if that tells nothing, a lot decides.
    Public code has ranked equal values by their place in the stack at times: who comes first then
    decides where coordinates stand still.

    Parameters
    ----------
    rng : numpy.random.Generator
        Starts the clustering, and draws the lot.

    Examples
    --------
    >>> from pdrr.beyond.rivals.mandera import Mandera
    >>> models = np.random.default_rng(0).normal(size=(5, 99))
    >>> models[3:] = -1.0  # clones
    >>> found = Mandera(rng=np.random.default_rng(0)).detect(pdrr.Round(models, np.zeros(99)))
    >>> found.flagged.tolist()
    [False, False, False, True, True]
    """

    def __init__(self, *, rng: np.random.Generator) -> None:
        self.rng = rng

    def judge(self, observed: Round) -> Judgement:
        """As `Judge.judge`; scores are distances to the centre of the models kept."""
        mean, variance = rank_moments(observed)
        points = np.stack([mean, np.sqrt(variance)], axis=1)
        flagged = self._malicious(points)
        kept = ~flagged
        scores = np.linalg.norm(points - points[kept].mean(axis=0), axis=1)
        return Judgement(scores, flagged, kept / kept.sum())

    def _malicious(self, points: np.ndarray) -> np.ndarray:
        """bool [k]: the cluster thrown out; nobody if all points are one."""
        if (points == points[0]).all():
            return np.zeros(len(points), dtype=bool)
        from sklearn.cluster import KMeans

        order = np.lexsort(points.T)  # whoever comes first in the stack
        seed = int(self.rng.integers(2**32))
        labels = np.empty(len(points), dtype=int)
        labels[order] = KMeans(2, n_init=10, random_state=seed).fit_predict(points[order])
        spreads = [points[labels == label, 1] for label in (0, 1)]
        lots = self.rng.random(2)
        bad = max((0, 1), key=lambda i: (_repeated(spreads[i]), -len(spreads[i]), lots[i]))
        return np.asarray(labels == bad)


def _repeated(values: np.ndarray) -> int:
    """How many of the values occur more than once."""
    counts = np.unique(values, return_counts=True)[1]
    return int(counts[counts > 1].sum())


SCHEME = Scheme(
    "MANDERA",
    lambda server: Mandera(rng=server.rng()),
    axis="distance in mean and spread of ranks",
    reference="Zhu, Zhao, Luo, Deng, Liu, Annals of Applied Statistics 2026",
    flags="own",
)
