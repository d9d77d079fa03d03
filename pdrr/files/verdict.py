"""Whom a detector flags, by name: as a table, as JSON, as bars of characters."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pdrr import beyond
from pdrr.beyond.cotrim import CoTrimming
from pdrr.core.checks import check_beta, check_c
from pdrr.core.rules import DEFENDED, RULES
from pdrr.defenses import PDRR
from pdrr.files.entries import shown
from pdrr.files.rounds import MEDIAN
from pdrr.types import Detection

THRESHOLDS = {"krum": 0.48, "trimmed_mean": 0.99, "median": 0.71}
"""q where none is given: those of the profiles, found on labelled attacks on other data."""

STATISTICS = {"krum": "correlation", "trimmed_mean": "trimmed values", "median": "kept values"}
BROKEN = re.compile(r"models (\[[\d, ]+\]) are not finite: flagged")
WIDTH = 40  # characters of the longest bar


def detector(
    name: str,
    rule: str,
    *,
    c: int | None = None,
    beta: int | None = None,
    q: float | None = None,
    previous_known: bool = True,
) -> PDRR | CoTrimming:
    """The paper's detector or the improved one, for a rule.

    Parameters
    ----------
    name : {"paper", "improved"}
    rule : {"krum", "trimmed_mean", "median"}
    c, beta : int
        What the rule takes.
    q : float, optional
        Threshold of the paper's detector; the recorded default if it is not given.
    previous_known : bool
        Whether w_p is known, and not stood in for by the round's median.

    Raises
    ------
    ValueError, TypeError
        For settings that do not belong together. PDRR for the median counts coordinates in which
        the median is not w_p: it is blind where the one stands in for the other.

    Examples
    --------
    >>> from pdrr import files
    >>> files.detector("paper", "krum", c=2)
    PDRR('krum', c=2, q=0.48)
    """
    if rule not in DEFENDED:
        raise ValueError(f"needs a rule of {', '.join(DEFENDED)}, got {rule!r}")
    wanted, given = RULES[rule].setting, {"c": c, "beta": beta}
    for setting, value in given.items():
        if value is None and setting == wanted:
            raise TypeError(f"{rule} needs {setting}, got none")
        if value is not None and setting != wanted:
            raise TypeError(f"{rule} takes no {setting}, got {value}")
    if name == "improved":
        if q is not None:
            raise TypeError(f"the improved detector takes no q, got {q}")
        return beyond.improved(rule, c=c, beta=beta)
    if rule == "median" and not previous_known:
        raise ValueError(
            "PDRR for the median counts where it moved, so it needs the model that you had sent;"
            " the improved detector does without"
        )
    return PDRR(rule, q=THRESHOLDS[rule] if q is None else q, c=c, beta=beta)


def statistic(name: str, rule: str) -> str:
    """What a detector looks at, in words."""
    return STATISTICS[rule] if name == "paper" else "deviations"


def check_k(rule: str, k: int, *, c: int | None, beta: int | None) -> None:
    """ValueError unless the rule is defined for k models."""
    if rule == "krum":
        check_c(rule, k, c)
    elif rule == "trimmed_mean":
        check_beta(rule, k, beta)


@dataclass(frozen=True, eq=False)
class Verdict:
    """A detection with the clients' names.

    Attributes
    ----------
    names : tuple of str
    detection : Detection
    settings : mapping
        What it was made with: rule, detector, q and the like.
    """

    names: tuple[str, ...]
    detection: Detection
    settings: Mapping[str, Any]

    @property
    def flagged(self) -> list[str]:
        """Names of the flagged clients."""
        return [self.names[row] for row in np.flatnonzero(self.detection.flagged)]

    @property
    def notes(self) -> list[str]:
        """What a reader has to know, with names in place of rows."""
        notes = [BROKEN.sub(self._broken, note) for note in self.detection.notes]
        if 2 * len(self.flagged) > len(self.names):
            notes.append("more than half are flagged: nobody attacks, or the threshold is too low")
        return notes

    @property
    def remarks(self) -> list[str]:
        """What the settings leave open."""
        remarks = []
        if self.settings["q_is_default"]:
            remarks.append(f"q = {self.settings['q']:g} is the default, found on other data")
        if self.settings["previous"] == MEDIAN:
            remarks.append("the previous model is not known: the round's median stands in for it")
        return remarks

    @property
    def kept(self) -> int:
        """How many are not flagged."""
        return len(self.names) - len(self.flagged)

    def _broken(self, found: re.Match[str]) -> str:
        names = [shown(self.names[row]) for row in json.loads(found[1])]
        return f"not finite, so flagged: {', '.join(names)}"

    def order(self, *, by_score: bool) -> np.ndarray:
        """Rows as the clients came, or the most suspicious first."""
        rows = np.arange(len(self.names))
        return rows[np.argsort(-self.detection.scores, kind="stable")] if by_score else rows

    def as_text(self, *, by_score: bool = False) -> str:
        """A table: client, statistic, score, and who is flagged."""
        width = max(6, *(len(shown(name)) for name in self.names))
        statistic = self.settings["statistic"]
        lines = [f"{'client':<{width}}  {statistic:>14}  {'score':>7}"]
        for row in self.order(by_score=by_score):
            value, score = self.detection.statistic[row], self.detection.scores[row]
            number = "not finite" if np.isnan(value) else f"{value:,.6g}"
            mark = "  flagged" if self.detection.flagged[row] else ""
            lines.append(
                f"{shown(self.names[row]):<{width}}  {number:>{max(14, len(statistic))}}"
                f"  {score:7.3f}{mark}"
            )
        return "\n".join(lines)

    def bars(self, *, by_score: bool = False) -> str:
        """The scores as bars of characters, '#' for the flagged, with '|' at q."""
        scores, q = self.detection.scores, self.settings["q"]
        width = max(len(shown(name)) for name in self.names)
        largest = max(float(scores.max()), q or 0.0) or 1.0
        lines = []
        for row in self.order(by_score=by_score):
            length = round(WIDTH * max(0.0, float(scores[row])) / largest)
            bar = list(("#" if self.detection.flagged[row] else "-") * length + " " * (WIDTH + 1))
            if q is not None:
                bar[round(WIDTH * q / largest)] = "|"
            text = "".join(bar[: WIDTH + 1])
            lines.append(f"{shown(self.names[row]):<{width}}  {text}  {scores[row]:.3f}")
        return "\n".join(lines)

    def as_json(self, **more: Any) -> str:
        """Everything as one JSON object; null for what is not a number."""
        clients = [
            {
                "name": name,
                "statistic": None if np.isnan(statistic) else float(statistic),
                "score": float(score),
                "flagged": bool(flagged),
            }
            for name, statistic, score, flagged in zip(
                self.names,
                self.detection.statistic,
                self.detection.scores,
                self.detection.flagged,
                strict=True,
            )
        ]
        found = {**self.settings, "clients": clients, "flagged": self.flagged, "notes": self.notes}
        return json.dumps({**found, **more}, indent=2, allow_nan=False)

    def summary(self) -> str:
        """One line: how many of whom, and who."""
        names = ", ".join(map(shown, self.flagged))
        return f"{len(self.flagged)} of {len(self.names)} flagged{': ' if names else ''}{names}"
