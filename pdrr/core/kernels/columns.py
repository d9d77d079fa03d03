"""Loops that go through the models coordinate by coordinate without sorting; compiled by Numba.

They take the stack as those of `kernels.sums` do. Models are added in their order, as NumPy
adds them, and tile by tile, so that the sums stay in a processor's own cache.
"""

from __future__ import annotations

import numpy as np

from pdrr.core.kernels.machine_code import borrowed, kernel
from pdrr.core.kernels.sums import request
from pdrr.core.order import SHRINK

LARGEST = np.finfo(np.float64).max * SHRINK

WIDTH = 1024
"""Coordinates in a tile."""


@kernel()
def add_rows(x0, x1, x2, x3, total):
    """Add four rows to `total` in float64, one after the other."""
    for j in range(total.size):
        two = total[j] + np.float64(x0[j]) + np.float64(x1[j])
        total[j] = two + np.float64(x2[j]) + np.float64(x3[j])


@kernel()
def add_differences(x, base, total):
    """total += x - base in float64; without `base` (if it is empty) total += x."""
    if base.size:
        for j in range(x.size):
            total[j] += np.float64(x[j]) - np.float64(base[j])
    else:
        for j in range(x.size):
            total[j] += np.float64(x[j])


@kernel()
def add_all(flat, starts, at, base, total):
    """total = the sum over the models of a tile, or of its differences to `base`."""
    flat, starts, base, total = borrowed(flat), borrowed(starts), borrowed(base), borrowed(total)
    m, n = total.size, 0
    total[:] = 0.0
    for start in starts:
        request(flat, start + at + WIDTH, WIDTH)
    if not base.size:
        n = starts.size // 4 * 4
        for i in range(0, n, 4):
            x0, x1 = flat[starts[i] + at :][:m], flat[starts[i + 1] + at :][:m]
            x2, x3 = flat[starts[i + 2] + at :][:m], flat[starts[i + 3] + at :][:m]
            add_rows(x0, x1, x2, x3, total)
    for start in starts[n:]:
        add_differences(flat[start + at : start + at + m], base, total)


@kernel()
def mean(flat, starts, base, out):
    """Mean of the models into `out` [d]; with `base` [d] the sign of the mean of differences.

    True if all sums are finite, and so all values.
    """
    total, all_finite = np.empty(WIDTH), True
    for at in range(0, out.size, WIDTH):
        m = min(WIDTH, out.size - at)
        total[:] = 0.0
        add_all(flat, starts, at, base[at : at + m], total[:m])
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


@kernel()
def finite_sums(total):
    """Whether all values are finite."""
    bad = 0
    for j in range(total.size):
        bad += not np.isfinite(total[j])
    return bad == 0


@kernel()
def grown(x):
    """As `pdrr.core.order.grown`."""
    return min(max(x, -LARGEST), LARGEST) / SHRINK


@kernel()
def add_squares(x, average, total):
    """total += (x - average)^2."""
    for j in range(x.size):
        difference = np.float64(x[j]) - average[j]
        total[j] += difference * difference


@kernel()
def moments(flat, starts, mu, sigma):
    """Mean and population standard deviation of the models into `mu` [d] and `sigma` [d]."""
    flat, starts, mu, sigma = borrowed(flat), borrowed(starts), borrowed(mu), borrowed(sigma)
    nothing = np.empty(0, flat.dtype)
    for at in range(0, mu.size, WIDTH):
        m = min(WIDTH, mu.size - at)
        average, spread = mu[at : at + m], sigma[at : at + m]
        average[:] = 0.0
        spread[:] = 0.0
        add_all(flat, starts, at, nothing, average)
        for j in range(m):
            average[j] /= starts.size
        for start in starts:
            add_squares(flat[start + at : start + at + m], average, spread)
        for j in range(m):
            spread[j] = np.sqrt(spread[j] / starts.size)


@kernel()
def widen(x, low, high):
    """Let the interval from `low` [m] to `high` [m] take in the values x [m]."""
    for j in range(x.size):
        low[j] = x[j] if x[j] < low[j] else low[j]
        high[j] = x[j] if x[j] > high[j] else high[j]


@kernel()
def extremes(flat, starts, low, high):
    """Smallest and largest value of the models into `low` [d] and `high` [d]."""
    flat, starts, low, high = borrowed(flat), borrowed(starts), borrowed(low), borrowed(high)
    for at in range(0, low.size, WIDTH):
        m = min(WIDTH, low.size - at)
        first = flat[starts[0] + at : starts[0] + at + m]
        low[at : at + m] = first
        high[at : at + m] = first
        for start in starts[1:]:
            request(flat, start + at + WIDTH, WIDTH)
            widen(flat[start + at : start + at + m], low[at : at + m], high[at : at + m])


@kernel(any_order=True)
def square_and_product(x, base, s):
    """Of the differences x - base: their sum of squares and their inner product with s."""
    square = product = 0.0
    for j in range(x.size):
        difference = np.float64(x[j]) - np.float64(base[j])
        square += difference * difference
        product += difference * s[j]
    return square, product


@kernel()
def lengths(flat, starts, previous, direction):
    """[2, k]: squared lengths of the differences to `previous` [d], products with `direction`."""
    flat, starts = borrowed(flat), borrowed(starts)
    previous, direction = borrowed(previous), borrowed(direction)
    result = np.zeros((2, starts.size))
    for at in range(0, previous.size, WIDTH):
        m = min(WIDTH, previous.size - at)
        base, s = previous[at : at + m], direction[at : at + m]
        for i in range(starts.size):
            x = flat[starts[i] + at : starts[i] + at + m]
            request(flat, starts[i] + at + WIDTH, WIDTH)
            square, product = square_and_product(x, base, s)
            result[0, i] += square
            result[1, i] += product
    return result
