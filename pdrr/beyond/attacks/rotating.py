"""Rotating: each attacker is extreme somewhere else, and honest elsewhere; made against PDRR."""

from __future__ import annotations

import numpy as np

from pdrr.attacks import replace_rows
from pdrr.beyond.extreme_values import extreme_values
from pdrr.core.arrays import Array, array_namespace, like
from pdrr.core.checks import check_share
from pdrr.methods import Attack
from pdrr.types import Crafted, Round


def rotating(
    honest: Round,
    byzantine: Array,
    *,
    knowledge: str,
    rng: np.random.Generator,
    rule: str,
    beta: int,
    b: float = 1.05,
    share: float = 0.5,
) -> Crafted:
    """Send extreme values in a random share of the coordinates, another one for each attacker.

    Parameters
    ----------
    honest, byzantine, knowledge, beta, b
        As in `pdrr.attacks.trimmed_mean_attack`, which the extreme values are taken from.
    rng : numpy.random.Generator
        Draws also where each attacker is extreme.
    rule : str
        The server's; against the median the attack on the median is taken.
    share : float in [0, 1]
        Of the coordinates in which an attacker is extreme.

    Returns
    -------
    Crafted
        Always succeeded.

    Raises
    ------
    ValueError
        If `share` is none.

    Examples
    --------
    >>> from pdrr.beyond.attacks.rotating import rotating
    >>> honest = pdrr.Round(np.random.default_rng(0).normal(1, 1, (5, 1000)), np.zeros(1000))
    >>> byzantine, own = np.arange(5) < 2, {"knowledge": "full", "rule": "median", "beta": 1}
    >>> crafted = rotating(honest, byzantine, rng=np.random.default_rng(0), share=0.25, **own)
    >>> (crafted.observed.clients == honest.clients).mean(axis=1).round(2).tolist()
    [0.75, 0.74, 1.0, 1.0, 1.0]
    """
    check_share("rotating", "share", share)
    attackers, extreme = extreme_values(
        honest, byzantine, knowledge, rng, rule=rule, beta=beta, b=b
    )
    xp = array_namespace(honest.clients)

    def model(index: int) -> Array:
        there = like(rng.random(honest.d) < share, honest.clients)
        return xp.where(there, extreme[index, :], honest.clients[int(attackers[index]), :])

    return Crafted(replace_rows(honest, attackers, model), succeeded=True)


ATTACK = Attack("rotating", "rotating attack", rotating, "here", takes=("rule", "beta", "b"))
