"""ALIE, "a little is enough": all attackers send one model well within the spread of the others.

Baruch, Baruch, Goldberg, NeurIPS 2019 (arXiv:1902.06156).
"""

from __future__ import annotations

from functools import partial
from statistics import NormalDist

import numpy as np

from pdrr.attacks import compromised, replace_rows
from pdrr.core.arrays import Array, array_namespace, like
from pdrr.core.directions import moments
from pdrr.methods import Attack
from pdrr.types import Crafted, Round


def alie(
    honest: Round,
    byzantine: Array,
    *,
    knowledge: str,
    rng: np.random.Generator,
    z: float | None = None,
    noise: float = 0.0,
) -> Crafted:
    """Send mean - z * standard deviation of the models that the attacker knows, c times.

    Parameters
    ----------
    honest, byzantine, knowledge, rng
        As in `pdrr.attacks.trimmed_mean_attack`. Full knowledge: mean and deviation of the benign
        models; partial, as its authors have it: of the attackers' own.
    z : float, optional
        Deviations from the mean; `largest_z` by default. (Public code often has the probability
        there in place of its quantile, or a constant 1.5.)
    noise : float >= 0
        Each attacker adds noise of its own of so many deviations: 0 for copies.

    Returns
    -------
    Crafted
        Always succeeded; detail ``z``. The deviation is the population's (over n, not n - 1).

    Raises
    ------
    ValueError
        If c is at least half of k, or `noise` negative.

    Examples
    --------
    >>> from pdrr.beyond.attacks.alie import alie
    >>> honest = pdrr.Round(np.array([[0.0], [0.0], [1.0], [3.0], [2.0]]), np.zeros(1))
    >>> byzantine, rng = np.arange(5) < 2, np.random.default_rng(0)
    >>> crafted = alie(honest, byzantine, knowledge="full", rng=rng, z=1.5)
    >>> crafted.observed.clients[:, 0].round(2).tolist()  # mean 2, deviation .82
    [0.78, 0.78, 1.0, 3.0, 2.0]
    """
    attackers, benign = compromised("alie", honest, byzantine, knowledge)
    if noise < 0:
        raise ValueError(f"alie needs noise >= 0, got {noise}")
    z = largest_z(honest.k, len(attackers)) if z is None else z
    mu, sigma = moments(honest.clients, benign if knowledge == "full" else attackers)
    xp = array_namespace(honest.clients)

    def model(_: int) -> Array:
        sent = mu - z * sigma
        if noise:
            sent = sent + noise * sigma * like(rng.standard_normal(honest.d), honest.clients)
        return xp.astype(sent, honest.clients.dtype)

    return Crafted(replace_rows(honest, attackers, model), True, {"z": z})


def largest_z(k: int, c: int) -> float:
    """How far the attackers may stand off and still have enough supporters: section 3.2.

    With c attackers, floor(k / 2 + 1) - c benign models have to lie farther out than they do. One
    attacker among an even number has to stand a little beyond their mean: z is then negative.

    Examples
    --------
    >>> from pdrr.beyond.attacks.alie import largest_z
    >>> [round(largest_z(50, c), 4) for c in (24, 20, 10, 5)]
    [1.4261, 0.8416, 0.2533, 0.0837]
    """
    if not 1 <= c < k / 2:
        raise ValueError(f"alie needs 1 <= c < k / 2, got c={c} for k={k}")
    supporters = k // 2 + 1 - c
    return NormalDist().inv_cdf((k - c - supporters) / (k - c))


REFERENCE = "Baruch, Baruch, Goldberg, NeurIPS 2019"
ATTACK = (
    Attack("alie", "ALIE attack", alie, REFERENCE),
    Attack("alie_noise", "ALIE attack with noise", partial(alie, noise=1.0), REFERENCE),
)
