"""Read FEMNIST as TensorFlow Federated keeps it: ``fed_emnist_{train,test}.h5``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pdrr.data.dataset import FederatedDataset
from pdrr.data.formats import Format
from pdrr.data.gathering import (
    Gathered,
    as_images,
    as_labels,
    check_count,
    choice,
    chosen_name,
)
from pdrr.data.places import entries, plain_file

if TYPE_CHECKING:
    import h5py

_LARGEST = 1 << 34  # bytes of one file
_SUFFIXES = (".h5", ".hdf5")


def read_hdf5(
    path: str | Path, *, writers: int | None = None, seed: int = 0, deduplicate: bool = False
) -> FederatedDataset:
    """Read ``examples/<writer>/{pixels,label}`` from one HDF5 file or a pair of them.

    Parameters
    ----------
    path : path of a file or folder
        A file whose name ends in ``_train.h5`` or ``_test.h5``, or a folder with two such, is read
        with its other half. Of one file alone, a tenth of each writer's images is held out here.
    writers : int, optional
        Read only so many writers, chosen as `pdrr.data.load` does.
    seed : int
        Seeds that choice and the division.
    deduplicate : bool
        Drop exact repeats of an image by the same writer.

    Returns
    -------
    FederatedDataset
        Writers in the file's order, each one's training images before the test images. A black
        background is made white.

    Raises
    ------
    FileNotFoundError
        If there is no such file, or half of a pair is missing.
    ValueError
        If a file is damaged, refers to another or does not hold such a data set; the message names
        the file.
    ModuleNotFoundError
        If h5py is not installed.
    """
    path = Path(path)
    files = _files(path)
    divided = len(files) == 2
    names = list(dict.fromkeys(name for file, _ in files for name in _names(file)))
    everybody = writers is None or deduplicate or not divided  # the choice is made later, or never
    some = len(names) if everybody else min(writers or 0, len(names))
    kept = [names[i] for i in choice(len(names), some, seed)]
    gathered = Gathered(path)
    for file, test in files:
        with _examples(file) as examples:
            for user in kept:
                if user in examples:
                    images, labels = _read_user(examples, user, file)
                    gathered.add(user, images, labels, test=test, file=file)
    return gathered.dataset(
        chosen_name(f"FEMNIST (HDF5, {path.name})", len(kept), len(names)),
        divided=divided,
        seed=seed,
        deduplicate=deduplicate,
        inverts=True,
    )


def _files(path: Path) -> list[tuple[Path, bool]]:
    """The files to read, and whether each holds test images."""
    if path.is_dir():
        found = [file for file in entries(path, *_SUFFIXES) if _half(file)]
        if not found:
            raise FileNotFoundError(f"{path}: needs *_train.h5 and *_test.h5, has neither")
        path = found[0]
    half = _half(path)
    if not half:
        return [(path, False)]
    stem = path.stem.removesuffix(half)
    pair = [path.with_name(f"{stem}{each}{path.suffix}") for each in ("train", "test")]
    return [(plain_file(pair[0], _LARGEST), False), (plain_file(pair[1], _LARGEST), True)]


def _half(path: Path) -> str:
    """Which half of a pair a file is by its name, if it is one."""
    return next((half for half in ("train", "test") if path.stem.endswith(f"_{half}")), "")


@contextmanager
def _refused(file: Path) -> Iterator[None]:
    """Turn what h5py says of a damaged file into one line that names it."""
    try:
        yield
    except (OSError, RuntimeError, KeyError, TypeError, UnicodeError) as fault:
        said = " ".join(str(fault).split())
        raise ValueError(f"{file}: damaged or no HDF5 file ({said})") from fault


@contextmanager
def _examples(file: Path) -> Iterator[h5py.Group]:
    """The group of all writers in a file."""
    import h5py

    plain_file(file, _LARGEST)
    with _refused(file):
        opened = h5py.File(file, "r")
    with opened:
        with _refused(file):
            examples = _own(opened, "examples", str(file))
            if not isinstance(examples, h5py.Group):
                raise ValueError(f"{file}: needs a group 'examples' of writers")
        yield examples


def _names(file: Path) -> list[str]:
    with _examples(file) as examples, _refused(file):
        return list(examples)


def _own(group: h5py.Group, name: str, where: str) -> Any:
    """What a group holds itself under a name: no link to another place or file is followed."""
    import h5py

    link = group.get(name, getlink=True)
    if link is None:
        raise ValueError(f"{where}: needs examples/<writer>/pixels and label, lacks {name!r}")
    if not isinstance(link, h5py.HardLink):
        raise ValueError(f"{where}: {name!r} is a link to elsewhere, which is not followed")
    return group[name]


def _read_user(examples: h5py.Group, user: str, file: Path) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 [m, 28, 28] and labels uint8 [m] of one writer."""
    import h5py

    where = f"{file}: writer {user!r}"
    with _refused(file):
        group = _own(examples, user, where)
        if not isinstance(group, h5py.Group):
            raise ValueError(f"{where} needs to be a group of pixels and label")
        pixels, label = _own(group, "pixels", where), _own(group, "label", where)
        for name, array in (("pixels", pixels), ("label", label)):
            if not isinstance(array, h5py.Dataset) or array.external or array.is_virtual:
                raise ValueError(f"{where} needs {name} that lie in the file itself")
        m = label.shape[0] if len(label.shape or ()) == 1 else -1
        if pixels.shape != (m, 28, 28) or label.dtype.kind not in "iu":
            raise ValueError(
                f"{where} needs pixels [m, 28, 28] and label [m] of integers, "
                f"got {pixels.shape} and {label.shape} {label.dtype}"
            )
        check_count(m, where)
        if pixels.dtype.kind not in "fu" or pixels.dtype.itemsize > 8:
            raise ValueError(f"{where} needs pixels of float or uint8, got {pixels.dtype}")
        images, labels = pixels[()], label[()]
    return as_images(images, where), as_labels(labels, where)


def _takes(source: str) -> bool:
    path = Path(source)
    return path.suffix.lower() in _SUFFIXES or any(map(_half, entries(path, *_SUFFIXES)))


def _read(source: str, *, writers: int | None, seed: int, deduplicate: bool) -> FederatedDataset:
    return read_hdf5(source, writers=writers, seed=seed, deduplicate=deduplicate)


FORMAT = Format(
    "an .h5 file of TensorFlow Federated",
    _takes,
    _read,
    "NIST Special Database 19, grouped by LEAF (BSD-2-Clause)",
)
