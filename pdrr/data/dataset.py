"""One federated data set: handwritten characters, each belonging to one writer (one client)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

CLASSES = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
"""The character of each label: digits 0-9, capitals 10-35, small letters 36-61."""


@dataclass(frozen=True, eq=False)
class FederatedDataset:
    """Characters of many writers, split into training and test images within each writer.

    Parameters
    ----------
    name : str
        What a caption should call the data.
    synthetic : bool
        True where no person wrote the characters.
    images : array [n, 28, 28] uint8
        255 is the white background, 0 is ink.
    labels : array [n] uint8
        Position in `CLASSES`, 0 to 61.
    writer : array [n] of an integer type
        Position in `writer_ids`.
    writer_ids : tuple of str
        One name per client.
    test : array [n] bool
        True for images that no client trains on.
    notes : tuple of str
        What a reader did to the file's content, such as inverting it.

    Attributes
    ----------
    sha256 : str
        Hexadecimal hash of everything above but `name`, `synthetic` and `notes`: the same content
        gives the same hash whichever file format it came from.

    Raises
    ------
    ValueError
        If the arrays do not fit together, the background is dark in the training or the test
        images of a writer, or a writer has no training image.
    """

    name: str
    synthetic: bool
    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.uint8]
    writer: npt.NDArray[np.integer]
    writer_ids: tuple[str, ...]
    test: npt.NDArray[np.bool_]
    notes: tuple[str, ...] = ()
    sha256: str = field(init=False)

    def __post_init__(self) -> None:
        """Refuse what no data set can be, and hash the rest."""
        k = len(self.writer_ids)
        if self.images.ndim != 3 or self.images.shape[1:] != (28, 28) or len(self.images) == 0:
            raise ValueError(f"images need shape [n, 28, 28], n > 0, got {_what(self.images)}")
        n = len(self.images)
        for key, array, shape, kind in (
            ("images", self.images, (n, 28, 28), np.uint8),
            ("labels", self.labels, (n,), np.uint8),
            ("writer", self.writer, (n,), np.integer),
            ("test", self.test, (n,), np.bool_),
        ):
            if array.shape != shape or not np.issubdtype(array.dtype, kind):
                raise ValueError(f"{key} need {list(shape)} {kind.__name__}, got {_what(array)}")
        if int(self.labels.max()) >= len(CLASSES):
            raise ValueError(f"labels need 0 <= label <= 61, got {self.labels.max()}")
        for name in self.writer_ids:
            if not name.isprintable():  # control characters, and bytes that are no text
                raise ValueError(f"writer_ids need to be printable text, got {name!r}")
        distinct = len(set(self.writer_ids))
        if distinct != k:
            raise ValueError(f"writer_ids need to be distinct, got {distinct} for {k} writers")
        if int(self.writer.min()) < 0 or int(self.writer.max()) >= k:
            raise ValueError(
                f"writer need 0 <= index < {k}, got {self.writer.min()} to {self.writer.max()}"
            )
        trained = np.bincount(self.writer[~self.test].astype(np.intp), minlength=k)
        if not trained.all():
            raise ValueError(
                "every writer needs at least one training image, got none for "
                + ", ".join(self.writer_ids[i] for i in np.flatnonzero(trained == 0)[:5])
            )
        self._check_background(corner_means(self.images, self.writer, self.test, k))
        object.__setattr__(self, "sha256", self._hash())

    def _check_background(self, corners: npt.NDArray[np.float64]) -> None:
        dark = corners < 128
        if not dark.any():
            return
        if (dark | np.isnan(corners)).all():
            raise ValueError(
                "images need a white background (255, or 1.0), got corners of mean "
                f"{np.nanmean(corners) / 255:.2f}: invert them"
            )
        i, held_out = np.argwhere(dark)[0]
        raise ValueError(
            "images need one background in all parts, got a dark one in "
            f"{int(dark.sum())} of {int((~np.isnan(corners)).sum())}, first in the "
            f"{('training', 'test')[held_out]} images of {self.writer_ids[i]}"
        )

    def _hash(self) -> str:
        digest = hashlib.sha256()
        # Fixed little-endian types, so that neither the platform nor the reader's choice counts.
        for array, dtype in (
            (self.images, "u1"),
            (self.labels, "u1"),
            (self.writer, "<u4"),
            (self.test, "u1"),
        ):
            digest.update(np.ascontiguousarray(array, dtype=dtype).tobytes())
        digest.update("\0".join(self.writer_ids).encode())
        return digest.hexdigest()

    def __len__(self) -> int:
        """Return the number of writers, that is of clients."""
        return len(self.writer_ids)

    def _pixels(self, rows: npt.NDArray[np.intp]) -> tuple[np.ndarray, np.ndarray]:
        x = self.images[rows, :, :, np.newaxis].astype(np.float32) / np.float32(255)
        return x, self.labels[rows].astype(np.int32)

    def train(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the training images and labels of client `i`.

        Parameters
        ----------
        i : int
            Position in `writer_ids`.

        Returns
        -------
        array [m, 28, 28, 1] float32
            Pixels in [0, 1]; 1 is the background.
        array [m] int32
            Labels, 0 to 61.

        Raises
        ------
        ValueError
            If there is no such client.
        """
        if not 0 <= i < len(self):
            raise ValueError(f"a client needs 0 <= i < {len(self)}, got {i}")
        return self._pixels(np.flatnonzero((self.writer == i) & ~self.test))

    def _test_halves(self) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        # The same division on every call and machine: the two halves must never overlap.
        pooled = np.random.default_rng(0).permutation(np.flatnonzero(self.test))
        half = len(pooled) // 2
        return np.sort(pooled[:half]), np.sort(pooled[half:])

    def auxiliary(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the half of all clients' test images that the server owns (section 5.1).

        Returns
        -------
        array [m, 28, 28, 1] float32, array [m] int32
            As `train`; disjoint from `evaluation`.
        """
        return self._pixels(self._test_halves()[0])

    def evaluation(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the half of all clients' test images that measures the model (section 5.1).

        Returns
        -------
        array [m, 28, 28, 1] float32, array [m] int32
            As `train`; disjoint from `auxiliary`.
        """
        return self._pixels(self._test_halves()[1])

    def evaluation_writers(self) -> npt.NDArray[np.intp]:
        """Return who wrote each image of `evaluation`: positions in `writer_ids`, int [m]."""
        return self.writer[self._test_halves()[1]].astype(np.intp)

    def summary(self) -> str:
        """Describe the data in a few lines for a person to read."""
        counts = np.bincount(self.writer.astype(np.intp), minlength=len(self))
        kinds = np.bincount(np.digitize(self.labels, [10, 36]), minlength=3) / len(self.labels)
        return "\n".join(
            (
                f"{self.name}, sha256 {self.sha256[:12]}",
                f"{len(self)} writers, {len(self.labels):,} images of "
                f"{np.unique(self.labels).size} classes",
                f"per writer {counts.min()} to {counts.max()}, mean {counts.mean():.1f}",
                f"train {int((~self.test).sum()):,}, test {int(self.test.sum()):,}",
                f"digits {kinds[0]:.0%}, capitals {kinds[1]:.0%}, small letters {kinds[2]:.0%}",
            )
        )


def _what(array: np.ndarray) -> str:
    return f"{list(array.shape)} {array.dtype}"


def corner_means(
    images: npt.NDArray[np.uint8],
    writer: npt.NDArray[np.integer],
    test: npt.NDArray[np.bool_],
    k: int,
) -> npt.NDArray[np.float64]:
    """Brightness of the four corners in each part: of `k` writers' training and test images.

    Parameters
    ----------
    images : array [n, 28, 28] uint8
        Pixels.
    writer : array [n] of an integer type
        Writer of each image, 0 to k - 1.
    test : array [n] bool
        True for test images.
    k : int
        Number of writers.

    Returns
    -------
    array [k, 2] float64
        0 to 255; nan where a part has no image.
    """
    part = 2 * writer.astype(np.intp) + test
    total = np.bincount(part, images[:, ::27, ::27].mean(axis=(1, 2)), 2 * k)
    count = np.bincount(part, minlength=2 * k)
    means = np.full(2 * k, np.nan)
    means[count > 0] = total[count > 0] / count[count > 0]
    return means.reshape(k, 2)


def split_within_writers(
    writer: npt.NDArray[np.integer], rng: np.random.Generator, fraction: float = 0.9
) -> npt.NDArray[np.bool_]:
    """Hold out a tenth of each writer's images, as LEAF's ``-t sample --tf 0.9`` does.

    Parameters
    ----------
    writer : array [n] of an integer type
        Writer of each image.
    rng : Generator
        Chooses the images.
    fraction : float
        Share that is trained on, rounded down, but never none of a writer's images.

    Returns
    -------
    array [n] bool
        True for test images.
    """
    test = np.zeros(len(writer), dtype=bool)
    for i in np.unique(writer):
        rows = rng.permutation(np.flatnonzero(writer == i))
        test[rows[max(1, int(fraction * len(rows))) :]] = True
    return test


def without_repeats(
    images: npt.NDArray[np.uint8],
    writer: npt.NDArray[np.integer],
    test: npt.NDArray[np.bool_],
) -> npt.NDArray[np.intp]:
    """Find the rows that are left when exact repeats of an image by one writer are dropped.

    LEAF's ``group_by_writer.py`` writes each writer's first image twice; the two may land on
    either side of the split. The copy that is kept is a training image if there is one.

    Parameters
    ----------
    images : array [n, 28, 28] uint8
        Pixels.
    writer : array [n] of an integer type
        Writer of each image.
    test : array [n] bool
        True for test images.

    Returns
    -------
    array [m] int, ascending
        Rows to keep.
    """
    seen: set[tuple[int, bytes]] = set()  # hashes: a large set's pixels are held once
    kept = []
    for row in np.argsort(test, kind="stable"):
        key = (int(writer[row]), hashlib.sha256(images[row].tobytes()).digest())
        if key not in seen:
            seen.add(key)
            kept.append(int(row))
    return np.sort(np.array(kept, dtype=np.intp))
