"""How a tile of a stack is sorted: WIDTH coordinates of all models, side by side.

A tile stays in the cache of one processor. For each tile WIDTH values of each row are read, even
where a piece of the stack ends in it. Rows are cut out as slices of their own: the compiler then
sees plain loops over memory and uses vector instructions.
"""

from __future__ import annotations

from pdrr.core.kernels.keys import bits, largest, turned
from pdrr.core.kernels.machine_code import borrowed, kernel
from pdrr.core.kernels.network import GROUP
from pdrr.core.kernels.sums import request

WIDTH = 128
"""Coordinates in a tile. With more, rows of a tile would share lines of the first cache."""

AHEAD = 8
"""Tiles of a model that are asked for at once, of another part of the models each time: memory
gives long runs faster than short ones."""


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
