"""Read a federated data set from one NumPy archive."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np

from pdrr.data.dataset import FederatedDataset, without_repeats
from pdrr.data.formats import Format

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
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        images, labels, writer, ids, split = _arrays(path)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as fault:
        raise ValueError(f"{path}: damaged or no .npz archive ({fault})") from fault
    except ValueError as fault:  # NumPy's word for a damaged array or a pickled object
        raise ValueError(f"{path}: {fault}") from fault
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


def _arrays(path: Path) -> list[np.ndarray]:
    # Opened here: np.load leaves a file open that turns out not to be an archive.
    with path.open("rb") as file:
        archive = np.load(file, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise ValueError("needs an .npz archive, got a single array")
        missing = [key for key in _KEYS if key not in archive.files]
        if missing:
            raise ValueError(f"needs the arrays {', '.join(_KEYS)}, lacks {', '.join(missing)}")
        return [archive[key] for key in _KEYS]


def _takes(source: str) -> bool:
    return Path(source).suffix == ".npz"


def _read(source: str, *, deduplicate: bool, **_: object) -> FederatedDataset:
    return read_npz(source, deduplicate=deduplicate)


FORMAT = Format("a path ending in .npz", _takes, _read)
