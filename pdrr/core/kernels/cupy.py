"""The passes over a stack of models on a GPU, as CUDA kernels compiled by CuPy at first use.

`kernels.cuda` writes the source text for the number of models at hand. CuPy keeps what it has
compiled on disk; a new number of models or a new beta costs a fraction of a second once.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import cupy
import numpy as np

from pdrr.core.kernels import cuda
from pdrr.core.kernels.cuda import Program

if TYPE_CHECKING:
    from pdrr.types import Round


def fits(clients: cupy.ndarray) -> bool:
    """Whether the kernels can work on this stack [k, d]: its rows contiguous, k not too large."""
    k, itemsize = clients.shape[0], clients.itemsize
    return bool(
        clients.dtype in (np.float32, np.float64)
        and clients.strides[1] == itemsize
        and clients.strides[0] % itemsize == 0
        and cuda.shared_memory(k, itemsize) <= _shared_memory(clients.device.id)
    )


def finite_rows(clients: cupy.ndarray) -> cupy.ndarray:
    """As `pdrr.core.checks.finite_rows`."""
    k, d = clients.shape
    program = cuda.one_pass("finite_rows", clients.itemsize)
    with clients.device:
        finite = cupy.ones(k, dtype=bool)
        _launch(program, (_blocks(program, d) * k,), clients, _starts(clients), k, d, finite)
        return finite


def middle_mean(clients: cupy.ndarray, beta: int, rows: np.ndarray | None = None) -> cupy.ndarray:
    """As `pdrr.core.order.middle_mean`."""
    d = clients.shape[1]
    with clients.device:
        starts, out = _starts(clients, rows), cupy.empty(d, clients.dtype)
        program = cuda.ordered("middle_mean", len(starts), beta, clients.itemsize)
        _launch(program, (_blocks(program, d),), clients, starts, d, out)
        return out


def middle_direction(honest: Round, beta: int) -> cupy.ndarray:
    """As `pdrr.core.directions.middle_direction`."""
    clients, d = honest.clients, honest.d
    program = cuda.ordered("middle_direction", honest.k, beta, clients.itemsize)
    with clients.device:
        starts, out = _starts(clients), cupy.empty(d, clients.dtype)
        previous = cupy.ascontiguousarray(honest.previous)
        _launch(program, (_blocks(program, d),), clients, starts, d, previous, out)
        return out


def count(
    observed: Round, rows: np.ndarray, beta: int, zero_change: bool
) -> tuple[cupy.ndarray, np.ndarray, np.ndarray]:
    """As `pdrr.defenses.count`."""
    clients, d = observed.clients, observed.d
    program = cuda.ordered("count", len(rows), beta, clients.itemsize)
    blocks = _blocks(program, d)
    with clients.device:
        starts, out = _starts(clients, rows), cupy.empty(d, clients.dtype)
        previous = cupy.ascontiguousarray(observed.previous)
        kept = cupy.empty((blocks, len(rows) + 1))  # last: counted coordinates
        _launch(program, (blocks,), clients, starts, d, previous, int(zero_change), out, kept)
        *remained, counted = _total(kept)
    return out, counted - np.array(remained), np.array(remained)


def gram(clients: cupy.ndarray, previous: cupy.ndarray | None, rows: np.ndarray) -> np.ndarray:
    """As `pdrr.core.distances.gram`."""
    n, d = len(rows), clients.shape[1]
    across, upwards, chunk = cuda.gram_grid(n, d)
    with clients.device:
        base = clients if previous is None else cupy.ascontiguousarray(previous)
        program = cuda.gram(n, clients.itemsize, base.itemsize)
        groups = -(-n // cuda.SIDE)
        i, j = np.tril_indices(groups)
        partial = cupy.empty((across, len(i), cuda.SIDE, cuda.SIDE))
        shifted = int(previous is not None)
        grid = (across, upwards)
        _launch(program, grid, clients, _starts(clients, rows), d, chunk, base, shifted, partial)
        squares = _total(partial)
    whole = np.zeros((groups, cuda.SIDE, groups, cuda.SIDE))
    whole[i, :, j, :] = squares
    lower = np.tril(whole.reshape(groups * cuda.SIDE, -1)[:n, :n])
    return np.asarray(lower + np.tril(lower, -1).T)


def pair_distances(
    clients: cupy.ndarray, rows: np.ndarray, first: np.ndarray, second: np.ndarray
) -> np.ndarray:
    """As `pdrr.core.distances.pair_distances`."""
    n, d = len(first), clients.shape[1]
    program = cuda.one_pass("pair_distances", clients.itemsize)
    pieces = _blocks(program, d)
    with clients.device:
        a, b = _starts(clients, rows[first]), _starts(clients, rows[second])
        partial = cupy.empty((pieces, n))
        _launch(program, (pieces * n,), clients, a, b, n, d, partial)
        return _total(partial)


def sign_sums(
    observed: Round, rows: np.ndarray, pre_aggregate: cupy.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float, float]:
    """As `pdrr.defenses.sign_sums`."""
    clients, d, n = observed.clients, observed.d, len(rows)
    program = cuda.one_pass("sign_sums", clients.itemsize)
    blocks = _blocks(program, d)
    with clients.device:
        previous = cupy.ascontiguousarray(observed.previous)
        chosen = cupy.ascontiguousarray(pre_aggregate)
        partial = cupy.empty((blocks, 3, n + 1), np.int32)
        starts = _starts(clients, rows)
        _launch(program, (blocks,), clients, starts, n, d, previous, chosen, partial)
        s, moved, product = _total(partial).astype(float)
    # what was asked of every model was asked of w_pag too, last
    return s[:n], moved[:n], product[:n], float(s[n]), float(moved[n])


def _starts(clients: cupy.ndarray, rows: np.ndarray | None = None) -> cupy.ndarray:
    """int64 [n]: where the chosen rows start, in values from the first value of the stack."""
    rows = np.arange(clients.shape[0]) if rows is None else rows
    return cupy.asarray(rows.astype(np.int64) * (clients.strides[0] // clients.itemsize))


def _blocks(program: Program, d: int) -> int:
    return -(-d // program.columns)


def _launch(program: Program, grid: tuple[int, ...], *arguments: Any) -> None:
    """Run the kernel on the current device; whole numbers travel as 64 bits."""
    kernel = _kernel(program, cupy.cuda.Device().id)
    numbers = [np.int64(x) if isinstance(x, int) else x for x in arguments]
    kernel(grid, (program.threads,), tuple(numbers), shared_mem=program.shared)


@cache
def _shared_memory(device: int) -> int:
    """Bytes of shared memory that a block may ask for."""
    return int(cupy.cuda.Device(device).attributes["MaxSharedMemoryPerBlockOptin"])


@cache
def _kernel(program: Program, device: int) -> Any:
    """The compiled kernel of a program, with leave to use the shared memory that it needs."""
    kernel = cupy.RawKernel(program.code, program.kernel, options=("-std=c++17",))
    with cupy.cuda.Device(device):
        try:
            kernel.compile()
        except cupy.cuda.compiler.CompileException as error:
            raise RuntimeError(
                "PDRR on CuPy arrays needs a CUDA compiler (NVRTC) that compiles its kernels, got "
                f"an error for {program.kernel}; PDRR_KERNELS=off does without"
            ) from error
        if program.shared > cuda.SHARED:
            kernel.max_dynamic_shared_size_bytes = program.shared
    return kernel


def _total(partial: cupy.ndarray) -> np.ndarray:
    """The sum over the blocks, on the host; sums of whole numbers in 64 bits."""
    total = cupy.sum(partial, axis=0, dtype=np.promote_types(partial.dtype, np.int64))
    return np.asarray(cupy.asnumpy(total))
