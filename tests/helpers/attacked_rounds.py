"""Rounds for attacks: models around a common direction, and entries run on them by name."""

import numpy as np

from pdrr import Round
from pdrr.experiments import attacking

K, C, D = 15, 4, 60
SCATTERED = np.isin(np.arange(K), [2, 3, 7, 10])
"""The compromised clients, anywhere in the round."""


def honest_round(seed=0, d=D, k=K, dtype=np.float64, previous=None, scale=1.0):
    """Updates of `scale` around a common direction; a fifth of the coordinates does not move."""
    rng = np.random.default_rng(seed)
    previous = rng.normal(size=d) if previous is None else previous
    updates = 0.1 * (rng.normal(size=d) + rng.normal(size=(k, d)))
    updates[:, : d // 5] = 0
    previous = previous.astype(dtype)
    return Round((previous + scale * updates).astype(dtype), previous, 3)


def own_settings(honest, scale=1.0, beta=4, rule="trimmed_mean", c=C):
    """What a run decides for an attack, made up."""
    rng = np.random.default_rng(7)
    before = np.asarray(honest.previous) - scale * 0.1 * rng.normal(size=honest.d)
    flipped = np.asarray(honest.previous) - scale * rng.normal(size=(C, honest.d))
    return {
        "rule": rule,
        "c": c,
        "beta": beta,
        "b": 1.05,
        "before": before.astype(np.asarray(honest.previous).dtype),
        "flipped": flipped,
        "memory": {},
    }


def run(name, honest, byzantine=SCATTERED, knowledge="full", seed=100, own=None, **settings):
    """The round under an attack, by its entry."""
    entry = attacking.attacks()[name]
    given = own or own_settings(honest)
    taken = {word: given[word] for word in entry.takes}
    rng = np.random.default_rng(seed)
    return entry.function(honest, byzantine, knowledge=knowledge, rng=rng, **taken, **settings)


def sent(crafted, byzantine=SCATTERED):
    """What the attackers send: [c, d]."""
    return np.asarray(crafted.observed.clients)[byzantine]
