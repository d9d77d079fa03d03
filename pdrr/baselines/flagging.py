"""The c largest scores are flagged, as in the paper; ties are broken at random."""

from __future__ import annotations

import numpy as np

from pdrr.core.arrays import Array, like, to_host
from pdrr.core.checks import check_int
from pdrr.types import Detection, Round


def flag_largest(scores: Array, c: int, rng: np.random.Generator) -> np.ndarray:
    """The c largest scores: bool [k].

    Ties are broken by `rng`: a sort would flag equal scores by index, and attackers come first.
    ValueError unless 0 <= c <= k and no score is NaN.

    Examples
    --------
    >>> from pdrr.baselines import flag_largest
    >>> flag_largest(np.array([0.1, 0.9, 0.3, 0.8]), 2, np.random.default_rng(0)).tolist()
    [False, True, False, True]
    """
    scores = to_host(scores)
    if not 0 <= check_int("flag_largest", "c", c) <= len(scores):
        raise ValueError(f"flag_largest needs 0 <= c <= k, got c={c} for k={len(scores)}")
    if np.isnan(scores).any():
        raise ValueError(f"flag_largest needs scores, got NaN for {np.isnan(scores).sum()} models")
    order = np.lexsort((rng.random(len(scores)), -scores))
    return np.isin(np.arange(len(scores)), order[:c])


def verdict(
    observed: Round,
    scores: np.ndarray,
    c: int,
    rng: np.random.Generator,
    pre_aggregate: Array | None = None,
) -> Detection:
    """Flag the c largest scores; without a pre-aggregated model the previous one stands there."""
    return Detection(
        statistic=like(scores, observed.clients),
        scores=like(scores, observed.clients),
        flagged=like(flag_largest(scores, c, rng), observed.clients),
        pre_aggregate=observed.previous if pre_aggregate is None else pre_aggregate,
    )
