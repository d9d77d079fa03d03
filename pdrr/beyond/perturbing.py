"""What attackers share that move the mean of the models they know along one direction.

Shejwalkar, Houmansadr, NDSS 2021.
"""

from __future__ import annotations

import numpy as np

from pdrr.attacks import replace_rows
from pdrr.core.arrays import Array, array_namespace, float64
from pdrr.core.directions import lengths, mean_direction, moments
from pdrr.core.distances import pairwise_squared_distances
from pdrr.types import Crafted, Round

DIRECTIONS = ("unit", "std", "sign")


class Perturbed:
    """The model m + gamma * p: the mean of n known models, moved.

    Parameters
    ----------
    honest : Round
    known : int array [n]
        The rows that the attacker knows.
    direction : {"unit", "std", "sign"}
        p, against the mean update u: -u / |u|, minus the standard deviation (over n, not n - 1)
        of each coordinate, or -Sgn(u).

    Attributes
    ----------
    length : float
        |p|^2; 0 if there is nowhere to go.
    between : array [n, n] float64
        Squared distances of the known models to each other.
    from_mean : array [n] float64
        Their squared distances to m.

    Examples
    --------
    >>> from pdrr.beyond.perturbing import Perturbed
    >>> honest = pdrr.Round(np.array([[1.0], [3.0], [9.0]]), np.zeros(1))
    >>> perturbed = Perturbed(honest, np.array([0, 1]), "sign")
    >>> perturbed.from_mean.tolist(), perturbed.at(0.5).tolist()
    ([1.0, 1.0], [1.5])
    """

    def __init__(self, honest: Round, known: np.ndarray, direction: str) -> None:
        if direction not in DIRECTIONS:
            raise ValueError(f"Perturbed needs direction unit, std or sign, got {direction!r}")
        xp = array_namespace(honest.clients)
        self.honest, self.known = honest, known
        self.mean, sigma = moments(honest.clients, known)
        if direction == "std":
            self.along = -sigma
        elif direction == "sign":
            self.along = -float64(mean_direction(honest, known))
        else:
            update = self.mean - float64(honest.previous)
            length = float(xp.sum(update * update)) ** 0.5
            self.along = -update / length if length else update
        self.length = float(xp.sum(self.along * self.along))
        self.between = pairwise_squared_distances(honest.clients, honest.previous, known)
        mean = self.between.mean(axis=1)
        self.from_mean = np.maximum(mean - mean.mean() / 2, 0)

    def products(self) -> np.ndarray:
        """p . (m - w_i) for each known model: [n] float64; one more pass."""
        _, products = lengths(self.honest, self.known, self.along)
        return np.asarray(products.mean() - products)

    def at(self, gamma: float) -> Array:
        """The model [d], in the dtype of the stack."""
        xp = array_namespace(self.mean)
        return xp.astype(self.mean + gamma * self.along, self.honest.clients.dtype)

    def crafted(self, attackers: np.ndarray, gamma: float) -> Crafted:
        """The round in which all attackers send it; their honest models where gamma is 0."""
        detail = {"gamma": gamma}
        if not gamma:
            return Crafted(self.honest, succeeded=False, detail=detail)
        sent = self.at(gamma)
        return Crafted(replace_rows(self.honest, attackers, lambda _: sent), True, detail)
