"""Arrays of any home: NumPy, CuPy or another array-API library, in memory or memory-mapped.

Everything else asks `array_namespace(x)` for the functions and then writes plain maths.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any, TypeVar

import array_api_compat
import numpy as np
from tqdm import tqdm

Array = Any  # an array of some array-API library; shapes stand in the docstrings
R = TypeVar("R")

BLOCK = 16_384
"""Coordinates handled at a time, at most. A float64 block of 50 clients is then 6.5 MB."""

VALUES = 2**20
"""Values handled at a time, at most: with many clients, fewer coordinates."""


def array_namespace(*arrays: Array) -> Any:
    """The array-API namespace shared by `arrays`; TypeError if they have none, or two."""
    try:
        return array_api_compat.array_namespace(*arrays)
    except TypeError as error:
        kinds = ", ".join(sorted({type(a).__name__ for a in arrays}))
        raise TypeError(f"need arrays of one array library, got {kinds}") from error


def to_host(x: Array) -> np.ndarray:
    """`x` as a NumPy array, copied from the device where it has to be."""
    if isinstance(x, np.ndarray):
        return x
    if array_api_compat.is_cupy_array(x):
        x = x.get()
    return np.asarray(x)


def device(x: Array) -> Any:
    """The device that `x` lies on."""
    return array_api_compat.device(x)


def like(x: np.ndarray, other: Array) -> Array:
    """The NumPy array `x` on the device and in the namespace of `other`."""
    if isinstance(other, np.ndarray):
        return x
    return array_namespace(other).asarray(x, device=device(other))


def accelerator() -> Any:
    """CuPy where it is installed and finds a device, else NumPy."""
    try:
        import cupy

        return cupy if cupy.cuda.runtime.getDeviceCount() else np
    except (ImportError, RuntimeError):  # CuPy's errors of a missing driver are RuntimeErrors
        return np


def moved(x: Array, home: Any) -> Array:
    """`x`, of any library, as an array of `home`, NumPy or CuPy; copied only if it has to be."""
    if home is np:
        return to_host(x)
    return home.asarray(x) if isinstance(x, np.ndarray) else home.from_dlpack(x)


def blocks(d: int, k: int = 1) -> Iterator[slice]:
    """Slices that cover range(d) in order, for working on k models a bounded block at a time."""
    step = max(1, min(BLOCK, VALUES // k))
    starts = range(0, d, step)
    return progress((slice(start, min(start + step, d)) for start in starts), len(starts))


def progress(pieces: Iterable[R], total: int) -> Iterator[R]:
    """The pieces; on a terminal, with a bar and the time left if they take over three seconds."""
    screen = sys.stderr
    if screen is None or screen.closed or not screen.isatty():
        yield from pieces
        return
    # the bar closes also where somebody stops half-way
    yield from tqdm(
        pieces,
        total=total,
        desc="models",
        unit="block",
        delay=3,
        leave=False,
        file=Forgiving(screen),
    )


class Forgiving:
    """A screen that may be closed, or its terminal gone, while a bar is shown: no bar then."""

    def __init__(self, screen: Any) -> None:
        self.screen, self.encoding = screen, getattr(screen, "encoding", None)

    def write(self, words: str) -> None:
        """Show the words if that is possible."""
        with suppress(OSError, ValueError):
            self.screen.write(words)

    def flush(self) -> None:
        """Show them now."""
        with suppress(OSError, ValueError):
            self.screen.flush()

    def isatty(self) -> bool:
        """It was a terminal when the bar began."""
        return True

    def fileno(self) -> int:
        """Its number, from which the width is asked; ValueError or OSError if it is closed."""
        return int(self.screen.fileno())


def select(block: Array, rows: np.ndarray) -> Array:
    """The given rows of a block [k, m]: the block itself, not a copy, if these are all of them."""
    if len(rows) == block.shape[0]:
        return block
    return array_namespace(block).take(block, like(rows, block), axis=0)


def transposed(block: Array) -> Array:
    """The transpose of a block, laid out anew: the values of its rows lie side by side."""
    xp = array_namespace(block)
    if hasattr(xp, "ascontiguousarray"):  # NumPy and CuPy: a plain copy keeps the old layout
        return xp.ascontiguousarray(block.T)
    return xp.asarray(block.T, copy=True)


def float64(x: Array) -> Array:
    """A float64 copy of `x`, where sums and differences are taken."""
    xp = array_namespace(x)
    return xp.astype(x, xp.float64)
