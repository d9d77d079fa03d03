"""What a server remembers of one round: who sent what, who was flagged, and why."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pdrr.metrics import far, mar


@dataclass(frozen=True)
class Verdict:
    """The verdict on one round.

    Attributes
    ----------
    number : int
        The round.
    nodes : tuple of int
        Who was judged, in the order of their ids: whoever was asked and sent a reply.
    scores : tuple of float
        Suspicion of each of them, higher is more suspicious; 1 for a refused reply, NaN where
        nobody was judged.
    flagged : tuple of int
        Whose replies did not count; those of refused replies are among them.
    refused : mapping from int to str
        Replies that are no model of this federation, and what is wrong with them. Who was not asked
        is named here too, but is not judged.
    failed : mapping from int to str
        Clients that reported an error. No evidence of anything.
    missing : tuple of int
        Clients that did not answer in time. No evidence either.
    notes : tuple of str
        What a reader has to know.
    seconds : float
        For the whole aggregation.
    partitions : mapping from int to int
        Partition ids, as clients name them.
    truth : mapping from int to bool
        In experiments: who is malicious, as clients say themselves.

    Examples
    --------
    >>> from pdrr.serving.verdict import Verdict
    >>> verdict = Verdict(1, (4, 7), (0.2, 1.0), flagged=(7,), truth={4: False, 7: True})
    >>> verdict.far, verdict.mar
    (0.0, 0.0)
    """

    number: int
    nodes: tuple[int, ...]
    scores: tuple[float, ...]
    flagged: tuple[int, ...] = ()
    refused: Mapping[int, str] = field(default_factory=dict)
    failed: Mapping[int, str] = field(default_factory=dict)
    missing: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    partitions: Mapping[int, int] = field(default_factory=dict)
    truth: Mapping[int, bool] = field(default_factory=dict)

    @property
    def far(self) -> float:
        """False alarm rate among the clients whose truth is known; NaN if none is benign."""
        return far(*self._masks) if self.truth else float("nan")

    @property
    def mar(self) -> float:
        """Missing alarm rate among the clients whose truth is known; NaN if none is malicious."""
        return mar(*self._masks) if self.truth else float("nan")

    @property
    def _masks(self) -> tuple[np.ndarray, np.ndarray]:
        flagged = np.array([node in self.flagged for node in self.truth])
        return flagged, np.array(list(self.truth.values()))

    def line(self) -> str:
        """One line of JSON: ids as text, for readers whose numbers are too short for them.

        Examples
        --------
        >>> from pdrr.serving.verdict import Verdict
        >>> Verdict(1, (4,), (float("nan"),), missing=(2**64 - 1,)).line()[:50]
        '{"number": 1, "nodes": ["4"], "scores": [null], "f'
        """
        told: dict[str, Any] = {
            "number": self.number,
            "nodes": [str(node) for node in self.nodes],
            "scores": [_plain(score) for score in self.scores],
            "flagged": [str(node) for node in self.flagged],
            "refused": {str(node): why for node, why in self.refused.items()},
            "failed": {str(node): why for node, why in self.failed.items()},
            "missing": [str(node) for node in self.missing],
            "notes": list(self.notes),
            "seconds": round(self.seconds, 4),
        }
        if self.partitions:
            told["partitions"] = {str(node): part for node, part in self.partitions.items()}
        if self.truth:
            told["truth"] = {str(node): bad for node, bad in self.truth.items()}
            told["far"], told["mar"] = _plain(self.far), _plain(self.mar)
        return json.dumps(told, allow_nan=False)


class Ledger:
    """The verdicts of a run, in a list and, if a path is given, as lines of a file.

    Parameters
    ----------
    path : str or path, optional
        A file for one line of JSON a round. A file of this name is replaced with the first
        verdict.

    Raises
    ------
    ValueError
        If the path names a folder, or lies in none.

    Examples
    --------
    >>> from pdrr.serving.verdict import Ledger, Verdict
    >>> ledger = Ledger()
    >>> ledger.add(Verdict(1, (4,), (0.5,)))
    >>> len(ledger.verdicts)
    1
    """

    def __init__(self, path: str | Path | None = None) -> None:
        self.path = None if path is None else Path(path)
        self.verdicts: list[Verdict] = []
        if self.path is not None and (self.path.is_dir() or not self.path.parent.is_dir()):
            raise ValueError(f"verdicts need a file in a folder that exists, got {self.path}")

    def add(self, verdict: Verdict) -> None:
        """Keep a verdict."""
        if self.path is not None:
            mode = "a" if self.verdicts else "w"
            with self.path.open(mode, encoding="utf-8") as file:
                file.write(verdict.line() + "\n")
        self.verdicts.append(verdict)


def _plain(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
