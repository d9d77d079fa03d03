"""Loops that sort a piece of a stack, compiled by Numba and kept on disk.

All take the stack as one flat array and the place where the piece begins in it for each of the k
models, and work on tiles of WIDTH coordinates, see `tiles`.
"""

from __future__ import annotations

import numpy as np

from pdrr.core.kernels.columns import add_rows, finite_sums, grown
from pdrr.core.kernels.machine_code import borrowed, kernel
from pdrr.core.kernels.network import GROUP
from pdrr.core.kernels.tiles import WIDTH, sort_tile
from pdrr.core.order import HUGE, SHRINK

LANES = WIDTH // 8
"""Counts of a model that are kept apart, side by side in a vector register."""


@kernel()
def mean_tile(ranks, buffers, total, out):
    """Mean of the sorted middle rows, added from small to large as NumPy adds them."""
    ranks, buffers = borrowed(ranks), borrowed(buffers)
    total, out = borrowed(total), borrowed(out)
    m = out.size
    for j in range(m):
        total[j] = 0.0
    n = ranks.size // 4 * 4
    for i in range(0, n, 4):
        x0, x1 = buffers[ranks[i] * WIDTH :][:m], buffers[ranks[i + 1] * WIDTH :][:m]
        x2, x3 = buffers[ranks[i + 2] * WIDTH :][:m], buffers[ranks[i + 3] * WIDTH :][:m]
        add_rows(x0, x1, x2, x3, total[:m])
    for rank in ranks[n:]:
        row = buffers[rank * WIDTH :][:m]
        for j in range(m):
            total[j] += row[j]
    low, high = buffers[ranks[0] * WIDTH :][:m], buffers[ranks[-1] * WIDTH :][:m]
    for j in range(m):
        # of equal values exactly that value, as in `trimmed_mean_of_sorted`
        mean = total[j] / ranks.size
        out[j] = low[j] if low[j] == high[j] else mean
    if not finite_sums(total[:m]):
        for j in range(m):
            if not np.isfinite(total[j]) and low[j] != high[j]:
                total[j] = 0.0
                for rank in ranks:
                    total[j] += buffers[rank * WIDTH + j] * SHRINK
                out[j] = grown(total[j] / ranks.size)


@kernel()
def middle_mean(flat, starts, program, ranks, out):
    """Mean of the middle values into `out` [d]; at each tile WIDTH values of a row are read.

    True if all these are finite.
    """
    buffers = np.empty((starts.size + 3 * GROUP) * WIDTH, flat.dtype)
    total, finite = np.empty(WIDTH), True
    for at in range(0, out.size, WIDTH):
        finite &= sort_tile(flat, starts, at, program, ranks, buffers)
        mean_tile(ranks, buffers, total, out[at : at + WIDTH])
    return finite


