"""How alike the models of a round are: inner products of updates and of their signs, one pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pdrr.core.arrays import blocks
from pdrr.defenses import signs, suspicion
from pdrr.experiments.records import Records
from pdrr.experiments.scene import defense, scene
from pdrr.federation.store import Store
from pdrr.types import Detection, Round


@dataclass(frozen=True, eq=False)
class Products:
    """Inner products between the k models of a round.

    Attributes
    ----------
    d : int
    raw, signed, moved : float64 arrays [k, k]
        Of the updates w_i - w_p, of their signs, of the absolute values of these.
    raw_sum, signed_sum : float64 arrays [k]
        Sums of the updates and of their signs over the coordinates.
    """

    d: int
    raw: np.ndarray
    signed: np.ndarray
    moved: np.ndarray
    raw_sum: np.ndarray
    signed_sum: np.ndarray

    @classmethod
    def of(cls, observed: Round) -> Products:
        """One pass over the models, a block at a time."""
        k, d = observed.k, observed.d
        raw, signed, moved = (np.zeros((k, k)) for _ in range(3))
        raw_sum, signed_sum = np.zeros(k), np.zeros(k)
        for cols in blocks(d, k):
            x, base = np.asarray(observed.clients[:, cols]), np.asarray(observed.previous[cols])
            s = signs(x, base)  # products of a block of signs are whole numbers, exact in float32
            signed += s @ s.T
            signed_sum += s.sum(axis=1)
            np.abs(s, out=s)
            moved += s @ s.T
            update = x.astype(np.float64) - base
            raw += update @ update.T
            raw_sum += update.sum(axis=1)
        return cls(d, raw, signed, moved, raw_sum, signed_sum)

    @property
    def sign_pearson(self) -> np.ndarray:
        """[k, k]: Pearson correlation of the signs, the paper's rho."""
        return _pearson(self.signed, self.signed_sum, self.d)

    @property
    def sign_cosine(self) -> np.ndarray:
        """[k, k]: cosine of the signs."""
        return _cosine(self.signed)

    @property
    def sign_agreement(self) -> np.ndarray:
        """[k, k]: share of the coordinates in which two models move the same way, or neither."""
        moved = np.diag(self.moved)
        neither = self.d - moved[:, None] - moved[None, :] + self.moved
        return np.asarray(((self.signed + self.moved) / 2 + neither) / self.d)

    @property
    def raw_pearson(self) -> np.ndarray:
        """[k, k]: Pearson correlation of the updates."""
        return _pearson(self.raw, self.raw_sum, self.d)

    @property
    def raw_cosine(self) -> np.ndarray:
        """[k, k]: cosine of the updates."""
        return _cosine(self.raw)

    @property
    def squared_distances(self) -> np.ndarray:
        """[k, k]: between the models; too coarse for clones."""
        norms = np.diag(self.raw)
        return np.asarray(np.maximum(norms[:, None] + norms[None, :] - 2 * self.raw, 0))


def _cosine(products: np.ndarray) -> np.ndarray:
    norms = np.sqrt(np.maximum(np.diag(products), 0))  # less than 0 by rounding
    scale = norms[:, None] * norms[None, :]
    cosine: np.ndarray = np.divide(products, scale, out=np.zeros_like(products), where=scale > 0)
    return cosine


def _pearson(products: np.ndarray, sums: np.ndarray, d: int) -> np.ndarray:
    return _cosine(products - sums[:, None] * sums[None, :] / d)


def mean_among(similarity: np.ndarray, rows: np.ndarray) -> float:
    """Mean of a similarity [k, k] over the pairs of the given models; NaN if there is no pair."""
    among = similarity[np.ix_(rows, rows)]
    pairs = among[np.triu_indices(len(rows), 1)]
    return float(pairs.mean()) if pairs.size else float("nan")


READINGS = {
    "Pearson of signs": "sign_pearson",
    "cosine of signs": "sign_cosine",
    "agreement of signs": "sign_agreement",
    "Pearson of updates": "raw_pearson",
    "cosine of updates": "raw_cosine",
}
"""Ways to say how alike two models are; the first is the paper's."""


def similarities(*, q: float | None = None, store: Store | None = None, **options: Any) -> Records:
    """Let PDRR for Krum judge by other similarities than the paper's.

    "Here, the similarity is calculated by Pearson correlation coefficient [...], but other
    similarity measurement methods are also adopted" (section 4.1).

    Parameters
    ----------
    q : float, optional
        In place of the profile's, for all of them.
    store, options : as in `pdrr.experiments.scene.scene`

    Returns
    -------
    Records
        A row per similarity (`reading`) and client: its similarity to w_pag, score, flagged. A run
        per similarity: FAR and MAR at q, and the range of suitable q.

    Examples
    --------
    >>> from pdrr import experiments
    >>> found = experiments.similarities(profile="smoke", seed=3, knowledge="full")
    >>> found.runs["reading"].tolist()[:2]
    ['Pearson of signs', 'cosine of signs']
    >>> found.runs["mar"].tolist()[:2]
    [0.0, 0.0]
    """
    here = scene("krum", store=store, **options)
    detector = defense(here.settings, "krum", q)
    ours = detector.detect(here.observed)
    selected = _row_of(here.observed, ours.pre_aggregate)
    products = Products.of(here.observed)
    tables, runs = [], []
    for reading, name in READINGS.items():
        statistic = getattr(products, name)[selected]
        scores = suspicion("krum", statistic)
        found = Detection(statistic, scores, scores >= detector.q, ours.pre_aggregate)
        key = {"reading": reading, **here.key}
        tables.append(here.clients(found, **key))
        outcome = here.outcome(ours.pre_aggregate)
        runs.append({**key, "q": detector.q, **outcome, **here.rates(found)})
    return here.records(pd.concat(tables, ignore_index=True), runs)


def _row_of(observed: Round, model: np.ndarray) -> int:
    """Which model Krum has selected, from what it returned."""
    return next(i for i, row in enumerate(observed.clients) if np.array_equal(row, model))
