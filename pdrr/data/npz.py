"""Read a federated data set from one NumPy archive."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from tokenize import TokenError

import numpy as np

from pdrr.core.files import atomic
from pdrr.data.dataset import FederatedDataset, without_repeats
from pdrr.data.formats import Format
from pdrr.data.gathering import check_count
from pdrr.data.places import plain_file

_LARGEST = 1 << 33  # bytes of the file
_LONGEST_NAME = 4 * 256  # bytes of one writer's name, 4 a character
_KEYS = ("images", "labels", "writer", "writer_ids", "split")


def read_npz(path: str | Path, *, deduplicate: bool = False) -> FederatedDataset:
    """Read FEMNIST from an ``.npz`` archive of uint8 images.

    Parameters
    ----------
    path : path of a file
        With the arrays ``images`` uint8 [n, 28, 28] (255 = background), ``labels`` uint8 [n],
        ``writer`` integer [n], ``writer_ids`` str [k] and ``split`` [n] (0 train, 1 test).
    deduplicate : bool
        Drop exact repeats of an image by the same writer.

    Returns
    -------
    FederatedDataset

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged or does not hold such a data set; the message names the file.
    """
    path = plain_file(Path(path), _LARGEST)
    with _refused(path), zipfile.ZipFile(path) as archive:
        _check_headers(archive)
        images, labels, writer, ids, split = (_array(archive, key) for key in _KEYS)
    if ids.dtype.kind != "U" or ids.ndim != 1:
        raise ValueError(f"{path}: writer_ids need shape [k] of str, got {ids.shape} {ids.dtype}")
    if split.dtype.kind not in "biu" or not np.isin(split, (0, 1)).all():
        raise ValueError(f"{path}: split needs 0 (train) or 1 (test), got {np.unique(split)[:5]}")
    try:
        data = FederatedDataset(
            name=f"FEMNIST (LEAF, {path.name})",
            synthetic=False,
            images=images,
            labels=labels,
            writer=writer,
            writer_ids=tuple(ids.tolist()),
            test=split.astype(bool),
        )
    except ValueError as fault:
        raise ValueError(f"{path}: {fault}") from fault
    if not deduplicate:
        return data
    rows = without_repeats(data.images, data.writer, data.test)
    return FederatedDataset(
        name=f"{data.name} without repeats",
        synthetic=False,
        images=data.images[rows],
        labels=data.labels[rows],
        writer=data.writer[rows],
        writer_ids=data.writer_ids,
        test=data.test[rows],
    )


def write_npz(path: Path, data: FederatedDataset) -> None:
    """Write a data set to one compressed archive, whole or not at all.

    Parameters
    ----------
    path : path
        Of the file.
    data : FederatedDataset
        What `read_npz` then gives back.
    """
    with atomic(path) as aside:
        np.savez_compressed(
            aside,
            images=data.images,
            labels=data.labels,
            writer=data.writer,
            writer_ids=np.array(data.writer_ids),
            split=data.test.astype(np.uint8),
        )


@contextmanager
def _refused(path: Path) -> Iterator[None]:
    """Turn what is said of a damaged archive into one line that names the file."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, struct.error) as fault:
        raise ValueError(f"{path}: damaged or no .npz archive ({fault})") from fault
    except (SyntaxError, TokenError, RecursionError, MemoryError, UnicodeError) as fault:
        raise ValueError(f"{path}: damaged, a header cannot be read") from fault
    except (ValueError, NotImplementedError, RuntimeError) as fault:
        raise ValueError(f"{path}: {' '.join(str(fault).split())}") from fault


def _check_headers(archive: zipfile.ZipFile) -> None:
    """Compare what the members' headers say, before any member is unpacked."""
    names = archive.namelist()
    missing = [key for key in _KEYS if f"{key}.npy" not in names]
    if missing:
        raise ValueError(f"needs the arrays {', '.join(_KEYS)}, lacks {', '.join(missing)}")
    shapes = {}
    for key in _KEYS:
        member = archive.getinfo(f"{key}.npy")
        if names.count(member.filename) > 1:
            raise ValueError(f"needs one member {member.filename}, got several")
        if member.flag_bits & 1:
            raise ValueError(f"needs members without a password, got {member.filename} with one")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(f"needs members stored or deflated, got another for {key}")
        shape, dtype, header = _header(archive, member)
        if dtype.hasobject:
            raise ValueError(f"{key} need numbers or text, got pickled objects")
        if header + prod(shape) * dtype.itemsize != member.file_size:
            raise ValueError(f"{key} need {shape} {dtype}, got {member.file_size:,} bytes")
        shapes[key] = shape, dtype
    n = (shapes["images"][0] or (0,))[0]
    check_count(n, "images")
    for key, shape in (("images", (n, 28, 28)), ("labels", (n,)), ("writer", (n,)),
                       ("split", (n,))):  # fmt: skip
        got, dtype = shapes[key]
        if got != shape or dtype.itemsize > 8:
            name = {"split": "test"}.get(key, key)
            raise ValueError(f"{name} need {list(shape)}, got {list(got)} {dtype}")
    (*ids,), dtype = shapes["writer_ids"]
    if len(ids) != 1 or ids[0] > n or dtype.itemsize > _LONGEST_NAME:
        raise ValueError(f"writer_ids need at most {n} names, got {ids} {dtype}")


def _header(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo
) -> tuple[tuple[int, ...], np.dtype, int]:
    """Shape and dtype that a member says it has, and the bytes of its header."""
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"{member.filename} needs version 1 or 2 of the format, got {version}")
        read = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = read(file)
        return shape, dtype, file.tell()


def _array(archive: zipfile.ZipFile, key: str) -> np.ndarray:
    with archive.open(f"{key}.npy") as file:
        return np.lib.format.read_array(file, allow_pickle=False)


def _takes(source: str) -> bool:
    return Path(source).suffix == ".npz"


def _read(source: str, *, deduplicate: bool, **_: object) -> FederatedDataset:
    return read_npz(source, deduplicate=deduplicate)


FORMAT = Format("a path ending in .npz", _takes, _read)
