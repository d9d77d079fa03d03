"""What attackers need that push models a few standard deviations against their direction."""

from __future__ import annotations

import numpy as np

from pdrr.attacks import compromised
from pdrr.core.arrays import Array, float64
from pdrr.core.directions import mean_direction, moments
from pdrr.types import Round


def known_deviations(
    who: str, honest: Round, byzantine: Array, knowledge: str
) -> tuple[np.ndarray, Array, Array]:
    """The attackers' rows [c], and of what they know the deviation sigma [d] and direction s [d].

    Full knowledge: of the benign models; partial: of the attackers' own. The deviation is the
    population's, over n, not n - 1; s = Sgn(mean update). Errors name `who`.

    Examples
    --------
    >>> from pdrr.beyond.pushing import known_deviations
    >>> honest = pdrr.Round(np.array([[6.0], [7.0], [1.0], [3.0]]), np.zeros(1))
    >>> known_deviations("me", honest, np.arange(4) < 2, "full")
    (array([0, 1]), array([1.]), array([1.]))
    """
    attackers, benign = compromised(who, honest, byzantine, knowledge)
    known = benign if knowledge == "full" else attackers
    _, sigma = moments(honest.clients, known)
    return attackers, sigma, float64(mean_direction(honest, known))
