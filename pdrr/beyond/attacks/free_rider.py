"""Free rider: clients that do not train send the last global step as if it were their update.

Lin, Du, Liu, 2019 (arXiv:1911.12560).
"""

from __future__ import annotations

import numpy as np

from pdrr.attacks import compromised, replace_rows
from pdrr.core.arrays import Array, array_namespace, float64, like, to_host
from pdrr.methods import Attack
from pdrr.types import Crafted, Round


def free_rider(
    honest: Round,
    byzantine: Array,
    *,
    knowledge: str,
    rng: np.random.Generator,
    before: Array | None = None,
    noise: float = 1e-3,
) -> Crafted:
    """Send w_p + g + noise with g = w_p - w_pp, the step between the last two global models.

    Parameters
    ----------
    honest, byzantine, knowledge, rng
        As in `pdrr.attacks.trimmed_mean_attack`; nobody's local model is needed, so that both kinds
        of knowledge come to the same.
    before : array [d], optional
        w_pp. Without it, as in round 1, they send w_p plus noise.
    noise : float >= 0
        Standard deviation of each attacker's own noise, in units of the weights; 0 for copies,
        "delta weights".

    Returns
    -------
    Crafted
        Always succeeded.

    Raises
    ------
    ValueError
        If `noise` is negative or not finite, or `before` no model [d].

    Examples
    --------
    >>> from pdrr.beyond.attacks.free_rider import free_rider
    >>> honest = pdrr.Round(np.array([[5.0], [5.0], [6.0]]), np.array([4.0]))
    >>> byzantine, own = np.arange(3) < 2, {"knowledge": "partial", "rng": np.random.default_rng(0)}
    >>> crafted = free_rider(honest, byzantine, before=np.array([1.0]), noise=0, **own)
    >>> crafted.observed.clients[:, 0].tolist()
    [7.0, 7.0, 6.0]
    """
    attackers, _ = compromised("free_rider", honest, byzantine, knowledge)
    if not (np.isfinite(noise) and noise >= 0):
        raise ValueError(f"free_rider needs a finite noise >= 0, got {noise}")
    xp, sent = array_namespace(honest.clients), float64(honest.previous)
    if before is not None:
        if tuple(before.shape) != (honest.d,):
            raise ValueError(
                f"free_rider needs before of shape [{honest.d}], got {tuple(before.shape)}"
            )
        sent = 2 * sent - float64(like(to_host(before), honest.clients))

    def model(_: int) -> Array:
        if not noise:
            return xp.astype(sent, honest.clients.dtype)
        draw = like(rng.standard_normal(honest.d), honest.clients)
        return xp.astype(sent + noise * draw, honest.clients.dtype)

    return Crafted(replace_rows(honest, attackers, model), succeeded=True)


ATTACK = Attack(
    "free_rider", "free riders", free_rider, "Lin, Du, Liu, 2019 (arXiv:1911.12560)", ("before",)
)
