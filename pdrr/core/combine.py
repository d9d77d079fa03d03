"""Weighted sums of models, a pass over the stack."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pdrr.core.arrays import Array, array_namespace, blocks, float64, like, select

if TYPE_CHECKING:
    from pdrr.types import Round


def combined(observed: Round, weights: np.ndarray) -> Array:
    """w_p plus the weighted sum of the updates: [d], in the dtype of the stack.

    Parameters
    ----------
    observed : Round
        All models finite, or those with a weight at least.
    weights : array [k] float64
        They need not add up to 1.
    """
    xp = array_namespace(observed.clients)
    rows = np.flatnonzero(weights)
    if not rows.size:
        return xp.asarray(observed.previous, copy=True)
    by = like(np.asarray(weights, dtype=np.float64)[rows], observed.clients)
    parts = []
    for cols in blocks(observed.d, observed.k):
        base = float64(observed.previous[cols])
        x = float64(select(observed.clients[:, cols], rows))
        parts.append(xp.astype(base + by @ (x - base[None, :]), observed.clients.dtype))
    return xp.concat(parts)
