"""Decoy: one attacker draws the suspicion, so that the others stay below it; made against PDRR.

PDRR flags models whose count reaches a share q of the largest one, which is the decoy's.
"""

from __future__ import annotations

import numpy as np

from pdrr.attacks import replace_rows
from pdrr.beyond.extreme_values import extreme_values
from pdrr.core.arrays import Array, array_namespace, like
from pdrr.core.checks import check_share
from pdrr.methods import Attack
from pdrr.types import Crafted, Round


def decoy(
    honest: Round,
    byzantine: Array,
    *,
    knowledge: str,
    rng: np.random.Generator,
    rule: str,
    beta: int,
    b: float = 1.05,
    share: float = 0.05,
) -> Crafted:
    """Send extreme values: one attacker everywhere, the others with a share of honest ones.

    Parameters
    ----------
    honest, byzantine, knowledge, beta, b
        As in `pdrr.attacks.trimmed_mean_attack`, which the extreme values are taken from.
    rng : numpy.random.Generator
        Draws also who is the decoy, and where each of the others is honest.
    rule : str
        The server's; against the median the attack on the median is taken.
    share : float in [0, 1]
        Of the coordinates in which the others are honest.

    Returns
    -------
    Crafted
        Always succeeded; detail ``decoy``, its row.

    Raises
    ------
    ValueError
        If `share` is none.

    Examples
    --------
    >>> from pdrr.beyond.attacks.decoy import decoy
    >>> honest = pdrr.Round(np.random.default_rng(0).normal(1, 1, (5, 1000)), np.zeros(1000))
    >>> byzantine, own = np.arange(5) < 2, {"knowledge": "full", "rule": "median", "beta": 1}
    >>> crafted = decoy(honest, byzantine, rng=np.random.default_rng(0), **own)
    >>> kept = (crafted.observed.clients == honest.clients).mean(axis=1)
    >>> crafted.detail, kept.round(2).tolist()
    ({'decoy': 0}, [0.0, 0.05, 1.0, 1.0, 1.0])
    """
    check_share("decoy", "share", share)
    attackers, extreme = extreme_values(
        honest, byzantine, knowledge, rng, rule=rule, beta=beta, b=b
    )
    chosen = int(rng.integers(len(attackers)))
    xp = array_namespace(honest.clients)

    def model(index: int) -> Array:
        if index == chosen:
            return extreme[index, :]
        kept = like(rng.random(honest.d) < share, honest.clients)
        return xp.where(kept, honest.clients[int(attackers[index]), :], extreme[index, :])

    observed = replace_rows(honest, attackers, model)
    return Crafted(observed, True, {"decoy": int(attackers[chosen])})


ATTACK = Attack("decoy", "decoy attack", decoy, "here", takes=("rule", "beta", "b"))
