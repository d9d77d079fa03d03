"""The .npz format: a zip archive with a .npy member for each array."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import BinaryIO, cast

import numpy as np

from pdrr.files import npy
from pdrr.files.entries import Entry, one_row, read_numbers, shown

METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # what NumPy writes
EXPANSION = 1032  # what deflate can make of one byte, at most
EPOCH = (1980, 1, 1, 0, 0, 0)  # the same model gives the same file


@contextmanager
def _archive(file: BinaryIO) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(file) as archive:
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as fault:
        raise ValueError(f"is a damaged or no .npz archive ({shown(fault)})") from fault
    except RuntimeError as fault:  # zipfile's word for a member that needs a password
        raise ValueError(f"has a member that cannot be read ({shown(fault)})") from fault


def entries(file: BinaryIO) -> tuple[list[Entry], Mapping[str, str]]:
    """The arrays of an archive: headers only, and their sizes held against the archive's."""
    found = []
    with _archive(file) as archive:
        members = archive.infolist()
        size = os.fstat(file.fileno()).st_size
        if sum(member.file_size for member in members) > EXPANSION * size:
            raise ValueError("promises more bytes than its archive can hold")
        for member in members:
            _check(member)
            try:
                with archive.open(member) as opened:
                    entry = npy.header(cast(BinaryIO, opened), member.filename.removesuffix(".npy"))
            except ValueError as fault:
                raise ValueError(f"{shown(member.filename)} {fault}") from fault
            if entry.start + entry.nbytes != member.file_size:
                raise ValueError(
                    f"{shown(member.filename)} needs {entry.nbytes} bytes behind its header,"
                    f" has {member.file_size - entry.start}"
                )
            found.append(entry)
    return found, {}


def _check(member: zipfile.ZipInfo) -> None:
    name = shown(member.filename)
    if not member.filename.endswith(".npy"):
        raise ValueError(f"holds {name}, which is no array")
    if member.flag_bits & 1:
        raise ValueError(f"{name} is encrypted")
    if member.compress_type not in METHODS:
        raise ValueError(
            f"{name} is packed by method {member.compress_type}, needs stored or deflate"
        )


def arrays(file: BinaryIO, wanted: Iterable[Entry]) -> Iterator[np.ndarray]:
    """The numbers of the wanted entries; the archive's checksums are held to."""
    with _archive(file) as archive:
        for entry in wanted:
            with archive.open(f"{entry.key}.npy") as opened:
                opened.read(entry.start)
                yield read_numbers(cast(BinaryIO, opened), entry)


def rows(file: BinaryIO, entry: Entry) -> Iterator[np.ndarray]:
    """The rows of an array of two dimensions, one after the other as they are unpacked."""
    if entry.fortran:
        (whole,) = arrays(file, [entry])
        yield from whole
        return
    with _archive(file) as archive, archive.open(f"{entry.key}.npy") as opened:
        opened.read(entry.start)
        for _ in range(entry.shape[0]):
            yield read_numbers(cast(BinaryIO, opened), one_row(entry))


def write(file: BinaryIO, pieces: Iterable[tuple[Entry, np.ndarray]], _: Mapping[str, str]) -> None:
    """Write arrays side by side, uncompressed as `numpy.savez` does."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for entry, values in pieces:
            member = zipfile.ZipInfo(f"{entry.key}.npy", date_time=EPOCH)
            with archive.open(member, "w", force_zip64=True) as opened:
                np.lib.format.write_array(opened, values, version=(1, 0), allow_pickle=False)
