"""SignGuard: models of usual length whose shares of positive and negative updates lie together.

Xu, Huang, Song, Lan, ICDCS 2022 (arXiv:2109.05872).
"""

from __future__ import annotations

import warnings

import numpy as np

from pdrr.beyond.judging import Judge, Judgement
from pdrr.core.arrays import BLOCK, array_namespace, like, to_host
from pdrr.core.round_passes import cosines, products
from pdrr.defenses import signs
from pdrr.methods import Scheme
from pdrr.types import Round

SHARE = 0.1  # of the coordinates, drawn anew each round
SHORTEST, LONGEST = 0.1, 3.0  # lengths of updates kept, in medians


class SignGuard(Judge):
    """Keeps the largest cluster of sign features, without updates of unusual length.

    The features of a model are the shares of positive, zero and negative updates among a tenth of
    the coordinates, each relative to its largest over the models. They are clustered by mean shift;
    the kept updates are cut to the median length and averaged. Public code often takes a run of
    neighbouring coordinates instead of random ones.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws the coordinates.
    similar : bool
        SignGuard-Sim: also the cosine similarity is a feature, here the median one to the other
        models, as in its authors' first rounds: their reference for later ones, the aggregate
        before, is not part of a round. Where that of the median model is not positive, it is left
        out.

    Examples
    --------
    >>> from pdrr.beyond.rivals.sign_guard import SignGuard
    >>> rng, up = np.random.default_rng(0), np.ones(20)
    >>> observed = pdrr.Round(np.array([up, 2 * up, 2 * up, 9 * up, -2 * up]), np.zeros(20))
    >>> model, found = SignGuard(rng=rng).aggregate(observed)
    >>> found.flagged.tolist(), model[0].round(2)  # one is too long, one points elsewhere
    ([False, False, False, True, True], np.float64(1.67))
    """

    def __init__(self, *, rng: np.random.Generator, similar: bool = False) -> None:
        self.rng, self.similar = rng, similar

    def judge(self, observed: Round) -> Judgement:
        """As `Judge.judge`.

        Scores are distances to the centre of the features kept; to those of an unusual length, by
        which share it exceeds the longest, or falls short of the shortest, is added.
        """
        length = np.sqrt(np.diag(products(observed)))
        middle = float(np.median(length))
        outside = _short(length, LONGEST * middle) + _short(SHORTEST * middle, length)
        features = _relative(_sign_shares(observed, self.rng))
        if self.similar:
            features = np.column_stack([features, _similarity(observed)])
        features = np.round(features, 12)  # whose last digits a processor chose are no clusters
        together = _largest_cluster(features)
        kept = together & (outside == 0)
        centre = features[kept if kept.any() else together].mean(axis=0)
        scores = np.linalg.norm(features - centre, axis=1) + outside
        cut = 1 - _short(length, middle)
        return Judgement(scores, ~kept, kept * cut / max(1, kept.sum()))


def _short(large: np.ndarray | float, small: np.ndarray | float) -> np.ndarray:
    """By which share the second number falls short of the first: [k], 0 where it does not."""
    large, small = np.broadcast_arrays(large, small)
    ratio = np.divide(small, large, out=np.ones(large.shape), where=large > small)
    return np.asarray(1 - ratio)


def _sign_shares(observed: Round, rng: np.random.Generator) -> np.ndarray:
    """Shares [k, 3] of positive, zero and negative updates among random coordinates."""
    xp = array_namespace(observed.clients)
    chosen = np.sort(rng.choice(observed.d, max(1, round(SHARE * observed.d)), replace=False))
    counts = np.zeros((observed.k, 3))
    for first in range(0, len(chosen), BLOCK):
        cols = like(chosen[first : first + BLOCK], observed.clients)
        x = xp.take(observed.clients, cols, axis=1)
        sign = signs(x, xp.take(observed.previous, cols, axis=0))
        for column, value in enumerate((1, 0, -1)):
            counts[:, column] += to_host(xp.count_nonzero(sign == value, axis=1))
    return counts / len(chosen)


def _relative(shares: np.ndarray) -> np.ndarray:
    """Each column divided by its maximum, where that is not 0."""
    largest = shares.max(axis=0)
    return np.asarray(shares / np.where(largest > 0, largest, 1))


def _similarity(observed: Round) -> np.ndarray:
    """The feature [k] made of each model's median cosine with the others, at most 0.2."""
    if observed.k < 2:
        return np.zeros(observed.k)
    others = ~np.eye(observed.k, dtype=bool)
    cosine = np.median(cosines(observed)[others].reshape(observed.k, -1), axis=1)
    middle = float(np.median(cosine))
    if middle <= 0:
        return np.zeros(observed.k)
    return np.asarray(cosine.clip(0, middle) / (5 * middle))


def _largest_cluster(points: np.ndarray) -> np.ndarray:
    """bool [k]: the largest cluster of mean shift; of equally large ones the densest."""
    from sklearn.cluster import MeanShift, estimate_bandwidth

    order = np.lexsort(points.T)  # whoever comes first in the stack
    ordered = points[order]
    bandwidth = estimate_bandwidth(ordered, quantile=0.5)
    if bandwidth > 0:
        shift = MeanShift(bandwidth=bandwidth, bin_seeding=True, cluster_all=False)
        with warnings.catch_warnings():  # each model in a bin of its own: then it starts from them
            warnings.filterwarnings("ignore", message="Binning data failed")
            labels = shift.fit_predict(ordered)
    else:  # most models have the features of half of them
        labels = np.unique(ordered, axis=0, return_inverse=True)[1].reshape(-1)
    sizes = np.bincount(labels[labels >= 0])
    found = np.empty(len(points), dtype=bool)
    found[order] = labels == sizes.argmax()
    return found


REFERENCE = "Xu, Huang, Song, Lan, ICDCS 2022"
AXIS = "distance of sign features"
SCHEME = (
    Scheme("SignGuard", lambda server: SignGuard(rng=server.rng()), AXIS, REFERENCE, "own"),
    Scheme(
        "SignGuard-Sim",
        lambda server: SignGuard(rng=server.rng(), similar=True),
        AXIS,
        REFERENCE,
        "own",
    ),
)
