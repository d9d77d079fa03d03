"""The passes over a stack of models that cost time, compiled by Numba, on all processors.

Each kernel walks through the coordinates in tiles that stay in a processor's own cache
(`kernels.tiles`), piece by piece on all processors (`kernels.pieces`).

A stack reaches the loops as one flat array and the place where each chosen model starts in it:
nothing is copied, whether rows are chosen, coordinates cut out or the stack lies on disk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from llvmlite.binding import get_host_cpu_features

from pdrr.core.kernels import columns, leave_one_out, pieces, ranks, sorting, sums
from pdrr.core.kernels.network import sorting_program

if TYPE_CHECKING:
    from pdrr.types import Round


SIDE = 5 if get_host_cpu_features().get("avx512f") else 3  # of a square of inner products


def finite_rows(clients: np.ndarray) -> np.ndarray:
    """As `pdrr.core.checks.finite_rows`."""
    flat, starts = pieces.flat(clients)

    def work(begin: int, end: int) -> Any:
        return sums.finite(flat, starts + begin, end - begin)

    finite = np.ones(len(clients), bool)
    for part in pieces.done(work, clients.shape[1]):
        finite &= part
    return finite


def checked_middle(
    clients: np.ndarray, beta: int, rows: np.ndarray | None = None
) -> tuple[np.ndarray, bool]:
    """As `pdrr.core.order.checked_middle`."""
    flat, starts = pieces.flat(clients, rows)
    program = sorting_program(len(starts), beta, len(starts) - beta)
    out = np.empty(clients.shape[1], clients.dtype)

    def work(begin: int, end: int) -> bool:
        piece = pieces.whole_tiles(flat, starts, begin, end)
        return bool(sorting.middle_mean(*piece, *program, out[begin:end]))

    return out, pieces.everywhere(work, len(out))


def closest_to_median(clients: np.ndarray, rows: np.ndarray, gamma: int) -> np.ndarray:
    """As `pdrr.core.order.closest_to_median`."""
    flat, starts = pieces.flat(clients, rows)
    program = sorting_program(len(rows), 0, len(rows))
    out = np.empty(clients.shape[1], clients.dtype)

    def work(begin: int, end: int) -> None:
        piece = pieces.whole_tiles(flat, starts, begin, end)
        sorting.closest_to_median(*piece, *program, gamma, out[begin:end])

    for _ in pieces.done(work, len(out)):
        pass
    return out


def middle_direction(honest: Round, beta: int) -> np.ndarray:
    """As `pdrr.core.directions.middle_direction`."""
    flat, starts = pieces.flat(honest.clients)
    program = sorting_program(honest.k, beta, honest.k - beta)
    previous, out = pieces.vector(honest.previous), np.empty(honest.d, honest.clients.dtype)

    def work(begin: int, end: int) -> None:
        piece = pieces.whole_tiles(flat, starts, begin, end)
        sorting.middle_direction(*piece, previous[begin:end], *program, out[begin:end])

    for _ in pieces.done(work, honest.d):
        pass
    return out


def checked_count(
    observed: Round, rows: np.ndarray, beta: int, zero_change: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray, bool]:
    """As `pdrr.defenses.checked_count`."""
    flat, starts = pieces.flat(observed.clients, rows)
    outer = max(0, beta - 1)  # the nearest dropped values tell where a kept one may be shared
    program = sorting_program(len(rows), outer, len(rows) - outer)
    previous = pieces.vector(observed.previous)
    out = np.empty(observed.d, observed.clients.dtype)

    def work(begin: int, end: int) -> Any:
        piece = pieces.whole_tiles(flat, starts, begin, end)
        more = (beta, zero_change, out[begin:end])
        return sorting.count(*piece, previous[begin:end], *program, *more)

    trimmed, remained, bad = pieces.total(work, observed.d, (3, len(rows)))
    return out, trimmed, remained, not bad.any()


def gram(clients: np.ndarray, previous: np.ndarray | None, rows: np.ndarray) -> np.ndarray:
    """As `pdrr.core.distances.gram`."""
    flat, starts = pieces.flat(clients, rows)
    base = pieces.vector(np.empty(0, clients.dtype) if previous is None else previous)

    def work(begin: int, end: int) -> Any:
        return sums.gram(flat, starts + begin, base[begin:end], end - begin, SIDE)

    lower = np.tril(pieces.total(work, clients.shape[1], (len(rows), len(rows))))
    return np.asarray(lower + np.tril(lower, -1).T)


def pair_distances(
    clients: np.ndarray, rows: np.ndarray, first: np.ndarray, second: np.ndarray
) -> np.ndarray:
    """As `pdrr.core.distances.pair_distances`."""
    own, place = np.unique(np.concatenate([first, second]), return_inverse=True)
    flat, starts = pieces.flat(clients, rows[own])
    a, b = place[: len(first)], place[len(first) :]

    def work(begin: int, end: int) -> Any:
        return sums.pair_distances(flat, starts + begin, a, b, end - begin)

    return pieces.total(work, clients.shape[1], (len(first),))


def sign_sums(
    observed: Round, rows: np.ndarray, pre_aggregate: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float, float]:
    """As `pdrr.defenses.sign_sums`."""
    flat, starts = pieces.flat(observed.clients, rows)
    previous, chosen = pieces.vector(observed.previous), pieces.vector(pre_aggregate)

    def work(begin: int, end: int) -> Any:
        return sums.sign_sums(flat, starts + begin, previous[begin:end], chosen[begin:end])

    s, moved, product = pieces.total(work, observed.d, (3, len(rows) + 1))
    # what was asked of every model was asked of w_pag too, last
    return s[:-1], moved[:-1], product[:-1], float(s[-1]), float(moved[-1])


def checked_mean(clients: np.ndarray) -> tuple[np.ndarray, bool]:
    """As `pdrr.core.order.checked_mean`."""
    flat, starts = pieces.flat(clients)
    out = np.empty(clients.shape[1], clients.dtype)
    return _mean(flat, starts, np.empty(0, clients.dtype), out)


def mean_direction(honest: Round, rows: np.ndarray) -> np.ndarray:
    """As `pdrr.core.directions.mean_direction`."""
    flat, starts = pieces.flat(honest.clients, rows)
    out = np.empty(honest.d, honest.clients.dtype)
    return _mean(flat, starts, pieces.vector(honest.previous), out)[0]


def _mean(
    flat: np.ndarray, starts: np.ndarray, base: np.ndarray, out: np.ndarray
) -> tuple[np.ndarray, bool]:
    def work(begin: int, end: int) -> bool:
        return bool(columns.mean(flat, starts + begin, base[begin:end], out[begin:end]))

    return out, pieces.everywhere(work, len(out))


def extremes(clients: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """As `pdrr.core.directions.extremes`."""
    flat, starts = pieces.flat(clients, rows)
    low, high = np.empty((2, clients.shape[1]), clients.dtype)

    def work(begin: int, end: int) -> None:
        columns.extremes(flat, starts + begin, low[begin:end], high[begin:end])

    for _ in pieces.done(work, len(low)):
        pass
    return low, high


def moments(clients: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """As `pdrr.core.directions.moments`."""
    flat, starts = pieces.flat(clients, rows)
    mu, sigma = np.empty((2, clients.shape[1]))

    def work(begin: int, end: int) -> None:
        columns.moments(flat, starts + begin, mu[begin:end], sigma[begin:end])

    for _ in pieces.done(work, len(mu)):
        pass
    return mu, sigma


def lengths(
    honest: Round, rows: np.ndarray, direction: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """As `pdrr.core.directions.lengths`."""
    flat, starts = pieces.flat(honest.clients, rows)
    previous, s = pieces.vector(honest.previous), pieces.vector(direction)

    def work(begin: int, end: int) -> Any:
        return columns.lengths(flat, starts + begin, previous[begin:end], s[begin:end])

    norms, products = pieces.total(work, honest.d, (2, len(rows)))
    return norms, products


def kept_values(clients: np.ndarray, beta: int) -> tuple[np.ndarray, np.ndarray]:
    """As `pdrr.baselines.jackknife.kept_values`."""
    flat, starts = pieces.flat(clients)
    k, d = clients.shape
    program = sorting_program(k, beta, k - beta)
    edges, total = np.empty((3, d), clients.dtype), np.empty(d)

    def work(begin: int, end: int) -> None:
        piece = pieces.whole_tiles(flat, starts, begin, end)
        out = edges[:, begin:end], total[begin:end]
        leave_one_out.kept_values(*piece, *program, k // 2 - beta, *out)

    for _ in pieces.done(work, d):
        pass
    return edges, total


def mean_without(
    clients: np.ndarray, i: int, beta: int, edges: np.ndarray, total: np.ndarray
) -> np.ndarray:
    """As `pdrr.baselines.jackknife.mean_without`."""
    x, total, kept = pieces.vector(clients[i]), pieces.vector(total), len(clients) - 1 - 2 * beta
    low, middle, high = (pieces.vector(row) for row in edges)
    out = np.empty(len(x), clients.dtype)

    def work(begin: int, end: int) -> None:
        part = slice(begin, end)
        edge = low[part], middle[part], high[part]
        leave_one_out.mean_without(x[part], *edge, total[part], kept, out[part])

    for _ in pieces.done(work, len(x)):
        pass
    return out


def rank_sums(clients: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """As `pdrr.core.round_passes.rank_sums`."""
    flat, starts = pieces.flat(clients)

    def work(begin: int, end: int) -> Any:
        return ranks.rank_sums(flat, starts + begin, end - begin)

    twice, square = pieces.total(work, clients.shape[1], (2, len(starts)))
    return twice / 2, square / 4


def side_products(clients: np.ndarray, beta: int) -> np.ndarray:
    """As `pdrr.core.round_passes.side_products`."""
    flat, starts = pieces.flat(clients)
    k, d = clients.shape
    if not beta:
        return np.zeros((k, k))
    program = sorting_program(k, beta - 1, k - beta + 1)

    def work(begin: int, end: int) -> Any:
        piece = pieces.whole_tiles(flat, starts, begin, end)
        return ranks.side_products(*piece, end - begin, *program, beta, SIDE)

    lower = np.tril(pieces.total(work, d, (k, k)))
    return np.asarray(lower + np.tril(lower, -1).T)
