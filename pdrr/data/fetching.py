"""Download FEMNIST once, check it, and keep it as one small archive."""

from __future__ import annotations

import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import shorten

import numpy as np

from pdrr.data import load
from pdrr.data.dataset import FederatedDataset
from pdrr.data.downloads import from_the_hub, from_the_web
from pdrr.data.npz import write_npz
from pdrr.data.places import entries

REPOSITORY = "flwrlabs/femnist"
ARCHIVE = "https://storage.googleapis.com/tff-datasets-public/fed_emnist.tar.bz2"
# the one that TensorFlow Federated's own emnist.load_data compared it with
ARCHIVE_SHA256 = "fe1ed5a502cea3a952eb105920bff8cffb32836b5173cb18a57a32c3606f3ea0"
_HALVES = ("fed_emnist_train.h5", "fed_emnist_test.h5")
_UNPACKED = 1 << 33  # bytes of one half


@dataclass(frozen=True)
class Origin:
    """Where FEMNIST can be had.

    Attributes
    ----------
    download : callable
        ``download(folder)`` puts the checked files there.
    by_hand : str
        What to get, where nothing can be downloaded.
    """

    download: Callable[[Path], None]
    by_hand: str


ORIGINS = {
    "huggingface": Origin(
        lambda folder: from_the_hub(REPOSITORY, folder),
        f"the .parquet files under https://huggingface.co/datasets/{REPOSITORY}/tree/main/data",
    ),
    "tff": Origin(
        lambda folder: from_the_web(ARCHIVE, ARCHIVE_SHA256, folder),
        f"{ARCHIVE} (not unpacked)",
    ),
}


def default_folder() -> Path:
    """Where data sets are kept: ``$PDRR_CACHE/data``, or that in the user's cache folder."""
    import platformdirs

    return Path(os.environ.get("PDRR_CACHE") or platformdirs.user_cache_dir("pdrr")) / "data"


def fetch(
    origin: str,
    folder: Path,
    *,
    writers: int | None = None,
    limit: int | None = None,
    seed: int = 0,
) -> Path:
    """FEMNIST as one ``.npz`` file: made on the first call, found on the next.

    Parameters
    ----------
    origin : str
        ``"huggingface"`` (flwrlabs/femnist) or ``"tff"`` (TensorFlow Federated's archive).
    folder : path
        Gets the archive, and the downloaded files in a folder named like `origin`. Files that
        were put there by hand are taken instead of a download.
    writers : int, optional
        Keep so many writers, chosen by `seed`.
    limit : int, optional
        Keep at most so many training and as many test images of each writer, the first ones.
    seed : int
        Seeds the choice and, for what comes undivided, the split.

    Returns
    -------
    path
        Of the archive. It is complete, or not there.

    Raises
    ------
    ValueError
        If `origin` is unknown, a number is below 1, or a download is not what it should be.
    OSError
        If nothing can be downloaded; the message tells how to do it by hand.
    """
    if origin not in ORIGINS:
        raise ValueError(f"fetch needs one of {', '.join(ORIGINS)}, got {origin!r}")
    _check_numbers(writers=writers, limit=limit)
    target = folder / f"{_stem(origin, writers, limit, seed)}.npz"
    if target.is_file():
        return target
    raw = folder / origin
    if not entries(raw):
        _download(origin, raw)
    with _unpacked(raw) as source:
        converted(source, target, writers=writers, limit=limit, seed=seed)
    return target


def converted(
    source: str | os.PathLike[str],
    target: Path,
    *,
    writers: int | None = None,
    limit: int | None = None,
    seed: int = 0,
) -> None:
    """Write a data set of any format to one ``.npz`` file, whole or not at all.

    Parameters
    ----------
    source : str or path
        As `pdrr.data.load` takes it.
    target : path
        Of the file.
    writers, limit, seed
        As `fetch` takes them.

    Raises
    ------
    FileNotFoundError, ValueError, ModuleNotFoundError
        As `pdrr.data.load`; if `target` has another ending, or a number is below 1.
    """
    _check_numbers(writers=writers, limit=limit)
    if target.suffix != ".npz":
        raise ValueError(f"{target}: needs a name that ends in .npz")
    write_npz(target, _limited(load(source, writers=writers, seed=seed), limit))


def _check_numbers(**numbers: int | None) -> None:
    for name, number in numbers.items():
        if number is not None and number < 1:
            raise ValueError(f"{name} needs to be >= 1, got {number}")


def _stem(origin: str, writers: int | None, limit: int | None, seed: int) -> str:
    words = [f"femnist-{origin}"]
    words += [f"{writers}-writers"] if writers is not None else []
    words += [f"at-most-{limit}"] if limit is not None else []
    return "-".join([*words, f"seed-{seed}"] if seed else words)


def _download(origin: str, raw: Path) -> None:
    chosen = ORIGINS[origin]
    try:
        chosen.download(raw)
    except OSError as fault:
        said = shorten(str(fault), 160, placeholder=" ...")
        raise OSError(
            f"no download from {origin} ({said}); by hand: put {chosen.by_hand} into "
            f"{raw} and run this again"
        ) from fault


@contextmanager
def _unpacked(raw: Path) -> Iterator[Path]:
    """What was downloaded, out of its archive for as long as it is read."""
    archives = entries(raw, ".bz2")
    if not archives:
        yield raw
        return
    with tempfile.TemporaryDirectory(prefix=".unpacked-", dir=raw) as aside:
        _unpack(archives[0], Path(aside))
        yield Path(aside)


def _unpack(archive: Path, folder: Path) -> None:
    """Take the two files that are wanted out of a tar archive, and nothing else."""
    try:
        with tarfile.open(archive, "r:bz2") as opened:
            for member in opened:
                if member.name.removeprefix("./") not in _HALVES:
                    continue
                content = opened.extractfile(member) if member.isreg() else None
                if content is None or member.size > _UNPACKED:
                    raise ValueError(f"{archive}: {member.name} is no file that can be unpacked")
                with (folder / Path(member.name).name).open("wb") as file:
                    shutil.copyfileobj(content, file, 1 << 20)
    except (tarfile.TarError, EOFError, OSError) as fault:
        raise ValueError(f"{archive}: damaged or no .tar.bz2 archive ({fault})") from fault
    missing = [name for name in _HALVES if not (folder / name).is_file()]
    if missing:
        raise ValueError(f"{archive}: needs {' and '.join(_HALVES)}, lacks {missing[0]}")


def _limited(data: FederatedDataset, limit: int | None) -> FederatedDataset:
    """At most `limit` training and test images of each writer."""
    if limit is None:
        return data
    part = 2 * data.writer.astype(np.intp) + data.test
    order = np.argsort(part, kind="stable")
    first = np.searchsorted(part[order], part[order])  # where each one's part begins
    rows = np.sort(order[np.arange(len(order)) - first < limit])
    return replace(
        data,
        images=data.images[rows],
        labels=data.labels[rows],
        writer=data.writer[rows],
        test=data.test[rows],
    )
