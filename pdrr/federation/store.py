"""A cache of large arrays on disk, keyed by what they depend on.

Every file ends with a seal, the SHA-256 of all before it. A file that a crash, a full disk or a
flipped bit has changed is named, set aside, and made anew: it can never turn into other numbers.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import click
import numpy as np
import platformdirs

from pdrr.core.files import atomic, digest

SEAL = b"\nsha256 "
SEALED = len(SEAL) + 64  # bytes at the end of a file
PIECE = 2**22  # bytes read at a time


def default_root() -> Path:
    """``$PDRR_CACHE``, or the user's cache folder."""
    return Path(os.environ.get("PDRR_CACHE") or platformdirs.user_cache_dir("pdrr")).absolute()


class Store:
    """Arrays under ``root/<stage>/<key>/<name>.npy``, with the key in words beside them.

    Parameters
    ----------
    root : path, optional
        ``$PDRR_CACHE`` or the user's cache folder by default.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or default_root()

    def folder(self, stage: str, key: Mapping[str, Any]) -> Path:
        """The folder of a key; the key itself is written there as ``key.json``."""
        folder = self.root / stage / digest(key)[:20]
        if not (folder / "key.json").exists():
            with atomic(folder / "key.json") as path:
                path.write_text(json.dumps(key, indent=1, sort_keys=True), "utf-8")
        return folder

    @contextmanager
    def writing(self, path: Path) -> Iterator[IO[bytes]]:
        """A file to write; sealed, and moved to `path`, when the block ends without an error."""
        with atomic(path) as temporary:
            with open(temporary, "wb") as file:
                yield file
            seal = SEAL + _sha256(temporary, temporary.stat().st_size).encode()
            with open(temporary, "ab") as file:
                file.write(seal)

    def has(self, path: Path) -> bool:
        """Whether a whole file lies at `path`; a damaged one is named and set aside."""
        try:
            told = path.stat()
        except FileNotFoundError:
            return False
        version = (path, told.st_ino, told.st_size, told.st_mtime_ns)
        if version in _WHOLE or _sealed(path, told.st_size):
            _WHOLE.add(version)
            return True
        aside = path.with_name(f"{path.name}.damaged")
        click.echo(f"pdrr: {path} is damaged: set aside as {aside.name}, made anew", err=True)
        os.replace(path, aside)
        return False

    def load(self, path: Path) -> np.ndarray:
        """The array at `path`, memory-mapped read-only; FileNotFoundError if none is there."""
        if not self.has(path):
            raise FileNotFoundError(f"no cached array at {path}")
        array: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
        return array

    def save(self, path: Path, array: np.ndarray) -> np.ndarray:
        """Write `array` and return it memory-mapped."""
        with self.writing(path) as file:
            np.save(file, array, allow_pickle=False)
        return self.load(path)

    def load_json(self, path: Path) -> Any:
        """The content of a JSON file; FileNotFoundError if none is there."""
        if not self.has(path):
            raise FileNotFoundError(f"no cached file at {path}")
        return json.loads(path.read_bytes()[:-SEALED])

    def save_json(self, path: Path, content: Any) -> None:
        """Write `content` as JSON."""
        with self.writing(path) as file:
            file.write(json.dumps(content).encode())

    def save_state(self, path: Path, rows: Any, **arrays: Any) -> None:
        """Write what a long run needs to go on: rows of plain values, and arrays."""
        with self.writing(path) as file:
            np.savez(file, rows=np.array(json.dumps(rows)), **arrays)

    def load_state(self, path: Path) -> tuple[Any, dict[str, np.ndarray]]:
        """The rows and arrays of `save_state`; FileNotFoundError if none is there."""
        if not self.has(path):
            raise FileNotFoundError(f"no cached state at {path}")
        with np.load(path, allow_pickle=False) as kept:
            arrays = {name: kept[name] for name in kept.files if name != "rows"}
            return json.loads(str(kept["rows"])), arrays


_WHOLE: set[tuple[Path, int, int, int]] = set()
"""Files, as they were when their seal was found right: read through once a process."""


def _sealed(path: Path, size: int) -> bool:
    """Whether a file ends with the hash of what stands before it."""
    if size < SEALED:
        return False
    with open(path, "rb") as file:
        file.seek(size - SEALED)
        seal = file.read()
    return seal == SEAL + _sha256(path, size - SEALED).encode()


def _sha256(path: Path, size: int) -> str:
    """Of the first `size` bytes of a file."""
    found = hashlib.sha256()
    with open(path, "rb") as file:
        while size > 0 and (piece := file.read(min(PIECE, size))):
            found.update(piece)
            size -= len(piece)
    return found.hexdigest()
