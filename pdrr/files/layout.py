"""How the arrays of a model file lie in one vector, and back: any keys, shapes and types.

Real numbers make the vector. Whole numbers and truth values are counters (how many batches a layer
has seen): a rule for weights means nothing to them, so they stay out of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pdrr.files.entries import BFLOAT16, Entry, ModelFile, shown


@dataclass(frozen=True, eq=False)
class Layout:
    """The arrays of a model, and where each lies in its vector.

    Attributes
    ----------
    entries : tuple of Entry
        All arrays, in the order of the file.
    metadata : mapping of str
        Text that is written beside them.
    """

    entries: tuple[Entry, ...]
    metadata: Mapping[str, str]

    @property
    def floats(self) -> tuple[Entry, ...]:
        """The arrays that make the vector."""
        return tuple(entry for entry in self.entries if entry.real)

    @property
    def counters(self) -> tuple[Entry, ...]:
        """The arrays of whole numbers and truth values."""
        return tuple(entry for entry in self.entries if not entry.real)

    @property
    def d(self) -> int:
        """Length of the vector."""
        return sum(entry.size for entry in self.floats)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the vector: float64 if any array is, else float32, which holds the shorter."""
        wide = any(entry.type == "float64" for entry in self.floats)
        return np.dtype(np.float64 if wide else np.float32)

    def fill(self, row: np.ndarray, values: Mapping[str, np.ndarray]) -> None:
        """Write a model's arrays into its vector [d], which is given."""
        begin = 0
        for entry in self.floats:
            row[begin : begin + entry.size] = values[entry.key].reshape(-1)
            begin += entry.size

    def arrays(
        self, vector: np.ndarray, counter: Callable[[Entry], np.ndarray]
    ) -> list[tuple[Entry, np.ndarray]]:
        """The arrays of a model in the order of the file, in their own types."""
        pieces, begin = [], 0
        for entry in self.entries:
            if entry.real:
                values = vector[begin : begin + entry.size]
                begin += entry.size
            else:
                values = counter(entry)
            pieces.append((entry, typed(values, entry.dtype).reshape(entry.shape)))
        return pieces


def typed(values: np.ndarray, dtype: str) -> np.ndarray:
    """Values in the type of a file; bfloat16 as 16 bits, rounded to the nearest, ties to even.

    Examples
    --------
    >>> from pdrr.files.layout import typed
    >>> [hex(bits) for bits in typed(np.array([1.0, 1.00390625, 1.01171875]), "bfloat16")]
    ['0x3f80', '0x3f80', '0x3f82']
    """
    if dtype != BFLOAT16:
        return np.ascontiguousarray(values.astype(dtype))
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32).astype(np.uint64)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2")


def common(files: Sequence[ModelFile]) -> Layout:
    """The layout that all files have.

    Raises
    ------
    ValueError
        Where one differs from what most have; the message names the file and the key.
    """
    kinds = [tuple(sorted(words(file.entries).items())) for file in files]
    first = files[kinds.index(Counter(kinds).most_common(1)[0][0])]
    for file in files:
        refuse_unlike(file, words(file.entries), first, words(first.entries))
    layout = Layout(first.entries, _shared(files))
    if not layout.d:
        raise ValueError(f"{shown(first.path)}: needs real numbers, got none")
    return layout


def words(entries: Sequence[Entry]) -> dict[str, str]:
    """Type and shape of each array, by key."""
    return {entry.key: entry.words for entry in entries}


def _shared(files: Sequence[ModelFile]) -> dict[str, str]:
    """What the text beside the arrays says in every file."""
    first, *others = files
    return {
        key: text
        for key, text in first.metadata.items()
        if all(file.metadata.get(key) == text for file in others)
    }


def refuse_unlike(
    file: ModelFile, got: dict[str, str], other: ModelFile, wanted: dict[str, str]
) -> None:
    """ValueError that names the file and the first key in which `file` is not like `other`."""
    like = f"like {shown(other.path.name)}"
    for key in (*wanted, *got):
        name = f"the array {shown(key)}" if key else "an array"
        if key not in got:
            raise ValueError(
                f"{shown(file.path)}: lacks {name}, which {shown(other.path.name)} has"
            )
        if key not in wanted:
            raise ValueError(
                f"{shown(file.path)}: has {name}, which {shown(other.path.name)} lacks"
            )
        if got[key] != wanted[key]:
            raise ValueError(
                f"{shown(file.path)}: needs {name} as {wanted[key]}, {like}, got {got[key]}"
            )
