"""What several methods ask of one round: computed once, kept as long as the round is."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from pdrr.core.arrays import R

if TYPE_CHECKING:
    from pdrr.types import Round

_KEPT: WeakKeyDictionary[Any, dict[str, Any]] = WeakKeyDictionary()


def shared(compute: Callable[[Round], R]) -> Callable[[Round], R]:
    """Let a function of one round be computed once for each round.

    NumPy arrays of its result are read-only: several methods hold the same ones.
    """
    name = f"{compute.__module__}.{compute.__qualname__}"

    @wraps(compute)
    def once(observed: Round) -> R:
        kept = _KEPT.setdefault(observed, {})
        if name not in kept:
            kept[name] = _read_only(compute(observed))
        return kept[name]  # type: ignore[no-any-return]

    return once


def forget(observed: Round) -> None:
    """Let everything be computed again: for whoever measures the time of one method alone."""
    _KEPT.pop(observed, None)


def _read_only(result: R) -> R:
    for part in result if isinstance(result, tuple) else (result,):
        if isinstance(part, np.ndarray):
            part.flags.writeable = False
    return result
