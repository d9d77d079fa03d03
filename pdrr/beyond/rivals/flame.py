"""FLAME: the densest majority of the models, clipped to the median length, with noise.

Nguyen, Rieger, Chen, Yalame, Möllering, Fereidooni, Marchal, Miettinen, Mirhoseini, Zeitouni,
Koushanfar, Sadeghi, Schneider, USENIX Security 2022.
"""

from __future__ import annotations

import numpy as np

from pdrr.beyond.judging import Judge, Judgement
from pdrr.core.arrays import Array, array_namespace, blocks, float64, like
from pdrr.core.distances import gram
from pdrr.core.round_passes import cosines_of, products
from pdrr.methods import Scheme
from pdrr.types import Round

OUTSIDE = 2.0  # the largest cosine distance: whoever is outside comes before all inside


class FLAME(Judge):
    """Keeps the cluster of more than half of the models, by the angles between them.

    HDBSCAN on the cosine distances of the models themselves, not of their updates, as the paper
    has it; public code often clusters the rows of the distance matrix, or updates. Whoever is
    outside is flagged, also where nobody attacks: the cluster loses its rim until hardly more than
    half of the models are left. Updates longer than the median of all are
    shortened to it, those kept are averaged. Scores are the median distance to the others, plus 2
    outside the cluster. With half of the models or more, the attackers are the cluster.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws the noise.
    noise : float >= 0
        Its standard deviation in units of the median length. 0.001 is what public code adds; for
        (epsilon, delta) differential privacy it is sqrt(2 ln(1.25 / delta)) / epsilon.

    Examples
    --------
    >>> from pdrr.beyond.rivals.flame import FLAME
    >>> clients = np.array([[5.0, 1.0], [5.0, 1.1], [5.0, 1.2], [5.0, -3.0]])
    >>> flame = FLAME(rng=np.random.default_rng(0), noise=0)
    >>> model, found = flame.aggregate(pdrr.Round(clients, np.array([5.0, 0.0])))
    >>> found.flagged.tolist(), model.round(2).tolist()  # lengths 1, 1.1 and 1.2, cut to 1.15
    ([False, False, False, True], [5.0, 1.08])
    """

    def __init__(self, *, rng: np.random.Generator, noise: float = 0.001) -> None:
        if not (np.isfinite(noise) and noise >= 0):
            raise ValueError(f"FLAME needs a finite noise >= 0, got {noise}")
        self.rng, self.noise = rng, noise

    def judge(self, observed: Round) -> Judgement:
        """As `Judge.judge`."""
        k = observed.k
        # of the models; made from those of the updates, squares may come out negative
        apart = 1 - cosines_of(gram(observed.clients, None, np.arange(k)))
        inside = majority(apart)
        others = apart[~np.eye(k, dtype=bool)].reshape(k, k - 1)
        scores = np.median(others, axis=1) if k > 1 else np.zeros(k)
        length = _lengths(observed)
        clip = np.minimum(1, np.median(length) / np.where(length > 0, length, 1))
        notes = () if inside.any() else ("no cluster holds more than half of the models",)
        weights = np.where(inside, clip, 0) / max(1, inside.sum())
        return Judgement(np.where(inside, scores, scores + OUTSIDE), ~inside, weights, notes)

    def combine(self, observed: Round, judgement: Judgement) -> Array:
        """The mean of the kept, clipped updates with noise: [d]."""
        plain = super().combine(observed, judgement)
        sigma = self.noise * float(np.median(_lengths(observed)))
        if not sigma:
            return plain
        xp, parts = array_namespace(plain), []
        for cols in blocks(observed.d):
            here = float64(plain[cols])
            drawn = like(self.rng.normal(0, sigma, here.shape[0]), plain)
            parts.append(xp.astype(here + drawn, plain.dtype))
        return xp.concat(parts)


def majority(apart: np.ndarray) -> np.ndarray:
    """bool [k]: who is in HDBSCAN's cluster of more than k / 2, by distances [k, k]."""
    k = len(apart)
    if k == 1:
        return np.ones(1, dtype=bool)
    from sklearn.cluster import HDBSCAN

    clustering = HDBSCAN(
        min_cluster_size=k // 2 + 1,
        min_samples=1,
        allow_single_cluster=True,
        metric="precomputed",
        copy=True,
    )
    return np.asarray(clustering.fit(apart).labels_ == 0)


def _lengths(observed: Round) -> np.ndarray:
    return np.asarray(np.sqrt(np.diag(products(observed))))


SCHEME = Scheme(
    "FLAME",
    lambda server: FLAME(rng=server.rng()),
    axis="cosine distance",
    reference="Nguyen et al., USENIX Security 2022",
    flags="own",
)
