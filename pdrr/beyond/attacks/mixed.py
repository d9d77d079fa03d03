"""Mixed strengths: attackers of every strength, so that no gap tells them; made against PDRR."""

from __future__ import annotations

import numpy as np

from pdrr.attacks import replace_rows
from pdrr.beyond.extreme_values import extreme_values
from pdrr.core.arrays import Array, array_namespace, float64
from pdrr.core.checks import check_share
from pdrr.methods import Attack
from pdrr.types import Crafted, Round


def mixed(
    honest: Round,
    byzantine: Array,
    *,
    knowledge: str,
    rng: np.random.Generator,
    rule: str,
    beta: int,
    b: float = 1.05,
    weakest: float = 0.0,
) -> Crafted:
    """Send own + a * (extreme - own) with strengths a evenly spread from `weakest` up to 1.

    Parameters
    ----------
    honest, byzantine, knowledge, beta, b
        As in `pdrr.attacks.trimmed_mean_attack`, which the extreme values are taken from.
    rng : numpy.random.Generator
        Draws also who has which strength.
    rule : str
        The server's; against the median the attack on the median is taken.
    weakest : float in [0, 1]
        Nobody has it: of c attackers, the first step above it is the least strength.

    Returns
    -------
    Crafted
        Always succeeded; detail ``strengths``, of the attackers in the order of their rows.

    Raises
    ------
    ValueError
        If `weakest` is none.

    Examples
    --------
    >>> from pdrr.beyond.attacks.mixed import mixed
    >>> honest = pdrr.Round(np.arange(1.0, 10)[:, None], np.zeros(1))
    >>> byzantine, own = np.arange(9) > 4, {"knowledge": "full", "rule": "median", "beta": 1}
    >>> crafted = mixed(honest, byzantine, rng=np.random.default_rng(0), **own)
    >>> crafted.detail["strengths"], crafted.observed.clients[5:, 0].round(1).tolist()
    ([0.5, 0.75, 0.25, 1.0], [3.5, 2.5, 6.2, 1.0])
    """
    check_share("mixed", "weakest", weakest)
    attackers, extreme = extreme_values(
        honest, byzantine, knowledge, rng, rule=rule, beta=beta, b=b
    )
    xp, c = array_namespace(honest.clients), len(attackers)
    strengths = rng.permutation(weakest + (1 - weakest) * np.arange(1, c + 1) / c).tolist()

    def model(index: int) -> Array:
        own = float64(honest.clients[int(attackers[index]), :])
        sent = own + strengths[index] * (float64(extreme[index, :]) - own)
        return xp.astype(sent, honest.clients.dtype)

    return Crafted(replace_rows(honest, attackers, model), True, {"strengths": strengths})


ATTACK = Attack("mixed", "attack of mixed strengths", mixed, "here", takes=("rule", "beta", "b"))
