"""PoisonedFL: the attackers push in the same secret direction in every round.

Xie, Fang, Gong, CVPR 2025 (arXiv:2404.15611).
"""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist
from typing import Any

import numpy as np

from pdrr.attacks import compromised, replace_rows
from pdrr.core.arrays import Array, array_namespace, float64, like, to_host
from pdrr.methods import Attack
from pdrr.types import Crafted, Round

START = 8.0
SHRINK = 0.7
LEAST = 0.5
EVERY = 50  # rounds from one look at what has been achieved to the next
CONFIDENCE = 0.99


def poisoned_fl(
    honest: Round,
    byzantine: Array,
    *,
    knowledge: str,
    rng: np.random.Generator,  # noqa: ARG001
    before: Array | None = None,
    memory: dict[str, Any] | None = None,
    secret: int = 0,
) -> Crafted:
    """Send factor * |h| * (v / |v|) * s, c times, for the secret signs s [d] of the whole run.

    h = w_p - w_pp is the last global step, u the attackers' last update, and
    v = abs(h - u * |h| / |u|) is large where others moved the global model; in the attackers' first
    round v = abs(h). The factor starts at 8. Every 50 rounds it shrinks to .7 of itself, down to .5
    at least, unless the global model has moved along s in more coordinates than chance allows.

    Parameters
    ----------
    honest, byzantine, knowledge, rng
        As in `pdrr.attacks.trimmed_mean_attack`; nobody's local model is needed, so that both kinds
        of knowledge come to the same.
    before : array [d], optional
        w_pp. Without it, as in round 1, the attackers send their honest models.
    memory : dict, optional
        What is kept from round to round, on the host: ``signs``, ``factor``, ``update``, and
        ``then`` and ``tested``, the global model and the number of the round of the last look. It
        is changed.
    secret : int
        The seed of s: the same throughout a run.

    Returns
    -------
    Crafted
        Detail ``factor``. It fails where the global model has not moved, or moved as the attackers
        did in every coordinate.

    Raises
    ------
    ValueError
        If `before` is no model [d].

    Examples
    --------
    >>> from pdrr.beyond.attacks.poisoned_fl import poisoned_fl
    >>> honest = pdrr.Round(np.zeros((4, 2)), np.zeros(2), number=2)
    >>> byzantine, own = np.arange(4) < 1, {"knowledge": "partial", "rng": np.random.default_rng(0)}
    >>> crafted = poisoned_fl(honest, byzantine, before=np.array([3.0, 4.0]), **own)
    >>> np.abs(crafted.observed.clients[0]).tolist()  # 8 times the last step, and secret signs
    [24.0, 32.0]
    """
    attackers, _ = compromised("poisoned_fl", honest, byzantine, knowledge)
    memory = {} if memory is None else memory
    if before is not None and tuple(before.shape) != (honest.d,):
        raise ValueError(
            f"poisoned_fl needs before of shape [{honest.d}], got {tuple(before.shape)}"
        )
    if "signs" not in memory:
        draw = np.random.default_rng(secret).integers(0, 2, honest.d, dtype=np.int8)
        memory |= {"signs": 2 * draw - 1, "factor": START}
        memory |= {"then": to_host(honest.previous).copy(), "tested": honest.number}
    if honest.number - memory["tested"] >= EVERY:
        look_back(memory, to_host(honest.previous))
        memory["tested"] = honest.number
    detail = {"factor": memory["factor"]}
    update = None
    if before is not None:
        update = _update(honest, before, memory)
    if update is None:
        return Crafted(honest, succeeded=False, detail=detail)
    memory["update"] = to_host(update).astype(to_host(honest.previous).dtype)
    xp = array_namespace(honest.clients)
    sent = xp.astype(float64(honest.previous) + update, honest.clients.dtype)
    return Crafted(replace_rows(honest, attackers, lambda _: sent), True, detail)


def look_back(memory: dict[str, Any], previous: np.ndarray) -> None:
    """Shrink the factor in `memory` if the global model has not gone the attackers' way.

    Examples
    --------
    >>> from pdrr.beyond.attacks.poisoned_fl import look_back
    >>> memory = {"signs": np.ones(9), "factor": 8.0, "then": np.zeros(9)}
    >>> look_back(memory, np.ones(9))  # it has
    >>> look_back(memory, np.zeros(9))  # and now back again
    >>> round(memory["factor"], 9)
    5.6
    """
    along = np.count_nonzero(np.sign(previous - memory["then"]) == memory["signs"])
    smaller = SHRINK * memory["factor"]
    if along < quantile(len(previous)) and smaller >= LEAST:
        memory["factor"] = smaller
    memory["then"] = previous.copy()


def quantile(d: int) -> float:
    """How many of d fair coins show heads at most, with 99% confidence; by normal approximation.

    Examples
    --------
    >>> from pdrr.beyond.attacks.poisoned_fl import quantile
    >>> round(quantile(6_603_710))
    3304844
    """
    return d / 2 + NormalDist().inv_cdf(CONFIDENCE) * sqrt(d) / 2


def _update(honest: Round, before: Array, memory: dict[str, Any]) -> Array | None:
    """The attackers' update [d] float64; None where it has no length."""
    xp = array_namespace(honest.clients)
    step = float64(honest.previous) - float64(like(to_host(before), honest.clients))
    length, v = _length(step), xp.abs(step)
    if "update" in memory:
        last = float64(like(memory["update"], honest.clients))
        v = xp.abs(step - last * (length / _length(last)))
    if not _length(v):
        return None
    signs = float64(like(memory["signs"], honest.clients))
    return memory["factor"] * length / _length(v) * v * signs


def _length(x: Array) -> float:
    return sqrt(float(array_namespace(x).sum(x * x)))


ATTACK = Attack(
    "poisoned_fl",
    "PoisonedFL attack",
    poisoned_fl,
    "Xie, Fang, Gong, CVPR 2025",
    takes=("before", "memory"),
)
