"""RFA: the geometric median of the models, by smoothed Weiszfeld steps.

Pillutla, Kakade, Harchaoui, IEEE Transactions on Signal Processing 2022.
"""

from __future__ import annotations

import numpy as np

from pdrr.beyond.judging import Judge, Judgement
from pdrr.core.checks import check_int
from pdrr.core.round_passes import distances
from pdrr.methods import Scheme
from pdrr.types import Round

CHANGE = 1e-6  # of the summed distances, relative, at which the steps end


class RFA(Judge):
    """The geometric median as a weighted mean of the models; flags nobody.

    It begins at the mean and weighs each model by 1 / max(smoothing, distance to the median so
    far). All steps work on the models' distances to each other, whatever d is. Scores are the
    distances to the median. Every client counts alike: the server does not know how many images
    it has.

    Parameters
    ----------
    steps : int >= 1
        At most; 4, as the authors' code has it, stop short of the median itself.
    smoothing : float > 0
        In units of distance, so that it alone depends on the scale of the updates.

    Examples
    --------
    >>> from pdrr.beyond.rivals.rfa import RFA
    >>> observed = pdrr.Round(np.array([[0.0], [1.0], [9.0]]), np.zeros(1))
    >>> model, found = RFA(steps=100).aggregate(observed)
    >>> model.round(3).tolist(), found.scores.round(3).tolist()  # of three on a line, the middle
    ([1.0], [1.0, 0.0, 8.0])
    """

    def __init__(self, *, steps: int = 4, smoothing: float = 1e-5) -> None:
        if check_int("RFA", "steps", steps) < 1:
            raise ValueError(f"RFA needs steps >= 1, got {steps}")
        if not (np.isfinite(smoothing) and smoothing > 0):
            raise ValueError(f"RFA needs a finite smoothing > 0, got {smoothing}")
        self.steps, self.smoothing = steps, smoothing

    def judge(self, observed: Round) -> Judgement:
        """As `Judge.judge`."""
        k = observed.k
        squared = distances(observed)
        weights = np.full(k, 1 / k)
        far = _distances_to_mean(squared, weights)
        for _ in range(self.steps):
            before = far.sum()
            weights = 1 / np.maximum(far, self.smoothing)
            weights /= weights.sum()
            far = _distances_to_mean(squared, weights)
            if abs(before - far.sum()) <= CHANGE * far.sum():
                break
        return Judgement(far, np.zeros(k, dtype=bool), weights)


def _distances_to_mean(squared: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Distances [k] of k points to their weighted mean, from their squared distances [k, k]."""
    to_all = squared @ weights
    return np.asarray(np.sqrt(np.maximum(to_all - weights @ to_all / 2, 0)))


SCHEME = Scheme(
    "RFA",
    lambda _server: RFA(),
    axis="distance to the geometric median",
    reference="Pillutla, Kakade, Harchaoui, IEEE Transactions on Signal Processing 2022",
    flags="nobody",
)
