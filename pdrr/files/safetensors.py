"""The .safetensors format: a length, a JSON header, and the numbers of all tensors in a row.

https://huggingface.co/docs/safetensors: nothing overlaps, nothing is left out between the tensors,
no name comes twice. Files of strangers are read here, so each of these is checked.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, BinaryIO

import numpy as np

from pdrr.files.entries import (
    BFLOAT16,
    DIMENSIONS,
    Entry,
    mapped_rows,
    read_exactly,
    read_numbers,
    shown,
)

LONGEST = 25_000_000  # bytes of a header: some hundred thousand tensors
DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": BFLOAT16,
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "|i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "|u1",
    "BOOL": "|b1",
}
NAMES = {dtype: name for name, dtype in DTYPES.items()}
METADATA = "__metadata__"


def entries(file: BinaryIO) -> tuple[list[Entry], Mapping[str, str]]:
    """The tensors in the order of their numbers, and the text that goes with them."""
    size = os.fstat(file.fileno()).st_size
    length = int.from_bytes(read_exactly(file, 8), "little")
    if length > size - 8:
        raise ValueError(f"promises a header of {length} bytes, has {size - 8}")
    if length > LONGEST:
        raise ValueError(f"needs a header of at most {LONGEST} bytes, got one of {length}")
    header = _parsed(read_exactly(file, length))
    metadata = _metadata(header.pop(METADATA, {}))
    found, end = [], 8 + length
    tensors = [_tensor(key, entry) for key, entry in header.items()]
    for begin, stop, entry in sorted(tensors, key=lambda each: each[:2]):
        if 8 + length + begin != end:
            raise ValueError(f"{shown(entry.key)} overlaps another tensor, or leaves a hole")
        found.append(Entry(entry.key, entry.dtype, entry.shape, end))
        end = 8 + length + stop
    if end != size:
        raise ValueError(f"needs {end} bytes, has {size}")
    return found, metadata


def _parsed(text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text.decode("utf-8"), object_pairs_hook=_no_key_twice)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as fault:
        raise ValueError("has a damaged header, or is no .safetensors file") from fault
    if not isinstance(found, dict):
        raise ValueError("has a damaged header, or is no .safetensors file")
    return found


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"needs different keys, got {shown(key)} twice")
        found[key] = value
    return found


def _metadata(found: Any) -> Mapping[str, str]:
    if not isinstance(found, dict) or not all(isinstance(text, str) for text in found.values()):
        raise ValueError(f"needs text in {METADATA}, got something else")
    return found


def _tensor(key: str, found: Any) -> tuple[int, int, Entry]:
    """First and last place among the numbers, and the entry; its start is not known yet."""
    name = shown(key)
    if not isinstance(found, dict) or set(found) != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"{name} needs dtype, shape and data_offsets, and nothing else")
    dtype, shape, offsets = found["dtype"], found["shape"], found["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise ValueError(f"{name} needs a type of {', '.join(DTYPES)}, got {shown(dtype)[:80]}")
    if not _whole(shape) or not _whole(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise ValueError(f"{name} has a damaged shape or place")
    entry = Entry(key, DTYPES[dtype], tuple(shape), 0)
    if offsets[1] - offsets[0] != entry.nbytes:
        raise ValueError(f"{name} has a shape that does not fit its place")
    return offsets[0], offsets[1], entry


def _whole(numbers: Any) -> bool:
    """Whether these are few whole numbers, as shapes and places have them."""
    few = isinstance(numbers, list) and len(numbers) <= DIMENSIONS
    return few and all(type(n) is int and 0 <= n < 2**63 for n in numbers)


def arrays(file: BinaryIO, wanted: Iterable[Entry]) -> Iterator[np.ndarray]:
    """The numbers of the wanted entries."""
    for entry in wanted:
        file.seek(entry.start)
        yield read_numbers(file, entry)


rows = mapped_rows


def write(
    file: BinaryIO, pieces: Iterable[tuple[Entry, np.ndarray]], metadata: Mapping[str, str]
) -> None:
    """Write tensors in their order; bfloat16 arrives as its 16 bits."""
    made = list(pieces)
    header: dict[str, Any] = {METADATA: dict(metadata)} if metadata else {}
    end = 0
    for entry, values in made:
        begin, end = end, end + values.nbytes
        header[entry.key] = {
            "dtype": NAMES[entry.dtype],
            "shape": list(entry.shape),
            "data_offsets": [begin, end],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    file.write(len(text).to_bytes(8, "little") + text)
    for _, values in made:
        file.write(np.ascontiguousarray(values).tobytes())
