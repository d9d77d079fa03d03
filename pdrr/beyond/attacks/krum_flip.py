"""Krum attack with flipped signs: its copies stop looking like each other; made against PDRR.

Against Krum, PDRR compares the signs of updates with those of the selected one.
"""

from __future__ import annotations

import numpy as np

from pdrr.aggregators import krum_index
from pdrr.attacks import compromised, replace_rows
from pdrr.beyond.krum_search import around, largest_step
from pdrr.core.arrays import Array, array_namespace, float64, like
from pdrr.core.checks import check_c, check_share
from pdrr.core.directions import lengths, mean_direction, row_direction
from pdrr.core.distances import pairwise_squared_distances
from pdrr.methods import Attack
from pdrr.types import Crafted, Round


def krum_flip(
    honest: Round,
    byzantine: Array,
    *,
    knowledge: str,
    rng: np.random.Generator,
    share: float = 0.1,
) -> Crafted:
    """As `pdrr.attacks.krum_attack`, with copies that differ in sign here and there.

    The first attacker sends w_p - lambda * s. Each of the others sends the same but for a random
    share of the coordinates, where it stops just beyond w_p, a few units in the last place to the
    side of s: the sign is the other one, and the distance hardly more than lambda. In the
    simulation copies are as far apart, and as near to honest models, as that makes them on average:
    Krum may select any of them.

    Parameters
    ----------
    honest, byzantine, knowledge
        As in `pdrr.attacks.krum_attack`; direction s and simulation too.
    rng : numpy.random.Generator
        Draws the coordinates.
    share : float in [0, 1]

    Returns
    -------
    Crafted
        Detail ``lambda`` (0 if the attack failed, and the honest models are sent) and ``copies``
        (malicious models in the last simulation).

    Raises
    ------
    ValueError
        Full knowledge needs k >= c + 3, partial knowledge c >= 3; or if `share` is none.

    Examples
    --------
    >>> from pdrr.beyond.attacks.krum_flip import krum_flip
    >>> honest = pdrr.Round(np.random.default_rng(0).uniform(0, 2, (10, 1000)), np.zeros(1000))
    >>> byzantine, rng = np.arange(10) < 4, np.random.default_rng(0)
    >>> crafted = krum_flip(honest, byzantine, knowledge="full", rng=rng)
    >>> (crafted.observed.clients > 0).mean(axis=1).round(1)[:5].tolist()
    [0.0, 0.1, 0.1, 0.1, 1.0]
    >>> pdrr.aggregators.krum_index(crafted.observed.clients, c=4) < 4
    True
    """
    attackers, benign = compromised("krum_flip", honest, byzantine, knowledge)
    check_share("krum_flip", "share", share)
    c = len(attackers)
    if knowledge == "full":
        check_c("krum_flip with full knowledge", honest.k, c)
        direction = row_direction(honest, krum_index(honest.clients, c=c, previous=honest.previous))
        known, copies = benign, [c]
    else:
        if c < 3:
            raise ValueError(f"krum_flip with partial knowledge needs c >= 3, got c={c}")
        direction = mean_direction(honest, attackers)
        known, copies = attackers, list(range(1, c + 1))
    found, m = _largest_lambda(honest, known, direction, copies, share)
    detail = {"lambda": found, "copies": m}
    if not found:
        return Crafted(honest, succeeded=False, detail=detail)
    xp, previous, s = array_namespace(honest.clients), float64(honest.previous), float64(direction)
    limits = xp.finfo(honest.clients.dtype)
    first = previous - found * s
    beyond = previous + s * (2 * limits.eps * xp.abs(previous) + limits.smallest_normal)

    def model(index: int) -> Array:
        sent = first
        if index:
            sent = xp.where(like(rng.random(honest.d) < share, honest.clients), beyond, first)
        return xp.astype(sent, honest.clients.dtype)

    return Crafted(replace_rows(honest, attackers, model), True, detail)


def _largest_lambda(
    honest: Round, known: np.ndarray, direction: Array, copies: list[int], share: float
) -> tuple[float, int]:
    """The largest lambda that Krum accepts, and with how many malicious models; 0 if it never does.

    Copies are as far apart as they are on average over what is drawn.
    """
    between = pairwise_squared_distances(honest.clients, honest.previous, known)
    squares, products = lengths(honest, known, direction)
    moved = int(array_namespace(direction).count_nonzero(direction))
    if not moved:
        return 0.0, copies[-1]

    def distances(lam: float) -> np.ndarray:
        step = 2 * lam * products + lam**2 * moved  # what |u_i + lambda s|^2 adds to |u_i|^2
        to_known = np.tile(squares + (1 - share) * step, (m, 1))
        to_known[0] = squares + step
        crafted = np.full((m, m), 2 * share * (1 - share) * lam**2 * moved)
        crafted[0] = crafted[:, 0] = share * lam**2 * moved
        np.fill_diagonal(crafted, 0)
        return around(crafted, to_known, between)

    start = 8 * float(np.sqrt(squares.max() / moved))
    found = 0.0
    for m in copies:
        found = largest_step(distances, start, crafted=m, c=m)
        if found:
            break
    return found, m


ATTACK = Attack("krum_flip", "attack on Krum with flipped signs", krum_flip, "here")
