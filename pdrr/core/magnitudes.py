"""The largest coordinates of an update: where it moves most."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from pdrr.core.arrays import Array, array_namespace, float64

if TYPE_CHECKING:
    from pdrr.types import Round


def magnitude(observed: Round, row: int, cols: slice = slice(None)) -> Array:
    """|w_row - w_p| in float64, in some of the coordinates."""
    xp = array_namespace(observed.clients)
    return xp.abs(float64(observed.clients[row, cols]) - float64(observed.previous[cols]))


def nth_largest(x: Array, n: int) -> float:
    """The n-th largest value of a vector, 1 <= n <= its length.

    Examples
    --------
    >>> from pdrr.core.magnitudes import nth_largest
    >>> nth_largest(np.array([3.0, 1.0, 4.0, 1.0]), 2)
    3.0
    """
    xp, at = array_namespace(x), x.shape[0] - n
    # NumPy and CuPy need not sort all of it
    return float(xp.partition(x, at)[at] if hasattr(xp, "partition") else xp.sort(x)[at])


def thresholds(
    observed: Round, share: float, parts: Sequence[slice] = (slice(None),)
) -> np.ndarray:
    """The magnitude [k] that the given share of each update's coordinates reaches.

    Parameters
    ----------
    observed : Round
    share : float in [0, 1]
        Of the coordinates in `parts`, rounded, at least one.
    parts : sequence of slices
        The coordinates that count.
    """
    xp = array_namespace(observed.clients)
    found = np.empty(observed.k)
    for row in range(observed.k):
        x = xp.concat([magnitude(observed, row, part) for part in parts])
        found[row] = nth_largest(x, max(1, round(share * x.shape[0])))
    return found
