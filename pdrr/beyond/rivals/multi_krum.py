"""Multi-Krum: the mean of the k - c models that lie closest to their neighbours.

Blanchard, El Mhamdi, Guerraoui, Stainer, NeurIPS 2017.
"""

from __future__ import annotations

from copy import copy
from typing import Self

import numpy as np

from pdrr.baselines import flag_largest
from pdrr.beyond.judging import Judge, Judgement
from pdrr.core.checks import check_c
from pdrr.core.distances import krum_scores
from pdrr.core.round_passes import distances
from pdrr.methods import Scheme
from pdrr.types import Round


class MultiKrum(Judge):
    """Drops the c models with the largest Krum score, always so many: it is never silent.

    Parameters
    ----------
    c : int
        How many are dropped; k >= c + 3.
    rng : numpy.random.Generator
        Draws lots between equal scores.

    Examples
    --------
    >>> from pdrr.beyond.rivals.multi_krum import MultiKrum
    >>> observed = pdrr.Round(np.array([[0.0], [1.0], [2.0], [3.0], [10.0]]), np.zeros(1))
    >>> model, found = MultiKrum(c=1, rng=np.random.default_rng(0)).aggregate(observed)
    >>> found.scores.tolist(), model.tolist()  # squared distances to the two nearest others
    ([5.0, 2.0, 2.0, 5.0, 113.0], [1.5])
    """

    def __init__(self, *, c: int, rng: np.random.Generator) -> None:
        self.c, self.rng = c, rng

    def without(self, dropped: int) -> Self:
        """As `Judge.without`."""
        left = copy(self)
        left.c = max(0, self.c - dropped)
        return left

    def judge(self, observed: Round) -> Judgement:
        """As `Judge.judge`."""
        c = check_c("MultiKrum", observed.k, self.c)
        scores = krum_scores(distances(observed), neighbours=observed.k - c - 2)
        flagged = flag_largest(scores, c, self.rng)
        return Judgement(scores, flagged, ~flagged / (observed.k - c))


SCHEME = Scheme(
    "Multi-Krum",
    lambda server: MultiKrum(c=server.c, rng=server.rng()),
    axis="squared distances to the nearest",
    reference="Blanchard, El Mhamdi, Guerraoui, Stainer, NeurIPS 2017",
)
