"""Gaussian attacks: noise in the place of updates.

Noise of any size: Blanchard, El Mhamdi, Guerraoui, Stainer, NeurIPS 2017, and others since.
Estimated: Fang, Cao, Jia, Gong, USENIX Security 2020.
"""

from __future__ import annotations

import numpy as np

from pdrr.attacks import compromised, replace_rows
from pdrr.core.arrays import Array, array_namespace, float64, like
from pdrr.core.directions import moments
from pdrr.methods import Attack
from pdrr.types import Crafted, Round


def gaussian(
    honest: Round,
    byzantine: Array,
    *,
    knowledge: str,
    rng: np.random.Generator,
    scale: float = 10.0,
) -> Crafted:
    """Send w_p plus noise alone, of `scale` times the length of the own update.

    Every coordinate has the same deviation: `scale` times the root mean square of the own update.
    Public code has fixed deviations (1, .5, .1) that mean something else in every network.

    Parameters
    ----------
    honest, byzantine, knowledge, rng
        As in `pdrr.attacks.trimmed_mean_attack`; both kinds of knowledge come to the same.
    scale : float > 0

    Returns
    -------
    Crafted
        Always succeeded.

    Raises
    ------
    ValueError
        If `scale` is not positive and finite.

    Examples
    --------
    >>> from pdrr.beyond.attacks.gaussian import gaussian
    >>> honest = pdrr.Round(np.ones((3, 1000)), np.zeros(1000))
    >>> byzantine, rng = np.arange(3) < 1, np.random.default_rng(0)
    >>> crafted = gaussian(honest, byzantine, knowledge="partial", rng=rng)
    >>> crafted.observed.clients.std(axis=1).round(1).tolist()
    [9.8, 0.0, 0.0]
    """
    attackers, _ = compromised("gaussian", honest, byzantine, knowledge)
    if not (np.isfinite(scale) and scale > 0):
        raise ValueError(f"gaussian needs a finite scale > 0, got {scale}")
    xp, previous = array_namespace(honest.clients), float64(honest.previous)

    def model(index: int) -> Array:
        update = float64(honest.clients[int(attackers[index]), :]) - previous
        deviation = scale * float(xp.mean(update * update)) ** 0.5
        noise = like(rng.standard_normal(honest.d), honest.clients)
        return xp.astype(previous + deviation * noise, honest.clients.dtype)

    return Crafted(replace_rows(honest, attackers, model), succeeded=True)


def gaussian_estimated(
    honest: Round,
    byzantine: Array,
    *,
    knowledge: str,
    rng: np.random.Generator,
) -> Crafted:
    """Draw each coordinate from the normal distribution that fits the attackers' own models.

    Nearly harmless, and as good as indistinguishable: a lower bound of what can be detected.

    Parameters
    ----------
    honest, byzantine, knowledge, rng
        As in `pdrr.attacks.trimmed_mean_attack`; both kinds of knowledge come to the same. The
        deviation is the population's (over c, not c - 1).

    Returns
    -------
    Crafted
        Always succeeded.

    Examples
    --------
    >>> from pdrr.beyond.attacks.gaussian import gaussian_estimated
    >>> honest = pdrr.Round(np.array([[1.0, 0.0], [1.0, 2.0], [9.0, 9.0]]), np.zeros(2))
    >>> byzantine, rng = np.arange(3) < 2, np.random.default_rng(0)
    >>> crafted = gaussian_estimated(honest, byzantine, knowledge="full", rng=rng)
    >>> crafted.observed.clients.round(2).tolist()
    [[1.0, 0.87], [1.0, 1.1], [9.0, 9.0]]
    """
    attackers, _ = compromised("gaussian_estimated", honest, byzantine, knowledge)
    xp = array_namespace(honest.clients)
    mu, sigma = moments(honest.clients, attackers)

    def model(_: int) -> Array:
        noise = like(rng.standard_normal(honest.d), honest.clients)
        return xp.astype(mu + sigma * noise, honest.clients.dtype)

    return Crafted(replace_rows(honest, attackers, model), succeeded=True)


ATTACK = (
    Attack(
        "gaussian",
        "large Gaussian noise",
        gaussian,
        "Blanchard, El Mhamdi, Guerraoui, Stainer, NeurIPS 2017",
    ),
    Attack(
        "gaussian_estimated",
        "estimated Gaussian attack",
        gaussian_estimated,
        "Fang, Cao, Jia, Gong, USENIX Security 2020",
    ),
)
