"""Loops that go through the models coordinate by coordinate without sorting; compiled by Numba.

They take the stack as those of `kernels.sums` do. Models are added in their order, as NumPy
adds them, and tile by tile, so that the sums stay in a processor's own cache.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from pdrr.core.kernels.sums import any_order, fetch
from pdrr.core.order import SHRINK

LARGEST = np.finfo(np.float64).max * SHRINK

WIDTH = 1024
"""Coordinates in a tile."""


@njit(cache=True, nogil=True)
def add_differences(x, base, total):
    """total += x - base in float64; without `base` (if it is empty) total += x."""
    if base.size:
        for j in range(x.size):
            total[j] += np.float64(x[j]) - np.float64(base[j])
    else:
        for j in range(x.size):
            total[j] += np.float64(x[j])


@njit(cache=True, nogil=True)
def mean(flat, starts, base, out):
    """Mean of the models into `out` [d]; with `base` [d] the sign of the mean of differences.

    True if all sums are finite, and so all values.
    """
    total, all_finite = np.empty(WIDTH), True
    for at in range(0, out.size, WIDTH):
        m = min(WIDTH, out.size - at)
        fetch(flat, starts, at, out.size, total)
        total[:] = 0.0
        for start in starts:
            add_differences(flat[start + at : start + at + m], base[at : at + m], total[:m])
        whole = finite_sums(total[:m])
        all_finite &= whole
        for j in range(m):
            average = total[j] / starts.size
            out[at + j] = np.sign(average) if base.size else average
        if not whole and not base.size:
            for j in range(m):
                if not np.isfinite(total[j]):
                    total[j] = 0.0
                    for start in starts:
                        total[j] += flat[start + at + j] * SHRINK
                    out[at + j] = grown(total[j] / starts.size)
    return all_finite


@njit(cache=True, nogil=True)
def finite_sums(total):
    """Whether all values are finite."""
    bad = 0
    for j in range(total.size):
        bad += not np.isfinite(total[j])
    return bad == 0


@njit(cache=True, nogil=True)
def grown(x):
    """As `pdrr.core.order.grown`."""
    return min(max(x, -LARGEST), LARGEST) / SHRINK


@njit(cache=True, nogil=True)
def add_squares(x, average, total):
    """total += (x - average)^2."""
    for j in range(x.size):
        difference = np.float64(x[j]) - average[j]
        total[j] += difference * difference


@njit(cache=True, nogil=True)
def moments(flat, starts, mu, sigma):
    """Mean and population standard deviation of the models into `mu` [d] and `sigma` [d]."""
    nothing = np.empty(0, flat.dtype)
    for at in range(0, mu.size, WIDTH):
        m = min(WIDTH, mu.size - at)
        average, spread = mu[at : at + m], sigma[at : at + m]
        fetch(flat, starts, at, mu.size, average)
        average[:] = 0.0
        spread[:] = 0.0
        for start in starts:
            add_differences(flat[start + at : start + at + m], nothing, average)
        for j in range(m):
            average[j] /= starts.size
        for start in starts:
            add_squares(flat[start + at : start + at + m], average, spread)
        for j in range(m):
            spread[j] = np.sqrt(spread[j] / starts.size)


@njit(cache=True, nogil=True)
def widen(x, low, high):
    """Let the interval from `low` [m] to `high` [m] take in the values x [m]."""
    for j in range(x.size):
        low[j] = x[j] if x[j] < low[j] else low[j]
        high[j] = x[j] if x[j] > high[j] else high[j]


@njit(cache=True, nogil=True)
def extremes(flat, starts, low, high):
    """Smallest and largest value of the models into `low` [d] and `high` [d]."""
    for at in range(0, low.size, WIDTH):
        m = min(WIDTH, low.size - at)
        fetch(flat, starts, at, low.size, low[at:])
        first = flat[starts[0] + at : starts[0] + at + m]
        low[at : at + m] = first
        high[at : at + m] = first
        for start in starts[1:]:
            widen(flat[start + at : start + at + m], low[at : at + m], high[at : at + m])


@njit(cache=True, nogil=True, fastmath=any_order)
def square_and_product(x, base, s):
    """Of the differences x - base: their sum of squares and their inner product with s."""
    square = product = 0.0
    for j in range(x.size):
        difference = np.float64(x[j]) - np.float64(base[j])
        square += difference * difference
        product += difference * s[j]
    return square, product


@njit(cache=True, nogil=True)
def lengths(flat, starts, previous, direction):
    """[2, k]: squared lengths of the differences to `previous` [d], products with `direction`."""
    result, sink = np.zeros((2, starts.size)), np.empty(1)
    for at in range(0, previous.size, WIDTH):
        m = min(WIDTH, previous.size - at)
        base, s = previous[at : at + m], direction[at : at + m]
        fetch(flat, starts, at, previous.size, sink)
        for i in range(starts.size):
            x = flat[starts[i] + at : starts[i] + at + m]
            square, product = square_and_product(x, base, s)
            result[0, i] += square
            result[1, i] += product
    return result
