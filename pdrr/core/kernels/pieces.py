"""A stack in pieces, and the threads that work on them.

Pieces of `4 * BLOCK` coordinates go to a pool of threads; their results are added in the order of
the pieces, so that every number of threads gives the same bits. Threads of Python rather than
Numba's `parallel=True`: the compiled loops let go of the interpreter and need no second runtime
with threads of its own beside TensorFlow's.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

import pdrr.core.arrays
from pdrr.core.kernels.tiles import WIDTH


def processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def done(work: Callable[[int, int], Any], d: int) -> Iterator[Any]:
    """work(begin, end) for pieces that cover range(d), on all processors; results in order.

    A piece is a number of whole tiles, or less than one tile.
    """
    pieces = []
    for begin in range(0, d, 4 * pdrr.core.arrays.BLOCK):
        end = min(begin + 4 * pdrr.core.arrays.BLOCK, d)
        whole = end - (end - begin) % WIDTH
        pieces += [ends for ends in ((begin, whole), (whole, end)) if ends[0] < ends[1]]
    threads = min(processors(), len(pieces))
    if threads == 1:
        yield from pdrr.core.arrays.progress((work(*ends) for ends in pieces), len(pieces))
        return
    with ThreadPoolExecutor(threads) as pool:
        yield from pdrr.core.arrays.progress(_shared_out(pool, work, pieces), len(pieces))


def _shared_out(
    pool: ThreadPoolExecutor, work: Callable[[int, int], Any], pieces: list[tuple[int, int]]
) -> Iterator[Any]:
    """Results in order; after the main thread has ended no thread starts, and they come from here.

    A result is let go of as soon as it was taken.
    """
    begun: deque[Future[Any]] = deque()
    for ends in pieces:
        try:
            begun.append(pool.submit(work, *ends))
        except RuntimeError:
            break
    rest = pieces[len(begun) :]
    while begun:
        yield begun.popleft().result()
    for ends in rest:
        yield work(*ends)


def everywhere(work: Callable[[int, int], bool], d: int) -> bool:
    """Whether work(begin, end) is true of all pieces; all are done, whatever the first ones say."""
    return all(list(done(work, d)))


def total(work: Callable[[int, int], Any], d: int, shape: tuple[int, ...]) -> np.ndarray:
    """The sum of work(begin, end) over all pieces, always added in the same order."""
    result = np.zeros(shape)
    for part in done(work, d):
        result += part
    return result


def flat(clients: np.ndarray, rows: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The memory of a stack as a read-only array [n], and where the chosen rows start in it."""
    k, d = clients.shape
    rows = np.arange(k) if rows is None else rows
    step = clients.strides[0] // clients.itemsize if k > 1 else 0
    lowest = np.asarray(clients)[k - 1 if step < 0 else 0]
    memory = np.lib.stride_tricks.as_strided(
        lowest, ((k - 1) * abs(step) + d,), (clients.itemsize,), writeable=False
    )
    starts = rows * step if step >= 0 else (k - 1 - rows) * -step
    return memory, starts.astype(np.int64)


def whole_tiles(
    flat: np.ndarray, starts: np.ndarray, begin: int, end: int
) -> tuple[np.ndarray, np.ndarray]:
    """A piece of a stack; what is less than a tile comes as a copy with room for a tile."""
    if (end - begin) % WIDTH == 0:
        return flat, starts + begin
    copy = np.zeros((len(starts), WIDTH), flat.dtype)
    for row, start in zip(copy, starts + begin, strict=True):
        row[: end - begin] = flat[start : start + end - begin]
    return vector(copy.reshape(-1)), np.arange(len(starts)) * WIDTH


def vector(x: np.ndarray) -> np.ndarray:
    """A vector as a contiguous read-only array."""
    view = np.ascontiguousarray(x).view(np.ndarray)
    view.flags.writeable = False
    return view
