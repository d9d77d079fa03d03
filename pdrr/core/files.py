"""Files written whole or not at all, and what tells two contents apart."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
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


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends without an error.

    A killed or failing writer leaves the old file, or none: never a half-written one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
