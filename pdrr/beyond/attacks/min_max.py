"""Min-Max: all attackers send one model, no farther from any benign one than two of these are.

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


def min_max(
    honest: Round,
    byzantine: Array,
    *,
    knowledge: str,
    rng: np.random.Generator,  # noqa: ARG001
    direction: str = "unit",
) -> Crafted:
    """Send mean + gamma * p, c times, with the largest gamma that keeps the bound.

    The bound is max_i |w' - w_i|^2 <= max_ij |w_i - w_j|^2 over the models that the attacker knows.
    As both sides are quadratic in gamma, the largest one is the smallest of n roots. Public code
    often halves steps from a starting value instead, and ends below it or above.

    Parameters
    ----------
    honest, byzantine, knowledge, rng
        As in `pdrr.attacks.trimmed_mean_attack`. Full knowledge: of the benign models; partial: of
        the attackers' own.
    direction : {"unit", "std", "sign"}
        p, see `pdrr.beyond.perturbing.Perturbed`.

    Returns
    -------
    Crafted
        Detail ``gamma``. It fails, and the honest models are sent, where gamma is 0: nothing
        known has moved, or one model only is known. Nothing is drawn.

    Raises
    ------
    ValueError
        For another direction.

    Examples
    --------
    >>> from pdrr.beyond.attacks.min_max import min_max
    >>> honest = pdrr.Round(np.array([[5.0], [1.0], [3.0]]), np.zeros(1))
    >>> byzantine, rng = np.arange(3) < 1, np.random.default_rng(0)
    >>> crafted = min_max(honest, byzantine, knowledge="full", rng=rng)
    >>> crafted.detail["gamma"], crafted.observed.clients[0, 0].tolist()  # 1 and 3 are 2 apart
    (1.0, 1.0)
    """
    attackers, benign = compromised("min_max", honest, byzantine, knowledge)
    perturbed = Perturbed(honest, benign if knowledge == "full" else attackers, direction)
    return perturbed.crafted(attackers, largest_gamma(perturbed))


def largest_gamma(perturbed: Perturbed) -> float:
    """The gamma at which the farthest known model is as far as two of them are; 0 without p.

    Examples
    --------
    >>> from pdrr.beyond.attacks.min_max import largest_gamma
    >>> from pdrr.beyond.perturbing import Perturbed
    >>> honest = pdrr.Round(np.array([[1.0], [5.0]]), np.zeros(1))
    >>> largest_gamma(Perturbed(honest, np.arange(2), "sign"))
    2.0
    """
    if not perturbed.length:
        return 0.0
    b, length = perturbed.products(), perturbed.length
    room = np.maximum(perturbed.between.max() - perturbed.from_mean, 0)
    # never below 0: the root is at least |b|, up to rounding
    return max(0.0, float((np.sqrt(b**2 + length * room) - b).min() / length))


REFERENCE = "Shejwalkar, Houmansadr, NDSS 2021"
ATTACK = (
    Attack("min_max", "Min-Max attack", min_max, REFERENCE),
    Attack(
        "min_max_std",
        "Min-Max attack along deviations",
        partial(min_max, direction="std"),
        REFERENCE,
    ),
    Attack(
        "min_max_sign", "Min-Max attack along signs", partial(min_max, direction="sign"), REFERENCE
    ),
)
