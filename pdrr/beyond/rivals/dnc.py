"""DnC: models that stand out along the first principal direction of a sample of coordinates.

Shejwalkar, Houmansadr, NDSS 2021.
"""

from __future__ import annotations

from copy import copy
from typing import Self

import numpy as np

from pdrr.baselines import flag_largest
from pdrr.beyond.judging import Judge, Judgement
from pdrr.core.arrays import Array, array_namespace, float64, like, to_host
from pdrr.core.checks import check_int, whole
from pdrr.methods import Scheme
from pdrr.types import Round


class DnC(Judge):
    """Divide and conquer: drops those with the largest part in the first singular vector.

    Always so many: it is never silent. Scores are the squared projections of the centred updates,
    averaged over the trials. Public code has also read the first column of the transposed singular
    vectors instead of the first row.

    Parameters
    ----------
    c : int >= 0
        How many models are malicious.
    rng : numpy.random.Generator
        Draws the coordinates, and lots between equal scores.
    trials : int >= 1
        A model is kept if every trial keeps it.
    coordinates : int >= 1
        Drawn in each trial; all if there are no more.
    share : float >= 0
        share * c models, rounded down, are dropped in each trial.

    Examples
    --------
    >>> from pdrr.beyond.rivals.dnc import DnC
    >>> observed = pdrr.Round(np.outer([0.0, 1.0, 2.0, 9.0], [1.0, 1.0]), np.zeros(2))
    >>> model, found = DnC(c=1, rng=np.random.default_rng(0)).aggregate(observed)
    >>> found.scores.round(9).tolist()  # twice the squares of -3, -2, -1 and 6
    [18.0, 8.0, 2.0, 72.0]
    >>> found.flagged.tolist(), model.tolist()
    ([False, False, False, True], [1.0, 1.0])
    """

    def __init__(
        self,
        *,
        c: int,
        rng: np.random.Generator,
        trials: int = 1,
        coordinates: int = 10_000,
        share: float = 1.0,
    ) -> None:
        self.c, self.rng = whole("DnC", "c", c), rng
        for name, value in (("trials", trials), ("coordinates", coordinates)):
            if check_int("DnC", name, value) < 1:
                raise ValueError(f"DnC needs {name} >= 1, got {value}")
        if not (np.isfinite(share) and share >= 0):
            raise ValueError(f"DnC needs a finite share >= 0, got {share}")
        self.trials, self.coordinates, self.share = trials, coordinates, share

    def without(self, dropped: int) -> Self:
        """As `Judge.without`."""
        left = copy(self)
        left.c = max(0, self.c - dropped)
        return left

    def judge(self, observed: Round) -> Judgement:
        """As `Judge.judge`."""
        k, dropped = observed.k, int(self.share * self.c)
        if dropped >= k:
            raise ValueError(f"DnC needs share * c < k, got share={self.share}, c={self.c}, k={k}")
        scores, flagged = np.zeros(k), np.zeros(k, dtype=bool)
        for _ in range(self.trials):
            found = projections(self._sample(observed))
            flagged |= flag_largest(found, dropped, self.rng)
            scores += found / self.trials
        return Judgement(scores, flagged, ~flagged / max(1, k - flagged.sum()))

    def _sample(self, observed: Round) -> np.ndarray:
        """Updates [k, r] float64 at the coordinates drawn."""
        r = min(observed.d, self.coordinates)
        drawn = np.sort(self.rng.choice(observed.d, r, replace=False, shuffle=False))
        at = like(drawn, observed.clients)

        def taken(x: Array) -> np.ndarray:
            return to_host(float64(array_namespace(x).take(x, at, axis=x.ndim - 1)))

        return np.asarray(taken(observed.clients) - taken(observed.previous))


def projections(updates: np.ndarray) -> np.ndarray:
    """Squared projections [k] of centred rows [k, r] on their first right singular vector."""
    centred = updates - updates.mean(axis=0)
    first = np.linalg.svd(centred, full_matrices=False)[2][0]
    return np.asarray((centred @ first) ** 2)


SCHEME = Scheme(
    "DnC",
    lambda server: DnC(c=server.c, rng=server.rng()),
    axis="squared projection",
    reference="Shejwalkar, Houmansadr, NDSS 2021",
)
