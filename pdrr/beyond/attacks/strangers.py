"""Strangers: each attacker pushes in coordinates of its own; made against Co-trimming.

Co-trimming flags models that stand on the same side of the same coordinates too often. Two of
these attackers push the same coordinate with probability share ** 2 only, and noise of their own
decides their sides elsewhere.
"""

from __future__ import annotations

import numpy as np

from pdrr.attacks import replace_rows
from pdrr.beyond.pushing import known_deviations
from pdrr.core.arrays import Array, array_namespace, float64, like
from pdrr.core.checks import check_share
from pdrr.methods import Attack
from pdrr.types import Crafted, Round


def strangers(
    honest: Round,
    byzantine: Array,
    *,
    knowledge: str,
    rng: np.random.Generator,
    share: float = 0.3,
    z: float = 1.5,
    noise: float = 0.5,
) -> Crafted:
    """Send the own honest model, pushed here and there by z standard deviations, and noise.

    Parameters
    ----------
    honest, byzantine, knowledge
        As in `pdrr.beyond.attacks.shift`, where the deviation and the direction come from.
    rng : numpy.random.Generator
        Draws where each attacker pushes, and the noise.
    share : float in [0, 1]
        Of the coordinates that an attacker pushes.
    z : float
        How many deviations, against the direction of each weight.
    noise : float >= 0
        Each attacker adds normal noise of its own of so many deviations, in every coordinate.

    Returns
    -------
    Crafted
        Always succeeded.

    Raises
    ------
    ValueError
        If `share` is none, `z` not finite, or `noise` negative or not finite.

    Examples
    --------
    >>> from pdrr.beyond.attacks.strangers import strangers
    >>> honest = pdrr.Round(np.random.default_rng(0).normal(1, 1, (5, 1000)), np.zeros(1000))
    >>> byzantine, rng = np.arange(5) < 2, np.random.default_rng(0)
    >>> crafted = strangers(honest, byzantine, knowledge="full", rng=rng, share=0.25, noise=0.0)
    >>> (crafted.observed.clients == honest.clients).mean(axis=1).round(2).tolist()
    [0.77, 0.75, 1.0, 1.0, 1.0]
    """
    attackers, sigma, s = known_deviations("strangers", honest, byzantine, knowledge)
    check_share("strangers", "share", share)
    if not np.isfinite(z):
        raise ValueError(f"strangers needs a finite z, got {z}")
    if not (np.isfinite(noise) and noise >= 0):
        raise ValueError(f"strangers needs a finite noise >= 0, got {noise}")
    xp = array_namespace(honest.clients)

    def model(index: int) -> Array:
        there = float64(like(rng.random(honest.d) < share, sigma))
        push = noise * like(rng.standard_normal(honest.d), sigma) - z * s * there
        own = float64(honest.clients[int(attackers[index]), :])
        return xp.astype(own + sigma * push, honest.clients.dtype)

    return Crafted(replace_rows(honest, attackers, model), succeeded=True)


ATTACK = Attack("strangers", "attack of strangers", strangers, "here")
