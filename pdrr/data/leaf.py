"""Read FEMNIST as LEAF's ``preprocess.sh`` writes it: folders of JSON files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from pdrr.data.dataset import FederatedDataset
from pdrr.data.formats import Format
from pdrr.data.gathering import Gathered, as_images, as_labels, check_count
from pdrr.data.places import entries, plain_file

_LARGEST = 1 << 31  # bytes of one file; LEAF writes 100 writers into each
_UNDIVIDED = ("rem_user_data", "sampled_data", "all_data")  # as LEAF's split_data.py looks


def read_leaf(folder: str | Path, *, seed: int = 0, deduplicate: bool = False) -> FederatedDataset:
    """Read LEAF's JSON, with or without LEAF's own division into training and test images.

    Parameters
    ----------
    folder : path of a folder
        LEAF's ``data/femnist/data``, or the folder that holds it. What LEAF has made last is read:
        ``train/*.json`` and ``test/*.json``, else ``rem_user_data``, ``sampled_data``,
        ``all_data``, else ``*.json`` in the folder itself. But for the first, a tenth of each
        writer's images is held out here. Names that begin with a dot are skipped.
    seed : int
        Seeds that division.
    deduplicate : bool
        Drop exact repeats of an image by the same writer. LEAF's ``group_by_writer.py`` writes
        each writer's first image twice.

    Returns
    -------
    FederatedDataset
        Writers in file order, each one's training images before the test images where LEAF has
        divided them. Pixels are rounded to the nearest of the 256 levels they come from.

    Raises
    ------
    FileNotFoundError
        If there is no such folder, or no JSON file where one is needed.
    ValueError
        If a file is damaged or does not hold such a data set, or two files of one part have the
        same writer; the message names the file.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder")
    parts = _parts(folder)
    gathered = Gathered(folder)
    for part, test in parts:
        files = entries(part, ".json")
        if not files:
            raise FileNotFoundError(f"{part}: needs LEAF's *.json files, has none")
        for file in files:
            for user, x, y in _read_users(file):
                gathered.add(user, x, y, test=test, file=file)
    return gathered.dataset(
        f"FEMNIST (LEAF, {folder.name})",
        divided=len(parts) == 2,
        seed=seed,
        deduplicate=deduplicate,
    )


def _parts(folder: Path) -> list[tuple[Path, bool]]:
    """The folders to read, and whether each holds test images."""
    for top in (folder, folder / "data"):
        if entries(top / "train", ".json") or entries(top / "test", ".json"):
            return [(top / "train", False), (top / "test", True)]
        for name in _UNDIVIDED:
            if entries(top / name, ".json"):
                return [(top / name, False)]
    return [(folder, False)]


def _read_users(file: Path) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Read one file: each user, with images uint8 [m, 28, 28] and labels uint8 [m]."""
    plain_file(file, _LARGEST)
    try:
        content = json.loads(file.read_bytes())
    except (ValueError, OSError) as fault:
        raise ValueError(f"{file}: damaged or no JSON ({fault})") from fault
    except RecursionError as fault:
        raise ValueError(f"{file}: damaged or no JSON (nested too deep)") from fault
    if not isinstance(content, dict):
        raise ValueError(f"{file}: needs an object of users, got {type(content).__name__}")
    for key, kind in (("users", list), ("num_samples", list), ("user_data", dict)):
        if not isinstance(content.get(key), kind):
            raise ValueError(f"{file}: needs {key!r} ({kind.__name__}), as LEAF writes it")
    users, sizes, data = content["users"], content["num_samples"], content["user_data"]
    if not all(isinstance(user, str) for user in users):
        raise ValueError(f"{file}: needs users that are strings")
    if not users or len(sizes) != len(users) or len(set(users)) != len(users):
        raise ValueError(
            f"{file}: needs distinct users and one entry of num_samples each, "
            f"got {len(users)} users and {len(sizes)} entries"
        )
    check_count(sum(size for size in sizes if type(size) is int), file)
    return [
        (user, *_read_user(data.pop(user, None), size, f"{file}: user {user!r}"))
        for user, size in zip(users, sizes, strict=True)
    ]


def _read_user(entry: Any, size: Any, where: str) -> tuple[np.ndarray, np.ndarray]:
    if not isinstance(entry, dict) or not entry.get("x") or not entry.get("y"):
        raise ValueError(f"{where} is listed but has no data")
    try:
        x, y = np.asarray(entry["x"], dtype=np.float64), np.asarray(entry["y"])
    except (ValueError, TypeError, OverflowError) as fault:
        raise ValueError(f"{where} needs x [m, 784] and y [m] ({fault})") from fault
    if x.ndim != 2 or x.shape[1] != 784 or y.shape != x.shape[:1] or len(y) != size:
        raise ValueError(
            f"{where} needs x [{size!r}, 784] and y [{size!r}], got {list(x.shape)} and "
            f"{list(y.shape)}"
        )
    return as_images(x, where).reshape(-1, 28, 28), as_labels(y, where)


def _takes(source: str) -> bool:
    folder = Path(source)
    return folder.is_dir() and any(entries(part, ".json") for part, _ in _parts(folder))


def _read(source: str, *, seed: int, deduplicate: bool, **_: object) -> FederatedDataset:
    return read_leaf(source, seed=seed, deduplicate=deduplicate)


FORMAT = Format(
    "a folder of LEAF JSON",
    _takes,
    _read,
    "NIST Special Database 19, grouped by LEAF (BSD-2-Clause)",
)
