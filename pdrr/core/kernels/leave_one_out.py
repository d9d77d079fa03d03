"""Loops for the trimmed mean without each model in turn; compiled by Numba and kept on disk.

One pass over the sorted stack leaves four vectors. The mean without a model then takes these and
the model itself: nothing else of the stack is read again.
"""

from __future__ import annotations

import numpy as np

from pdrr.core.kernels.columns import grown
from pdrr.core.kernels.machine_code import kernel
from pdrr.core.kernels.network import GROUP
from pdrr.core.kernels.sorting import WIDTH, sort_tile
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
        sort_tile(flat, starts, at, program, buffers)
        centre = buffers[ranks[middle] * WIDTH :][:m]
        low, high = buffers[ranks[0] * WIDTH :][:m], buffers[ranks[-1] * WIDTH :][:m]
        edges[0, at : at + m] = low
        edges[1, at : at + m] = centre
        edges[2, at : at + m] = high
        out = total[at : at + m]
        out[:] = 0.0
        for rank in ranks:  # from small to large, as NumPy adds them
            row = buffers[rank * WIDTH :][:m]
            for j in range(m):
                out[j] += np.float64(row[j]) - np.float64(centre[j])
        if any_huge(low, high):
            for j in range(m):
                scale = room(low[j], high[j])
                out[j] = 0.0
                for rank in ranks:
                    out[j] += buffers[rank * WIDTH + j] * scale - centre[j] * scale


@kernel()
def mean_without(x, low, middle, high, total, n, out):
    """The mean of the `n` values that are kept without the model `x`; the rest are [d]."""
    for j in range(out.size):
        left_out = np.float64(min(max(x[j], low[j]), high[j])) - np.float64(middle[j])
        out[j] = np.float64(middle[j]) + (total[j] - left_out) / n
    if any_huge(low, high):
        for j in range(out.size):
            scale = room(low[j], high[j])
            if scale != 1.0:
                left_out = min(max(x[j], low[j]), high[j]) * scale - middle[j] * scale
                out[j] = grown(middle[j] * scale + (total[j] - left_out) / n)
