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

WARP = 32
EACH = 64
"""Values of a coordinate, at most, that a lane of a warp keeps in its registers."""

MOST = EACH * WARP
"""Models whose values of a coordinate a warp can keep, at most."""

SHARED = 48 * 1024
"""Bytes of shared memory that a block may use without asking."""

STEPS = 15
"""How often a block that counts takes coordinates: as far as four binary digits go."""

LONG = 2048
"""Coordinates of a block where each value is looked at once."""

TYPES = {4: "float", 8: "double"}
ORDERED = ("middle_mean", "middle_direction", "kept_values", "closest_to_median", "count")
PASSES = ("finite_rows", "sign_sums", "pair_distances", "total")
COLUMNS = ("row_mean", "mean_direction", "moments", "extremes", "mean_without", "lengths")
DRAWS = ("uniform_rows",)


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
    """

    kernel: str
    code: str
    threads: int
    columns: int


def comparators(k: int, first: int, stop: int) -> list[tuple[int, int]]:
    """Batcher's comparators for k values that the ranks first, ..., stop - 1 depend on."""
    return needed(batcher(k), set(range(first, stop)))


def needed(network: list[tuple[int, int]], wanted: set[int]) -> list[tuple[int, int]]:
    """The comparators of a network that the wanted places depend on."""
    wanted, kept = set(wanted), []
    for i, j in reversed(network):
        if i in wanted or j in wanted:
            wanted |= {i, j}
            kept.append((i, j))
    return kept[::-1]


def merger(n: int, first: int = 0) -> list[tuple[int, int]]:
    """Comparators that sort n values which rise and fall once, in a circle, from `first` on.

    Halves of an even number stay such sequences (Batcher's bitonic merge); what is odd is sorted.
    """
    if n % 2:
        return [(first + i, first + j) for i, j in batcher(n)]
    half = n // 2
    crossed = [(first + i, first + i + half) for i in range(half)]
    return crossed + merger(half, first) + merger(half, first + half)


def lanes(k: int, itemsize: int) -> tuple[int, int, int]:
    """Lanes that share the k values of a coordinate, values that each reads, its registers."""
    # a double takes two registers; where lanes also exchange values there is room for fewer
    limit = EACH // 2 if itemsize == 8 and EACH < k <= MOST // 2 else EACH
    number = 1
    while number * limit < k:
        number *= 2
    each = -(-k // number)
    return number, each, each if number == 1 else -(-each // 8) * 8


@cache
def ordered(kernel: str, k: int, beta: int, itemsize: int, gamma: int = 0) -> Program:
    """One of the kernels `ORDERED` for k models of which beta are dropped per side.

    Parameters
    ----------
    kernel : str
    k, beta : int
    itemsize : {4, 8}
        Bytes of a value.
    gamma : int
        Values that `closest_to_median` averages.
    """
    # the nearest dropped values tell where a kept one may be shared
    outer = max(0, beta - 1) if kernel == "count" else beta
    number, each, size = lanes(k, itemsize)
    threads = 128
    while kernel == "count" and 8 * (k + threads // WARP * (number * each + 2)) > SHARED:
        threads //= 2
    last = needed(merger(size), {rank % size for rank in range(outer, k - outer)})
    first = batcher(each) if number > 1 else comparators(k, outer, k - outer)
    constants = {
        **types(itemsize),
        "K": k,
        "LANES": number,
        "EACH": each,
        "SIZE": size,
        "BETA": beta,
        "GAMMA": gamma,
        "THREADS": threads,
        "STEPS": STEPS,
        "NETWORK": _sorts(first),
        "MERGE": _sorts(merger(size) if number > 2 else []),
        "LAST": _sorts(last if number > 1 else []),
        kernel.upper(): 1,
    }
    columns = threads // number * (STEPS if kernel == "count" else 1)
    return Program(kernel, text(constants, "warps.cuh", "sorted.cu"), threads, columns)


@cache
def one_pass(kernel: str, itemsize: int, partial: str = "double") -> Program:
    """One of the kernels `PASSES`, for any number of models."""
    constants = {**types(itemsize), "THREADS": 256, "CHUNK": LONG, "PARTIAL": partial}
    columns = WARP if kernel == "total" else LONG
    return Program(kernel, text(constants, "warps.cuh", "passes.cu"), 256, columns)


@cache
def by_columns(kernel: str, itemsize: int) -> Program:
    """One of the kernels `COLUMNS`, for any number of models."""
    constants = {**types(itemsize), "THREADS": 256, "CHUNK": LONG}
    columns = LONG if kernel == "lengths" else 256
    return Program(kernel, text(constants, "warps.cuh", "columns.cu"), 256, columns)


@cache
def draws(kernel: str, itemsize: int) -> Program:
    """One of the kernels `DRAWS`."""
    constants = {**types(itemsize), "THREADS": 128, "SPAN": 16}
    return Program(kernel, text(constants, "warps.cuh", "pcg64.cu"), 128, 128 * 16)


def text(constants: dict[str, object], *files: str) -> str:
    """The constants as definitions, then the files."""
    lines = [f"#define {name} {value}" for name, value in constants.items()]
    here = Path(__file__).parent
    return "\n".join([*lines, *((here / name).read_text("utf-8") for name in files)])


def types(itemsize: int) -> dict[str, object]:
    """T and how to compare it."""
    if itemsize == 4:  # one instruction each; on doubles a comparison and two choices are faster
        return {"T": "float", "SMALLER(a, b)": "fminf(a, b)", "LARGER(a, b)": "fmaxf(a, b)"}
    return {
        "T": "double",
        "SMALLER(a, b)": "((b) < (a) ? (b) : (a))",
        "LARGER(a, b)": "((b) < (a) ? (a) : (b))",
    }


def _sorts(network: list[tuple[int, int]]) -> str:
    return " ".join(f"SORT({i}, {j})" for i, j in network)
