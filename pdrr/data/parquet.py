"""Read FEMNIST as on the Hugging Face hub, ``flwrlabs/femnist``: Parquet files of PNG images."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from pdrr.data.dataset import CLASSES, FederatedDataset, split_within_writers
from pdrr.data.formats import Format
from pdrr.data.gathering import (
    Rows,
    as_labels,
    assembled,
    check_count,
    choice,
    chosen_name,
    held_out_here,
)
from pdrr.data.pictures import decoded
from pdrr.data.places import entries, plain_file

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

_LARGEST = 1 << 33  # bytes of one file
_UNPACKED = 1 << 31  # bytes of one row group
_SHARD = re.compile(r"(.*)-(\d{5})-of-(\d{5})\.parquet")


def read_parquet(
    path: str | Path, *, writers: int | None = None, seed: int = 0, deduplicate: bool = False
) -> FederatedDataset:
    """Read images, writers and characters from one Parquet file or a folder of shards.

    Parameters
    ----------
    path : path of a file or folder
        With the columns ``image`` (a struct with PNG ``bytes``), ``writer_id`` (text) and
        ``character`` (0 to 61, or the character). A folder holds ``*.parquet`` in itself or in
        ``data``; shards named ``test-*`` are test images. Without such, a tenth of each writer's
        images is held out here.
    writers : int, optional
        Decode only so many writers, chosen as `pdrr.data.load` does.
    seed : int
        Seeds that choice and the division.
    deduplicate : bool
        Drop exact repeats of an image by the same writer.

    Returns
    -------
    FederatedDataset
        Writers in the order of their first rows. A black background is made white.

    Raises
    ------
    FileNotFoundError
        If there is no such file, no Parquet file in the folder, or a shard is missing.
    ValueError
        If a file is damaged or does not hold such a data set; the message names the file.
    ModuleNotFoundError
        If pyarrow or Pillow is not installed.
    """
    path = Path(path)
    files = _files(path)
    divided = any(test for _, test in files)
    divided_here = not divided and not deduplicate
    with ExitStack() as opened:
        shards = [_Shard(f, test, opened.enter_context(_opened(f))) for f, test in files]
        check_count(sum(shard.opened.metadata.num_rows for shard in shards), path)
        writer, test, ids = _writers(shards)
        if divided_here:  # the same as if all writers were read
            order = np.argsort(writer, kind="stable")
            test[order] = split_within_writers(writer[order], np.random.default_rng(seed))
        kept = choice(len(ids), len(ids) if writers is None or deduplicate else writers, seed)
        rows = np.flatnonzero(np.isin(writer, kept))
        images, labels = _pictures(shards, rows)
    own = np.searchsorted(kept, writer[rows]).astype(np.int32)
    return assembled(
        Rows(
            images,
            labels,
            own,
            test[rows],
            tuple(ids[i] for i in kept),
            divided_here,
            (held_out_here(seed),) if divided_here else (),
        ),
        path,
        chosen_name(f"FEMNIST (Parquet, {path.name})", len(kept), len(ids)),
        split_seed=None if divided or divided_here else seed,
        deduplicate=deduplicate,
        inverts=True,
    )


def _files(path: Path) -> list[tuple[Path, bool]]:
    """The files to read, and whether each holds test images."""
    if not path.is_dir():
        return [(path, False)]
    files = entries(path, ".parquet") or entries(path / "data", ".parquet")
    if not files:
        raise FileNotFoundError(f"{path}: needs *.parquet files, has none")
    names = {file.name for file in files}
    for match in filter(None, map(_SHARD.fullmatch, sorted(names))):
        for i in range(min(int(match[3]), 10_000)):
            wanted = f"{match[1]}-{i:05d}-of-{match[3]}.parquet"
            if wanted not in names:
                raise FileNotFoundError(f"{files[0].parent / wanted}: this shard is missing")
    return [(file, file.name.startswith("test")) for file in files]


@contextmanager
def _refused(file: Path) -> Iterator[None]:
    """Turn what pyarrow says of a damaged file into one line that names it."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError, IndexError) as fault:
        said = str(fault).splitlines()[0] if str(fault) else type(fault).__name__
        raise ValueError(f"{file}: damaged or no Parquet file ({said})") from fault


@dataclass
class _Shard:
    path: Path
    test: bool
    opened: pq.ParquetFile


@contextmanager
def _opened(file: Path) -> Iterator[pq.ParquetFile]:
    """A file whose columns are those that are needed, and of a size that can be read."""
    import pyarrow.parquet as pq

    plain_file(file, _LARGEST)
    with _refused(file):
        opened = pq.ParquetFile(file)
    with opened:
        _check_columns(opened, file)
        for group in range(opened.num_row_groups):
            # not asked column by column: in a damaged file, that ends the process
            size = opened.metadata.row_group(group).total_byte_size
            if not 0 <= size <= _UNPACKED:
                raise ValueError(
                    f"{file}: needs row groups of at most {_UNPACKED:,} bytes, got {size:,}"
                )
        yield opened


