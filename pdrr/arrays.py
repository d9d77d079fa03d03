"""Arrays of any home: NumPy, CuPy or another array-API library, in memory or memory-mapped.

The only file that looks at which library an array comes from. Everything else asks
`array_namespace(x)` for the functions and then writes plain maths.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterable, Iterator
from functools import cache, wraps
from itertools import chain
from types import ModuleType
from typing import Any, ParamSpec, TypeVar

import array_api_compat
import numpy as np
from tqdm import tqdm

Array = Any  # an array of some array-API library; shapes stand in the docstrings
P = ParamSpec("P")
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


def blocks(d: int, k: int = 1) -> Iterator[slice]:
    """Slices that cover range(d) in order, for working on k models a bounded block at a time."""
    step = max(1, min(BLOCK, VALUES // k))
    starts = range(0, d, step)
    return progress((slice(start, min(start + step, d)) for start in starts), len(starts))


def progress(pieces: Iterable[R], total: int) -> Iterator[R]:
    """The pieces; on a terminal, with a bar and the time left if they take over three seconds."""
    # the bar closes also where somebody stops half-way
    yield from tqdm(
        pieces, total=total, desc="models", unit="block", delay=3, leave=False, disable=None
    )


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


def accelerated(plain: Callable[P, R]) -> Callable[P, R]:
    """Let the kernel of the same name do the work of a plain definition where there is one.

    The plain definition says what the result is, up to the rounding of float64 sums, and works on
    every array. It stays at hand as `__wrapped__`, and does everything if the environment has
    PDRR_KERNELS=off.

    Parameters
    ----------
    plain : function
        Its first argument is a stack [k, d], or has one as `clients`.
    """

    @wraps(plain)
    def either(*args: P.args, **kwargs: P.kwargs) -> R:
        first: Any = next(chain(args, kwargs.values()))
        kernels = kernels_for(getattr(first, "clients", first))
        return getattr(kernels, plain.__name__, plain)(*args, **kwargs)

    return either


def kernels_for(clients: Array) -> ModuleType | None:
    """The compiled kernels that can work on this stack [k, d], if any."""
    if os.environ.get("PDRR_KERNELS", "").lower() == "off":
        return None
    if array_api_compat.is_cupy_array(clients):
        kernels = importlib.import_module("pdrr.kernels.cupy")
        return kernels if kernels.fits(clients) else None
    if type(clients) not in HOST_STACKS:
        return None
    fits = (
        clients.dtype in (np.float32, np.float64)
        and clients.dtype.isnative
        and clients.flags.aligned
        and clients.strides[1] == clients.itemsize
        and clients.strides[0] % clients.itemsize == 0
    )
    return _numba_kernels() if fits else None


HOST_STACKS = (np.ndarray, np.memmap)


@cache
def _numba_kernels() -> ModuleType | None:
    try:
        return importlib.import_module("pdrr.kernels.numba")
    except ImportError:  # no Numba, or none that knows this Python or NumPy
        return None
    except RuntimeError:  # no folder in which it may keep machine code
        return None


def all_finite(x: Array) -> bool:
    """Whether every value of the vector `x` [d] is finite."""
    if array_api_compat.is_cupy_array(x):  # one answer from the device instead of one a block
        return bool(finite_rows(x[None, :])[0])
    xp = array_namespace(x)
    return all(bool(xp.all(xp.isfinite(x[cols]))) for cols in blocks(x.shape[0]))


@accelerated
def finite_rows(clients: Array) -> Array:
    """bool [k]: which models of the stack [k, d] hold finite values only."""
    xp = array_namespace(clients)
    k, d = clients.shape
    finite = xp.ones(k, dtype=xp.bool, device=device(clients))
    for cols in blocks(d, k):
        finite = finite & xp.all(xp.isfinite(clients[:, cols]), axis=1)
    return finite


def check_stack(who: str, clients: Array, previous: Array | None = None) -> None:
    """Refuse anything but a floating stack [k, d] and, if given, a model [d] of the same dtype.

    Raises TypeError for a wrong type or dtype and ValueError for a wrong shape, naming `who`.
    """
    xp = array_namespace(clients)
    if clients.dtype not in (xp.float32, xp.float64):
        raise TypeError(f"{who} needs float32 or float64 clients, got {clients.dtype}")
    if clients.ndim != 2 or 0 in clients.shape:
        raise ValueError(
            f"{who} needs clients of shape [k, d] with k, d >= 1, got {tuple(clients.shape)}"
        )
    if previous is None:
        return
    array_namespace(clients, previous)
    if previous.dtype != clients.dtype:
        raise TypeError(f"{who} needs previous of dtype {clients.dtype}, got {previous.dtype}")
    if tuple(previous.shape) != (clients.shape[1],):
        raise ValueError(
            f"{who} needs previous of shape [{clients.shape[1]}], got {tuple(previous.shape)}"
        )


def check_finite(who: str, clients: Array, rows: np.ndarray | None = None) -> None:
    """Refuse NaN or infinite values in a stack, or in some rows of it; the message names them."""
    bad = np.flatnonzero(~to_host(finite_rows(clients)))
    bad = bad if rows is None else np.intersect1d(bad, rows)
    if bad.size:
        raise ValueError(f"{who} needs finite models, got NaN or infinity in rows {bad.tolist()}")


def check_int(who: str, name: str, value: Any) -> int:
    """`value` as an int; TypeError unless it is an integer (bool is not)."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{who} needs an integer {name}, got {value!r}")
    return int(value)
