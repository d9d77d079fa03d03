"""Local model poisoning of Krum, trimmed mean and median (paper, section 3; Fang et al. 2020).

Each attack gets the round as the devices trained it honestly, replaces the rows of the compromised
ones and returns what the server then observes. Full knowledge: the attacker knows all k honest
models. Partial knowledge: only those of its own c devices. Random numbers are those of the NumPy
generator given, so that the same attack arises on every device: uniform ones are drawn where the
models lie (`pdrr.core.draws`), the normal ones of the ball around Krum's model on the host.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from pdrr.aggregators import krum_index
from pdrr.core.arrays import Array, array_namespace, blocks, float64, like, to_host
from pdrr.core.checks import check_beta, check_c, check_moderate
from pdrr.core.directions import (
    extremes,
    lengths,
    mean_direction,
    middle_direction,
    moments,
    row_direction,
)
from pdrr.core.distances import krum_scores, pairwise_squared_distances
from pdrr.core.draws import uniform_rows
from pdrr.core.order import median_beta
from pdrr.types import Crafted, Round

KNOWLEDGE = ("full", "partial")
SMALLEST_LAMBDA = 1e-9  # the attack on Krum fails below it (section 5.1)
LAMBDA_WIDTH = 1e-3  # relative width at which the search for the largest lambda stops


def krum_attack(
    honest: Round,
    byzantine: Array,
    *,
    knowledge: str,
    rng: np.random.Generator,
    epsilon: float = 1e-7,
    noise: str = "ball",
) -> Crafted:
    """Make Krum select a model that moves against the direction of the honest round.

    The first compromised device sends w'_1 = w_p - lambda * s with the largest lambda for which
    Krum selects it in the attacker's simulation; the other c - 1 send near copies of it, which
    make it look well supported.

    Parameters
    ----------
    honest : Round
        All k models as trained.
    byzantine : bool array [k]
        The c compromised clients.
    knowledge : {"full", "partial"}
        Full: s = Sgn(Krum(all honest) - w_p), simulated with c copies against the k - c benign
        models, eq. (3). Partial: s from the mean of the attacker's own models, simulated with one
        copy against these, eq. (5); while no lambda is found, another copy is added, up to c.
    rng : numpy.random.Generator
    epsilon : float >= 0
        How far the other c - 1 models lie from w'_1.
    noise : {"ball", "coordinate"}
        Uniform in the L2 ball of radius epsilon (the paper's Euclidean distance), or uniform in
        (-epsilon, epsilon) per coordinate. float32 keeps little of the ball: at epsilon = 1e-7
        (quick profile, round 1, d = 1.7 million) 3.6% of a copy's coordinates differ from those of
        w'_1 at all, and the copy lies 3.4e-8 away.

    Returns
    -------
    Crafted
        With detail ``lambda`` (0 if the attack failed), ``copies`` (malicious models in the last
        simulation) and ``bound`` (the first lambda tried, eq. (4)). On failure the compromised
        devices send their honest models.

    Raises
    ------
    ValueError, TypeError
        Full knowledge needs k >= c + 3, partial knowledge c >= 3.

    References
    ----------
    Lu et al. 2022, section 3.1; Fang et al., USENIX Security 2020.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> honest = pdrr.Round(rng.uniform(0, 2, (10, 50)), np.zeros(50))  # all weights move up
    >>> crafted = pdrr.krum_attack(honest, np.arange(10) < 4, knowledge="full", rng=rng)
    >>> crafted.succeeded, crafted.detail["lambda"] > 0
    (True, True)
    >>> bool((pdrr.krum(crafted.observed.clients, c=4) < 0).all())  # and Krum moves them down
    True
    """
    attackers, benign = compromised("krum_attack", honest, byzantine, knowledge)
    k, c = honest.k, len(attackers)
    if not (np.isfinite(epsilon) and epsilon >= 0):
        raise ValueError(f"krum_attack needs a finite epsilon >= 0, got {epsilon}")
    if noise not in ("ball", "coordinate"):
        raise ValueError(f"krum_attack needs noise 'ball' or 'coordinate', got {noise!r}")
    if knowledge == "full":
        check_c("krum_attack with full knowledge", k, c)
        selected = krum_index(honest.clients, c=c, previous=honest.previous)
        direction = row_direction(honest, selected)
        known, copies = benign, [c]
    else:
        if c < 3:
            raise ValueError(f"krum_attack with partial knowledge needs c >= 3, got c={c}")
        direction = mean_direction(honest, attackers)
        known, copies = attackers, list(range(1, c + 1))

    search = _KrumSimulation(honest, known, direction)
    for m in copies:
        bound = search.bound(m)
        found = search.largest_lambda(m, bound)
        if found:
            break
    detail = {"lambda": found, "copies": m, "bound": bound}
    if not found:
        return Crafted(observed=honest, succeeded=False, detail=detail)

    xp = array_namespace(honest.clients)
    clients = xp.asarray(honest.clients, copy=True)
    first = xp.astype(float64(honest.previous) - found * float64(direction), clients.dtype)
    clients[int(attackers[0]), :] = first
    if noise == "coordinate":
        width = xp.zeros_like(first, dtype=xp.float64) + 2 * epsilon
        uniform_rows(clients, attackers[1:], float64(first), width, -epsilon, rng)
    else:
        for row in attackers[1:]:
            offset = rng.standard_normal(honest.d)
            offset *= epsilon * rng.uniform() ** (1 / honest.d) / np.linalg.norm(offset)
            clients[int(row), :] = xp.astype(float64(first) + like(offset, first), first.dtype)
    return Crafted(replace(honest, clients=clients), succeeded=True, detail=detail)


def trimmed_mean_attack(
    honest: Round,
    byzantine: Array,
    *,
    knowledge: str,
    rng: np.random.Generator,
    beta: int,
    b: float = 1.05,
) -> Crafted:
    """Put c values beyond all benign ones, on the side against the direction of each coordinate.

    Parameters
    ----------
    honest : Round
        All k models as trained.
    byzantine : bool array [k]
        The c compromised clients.
    knowledge : {"full", "partial"}
        Full: s from the trimmed mean of all honest models; values are drawn between the benign
        extreme and b times it (or a b-th of it, whichever lies outside). Partial: s, mean mu and
        standard deviation sigma from the attacker's own models; values are drawn 3 to 4 sigma
        from mu. Where s is 0 they keep the value of w_p.
    rng : numpy.random.Generator
    beta : int
        What the server trims per side (the attacker knows the rule).
    b : float > 1
        How far outside, full knowledge only. It acts on weights, not on updates.

    Returns
    -------
    Crafted
        Always succeeded; detail ``moved``, the number of coordinates with s != 0.

    References
    ----------
    Lu et al. 2022, section 3.2; Fang et al., USENIX Security 2020.

    Examples
    --------
    >>> honest = pdrr.Round(np.array([[1.0], [2.0], [3.0], [4.0]]), np.zeros(1))
    >>> byzantine = np.array([False, False, False, True])
    >>> rng = np.random.default_rng(0)
    >>> crafted = pdrr.trimmed_mean_attack(honest, byzantine, knowledge="full", rng=rng, beta=1)
    >>> bool(1 / 1.05 < crafted.observed.clients[3, 0] < 1)  # below the smallest benign value
    True
    >>> [float(pdrr.trimmed_mean(r.clients, beta=1)[0]) for r in (honest, crafted.observed)]
    [2.5, 1.5]
    """
    check_beta("trimmed_mean_attack", honest.k, beta)
    return _extremes("trimmed_mean_attack", honest, byzantine, knowledge, rng, beta, b)


def median_attack(
    honest: Round,
    byzantine: Array,
    *,
    knowledge: str,
    rng: np.random.Generator,
    b: float = 1.05,
) -> Crafted:
    """The attack on the trimmed mean, with the direction of the median (section 3.3).

    Parameters, returns and errors as in `trimmed_mean_attack`, without beta.

    Examples
    --------
    The attacker's own models are 1 and 3: mu = 2, sigma = 1, and they move up.

    >>> honest = pdrr.Round(np.array([[1.0], [3.0], [4.0], [5.0], [6.0]]), np.zeros(1))
    >>> byzantine = np.arange(5) < 2
    >>> rng = np.random.default_rng(0)
    >>> crafted = pdrr.median_attack(honest, byzantine, knowledge="partial", rng=rng)
    >>> sent = crafted.observed.clients[byzantine]
    >>> bool(sent.min() > 2 - 4 and sent.max() < 2 - 3)
    True
    """
    beta = median_beta(honest.k)
    return _extremes("median_attack", honest, byzantine, knowledge, rng, beta, b)


ATTACKS: dict[str, Callable[..., Crafted]] = {
    "krum": krum_attack,
    "trimmed_mean": trimmed_mean_attack,
    "median": median_attack,
}


class _KrumSimulation:
    """Krum as the attacker computes it: m copies of w_p - lambda * s among its n - m known models.

    With b_i = w_i - w_p the distance to a known model is
    |b_i + lambda s|^2 = |b_i|^2 + 2 lambda b_i.s + lambda^2 |s|_0, so that the search over
    lambda touches no vector of length d.
    """

    def __init__(self, honest: Round, known: np.ndarray, direction: Array) -> None:
        self.between = pairwise_squared_distances(honest.clients, honest.previous, known)
        self.norms, self.products = lengths(honest, known, direction)
        self.moved = int(array_namespace(direction).count_nonzero(direction))

    def bound(self, m: int) -> float:
        """The upper bound of lambda, eq. (4), with |s|_0 for d; 0 if nothing moved."""
        if not self.moved:
            return 0.0
        known = len(self.norms)
        nearest = krum_scores(self.between, neighbours=known - 2).min()
        # k - 2c - 1 for n = known + m models; it has no meaning unless positive
        spread = nearest / (max(1, known - m - 1) * self.moved)
        return float(np.sqrt(spread) + np.sqrt(self.norms.max() / self.moved))

    def accepts(self, m: int, lam: float) -> bool:
        """Whether Krum selects one of m copies at this lambda."""
        n = len(self.norms) + m
        distances = np.zeros((n, n))
        to_copy = self.norms + 2 * lam * self.products + lam**2 * self.moved
        distances[:m, m:] = np.maximum(to_copy, 0)
        distances[m:, :m] = distances[:m, m:].T
        distances[m:, m:] = self.between
        return int(np.argmin(krum_scores(distances, neighbours=n - m - 2))) < m

    def largest_lambda(self, m: int, bound: float) -> float:
        """Halve from the bound until accepted, then bisect; 0 if nothing above 1e-9 is."""
        high, low = bound, bound
        while low >= SMALLEST_LAMBDA and not self.accepts(m, low):
            high, low = low, low / 2
        if low < SMALLEST_LAMBDA:
            return 0.0
        while high - low > LAMBDA_WIDTH * low:
            middle = (low + high) / 2
            low, high = (middle, high) if self.accepts(m, middle) else (low, middle)
        return low


def _extremes(
    who: str,
    honest: Round,
    byzantine: Array,
    knowledge: str,
    rng: np.random.Generator,
    beta: int,
    b: float,
) -> Crafted:
    attackers, benign = compromised(who, honest, byzantine, knowledge)
    if not (np.isfinite(b) and b > 1):
        raise ValueError(f"{who} needs a finite b > 1, got {b}")
    xp = array_namespace(honest.clients)
    near, far = [], []  # the ends [d] of the intervals
    moved = 0
    full = knowledge == "full"
    if full:
        direction = middle_direction(honest, beta)
        bottom, top = extremes(honest.clients, benign)
    else:
        direction = mean_direction(honest, attackers)
        mu, sigma = moments(honest.clients, attackers)
    for cols in _pieces(honest):
        previous, s = float64(honest.previous[cols]), float64(direction[cols])
        if full:
            inner = float64(xp.where(s < 0, top[cols], bottom[cols]))
            # outwards is away from zero or towards it, depending on the side zero lies
            away = (s < 0) == (inner > 0)
            outer = xp.where(away, b * inner, inner / b)
        else:
            inner = mu[cols] - 3 * s * sigma[cols]
            outer = inner - s * sigma[cols]
        near.append(xp.where(s == 0, previous, inner))
        far.append(xp.where(s == 0, previous, outer))
        moved += int(xp.count_nonzero(s))
    inner, width = xp.concat(near), xp.concat(far) - xp.concat(near)
    clients = xp.asarray(honest.clients, copy=True)
    uniform_rows(clients, attackers, inner, width, 0.0, rng)
    return Crafted(replace(honest, clients=clients), True, {"moved": moved})


def _pieces(honest: Round) -> Iterable[slice]:
    """Coordinates to work on at a time: on a device all, as each piece costs as many launches."""
    on_host = isinstance(honest.clients, np.ndarray)
    return blocks(honest.d, honest.k) if on_host else (slice(0, honest.d),)


def compromised(
    who: str, honest: Round, byzantine: Array, knowledge: str
) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers of the compromised and of the benign clients, if an attack can work with them."""
    mask = to_host(byzantine)
    if mask.dtype != bool:
        raise TypeError(f"{who} needs a bool array byzantine, got {mask.dtype}")
    if mask.shape != (honest.k,) or mask.all() or not mask.any():
        raise ValueError(
            f"{who} needs byzantine of shape [{honest.k}] with both kinds of client,"
            f" got shape {mask.shape} with {mask.sum()} compromised"
        )
    if knowledge not in KNOWLEDGE:
        raise ValueError(f"{who} needs knowledge 'full' or 'partial', got {knowledge!r}")
    check_moderate(who, honest.clients)
    check_moderate(who, honest.previous[None, :])
    return np.flatnonzero(mask), np.flatnonzero(~mask)


def replace_rows(honest: Round, attackers: np.ndarray, model: Callable[[int], Array]) -> Round:
    """The round with row attackers[i] replaced by model(i), made one at a time."""
    xp = array_namespace(honest.clients)
    clients = xp.asarray(honest.clients, copy=True)
    for index, row in enumerate(attackers):
        clients[int(row), :] = model(index)
    return replace(honest, clients=clients)