def _check_columns(opened: pq.ParquetFile, file: Path) -> None:
    from pyarrow import types

    with _refused(file):
        schema = opened.schema_arrow
    texts = (types.is_string, types.is_large_string)
    for name, kinds in (
        ("image", (_is_picture,)),
        ("writer_id", texts),
        ("character", (types.is_integer, *texts)),
    ):
        if schema.names.count(name) != 1:
            raise ValueError(
                f"{file}: needs the columns image, writer_id, character, got "
                f"{', '.join(schema.names[:8])}"
            )
        kind = schema.field(name).type
        if not any(accepts(kind) for accepts in kinds):
            raise ValueError(f"{file}: needs another column {name!r} than one of {kind}")
    names = _class_names(schema.metadata or {})
    if names is not None and names != list(CLASSES):
        raise ValueError(
            f"{file}: needs the classes 0-9 A-Z a-z in this order, got {' '.join(names)[:130]}"
        )


def _is_picture(kind: pa.DataType) -> bool:
    from pyarrow import types

    if types.is_struct(kind):
        index = kind.get_field_index("bytes")
        return index >= 0 and _is_picture(kind.field(index).type)
    return bool(types.is_binary(kind) or types.is_large_binary(kind))


def _class_names(metadata: dict[bytes, bytes]) -> list[str] | None:
    """The names of the classes, where the `datasets` library has written them down."""
    try:
        told = json.loads(metadata[b"huggingface"])["info"]["features"]["character"]["names"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return None  # nothing is said of them, or not so
    return [str(name) for name in told] if isinstance(told, list) else None


def _batches(shards: list[_Shard], *columns: str) -> Iterator[tuple[_Shard, pa.RecordBatch]]:
    """All shards' rows, row group by row group."""
    for shard in shards:
        with _refused(shard.path):
            for batch in shard.opened.iter_batches(4096, columns=list(columns)):
                for name in columns:
                    if batch.column(name).null_count:
                        raise ValueError(f"{shard.path}: needs {name} in every row, lacks some")
                yield shard, batch


def _writers(
    shards: list[_Shard],
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.bool_], list[str]]:
    """The writer of each row as a position in the last, and whether it is a test image."""
    ids: dict[str, int] = {}
    writer, test = [], []
    for shard, batch in _batches(shards, "writer_id"):
        coded = batch.column("writer_id").dictionary_encode()
        with _refused(shard.path):
            names = [ids.setdefault(name, len(ids)) for name in coded.dictionary.to_pylist()]
        writer.append(np.array(names, np.int32)[coded.indices.to_numpy()])
        test.append(np.full(len(batch), shard.test))
    return np.concatenate(writer), np.concatenate(test), list(ids)


def _pictures(
    shards: list[_Shard], rows: npt.NDArray[np.intp]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Images [m, 28, 28] and labels [m] of these rows, ascending."""
    images = np.empty((len(rows), 28, 28), np.uint8)
    labels = np.empty(len(rows), np.uint8)
    first = done = 0
    with tqdm(total=len(rows), desc="images", unit="image", leave=False, disable=None) as bar:
        for shard, batch in _batches(shards, "image", "character"):
            here = rows[done : np.searchsorted(rows, first + len(batch))] - first
            part = slice(done, done + len(here))
            pictures = batch.column("image")
            if hasattr(pictures, "field"):
                pictures = pictures.field("bytes")
            labels[part] = _labels(batch.column("character"), shard.path)[here]
            for place, row in enumerate(here, done):
                content = pictures[int(row)].as_py()
                images[place] = decoded(content or b"", f"{shard.path}: row {first + row}")
            first, done = first + len(batch), done + len(here)
            bar.update(len(here))
    return images, labels


def _labels(column: pa.Array, file: Path) -> npt.NDArray[np.uint8]:
    """Characters, or their numbers, as labels."""
    from pyarrow import types

    if types.is_integer(column.type):
        return as_labels(column.to_numpy(), f"{file}:")
    with _refused(file):
        texts = column.to_pylist()
    known = dict(zip(CLASSES, range(len(CLASSES)), strict=True))
    for text in set(texts) - set(known):
        raise ValueError(f"{file}: needs characters 0-9 A-Z a-z, got {text[:20]!r}")
    return np.array([known[text] for text in texts], np.uint8)


def _takes(source: str) -> bool:
    path = Path(source)
    return path.suffix == ".parquet" or any(
        entries(folder, ".parquet") for folder in (path, path / "data")
    )


def _read(source: str, *, writers: int | None, seed: int, deduplicate: bool) -> FederatedDataset:
    return read_parquet(source, writers=writers, seed=seed, deduplicate=deduplicate)


FORMAT = Format(
    "a .parquet file or a folder of them",
    _takes,
    _read,
    "NIST Special Database 19, grouped by LEAF (BSD-2-Clause); flwrlabs/femnist: BSD-2-Clause",
)
