"""Sacrifice: most attackers let themselves be found, so that the rule trims less of the rest.

Made against PDRR, whose beta shrinks by every model that it removes. With beta of them flagged it
re-aggregates by a mean, and one hidden attacker with huge values in few coordinates carries it off.
"""

from __future__ import annotations

import numpy as np

from pdrr.attacks import replace_rows
from pdrr.beyond.extreme_values import extreme_values
from pdrr.core.arrays import Array, array_namespace, like
from pdrr.core.checks import check_share
from pdrr.methods import Attack
from pdrr.types import Crafted, Round

HIDDEN_IN = 0.001  # share of the coordinates in which those that hide are huge


def sacrifice(
    honest: Round,
    byzantine: Array,
    *,
    knowledge: str,
    rng: np.random.Generator,
    rule: str,
    beta: int,
    b: float = 1.05,
    share: float = 0.95,
    value: float = 1e6,
) -> Crafted:
    """A share of the attackers sends extreme values; the others are huge in few coordinates.

    Parameters
    ----------
    honest, byzantine, knowledge, beta, b
        As in `pdrr.attacks.trimmed_mean_attack`, which the extreme values are taken from.
    rng : numpy.random.Generator
        Draws also who hides, and where each of these is huge.
    rule : str
        The server's; against the median the attack on the median is taken.
    share : float in [0, 1]
        Of the attackers, rounded down, that let themselves be found.
    value : float
        The weight that the others send in a thousandth of the coordinates, at least one; elsewhere
        they send their honest models.

    Returns
    -------
    Crafted
        Always succeeded; detail ``hidden``, their rows.

    Raises
    ------
    ValueError
        If `share` is none, or `value` not finite.

    Examples
    --------
    >>> from pdrr.beyond.attacks.sacrifice import sacrifice
    >>> honest = pdrr.Round(np.random.default_rng(0).normal(1, 1, (9, 2000)), np.zeros(2000))
    >>> byzantine, own = np.arange(9) < 4, {"knowledge": "full", "rule": "median", "beta": 1}
    >>> crafted = sacrifice(honest, byzantine, rng=np.random.default_rng(0), share=0.75, **own)
    >>> crafted.detail, (crafted.observed.clients == 1e6).sum(axis=1).tolist()
    ({'hidden': [0]}, [2, 0, 0, 0, 0, 0, 0, 0, 0])
    """
    check_share("sacrifice", "share", share)
    if not np.isfinite(value):
        raise ValueError(f"sacrifice needs a finite value, got {value}")
    attackers, extreme = extreme_values(
        honest, byzantine, knowledge, rng, rule=rule, beta=beta, b=b
    )
    c, xp = len(attackers), array_namespace(honest.clients)
    hidden = np.sort(rng.permutation(c)[: c - int(share * c + 1e-9)]).tolist()

    def model(index: int) -> Array:
        if index not in hidden:
            return extreme[index, :]
        there = np.zeros(honest.d, dtype=bool)
        few = max(1, round(HIDDEN_IN * honest.d))
        there[rng.choice(honest.d, few, replace=False)] = True
        own = honest.clients[int(attackers[index]), :]
        return xp.where(like(there, own), xp.full_like(own, value), own)

    observed = replace_rows(honest, attackers, model)
    return Crafted(observed, True, {"hidden": attackers[hidden].tolist()})


ATTACK = Attack("sacrifice", "attack with a sacrifice", sacrifice, "here", ("rule", "beta", "b"))
