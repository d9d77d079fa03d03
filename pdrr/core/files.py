"""Files written whole or not at all, and what tells two contents apart."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

RECORDED = Path("book/records")  # committed results, from the top folder of the repository


def digest(what: Mapping[str, Any] | np.ndarray) -> str:
    """SHA-256 of settings in canonical form, or of an array's bytes."""
    if isinstance(what, np.ndarray):
        return hashlib.sha256(np.ascontiguousarray(what).data).hexdigest()
    return hashlib.sha256(json.dumps(what, sort_keys=True, allow_nan=False).encode()).hexdigest()


WRITING = ".being-written-"  # begins the name of a file that is not whole yet
UNTOUCHED = 60.0  # seconds after which a file that nobody holds is one that a killed run left


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends without an error.

    A killed or failing writer leaves the old file, or none: never a half-written one. What killed
    writers of the same folder left is removed on the way; a writer at work holds a lock on its own.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_orphans(path.parent)
    handle, name = tempfile.mkstemp(prefix=WRITING, suffix=path.suffix, dir=path.parent)
    temporary = Path(name)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield temporary
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        if error.filename is None:  # a full disk, in the words of whoever wrote
            raise OSError(f"{path} cannot be written: {error}") from error
        raise
    finally:
        os.close(handle)
        temporary.unlink(missing_ok=True)


def check_writable(folder: Path) -> None:
    """Refuse a folder in which no file can be written, before anything long is computed for it."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass


def _remove_orphans(folder: Path) -> None:
    """Remove the temporary files of writers that are gone."""
    for path in folder.glob(f"{WRITING}*"):
        try:
            with open(path, "rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if time.time() - path.stat().st_mtime > UNTOUCHED:
                    path.unlink()
        except (BlockingIOError, FileNotFoundError):
            pass  # somebody is writing it, or has just finished


def listed(folder: Path, pattern: str) -> list[Path]:
    """The whole files of a folder whose names match, sorted: hidden and unfinished ones are not."""
    return sorted(path for path in folder.glob(pattern) if not path.name.startswith("."))
