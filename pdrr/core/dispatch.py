"""Which definition does the work: the plain one, or the compiled kernel of the same name."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from functools import cache, wraps
from itertools import chain
from types import ModuleType
from typing import Any, ParamSpec

import array_api_compat
import numpy as np

from pdrr.core.arrays import Array, R

P = ParamSpec("P")


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
        kernels = importlib.import_module("pdrr.core.kernels.cupy")
        return kernels if kernels.fits(clients) else None
    if type(clients) not in HOST_STACKS:
        return None
    k, d = clients.shape if clients.ndim == 2 else (1, 1)
    fits = (
        (d >= 16 or k < 1000)  # a tile of a few coordinates would be filled with nothing
        and clients.dtype in (np.float32, np.float64)
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
        return importlib.import_module("pdrr.core.kernels.numba")
    except ImportError:  # no Numba, or none that knows this Python or NumPy
        return None
    except RuntimeError:  # no folder in which it may keep machine code
        return None
