"""A round from files: a folder with one model a file, or one file with a stack of models."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import BinaryIO

import numpy as np

from pdrr.core.checks import all_finite, finite_rows
from pdrr.core.order import median_beta, middle_mean
from pdrr.files import npy, npz, safetensors
from pdrr.files.entries import (
    BFLOAT16,
    Entry,
    ModelFile,
    checked_keys,
    mapped,
    opened,
    shown,
    stamp_of,
)
from pdrr.files.layout import Layout, common, refuse_unlike, words
from pdrr.files.stack import check_space, stacked
from pdrr.types import Round

FORMATS: dict[str, ModuleType] = {".npy": npy, ".npz": npz, ".safetensors": safetensors}
MEDIAN = "median"
MOST = 1_000_000  # models in a stack
HINTS = {
    ".h5": "in Keras save numpy.savez(path, *model.get_weights())",
    ".hdf5": "in Keras save numpy.savez(path, *model.get_weights())",
    ".keras": "in Keras save numpy.savez(path, *model.get_weights())",
    ".pt": "save safetensors.torch.save_file(model.state_dict(), path)",
    ".pth": "save safetensors.torch.save_file(model.state_dict(), path)",
    ".bin": "save safetensors.torch.save_file(model.state_dict(), path)",
    ".pkl": "pickles run code when they are opened",
}


@dataclass(frozen=True, eq=False)
class Survey:
    """A round whose headers were read and agree; no number was read yet.

    Attributes
    ----------
    path : Path
        The folder, or the file with the stack.
    suffix : str
        Its format: ".npy", ".npz" or ".safetensors".
    names : tuple of str
        Of the clients: of their files, or the row's number in a stack.
    layout : Layout
        Of one model.
    """

    path: Path
    suffix: str
    names: tuple[str, ...]
    layout: Layout
    _files: tuple[ModelFile, ...]
    _previous: ModelFile | None

    @property
    def k(self) -> int:
        """Number of clients."""
        return len(self.names)

    @property
    def previous_known(self) -> bool:
        """Whether the previous model was given, and not stood in for by the median."""
        return self._previous is not None

    @contextmanager
    def read(self) -> Iterator[Round]:
        """The round, as long as the block lasts: its stack may be a temporary file.

        Raises
        ------
        ValueError
            If a file is damaged, was changed since, or there is no finite previous model.
        """
        with self._stack() as clients:
            yield Round(clients, self._previous_model(clients))

    @contextmanager
    def _stack(self) -> Iterator[np.ndarray]:
        if self._is_stack and mappable(self.suffix, self._files[0].entries[0]):
            with reading(self._files[0]) as source:
                stack = mapped(source, self._files[0].entries[0])
            yield stack
            return
        with stacked(self._rows(), (self.k, self.layout.d), self.layout.dtype) as stack:
            yield stack

    def _rows(self) -> Iterator[np.ndarray]:
        if not self._is_stack:
            yield from map(self._vector, self._files)
            return
        with reading(self._files[0]) as source:
            yield from FORMATS[self.suffix].rows(source, self._files[0].entries[0])

    @property
    def _is_stack(self) -> bool:
        return len(self._files) < self.k

    def _vector(self, file: ModelFile) -> np.ndarray:
        """The vector [d] of a file's real numbers, rounded to the round's type if need be."""
        values = numbers(file, [entry for entry in file.entries if entry.real])
        if len(values) == 1:  # whatever its name
            values = dict.fromkeys((entry.key for entry in self.layout.floats), *values.values())
        row = np.empty(self.layout.d, self.layout.dtype)
        with np.errstate(over="ignore"):
            self.layout.fill(row, values)
        return row

    def _previous_model(self, clients: np.ndarray) -> np.ndarray:
        if self._previous is not None:
            model = self._vector(self._previous)
            if not all_finite(model):
                raise ValueError(
                    f"{shown(self._previous.path)}: needs a finite model, got NaN or infinity"
                )
            return model
        rows = np.flatnonzero(finite_rows(clients))
        if not rows.size:
            raise ValueError(f"{shown(self.path)}: no model is finite, so there is no median")
        return np.asarray(middle_mean(clients, median_beta(len(rows)), rows))

    def counter(self, entry: Entry, rows: Sequence[int]) -> np.ndarray:
        """The lower median of a counter over the given clients; the previous model's for none."""
        files = [self._files[row] for row in rows] or [self._previous or self._files[0]]
        found = np.sort([numbers(file, [entry])[entry.key] for file in files], axis=0)
        return np.asarray(found[(len(files) - 1) // 2])


def survey(path: str | Path, previous: str | Path) -> Survey:
    """Look at a round: which files, which arrays, do they agree?

    Parameters
    ----------
    path : path of a folder, or of a file
        A folder holds one model a file, all of one format; dot files are skipped. A file holds
        one array [k, d], a model a row.
    previous : path of a file, or "median"
        The model w_p that the server had sent. "median": take the coordinate-wise median of the
        round's finite models in its place.

    Returns
    -------
    Survey

    Raises
    ------
    FileNotFoundError, ValueError
        In one line that names the file, before any number is read.

    Examples
    --------
    >>> import tempfile
    >>> from pdrr import files
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("a", "b", "c"):
    ...         np.savez(f"{folder}/{name}.npz", w=np.ones((2, 3), np.float32), steps=7)
    ...     found = files.survey(folder, "median")
    >>> found.names, found.layout.d, [entry.key for entry in found.layout.counters]
    (('a.npz', 'b.npz', 'c.npz'), 6, ['steps'])
    """
    path = Path(path)
    if path.is_dir():
        files = tuple(describe(each) for each in model_files(path))
        names = tuple(file.path.name for file in files)
        layout, stack = common(files), False
    else:
        files = (describe(path),)
        layout, k = one_model(files[0])
        names, stack = tuple(map(str, range(k))), True
    suffix = suffix_of(files[0].path)
    direct = stack and mappable(suffix, files[0].entries[0])
    counter = max((entry.nbytes for entry in layout.counters), default=0)
    check_space((len(names), layout.d), layout.dtype, counter, mapped=direct)
    before = None if previous == MEDIAN else previous_file(Path(previous), files, layout)
    return Survey(path, suffix, names, layout, files, before)


def model_files(folder: Path) -> list[Path]:
    """The models of a folder in natural order (2 before 10); all of one format."""
    paths = [path for path in folder.iterdir() if not path.name.startswith(".")]
    paths.sort(key=lambda path: natural(path.name))
    for path in paths:
        suffix_of(path)
        if suffix_of(path) != suffix_of(paths[0]):
            raise ValueError(
                f"{shown(folder)}: needs one format,"
                f" got {shown(paths[0].name)} and {shown(path.name)}"
            )
    if len(paths) < 2:
        raise ValueError(
            f"{shown(folder)}: needs two models or more, one a file, got {len(paths)};"
            " a file with a stack [k, d] is given by its own name"
        )
    return paths


def natural(name: str) -> tuple[list[str | int], str]:
    """Sorts names as people do: numbers by their size."""
    parts = re.split(r"([0-9]+)", name)
    return [int(part) if place % 2 else part for place, part in enumerate(parts)], name


def suffix_of(path: Path) -> str:
    """The format of a file, by its name."""
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        hint = f" ({HINTS[suffix]})" if suffix in HINTS else ""
        raise ValueError(f"{shown(path)}: needs {', '.join(FORMATS)}{hint}")
    return suffix


def describe(path: Path) -> ModelFile:
    """The arrays of a file, from its headers; errors name the file."""
    with naming(path), opened(path) as file:
        found, metadata = FORMATS[suffix_of(path)].entries(file)
        return ModelFile(path, checked_keys(found), stamp_of(file), metadata)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Errors name the file, once and in one line."""
    try:
        yield
    except OSError as fault:
        raise ValueError(f"{shown(path)}: {fault.strerror or fault}") from fault
    except ValueError as fault:
        if str(fault).startswith(shown(path)):
            raise
        raise ValueError(f"{shown(path)}: {fault}") from fault


@contextmanager
def reading(file: ModelFile) -> Iterator[BinaryIO]:
    """The file once more, for its numbers."""
    with naming(file.path), opened(file.path) as source:
        if stamp_of(source) != file.stamp:
            raise ValueError("was changed while it was read")
        yield source


def numbers(file: ModelFile, entries: Sequence[Entry]) -> dict[str, np.ndarray]:
    """Some arrays of a file, by key, each where this file has it."""
    own = {entry.key: entry for entry in file.entries}
    wanted = [own[entry.key] for entry in entries]
    with reading(file) as source:
        read = FORMATS[suffix_of(file.path)].arrays(source, wanted)
        return {entry.key: values for entry, values in zip(wanted, read, strict=True)}


def one_model(file: ModelFile) -> tuple[Layout, int]:
    """The layout of a row of a stack [k, d], and k."""
    if len(file.entries) != 1 or len(file.entries[0].shape) != 2 or not file.entries[0].real:
        got = "; ".join(f"{shown(each.key)} {each.words}" for each in file.entries[:3])
        raise ValueError(
            f"{shown(file.path)}: needs one array [k, d] of real numbers, got {got.strip()};"
            " models in files of their own are given by their folder"
        )
    (entry,) = file.entries
    k, d = entry.shape
    if not 2 <= k <= MOST or not d:
        raise ValueError(f"{shown(file.path)}: needs 2 to {MOST} models, got {list(entry.shape)}")
    return Layout((replace(entry, shape=(d,), fortran=False),), file.metadata), k


def mappable(suffix: str, entry: Entry) -> bool:
    """Whether a stack can be used where it lies, without a copy."""
    if suffix == ".npz" or entry.dtype == BFLOAT16:
        return False
    dtype = np.dtype(entry.dtype)
    return dtype.itemsize > 2 and dtype.isnative and entry.start % dtype.itemsize == 0


def previous_file(path: Path, files: Sequence[ModelFile], layout: Layout) -> ModelFile:
    """The previous model, of the same keys and shapes; its real numbers may be of another type."""
    found = describe(path)
    if any(path.samefile(file.path) for file in files):
        raise ValueError(f"{shown(path)}: lies among the round's models, move it elsewhere")
    got, wanted = _of_any_type(found.entries), _of_any_type(layout.entries)
    if len(got) == len(wanted) == 1:  # whatever its name
        got = dict.fromkeys(wanted, *got.values())
    refuse_unlike(found, got, files[0], wanted)
    return found


def _of_any_type(entries: Sequence[Entry]) -> dict[str, str]:
    return words([replace(entry, dtype="<f4") if entry.real else entry for entry in entries])
