"""How a method introduces itself: an attack or a scheme, by name, with what it needs.

A method is one file: its function or class, and an entry ``ATTACK = Attack(...)`` or
``SCHEME = Scheme(...)``, or a tuple of entries where one method has variants. Experiments, tables
and figures know methods by their entries only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pdrr import types
    from pdrr.experiments.server import Server

Make = Callable[["Server"], "types.Detector"]
"""Sets a scheme up for the server of one round."""

NEEDS = ("auxiliary", "history", "layers")
"""What a scheme may need beside the round: data of the server's own, earlier rounds, layouts."""


@dataclass(frozen=True)
class Attack:
    """One attack.

    Attributes
    ----------
    name : str
        As records have it.
    words : str
        As a sentence has it: "attack on Krum".
    function : callable
        ``function(honest, byzantine, *, knowledge, rng, **own) -> Crafted``.
    reference : str
        Who proposed it.
    takes : tuple of str
        Its own keywords that a run decides: "beta", "b", "epsilon", "noise"; "rule" and "c" as the
        server has them; and what few attackers need beside the round: "before", the global model
        [d] before the previous one (None in round 1); "memory", a dict that the attack keeps from
        round to round; "flipped", the models [c, d] that the compromised clients would have trained
        on flipped labels.
    paper : bool
        Whether it is the paper's.

    Examples
    --------
    >>> from pdrr.methods import Attack
    >>> def nothing(honest, byzantine, *, knowledge, rng):
    ...     return pdrr.Crafted(honest, succeeded=False)
    >>> Attack("nothing", "no attack at all", nothing, "here").takes
    ()
    """

    name: str
    words: str
    function: types.Attack
    reference: str
    takes: tuple[str, ...] = ()
    paper: bool = False


@dataclass(frozen=True)
class Scheme:
    """One detection scheme.

    Attributes
    ----------
    name : str
        As records, tables and panels have it.
    make : callable
        ``make(server) -> detector`` for one round; ``server`` has ``rule``, ``c``, ``beta``,
        ``rng()`` and, for those that need them, ``auxiliary()``, ``network`` and ``layers``. A
        detector that was trained before the round tells the seconds as ``setup_s``.
    axis : str, or mapping from rules to str
        What its statistic is, for the axis of a figure.
    reference : str
        Who proposed it.
    flags : {"c", "threshold", "votes", "own", "nobody"}
        Exactly the c most suspicious models, those whose score reaches a threshold q, those
        that enough others flag, those that a rule of its own picks, or none: an aggregator whose
        scores rank only.
    needs : frozenset of NEEDS
    readings : mapping
        Other readings of what its authors wrote: name -> make.
    low : frozenset of rules
        Where a low statistic is the suspicious one.
    paper : bool
        Whether the paper compares it.

    Raises
    ------
    ValueError
        If it needs something that nobody has.

    Examples
    --------
    >>> from pdrr.methods import Scheme
    >>> scheme = Scheme("Coin", lambda server: None, axis="heads", reference="here")
    >>> scheme.flags, scheme.label("krum")
    ('c', 'heads')
    """

    name: str
    make: Make
    axis: str | Mapping[str, str]
    reference: str
    flags: Literal["c", "threshold", "votes", "own", "nobody"] = "c"
    needs: frozenset[str] = frozenset()
    readings: Mapping[str, Make] = field(default_factory=dict)
    low: frozenset[str] = frozenset()
    paper: bool = False

    def __post_init__(self) -> None:
        if not self.needs <= set(NEEDS):
            raise ValueError(f"{self.name} may need {', '.join(NEEDS)}, got {set(self.needs)}")

    def label(self, rule: str) -> str:
        """What the statistic is if the server aggregates with `rule`.

        Examples
        --------
        >>> from pdrr.methods import Scheme
        >>> counts = {"trimmed_mean": "trimmed values", "median": "remained values"}
        >>> Scheme("Counts", lambda server: None, axis=counts, reference="here").label("median")
        'remained values'
        """
        return self.axis if isinstance(self.axis, str) else self.axis[rule]
