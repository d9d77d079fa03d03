"""Camps: the attackers split up, and each camp pushes another part of the model.

Made against Co-trimming: attackers of different camps never push the same coordinate, and camps
are smaller groups than all attackers are.
"""

from __future__ import annotations

import numpy as np

from pdrr.attacks import replace_rows
from pdrr.beyond.pushing import known_deviations
from pdrr.core.arrays import Array, array_namespace, float64, like
from pdrr.core.checks import check_int
from pdrr.methods import Attack
from pdrr.types import Crafted, Round


def camps(
    honest: Round,
    byzantine: Array,
    *,
    knowledge: str,
    rng: np.random.Generator,
    count: int = 2,
    z: float = 1.5,
) -> Crafted:
    """Send the own honest model, pushed by z standard deviations in the coordinates of the camp.

    Parameters
    ----------
    honest, byzantine, knowledge
        As in `pdrr.beyond.attacks.shift`, where the deviation and the direction come from.
    rng : numpy.random.Generator
        Draws who is in which camp, and whose each coordinate is.
    count : int >= 1
        How many camps: 1 is `shift`. Camps are as large as they can equally be; with more camps
        than attackers some parts of the model are pushed by nobody.
    z : float
        How many deviations, against the direction of each weight.

    Returns
    -------
    Crafted
        Always succeeded; detail ``camps``, of the attackers in the order of their rows.

    Raises
    ------
    ValueError, TypeError
        If `count` is not a whole number >= 1, or `z` not finite.

    Examples
    --------
    >>> from pdrr.beyond.attacks.camps import camps
    >>> honest = pdrr.Round(np.random.default_rng(0).normal(1, 1, (7, 1000)), np.zeros(1000))
    >>> byzantine, rng = np.arange(7) < 4, np.random.default_rng(0)
    >>> crafted = camps(honest, byzantine, knowledge="full", rng=rng)
    >>> pushed = crafted.observed.clients != honest.clients
    >>> crafted.detail["camps"], [bool((pushed[0] & pushed[i]).any()) for i in (1, 2, 3)]
    ([0, 0, 1, 1], [True, False, False])
    """
    attackers, sigma, s = known_deviations("camps", honest, byzantine, knowledge)
    if check_int("camps", "count", count) < 1:
        raise ValueError(f"camps needs count >= 1, got {count}")
    if not np.isfinite(z):
        raise ValueError(f"camps needs a finite z, got {z}")
    camp = rng.permutation(np.arange(len(attackers)) % count).tolist()
    whose = like(rng.integers(count, size=honest.d), sigma)
    xp, offset = array_namespace(honest.clients), z * sigma * s

    def model(index: int) -> Array:
        own = float64(honest.clients[int(attackers[index]), :])
        return xp.astype(own - offset * float64(whose == camp[index]), honest.clients.dtype)

    return Crafted(replace_rows(honest, attackers, model), True, {"camps": camp})


ATTACK = Attack("camps", "attack in camps", camps, "here")
