"""Rows that a reader has found, put together the same way whichever format they came from."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pdrr.data.dataset import (
    CLASSES,
    FederatedDataset,
    corner_means,
    split_within_writers,
    without_repeats,
)

MOST = 5_000_000  # images of one data set; FEMNIST has 817,851


def check_count(n: int, where: object) -> None:
    """Refuse a number of images that no data set has, before anything is allocated for them."""
    if not 0 < n <= MOST:
        raise ValueError(f"{where}: needs 1 to {MOST:,} images, got {n:,}")


def choice(k: int, writers: int, seed: int) -> npt.NDArray[np.intp]:
    """A seeded choice of `writers` among `k`, ascending, int [writers]; all where k is no more."""
    if writers >= k:
        return np.arange(k)
    return np.sort(np.random.default_rng(seed).choice(k, writers, replace=False))


def chosen_name(name: str, writers: int, k: int) -> str:
    """The name of a data set of which only some writers were kept."""
    return name if writers == k else f"{name}, {writers} of {k} writers"


def held_out_here(seed: int) -> str:
    """The note on a division that the source has not made."""
    return f"a tenth of each writer's images was held out here (seed {seed})"


def as_labels(y: npt.NDArray[Any], where: str) -> npt.NDArray[np.uint8]:
    """Labels of any integer type as uint8, [m]; refused unless 0 to 61."""
    if y.dtype.kind not in "iu":
        raise ValueError(f"{where} needs integer labels, got {y.dtype}")
    if len(y) and (int(y.min()) < 0 or int(y.max()) >= len(CLASSES)):
        raise ValueError(f"{where} needs labels 0 to 61, got {y.min()} to {y.max()}")
    return y.astype(np.uint8)


def as_images(x: npt.NDArray[Any], where: str) -> npt.NDArray[np.uint8]:
    """Pixels in [0, 1], of any shape, as the nearest of the 256 levels they come from."""
    if x.dtype == np.uint8:
        return x
    if x.dtype.kind != "f":
        raise ValueError(f"{where} needs pixels of float or uint8, got {x.dtype}")
    if not ((x >= 0) & (x <= 1)).all():
        raise ValueError(f"{where} needs pixels in [0, 1], got {x.min()} to {x.max()}")
    levels: npt.NDArray[np.uint8] = np.rint(x * 255).astype(np.uint8)
    return levels


@dataclass
class Gathered:
    """Rows of a data set, added writer by writer.

    Attributes
    ----------
    where : path
        The file or folder, for messages.
    """

    where: Path
    _ids: dict[str, int] = field(default_factory=dict)
    _origin: dict[tuple[str, bool], Path] = field(default_factory=dict)
    _pieces: list[tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8], int, bool]] = field(
        default_factory=list
    )
    _count: int = 0

    def add(
        self,
        user: str,
        images: npt.NDArray[np.uint8],
        labels: npt.NDArray[np.uint8],
        *,
        test: bool,
        file: Path,
    ) -> None:
        """Add all images [m, 28, 28] and labels [m] that one writer has in one part.

        Raises
        ------
        ValueError
            If another file has brought images of this writer and part, or there are too many.
        """
        first = self._origin.setdefault((user, test), file)
        if first != file:
            raise ValueError(f"{file}: writer {user!r} is also in {first}, for the same part")
        self._count += len(labels)
        check_count(self._count, self.where)
        self._pieces.append((images, labels, self._ids.setdefault(user, len(self._ids)), test))

    def dataset(
        self, name: str, *, divided: bool, seed: int, deduplicate: bool, inverts: bool = False
    ) -> FederatedDataset:
        """All that was added: writers in the order of their first rows. See `assembled`."""
        check_count(self._count, self.where)
        images = np.concatenate([piece[0] for piece in self._pieces])
        labels = np.concatenate([piece[1] for piece in self._pieces])
        sizes = [len(piece[1]) for piece in self._pieces]
        writer = np.repeat(np.array([piece[2] for piece in self._pieces], np.int32), sizes)
        test = np.repeat(np.array([piece[3] for piece in self._pieces], bool), sizes)
        self._pieces.clear()
        return assembled(
            Rows(images, labels, writer, test, tuple(self._ids)),
            self.where,
            name,
            split_seed=None if divided else seed,
            deduplicate=deduplicate,
            inverts=inverts,
        )


@dataclass
class Rows:
    """Images [n, 28, 28], labels [n], writers [n] as positions in `ids`, test [n], in any order.

    `divided_here` says that `test` is not the source's: each writer's rows then stay in their
    order. `notes` say what was done to them.
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.uint8]
    writer: npt.NDArray[np.int32]
    test: npt.NDArray[np.bool_]
    ids: tuple[str, ...]
    divided_here: bool = False
    notes: tuple[str, ...] = ()

    def take(self, rows: npt.NDArray[np.intp]) -> None:
        """Keep these rows, in this order."""
        if not np.array_equal(rows, np.arange(len(self.labels))):
            self.images, self.labels = self.images[rows], self.labels[rows]
            self.writer, self.test = self.writer[rows], self.test[rows]


def assembled(
    rows: Rows,
    where: Path,
    name: str,
    *,
    split_seed: int | None,
    deduplicate: bool,
    inverts: bool = False,
) -> FederatedDataset:
    """Make a data set of rows: by writer, in their order.

    Where the source has divided them, each writer's training images come first.

    Parameters
    ----------
    rows : Rows
        What was read.
    where : path
        The file or folder, for messages.
    name : str
        The data set's name.
    split_seed : int, optional
        Seeds a division into training and test images; None where the source has made one.
    deduplicate : bool
        Drop exact repeats of an image by the same writer.
    inverts : bool
        Whether a dark background in every part is turned white, with a note, or refused.

    Returns
    -------
    FederatedDataset

    Raises
    ------
    ValueError
        If the rows are no data set; the message names `where`.
    """
    given = rows.test & (not rows.divided_here)
    rows.take(np.lexsort((given, rows.writer)))  # stable: equal keys keep their order
    if deduplicate:
        rows.take(without_repeats(rows.images, rows.writer, rows.test))
        name += " without repeats"
    if inverts:
        corners = corner_means(rows.images, rows.writer, rows.test, len(rows.ids))
        if (np.isnan(corners) | (corners < 128)).all():
            np.subtract(255, rows.images, out=rows.images)
            rows.notes += ("a black background was made white",)
    if split_seed is not None:
        rows.test = split_within_writers(rows.writer, np.random.default_rng(split_seed))
        rows.notes += (held_out_here(split_seed),)
    try:
        return FederatedDataset(
            name=name,
            synthetic=False,
            images=rows.images,
            labels=rows.labels,
            writer=rows.writer,
            writer_ids=rows.ids,
            test=rows.test,
            notes=rows.notes,
        )
    except ValueError as fault:
        raise ValueError(f"{where}: {fault}") from fault
