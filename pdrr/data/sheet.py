"""A contact sheet: one picture with some characters of some writers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pdrr.core.files import atomic
from pdrr.data.dataset import CLASSES, FederatedDataset

if TYPE_CHECKING:
    from PIL import Image

_CELL, _LEFT, _TOP = 30, 70, 16  # pixels


def contact_sheet(data: FederatedDataset, writers: int = 12, classes: int = 62) -> Image.Image:
    """Draw one character of each class by each of some writers.

    Parameters
    ----------
    data : FederatedDataset
        Whose characters.
    writers : int
        At most so many, taken in even steps.
    classes : int
        At most so many of the classes there are, taken in even steps.

    Returns
    -------
    PIL.Image.Image
        Grey; a row for each writer, a column for each class. What a writer has not written is left
        grey.

    Examples
    --------
    >>> from pdrr import data
    >>> from pdrr.data.sheet import contact_sheet
    >>> contact_sheet(data.load("glyphs", writers=2), classes=10).size
    (370, 76)
    """
    from PIL import Image, ImageDraw

    rows = _even(np.arange(len(data)), writers)
    columns = _even(np.unique(data.labels), classes)
    sheet = Image.new("L", (_LEFT + _CELL * len(columns), _TOP + _CELL * len(rows)), 225)
    pen = ImageDraw.Draw(sheet)
    for j, label in enumerate(columns):
        pen.text((_LEFT + _CELL * j + 11, 2), CLASSES[label], fill=0)
    for i, writer in enumerate(rows):
        pen.text((2, _TOP + _CELL * i + 9), _name(data.writer_ids[writer]), fill=0)
        mine = np.flatnonzero(data.writer == writer)
        for j, label in enumerate(columns):
            wrote = mine[data.labels[mine] == label]
            if len(wrote):
                place = _LEFT + _CELL * j + 1, _TOP + _CELL * i + 1
                sheet.paste(Image.fromarray(data.images[wrote[0]]), place)
    return sheet


def write_sheet(data: FederatedDataset, path: Path) -> None:
    """Write `contact_sheet` to a PNG file, whole or not at all."""
    check_name(path)
    sheet = contact_sheet(data)
    with atomic(path) as aside:
        sheet.save(aside, "PNG")


def check_name(path: Path) -> None:
    """Refuse a name that does not end in .png."""
    if path.suffix.lower() != ".png":
        raise ValueError(f"{path}: a contact sheet needs a name that ends in .png")


def _even(values: np.ndarray, most: int) -> np.ndarray:
    """At most so many of the values, in even steps."""
    some: np.ndarray = values[
        np.linspace(0, len(values) - 1, min(most, len(values))).round().astype(int)
    ]
    return some


def _name(text: str) -> str:
    """A writer's name, as far as it fits and as the font has letters for it."""
    return text.encode("ascii", "replace").decode()[:11]
