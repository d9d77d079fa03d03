"""Read folders of pictures, one folder a writer."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from pdrr.data.dataset import CLASSES, FederatedDataset
from pdrr.data.formats import Format
from pdrr.data.gathering import Gathered, check_count
from pdrr.data.pictures import LARGEST, decoded
from pdrr.data.places import entries, plain_file

_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")


def read_images(
    folder: str | Path, *, seed: int = 0, deduplicate: bool = False
) -> FederatedDataset:
    """Read pictures of 28 x 28 pixels from ``<writer>/<label>/*.png``.

    Parameters
    ----------
    folder : path of a folder
        With a folder for each writer, in itself or in ``train`` and ``test``; without these, a
        tenth of each writer's images is held out here. A writer's folder holds folders named by
        label, or pictures named ``<label>_<anything>.png``. A label is the character or its
        number, 0 to 61; use numbers where the disk does not tell ``a`` from ``A``. PNG, JPEG and
        BMP are read. Names that begin with a dot are skipped.
    seed : int
        Seeds that division.
    deduplicate : bool
        Drop exact repeats of an image by the same writer.

    Returns
    -------
    FederatedDataset
        Writers by name, and each one's images by label, then by name; those in ``train``
        first. A black background is made white.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    ValueError
        If anything in it is something else; the message names it.
    ModuleNotFoundError
        If Pillow is not installed.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder")
    parts = _parts(folder)
    found = [(part, test, _pictures(part)) for part, test in parts]
    check_count(sum(len(files) for _, _, writers in found for files in writers.values()), folder)
    gathered = Gathered(folder)
    for part, test, writers in found:
        for user, files in writers.items():
            images = np.stack([_picture(file) for _, file in files])
            labels = np.array([label for label, _ in files], np.uint8)
            gathered.add(user, images, labels, test=test, file=part / user)
    return gathered.dataset(
        f"pictures ({folder.name})",
        divided=len(parts) == 2,
        seed=seed,
        deduplicate=deduplicate,
        inverts=True,
    )


def _parts(folder: Path) -> list[tuple[Path, bool]]:
    """The folders of writers, and whether each holds test images."""
    if (folder / "train").is_dir() and (folder / "test").is_dir():
        return [(folder / "train", False), (folder / "test", True)]
    return [(folder, False)]


def _picture(file: Path) -> np.ndarray:
    return decoded(plain_file(file, LARGEST).read_bytes(), str(file))


def _pictures(part: Path) -> dict[str, list[tuple[int, Path]]]:
    """Each writer's labels and files, in their order."""
    writers = {}
    for writer in entries(part):
        files = sorted(_labelled(_folder(writer)))
        if not files:
            raise ValueError(f"{writer}: needs pictures, has none")
        writers[writer.name] = files
    return writers


def _folder(path: Path) -> Path:
    if path.is_symlink():
        raise ValueError(f"{path}: is a link, and links to folders are not followed")
    if not path.is_dir():
        raise ValueError(f"{path}: needs folders <writer>/<label>/*.png, got something else")
    return path


def _labelled(writer: Path) -> Iterator[tuple[int, Path]]:
    """Label and file of each picture in a writer's folder."""
    for path in entries(writer):
        is_picture = path.suffix.lower() in _SUFFIXES
        label = _label(path.name.partition("_")[0] if is_picture else path.name)
        if label is None:
            raise ValueError(
                f"{path}: needs a label, 0 to 61 or a character 0-9 A-Z a-z, as its name or "
                "before its first _"
            )
        if is_picture:
            yield label, path
            continue
        for file in entries(_folder(path)):
            if file.suffix.lower() not in _SUFFIXES:
                raise ValueError(f"{file}: needs a PNG, JPEG or BMP picture")
            yield label, file


def _label(text: str) -> int | None:
    """The label that a name tells: a character, or a number from 0 to 61."""
    if len(text) == 1 and text in CLASSES:
        return CLASSES.index(text)
    if text.isascii() and text.isdigit() and len(text) <= 3 and int(text) < len(CLASSES):
        return int(text)
    return None


def _takes(source: str) -> bool:
    """Whether one of the first few writers has something that is named by a label."""
    writers = (w for part, _ in _parts(Path(source)) for w in entries(part))
    return any(
        _label(path.name.partition("_")[0]) is not None
        for writer in islice(writers, 3)
        for path in entries(writer)
    )


def _read(source: str, *, seed: int, deduplicate: bool, **_: object) -> FederatedDataset:
    return read_images(source, seed=seed, deduplicate=deduplicate)


FORMAT = Format("a folder of pictures by writer", _takes, _read)
