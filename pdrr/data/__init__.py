"""Federated data sets: the embedded synthetic handwriting, and readers of real FEMNIST.

Importing this package loads NumPy only; SciPy and Pillow are loaded when glyphs are drawn.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from pdrr.data.dataset import CLASSES, FederatedDataset
from pdrr.data.formats import Format, formats
from pdrr.data.gathering import choice, chosen_name
from pdrr.data.orientation import lies_on_its_side
from pdrr.data.places import entries

__all__ = ["CLASSES", "FederatedDataset", "load"]


def load(
    source: str | os.PathLike[str],
    *,
    writers: int | None = 192,
    seed: int = 0,
    deduplicate: bool = False,
) -> FederatedDataset:
    """Load the data set that one setting names.

    Parameters
    ----------
    source : str or path
        ``"glyphs"`` for the embedded synthetic handwriting, an ``.npz`` file, a folder of LEAF
        JSON files, ``.parquet`` files as ``flwrlabs/femnist`` on the Hugging Face hub has them,
        ``.h5`` files of TensorFlow Federated, or a folder of pictures by writer.
    writers : int, optional
        Number of clients. Of a larger data set, this many are chosen and kept in file order; None
        keeps all, or draws 192.
    seed : int
        Seeds the synthetic writers, the choice of writers and, where the source has none, the
        split into training and test images.
    deduplicate : bool
        Drop exact repeats of an image by the same writer (see `pdrr.data.leaf`). The synthetic
        writers have none.

    Returns
    -------
    FederatedDataset
        With exactly `writers` clients; the same whichever format the data came in.

    Raises
    ------
    FileNotFoundError
        If the named file or folder does not exist.
    ValueError
        If `source` is none of these, is damaged, has too few writers, or its characters lie on
        their side; the message names the file.
    ModuleNotFoundError
        If the format needs a library that is not installed.

    Examples
    --------
    >>> from pdrr import data
    >>> drawn = data.load("glyphs", writers=2)
    >>> len(drawn), drawn.synthetic, drawn.images.shape[1:]
    (2, True, (28, 28))
    """
    if writers is not None and writers < 1:
        raise ValueError(f"load needs writers >= 1, got {writers}")
    found = _choose(
        read(source, writers=writers, seed=seed, deduplicate=deduplicate), writers, seed
    )
    if not found.synthetic and lies_on_its_side(found.images):
        raise ValueError(
            f"{os.fspath(source)}: needs upright characters, got such as are wider than high: "
            "EMNIST's raw files are transposed, swap rows and columns"
        )
    return found


def read(
    source: str | os.PathLike[str],
    *,
    writers: int | None = None,
    seed: int = 0,
    deduplicate: bool = False,
) -> FederatedDataset:
    """Read the data set that one setting names, whichever way its characters lie.

    Parameters
    ----------
    source, seed, deduplicate
        As `load` takes them.
    writers : int, optional
        So many will do; a reader may return more.

    Returns
    -------
    FederatedDataset

    Raises
    ------
    FileNotFoundError, ValueError, ModuleNotFoundError
        As `load`.
    """
    return format_of(source).read(
        os.fspath(source), writers=writers, seed=seed, deduplicate=deduplicate
    )


def format_of(source: str | os.PathLike[str]) -> Format:
    """The format that a source is in.

    Raises
    ------
    FileNotFoundError
        If `source` names a place where nothing is.
    ValueError
        If it is of no format that is known.
    """
    named = os.fspath(source)
    known = formats()
    for each in known:
        if each.takes(named):
            return each
    path = Path(named)
    if len(path.parts) > 1 and not path.exists():
        raise FileNotFoundError(f"{named}: no such file or folder")
    *others, last = (each.words for each in known)
    held = f", which holds {_held(path)}" if path.is_dir() else ""
    raise ValueError(f"load needs {', '.join(others)} or {last}, got {named!r}{held}")


def _held(folder: Path) -> str:
    """The first few names in a folder."""
    names = [repr(path.name) for path in entries(folder)]
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "") or "nothing"


def _choose(data: FederatedDataset, writers: int | None, seed: int) -> FederatedDataset:
    """Keep a seeded choice of `writers` clients, in their order."""
    if writers is None or len(data) == writers:
        return data
    if len(data) < writers:
        raise ValueError(
            f"{data.name}: needs {writers} writers, has {len(data)}: "
            "take a larger share of the data (of LEAF's, by --sf)"
        )
    chosen = choice(len(data), writers, seed)
    rows = np.flatnonzero(np.isin(data.writer, chosen))
    return FederatedDataset(
        name=chosen_name(data.name, writers, len(data)),
        synthetic=data.synthetic,
        images=data.images[rows],
        labels=data.labels[rows],
        writer=np.searchsorted(chosen, data.writer[rows]),
        writer_ids=tuple(data.writer_ids[i] for i in chosen),
        test=data.test[rows],
        notes=data.notes,
    )
