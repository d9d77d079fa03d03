"""Floats as whole numbers in the same order, which processors compare faster.

The bits of a float, read as a whole number, sort as floats do once those behind the sign of the
negative ones are turned. What is turned twice is as before. Everything has a place then: NaN and
infinities lie before or behind the finite numbers.
"""

# ruff: noqa: ARG005  # Numba looks at the types of the arguments

from __future__ import annotations

from typing import Any

import numpy as np
from numba.extending import overload

LARGEST = {
    np.int32: np.finfo(np.float32).max.view(np.int32),
    np.int64: np.finfo(np.float64).max.view(np.int64),
}


def _whole(x: Any) -> Any:
    """The whole numbers as long as a value of Numba's type `x`."""
    return np.int32 if x.bitwidth == 32 else np.int64


def bits(x: Any) -> Any:
    """The memory of an array as whole numbers."""


@overload(bits, inline="always", strict=False)
def _bits(x: Any) -> Any:
    whole = _whole(x.dtype)
    return lambda x: x.view(whole)


def turned(x: Any) -> Any:
    """The bits of a value as its key, or a key as the bits of its value."""


@overload(turned, inline="always", strict=False)
def _turned(x: Any) -> Any:
    whole = _whole(x)
    sign, behind = whole(x.bitwidth - 1), np.iinfo(whole).max
    # without the outer call Numba would go on with 64 bits
    return lambda x: whole(x ^ (whole(x >> sign) & whole(behind)))


def largest(x: Any) -> Any:
    """The key of the largest finite value; that of the smallest is minus this, less 1."""


@overload(largest, inline="always", strict=False)
def _largest(x: Any) -> Any:
    key = LARGEST[_whole(x)]
    return lambda x: key
