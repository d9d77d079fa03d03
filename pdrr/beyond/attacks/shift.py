"""Shift: every attacker moves its honest model a little, all the same way; made against PDRR.

The models keep the shape of honest ones, and no two are alike; only their mean is off.
"""

from __future__ import annotations

import numpy as np

from pdrr.attacks import replace_rows
from pdrr.beyond.pushing import known_deviations
from pdrr.core.arrays import Array, array_namespace, float64
from pdrr.methods import Attack
from pdrr.types import Crafted, Round


def shift(
    honest: Round,
    byzantine: Array,
    *,
    knowledge: str,
    rng: np.random.Generator,  # noqa: ARG001
    z: float = 1.5,
) -> Crafted:
    """Send the own honest model minus z standard deviations, against the direction of each weight.

    Parameters
    ----------
    honest, byzantine, knowledge, rng
        As in `pdrr.attacks.trimmed_mean_attack`. Full knowledge: deviation and direction Sgn(mean
        update) of the benign models; partial: of the attackers' own.
    z : float
        How many deviations (the population's, over n, not n - 1).

    Returns
    -------
    Crafted
        Always succeeded; nothing is drawn.

    Raises
    ------
    ValueError
        If `z` is not finite.

    Examples
    --------
    >>> from pdrr.beyond.attacks.shift import shift
    >>> honest = pdrr.Round(np.array([[6.0], [7.0], [1.0], [3.0]]), np.zeros(1))
    >>> byzantine, rng = np.arange(4) < 2, np.random.default_rng(0)
    >>> crafted = shift(honest, byzantine, knowledge="full", rng=rng)
    >>> crafted.observed.clients[:, 0].tolist()  # the benign 1 and 3 have deviation 1
    [4.5, 5.5, 1.0, 3.0]
    """
    attackers, sigma, s = known_deviations("shift", honest, byzantine, knowledge)
    if not np.isfinite(z):
        raise ValueError(f"shift needs a finite z, got {z}")
    xp, offset = array_namespace(honest.clients), z * sigma * s

    def model(index: int) -> Array:
        own = float64(honest.clients[int(attackers[index]), :])
        return xp.astype(own - offset, honest.clients.dtype)

    return Crafted(replace_rows(honest, attackers, model), succeeded=True)


ATTACK = Attack("shift", "honest-shape shift", shift, "here")
