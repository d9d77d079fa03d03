"""Sign flip: every attacker turns its own update round.

As in Li, Xu, Chen, Giannakis, Ling, AAAI 2019 (arXiv:1811.03761).
"""

from __future__ import annotations

from functools import partial

import numpy as np

from pdrr.attacks import compromised, replace_rows
from pdrr.core.arrays import Array, array_namespace, float64
from pdrr.methods import Attack
from pdrr.types import Crafted, Round


def sign_flip(
    honest: Round,
    byzantine: Array,
    *,
    knowledge: str,
    rng: np.random.Generator,  # noqa: ARG001
    strength: float = 1.0,
) -> Crafted:
    """Send -strength times the own update; nothing of others is needed.

    Parameters
    ----------
    honest, byzantine, knowledge, rng
        As in `pdrr.attacks.trimmed_mean_attack`; both kinds of knowledge come to the same.
    strength : float > 0

    Returns
    -------
    Crafted
        Always succeeded; nothing is drawn.

    Raises
    ------
    ValueError
        If `strength` is not positive and finite.

    Examples
    --------
    >>> from pdrr.beyond.attacks.sign_flip import sign_flip
    >>> honest = pdrr.Round(np.array([[1.0], [2.0], [3.0]]), np.ones(1))
    >>> byzantine, rng = np.arange(3) > 0, np.random.default_rng(0)
    >>> crafted = sign_flip(honest, byzantine, knowledge="partial", rng=rng)
    >>> crafted.observed.updates[:, 0].tolist()
    [0.0, -1.0, -2.0]
    """
    attackers, _ = compromised("sign_flip", honest, byzantine, knowledge)
    if not (np.isfinite(strength) and strength > 0):
        raise ValueError(f"sign_flip needs a finite strength > 0, got {strength}")
    xp, previous = array_namespace(honest.clients), float64(honest.previous)

    def model(index: int) -> Array:
        update = float64(honest.clients[int(attackers[index]), :]) - previous
        return xp.astype(previous - strength * update, honest.clients.dtype)

    return Crafted(replace_rows(honest, attackers, model), succeeded=True)


REFERENCE = "Li, Xu, Chen, Giannakis, Ling, AAAI 2019"
ATTACK = (
    Attack("sign_flip", "sign flip", sign_flip, REFERENCE),
    Attack("sign_flip_4", "fourfold sign flip", partial(sign_flip, strength=4.0), REFERENCE),
)
