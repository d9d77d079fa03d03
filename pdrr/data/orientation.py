"""Tell upright characters from those that lie on their side, as in EMNIST's raw files."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_ENOUGH = 200  # images; 2,000 draws of so many from FEMNIST had ratios of 1.18 or more
_LOOKED_AT = 5_000


def height_to_width(images: npt.NDArray[np.uint8]) -> float:
    """How many times as high as wide the ink is, in the mean.

    Handwritten characters are higher than wide: 1.26 in FEMNIST, so 0.79 where rows and columns
    have been swapped or the images turned by a quarter. A mirror image cannot be told so.

    Parameters
    ----------
    images : array [n, 28, 28] uint8
        0 is ink; of more than 5,000 images, so many in even steps are looked at.

    Returns
    -------
    float
        Mean height by mean width of the boxes around what is darker than half; nan without ink.
    """
    some = images[np.linspace(0, len(images) - 1, min(len(images), _LOOKED_AT)).astype(np.intp)]
    some = some[(some < 128).any(axis=(1, 2))]
    if not len(some):
        return float("nan")
    high, wide = (_extent(np.any(some < 128, axis=axis)) for axis in (2, 1))
    return float(high.mean() / wide.mean())


def _extent(marked: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
    """From the first to the last marked place of each row, int [n]."""
    before, after = marked.argmax(axis=1), marked[:, ::-1].argmax(axis=1)
    extent: npt.NDArray[np.intp] = marked.shape[1] - after - before
    return extent


def lies_on_its_side(images: npt.NDArray[np.uint8]) -> bool:
    """Whether these are enough images to say so, and their characters are wider than high."""
    return len(images) >= _ENOUGH and height_to_width(images) < 0.9
