"""The passes over a stack of models on a GPU, as CUDA kernels compiled by CuPy at first use.

`kernels.cuda` writes the source text for the number of models at hand. CuPy keeps what it has
compiled on disk; a new number of models or a new beta costs a fraction of a second once. Each
function reads the models once, and waits for the device once at most: for what it returns on the
host.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cupy
import numpy as np

from pdrr.core import draws
from pdrr.core.kernels import cuda, products
from pdrr.core.kernels.launch import blocks, launch, starts_of, table, tensor_cores, total

if TYPE_CHECKING:
    from pdrr.types import Round


def fits(clients: cupy.ndarray) -> bool:
    """Whether the kernels can work on this stack [k, d]: its rows contiguous, k not too large."""
    itemsize = clients.itemsize
    return bool(
        clients.dtype in (np.float32, np.float64)
        and clients.strides[1] == itemsize
        and clients.strides[0] % itemsize == 0
        and clients.shape[0] <= cuda.MOST
    )


def finite_rows(clients: cupy.ndarray) -> cupy.ndarray:
    """As `pdrr.core.checks.finite_rows`."""
    k, d = clients.shape
    program = cuda.one_pass("finite_rows", clients.itemsize)
    with clients.device:
        finite = cupy.ones(k, dtype=bool)
        launch(program, (blocks(program, d) * k,), clients, starts_of(clients), k, d, finite)
        return finite


# order statistics


def checked_middle(
    clients: cupy.ndarray, beta: int, rows: np.ndarray | None = None
) -> tuple[cupy.ndarray, bool]:
    """As `pdrr.core.order.checked_middle`."""
    d = clients.shape[1]
    with clients.device:
        starts, out, finite = starts_of(clients, rows), _vector(clients), cupy.ones(1, dtype=bool)
        program = cuda.ordered("middle_mean", len(starts), beta, clients.itemsize)
        launch(program, (blocks(program, d),), clients, starts, d, out, finite)
        return out, bool(finite[0])


def middle_direction(honest: Round, beta: int) -> cupy.ndarray:
    """As `pdrr.core.directions.middle_direction`."""
    clients, d = honest.clients, honest.d
    program = cuda.ordered("middle_direction", honest.k, beta, clients.itemsize)
    with clients.device:
        out, previous = _vector(clients), cupy.ascontiguousarray(honest.previous)
        launch(program, (blocks(program, d),), clients, starts_of(clients), d, previous, out)
        return out


def closest_to_median(clients: cupy.ndarray, rows: np.ndarray, gamma: int) -> cupy.ndarray:
    """As `pdrr.core.order.closest_to_median`."""
    d = clients.shape[1]
    program = cuda.ordered("closest_to_median", len(rows), 0, clients.itemsize, gamma)
    with clients.device:
        out = _vector(clients)
        launch(program, (blocks(program, d),), clients, starts_of(clients, rows), d, out)
        return out


def checked_count(
    observed: Round, rows: np.ndarray, beta: int, zero_change: bool
) -> tuple[cupy.ndarray, np.ndarray, np.ndarray, bool]:
    """As `pdrr.defenses.checked_count`."""
    clients, d = observed.clients, observed.d
    program = cuda.ordered("count", len(rows), beta, clients.itemsize)
    across = blocks(program, d)
    with clients.device:
        starts, out = starts_of(clients, rows), _vector(clients)
        previous = cupy.ascontiguousarray(observed.previous)
        kept = cupy.empty((across, len(rows) + 2))  # last: counted coordinates, whether not finite
        launch(program, (across,), clients, starts, d, previous, int(zero_change), out, kept)
        *remained, counted, bad = total(kept)
    return out, counted - np.array(remained), np.array(remained), bool(bad == 0)


def kept_values(clients: cupy.ndarray, beta: int) -> tuple[cupy.ndarray, cupy.ndarray]:
    """As `pdrr.baselines.jackknife.kept_values`."""
    k, d = clients.shape
    program = cuda.ordered("kept_values", k, beta, clients.itemsize)
    with clients.device:
        edges, sums = cupy.empty((3, d), clients.dtype), cupy.empty(d)
        launch(program, (blocks(program, d),), clients, starts_of(clients), d, edges, sums)
        return edges, sums


# model after model


def checked_mean(clients: cupy.ndarray) -> tuple[cupy.ndarray, bool]:
    """As `pdrr.core.order.checked_mean`."""
    k, d = clients.shape
    program = cuda.by_columns("row_mean", clients.itemsize)
    with clients.device:
        out, finite = _vector(clients), cupy.ones(1, dtype=bool)
        launch(program, (blocks(program, d),), clients, starts_of(clients), k, d, out, finite)
        return out, bool(finite[0])


def mean_direction(honest: Round, rows: np.ndarray) -> cupy.ndarray:
    """As `pdrr.core.directions.mean_direction`."""
    clients, d = honest.clients, honest.d
    program = cuda.by_columns("mean_direction", clients.itemsize)
    with clients.device:
        starts, out = starts_of(clients, rows), _vector(clients)
        previous = cupy.ascontiguousarray(honest.previous)
        launch(program, (blocks(program, d),), clients, starts, len(rows), d, previous, out)
        return out


def extremes(clients: cupy.ndarray, rows: np.ndarray) -> tuple[cupy.ndarray, cupy.ndarray]:
    """As `pdrr.core.directions.extremes`."""
    d = clients.shape[1]
    program = cuda.by_columns("extremes", clients.itemsize)
    with clients.device:
        starts, low, high = starts_of(clients, rows), _vector(clients), _vector(clients)
        launch(program, (blocks(program, d),), clients, starts, len(rows), d, low, high)
        return low, high


def moments(clients: cupy.ndarray, rows: np.ndarray) -> tuple[cupy.ndarray, cupy.ndarray]:
    """As `pdrr.core.directions.moments`."""
    d = clients.shape[1]
    program = cuda.by_columns("moments", clients.itemsize)
    with clients.device:
        starts, mu, sigma = starts_of(clients, rows), cupy.empty(d), cupy.empty(d)
        launch(program, (blocks(program, d),), clients, starts, len(rows), d, mu, sigma)
        return mu, sigma


def lengths(
    honest: Round, rows: np.ndarray, direction: cupy.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """As `pdrr.core.directions.lengths`."""
    clients, d, n = honest.clients, honest.d, len(rows)
    program = cuda.by_columns("lengths", clients.itemsize)
    across = blocks(program, d)
    with clients.device:
        previous, s = cupy.ascontiguousarray(honest.previous), cupy.ascontiguousarray(direction)
        partial = cupy.empty((across, 2, n))
        launch(program, (across,), clients, starts_of(clients, rows), n, d, previous, s, partial)
        norms, inner = total(partial)
    return norms, inner


def mean_without(
    clients: cupy.ndarray, i: int, beta: int, edges: cupy.ndarray, total: cupy.ndarray
) -> cupy.ndarray:
    """As `pdrr.baselines.jackknife.mean_without`."""
    k, d = clients.shape
    program = cuda.by_columns("mean_without", clients.itemsize)
    with clients.device:
        own, out = i * (clients.strides[0] // clients.itemsize), _vector(clients)
        kept = k - 1 - 2 * beta
        launch(program, (blocks(program, d),), clients, own, kept, d, edges, total, out)
        return out


# inner products and signs


def gram(clients: cupy.ndarray, previous: cupy.ndarray | None, rows: np.ndarray) -> np.ndarray:
    """As `pdrr.core.distances.gram`."""
    n, d, side = len(rows), clients.shape[1], products.SIDE
    groups = -(-n // side)
    with clients.device:
        base = clients if previous is None else cupy.ascontiguousarray(previous)
        more: tuple[Any, ...] = base, int(previous is not None)
        starts = starts_of(clients, rows)
        if tensor_cores(clients.device.id):
            program = products.tensor_gram(n, clients.itemsize, base.itemsize)
            across, upwards, chunk = products.tensor_grid(n, d)
            more += (table(products.plan(n)),)
            squares = products.squares(n)
        else:
            program = products.gram(n, clients.itemsize, base.itemsize)
            across, upwards, chunk = products.gram_grid(n, d)
            squares = np.stack(np.tril_indices(groups), axis=1)
        partial = cupy.empty((across, len(squares), side, side))
        launch(program, (across, upwards), clients, starts, d, chunk, *more, partial)
        sums = total(partial)
    whole = np.zeros((int(squares.max()) + 1, side, int(squares.max()) + 1, side))
    real = squares[:, 0] >= 0
    whole[squares[real, 0], :, squares[real, 1], :] = sums[real]
    lower = np.tril(whole.reshape(len(whole) * side, -1)[:n, :n])
    return np.asarray(lower + np.tril(lower, -1).T)


def pair_distances(
    clients: cupy.ndarray, rows: np.ndarray, first: np.ndarray, second: np.ndarray
) -> np.ndarray:
    """As `pdrr.core.distances.pair_distances`."""
    n, d = len(first), clients.shape[1]
    program = cuda.one_pass("pair_distances", clients.itemsize)
    pieces = blocks(program, d)
    with clients.device:
        a, b = starts_of(clients, rows[first]), starts_of(clients, rows[second])
        partial = cupy.empty((pieces, n))
        launch(program, (pieces * n,), clients, a, b, n, d, partial)
        return total(partial)


def sign_sums(
    observed: Round, rows: np.ndarray, pre_aggregate: cupy.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float, float]:
    """As `pdrr.defenses.sign_sums`."""
    clients, d, n = observed.clients, observed.d, len(rows)
    program = cuda.one_pass("sign_sums", clients.itemsize)
    across = blocks(program, d)
    with clients.device:
        previous = cupy.ascontiguousarray(observed.previous)
        chosen = cupy.ascontiguousarray(pre_aggregate)
        partial = cupy.empty((across, 3, n + 1), np.int32)
        starts = starts_of(clients, rows)
        launch(program, (across,), clients, starts, n, d, previous, chosen, partial)
        s, moved, product = total(partial)
    # what was asked of every model was asked of w_pag too, last
    return s[:n], moved[:n], product[:n], float(s[n]), float(moved[n])


# draws


def uniform_rows(
    clients: cupy.ndarray,
    rows: np.ndarray,
    near: cupy.ndarray,
    width: cupy.ndarray,
    low: float,
    rng: np.random.Generator,
) -> None:
    """As `pdrr.core.draws.uniform_rows`; the numbers are drawn on the device where rng is PCG64."""
    if type(rng.bit_generator) is not np.random.PCG64:
        draws.drawn_on_host(clients, rows, near, width, low, rng)
        return
    n, d = len(rows), clients.shape[1]
    program = cuda.draws("uniform_rows", clients.itemsize)
    stream = draws.stream(rng, (program.threads, d))
    with clients.device:
        near, width = cupy.ascontiguousarray(near), cupy.ascontiguousarray(width)
        more = near, width, cupy.asarray(np.array([low])), cupy.asarray(stream)
        launch(program, (blocks(program, d),), clients, starts_of(clients, rows), n, d, *more)
    draws.skip(rng, n * d)


def _vector(clients: cupy.ndarray) -> cupy.ndarray:
    return cupy.empty(clients.shape[1], clients.dtype)
