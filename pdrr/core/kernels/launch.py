"""How a CUDA kernel is started on CuPy arrays, and how its sums come back."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any

import cupy
import numpy as np

from pdrr.core.kernels import cuda
from pdrr.core.kernels.cuda import Program


def starts_of(clients: cupy.ndarray, rows: np.ndarray | None = None) -> cupy.ndarray:
    """int64 [n]: where the chosen rows start, in values from the first value of the stack."""
    rows = np.arange(clients.shape[0]) if rows is None else rows
    starts = rows.astype(np.int64) * (clients.strides[0] // clients.itemsize)
    return _kept(clients.device.id, starts.tobytes())


def table(values: np.ndarray) -> cupy.ndarray:
    """A table of whole numbers on the current device; a second call finds it there."""
    return _kept(cupy.cuda.Device().id, values.tobytes()).reshape(values.shape)


def blocks(program: Program, d: int) -> int:
    """Blocks that cover d coordinates."""
    return -(-d // program.columns)


def launch(program: Program, grid: tuple[int, ...], *arguments: Any) -> None:
    """Run the kernel on the current device; whole numbers travel as 64 bits."""
    kernel = _kernel(program, cupy.cuda.Device().id)
    numbers = [np.int64(x) if isinstance(x, int) else x for x in arguments]
    kernel(grid, (program.threads,), tuple(numbers))


def total(partial: cupy.ndarray) -> np.ndarray:
    """The sum over the blocks, on the host, in float64: added there, fetched once."""
    rows, shape = partial.shape[0], partial.shape[1:]
    columns = int(np.prod(shape))
    kind = "int" if partial.dtype == np.int32 else "double"
    program = cuda.one_pass("total", 8, kind)
    out = cupy.empty(columns)
    launch(program, (blocks(program, columns),), partial, rows, columns, out)
    return np.asarray(cupy.asnumpy(out)).reshape(shape)


@cache
def tensor_cores(device: int) -> bool:
    """Whether the device multiplies float64 matrices in one instruction."""
    return int(cupy.cuda.Device(device).compute_capability) >= 80


@lru_cache(maxsize=64)
def _kept(device: int, whole: bytes) -> cupy.ndarray:
    """Whole numbers on a device: a copy for each call would cost more than some kernels."""
    with cupy.cuda.Device(device):
        return cupy.asarray(np.frombuffer(whole, np.int64))


@cache
def _kernel(program: Program, device: int) -> Any:
    """The compiled kernel of a program."""
    kernel = cupy.RawKernel(program.code, program.kernel, options=("-std=c++17",))
    with cupy.cuda.Device(device):
        try:
            kernel.compile()
        except cupy.cuda.compiler.CompileException as error:
            raise RuntimeError(
                "PDRR on CuPy arrays needs a CUDA compiler (NVRTC) that compiles its kernels, got "
                f"an error for {program.kernel}; PDRR_KERNELS=off does without"
            ) from error
    return kernel
