"""Sparse one: a single attacker sends huge values in very few coordinates; made against PDRR.

Counts over all coordinates hardly notice, while a mean is lost.
"""

from __future__ import annotations

import numpy as np

from pdrr.attacks import compromised, replace_rows
from pdrr.core.arrays import Array, array_namespace, like
from pdrr.core.checks import check_share
from pdrr.methods import Attack
from pdrr.types import Crafted, Round


def sparse(
    honest: Round,
    byzantine: Array,
    *,
    knowledge: str,
    rng: np.random.Generator,
    share: float = 0.001,
    value: float = 1e6,
) -> Crafted:
    """Send one huge value in a random share of the coordinates, by one attacker; others are honest.

    Parameters
    ----------
    honest, byzantine, knowledge
        As in `pdrr.attacks.trimmed_mean_attack`; both kinds of knowledge come to the same.
    rng : numpy.random.Generator
        Draws who it is, and the coordinates.
    share : float in [0, 1]
        At least one coordinate is taken.
    value : float
        The weight it sends there.

    Returns
    -------
    Crafted
        Always succeeded; detail ``row``, who it is. The other compromised clients send their honest
        models, so that a detector cannot find them.

    Raises
    ------
    ValueError
        If `share` is none, or `value` not finite.

    Examples
    --------
    >>> from pdrr.beyond.attacks.sparse import sparse
    >>> honest = pdrr.Round(np.zeros((4, 2000)), np.zeros(2000))
    >>> byzantine, rng = np.arange(4) < 2, np.random.default_rng(0)
    >>> crafted = sparse(honest, byzantine, knowledge="partial", rng=rng)
    >>> crafted.detail, crafted.observed.clients.sum(axis=1).tolist()
    ({'row': 1}, [0.0, 2000000.0, 0.0, 0.0])
    """
    attackers, _ = compromised("sparse", honest, byzantine, knowledge)
    check_share("sparse", "share", share)
    if not np.isfinite(value):
        raise ValueError(f"sparse needs a finite value, got {value}")
    row = int(rng.choice(attackers))
    there = np.zeros(honest.d, dtype=bool)
    there[rng.choice(honest.d, max(1, round(share * honest.d)), replace=False)] = True
    xp = array_namespace(honest.clients)

    def model(_: int) -> Array:
        own = honest.clients[row, :]
        return xp.where(like(there, own), xp.full_like(own, value), own)

    return Crafted(replace_rows(honest, np.array([row]), model), True, {"row": row})


ATTACK = Attack("sparse", "attack of a sparse one", sparse, "here")
