"""Federated data sets: the embedded synthetic handwriting, and readers of real FEMNIST.

Importing this package loads NumPy only; SciPy and Pillow are loaded when glyphs are drawn.
"""

from __future__ import annotations

import os

import numpy as np

from pdrr.data.dataset import CLASSES, FederatedDataset
from pdrr.data.formats import formats

__all__ = ["CLASSES", "FederatedDataset", "load"]


def load(
    source: str | os.PathLike[str],
    *,
    writers: int = 192,
    seed: int = 0,
    deduplicate: bool = False,
) -> FederatedDataset:
    """Load the data set that one setting names.

    Parameters
    ----------
    source : str or path
        ``"glyphs"`` for the embedded synthetic handwriting, an ``.npz`` file, or a folder of LEAF
        JSON files.
    writers : int
        Number of clients. Of a larger data set, this many are chosen and kept in file order.
    seed : int
        Seeds the synthetic writers, the choice of writers and, where LEAF has made none, the
        split into training and test images.
    deduplicate : bool
        Drop exact repeats of an image by the same writer (see `pdrr.data.leaf`). The synthetic
        writers have none.

    Returns
    -------
    FederatedDataset
        With exactly `writers` clients.

    Raises
    ------
    FileNotFoundError
        If the named file or folder does not exist.
    ValueError
        If `source` is none of these, is damaged, or has too few writers.

    Examples
    --------
    >>> from pdrr import data
    >>> drawn = data.load("glyphs", writers=2)
    >>> len(drawn), drawn.synthetic, drawn.images.shape[1:]
    (2, True, (28, 28))
    """
    if writers < 1:
        raise ValueError(f"load needs writers >= 1, got {writers}")
    named = os.fspath(source)
    for each in formats():
        if each.takes(named):
            data = each.read(named, writers=writers, seed=seed, deduplicate=deduplicate)
            return _choose(data, writers, seed)
    *others, last = (each.words for each in formats())
    raise ValueError(f"load needs {', '.join(others)} or {last}, got {named!r}")


def _choose(data: FederatedDataset, writers: int, seed: int) -> FederatedDataset:
    """Keep a seeded choice of `writers` clients, in their order."""
    if len(data) < writers:
        raise ValueError(f"{data.name}: needs {writers} writers, has {len(data)}")
    if len(data) == writers:
        return data
    chosen = np.sort(np.random.default_rng(seed).choice(len(data), writers, replace=False))
    rows = np.flatnonzero(np.isin(data.writer, chosen))
    return FederatedDataset(
        name=f"{data.name}, {writers} of {len(data)} writers",
        synthetic=data.synthetic,
        images=data.images[rows],
        labels=data.labels[rows],
        writer=np.searchsorted(chosen, data.writer[rows]),
        writer_ids=tuple(data.writer_ids[i] for i in chosen),
        test=data.test[rows],
    )
