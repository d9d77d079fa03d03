"""AGR-tailored attack: the mean, moved as far as the server's own rule allows.

Shejwalkar, Houmansadr, NDSS 2021.
"""

from __future__ import annotations

import numpy as np

from pdrr.aggregators import AGGREGATORS
from pdrr.attacks import compromised
from pdrr.beyond.krum_search import around, largest_step
from pdrr.beyond.perturbing import Perturbed
from pdrr.core.arrays import Array, array_namespace, float64, like
from pdrr.core.checks import check_c
from pdrr.core.rules import own_setting
from pdrr.methods import Attack
from pdrr.types import Crafted, Round

HALVINGS = 8  # steps tried below the largest where every one costs an aggregation
PLATEAU = 0.99  # of the largest damage: no need to go farther


def agr_tailored(
    honest: Round,
    byzantine: Array,
    *,
    knowledge: str,
    rng: np.random.Generator,  # noqa: ARG001
    rule: str,
    c: int,
    beta: int,
    direction: str = "sign",
    reach: float = 16.0,
) -> Crafted:
    """Send mean + gamma * p, c times, with the gamma that suits the rule.

    Krum: the largest gamma for which it selects a crafted model, from inner products alone. Every
    other rule: the gamma whose aggregate lies farthest from the mean of the known models, of
    ``reach * D / |p|`` (D the largest distance of two known models) and its halves; where the
    damage hardly grows any more, the smallest of these. Of a trimmed mean with more attackers than
    it trims the damage grows without bound, so that `reach` decides.

    Parameters
    ----------
    honest, byzantine, knowledge, rng
        As in `pdrr.attacks.trimmed_mean_attack`. Full knowledge: mean of the benign models, and the
        round as the server will see it. Partial: of the attackers' own, among which they simulate
        the rule with as many crafted models, c and beta as keep the proportions of the round
        (public code has fewer crafted models, c^2 / k).
    rule, c, beta
        The server's; beta matters to the trimmed mean alone.
    direction : {"sign", "unit", "std"}
        p, see `pdrr.beyond.perturbing.Perturbed`.
    reach : float > 0
        The largest gamma tried, in units of D / |p|.

    Returns
    -------
    Crafted
        Detail ``gamma``; where none is found, it fails, and the honest models are sent.

    Raises
    ------
    ValueError
        For another rule or direction, or one that is not defined for so few models; Krum needs 3
        attackers under partial knowledge.

    Examples
    --------
    >>> from pdrr.beyond.attacks.agr_tailored import agr_tailored
    >>> honest = pdrr.Round(np.arange(1.0, 10)[:, None], np.zeros(1))
    >>> byzantine, rng = np.arange(9) < 2, np.random.default_rng(0)
    >>> own = {"knowledge": "full", "rng": rng, "c": 2, "beta": 2}
    >>> [
    ...     round(agr_tailored(honest, byzantine, rule=rule, **own).detail["gamma"], 1)
    ...     for rule in ("krum", "median")
    ... ]
    [2.0, 1.5]
    """
    attackers, benign = compromised("agr_tailored", honest, byzantine, knowledge)
    if not (np.isfinite(reach) and reach > 0):
        raise ValueError(f"agr_tailored needs a finite reach > 0, got {reach}")
    own_setting(rule, c=c, beta=beta)  # refuses what is no rule
    known, crafted = benign, len(attackers)
    if knowledge == "partial":
        known, crafted = attackers, max(1, crafted**2 // (honest.k - crafted))
        n = len(known) + crafted
        c, beta = max(1, c * n // honest.k), beta * n // honest.k
    perturbed = Perturbed(honest, known, direction)
    if rule == "krum":
        c = check_c("agr_tailored against Krum", len(known) + crafted, c)
    if not perturbed.length:
        return perturbed.crafted(attackers, 0.0)
    start = reach * float(np.sqrt(perturbed.between.max() / perturbed.length))
    if rule == "krum":
        gamma = _accepted_by_krum(perturbed, start, crafted, c)
    else:
        gamma = _most_damage(perturbed, start, crafted, rule, own_setting(rule, c=c, beta=beta))
    return perturbed.crafted(attackers, gamma)


def _accepted_by_krum(perturbed: Perturbed, start: float, crafted: int, c: int) -> float:
    products = perturbed.products()

    def distances(gamma: float) -> np.ndarray:
        row = perturbed.from_mean + 2 * gamma * products + gamma**2 * perturbed.length
        to_known = np.tile(row, (crafted, 1))
        return around(np.zeros((crafted, crafted)), to_known, perturbed.between)

    return largest_step(distances, start, crafted=crafted, c=c)


def _most_damage(
    perturbed: Perturbed, start: float, crafted: int, rule: str, setting: dict[str, int]
) -> float:
    """The smallest gamma of start, start / 2, ... that reaches the plateau; 0 if none harms."""
    honest, n = perturbed.honest, len(perturbed.known)
    xp = array_namespace(honest.clients)
    # the known models, and behind them rows for the crafted ones
    rows = np.concatenate([perturbed.known, np.repeat(perturbed.known[:1], crafted)])
    clients = xp.take(honest.clients, like(rows, honest.clients), axis=0)
    gammas = [start / 2**halved for halved in range(HALVINGS + 1)]
    damages = []
    for gamma in gammas:
        sent = perturbed.at(gamma)
        for row in range(n, n + crafted):
            clients[row, :] = sent
        moved = float64(AGGREGATORS[rule](clients, **setting)) - perturbed.mean
        damages.append(float(xp.sum(moved * moved)) ** 0.5)
    worst = max(damages)
    enough = [g for g, damage in zip(gammas, damages, strict=True) if damage >= PLATEAU * worst]
    return min(enough) if worst else 0.0


ATTACK = Attack(
    "agr_tailored",
    "AGR-tailored attack",
    agr_tailored,
    "Shejwalkar, Houmansadr, NDSS 2021",
    takes=("rule", "c", "beta"),
)
