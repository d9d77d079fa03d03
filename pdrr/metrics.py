"""How good a detection is: false and missing alarms, and the range of thresholds that work."""

from __future__ import annotations

import numpy as np

from pdrr.core.arrays import Array, to_host


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
