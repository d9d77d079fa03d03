"""Values that attackers would send in full, for those that send them in part only."""

from __future__ import annotations

import numpy as np

from pdrr.attacks import compromised, median_attack, trimmed_mean_attack
from pdrr.core.arrays import Array, array_namespace, like
from pdrr.types import Round


def extreme_values(
    honest: Round,
    byzantine: Array,
    knowledge: str,
    rng: np.random.Generator,
    *,
    rule: str,
    beta: int,
    b: float,
) -> tuple[np.ndarray, Array]:
    """The attackers' rows [c], and what the attack on the trimmed mean has them send [c, d].

    Against the median, what the attack on the median has; errors are those of the two.

    Examples
    --------
    >>> from pdrr.beyond.extreme_values import extreme_values
    >>> honest = pdrr.Round(np.array([[1.0], [2.0], [3.0], [4.0]]), np.zeros(1))
    >>> byzantine, rng = np.arange(4) > 2, np.random.default_rng(0)
    >>> rows, sent = extreme_values(honest, byzantine, "full", rng, rule="median", beta=1, b=1.05)
    >>> rows.tolist(), bool(1 / 1.05 < sent[0, 0] < 1)
    ([3], True)
    """
    attackers, _ = compromised("extreme_values", honest, byzantine, knowledge)
    if rule == "median":
        crafted = median_attack(honest, byzantine, knowledge=knowledge, rng=rng, b=b)
    else:
        crafted = trimmed_mean_attack(
            honest, byzantine, knowledge=knowledge, rng=rng, beta=beta, b=b
        )
    seen = crafted.observed.clients
    return attackers, array_namespace(seen).take(seen, like(attackers, seen), axis=0)
