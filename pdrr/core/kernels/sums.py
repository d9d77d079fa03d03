"""Loops that look at each value once, and inner products; compiled by Numba and kept on disk.

All take the stack as one flat array, the place where the piece begins in it for each of the k
models, and the length d of the piece. Rows are cut out as slices of their own, see `tiles`.
"""

from __future__ import annotations

import numpy as np

from pdrr.core.kernels.machine_code import borrowed, kernel, prefetch

WIDTH = 512
"""Coordinates in a tile of differences, which stays in the cache of one processor."""

PADDING = 8
"""Between the rows of a tile of differences: at a power of two, they would share cache lines."""

SIGNS = 1024
"""Coordinates in a tile of signs."""

LINE = 64
"""Bytes in a line of the cache."""


@kernel()
def finite(flat, starts, d):
    """bool [k]: which models have finite values only."""
    flat, starts = borrowed(flat), borrowed(starts)
    result = np.ones(starts.size, np.bool_)
    for i in range(starts.size):
        bad = 0
        x = flat[starts[i] : starts[i] + d]
        for j in range(d):
            bad += not np.isfinite(x[j])
        result[i] = bad == 0
    return result


@kernel()
def request(flat, start, m):
    """Ask memory for m values that are read soon, while other work goes on."""
    for j in range(0, m, LINE // flat.itemsize):
        prefetch(flat, start + j)  # type: ignore[call-arg]  # Numba gives the first


@kernel()
def request_part(flat, starts, at, m, part, parts):
    """The same for the tile at `at` of all models, a part of them at a time."""
    k = starts.size
    for i in range(part * k // parts, (part + 1) * k // parts):
        request(flat, starts[i] + at, m)


# distances


@kernel()
def differences(flat, starts, base, at, m, rows, stride):
    """The float64 differences of each model to `base` [d] (to 0 if it is empty), a row each."""
    flat, starts, base, rows = borrowed(flat), borrowed(starts), borrowed(base), borrowed(rows)
    for i in range(starts.size):
        x = flat[starts[i] + at : starts[i] + at + m]
        row = rows[i * stride : i * stride + m]
        if base.size:
            p = base[at : at + m]
            for j in range(m):
                row[j] = np.float64(x[j]) - np.float64(p[j])
        else:
            for j in range(m):
                row[j] = np.float64(x[j])


@kernel(any_order=True)
def products_3(rows, stride, a, b, m, out):
    """Add the inner products of the rows from a on with those from b on to `out` [3, 3].

    Nine sums stay in registers while six values are read: fewer would wait for memory.
    """
    a0, a1, a2 = rows[a:][:m], rows[a + 1 * stride :][:m], rows[a + 2 * stride :][:m]
    b0, b1, b2 = rows[b:][:m], rows[b + 1 * stride :][:m], rows[b + 2 * stride :][:m]
    s00 = s01 = s02 = 0.0
    s10 = s11 = s12 = 0.0
    s20 = s21 = s22 = 0.0
    for j in range(m):
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


@kernel(any_order=True)
def products_5(rows, stride, a, b, m, out):
    """The same for [5, 5]: a quarter faster where a processor has 32 wide registers."""
    a0, a1, a2, a3, a4 = (
        rows[a:][:m],
        rows[a + 1 * stride :][:m],
        rows[a + 2 * stride :][:m],
        rows[a + 3 * stride :][:m],
        rows[a + 4 * stride :][:m],
    )
    b0, b1, b2, b3, b4 = (
        rows[b:][:m],
        rows[b + 1 * stride :][:m],
        rows[b + 2 * stride :][:m],
        rows[b + 3 * stride :][:m],
        rows[b + 4 * stride :][:m],
    )
    s00 = s01 = s02 = s03 = s04 = 0.0
    s10 = s11 = s12 = s13 = s14 = 0.0
    s20 = s21 = s22 = s23 = s24 = 0.0
    s30 = s31 = s32 = s33 = s34 = 0.0
    s40 = s41 = s42 = s43 = s44 = 0.0
    for j in range(m):
        s00 += a0[j] * b0[j]
        s01 += a0[j] * b1[j]
        s02 += a0[j] * b2[j]
        s03 += a0[j] * b3[j]
        s04 += a0[j] * b4[j]
        s10 += a1[j] * b0[j]
        s11 += a1[j] * b1[j]
        s12 += a1[j] * b2[j]
        s13 += a1[j] * b3[j]
        s14 += a1[j] * b4[j]
        s20 += a2[j] * b0[j]
        s21 += a2[j] * b1[j]
        s22 += a2[j] * b2[j]
        s23 += a2[j] * b3[j]
        s24 += a2[j] * b4[j]
        s30 += a3[j] * b0[j]
        s31 += a3[j] * b1[j]
        s32 += a3[j] * b2[j]
        s33 += a3[j] * b3[j]
        s34 += a3[j] * b4[j]
        s40 += a4[j] * b0[j]
        s41 += a4[j] * b1[j]
        s42 += a4[j] * b2[j]
        s43 += a4[j] * b3[j]
        s44 += a4[j] * b4[j]
    out[0, 0] += s00
    out[0, 1] += s01
    out[0, 2] += s02
    out[0, 3] += s03
    out[0, 4] += s04
    out[1, 0] += s10
    out[1, 1] += s11
    out[1, 2] += s12
    out[1, 3] += s13
    out[1, 4] += s14
    out[2, 0] += s20
    out[2, 1] += s21
    out[2, 2] += s22
    out[2, 3] += s23
    out[2, 4] += s24
    out[3, 0] += s30
    out[3, 1] += s31
    out[3, 2] += s32
    out[3, 3] += s33
    out[3, 4] += s34
    out[4, 0] += s40
    out[4, 1] += s41
    out[4, 2] += s42
    out[4, 3] += s43
    out[4, 4] += s44


@kernel()
def gram_tile(side):
    """Columns in a tile of differences, and how many rows of it the first cache is to hold."""
    return (1024, 5) if side == 5 else (256, 9)


@kernel()
def products(rows, stride, m, side, result, i, j):
    """Add inner products of `side` rows from i on with `side` rows from j on to `result`."""
    rows, result = borrowed(rows), borrowed(result)
    out = result[i : i + side, j : j + side]
    if side == 5:
        products_5(rows, stride, i * stride, j * stride, m, out)
    else:
        products_3(rows, stride, i * stride, j * stride, m, out)


@kernel()
def gram(flat, starts, base, d, side):
    """Inner products [k, k] of the differences to `base`; only its lower triangle counts.

    They are taken `side` rows by `side` rows, 3 or 5. A band of rows stays in the first cache
    while the rows before it pass by.
    """
    k, (width, band) = starts.size, gram_tile(side)
    padded, stride = (k + side - 1) // side * side, width + PADDING
    rows, result = np.zeros(padded * stride), np.zeros((padded, padded))
    steps = 0
    for top in range(0, padded, band):
        steps += min(top + band, padded) // side
    for at in range(0, d, width):
        m, step = min(width, d - at), 0
        differences(flat, starts, base, at, m, rows, stride)
        for top in range(0, padded, band):
            bottom = min(top + band, padded)
            for j in range(0, bottom, side):
                request_part(flat, starts, at + width, width, step, steps)
                step += 1
                for i in range(max(top, j), bottom, side):
                    products(rows, stride, m, side, result, i, j)
    return result[:k, :k]


@kernel(any_order=True)
def squared_distance(a, b):
    """Of two rows of float64."""
    total = 0.0
    for j in range(a.size):
        total += (a[j] - b[j]) ** 2
    return total


@kernel()
def pair_distances(flat, starts, first, second, d):
    """Squared distances of the models first[t] and second[t], from their own differences."""
    rows = np.empty(starts.size * WIDTH)
    nothing = np.empty(0, flat.dtype)
    result = np.zeros(first.size)
    for at in range(0, d, WIDTH):
        m = min(WIDTH, d - at)
        differences(flat, starts, nothing, at, m, rows, WIDTH)
        for t in range(first.size):
            a, b = first[t] * WIDTH, second[t] * WIDTH
            result[t] += squared_distance(rows[a : a + m], rows[b : b + m])
    return result


# signs


@kernel()
def sign(x, base):
    """Sgn(x - base), compared instead of subtracted: nothing can overflow."""
    return np.float32(x > base) - np.float32(x < base)


@kernel(any_order=True)
def sign_tile(x, base, y):
    """The sums of s, s * s and s * y, where s = Sgn(x - base); exact, being whole numbers."""
    total = moved = product = np.float32(0)
    for j in range(x.size):
        s = sign(x[j], base[j])
        total += s
        moved += s * s
        product += s * y[j]
    return total, moved, product


@kernel()
def sign_sums(flat, starts, previous, chosen):
    """[3, k + 1]: the sums of `sign_tile` with y = Sgn(chosen - previous), for y itself last."""
    flat, starts = borrowed(flat), borrowed(starts)
    previous, chosen = borrowed(previous), borrowed(chosen)
    k = starts.size
    y = np.empty(SIGNS, np.float32)
    result = np.zeros((3, k + 1))
    for at in range(0, chosen.size, SIGNS):
        m = min(SIGNS, chosen.size - at)
        base, own = previous[at : at + m], chosen[at : at + m]
        for j in range(m):
            y[j] = sign(own[j], base[j])
        for i in range(k + 1):
            x = flat[starts[i] + at : starts[i] + at + m] if i < k else own
            if i < k:
                request(flat, starts[i] + at + SIGNS, SIGNS)
            total, moved, product = sign_tile(x, base, y)
            result[0, i] += total
            result[1, i] += moved
            result[2, i] += product
    return result
