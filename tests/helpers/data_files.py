"""Small data sets in each format on disk, and the made-up characters that are in them."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from pdrr.data import CLASSES, FederatedDataset
from pdrr.data.npz import write_npz


def toy(writers: int = 3, each: int = 10, seed: int = 7) -> FederatedDataset:
    """Noise on white paper, `each` images a writer, by label in each part; a fifth held out."""
    rng = np.random.default_rng(seed)
    n = writers * each
    images = np.full((n, 28, 28), 255, dtype=np.uint8)
    images[:, 8:20, 8:20] = rng.integers(0, 256, (n, 12, 12))
    test = np.tile(np.arange(each) >= each - max(1, each // 5), writers)
    writer = np.repeat(np.arange(writers, dtype=np.uint16), each)
    labels = rng.integers(0, 62, n).astype(np.uint8)
    return FederatedDataset(
        name="toy",
        synthetic=False,
        images=images,
        labels=labels[np.lexsort((labels, test, writer))],
        writer=writer,
        writer_ids=tuple(f"f{i:04d}_{i % 7:02d}" for i in range(writers)),
        test=test,
    )


def parts(data: FederatedDataset, *, divided: bool) -> Iterator[tuple[str, str, np.ndarray]]:
    """Part, writer and rows of each piece of a data set; all is "train" if not divided."""
    for part in ("train", "test") if divided else ("train",):
        for i, user in enumerate(data.writer_ids):
            mine = data.writer == i
            yield (
                part,
                user,
                np.flatnonzero(mine & (data.test == (part == "test")) if divided else mine),
            )


def png(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def leaf(folder: Path, data: FederatedDataset, *, divided: bool = True) -> Path:
    """As LEAF's split_data.py, or what it starts from."""
    contents: dict[str, dict] = {}
    for part, user, rows in parts(data, divided=divided):
        content = contents.setdefault(part, {"users": [], "num_samples": [], "user_data": {}})
        content["users"].append(user)
        content["num_samples"].append(len(rows))
        content["user_data"][user] = {
            "x": (data.images[rows].reshape(-1, 784) / 255).tolist(),
            "y": data.labels[rows].tolist(),
        }
    for part, content in contents.items():
        name = f"all_data_0_niid_0_keep_0_{part}_9.json" if divided else "all_data_0.json"
        path = folder / (part if divided else "all_data") / name
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(content), "utf-8")
    return folder


def npz(folder: Path, data: FederatedDataset, *, divided: bool = True) -> Path:
    assert divided, "an archive always has its division"
    folder.mkdir()
    write_npz(folder / "toy.npz", data)
    return folder / "toy.npz"


def table(data: FederatedDataset, rows: np.ndarray, *, names: bool = True, **columns: object):
    """Rows as the `datasets` library writes them; with the names of its ClassLabel, or without."""
    import pyarrow as pa

    found = {
        "image": pa.array(
            [{"bytes": png(data.images[row]), "path": None} for row in rows],
            pa.struct({"bytes": pa.binary(), "path": pa.string()}),
        ),
        "writer_id": pa.array([data.writer_ids[i] for i in data.writer[rows]], pa.string()),
        "hsf_id": pa.array([0] * len(rows), pa.int64()),
        "character": pa.array(data.labels[rows].tolist(), pa.int64()),
    } | columns
    made = pa.table({name: column for name, column in found.items() if column is not None})
    features = {"character": {"names": list(CLASSES), "_type": "ClassLabel"}}
    told = {"huggingface": json.dumps({"info": {"features": features}})}
    return made.replace_schema_metadata(told) if names else made


def parquet(folder: Path, data: FederatedDataset, *, divided: bool = True) -> Path:
    """As a snapshot of the hub: shards in `data`, cut anywhere, row groups of seven rows."""
    import pyarrow.parquet as pq

    (folder / "data").mkdir(parents=True)
    for part in ("train", "test") if divided else ("train",):
        rows = np.concatenate([r for p, _, r in parts(data, divided=divided) if p == part])
        shards = np.array_split(rows, 2)
        for i, shard in enumerate(shards):
            path = folder / "data" / f"{part}-{i:05d}-of-{len(shards):05d}.parquet"
            pq.write_table(table(data, shard), path, row_group_size=7)
    return folder


def hdf5(folder: Path, data: FederatedDataset, *, divided: bool = True) -> Path:
    """As TensorFlow Federated's archive has them."""
    import h5py

    folder.mkdir()
    for part, user, rows in parts(data, divided=divided):
        name = f"fed_emnist_{part}.h5" if divided else "fed_emnist.h5"
        with h5py.File(folder / name, "a") as file:
            pixels = (data.images[rows] / 255).astype(np.float32)
            file[f"examples/{user}/pixels"] = pixels
            file[f"examples/{user}/label"] = data.labels[rows].astype(np.int32)
    return folder if divided else folder / "fed_emnist.h5"


def images(folder: Path, data: FederatedDataset, *, divided: bool = True) -> Path:
    """Numbered folders for the first writer, characters in the names of files for the others."""
    for part, user, rows in parts(data, divided=divided):
        for row in rows:
            label = int(data.labels[row])
            name = f"{label:02d}/{row:05d}" if user == data.writer_ids[0] else ""
            name = name or f"{CLASSES[label]}_{row:05d}"
            path = folder / (part if divided else "") / user / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(png(data.images[row]))
    return folder


FORMATS = {"leaf": leaf, "npz": npz, "parquet": parquet, "hdf5": hdf5, "images": images}
