"""The passes over a stack of models that cost time, compiled by Numba, on all processors.

Each kernel walks through the coordinates in tiles that stay in a processor's own cache
(`kernels.sorting`). Pieces of `4 * BLOCK` coordinates go to a pool of threads; their results
are added in the order of the pieces, so that every number of threads gives the same bits. Threads
of Python rather than Numba's `parallel=True`: the compiled loops let go of the interpreter and
need no second runtime with threads of its own beside TensorFlow's.

A stack reaches the loops as one flat array and the place where each chosen model starts in it:
nothing is copied, whether rows are chosen, coordinates cut out or the stack lies on disk.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
from llvmlite.binding import get_host_cpu_features

import pdrr.core.arrays
from pdrr.core.kernels import columns, leave_one_out, ranks, sorting, sums
from pdrr.core.kernels.network import sorting_program

if TYPE_CHECKING:
    from pdrr.types import Round


SIDE = 5 if get_host_cpu_features().get("avx512f") else 3  # of a square of inner products


def finite_rows(clients: np.ndarray) -> np.ndarray:
    """As `pdrr.core.checks.finite_rows`."""
    flat, starts = _flat(clients)

    def work(begin: int, end: int) -> Any:
        return sums.finite(flat, starts + begin, end - begin)

    finite = np.ones(len(clients), bool)
    for part in _pieces(work, clients.shape[1]):
        finite &= part
    return finite


def checked_middle(
    clients: np.ndarray, beta: int, rows: np.ndarray | None = None
) -> tuple[np.ndarray, bool]:
    """As `pdrr.core.order.checked_middle`."""
    flat, starts = _flat(clients, rows)
    program = sorting_program(len(starts), beta, len(starts) - beta)
    out = np.empty(clients.shape[1], clients.dtype)

    def work(begin: int, end: int) -> bool:
        piece = _whole_tiles(flat, starts, begin, end)
        return bool(sorting.middle_mean(*piece, *program, out[begin:end]))

    return out, _all(work, len(out))


def closest_to_median(clients: np.ndarray, rows: np.ndarray, gamma: int) -> np.ndarray:
    """As `pdrr.core.order.closest_to_median`."""
    flat, starts = _flat(clients, rows)
    program = sorting_program(len(rows), 0, len(rows))
    out = np.empty(clients.shape[1], clients.dtype)

    def work(begin: int, end: int) -> None:
        piece = _whole_tiles(flat, starts, begin, end)
        sorting.closest_to_median(*piece, *program, gamma, out[begin:end])

    for _ in _pieces(work, len(out)):
        pass
    return out


def middle_direction(honest: Round, beta: int) -> np.ndarray:
    """As `pdrr.core.directions.middle_direction`."""
    flat, starts = _flat(honest.clients)
    program = sorting_program(honest.k, beta, honest.k - beta)
    previous, out = _vector(honest.previous), np.empty(honest.d, honest.clients.dtype)

    def work(begin: int, end: int) -> None:
        piece = _whole_tiles(flat, starts, begin, end)
        sorting.middle_direction(*piece, previous[begin:end], *program, out[begin:end])

    for _ in _pieces(work, honest.d):
        pass
    return out


def checked_count(
    observed: Round, rows: np.ndarray, beta: int, zero_change: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray, bool]:
    """As `pdrr.defenses.checked_count`."""
    flat, starts = _flat(observed.clients, rows)
    outer = max(0, beta - 1)  # the nearest dropped values tell where a kept one may be shared
    program = sorting_program(len(rows), outer, len(rows) - outer)
    previous = _vector(observed.previous)
    out = np.empty(observed.d, observed.clients.dtype)

    def work(begin: int, end: int) -> Any:
        piece = _whole_tiles(flat, starts, begin, end)
        more = (beta, zero_change, out[begin:end])
        return sorting.count(*piece, previous[begin:end], *program, *more)

    trimmed, remained, bad = _total(work, observed.d, (3, len(rows)))
    return out, trimmed, remained, not bad.any()


def gram(clients: np.ndarray, previous: np.ndarray | None, rows: np.ndarray) -> np.ndarray:
    """As `pdrr.core.distances.gram`."""
    flat, starts = _flat(clients, rows)
    base = _vector(np.empty(0, clients.dtype) if previous is None else previous)

    def work(begin: int, end: int) -> Any:
        return sums.gram(flat, starts + begin, base[begin:end], end - begin, SIDE)

    lower = np.tril(_total(work, clients.shape[1], (len(rows), len(rows))))
    return np.asarray(lower + np.tril(lower, -1).T)


def pair_distances(
    clients: np.ndarray, rows: np.ndarray, first: np.ndarray, second: np.ndarray
) -> np.ndarray:
    """As `pdrr.core.distances.pair_distances`."""
    own, place = np.unique(np.concatenate([first, second]), return_inverse=True)
    flat, starts = _flat(clients, rows[own])
    a, b = place[: len(first)], place[len(first) :]

    def work(begin: int, end: int) -> Any:
        return sums.pair_distances(flat, starts + begin, a, b, end - begin)

    return _total(work, clients.shape[1], (len(first),))


def sign_sums(
    observed: Round, rows: np.ndarray, pre_aggregate: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float, float]:
    """As `pdrr.defenses.sign_sums`."""
    flat, starts = _flat(observed.clients, rows)
    previous, chosen = _vector(observed.previous), _vector(pre_aggregate)

    def work(begin: int, end: int) -> Any:
        return sums.sign_sums(flat, starts + begin, previous[begin:end], chosen[begin:end])

    s, moved, product = _total(work, observed.d, (3, len(rows) + 1))
    # what was asked of every model was asked of w_pag too, last
    return s[:-1], moved[:-1], product[:-1], float(s[-1]), float(moved[-1])


def checked_mean(clients: np.ndarray) -> tuple[np.ndarray, bool]:
    """As `pdrr.core.order.checked_mean`."""
    flat, starts = _flat(clients)
    out = np.empty(clients.shape[1], clients.dtype)
    return _mean(flat, starts, np.empty(0, clients.dtype), out)


def mean_direction(honest: Round, rows: np.ndarray) -> np.ndarray:
    """As `pdrr.core.directions.mean_direction`."""
    flat, starts = _flat(honest.clients, rows)
    out = np.empty(honest.d, honest.clients.dtype)
    return _mean(flat, starts, _vector(honest.previous), out)[0]


def _mean(
    flat: np.ndarray, starts: np.ndarray, base: np.ndarray, out: np.ndarray
) -> tuple[np.ndarray, bool]:
    def work(begin: int, end: int) -> bool:
        return bool(columns.mean(flat, starts + begin, base[begin:end], out[begin:end]))

    return out, _all(work, len(out))


def extremes(clients: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """As `pdrr.core.directions.extremes`."""
    flat, starts = _flat(clients, rows)
    low, high = np.empty((2, clients.shape[1]), clients.dtype)

    def work(begin: int, end: int) -> None:
        columns.extremes(flat, starts + begin, low[begin:end], high[begin:end])

    for _ in _pieces(work, len(low)):
        pass
    return low, high


def moments(clients: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """As `pdrr.core.directions.moments`."""
    flat, starts = _flat(clients, rows)
    mu, sigma = np.empty((2, clients.shape[1]))

    def work(begin: int, end: int) -> None:
        columns.moments(flat, starts + begin, mu[begin:end], sigma[begin:end])

    for _ in _pieces(work, len(mu)):
        pass
    return mu, sigma


def lengths(
    honest: Round, rows: np.ndarray, direction: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """As `pdrr.core.directions.lengths`."""
    flat, starts = _flat(honest.clients, rows)
    previous, s = _vector(honest.previous), _vector(direction)

    def work(begin: int, end: int) -> Any:
        return columns.lengths(flat, starts + begin, previous[begin:end], s[begin:end])

    norms, products = _total(work, honest.d, (2, len(rows)))
    return norms, products


def kept_values(clients: np.ndarray, beta: int) -> tuple[np.ndarray, np.ndarray]:
    """As `pdrr.baselines.jackknife.kept_values`."""
    flat, starts = _flat(clients)
    k, d = clients.shape
    program = sorting_program(k, beta, k - beta)
    edges, total = np.empty((3, d), clients.dtype), np.empty(d)

    def work(begin: int, end: int) -> None:
        piece = _whole_tiles(flat, starts, begin, end)
        out = edges[:, begin:end], total[begin:end]
        leave_one_out.kept_values(*piece, *program, k // 2 - beta, *out)

    for _ in _pieces(work, d):
        pass
    return edges, total


def mean_without(
    clients: np.ndarray, i: int, beta: int, edges: np.ndarray, total: np.ndarray
) -> np.ndarray:
    """As `pdrr.baselines.jackknife.mean_without`."""
    x, total, kept = _vector(clients[i]), _vector(total), len(clients) - 1 - 2 * beta
    low, middle, high = (_vector(row) for row in edges)
    out = np.empty(len(x), clients.dtype)

    def work(begin: int, end: int) -> None:
        part = slice(begin, end)
        edge = low[part], middle[part], high[part]
        leave_one_out.mean_without(x[part], *edge, total[part], kept, out[part])

    for _ in _pieces(work, len(x)):
        pass
    return out


def rank_sums(clients: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """As `pdrr.core.round_passes.rank_sums`."""
    flat, starts = _flat(clients)

    def work(begin: int, end: int) -> Any:
        return ranks.rank_sums(flat, starts + begin, end - begin)

    twice, square = _total(work, clients.shape[1], (2, len(starts)))
    return twice / 2, square / 4


def side_products(clients: np.ndarray, beta: int) -> np.ndarray:
    """As `pdrr.core.round_passes.side_products`."""
    flat, starts = _flat(clients)
    k, d = clients.shape
    if not beta:
        return np.zeros((k, k))
    program = sorting_program(k, beta - 1, k - beta + 1)

    def work(begin: int, end: int) -> Any:
        piece = _whole_tiles(flat, starts, begin, end)
        return ranks.side_products(*piece, end - begin, *program, beta, SIDE)

    lower = np.tril(_total(work, d, (k, k)))
    return np.asarray(lower + np.tril(lower, -1).T)


# pieces and threads


def processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _pieces(work: Callable[[int, int], Any], d: int) -> Iterator[Any]:
    """work(begin, end) for pieces that cover range(d), on all processors; results in order.

    A piece is a number of whole tiles, or less than one tile.
    """
    pieces = []
    for begin in range(0, d, 4 * pdrr.core.arrays.BLOCK):
        end = min(begin + 4 * pdrr.core.arrays.BLOCK, d)
        whole = end - (end - begin) % sorting.WIDTH
        pieces += [ends for ends in ((begin, whole), (whole, end)) if ends[0] < ends[1]]
    threads = min(processors(), len(pieces))
    if threads == 1:
        yield from pdrr.core.arrays.progress((work(*ends) for ends in pieces), len(pieces))
        return
    with ThreadPoolExecutor(threads) as pool:
        done = pool.map(lambda ends: work(*ends), pieces)
        yield from pdrr.core.arrays.progress(done, len(pieces))


def _all(work: Callable[[int, int], bool], d: int) -> bool:
    """Whether work(begin, end) is true of all pieces; all are done, whatever the first ones say."""
    return all(list(_pieces(work, d)))


def _total(work: Callable[[int, int], Any], d: int, shape: tuple[int, ...]) -> np.ndarray:
    """The sum of work(begin, end) over all pieces, always added in the same order."""
    total = np.zeros(shape)
    for part in _pieces(work, d):
        total += part
    return total


def _flat(clients: np.ndarray, rows: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The memory of a stack as a read-only array [n], and where the chosen rows start in it."""
    k, d = clients.shape
    rows = np.arange(k) if rows is None else rows
    step = clients.strides[0] // clients.itemsize if k > 1 else 0
    lowest = np.asarray(clients)[k - 1 if step < 0 else 0]
    flat = np.lib.stride_tricks.as_strided(
        lowest, ((k - 1) * abs(step) + d,), (clients.itemsize,), writeable=False
    )
    starts = rows * step if step >= 0 else (k - 1 - rows) * -step
    return flat, starts.astype(np.int64)


def _whole_tiles(
    flat: np.ndarray, starts: np.ndarray, begin: int, end: int
) -> tuple[np.ndarray, np.ndarray]:
    """A piece of a stack; what is less than a tile comes as a copy with room for a tile."""
    if (end - begin) % sorting.WIDTH == 0:
        return flat, starts + begin
    copy = np.zeros((len(starts), sorting.WIDTH), flat.dtype)
    for row, start in zip(copy, starts + begin, strict=True):
        row[: end - begin] = flat[start : start + end - begin]
    return _vector(copy.reshape(-1)), np.arange(len(starts)) * sorting.WIDTH


def _vector(x: np.ndarray) -> np.ndarray:
    """A vector as a contiguous read-only array."""
    view = np.ascontiguousarray(x).view(np.ndarray)
    view.flags.writeable = False
    return view
