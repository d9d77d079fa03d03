"""IPM, inner product manipulation: all attackers send the mean update turned round.

Xie, Koyejo, Gupta, UAI 2019 (arXiv:1903.03936).
"""

from __future__ import annotations

from functools import partial

import numpy as np

from pdrr.attacks import compromised, replace_rows
from pdrr.core.arrays import Array
from pdrr.core.combine import combined
from pdrr.methods import Attack
from pdrr.types import Crafted, Round


def ipm(
    honest: Round,
    byzantine: Array,
    *,
    knowledge: str,
    rng: np.random.Generator,  # noqa: ARG001
    epsilon: float = 0.5,
) -> Crafted:
    """Send -epsilon times the mean update of the models that the attacker knows, c times.

    Parameters
    ----------
    honest, byzantine, knowledge, rng
        As in `pdrr.attacks.trimmed_mean_attack`. Full knowledge: the mean of the benign models;
        partial: of the attackers' own.
    epsilon : float > 0
        Small, the copies hide among models that lie near w_p; above (k - c) / c, the mean of all
        models moves backwards.

    Returns
    -------
    Crafted
        Always succeeded; nothing is drawn.

    Raises
    ------
    ValueError
        If `epsilon` is not positive and finite.

    Examples
    --------
    >>> from pdrr.beyond.attacks.ipm import ipm
    >>> honest = pdrr.Round(np.array([[0.0], [0.0], [1.0], [3.0]]), np.zeros(1))
    >>> byzantine, rng = np.arange(4) < 2, np.random.default_rng(0)
    >>> crafted = ipm(honest, byzantine, knowledge="full", rng=rng)
    >>> crafted.observed.clients[:, 0].tolist()  # the benign mean is 2
    [-1.0, -1.0, 1.0, 3.0]
    """
    attackers, benign = compromised("ipm", honest, byzantine, knowledge)
    if not (np.isfinite(epsilon) and epsilon > 0):
        raise ValueError(f"ipm needs a finite epsilon > 0, got {epsilon}")
    known = benign if knowledge == "full" else attackers
    weights = np.zeros(honest.k)
    weights[known] = -epsilon / len(known)
    sent = combined(honest, weights)
    return Crafted(replace_rows(honest, attackers, lambda _: sent), succeeded=True)


REFERENCE = "Xie, Koyejo, Gupta, UAI 2019"
ATTACK = (
    Attack("ipm", "IPM attack", ipm, REFERENCE),
    Attack("ipm_10", "IPM attack of strength 10", partial(ipm, epsilon=10.0), REFERENCE),
)
