"""Loops that sort a piece of a stack, compiled by Numba and kept on disk.

All take the stack as one flat array and the place where the piece begins in it for each of the k
models, and work on tiles of WIDTH coordinates, which stay in the cache of one processor. For each
tile they read WIDTH values of each row, even where the piece ends in it.

Rows are cut out as slices of their own: the compiler then sees plain loops over memory and uses
vector instructions.
"""

from __future__ import annotations

import numpy as np

from pdrr.core.kernels.columns import add_rows, finite_sums, grown
from pdrr.core.kernels.keys import bits, largest, turned
from pdrr.core.kernels.machine_code import borrowed, kernel
from pdrr.core.kernels.network import GROUP
from pdrr.core.kernels.sums import request
from pdrr.core.order import HUGE, SHRINK

WIDTH = 128
"""Coordinates in a tile. With more, rows of a tile would share lines of the first cache."""

AHEAD = 8
"""Tiles of a model that are asked for at once, of another part of the models each time: memory
gives long runs faster than short ones."""

LANES = WIDTH // 8
"""Counts of a model that are kept apart, side by side in a vector register."""


@kernel()
def pair(a, b):
    """The smaller and the larger of two values."""
    return (a if a < b else b), (b if a < b else a)


@kernel()
def four(a, b, c, d):
    """Four values in order."""
    a, b = pair(a, b)
    c, d = pair(c, d)
    a, c = pair(a, c)
    b, d = pair(b, d)
    b, c = pair(b, c)
    return a, b, c, d


@kernel()
def eight(a0, a1, a2, a3, b0, b1, b2, b3):
    """Two sorted fours as eight values in order."""
    a0, b0 = pair(a0, b0)
    a1, b1 = pair(a1, b1)
    a2, b2 = pair(a2, b2)
    a3, b3 = pair(a3, b3)
    a2, b0 = pair(a2, b0)
    a3, b1 = pair(a3, b1)
    a1, a2 = pair(a1, a2)
    a3, b0 = pair(a3, b0)
    b1, b2 = pair(b1, b2)
    return a0, a1, a2, a3, b0, b1, b2, b3


@kernel()
def sort_group(x0, x1, x2, x3, x4, x5, x6, x7, out):
    """Eight rows [WIDTH] of bits into one sorted group [GROUP * WIDTH] of keys; its extremes."""
    least = most = turned(x0[0])
    for j in range(WIDTH):
        a0, a1, a2, a3 = four(turned(x0[j]), turned(x1[j]), turned(x2[j]), turned(x3[j]))
        b0, b1, b2, b3 = four(turned(x4[j]), turned(x5[j]), turned(x6[j]), turned(x7[j]))
        a0, a1, a2, a3, b0, b1, b2, b3 = eight(a0, a1, a2, a3, b0, b1, b2, b3)
        out[j] = a0
        out[WIDTH + j] = a1
        out[2 * WIDTH + j] = a2
        out[3 * WIDTH + j] = a3
        out[4 * WIDTH + j] = b0
        out[5 * WIDTH + j] = b1
        out[6 * WIDTH + j] = b2
        out[7 * WIDTH + j] = b3
        least, most = (a0 if a0 < least else least), (b3 if b3 > most else most)
    return least, most


