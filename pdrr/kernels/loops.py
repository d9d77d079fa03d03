"""Loops over a piece of a stack, compiled by Numba and kept on disk.

All take the stack as one flat array and the place where the piece begins in it for each of the k
models. They work on tiles of WIDTH coordinates, which stay in the cache of one processor. Rows are
cut out as slices of their own: the compiler then sees plain loops over memory and uses vector
instructions.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from pdrr.kernels.network import GROUP

WIDTH = 256
"""Coordinates in a tile. More would give the rows of a tile addresses that share cache lines."""

LONG = 8192
"""Coordinates in a tile where each value is looked at once: memory likes long runs."""

# sums of float64 terms may be added in any order, which vector instructions need
any_order = {"reassoc", "contract", "nsz"}


@njit(cache=True, nogil=True)
def finite(flat, starts, d):
    """bool [k]: which models have finite values only."""
    result = np.ones(starts.size, np.bool_)
    for at in range(0, d, LONG):
        m = min(LONG, d - at)
        for i in range(starts.size):
            x = flat[starts[i] + at : starts[i] + at + m]
            bad = 0
            for j in range(m):
                bad += not np.isfinite(x[j])
            result[i] &= bad == 0
    return result


# trimmed mean, median and their counts


@njit(cache=True, nogil=True)
def pair(a, b):
    """The smaller and the larger of two values."""
    return (a if a < b else b), (b if a < b else a)


@njit(cache=True, nogil=True)
def sort_group(x0, x1, x2, x3, out):
    """Four rows [WIDTH] into one sorted group [GROUP * WIDTH]."""
    for j in range(WIDTH):
        a, b = pair(x0[j], x1[j])
        c, d = pair(x2[j], x3[j])
        a, c = pair(a, c)
        b, d = pair(b, d)
        b, c = pair(b, c)
        out[j] = a
        out[WIDTH + j] = b
        out[2 * WIDTH + j] = c
        out[3 * WIDTH + j] = d


@njit(cache=True, nogil=True)
def merge(x, y, smaller, larger):
    """Two sorted groups into one of the four smaller and one of the four larger values."""
    for j in range(WIDTH):
        a0, b0 = pair(x[j], y[j])
        a1, b1 = pair(x[WIDTH + j], y[WIDTH + j])
        a2, b2 = pair(x[2 * WIDTH + j], y[2 * WIDTH + j])
        a3, b3 = pair(x[3 * WIDTH + j], y[3 * WIDTH + j])
        a2, b0 = pair(a2, b0)
        a3, b1 = pair(a3, b1)
        a1, a2 = pair(a1, a2)
        a3, b0 = pair(a3, b0)
        b1, b2 = pair(b1, b2)
        smaller[j] = a0
        smaller[WIDTH + j] = a1
        smaller[2 * WIDTH + j] = a2
        smaller[3 * WIDTH + j] = a3
        larger[j] = b0
        larger[WIDTH + j] = b1
        larger[2 * WIDTH + j] = b2
        larger[3 * WIDTH + j] = b3


@njit(cache=True, nogil=True)
def sort_tile(flat, starts, at, program, buffers):
    """Sort WIDTH coordinates of all models into the groups `buffers`, as `program` says."""
    k, size = starts.size, GROUP * WIDTH
    infinite = np.full(WIDTH, np.inf, flat.dtype)
    for i in range(0, k, GROUP):
        x0 = flat[starts[i] + at :][:WIDTH]
        x1 = flat[starts[i + 1] + at :][:WIDTH] if i + 1 < k else infinite
        x2 = flat[starts[i + 2] + at :][:WIDTH] if i + 2 < k else infinite
        x3 = flat[starts[i + 3] + at :][:WIDTH] if i + 3 < k else infinite
        sort_group(x0, x1, x2, x3, buffers[i * WIDTH :][:size])
    for t in range(program.shape[0]):
        x, y = buffers[program[t, 0] * size :][:size], buffers[program[t, 1] * size :][:size]
        u, v = buffers[program[t, 2] * size :][:size], buffers[program[t, 3] * size :][:size]
        merge(x, y, u, v)


@njit(cache=True, nogil=True)
def mean_tile(ranks, buffers, total, out):
    """Mean of the sorted middle rows, added from small to large as NumPy adds them."""
    m = out.size
    for j in range(m):
        total[j] = 0.0
    for rank in ranks:
        row = buffers[rank * WIDTH :][:m]
        for j in range(m):
            total[j] += row[j]
    low, high = buffers[ranks[0] * WIDTH :][:m], buffers[ranks[-1] * WIDTH :][:m]
    for j in range(m):
        # of equal values exactly that value, as in `trimmed_mean_of_sorted`
        mean = total[j] / ranks.size
        out[j] = low[j] if low[j] == high[j] else mean


@njit(cache=True, nogil=True)
def middle_mean(flat, starts, program, ranks, out):
    """Mean of the middle values into `out` [d]; at each tile WIDTH values of a row are read."""
    buffers = np.empty((starts.size + 3 * GROUP) * WIDTH, flat.dtype)
    total = np.empty(WIDTH)
    for at in range(0, out.size, WIDTH):
        sort_tile(flat, starts, at, program, buffers)
        mean_tile(ranks, buffers, total, out[at : at + WIDTH])


@njit(cache=True, nogil=True)
def tally(x, edge, below, equal):
    """Add one model to the numbers of models below an edge [m] and equal to it."""
    for j in range(x.size):
        below[j] += x[j] < edge[j]
        equal[j] += x[j] == edge[j]


@njit(cache=True, nogil=True)
def kept_share(flat, starts, at, edge, first, stop, below, equal, share):
    """How much of a value equal to `edge` [m] has the ranks first, ..., stop - 1."""
    m = edge.size
    for j in range(m):
        below[j] = 0
        equal[j] = 0
    for i in range(starts.size):
        tally(flat[starts[i] + at : starts[i] + at + m], edge, below, equal)
    for j in range(m):
        inside = min(below[j] + equal[j], stop) - max(below[j], first)
        share[j] = inside / equal[j]


@njit(cache=True, nogil=True, fastmath=any_order)
def kept(x, low, high, low_share, high_share):
    """How many of the values x [m] are kept, as in `kept_fraction`."""
    total = 0.0
    for j in range(x.size):
        term = 1.0 if (x[j] > low[j]) & (x[j] < high[j]) else 0.0
        term = low_share[j] if x[j] == low[j] else term
        total += high_share[j] if x[j] == high[j] else term
    return total


@njit(cache=True, nogil=True)
def count(flat, starts, previous, program, ranks, zero_change, out):
    """Writes `out` [d] as `middle_mean` does; returns [2, k]: trimmed, remained."""
    k = starts.size
    beta = (k - ranks.size) // 2
    buffers = np.empty((k + 3 * GROUP) * WIDTH, flat.dtype)
    total, low_share, high_share = np.empty(WIDTH), np.empty(WIDTH), np.empty(WIDTH)
    below, equal = np.empty(WIDTH, np.int32), np.empty(WIDTH, np.int32)
    result = np.zeros((2, k))
    for at in range(0, out.size, WIDTH):
        m = min(WIDTH, out.size - at)
        sort_tile(flat, starts, at, program, buffers)
        mean_tile(ranks, buffers, total, out[at : at + m])
        low, high = buffers[ranks[0] * WIDTH :][:m], buffers[ranks[-1] * WIDTH :][:m]
        kept_share(flat, starts, at, low, beta, k - beta, below, equal, low_share)
        kept_share(flat, starts, at, high, beta, k - beta, below, equal, high_share)
        counted = m
        if not zero_change:
            for j in range(m):
                if out[at + j] == previous[at + j]:
                    # no value lies in this interval or at its ends: nothing is kept
                    low[j], high[j] = np.inf, -np.inf
                    counted -= 1
        for i in range(k):
            x = flat[starts[i] + at : starts[i] + at + m]
            inside = kept(x, low, high, low_share, high_share)
            result[0, i] += counted - inside
            result[1, i] += inside
    return result


# distances


@njit(cache=True, nogil=True)
def differences(flat, starts, base, at, m, rows):
    """The float64 differences of each model to `base` [d] (to 0 if it is empty), a row each."""
    for i in range(starts.size):
        x = flat[starts[i] + at : starts[i] + at + m]
        row = rows[i * WIDTH : i * WIDTH + m]
        if base.size:
            p = base[at : at + m]
            for j in range(m):
                row[j] = np.float64(x[j]) - np.float64(p[j])
        else:
            for j in range(m):
                row[j] = np.float64(x[j])


@njit(cache=True, nogil=True, fastmath=any_order)
def products(a0, a1, a2, b0, b1, b2, out):
    """Add the nine inner products of three rows with three to `out` [3, 3].

    Nine sums stay in registers while six values are read: fewer would wait for memory.
    """
    s00 = s01 = s02 = s10 = s11 = s12 = s20 = s21 = s22 = 0.0
    for j in range(a0.size):
        s00 += a0[j] * b0[j]
        s01 += a0[j] * b1[j]
        s02 += a0[j] * b2[j]
        s10 += a1[j] * b0[j]
        s11 += a1[j] * b1[j]
        s12 += a1[j] * b2[j]
        s20 += a2[j] * b0[j]
        s21 += a2[j] * b1[j]
        s22 += a2[j] * b2[j]
    out[0, 0] += s00
    out[0, 1] += s01
    out[0, 2] += s02
    out[1, 0] += s10
    out[1, 1] += s11
    out[1, 2] += s12
    out[2, 0] += s20
    out[2, 1] += s21
    out[2, 2] += s22


@njit(cache=True, nogil=True)
def gram(flat, starts, base, d):
    """Inner products [k, k] of the differences to `base`; only its lower triangle counts."""
    k = starts.size
    padded = (k + 2) // 3 * 3
    rows = np.zeros(padded * WIDTH)
    result = np.zeros((padded, padded))
    for at in range(0, d, WIDTH):
        m = min(WIDTH, d - at)
        differences(flat, starts, base, at, m, rows)
        for i in range(0, padded, 3):
            a = i * WIDTH
            a0, a1, a2 = rows[a : a + m], rows[a + WIDTH :][:m], rows[a + 2 * WIDTH :][:m]
            for j in range(0, i + 1, 3):
                b = j * WIDTH
                b0, b1 = rows[b : b + m], rows[b + WIDTH :][:m]
                b2 = rows[b + 2 * WIDTH :][:m]
                products(a0, a1, a2, b0, b1, b2, result[i : i + 3, j : j + 3])
    return result[:k, :k]


@njit(cache=True, nogil=True, fastmath=any_order)
def squared_distance(a, b):
    """Of two rows of float64."""
    total = 0.0
    for j in range(a.size):
        total += (a[j] - b[j]) ** 2
    return total


@njit(cache=True, nogil=True)
def pair_distances(flat, starts, first, second, d):
    """Squared distances of the models first[t] and second[t], from their own differences."""
    rows = np.empty(starts.size * WIDTH)
    nothing = np.empty(0, flat.dtype)
    result = np.zeros(first.size)
    for at in range(0, d, WIDTH):
        m = min(WIDTH, d - at)
        differences(flat, starts, nothing, at, m, rows)
        for t in range(first.size):
            a, b = first[t] * WIDTH, second[t] * WIDTH
            result[t] += squared_distance(rows[a : a + m], rows[b : b + m])
    return result


# signs


@njit(cache=True, nogil=True)
def sign(x, base):
    """Sgn(x - base), compared instead of subtracted: nothing can overflow."""
    return np.float32(x > base) - np.float32(x < base)


@njit(cache=True, nogil=True, fastmath=any_order)
def sign_tile(x, base, y):
    """The sums of s, s * s and s * y, where s = Sgn(x - base); exact, being whole numbers."""
    total = moved = product = np.float32(0)
    for j in range(x.size):
        s = sign(x[j], base[j])
        total += s
        moved += s * s
        product += s * y[j]
    return total, moved, product


@njit(cache=True, nogil=True)
def sign_sums(flat, starts, previous, chosen):
    """[3, k + 1]: the sums of `sign_tile` with y = Sgn(chosen - previous), for y itself last."""
    k = starts.size
    y = np.empty(LONG, np.float32)
    result = np.zeros((3, k + 1))
    for at in range(0, chosen.size, LONG):
        m = min(LONG, chosen.size - at)
        base, own = previous[at : at + m], chosen[at : at + m]
        for j in range(m):
            y[j] = sign(own[j], base[j])
        for i in range(k + 1):
            x = flat[starts[i] + at : starts[i] + at + m] if i < k else own
            total, moved, product = sign_tile(x, base, y)
            result[0, i] += total
            result[1, i] += moved
            result[2, i] += product
    return result