@kernel()
def closest_to_median(flat, starts, program, ranks, gamma, out):
    """Mean of the `gamma` values closest to the median into `out` [d]; `ranks` are all of them."""
    k = starts.size
    buffers = np.empty((k + 3 * GROUP) * WIDTH, flat.dtype)
    for at in range(0, out.size, WIDTH):
        sort_tile(flat, starts, at, program, ranks, buffers)
        lower, upper = ranks[(k - 1) // 2] * WIDTH, ranks[k // 2] * WIDTH
        for j in range(min(WIDTH, out.size - at)):
            first, last = 0, k - 1
            least, most = buffers[ranks[0] * WIDTH + j], buffers[ranks[-1] * WIDTH + j]
            scale = SHRINK if max(-least, most) > HUGE else 1.0
            middle = (scale * buffers[lower + j] + scale * buffers[upper + j]) / 2
            while last - first >= gamma:  # the farther end falls off; of equally far ones the last
                below = middle - scale * buffers[ranks[first] * WIDTH + j]
                above = scale * buffers[ranks[last] * WIDTH + j] - middle
                if below > above:
                    first += 1
                else:
                    last -= 1
            total = 0.0
            for rank in ranks[first : last + 1]:
                total += scale * buffers[rank * WIDTH + j]
            smallest, largest = buffers[ranks[first] * WIDTH + j], buffers[ranks[last] * WIDTH + j]
            mean = total / gamma if scale == 1.0 else grown(total / gamma)
            out[at + j] = smallest if smallest == largest else mean


@kernel()
def middle_direction(flat, starts, previous, program, ranks, out):
    """Signs of the mean of the middle differences to `previous` [d], as numbers, into `out` [d].

    The differences need no sorting: they are in the order of the values.
    """
    buffers = np.empty((starts.size + 3 * GROUP) * WIDTH, flat.dtype)
    total = np.empty(WIDTH)
    for at in range(0, out.size, WIDTH):
        p = previous[at : at + WIDTH]
        sort_tile(flat, starts, at, program, ranks, buffers)
        total[:] = 0.0
        for rank in ranks:
            row = buffers[rank * WIDTH :][: p.size]
            for j in range(p.size):
                total[j] += np.float64(row[j]) - np.float64(p[j])
        low, high = buffers[ranks[0] * WIDTH :], buffers[ranks[-1] * WIDTH :]
        for j in range(p.size):
            first, last = np.float64(low[j]) - p[j], np.float64(high[j]) - p[j]
            mean = first if first == last else total[j] / ranks.size
            out[at + j] = np.sign(mean)


@kernel()
def tally(x, edge, below, equal):
    """Add one model to the numbers of models below an edge [m] and equal to it."""
    for j in range(x.size):
        below[j] += np.int32(x[j] < edge[j])
        equal[j] += np.int32(x[j] == edge[j])


@kernel()
def kept_share(flat, starts, at, edge, beta, counts, share):
    """How much of a value equal to `edge` [m] has the ranks beta, ..., k - beta - 1."""
    m, stop = edge.size, starts.size - beta
    below, equal = counts[0, :m], counts[1, :m]
    counts[:] = 0
    for i in range(starts.size):
        tally(flat[starts[i] + at : starts[i] + at + m], edge, below, equal)
    for j in range(m):
        share[j] = (min(below[j] + equal[j], stop) - max(below[j], beta)) / equal[j]


@kernel(any_order=True)
def kept(x, low, high, low_share, high_share):
    """How many of the values x [m] are kept, as in `kept_fraction`."""
    total = 0.0
    for j in range(x.size):
        term = 1.0 if (x[j] > low[j]) & (x[j] < high[j]) else 0.0
        term = low_share[j] if x[j] == low[j] else term
        total += high_share[j] if x[j] == high[j] else term
    return total


@kernel()
def one_if(x, low, high):
    """1 for a value within, 0 for one without."""
    return np.int32((x >= low) & (x <= high))


@kernel()
def kept_whole(x, low, high, lanes):
    """Add how many of the values x [WIDTH] are kept to `lanes` [LANES]; none is shared."""
    for j in range(LANES):
        n = lanes[j]
        n += one_if(x[j], low[j], high[j])
        n += one_if(x[LANES + j], low[LANES + j], high[LANES + j])
        n += one_if(x[2 * LANES + j], low[2 * LANES + j], high[2 * LANES + j])
        n += one_if(x[3 * LANES + j], low[3 * LANES + j], high[3 * LANES + j])
        n += one_if(x[4 * LANES + j], low[4 * LANES + j], high[4 * LANES + j])
        n += one_if(x[5 * LANES + j], low[5 * LANES + j], high[5 * LANES + j])
        n += one_if(x[6 * LANES + j], low[6 * LANES + j], high[6 * LANES + j])
        n += one_if(x[7 * LANES + j], low[7 * LANES + j], high[7 * LANES + j])
        lanes[j] = n


@kernel()
def kept_of_tile(flat, starts, at, low, high, lanes):
    """The same for the tile at `at` of each model; `lanes` are [k, LANES]."""
    flat, starts, lanes = borrowed(flat), borrowed(starts), borrowed(lanes)
    low, high = borrowed(low), borrowed(high)
    for i in range(starts.size):
        kept_whole(flat[starts[i] + at :][:WIDTH], low, high, lanes[i])


@kernel()
def any_equal(x, y):
    """Whether two rows meet anywhere."""
    equal = 0
    for j in range(x.size):
        equal += x[j] == y[j]
    return equal > 0


@kernel()
def count(flat, starts, previous, program, ranks, beta, zero_change, out):
    """Writes `out` [d] as `middle_mean` does; returns [3, k]: trimmed, remained, not all finite.

    `ranks` are those of the kept values and, where beta > 0, of the nearest dropped on each side.
    """
    k = starts.size
    buffers = np.empty((k + 3 * GROUP) * WIDTH, flat.dtype)
    total, low_share, high_share = np.empty(WIDTH), np.empty(WIDTH), np.empty(WIDTH)
    counts = np.empty((2, WIDTH), np.int32)
    kept_ranks = ranks[1:-1] if beta else ranks
    lanes, counted = np.zeros((k, LANES), np.int32), 0
    result = np.zeros((3, k))
    for at in range(0, out.size, WIDTH):
        m = min(WIDTH, out.size - at)
        result[2] += not sort_tile(flat, starts, at, program, ranks, buffers)
        mean_tile(kept_ranks, buffers, total, out[at : at + m])
        low = buffers[kept_ranks[0] * WIDTH :][:WIDTH]
        high = buffers[kept_ranks[-1] * WIDTH :][:WIDTH]
        shared = any_equal(low[:m], buffers[ranks[0] * WIDTH :][:m]) if beta else False
        shared |= any_equal(high[:m], buffers[ranks[-1] * WIDTH :][:m]) if beta else False
        if shared:
            kept_share(flat, starts, at, low[:m], beta, counts, low_share)
            kept_share(flat, starts, at, high[:m], beta, counts, high_share)
        here = m
        if not zero_change:
            for j in range(m):
                if out[at + j] == previous[at + j]:
                    # no value lies in this interval or at its ends: nothing is kept
                    low[j], high[j] = np.inf, -np.inf
                    here -= 1
        for j in range(m, WIDTH):
            low[j], high[j] = np.inf, -np.inf
        if shared:
            for i in range(k):
                x = flat[starts[i] + at :][:m]
                inside = kept(x, low, high, low_share, high_share)
                result[0, i] += here - inside
                result[1, i] += inside
        else:
            counted += here
            kept_of_tile(flat, starts, at, low, high, lanes)
    for i in range(k):
        inside = lanes[i].sum()
        result[0, i] += counted - inside
        result[1, i] += inside
    return result
