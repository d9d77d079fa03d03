"""Who is compromised, and random numbers that depend on nothing but seed, purpose and round."""

from __future__ import annotations

import numpy as np

from pdrr.config import Settings
from pdrr.core.rules import RULES

SELECT, TRAIN, ATTACK, DETECT, SAMPLE = (
    1,
    2,
    3,
    4,
    5,
)  # streams of random numbers, independent of each other


def stream(seed: int, purpose: int, *index: int) -> np.random.Generator:
    """The generator of one purpose (and round, and client), whatever else was drawn before."""
    return np.random.default_rng([seed, purpose, *index])


def detection(seed: int, number: int, rule: str) -> np.random.Generator:
    """What is drawn to detect in one round under one rule.

    The rule is in it: else three tables would share their lots, and one stroke of luck would count
    three times. ValueError for an unknown rule.
    """
    if rule not in RULES:
        raise ValueError(f"rule needs to be one of {', '.join(RULES)}, got {rule!r}")
    return stream(seed, DETECT, number, list(RULES).index(rule))


def byzantine(settings: Settings) -> np.ndarray:
    """bool [k]: the compromised clients are the first c of a round (paper, section 5.1)."""
    return np.arange(settings.federation.k) < settings.federation.c
