"""The .npy format: one array behind a header that is read, never executed or unpickled."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import BinaryIO

import numpy as np

from pdrr.files.entries import (
    DIMENSIONS,
    Entry,
    checked_dtype,
    mapped_rows,
    read_exactly,
    read_numbers,
)

LONGEST = 4096  # bytes of a header; NumPy writes 128 for any array of numbers
WIDTHS = {(1, 0): 2, (2, 0): 4}  # bytes of the header's length, by version


def header(file: BinaryIO, key: str = "") -> Entry:
    """The array that the next bytes of `file` promise; the file then stands at its numbers.

    Raises
    ------
    ValueError
        If this is no .npy header, or one of objects, text, complex numbers or records.
    """
    begin = file.tell()
    if read_exactly(file, 6) != b"\x93NUMPY":
        raise ValueError("is no .npy array")
    major, minor = read_exactly(file, 2)
    if (major, minor) not in WIDTHS:
        raise ValueError(f"needs version 1.0 or 2.0 of .npy, got {major}.{minor}")
    length = int.from_bytes(read_exactly(file, WIDTHS[major, minor]), "little")
    if length > LONGEST:
        raise ValueError(f"needs a header of at most {LONGEST} bytes, got one of {length}")
    dtype, fortran, shape = _parsed(read_exactly(file, length))
    return Entry(key, dtype, shape, file.tell() - begin, fortran)


def _parsed(text: bytes) -> tuple[str, bool, tuple[int, ...]]:
    try:
        found = ast.literal_eval(text.decode("latin-1").strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as fault:
        raise ValueError("has a damaged .npy header") from fault
    if not isinstance(found, dict) or set(found) != {"descr", "fortran_order", "shape"}:
        raise ValueError("has a damaged .npy header")
    shape, fortran = found["shape"], found["fortran_order"]
    if not isinstance(fortran, bool) or not isinstance(shape, tuple):
        raise ValueError("has a damaged .npy header")
    if len(shape) > DIMENSIONS or not all(type(n) is int and 0 <= n < 2**63 for n in shape):
        raise ValueError("has a damaged .npy header")
    return checked_dtype(found["descr"]), fortran, shape


def entries(file: BinaryIO) -> tuple[list[Entry], Mapping[str, str]]:
    """The one array of a file, if it is whole."""
    entry = header(file)
    left = os.fstat(file.fileno()).st_size - entry.start
    if left != entry.nbytes:
        raise ValueError(f"needs {entry.nbytes} bytes behind its header, has {left}")
    return [entry], {}


def arrays(file: BinaryIO, wanted: Iterable[Entry]) -> Iterator[np.ndarray]:
    """The numbers of the wanted entries."""
    for entry in wanted:
        file.seek(entry.start)
        yield read_numbers(file, entry)


rows = mapped_rows


def write(file: BinaryIO, pieces: Iterable[tuple[Entry, np.ndarray]], _: Mapping[str, str]) -> None:
    """Write the one array there is."""
    for _entry, values in pieces:
        np.lib.format.write_array(file, values, version=(1, 0), allow_pickle=False)
