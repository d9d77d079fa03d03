"""What a model file promises before its numbers are read: its arrays, their types and places."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np

BFLOAT16 = "bfloat16"  # NumPy has no such type: the upper half of a float32
PIECE = 2**22  # bytes read at a time
DIMENSIONS = 32  # of an array, at most
PLAIN = re.compile(r"[<>|=]?(?:b1|\?|[iu][1248]|f[248])")


@dataclass(frozen=True)
class Entry:
    """One array of a file.

    Attributes
    ----------
    key : str
        Its name in the file; "" in a file that holds one array without a name.
    dtype : str
        As NumPy writes it ("<f4"), or "bfloat16".
    shape : tuple of int
    start : int
        Where its numbers begin: in the file, or in its member of an archive.
    fortran : bool
        Whether the first index runs fastest.
    """

    key: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    fortran: bool = False

    @property
    def size(self) -> int:
        """Number of values."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of its numbers in the file."""
        return self.size * (2 if self.dtype == BFLOAT16 else np.dtype(self.dtype).itemsize)

    @property
    def real(self) -> bool:
        """Whether it holds real numbers; else whole numbers or truth values: a counter."""
        return self.dtype == BFLOAT16 or np.dtype(self.dtype).kind == "f"

    @property
    def type(self) -> str:
        """Its type in words, whatever its byte order: "float32"."""
        return BFLOAT16 if self.dtype == BFLOAT16 else np.dtype(self.dtype).name

    @property
    def words(self) -> str:
        """Its type and shape in words."""
        return f"{self.type} {list(self.shape)}"

    def array(self, raw: np.ndarray) -> np.ndarray:
        """The array, from its bytes uint8 [nbytes]; bfloat16 becomes float32, exactly."""
        if self.dtype == BFLOAT16:
            values = (raw.view("<u2").astype(np.uint32) << 16).view(np.float32)
        else:
            values = raw.view(self.dtype)
        return values.reshape(self.shape, order="F" if self.fortran else "C")


@dataclass(frozen=True)
class ModelFile:
    """A file whose arrays are known. `stamp` tells whether it is still the same later."""

    path: Path
    entries: tuple[Entry, ...]
    stamp: tuple[int, int, int]
    metadata: Mapping[str, str] = field(default_factory=dict)


def shown(name: object) -> str:
    """A name that may come from anybody, on one line and harmless on a terminal.

    Examples
    --------
    >>> from pdrr.files.entries import shown
    >>> shown("a" + chr(27) + "[2J.npy")
    'a\\\\x1b[2J.npy'
    """
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(name))


def checked_dtype(descr: object) -> str:
    """`descr` of a .npy header; ValueError unless it is a type that a model is made of."""
    if descr in ("|V2", "<V2", "V2"):
        raise ValueError(
            "bfloat16 in a NumPy file has lost its name: save as float32 or safetensors"
        )
    if not isinstance(descr, str) or not PLAIN.fullmatch(descr):
        raise ValueError(f"needs floats or whole numbers, got the type {shown(descr)[:80]}")
    return np.dtype(descr).str


def checked_keys(entries: list[Entry]) -> tuple[Entry, ...]:
    """The entries; ValueError where a key is there twice, or is no text."""
    seen: set[str] = set()
    for entry in entries:
        try:
            entry.key.encode()
        except UnicodeEncodeError as fault:
            raise ValueError(f"needs keys that are text, got {entry.key!a}") from fault
        if entry.key in seen:
            raise ValueError(f"needs different keys, got {shown(entry.key)} twice")
        seen.add(entry.key)
    if not entries:
        raise ValueError("needs arrays, got none")
    return tuple(entries)


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """A regular file, open for reading; anything else is refused and never waited for."""
    # a pipe without a writer would wait for ever
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise ValueError("needs a file, got a folder, pipe or device")
        with open(handle, "rb", closefd=False) as file:
            yield file
    finally:
        os.close(handle)


def stamp_of(file: BinaryIO) -> tuple[int, int, int]:
    """Tells a file from what may be written in its place: inode, size, time of change."""
    found = os.fstat(file.fileno())
    return found.st_ino, found.st_size, found.st_mtime_ns


def read_exactly(file: BinaryIO, count: int) -> bytes:
    """The next `count` bytes; ValueError if there are fewer."""
    found = file.read(count)
    if len(found) != count:
        raise ValueError(f"is truncated: needs {count} more bytes, has {len(found)}")
    return found


def read_numbers(file: BinaryIO, entry: Entry) -> np.ndarray:
    """The array of an entry, from a file that stands at its first number."""
    raw = np.empty(entry.nbytes, dtype=np.uint8)
    done = 0
    while done < len(raw):
        more = file.read(min(PIECE, len(raw) - done))
        if not more:
            raise ValueError(f"is truncated: needs {len(raw)} bytes of numbers, has {done}")
        raw[done : done + len(more)] = np.frombuffer(more, dtype=np.uint8)
        done += len(more)
    return entry.array(raw)


def mapped(file: BinaryIO, entry: Entry) -> np.ndarray:
    """The array of an entry as a memory map; bfloat16 as its 16 bits."""
    dtype = "<u2" if entry.dtype == BFLOAT16 else entry.dtype
    order: Literal["F", "C"] = "F" if entry.fortran else "C"
    return np.memmap(file, dtype, "r", entry.start, entry.shape, order)


def mapped_rows(file: BinaryIO, entry: Entry) -> Iterator[np.ndarray]:
    """The rows of an array of two dimensions, one after the other."""
    for row in mapped(file, entry):
        yield one_row(entry).array(np.ascontiguousarray(row).view(np.uint8))


def one_row(entry: Entry) -> Entry:
    """A row of an array of two dimensions, as an array of its own."""
    return replace(entry, shape=entry.shape[1:], fortran=False)
