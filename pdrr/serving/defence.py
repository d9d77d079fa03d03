"""From the stack of a round to the next model: detect, remove, aggregate again.

What a run of many rounds needs beside `pdrr.PDRR`: settings for a number of replies that changes,
rounds with too few of them, and rounds in which nobody can be told from anybody.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pdrr import defenses
from pdrr.core.arrays import to_host
from pdrr.core.checks import finite_rows
from pdrr.core.order import median_beta, middle_mean
from pdrr.core.rules import RULES, in_words
from pdrr.types import Detection, Detector, Round

REAGGREGATE = ("same", "mean")


@dataclass(frozen=True)
class Judgement:
    """What a defence says of k replies.

    Attributes
    ----------
    scores : array [k] float64
        NaN where nobody was judged.
    flagged : bool array [k]
        The replies that do not count.
    finite : bool array [k]
        False for replies that hold NaN or infinite values.
    judged : bool
        Whether there were enough replies to judge; if not, the previous model stays.
    notes : tuple of str
    """

    scores: np.ndarray
    flagged: np.ndarray
    finite: np.ndarray
    judged: bool
    notes: tuple[str, ...]


class Defence:
    """A rule with a detector, for as many replies as come.

    Parameters
    ----------
    rule : {"krum", "trimmed_mean", "median"}
    q : float in [0, 1]
        Threshold of the paper's PDRR.
    c, beta : int, or float below 1
        What the rule takes: a number of models, or a share of the replies. A share is rounded up
        where the rule allows it.
    detector : object with ``detect(Round) -> Detection``, optional
        Judges in place of the paper's PDRR, such as ``beyond.improved(rule)``; takes no q.
    reaggregate : {"same", "mean"}
        With what the replies that are left are aggregated.

    Raises
    ------
    ValueError, TypeError
        For settings that no number of replies would make right.

    Examples
    --------
    >>> from pdrr.serving.defence import Defence
    >>> defence = Defence("trimmed_mean", beta=0.3, q=0.9)
    >>> defence.own(10), defence.own(4), defence.own(50)
    ({'beta': 3}, {'beta': 1}, {'beta': 15})
    """

    def __init__(
        self,
        rule: str,
        *,
        q: float | None = None,
        c: float | None = None,
        beta: float | None = None,
        detector: Detector | None = None,
        reaggregate: str = "same",
    ) -> None:
        if (q is None) == (detector is None):
            got = "neither" if q is None else "both"
            raise TypeError(f"PDRR needs q, or a detector in its place, got {got}")
        if detector is not None and not callable(getattr(detector, "detect", None)):
            name = type(detector).__name__
            raise TypeError(f"PDRR needs a detector with detect(Round), got {name}")
        if reaggregate not in REAGGREGATE:
            words = " or ".join(REAGGREGATE)
            raise ValueError(f"PDRR needs reaggregate to be {words}, got {reaggregate!r}")
        given = {"c": c, "beta": beta}
        for name, value in given.items():
            if isinstance(value, float) and not 0 <= value < 1:
                raise ValueError(f"PDRR needs {name} as an int, or a share below 1, got {value}")
        if isinstance(beta, float) and beta >= 0.5:
            raise ValueError(f"PDRR needs a share beta below a half, got {beta}")
        self.rule, self.detector, self.reaggregate = rule, detector, reaggregate
        self.q: float = 1.0 if q is None else q
        whole: dict[str, Any] = {k: 0 if isinstance(v, float) else v for k, v in given.items()}
        defenses.PDRR(rule, q=self.q, **whole)  # refuses what it does not take
        wanted = RULES[rule].setting
        self.setting: float | None = given[wanted] if wanted else None

    def __repr__(self) -> str:
        own = f"{RULES[self.rule].setting}={self.setting}" if RULES[self.rule].setting else ""
        by = f"q={self.q}" if self.detector is None else f"judged by {type(self.detector).__name__}"
        return ", ".join(filter(None, [in_words(self.rule), own, by]))

    def own(self, k: int) -> dict[str, Any] | None:
        """The rule's own setting for k replies; None where the rule is not defined for them."""
        if k < RULES[self.rule].least:
            return None
        name, value = RULES[self.rule].setting, self.setting
        if value is None:
            return {}
        most = k - 3 if name == "c" else median_beta(k)
        if isinstance(value, float):
            share = round(value * k, 9)
            value = min(math.ceil(share), max(math.floor(share), most))
        return {name: int(value)} if value <= most else None

    def detect(self, observed: Round) -> Judgement:
        """Judge the replies; those that are not finite are flagged in any case."""
        return self._judge(observed)[1]

    def aggregate(self, observed: Round) -> tuple[np.ndarray, Judgement]:
        """The next model [d] and the judgement behind it; the previous model if it has to stay.

        Parameters
        ----------
        observed : Round
            Rows of NaN stand for refused replies: they lower c and beta by their number.

        Examples
        --------
        >>> from pdrr.serving.defence import Defence
        >>> observed = pdrr.Round(np.array([[1.0, 3], [2, 2], [9, 9]]), np.zeros(2))
        >>> Defence("median", q=0.9).aggregate(observed)[0]
        array([1.5, 2.5])
        """
        model, judgement, scheme, detection = self._judge(observed, model=True)
        if not judgement.judged or scheme is None:
            return np.array(observed.previous), judgement
        rows = np.flatnonzero(~judgement.flagged)
        if self.reaggregate == "mean":
            return middle_mean(observed.clients, 0, rows), judgement
        if model is None:
            left = replace(detection, flagged=judgement.flagged, notes=())
            model, left = scheme.reaggregate(observed, left)
            judgement = replace(judgement, notes=judgement.notes + left.notes)
        return model, judgement

    def _judge(
        self, observed: Round, model: bool = False
    ) -> tuple[Any, Judgement, defenses.PDRR | None, Any]:
        """The next model if it is at hand, the judgement, the paper's scheme, and its detection."""
        finite = to_host(finite_rows(observed.clients))
        nobody = np.where(finite, np.nan, 1.0)
        own, left = self.own(observed.k), int(finite.sum())
        if own is None or left < RULES[self.rule].least:
            note = f"{left} of {observed.k} replies are too few for {self!r}: previous model kept"
            return None, Judgement(nobody, ~finite, finite, False, (note,)), None, None
        scheme = defenses.PDRR(self.rule, q=self.q, **own)
        new = None
        try:
            if self.detector is not None:
                detection = self.detector.detect(observed)
            elif model and self.reaggregate == "same":
                new, detection = scheme.aggregate(observed)
            else:
                detection = scheme.detect(observed)
        except ValueError as error:  # of detectors that want more replies than came
            note = f"{error}: previous model kept"
            return None, Judgement(nobody, ~finite, finite, False, (note,)), None, None
        judgement = _weighed(detection, finite)
        if (judgement.flagged != to_host(detection.flagged)).any():
            new = None
        return new, judgement, scheme, detection


def _weighed(detection: Detection, finite: np.ndarray) -> Judgement:
    """The judgement of a detection: nobody is flagged where most would be."""
    flagged = to_host(detection.flagged) | ~finite
    scores = np.where(finite, to_host(detection.scores), 1.0).astype(np.float64)
    notes = tuple(note for note in detection.notes if "not finite" not in note)  # told by name
    if 2 * (flagged & finite).sum() > finite.sum():
        note = (
            f"{(flagged & finite).sum()} of {finite.sum()} models would be flagged, more than half:"
            " nobody is, the plain rule decides"
        )
        flagged, notes = ~finite, (*notes, note)
    return Judgement(scores, flagged, finite, True, notes)
