"""Label flip: the attackers train as everybody does, on wrong labels.

As in Fang, Cao, Jia, Gong, USENIX Security 2020; here label y becomes L - 1 - y of L labels.
"""

from __future__ import annotations

import numpy as np

from pdrr.attacks import compromised, replace_rows
from pdrr.core.arrays import Array, array_namespace, like, to_host
from pdrr.core.checks import check_finite
from pdrr.methods import Attack
from pdrr.types import Crafted, Round


def label_flip(
    honest: Round,
    byzantine: Array,
    *,
    knowledge: str,
    rng: np.random.Generator,  # noqa: ARG001
    flipped: Array,
) -> Crafted:
    """Send the models that training on flipped labels gives.

    Parameters
    ----------
    honest, byzantine, knowledge, rng
        As in `pdrr.attacks.trimmed_mean_attack`; both kinds of knowledge come to the same.
    flipped : array [c, d]
        Those models, in the order of the compromised rows.

    Returns
    -------
    Crafted
        Always succeeded; nothing is drawn.

    Raises
    ------
    ValueError
        If there is not one finite model for each attacker.

    Examples
    --------
    >>> from pdrr.beyond.attacks.label_flip import label_flip
    >>> honest = pdrr.Round(np.array([[1.0], [2.0], [3.0]]), np.zeros(1))
    >>> byzantine, own = np.arange(3) < 1, {"knowledge": "partial", "rng": np.random.default_rng(0)}
    >>> crafted = label_flip(honest, byzantine, flipped=np.array([[-4.0]]), **own)
    >>> crafted.observed.clients[:, 0].tolist()
    [-4.0, 2.0, 3.0]
    """
    attackers, _ = compromised("label_flip", honest, byzantine, knowledge)
    wanted = (len(attackers), honest.d)
    if tuple(flipped.shape) != wanted:
        raise ValueError(f"label_flip needs flipped of shape {wanted}, got {tuple(flipped.shape)}")
    check_finite("label_flip", flipped)
    xp = array_namespace(honest.clients)

    def model(index: int) -> Array:
        row = like(to_host(flipped[index, :]), honest.clients)
        return xp.astype(row, honest.clients.dtype)

    return Crafted(replace_rows(honest, attackers, model), succeeded=True)


ATTACK = Attack(
    "label_flip",
    "label flip",
    label_flip,
    "Fang, Cao, Jia, Gong, USENIX Security 2020",
    takes=("flipped",),
)
