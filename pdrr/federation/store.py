"""A cache of large arrays on disk, keyed by what they depend on."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs

from pdrr.core.files import atomic, digest


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
                path.write_text(json.dumps(key, indent=1, sort_keys=True))
        return folder

    def load(self, path: Path) -> np.ndarray:
        """The array at `path`, memory-mapped read-only.

        Raises ValueError with the file's name if it is damaged.
        """
        try:
            array: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise ValueError(f"cached file {path} is damaged ({error}): delete it") from error
        return array

    def save(self, path: Path, array: np.ndarray) -> np.ndarray:
        """Write `array` and return it memory-mapped."""
        with atomic(path) as temporary, open(temporary, "wb") as file:
            np.save(file, array, allow_pickle=False)
        return self.load(path)
