"""Which inner products of k models a GPU takes where, as CUDA text and a plan; needs no GPU.

The products are taken in squares of SIDE * SIDE models, only those on and below the diagonal. With
float64 tensor cores (compute capability 8.0 and above) a warp multiplies eight models by eight
others at once (`tensor.cu`); else each thread keeps a square (`gram.cu`).
"""

from __future__ import annotations

from functools import cache

import numpy as np

from pdrr.core.kernels.cuda import SHARED, TYPES, WARP, Program, text, types

SIDE = 8
"""Inner products of SIDE with SIDE models belong together."""

TILE = 4
"""Squares of a warp, in each direction, where there are more than one warp can hold."""

ALONE = 8
"""Groups of SIDE models, at most, of which one warp holds all squares."""

PARTIAL_SUMS = 64 * 2**20
"""Bytes of inner products that the blocks may write, about."""


@cache
def gram(k: int, itemsize: int, base_itemsize: int) -> Program:
    """Inner products of the differences of k models to a base, without tensor cores."""
    groups = -(-k // SIDE)
    squares = groups * (groups + 1) // 2
    team = 32 if squares <= 32 else 64 if squares <= 64 else 128
    width, rows = 64, groups * SIDE
    # a stage in shared memory, and the values of the next one in the registers of 128 threads
    while width * (rows + 2) * 8 + 8 * k > SHARED or width * rows * itemsize > 128 * 128:
        width //= 2
    constants = {
        **types(itemsize),
        "BASE": TYPES[base_itemsize],
        "K": k,
        "SIDE": SIDE,
        "SQUARES": squares,
        "WIDTH": width,
        "THREADS": 128,
        "TEAM": team,
    }
    return Program("gram", text(constants, "warps.cuh", "gram.cu"), 128, width)


def gram_grid(k: int, d: int) -> tuple[int, int, int]:
    """Blocks side by side and on top of each other for `gram`, and coordinates of each."""
    groups = -(-k // SIDE)
    squares = groups * (groups + 1) // 2
    across, chunk = _chunks(squares, d)
    return across, -(-squares // 128) if squares > 64 else 1, chunk


@cache
def tensor_gram(k: int, itemsize: int, base_itemsize: int) -> Program:
    """The same by float64 tensor cores."""
    groups = -(-k // SIDE)
    together = groups <= ALONE
    threads = 128 if together else 256
    rows, width = plan(k).shape[1] - 2 * threads // WARP, 64
    rows *= SIDE
    while rows * (width + 5) * 8 > SHARED or rows * width * itemsize > threads * 80:
        width //= 2
    constants = {
        **types(itemsize),
        "BASE": TYPES[base_itemsize],
        "K": k,
        "SIDE": SIDE,
        "TILE": groups if together else TILE,
        "TOGETHER": int(together),
        "SLOTS": rows // SIDE,
        "WIDTH": width,
        "THREADS": threads,
        "BLOCKS": 3 if groups < ALONE else 2,
    }
    return Program("gram", text(constants, "warps.cuh", "tensor.cu"), threads, width)


def tensor_grid(k: int, d: int) -> tuple[int, int, int]:
    """Blocks side by side and on top of each other for `tensor_gram`, and coordinates of each."""
    across, chunk = _chunks(len(squares(k)), d)
    return across, len(plan(k)), chunk


@cache
def plan(k: int) -> np.ndarray:
    """int64 [blocks on top of each other, slots + 2 * warps]: what each of them works on.

    First the groups of SIDE models that its stage holds, or -1, then for each warp where the rows
    and the columns of its tile begin there, in groups; -1 for a warp without a tile.
    """
    groups = -(-k // SIDE)
    if groups <= ALONE:
        return np.array([[*range(groups), *[0] * 8]], np.int64)
    rows, columns = np.tril_indices(-(-groups // TILE))
    parts = [
        list(zip(rows[at : at + 8].tolist(), columns[at : at + 8].tolist(), strict=True))
        for at in range(0, len(rows), 8)
    ]
    held = [sorted({row for pair in part for row in pair}) for part in parts]
    slots = max(map(len, held))
    table = np.full((len(parts), slots * TILE + 16), -1, np.int64)
    for line, part, own in zip(table, parts, held, strict=True):
        stage = [row * TILE + i for row in own for i in range(TILE)]
        line[: len(stage)] = stage
        places = [own.index(row) * TILE for pair in part for row in pair]
        line[slots * TILE :][: len(places)] = places
    return table


@cache
def squares(k: int) -> np.ndarray:
    """int64 [n, 2]: row and column, in groups, of each square that `tensor_gram` gives, in order.

    Those of a warp without a tile are -1.
    """
    groups = -(-k // SIDE)
    if groups <= ALONE:
        return np.stack(np.tril_indices(groups), axis=1)
    rows, columns = np.tril_indices(-(-groups // TILE))
    i, j = np.divmod(np.arange(TILE * TILE), TILE)
    found = np.stack(
        [(TILE * rows[:, None] + i).reshape(-1), (TILE * columns[:, None] + j).reshape(-1)], axis=1
    )
    spare = -len(rows) % 8 * TILE * TILE
    return np.concatenate([found, np.full((spare, 2), -1)])


def _chunks(squares: int, d: int) -> tuple[int, int]:
    """Blocks side by side, and coordinates of each: a multiple of the longest stage."""
    most = max(1, PARTIAL_SUMS // (squares * SIDE * SIDE * 8))
    pieces = -(-d // 64)
    chunk = 64 * max(64, -(-pieces // most))
    return -(-d // chunk), chunk
