"""Min-Sum: all attackers send one model, as close to all benign ones together as some of these.

Shejwalkar, Houmansadr, NDSS 2021.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from pdrr.attacks import compromised
from pdrr.beyond.perturbing import Perturbed
from pdrr.core.arrays import Array
from pdrr.methods import Attack
from pdrr.types import Crafted, Round


def min_sum(
    honest: Round,
    byzantine: Array,
    *,
    knowledge: str,
    rng: np.random.Generator,  # noqa: ARG001
    direction: str = "unit",
    bound: str = "max",
) -> Crafted:
    """Send mean + gamma * p, c times, with the largest gamma that keeps the bound.

    The bound is sum_i |w' - w_i|^2 <= max_i sum_j |w_i - w_j|^2 over the models that the attacker
    knows, so that gamma = max_i |w_i - mean| / |p|: the copies lie as far from the mean as the
    farthest known model, in whatever direction. Public code often takes min_i on both sides.

    Parameters
    ----------
    honest, byzantine, knowledge, rng, direction
        As in `pdrr.beyond.attacks.min_max.min_max`.
    bound : {"max", "min"}
        Which known model sets the bound.

    Returns
    -------
    Crafted
        Detail ``gamma``; failure as in `pdrr.beyond.attacks.min_max.min_max`.

    Raises
    ------
    ValueError
        For another direction or bound.

    Examples
    --------
    >>> from pdrr.beyond.attacks.min_sum import min_sum
    >>> honest = pdrr.Round(np.array([[5.0], [1.0], [2.0], [6.0]]), np.zeros(1))
    >>> byzantine, rng = np.arange(4) < 1, np.random.default_rng(0)
    >>> crafted = min_sum(honest, byzantine, knowledge="full", rng=rng)
    >>> round(float(crafted.observed.clients[0, 0]), 6)  # the mean is 3, and 6 is 3 away
    0.0
    """
    attackers, benign = compromised("min_sum", honest, byzantine, knowledge)
    if bound not in ("max", "min"):
        raise ValueError(f"min_sum needs bound 'max' or 'min', got {bound!r}")
    perturbed = Perturbed(honest, benign if knowledge == "full" else attackers, direction)
    farthest = perturbed.from_mean.max() if bound == "max" else perturbed.from_mean.min()
    gamma = float(np.sqrt(farthest / perturbed.length)) if perturbed.length else 0.0
    return perturbed.crafted(attackers, gamma)


REFERENCE = "Shejwalkar, Houmansadr, NDSS 2021"
ATTACK = (
    Attack("min_sum", "Min-Sum attack", min_sum, REFERENCE),
    Attack(
        "min_sum_std",
        "Min-Sum attack along deviations",
        partial(min_sum, direction="std"),
        REFERENCE,
    ),
    Attack(
        "min_sum_sign", "Min-Sum attack along signs", partial(min_sum, direction="sign"), REFERENCE
    ),
)
