"""What is refused before anything is computed, in words: needed this, got that."""

from __future__ import annotations

from typing import Any

import array_api_compat
import numpy as np

from pdrr.core.arrays import Array, array_namespace, blocks, device, to_host
from pdrr.core.directions import extremes
from pdrr.core.dispatch import accelerated

MOST = 10_000
"""Models of which all pairs are compared, at most: a matrix of them then takes 0.8 GB."""

ROOM = 2.0**100
"""Attacks and rivals take squares of squares, in float64, and send what they find as float32."""


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


def moderate_rows(clients: Array) -> Array:
    """bool [k]: which models of the stack [k, d] hold values below ROOM only, and finite ones."""
    xp = array_namespace(clients)
    k, d = clients.shape
    moderate = finite_rows(clients)
    low, high = extremes(clients, np.arange(k))
    if xp.all(moderate) and bool(xp.all(low > -ROOM)) and bool(xp.all(high < ROOM)):
        return moderate
    for cols in blocks(d, k):
        moderate = moderate & xp.all(xp.abs(clients[:, cols]) < ROOM, axis=1)
    return moderate


def check_stack(who: str, clients: Array, previous: Array | None = None) -> None:
    """Refuse anything but a floating stack [k, d] and, if given, a model [d] of the same dtype.

    Raises TypeError for a wrong type or dtype and ValueError for a wrong shape, naming `who`.
    """
    _check_kind(who, clients)
    xp = array_namespace(clients)
    if clients.dtype not in (xp.float32, xp.float64):
        raise TypeError(f"{who} needs float32 or float64 clients, got {clients.dtype}")
    if clients.ndim != 2 or 0 in clients.shape:
        raise ValueError(
            f"{who} needs clients of shape [k, d] with k, d >= 1, got {tuple(clients.shape)}"
        )
    if previous is None:
        return
    _check_kind(who, previous)
    array_namespace(clients, previous)
    if previous.dtype != clients.dtype:
        raise TypeError(f"{who} needs previous of dtype {clients.dtype}, got {previous.dtype}")
    if tuple(previous.shape) != (clients.shape[1],):
        raise ValueError(
            f"{who} needs previous of shape [{clients.shape[1]}], got {tuple(previous.shape)}"
        )


def _check_kind(who: str, x: Array) -> None:
    """Refuse arrays whose values are not what the rules would see."""
    if isinstance(x, list | tuple):
        raise TypeError(
            f"{who} needs one array, got a {type(x).__name__}: stack its models, as numpy.stack"
            " or torch.stack does"
        )
    if isinstance(x, np.ma.MaskedArray):
        raise TypeError(f"{who} needs plain arrays, got a masked one: fill it or drop its rows")
    if isinstance(x, np.matrix):
        raise TypeError(f"{who} needs plain arrays, got numpy.matrix: np.asarray gives one")
    if array_api_compat.is_torch_array(x) and x.requires_grad:
        raise TypeError(
            f"{who} needs tensors without gradients, got one that requires grad: detach"
        )
    if array_api_compat.is_torch_array(x) and (x.is_meta or str(x.layout) != "torch.strided"):
        what = "one without values" if x.is_meta else f"layout {x.layout}"
        raise TypeError(f"{who} needs dense tensors, got {what}")
    if array_api_compat.is_jax_array(x) and not _jax_has_float64():
        raise TypeError(
            f"{who} needs float64 for its sums, got JAX arrays in a process without it: "
            'jax.config.update("jax_enable_x64", True), or numpy.asarray'
        )


def _jax_has_float64() -> bool:
    import jax

    return bool(jax.config.read("jax_enable_x64"))


def check_finite(who: str, clients: Array, rows: np.ndarray | None = None) -> None:
    """Refuse NaN or infinite values in a stack, or in some rows of it; the message names them."""
    bad = np.flatnonzero(~to_host(finite_rows(clients)))
    bad = bad if rows is None else np.intersect1d(bad, rows)
    if bad.size:
        raise ValueError(f"{who} needs finite models, got NaN or infinity in rows {bad.tolist()}")


def check_moderate(who: str, clients: Array) -> None:
    """Refuse models that are not finite, or so large that squares of squares overflow."""
    large = np.flatnonzero(~to_host(moderate_rows(clients)))
    if large.size:
        check_finite(who, clients)
        raise ValueError(f"{who} needs values below {ROOM:.0e}, got more in rows {large.tolist()}")


def check_pairs(n: int) -> None:
    """Refuse more models than a matrix [n, n] of them has room for, before it is asked for."""
    if n > MOST:
        raise ValueError(f"comparing all pairs needs at most {MOST:,} models, got {n:,}")


def check_ids(who: str, ids: Array, k: int) -> None:
    """Refuse anything but k different whole numbers."""
    values = to_host(ids)
    if values.dtype.kind not in "iu":
        raise TypeError(f"{who} needs whole numbers as ids, got {values.dtype}")
    if values.shape != (k,) or len(np.unique(values)) != k:
        raise ValueError(f"{who} needs {k} different ids, got shape {values.shape}")


def check_int(who: str, name: str, value: Any) -> int:
    """`value` as an int; TypeError unless it is an integer (bool is not)."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{who} needs an integer {name}, got {value!r}")
    return int(value)


# The parts that attacks and defences share


def check_beta(who: str, k: int, beta: int | None) -> int:
    """`beta` as an int; ValueError unless 0 <= 2 * beta < k."""
    beta = check_int(who, "beta", beta)
    if not 0 <= 2 * beta < k:
        raise ValueError(f"{who} needs 0 <= 2*beta < k, got beta={beta} for k={k}")
    return beta


def check_c(who: str, k: int, c: int | None) -> int:
    """`c` as an int; ValueError unless Krum is defined: c >= 0 and k >= c + 3."""
    c = check_int(who, "c", c)
    if c < 0 or k < c + 3:
        raise ValueError(f"{who} needs c >= 0 and k >= c + 3, got c={c} for k={k}")
    return c


def check_share(who: str, name: str, value: float) -> float:
    """`value`; ValueError unless it lies between 0 and 1."""
    if not 0 <= value <= 1:
        raise ValueError(f"{who} needs 0 <= {name} <= 1, got {value}")
    return value


def whole(who: str, name: str, value: Any) -> int:
    """`value` as an int; an error unless it is an integer >= 0."""
    if check_int(who, name, value) < 0:
        raise ValueError(f"{who} needs {name} >= 0, got {value}")
    return int(value)
