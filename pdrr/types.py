"""What travels between aggregators, attacks and defences: rounds, crafted rounds, detections."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from pdrr.core.arrays import Array, array_namespace
from pdrr.core.checks import all_finite, check_ids, check_int, check_stack


@dataclass(frozen=True, eq=False)
class Round:
    """What the server sees in one communication round, and nothing else.

    Who is compromised is deliberately not a field: a detector that only receives a `Round`
    cannot read the answer.

    Parameters
    ----------
    clients : array [k, d] float32 (or float64)
        The k flattened local models w_i, one a row; may be a memory map. Rows may hold NaN or
        infinities: a server has to live with what it receives.
    previous : array [d], of the dtype and namespace of `clients`
        The previous global model w_p, which the server sent at the start of the round.
    number : int >= 1
        The communication round.
    ids : int array [k], optional
        Who sent which row, for methods that follow clients over rounds; all different.

    Raises
    ------
    TypeError, ValueError
        Where shapes, dtypes or the number do not fit, or `previous` is not finite.

    Examples
    --------
    >>> received = pdrr.Round(np.array([[1.0, 2.0], [3.0, 5.0]]), previous=np.array([1.0, 1.0]))
    >>> received.k, received.d
    (2, 2)
    >>> received.updates
    array([[0., 1.],
           [2., 4.]])
    """

    clients: Array
    previous: Array
    number: int = 1
    ids: Array | None = None

    def __post_init__(self) -> None:
        check_stack("Round", self.clients, self.previous)
        if check_int("Round", "number", self.number) < 1:
            raise ValueError(f"Round needs number >= 1, got {self.number}")
        if not all_finite(self.previous):
            raise ValueError("Round needs a finite previous model, got NaN or infinite values")
        if self.ids is not None:
            check_ids("Round", self.ids, self.k)

    @property
    def k(self) -> int:
        """Number of clients."""
        return int(self.clients.shape[0])

    @property
    def d(self) -> int:
        """Number of parameters."""
        return int(self.clients.shape[1])

    @property
    def updates(self) -> Array:
        """clients - previous, array [k, d]: a new array as large as `clients` at every call."""
        xp = array_namespace(self.clients)
        return self.clients - xp.expand_dims(self.previous, axis=0)


@dataclass(frozen=True, eq=False)
class Crafted:
    """A round after an attack.

    Attributes
    ----------
    observed : Round
        What the server receives: the compromised rows replaced, the benign rows bit for bit.
    succeeded : bool
        Whether the attacker found what it looked for (for Krum: a positive lambda, in its own
        simulation). Where it did not, the compromised clients sent their honest models.
    detail : mapping
        Numbers of the attack, named by its docstring.

    Examples
    --------
    >>> honest = pdrr.Round(np.array([[1.0], [2.0], [3.0]]), np.zeros(1))
    >>> last = np.array([False, False, True])
    >>> crafted = pdrr.median_attack(honest, last, knowledge="full", rng=np.random.default_rng(0))
    >>> crafted.succeeded, crafted.detail
    (True, {'moved': 1})
    >>> (crafted.observed.clients == honest.clients)[:, 0]
    array([ True,  True, False])
    """

    observed: Round
    succeeded: bool
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Detection:
    """The verdict of a detector on one round. All arrays are in the namespace of the round.

    Attributes
    ----------
    statistic : array [k] float64
        The scheme's own quantity; NaN for a model that is not finite.
    scores : array [k] float64
        Suspicion, higher is more suspicious; 1 for a model that is not finite.
    flagged : array [k] bool
        The models declared malicious.
    pre_aggregate : array [d]
        The pre-aggregated model w_pag.
    notes : tuple of str
        What a reader of the verdict has to know: non-finite models, nothing left to aggregate.

    Examples
    --------
    >>> received = pdrr.Round(np.array([[1.0, 2], [2, 1], [3, 3], [np.nan, 0]]), np.zeros(2))
    >>> found = pdrr.PDRR("median", q=0.9).detect(received)
    >>> found.pre_aggregate, found.flagged
    (array([2., 2.]), array([False, False,  True,  True]))
    >>> found.notes
    ('models [3] are not finite: flagged',)
    """

    statistic: Array
    scores: Array
    flagged: Array
    pre_aggregate: Array
    notes: tuple[str, ...] = ()


class Attack(Protocol):
    """What replaces the models of compromised clients.

    ``attack(honest, byzantine, *, knowledge, rng, **own)``: `knowledge` is "full" or "partial",
    `rng` a NumPy generator, and the rest its own settings.
    """

    def __call__(self, honest: Round, byzantine: Array, *args: Any, **kwargs: Any) -> Crafted:
        """The round after the attack: the rows where `byzantine` [k] is true are replaced."""


class Detector(Protocol):
    """What judges a round."""

    def detect(self, observed: Round) -> Detection:
        """The verdict on each of its models; higher scores are more suspicious, everywhere."""
