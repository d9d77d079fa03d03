"""Loops for the trimmed mean without each model in turn; compiled by Numba and kept on disk.

One pass over the sorted stack leaves four vectors. The mean without a model then takes these and
the model itself: nothing else of the stack is read again.
"""

from __future__ import annotations

import numpy as np

from pdrr.core.kernels.columns import grown
from pdrr.core.kernels.machine_code import kernel
from pdrr.core.kernels.network import GROUP
from pdrr.core.kernels.tiles import WIDTH, sort_tile
from pdrr.core.order import HUGE, SHRINK


@kernel()
def room(low, high):
    """As `pdrr.core.order.room`."""
    return SHRINK if max(-np.float64(low), np.float64(high)) > HUGE else 1.0


@kernel()
def any_huge(low, high):
    """Whether a pair of two rows leaves no room."""
    huge = 0
    for j in range(low.size):
        huge += room(low[j], high[j]) != 1.0
    return huge > 0


@kernel()
def kept_values(flat, starts, program, ranks, middle, edges, total):
    """Writes `edges` [3, d] and `total` [d]; at each tile WIDTH values of a row are read.

    `ranks` are those of the kept values, `ranks[middle]` that of the value the sums start from.
    """
    buffers = np.empty((starts.size + 3 * GROUP) * WIDTH, flat.dtype)
    for at in range(0, total.size, WIDTH):
        m = min(WIDTH, total.size - at)
        sort_tile(flat, starts, at, program, ranks, buffers)
        centre = buffers[ranks[middle] * WIDTH :][:m]
        low, high = buffers[ranks[0] * WIDTH :][:m], buffers[ranks[-1] * WIDTH :][:m]
        edges[0, at : at + m] = low
        edges[1, at : at + m] = centre
        edges[2, at : at + m] = high
        out, inner = total[at : at + m], ranks[1:-1]
        out[:] = 0.0
        for rank in inner:  # from small to large, as NumPy adds them
            row = buffers[rank * WIDTH :][:m]
            for j in range(m):
                out[j] += np.float64(row[j]) - np.float64(centre[j])
        if any_huge(low, high):
            for j in range(m):
                scale = room(low[j], high[j])
                out[j] = 0.0
                for rank in inner:
                    out[j] += buffers[rank * WIDTH + j] * scale - centre[j] * scale


@kernel()
def mean_without(x, low, middle, high, total, n, out):
    """The mean of the `n` values that are kept without the model `x`; the rest are [d]."""
    if n == 1:
        for j in range(out.size):
            out[j] = high[j] if x[j] <= low[j] else low[j]
        return
    for j in range(out.size):
        centre = np.float64(middle[j])
        below, above = np.float64(low[j]) - centre, np.float64(high[j]) - centre
        left = below + above - (np.float64(x[j]) - centre)
        left = above if x[j] <= low[j] else left
        left = below if x[j] >= high[j] else left
        out[j] = centre + (total[j] + left) / n
    if any_huge(low, high):
        for j in range(out.size):
            scale = room(low[j], high[j])
            if scale != 1.0:
                centre = middle[j] * scale
                below, above = low[j] * scale - centre, high[j] * scale - centre
                left = below + above - (x[j] * scale - centre)
                left = above if x[j] <= low[j] else left
                left = below if x[j] >= high[j] else left
                out[j] = grown(centre + (total[j] + left) / n)