@kernel()
def merge(x, y, smaller, larger):
    """Two sorted groups into one of the eight smaller and one of the eight larger values."""
    for j in range(WIDTH):
        a0, a1, a2, a3, a4, a5, a6, a7 = eight(
            x[j],
            x[2 * WIDTH + j],
            x[4 * WIDTH + j],
            x[6 * WIDTH + j],
            y[j],
            y[2 * WIDTH + j],
            y[4 * WIDTH + j],
            y[6 * WIDTH + j],
        )
        b0, b1, b2, b3, b4, b5, b6, b7 = eight(
            x[WIDTH + j],
            x[3 * WIDTH + j],
            x[5 * WIDTH + j],
            x[7 * WIDTH + j],
            y[WIDTH + j],
            y[3 * WIDTH + j],
            y[5 * WIDTH + j],
            y[7 * WIDTH + j],
        )
        b0, a1 = pair(b0, a1)
        b1, a2 = pair(b1, a2)
        b2, a3 = pair(b2, a3)
        b3, a4 = pair(b3, a4)
        b4, a5 = pair(b4, a5)
        b5, a6 = pair(b5, a6)
        b6, a7 = pair(b6, a7)
        smaller[j] = a0
        smaller[WIDTH + j] = b0
        smaller[2 * WIDTH + j] = a1
        smaller[3 * WIDTH + j] = b1
        smaller[4 * WIDTH + j] = a2
        smaller[5 * WIDTH + j] = b2
        smaller[6 * WIDTH + j] = a3
        smaller[7 * WIDTH + j] = b3
        larger[j] = a4
        larger[WIDTH + j] = b4
        larger[2 * WIDTH + j] = a5
        larger[3 * WIDTH + j] = b5
        larger[4 * WIDTH + j] = a6
        larger[5 * WIDTH + j] = b6
        larger[6 * WIDTH + j] = a7
        larger[7 * WIDTH + j] = b7


@kernel()
def turn(cells):
    """Keys as the bits of their values, in place."""
    for j in range(cells.size):
        cells[j] = turned(cells[j])


@kernel()
def sort_tile(flat, starts, at, program, ranks, buffers):
    """Sort WIDTH coordinates of all models into the rows `ranks` of `buffers`, as `program` says.

    True if all are finite.
    """
    flat, starts, program = borrowed(flat), borrowed(starts), borrowed(program)
    ranks, buffers = borrowed(ranks), borrowed(buffers)
    k, size = starts.size, GROUP * WIDTH
    x, cells = bits(flat), bits(buffers)
    end = largest(cells[0])
    behind = cells[(k + 3 * GROUP - 1) * WIDTH :]  # of the spare rows the last: fills a group up
    behind[:] = end
    low = high = turned(x[starts[0] + at])
    for i in range(0, k, GROUP):
        x0 = x[starts[i] + at :][:WIDTH]
        x1 = x[starts[i + 1] + at :][:WIDTH] if i + 1 < k else behind
        x2 = x[starts[i + 2] + at :][:WIDTH] if i + 2 < k else behind
        x3 = x[starts[i + 3] + at :][:WIDTH] if i + 3 < k else behind
        x4 = x[starts[i + 4] + at :][:WIDTH] if i + 4 < k else behind
        x5 = x[starts[i + 5] + at :][:WIDTH] if i + 5 < k else behind
        x6 = x[starts[i + 6] + at :][:WIDTH] if i + 6 < k else behind
        x7 = x[starts[i + 7] + at :][:WIDTH] if i + 7 < k else behind
        least, most = sort_group(x0, x1, x2, x3, x4, x5, x6, x7, cells[i * WIDTH :][:size])
        low, high = min(low, least), max(high, most)
    parts = program.shape[0]
    part = -(-k // max(parts * AHEAD, 1)) * AHEAD
    for t in range(parts):
        for i in range(t * part + at // WIDTH % AHEAD, min((t + 1) * part, k), AHEAD):
            request(flat, starts[i] + at + WIDTH, AHEAD * WIDTH)
        a, b = cells[program[t, 0] * size :][:size], cells[program[t, 1] * size :][:size]
        u, v = cells[program[t, 2] * size :][:size], cells[program[t, 3] * size :][:size]
        merge(a, b, u, v)
    first = ranks[0]
    for i in range(1, ranks.size):
        if ranks[i] != ranks[i - 1] + 1:
            turn(cells[first * WIDTH : (ranks[i - 1] + 1) * WIDTH])
            first = ranks[i]
    turn(cells[first * WIDTH : (ranks[-1] + 1) * WIDTH])
    return -end <= low + 1 and high <= end


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
