"""Read FEMNIST as LEAF's ``preprocess.sh`` writes it: folders of JSON files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from pdrr.data.dataset import CLASSES, FederatedDataset, split_within_writers, without_repeats
from pdrr.data.formats import Format


def read_leaf(folder: str | Path, *, seed: int = 0, deduplicate: bool = False) -> FederatedDataset:
    """Read LEAF's JSON, with or without LEAF's own division into training and test images.

    Parameters
    ----------
    folder : path of a folder
        Either with ``train/*.json`` and ``test/*.json``, or with ``*.json`` in itself or in a
        folder ``all_data``; then a tenth of each writer's images is held out here.
    seed : int
        Seeds that division.
    deduplicate : bool
        Drop exact repeats of an image by the same writer. LEAF's ``group_by_writer.py`` writes
        each writer's first image twice.

    Returns
    -------
    FederatedDataset
        Writers in file order, each one's training images before the test images. Pixels are
        rounded to the nearest of the 256 levels they come from.

    Raises
    ------
    FileNotFoundError
        If there is no such folder, or no JSON file where one is needed.
    ValueError
        If a file is damaged or does not hold such a data set; the message names the file.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder")
    divided = (folder / "train").is_dir() or (folder / "test").is_dir()
    if divided:
        parts = [(folder / "train", False), (folder / "test", True)]
    elif (folder / "all_data").is_dir():
        parts = [(folder / "all_data", False)]
    else:
        parts = [(folder, False)]

    index: dict[str, int] = {}
    images, labels, writer, test = [], [], [], []
    for part, held_out in parts:
        files = sorted(part.glob("*.json"))
        if not files:
            raise FileNotFoundError(f"{part}: needs LEAF's *.json files, has none")
        for file in files:
            for user, (x, y) in _read_users(file).items():
                images.append(x)
                labels.append(y)
                writer.append(np.full(len(y), index.setdefault(user, len(index)), dtype=np.int32))
                test.append(np.full(len(y), held_out))
    x, y, w, t = (np.concatenate(pieces) for pieces in (images, labels, writer, test))

    order = np.lexsort((t, w))  # by writer, training first; equal keys keep the files' order
    x, y, w, t = x[order], y[order], w[order], t[order]
    if deduplicate:
        rows = without_repeats(x, w, t)
        x, y, w, t = x[rows], y[rows], w[rows], t[rows]
    if not divided:
        t = split_within_writers(w, np.random.default_rng(seed))
    try:
        return FederatedDataset(
            name=f"FEMNIST (LEAF, {folder.name}{' without repeats' if deduplicate else ''})",
            synthetic=False,
            images=x,
            labels=y,
            writer=w,
            writer_ids=tuple(index),
            test=t,
        )
    except ValueError as fault:
        raise ValueError(f"{folder}: {fault}") from fault


def _read_users(file: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Read one file: for each user, images uint8 [m, 28, 28] and labels uint8 [m]."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError, OSError) as fault:
        raise ValueError(f"{file}: damaged or no JSON ({fault})") from fault
    if not isinstance(content, dict):
        raise ValueError(f"{file}: needs an object of users, got {type(content).__name__}")
    for key, kind in (("users", list), ("num_samples", list), ("user_data", dict)):
        if not isinstance(content.get(key), kind):
            raise ValueError(f"{file}: needs {key!r} ({kind.__name__}), as LEAF writes it")
    users, sizes, data = content["users"], content["num_samples"], content["user_data"]
    if not users or len(sizes) != len(users) or len(set(users)) != len(users):
        raise ValueError(
            f"{file}: needs distinct users and one entry of num_samples each, "
            f"got {len(users)} users and {len(sizes)} entries"
        )
    read = {}
    for user, size in zip(users, sizes, strict=True):
        entry = data.get(user)
        if not isinstance(entry, dict) or not entry.get("x") or not entry.get("y"):
            raise ValueError(f"{file}: user {user} is listed but has no data")
        try:
            x, y = np.asarray(entry["x"], dtype=np.float64), np.asarray(entry["y"])
        except (ValueError, TypeError) as fault:
            raise ValueError(f"{file}: user {user} needs x [m, 784] and y [m] ({fault})") from fault
        if x.ndim != 2 or x.shape[1] != 784 or y.shape != x.shape[:1] or len(y) != size:
            raise ValueError(
                f"{file}: user {user} needs x [{size}, 784] and y [{size}], "
                f"got {list(x.shape)} and {list(y.shape)}"
            )
        if y.dtype.kind not in "iu":
            raise ValueError(f"{file}: user {user} needs integer labels, got {y.dtype}")
        if y.min() < 0 or y.max() >= len(CLASSES):
            raise ValueError(
                f"{file}: user {user} needs labels 0 to 61, got {y.min()} to {y.max()}"
            )
        if not ((x >= 0) & (x <= 1)).all():
            raise ValueError(
                f"{file}: user {user} needs pixels in [0, 1], got {x.min()} to {x.max()}"
            )
        read[str(user)] = (
            np.rint(x * 255).astype(np.uint8).reshape(-1, 28, 28),
            y.astype(np.uint8),
        )
    return read


def _takes(source: str) -> bool:
    path = Path(source)
    return path.is_dir() or (len(path.parts) > 1 and not path.suffix)


def _read(source: str, *, seed: int, deduplicate: bool, **_: object) -> FederatedDataset:
    return read_leaf(source, seed=seed, deduplicate=deduplicate)


FORMAT = Format("a folder of LEAF JSON", _takes, _read)
