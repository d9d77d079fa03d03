"""CUDA source text for a given number of models, and how to launch it; needs no GPU, no CuPy.

The text stands in files beside this one. This module puts the constants in front that a compiler
must know (k, beta, the type, the list of comparisons), so that loops over models unroll and the k
values of a coordinate stay in registers. Every kernel reads the stack once from device memory, and
takes it as the place of its first value and where each chosen model starts from there, counted in
values: nothing is copied, whether rows are chosen or coordinates cut out.

Blocks take fixed pieces of the coordinates and write their own partial sums: the results depend
neither on the order in which blocks run nor on the size of the GPU.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pdrr.core.kernels.network import batcher

IN_REGISTERS = 512
"""Bytes of the values of a coordinate, at most, that one thread keeps: half of its registers."""

SHARED = 48 * 1024
"""Bytes of shared memory that a block may use without asking."""

CHUNK = 1024
"""Coordinates that a block counts."""

LONG = 2048
"""Coordinates of a block where each value is looked at once."""

SIDE = 8
"""Inner products of SIDE with SIDE models belong to a thread."""

PARTIAL_SUMS = 64 * 2**20
"""Bytes of inner products that the blocks may write, about."""

TYPES = {4: "float", 8: "double"}
ORDERED = ("middle_mean", "middle_direction", "count")
PASSES = ("finite_rows", "sign_sums", "pair_distances")


@dataclass(frozen=True)
class Program:
    """Source text with one kernel to take from it.

    Parameters
    ----------
    kernel, code : str
    threads : int
        Threads of a block.
    columns : int
        Coordinates of a block; of those in `gram` the host decides.
    shared : int
        Bytes of shared memory to ask for at launch.
    """

    kernel: str
    code: str
    threads: int
    columns: int
    shared: int = 0


def comparators(k: int, first: int, stop: int) -> list[tuple[int, int]]:
    """Batcher's comparators for k values that the ranks first, ..., stop - 1 depend on."""
    wanted, needed = set(range(first, stop)), []
    for i, j in reversed(batcher(k)):
        if i in wanted or j in wanted:
            wanted |= {i, j}
            needed.append((i, j))
    return needed[::-1]


def in_registers(k: int, itemsize: int) -> bool:
    """Whether a thread can keep the k values of a coordinate."""
    return k * itemsize <= IN_REGISTERS


def shared_memory(k: int, itemsize: int) -> int:
    """Bytes of shared memory that a block needs at most for k models."""
    if in_registers(k, itemsize):
        return SHARED
    return k * 32 * itemsize + (k + 1) * 8 + 32 * (2 * itemsize + 16)


@cache
def ordered(kernel: str, k: int, beta: int, itemsize: int) -> Program:
    """One of the kernels `ORDERED` for k models of which beta are dropped per side.

    Parameters
    ----------
    kernel : str
    k, beta : int
    itemsize : {4, 8}
        Bytes of a value.
    """
    # the nearest dropped values tell where a kept one may be shared
    outer = max(0, beta - 1) if kernel == "count" else beta
    small = in_registers(k, itemsize)
    threads = _threads(k, itemsize) if small else 256
    columns = CHUNK if kernel == "count" else threads if small else 32
    constants: dict[str, object] = {
        **_type(itemsize),
        "K": k,
        "BETA": beta,
        "THREADS": threads,
        "CHUNK": columns,
        kernel.upper(): 1,
    }
    if small:
        network = comparators(k, outer, k - outer)
        constants["NETWORK"] = " ".join(f"SORT({i}, {j})" for i, j in network)
    files = ("warps.cuh", "order.cuh", "registers.cu" if small else "tiles.cu")
    shared = 0 if small else k * 32 * itemsize
    return Program(kernel, _text(constants, *files), threads, columns, shared)


@cache
def one_pass(kernel: str, itemsize: int) -> Program:
    """One of the kernels `PASSES`, for any number of models."""
    constants = {**_type(itemsize), "THREADS": 256, "CHUNK": LONG}
    return Program(kernel, _text(constants, "warps.cuh", "passes.cu"), 256, LONG)


@cache
def gram(k: int, itemsize: int, base_itemsize: int) -> Program:
    """Inner products of the differences of k models to a base."""
    groups = -(-k // SIDE)
    squares = groups * (groups + 1) // 2
    team = 32 if squares <= 32 else 64 if squares <= 64 else 128
    width, rows = 64, groups * SIDE
    # a stage in shared memory, and the values of the next one in the registers of 128 threads
    while width * (rows + 2) * 8 + 8 * k > SHARED or width * rows * itemsize > 128 * 128:
        width //= 2
    constants = {
        **_type(itemsize),
        "BASE": TYPES[base_itemsize],
        "K": k,
        "SIDE": SIDE,
        "SQUARES": squares,
        "WIDTH": width,
        "THREADS": 128,
        "TEAM": team,
    }
    return Program("gram", _text(constants, "warps.cuh", "gram.cu"), 128, width)


def gram_grid(k: int, d: int) -> tuple[int, int, int]:
    """Blocks side by side and on top of each other for `gram`, and coordinates of each."""
    groups = -(-k // SIDE)
    squares = groups * (groups + 1) // 2
    most = max(1, PARTIAL_SUMS // (squares * SIDE * SIDE * 8))  # blocks side by side
    pieces = -(-d // 64)  # of the longest stage
    chunk = 64 * max(64, -(-pieces // most))
    return -(-d // chunk), -(-squares // 128) if squares > 64 else 1, chunk


def _threads(k: int, itemsize: int) -> int:
    """Threads of a block whose tile of k rows, starts and sums fit into shared memory."""
    threads = 128
    while (threads + 1) * k * itemsize + 8 * k + threads // 32 * (k + 1) * 8 > SHARED:
        threads //= 2
    return threads


def _type(itemsize: int) -> dict[str, object]:
    if itemsize == 4:  # one instruction each; on doubles a comparison and two choices are faster
        return {"T": "float", "SMALLER(a, b)": "fminf(a, b)", "LARGER(a, b)": "fmaxf(a, b)"}
    return {
        "T": "double",
        "SMALLER(a, b)": "((b) < (a) ? (b) : (a))",
        "LARGER(a, b)": "((b) < (a) ? (a) : (b))",
    }


def _text(constants: dict[str, object], *files: str) -> str:
    lines = [f"#define {name} {value}" for name, value in constants.items()]
    here = Path(__file__).parent
    return "\n".join([*lines, *((here / name).read_text("utf-8") for name in files)])
