"""Contracts of detection: suspicion scores, FAR, MAR and the q range."""

from __future__ import annotations

from typing import Any

import numpy as np

from pdrr.contracts.judging import Answer, Case, judge


def check_scores(f: Answer) -> None:
    """Check suspicion scores: ``f(statistic, rule)`` with a statistic [k] gives scores [k].

    Krum rho / max rho, trimmed mean n^c / max n^c, median 1 - n^r / max n^r.

    Examples
    --------
    >>> from pdrr.contracts import check_scores
    >>> check_scores(lambda statistic, rule: statistic / statistic.max())
    Traceback (most recent call last):
        ...
    AssertionError: few remained values are suspicious: the median's score is 1 - n / max n.
    """
    shown = {
        "krum": [0.9, 0.88, -0.1, 0.05, 0.2],
        "trimmed_mean": [40.0, 38.5, 25, 20, 24.5],
        "median": [1.0, 0, 12.5, 10, 8],
    }
    cases = [
        Case(f"the statistic of {rule}", (np.array(statistic), rule))
        for rule, statistic in shown.items()
    ]

    def right(statistic: np.ndarray, rule: str) -> np.ndarray:
        share = statistic / max(statistic)
        return np.asarray(1 - share if rule == "median" else share)

    def upright(statistic: np.ndarray, rule: str) -> np.ndarray:
        return right(statistic, "krum" if rule == "median" else rule)

    def from_the_maximum(statistic: np.ndarray, rule: str) -> np.ndarray:
        return max(statistic) - statistic if rule == "median" else right(statistic, rule)

    def stretched(statistic: np.ndarray, rule: str) -> np.ndarray:
        share = (statistic - min(statistic)) / (max(statistic) - min(statistic))
        return np.asarray(1 - share if rule == "median" else share)

    mistakes: dict[str, Answer] = {
        "few remained values are suspicious: the median's score is 1 - n / max n": upright,
        "your score of the median is a count: divide by max n": from_the_maximum,
        "you stretch the scores to [0, 1]: divide by the maximum only": stretched,
        "you divide by the sum: divide by the maximum": lambda statistic, rule: (
            1 - statistic / sum(statistic) if rule == "median" else statistic / sum(statistic)
        ),
    }
    judge("your score", f, cases, right, mistakes)


def check_far(f: Answer) -> None:
    """Check the false alarm rate: ``f(flagged, byzantine)``, both bool [k].

    Examples
    --------
    >>> from pdrr.contracts import check_far
    >>> check_far(lambda flagged, byzantine: (flagged & ~byzantine).mean())
    Traceback (most recent call last):
        ...
    AssertionError: your FAR divides by all k models: by the benign ones.
    """
    right, mistakes = _rates()
    judge("your FAR", f, _verdicts(), right, mistakes)


def check_mar(f: Answer) -> None:
    """Check the missing alarm rate: ``f(flagged, byzantine)``, both bool [k].

    Examples
    --------
    >>> from pdrr.contracts import check_mar
    >>> check_mar(lambda flagged, byzantine: flagged[byzantine].mean())
    Traceback (most recent call last):
        ...
    AssertionError: your MAR is 1 - MAR.
    """
    right, mistakes = _rates(missing=True)
    judge("your MAR", f, _verdicts(), right, mistakes)


