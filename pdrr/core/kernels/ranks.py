"""Loops that rank the models in each coordinate, compiled by Numba and kept on disk.

They take a piece of a stack as `kernels.sorting` does.
"""

from __future__ import annotations

import numpy as np

from pdrr.core.kernels.machine_code import borrowed, kernel
from pdrr.core.kernels.network import GROUP
from pdrr.core.kernels.sorting import any_equal, tally
from pdrr.core.kernels.sums import PADDING, gram_tile, products, request
from pdrr.core.kernels.tiles import WIDTH, sort_tile


@kernel()
def step(n, value, other):
    """`n` with 1 more if the value is the larger one, 1 less if the other is."""
    n = n + np.int32(1) if value > other else n
    return n - np.int32(1) if value < other else n


@kernel()
def compare(x, y0, y1, y2, y3, twice):
    """Add to `twice` [m] how many of four rows lie below x, less how many lie above it."""
    for j in range(x.size):
        n = step(twice[j], x[j], y0[j])
        n = step(n, x[j], y1[j])
        n = step(n, x[j], y2[j])
        twice[j] = step(n, x[j], y3[j])


@kernel(any_order=True)
def powers(twice):
    """The sums of whole numbers and of their squares."""
    total = square = 0.0
    for j in range(twice.size):
        value = np.float64(twice[j])
        total += value
        square += value * value
    return total, square


@kernel()
def rank_sums(flat, starts, d):
    """[2, k]: sums of twice the mid-rank of each model, and of the square of that: exact.

    Each value is compared with all others rather than sorted: for fifty models, side by side in
    vector registers, that takes less time than to sort them and to look up who came where.
    """
    flat, starts = borrowed(flat), borrowed(starts)
    k = starts.size
    twice = np.empty(WIDTH, np.int32)
    result = np.zeros((2, k))
    for at in range(0, d, WIDTH):
        m = min(WIDTH, d - at)
        for i in range(k):
            x, own = flat[starts[i] + at :][:m], twice[:m]
            own[:] = k + 1
            request(flat, starts[i] + at + WIDTH, WIDTH)
            for other in range(0, k, 4):
                # a row too many is the model itself: neither below nor above
                y0 = flat[starts[other] + at :][:m]
                y1 = flat[starts[other + 1] + at :][:m] if other + 1 < k else x
                y2 = flat[starts[other + 2] + at :][:m] if other + 2 < k else x
                y3 = flat[starts[other + 3] + at :][:m] if other + 3 < k else x
                compare(x, y0, y1, y2, y3, own)
            total, square = powers(own)
            result[0, i] += total
            result[1, i] += square
    return result


@kernel()
def dropped_share(flat, starts, at, edge, beta, counts, low, share):
    """How much of a value equal to `edge` [m] is among the beta smallest, or largest, values."""
    m, k = edge.size, starts.size
    below, equal = counts[0, :m], counts[1, :m]
    counts[:] = 0
    for i in range(k):
        tally(flat[starts[i] + at :][:m], edge, below, equal)
    for j in range(m):
        outside = below[j] if low else k - below[j] - equal[j]
        share[j] = (beta - outside) / equal[j]


@kernel()
def sides(x, low, high, out):
    """-1 below `low`, 1 above `high`, else 0."""
    for j in range(x.size):
        out[j] = np.float64(x[j] > high[j]) - np.float64(x[j] < low[j])


@kernel()
def shared_sides(x, low, high, low_share, high_share, out):
    """The same, with a share of it for the values at the edges."""
    for j in range(x.size):
        up = 1.0 if x[j] > high[j] else 0.0
        down = 1.0 if x[j] < low[j] else 0.0
        up = high_share[j] if x[j] == high[j] else up
        down = low_share[j] if x[j] == low[j] else down
        out[j] = up - down


@kernel()
def side_products(flat, starts, d, program, ranks, beta, side):
    """Inner products [k, k] of the sides; only the lower triangle counts.

    They are taken `side` rows by `side` rows, 3 or 5. `ranks` are those of the kept values and of
    the nearest dropped on each side.
    """
    flat, starts = borrowed(flat), borrowed(starts)
    k, (width, _) = starts.size, gram_tile(side)
    padded, stride = (k + side - 1) // side * side, width + PADDING
    buffers = np.empty((k + 3 * GROUP) * WIDTH, flat.dtype)
    low_share, high_share = np.empty(WIDTH), np.empty(WIDTH)
    counts = np.empty((2, WIDTH), np.int32)
    rows, result = np.zeros(padded * stride), np.zeros((padded, padded))
    for begin in range(0, d, width):
        end = min(begin + width, d)
        for at in range(begin, end, WIDTH):
            m = min(WIDTH, d - at)
            sort_tile(flat, starts, at, program, ranks, buffers)
            low, high = buffers[ranks[1] * WIDTH :][:m], buffers[ranks[-2] * WIDTH :][:m]
            shared = any_equal(low, buffers[ranks[0] * WIDTH :][:m])
            shared |= any_equal(high, buffers[ranks[-1] * WIDTH :][:m])
            if shared:
                dropped_share(flat, starts, at, low, beta, counts, True, low_share)
                dropped_share(flat, starts, at, high, beta, counts, False, high_share)
            for i in range(k):
                x, out = flat[starts[i] + at :][:m], rows[i * stride + at - begin :][:m]
                if shared:
                    shared_sides(x, low, high, low_share, high_share, out)
                else:
                    sides(x, low, high, out)
        for i in range(0, padded, side):
            for j in range(0, i + 1, side):
                products(rows, stride, end - begin, side, result, i, j)
    return result[:k, :k]
