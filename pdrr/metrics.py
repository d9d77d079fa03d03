"""How good a detection is: false and missing alarms, and the range of thresholds that work."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pdrr.core.arrays import Array, to_host
from pdrr.core.checks import check_int


def far(flagged: Array, byzantine: Array) -> float:
    """False alarm rate: flagged benign models over benign models (paper, section 5.2).

    Parameters
    ----------
    flagged, byzantine : bool arrays [k]
        The verdict and the truth.

    Returns
    -------
    float
        NaN if no model is benign.

    Raises
    ------
    ValueError, TypeError
        If the shapes or dtypes do not fit.

    Examples
    --------
    >>> flagged = np.array([True, False, False, True, True])
    >>> byzantine = np.array([False, False, False, False, True])
    >>> pdrr.far(flagged, byzantine)  # two of four benign models
    0.5
    """
    flagged, byzantine = _masks("far", flagged, byzantine)
    return float("nan") if byzantine.all() else float(flagged[~byzantine].mean())


def mar(flagged: Array, byzantine: Array) -> float:
    """Missing alarm rate: unflagged malicious models over malicious models (section 5.2).

    Parameters and errors as in `far`; NaN if no model is malicious.

    Examples
    --------
    >>> flagged = np.array([True, False, False, True, True])
    >>> byzantine = np.array([False, True, True, True, True])
    >>> pdrr.mar(flagged, byzantine)  # two of four malicious models
    0.5
    """
    flagged, byzantine = _masks("mar", flagged, byzantine)
    return float((~flagged[byzantine]).mean()) if byzantine.any() else float("nan")


def q_range(scores: Array, byzantine: Array) -> tuple[float, float] | None:
    """The thresholds q that detect without any error (paper, Fig. 11).

    Parameters
    ----------
    scores : array [k] float
        Suspicion, higher is more suspicious.
    byzantine : bool array [k]
        The truth; needs both kinds of model.

    Returns
    -------
    (low, high) or None
        ``score >= q`` has FAR = MAR = 0 for every low < q <= high, within [0, 1]; None if no
        such q exists. The length high - low is the separation of the two kinds.

    Examples
    --------
    >>> byzantine = np.array([False, False, True, True])
    >>> pdrr.q_range(np.array([0.1, 0.3, 0.8, 1.0]), byzantine)
    (0.3, 0.8)
    >>> pdrr.q_range(np.array([0.1, 0.9, 0.8, 1.0]), byzantine) is None
    True
    """
    scores, byzantine = _judged("q_range", scores, byzantine)
    low = float(np.clip(scores[~byzantine].max(), 0, 1))
    high = float(np.clip(scores[byzantine].min(), 0, 1))
    return (low, high) if low < high else None


class Lots(NamedTuple):
    """What to expect of a scheme that flags c models, ties drawn by lot: see `by_lot`.

    Attributes
    ----------
    far, mar : float
        Means over all draws.
    tied : int
        Models that share the c-th score, if not all of them can be flagged; else 0.
    drawn : int
        Places among the flagged that are drawn between them.
    by_lot : bool
        Whether the rates are a matter of luck: more than half of the flagged places are drawn.
    """

    far: float
    mar: float
    tied: int
    drawn: int
    by_lot: bool


def by_lot(scores: Array, byzantine: Array, c: int) -> Lots:
    """FAR and MAR to expect where the c largest scores are flagged and ties are drawn by lot.

    Of `tied` models with the c-th score only `drawn` can be flagged, each with chance
    drawn / tied: the number of malicious ones among them is hypergeometric, and its mean is exact.
    The rates of one draw are called "by lot" if more than half of the flagged places are drawn:
    then luck has more places than the scores have, and a detector that looked at nothing would
    do much the same. With fewer the rates stay a measurement of the scores.

    Parameters
    ----------
    scores : array [k] float
        Suspicion, higher is more suspicious.
    byzantine : bool array [k]
        The truth.
    c : int
        How many are flagged, 0 <= c <= k.

    Returns
    -------
    Lots
        ``far``, ``mar``, ``tied``, ``drawn``, ``by_lot``; without a tie at the c-th place ``far``
        and ``mar`` are those of the c largest. NaN as in `far` and `mar`.

    Raises
    ------
    ValueError, TypeError
        If the shapes or dtypes do not fit, a score is NaN, or c is no such number.

    Examples
    --------
    >>> byzantine = np.array([True, True, False, False, False])
    >>> pdrr.by_lot(np.array([0.0, 0.0, 0.0, 0.0, 0.0]), byzantine, c=2)  # chance
    Lots(far=0.4, mar=0.6, tied=5, drawn=2, by_lot=True)
    >>> pdrr.by_lot(np.array([0.9, 0.5, 0.5, 0.1, 0.1]), byzantine, c=2)  # half is drawn, no more
    Lots(far=0.16666666666666666, mar=0.25, tied=2, drawn=1, by_lot=False)
    """
    scores = to_host(scores)
    _, byzantine = _masks("by_lot", np.zeros(scores.shape, dtype=bool), byzantine)
    if not 0 <= check_int("by_lot", "c", c) <= len(scores):
        raise ValueError(f"by_lot needs 0 <= c <= k, got c={c} for k={len(scores)}")
    if np.isnan(scores).any():
        raise ValueError(f"by_lot needs scores, got NaN for {np.flatnonzero(np.isnan(scores))}")
    edge = np.sort(scores)[len(scores) - c] if c else np.inf
    above = scores > edge
    level = (scores == edge) & (c > 0)
    places = c - int(above.sum()) if c else 0
    chance = above * (c > 0) + level * (places / max(level.sum(), 1))
    tied = int(level.sum()) if places < level.sum() else 0
    drawn = places if tied else 0
    return Lots(
        far=float("nan") if byzantine.all() else float(chance[~byzantine].mean()),
        mar=float(1 - chance[byzantine].mean()) if byzantine.any() else float("nan"),
        tied=tied,
        drawn=drawn,
        by_lot=2 * drawn > c,
    )


def auc(scores: Array, byzantine: Array) -> float:
    """How often a malicious model scores above a benign one, a tie counting as half.

    Parameters and errors as in `q_range`.

    Returns
    -------
    float in [0, 1]
        The area under the ROC curve: 1 if all malicious models score higher, 0.5 for chance, 0
        if the scores are the wrong way round.

    References
    ----------
    Hanley and McNeil, Radiology 143, 1982.

    Examples
    --------
    >>> byzantine = np.array([False, False, True, True])
    >>> pdrr.auc(np.array([0.1, 0.9, 0.8, 1.0]), byzantine)  # three of four pairs
    0.75
    """
    scores, byzantine = _judged("auc", scores, byzantine)
    benign = np.sort(scores[~byzantine])
    below = np.searchsorted(benign, scores[byzantine], "left")
    not_above = np.searchsorted(benign, scores[byzantine], "right")
    return float((below + not_above).mean() / (2 * len(benign)))


def error_rate(predicted: Array, labels: Array) -> float:
    """Share of wrong labels; two integer arrays [n], n >= 1.

    Examples
    --------
    >>> pdrr.error_rate(np.array([3, 1, 4, 1]), labels=np.array([3, 1, 4, 2]))
    0.25
    """
    predicted, labels = to_host(predicted), to_host(labels)
    if predicted.shape != labels.shape or predicted.ndim != 1 or not predicted.size:
        raise ValueError(
            f"error_rate needs two arrays [n], n >= 1, got {predicted.shape} and {labels.shape}"
        )
    return float((predicted != labels).mean())


def _judged(who: str, scores: Array, byzantine: Array) -> tuple[np.ndarray, np.ndarray]:
    """Scores of both kinds of model."""
    scores = to_host(scores)
    _, byzantine = _masks(who, np.zeros(scores.shape, dtype=bool), byzantine)
    if byzantine.all() or not byzantine.any():
        raise ValueError(
            f"{who} needs benign and malicious models, got {byzantine.sum()} malicious"
            f" of {byzantine.size}"
        )
    if np.isnan(scores).any():
        raise ValueError(f"{who} needs scores, got NaN for {np.flatnonzero(np.isnan(scores))}")
    return scores, byzantine


def _masks(who: str, flagged: Array, byzantine: Array) -> tuple[np.ndarray, np.ndarray]:
    flagged, byzantine = to_host(flagged), to_host(byzantine)
    if flagged.dtype != bool or byzantine.dtype != bool:
        raise TypeError(f"{who} needs bool arrays, got {flagged.dtype} and {byzantine.dtype}")
    if flagged.shape != byzantine.shape or flagged.ndim != 1 or not flagged.size:
        raise ValueError(
            f"{who} needs two arrays [k] of one length, got {flagged.shape} and {byzantine.shape}"
        )
    return flagged, byzantine