def check_q_range(f: Answer) -> None:
    """Check the range of thresholds: ``f(scores, byzantine)`` gives (low, high), or None.

    low is the largest benign score, high the smallest malicious one, both clipped to [0, 1]; None
    where no q has FAR = MAR = 0.

    Examples
    --------
    >>> from pdrr.contracts import check_q_range
    >>> check_q_range(lambda scores, byzantine: (max(scores[~byzantine]), min(scores[byzantine])))
    Traceback (most recent call last):
        ...
    AssertionError: your range leaves [0, 1] and is never None: clip it; None where it is empty.
    """
    byzantine = np.array([False, True, False, True, False])
    shown = [
        [0.3, 0.9, 0.1, 1, 0.2],
        [-0.3, 0.7, -0.2, 1, -0.1],
        [0.3, 0.2, 0.1, 1, 0.5],
        [0.4, 0.4, 0.1, 1, 0.2],
    ]
    cases = [Case("5 scores", (np.array(scores), byzantine)) for scores in shown]

    def edges(benign: Any = max, malicious: Any = min, least: float = 0) -> Answer:
        def answer(scores: np.ndarray, byzantine: np.ndarray) -> Any:
            low = max(least, benign(scores[~byzantine]))
            high = min(1, malicious(scores[byzantine]))
            return (low, high) if low < high else np.nan

        return answer

    def always(scores: np.ndarray, byzantine: np.ndarray) -> Any:
        return max(0, max(scores[~byzantine])), min(scores[byzantine])

    def closed(scores: np.ndarray, byzantine: np.ndarray) -> Any:
        low, high = always(scores, byzantine)
        return (low, high) if low <= high else np.nan

    def turned(scores: np.ndarray, byzantine: np.ndarray) -> Any:
        return np.flip(edges()(scores, byzantine))

    def length(scores: np.ndarray, byzantine: np.ndarray) -> Any:
        return np.ptp(edges()(scores, byzantine))

    def unclipped(scores: np.ndarray, byzantine: np.ndarray) -> Any:
        return max(scores[~byzantine]), min(scores[byzantine])

    mistakes: dict[str, Answer] = {
        "your range is always None: only where low >= high": lambda *_: np.nan,
        "your range leaves [0, 1] and is never None: clip it; None where it is empty": unclipped,
        "your range is empty and yet not None: no q separates them then": always,
        "a benign score equal to the smallest malicious one leaves no q: None": closed,
        "your range spans all scores: from the largest benign to the smallest malicious one": (
            edges(benign=min, malicious=max)
        ),
        "your range ends at the largest malicious score: all must be found, so the smallest": (
            edges(malicious=max)
        ),
        "your range begins at the smallest benign score: none may be flagged, so the largest": (
            edges(benign=min)
        ),
        "your range leaves [0, 1]: clip it": edges(least=-np.inf),
        "your range is upside down: return (low, high)": turned,
        "you return the length of the range: return (low, high)": length,
    }

    def answer(scores: np.ndarray, byzantine: np.ndarray) -> Any:
        found = f(scores, byzantine)
        return np.nan if found is None else found

    judge("your q range", answer, cases, edges(), mistakes)


def _verdicts() -> list[Case]:
    byzantine = np.array([True, False, True, False, False, True, False, False])
    shown = [[1, 1, 0, 0, 0, 1, 0, 0], [0, 1, 1, 1, 0, 0, 1, 0], [0] * 8, [1] * 8]
    return [Case("a verdict on 8 models", (np.array(row, bool), byzantine)) for row in shown]


def _rates(*, missing: bool = False) -> tuple[Answer, dict[str, Answer]]:
    """The right rate, and mistakes in it."""

    def share(flagged: np.ndarray, among: np.ndarray) -> float:
        return float(sum(flagged[among]) / sum(among))

    rates: dict[str, Answer] = {
        "FAR": lambda f, b: share(f, ~b),
        "MAR": lambda f, b: share(~f, b),
        "found": lambda f, b: share(f, b),
        "spared": lambda f, b: share(~f, ~b),
    }
    own, other = ("MAR", "FAR") if missing else ("FAR", "MAR")
    wrong: Answer = (lambda f, b: ~f & b) if missing else (lambda f, b: f & ~b)
    kind = "malicious" if missing else "benign"
    mistakes: dict[str, Answer] = {
        f"your {own} is the {other}": rates[other],
        f"your {own} is 1 - {own}": rates["found" if missing else "spared"],
        f"your {own} divides by all k models: by the {kind} ones": lambda f, b: wrong(f, b).mean(),
        f"your {own} is a number of models: divide by the {kind} ones": lambda f, b: wrong(
            f, b
        ).sum(),
    }
    return rates[own], mistakes
