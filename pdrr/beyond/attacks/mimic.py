"""Mimic: all attackers send a copy of one honest model, so that this one counts too much.

Karimireddy, He, Jaggi, ICLR 2022 (arXiv:2006.09365).
"""

from __future__ import annotations

import numpy as np

from pdrr.attacks import compromised, replace_rows
from pdrr.core.arrays import Array
from pdrr.core.distances import pairwise_squared_distances
from pdrr.methods import Attack
from pdrr.types import Crafted, Round


def mimic(
    honest: Round,
    byzantine: Array,
    *,
    knowledge: str,
    rng: np.random.Generator,
) -> Crafted:
    """Copy the model that stands farthest out where the known models differ most.

    That is the one with the largest share, of either sign, in their first principal component. Its
    authors follow the component over rounds and then keep the target; here each round has its own.
    Public code often copies the first client, whoever that is.

    Parameters
    ----------
    honest, byzantine, knowledge, rng
        As in `pdrr.attacks.trimmed_mean_attack`. Full knowledge: a benign model is copied. Partial:
        the attackers see none, and all send the one of their own that stands farthest out.

    Returns
    -------
    Crafted
        Always succeeded; detail ``target``, the row that was copied. Nobody can tell a benign
        target from its copies, so false alarms deserve to be counted with and without it. Lots are
        drawn where several stand equally far out.

    Examples
    --------
    >>> from pdrr.beyond.attacks.mimic import mimic
    >>> honest = pdrr.Round(np.array([[0.0], [1.0], [2.0], [7.0]]), np.zeros(1))
    >>> byzantine, rng = np.arange(4) < 1, np.random.default_rng(0)
    >>> crafted = mimic(honest, byzantine, knowledge="full", rng=rng)
    >>> crafted.detail, crafted.observed.clients[:, 0].tolist()
    ({'target': 3}, [7.0, 1.0, 2.0, 7.0])
    """
    attackers, benign = compromised("mimic", honest, byzantine, knowledge)
    known = benign if knowledge == "full" else attackers
    share = principal_shares(pairwise_squared_distances(honest.clients, honest.previous, known))
    farthest = np.flatnonzero(share >= share.max() * (1 - 1e-9))
    target = int(known[rng.choice(farthest)])
    sent = honest.clients[target, :]
    return Crafted(replace_rows(honest, attackers, lambda _: sent), True, {"target": target})


def principal_shares(squared_distances: np.ndarray) -> np.ndarray:
    """How far each of n models lies along their first principal component, of either sign: [n].

    Examples
    --------
    >>> from pdrr.beyond.attacks.mimic import principal_shares
    >>> x = np.array([0.0, 1.0, 5.0])  # their mean is 2
    >>> (principal_shares((x[:, None] - x) ** 2) * 14**0.5).round(6).tolist()
    [2.0, 1.0, 3.0]
    """
    rows = squared_distances.mean(axis=0)
    centred = -(squared_distances - rows - rows[:, None] + rows.mean()) / 2
    _, vectors = np.linalg.eigh(centred)
    return np.asarray(np.abs(vectors[:, -1]))


ATTACK = Attack("mimic", "Mimic attack", mimic, "Karimireddy, He, Jaggi, ICLR 2022")
