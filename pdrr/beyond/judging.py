"""What all rivals have in common: non-finite models go first, and what is left is weighed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from pdrr.core.arrays import Array, array_namespace, like, select, to_host
from pdrr.core.checks import check_moderate, finite_rows, moderate_rows
from pdrr.core.combine import combined
from pdrr.types import Detection, Round


@dataclass(frozen=True)
class Judgement:
    """What a method says of n finite models.

    Attributes
    ----------
    scores : array [n] float64
        Suspicion, higher is more suspicious.
    flagged : bool array [n]
        The models it throws out.
    weights : array [n] float64
        Its aggregate is w_p + sum of weights[i] * (w_i - w_p).
    notes : tuple of str
    """

    scores: np.ndarray
    flagged: np.ndarray
    weights: np.ndarray
    notes: tuple[str, ...] = ()


class Judge(ABC):
    """A detector and aggregator made of one judgement of a round."""

    @abstractmethod
    def judge(self, observed: Round) -> Judgement:
        """The judgement of a round of finite models, at least one."""

    def detect(self, observed: Round) -> Detection:
        """Scores and flags of all models; those that are not finite are flagged first.

        So are those with values of 2**100 or more, of which sums of squares may overflow; a
        previous model with such values is refused with a ValueError. `pre_aggregate` is w_p:
        nothing is pre-aggregated.
        """
        return self._judged(observed)[1]

    def aggregate(self, observed: Round) -> tuple[Array, Detection]:
        """The new global model [d] and the detection behind it; w_p if nothing is left."""
        judged, detection = self._judged(observed)
        if judged is None:
            return array_namespace(observed.previous).asarray(
                observed.previous, copy=True
            ), detection
        judge, seen, judgement = judged
        return judge.combine(seen, judgement), detection

    def without(self, dropped: int) -> Self:  # noqa: ARG002, for those that expect attackers
        """The judge of a round that `dropped` unusable models are gone from.

        Whoever expects a number of attackers expects so many fewer.
        """
        return self

    def combine(self, observed: Round, judgement: Judgement) -> Array:
        """The aggregate [d] of finite models: their weighted sum."""
        return combined(observed, judgement.weights)

    def _judged(self, observed: Round) -> tuple[tuple[Self, Round, Judgement] | None, Detection]:
        check_moderate(type(self).__name__, observed.previous[None, :])
        usable = to_host(moderate_rows(observed.clients))
        rows, notes = np.flatnonzero(usable), []
        scores, flagged = np.ones(observed.k), np.ones(observed.k, dtype=bool)
        judge, seen, judged = self, observed, None
        if not usable.all():
            notes += _refused(usable, to_host(finite_rows(observed.clients)))
            ids = None if observed.ids is None else observed.ids[like(rows, observed.ids)]
            if rows.size:
                seen = replace(observed, clients=select(observed.clients, rows), ids=ids)
                judge = self.without(observed.k - rows.size)
        if rows.size:
            judgement = judge.judge(seen)
            judged = judge, seen, judgement
            scores[rows], flagged[rows] = judgement.scores, judgement.flagged
            scores[~usable] = max(1.0, float(judgement.scores.max()))
            notes += judgement.notes
        detection = Detection(
            statistic=like(np.where(usable, scores, np.nan), observed.clients),
            scores=like(scores, observed.clients),
            flagged=like(flagged, observed.clients),
            pre_aggregate=observed.previous,
            notes=tuple(notes),
        )
        return judged, detection


def _refused(usable: np.ndarray, finite: np.ndarray) -> list[str]:
    """Why models are flagged that nobody judged."""
    kinds = (("not finite", ~finite), ("too large", finite & ~usable))
    return [
        f"models {np.flatnonzero(rows).tolist()} are {words}: flagged"
        for words, rows in kinds
        if rows.any()
    ]
