"""The embedded writers look like FEMNIST's, and the readers of real files miss no fault."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import pdrr.data
import pdrr.data.glyphs as glyphs_module
from pdrr.data import CLASSES, FederatedDataset, load
from pdrr.data.glyphs import glyphs
from pdrr.data.leaf import read_leaf
from pdrr.data.npz import read_npz


@pytest.fixture(scope="module")
def embedded() -> FederatedDataset:
    return load("glyphs")


@pytest.fixture(scope="module")
def real() -> FederatedDataset:
    path = os.environ.get("PDRR_FEMNIST", "")
    if not Path(path).is_file():
        pytest.skip("PDRR_FEMNIST names no .npz file of real FEMNIST")
    return load(path)


def ink_statistics(images: np.ndarray) -> dict[str, np.ndarray]:
    """Measure each image's ink: box height, width and centre at half grey, and mean darkness."""
    height, width, row, column = [], [], [], []
    for image in images:
        rows, columns = np.nonzero(image < 128)
        height.append(rows.max() - rows.min() + 1)
        width.append(columns.max() - columns.min() + 1)
        row.append((rows.max() + rows.min()) / 2)
        column.append((columns.max() + columns.min()) / 2)
    ink = (255.0 - images.reshape(len(images), -1)).mean(axis=1) / 255
    return {
        "height": np.array(height),
        "width": np.array(width),
        "row": np.array(row),
        "column": np.array(column),
        "ink": ink,
    }


def check_statistics(data: FederatedDataset) -> None:
    """Compare with what was measured on 31,786 real images of 192 writers."""
    found = ink_statistics(data.images)
    for key, mean, mean_off, spread, spread_off in (
        ("height", 10.1, 0.4, 2.3, 0.3),
        ("width", 8.0, 0.4, 2.7, 0.3),
        ("row", 13.55, 0.1, 0.4, 0.1),
        ("column", 13.5, 0.1, 0.4, 0.1),
        ("ink", 0.038, 0.002, 0.014, 0.002),
    ):
        assert found[key].mean() == pytest.approx(mean, abs=mean_off), key
        assert found[key].std() == pytest.approx(spread, abs=spread_off), key


def counts_by_writer(data: FederatedDataset) -> np.ndarray:
    """Count the images of each writer and class, [k, 62]."""
    counts = np.zeros((len(data), 62), dtype=int)
    np.add.at(counts, (data.writer, data.labels), 1)
    return counts


def test_embedded_ink_matches_femnist(embedded: FederatedDataset) -> None:
    check_statistics(embedded)
    border = np.ones((28, 28), dtype=bool)
    border[2:-2, 2:-2] = False
    assert (embedded.images[:, border] == 255).all()
    # Nearly every character reaches full black somewhere, as pen on paper does.
    assert (embedded.images.min(axis=(1, 2)) < 64).mean() > 0.98


def test_real_ink_is_what_the_embedded_data_was_matched_to(real: FederatedDataset) -> None:
    assert len(real) == 192
    assert not real.synthetic
    check_statistics(real)
    border = np.ones((28, 28), dtype=bool)
    border[2:-2, 2:-2] = False
    assert (real.images[:, border] == 255).all(axis=1).mean() > 0.99
    check_class_mix(real)


def check_class_mix(data: FederatedDataset) -> None:
    """Check sizes and class mixes of 192 writers against FEMNIST's 103 to 356, mean 165.6."""
    counts = counts_by_writer(data)
    size = counts.sum(axis=1)
    assert 150 < size.mean() < 185
    assert 80 <= size.min() < 130
    assert 250 < size.max() <= 400
    digits = counts[:, :10].sum(axis=1) / size
    assert digits.mean() == pytest.approx(0.71, abs=0.03)
    assert digits.std() == pytest.approx(0.065, abs=0.02)
    assert digits.min() < 0.4
    assert digits.max() > 0.8
    assert (counts.sum(axis=0) > 100).all()
    assert 50 <= np.median((counts > 0).sum(axis=1)) <= 60


def test_embedded_writers_differ_in_classes_and_number(embedded: FederatedDataset) -> None:
    assert len(embedded) == 192
    assert embedded.synthetic
    assert "synthetic" in embedded.name
    check_class_mix(embedded)


def test_embedded_writers_differ_in_style(embedded: FederatedDataset) -> None:
    ink = (255.0 - embedded.images.reshape(len(embedded.images), -1)).mean(axis=1)
    writer = embedded.writer
    shuffled = np.random.default_rng(1).permutation(writer)

    def spread(groups: np.ndarray) -> float:
        return float(np.std(np.bincount(groups, ink) / np.bincount(groups)))

    assert spread(writer) > 5 * spread(shuffled)
    # The same digit by one hand is more alike than by two.
    twos = embedded.labels == 2
    pixels, hands = embedded.images[twos].astype(float), writer[twos]
    first = np.searchsorted(hands, np.unique(hands))
    own = np.abs(pixels[first] - pixels[first + 1]).mean()
    others = np.abs(pixels[first] - np.roll(pixels[first + 1], 1, axis=0)).mean()
    assert own < 0.85 * others


def test_embedded_characters_are_what_their_labels_say(embedded: FederatedDataset) -> None:
    """The mean image of a class by some writers is closest to the same class by others."""
    # Pairs that many hands, and NIST's own scorers, write alike are one character here.
    alike = {"0": "O", "o": "O", "1": "I", "l": "I"} | {c: c.upper() for c in "ciksuvwxzpmyj"}
    names = np.array([alike.get(c, c) for c in CLASSES])[embedded.labels]
    half = embedded.writer < 96
    kinds = np.unique(names)

    def means(side: np.ndarray) -> np.ndarray:
        ink = 255.0 - embedded.images.reshape(len(embedded.images), -1)
        rows = np.stack([ink[side & (names == kind)].mean(axis=0) for kind in kinds])
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    found = (means(half) @ means(~half).T).argmax(axis=1)
    assert (found == np.arange(len(kinds))).mean() > 0.9


def test_same_seed_same_data_whatever_follows() -> None:
    five, again, three, other = glyphs(5, 3), glyphs(5, 3), glyphs(3, 3), glyphs(3, 4)
    assert five.sha256 == again.sha256
    n = len(three.labels)
    np.testing.assert_array_equal(five.images[:n], three.images)
    np.testing.assert_array_equal(five.test[:n], three.test)
    assert not np.array_equal(three.images[:50], other.images[:50])


def test_data_has_not_changed_since_results_were_recorded() -> None:
    """A sum, not a hash: another machine's mathematical library may round one pixel otherwise."""
    data = glyphs(12)
    assert len(data.labels) == 1977
    assert int(data.labels.sum(dtype=int)) == GOLDEN_LABELS
    assert int(data.images.sum(dtype=int)) == pytest.approx(GOLDEN_PIXELS, abs=200)


GOLDEN_LABELS = 27559
GOLDEN_PIXELS = 380089572


def test_clients_and_halves_divide_the_images(embedded: FederatedDataset) -> None:
    data = load("glyphs", writers=20)
    assert len({image.tobytes() for image in data.images}) == len(data.images)

    def keys(x: np.ndarray) -> set[bytes]:
        return {image.tobytes() for image in x}

    trained: set[bytes] = set()
    for i in range(len(data)):
        x, y = data.train(i)
        assert x.shape == (len(y), 28, 28, 1)
        assert x.dtype == np.float32
        assert y.dtype == np.int32
        assert x.min() == 0
        assert x.max() == 1
        total = (data.writer == i).sum()
        assert len(y) == int(0.9 * total)
        assert not trained & keys(x)
        trained |= keys(x)
    auxiliary, labels = data.auxiliary()
    evaluation, _ = data.evaluation()
    assert abs(len(auxiliary) - len(evaluation)) <= 1
    assert not keys(auxiliary) & keys(evaluation)
    assert not trained & (keys(auxiliary) | keys(evaluation))
    assert len(trained) + len(auxiliary) + len(evaluation) == len(data.images)
    wrote = data.evaluation_writers()
    assert len(wrote) == len(evaluation)
    own = {i: keys(data.images[data.writer == i][..., None] / np.float32(255)) for i in set(wrote)}
    assert all(keys(x[None]) <= own[i] for x, i in zip(evaluation, wrote, strict=True))
    again, labels_again = data.auxiliary()
    np.testing.assert_array_equal(auxiliary, again)
    np.testing.assert_array_equal(labels, labels_again)
    # Both halves come from writers all over, not from the first and the last.
    sources = {data.images[r].tobytes(): data.writer[r] for r in np.flatnonzero(data.test)}
    for half in (auxiliary, evaluation):
        found = {sources[np.rint(x[..., 0] * 255).astype(np.uint8).tobytes()] for x in half}
        assert len(found) > 15
    with pytest.raises(ValueError, match="0 <= i < 20, got 20"):
        data.train(20)
    with pytest.raises(ValueError, match="got -1"):
        data.train(-1)
    assert len(embedded.auxiliary()[1]) == pytest.approx(3266 / 2, rel=0.05)


def test_summary_tells_the_numbers() -> None:
    data = glyphs(3)
    text = data.summary()
    for part in (
        "synthetic handwriting",
        "3 writers",
        data.sha256[:12],
        f"{len(data.labels)} images",
    ):
        assert part in text
    assert 4 <= len(text.splitlines()) <= 8


def test_importing_loads_neither_tensorflow_nor_pillow() -> None:
    code = "import sys, pdrr.data; print(*{'tensorflow', 'keras', 'PIL'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


# ---- the embedded atlas ------------------------------------------------------------------------


def test_every_font_has_its_licence() -> None:
    fonts = json.loads((glyphs_module.ATLAS / "fonts.json").read_text("utf-8"))["fonts"]
    assert len(fonts) >= 12
    for font in fonts:
        name = font["package"].split("/")[1]
        text = (glyphs_module.ATLAS / "LICENSES" / f"{name}.txt").read_text(encoding="utf-8")
        words = {"OFL-1.1": "SIL OPEN FONT LICENSE", "Apache-2.0": "Apache License"}
        assert words[font["licence"]] in text
        assert "Copyright" in text.splitlines()[1]
    assert len(list((glyphs_module.ATLAS / "LICENSES").iterdir())) == len(fonts)


@pytest.fixture
def atlas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    copy = tmp_path / "atlas"
    shutil.copytree(glyphs_module.ATLAS, copy)
    monkeypatch.setattr(glyphs_module, "ATLAS", copy)
    return copy


@pytest.mark.parametrize("name", ["glyphs.png", "fonts.json"])
def test_missing_atlas(atlas: Path, name: str) -> None:
    (atlas / name).unlink()
    with pytest.raises(FileNotFoundError, match=rf"{name}: .*missing; reinstall pdrr.*build_atlas"):
        load("glyphs", writers=1)


def test_damaged_atlas(atlas: Path) -> None:
    picture, index = atlas / "glyphs.png", atlas / "fonts.json"
    whole, about = picture.read_bytes(), index.read_text("utf-8")
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    for content in (whole[: len(whole) // 2], bytes(flipped), b"no picture", b""):
        picture.write_bytes(content)
        with pytest.raises(ValueError, match=r"damaged .*reinstall pdrr") as caught:
            load("glyphs", writers=1)
        assert "\n" not in str(caught.value)
    with Image.open(io.BytesIO(whole)) as opened:
        opened.putpixel((100, 100), 2)  # a sound picture, but another
        opened.save(picture)
    with pytest.raises(ValueError, match=r"damaged .*another hash"):
        load("glyphs", writers=1)
    picture.write_bytes(whole)
    for text in (
        "{",
        "[]",
        "{}",
        about.replace("0123", "1023"),
        about.replace(about[80:90], "0" * 10),
    ):
        index.write_text(text, "utf-8")
        with pytest.raises(ValueError, match=r"damaged .*reinstall pdrr"):
            load("glyphs", writers=1)


# ---- validation --------------------------------------------------------------------------------


def small(writers: int = 3, each: int = 20) -> FederatedDataset:
    """Make a tiny data set whose images are all different; the last tenth of each is held out."""
    rng = np.random.default_rng(7)
    n = writers * each
    images = np.full((n, 28, 28), 255, dtype=np.uint8)
    images[:, 8:20, 8:20] = rng.integers(0, 256, (n, 12, 12))
    return FederatedDataset(
        name="small",
        synthetic=True,
        images=images,
        labels=rng.integers(0, 62, n).astype(np.uint8),
        writer=np.repeat(np.arange(writers, dtype=np.uint16), each),
        writer_ids=tuple(f"f{i:04d}_00" for i in range(writers)),
        test=np.tile(np.arange(each) >= int(0.9 * each), writers),
    )


def fields(data: FederatedDataset) -> dict[str, Any]:
    keys = ("name", "synthetic", "images", "labels", "writer", "writer_ids", "test")
    return {key: getattr(data, key) for key in keys}


@pytest.mark.parametrize(
    ("key", "change", "message"),
    [
        ("images", lambda a: a[:, :27], r"images need shape .*got \[60, 27, 28\]"),
        ("images", lambda a: a / 255, r"images need .*uint8, got .*float64"),
        ("images", lambda a: a[:0], "n > 0"),
        ("images", lambda a: 255 - a, r"white background .* invert"),
        ("labels", lambda a: a[1:], r"labels need \[60\] uint8, got \[59\]"),
        ("labels", lambda a: a[0], r"labels need \[60\]"),
        ("labels", lambda a: a.astype(int), r"got .*int64"),
        ("labels", lambda a: np.full_like(a, 62), "<= 61, got 62"),
        ("writer", lambda a: a + 1, "index < 3, got 1 to 3"),
        ("writer", lambda a: a.astype(int) - 1, "got -1 to 1"),
        ("writer", lambda a: a.astype(float), r"writer need .*float64"),
        ("writer_ids", lambda a: (*a[:2], a[0]), "distinct, got 2 for 3"),
        ("writer_ids", lambda a: (*a, "f9"), "got none for f9"),
        ("test", lambda a: a.astype(np.uint8), r"test need .*uint8"),
        ("test", lambda a: a | (np.arange(60) // 20 == 1), "training image, got none for f0001_00"),
    ],
)
def test_dataset_refuses(key: str, change: Callable[..., object], message: str) -> None:
    given = fields(small())
    given[key] = change(given[key])
    with pytest.raises(ValueError, match=message):
        FederatedDataset(**given)


def test_hash_follows_content_only() -> None:
    data = small()
    same = FederatedDataset(**{**fields(data), "name": "x", "writer": data.writer.astype(np.int64)})
    assert same.sha256 == data.sha256
    flipped = data.images.copy()
    flipped[0, 10, 10] ^= 1
    changes = (
        {"images": flipped},
        {"labels": (data.labels + 1) % 62},
        {"writer_ids": ("a", "b", "c")},
        {"test": np.roll(data.test, 1)},
        {"writer": data.writer[::-1].copy()},
    )
    hashes = {FederatedDataset(**{**fields(data), **change}).sha256 for change in changes}
    assert len(hashes | {data.sha256}) == 6


@pytest.mark.parametrize("source", ["glyph", "femnist.json", "glyphs.npy", "nothing"])
def test_load_names_what_it_accepts(source: str) -> None:
    kinds = r"'glyphs', .*\.h5.*pictures.*LEAF.*\.npz or a \.parquet.*"
    with pytest.raises(ValueError, match=rf"load needs {kinds}, got '{source}'"):
        load(source)


def test_load_refuses_no_writers_and_seeds() -> None:
    with pytest.raises(ValueError, match="writers >= 1, got 0"):
        load("glyphs", writers=0)
    with pytest.raises(ValueError, match="seed >= 0, got"):
        glyphs(1, -1)


# ---- .npz --------------------------------------------------------------------------------------


def write_npz(path: Path, data: FederatedDataset, **changes: object) -> Path:
    arrays = {
        "images": data.images,
        "labels": data.labels,
        "writer": data.writer,
        "writer_ids": np.array(data.writer_ids),
        "split": data.test.astype(np.uint8),
    } | changes
    np.savez_compressed(path, **{k: v for k, v in arrays.items() if v is not None})  # type: ignore[arg-type]
    return path


def test_npz_round_trip_and_choice_of_writers(tmp_path: Path) -> None:
    data = small(8)
    path = write_npz(tmp_path / "some.npz", data)
    read = load(path, writers=8)
    assert read.sha256 == data.sha256
    assert not read.synthetic
    assert read.name == "FEMNIST (LEAF, some.npz)"
    np.testing.assert_array_equal(read.train(5)[1], data.train(5)[1])

    some = load(str(path), writers=4, seed=1)
    assert len(some) == 4
    assert "4 of 8" in some.name
    positions = [data.writer_ids.index(name) for name in some.writer_ids]
    assert positions == sorted(positions)
    for i, position in enumerate(positions):
        np.testing.assert_array_equal(some.train(i)[0], data.train(position)[0])
    assert load(path, writers=4, seed=1).sha256 == some.sha256
    assert len({load(path, writers=4, seed=s).writer_ids for s in range(6)}) > 1
    with pytest.raises(ValueError, match=r"some\.npz.*needs 9 writers, has 8: take a larger share"):
        load(path, writers=9)


def test_npz_without_repeats_keeps_the_training_copy(tmp_path: Path) -> None:
    data = small()
    images = data.images.copy()
    images[1] = images[0]  # twice in training
    images[38] = images[25]  # writer 1: held out first, then in training
    images[41] = images[0]  # another writer's is no repeat
    held_out = data.test.copy()
    held_out[[25, 38]] = True, False
    path = write_npz(tmp_path / "twice.npz", data, images=images, split=held_out)
    assert len(load(path, writers=3).labels) == 60
    read = load(path, writers=3, deduplicate=True)
    kept = np.setdiff1d(np.arange(60), [1, 25])
    np.testing.assert_array_equal(read.images, images[kept])
    np.testing.assert_array_equal(read.test, held_out[kept])
    np.testing.assert_array_equal(read.labels, data.labels[kept])
    assert "without repeats" in read.name


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"split": None}, "lacks split"),
        ({"images": None, "labels": None}, "lacks images, labels"),
        ({"images": np.zeros((60, 28, 28))}, "uint8, got .*float64"),
        ({"images": np.zeros((60, 784), np.uint8)}, r"got \[60, 784\]"),
        ({"images": np.zeros((60, 28, 28), np.uint8)}, "white background"),
        ({"labels": np.full(60, 99, np.uint8)}, "got 99"),
        ({"writer": np.zeros(60, np.uint16)}, "got none for f0001_00, f0002_00"),
        ({"writer_ids": np.arange(3)}, "of str, got"),
        ({"writer_ids": np.array(["a", "b", None], dtype=object)}, "(?i)pickle|object"),
        ({"split": np.full(60, 2, np.uint8)}, r"0 \(train\) or 1 \(test\), got \[2\]"),
        ({"split": np.zeros(59, np.uint8)}, r"test need \[60\]"),
    ],
)
def test_npz_faults(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    path = write_npz(tmp_path / "bad.npz", small(), **changes)
    with pytest.raises(ValueError, match=message) as caught:
        load(path, writers=3)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_npz_damaged_or_missing(tmp_path: Path) -> None:
    whole = write_npz(tmp_path / "whole.npz", small()).read_bytes()
    path = tmp_path / "part.npz"
    flipped = bytearray(whole)
    flipped[2000] ^= 0xFF  # inside the compressed images
    for content in (b"", b"no archive", whole[: len(whole) // 2], whole[:-30], bytes(flipped)):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"part\.npz: ") as caught:
            load(path)
        assert caught.value.__cause__ is not None
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(ValueError, match=r"part\.npz: damaged or no \.npz archive"):
        load(path)
    with pytest.raises(FileNotFoundError, match=r"gone\.npz"):
        load(tmp_path / "gone.npz")
    with pytest.raises(ValueError, match="needs a file, got a folder"):
        read_npz(tmp_path)


# ---- LEAF JSON ---------------------------------------------------------------------------------


def leaf_json(data: FederatedDataset, rows: np.ndarray) -> dict[str, object]:
    """Write some rows as LEAF does."""
    users = {}
    for i, name in enumerate(data.writer_ids):
        mine = rows[data.writer[rows] == i]
        if len(mine):
            x = (data.images[mine].reshape(-1, 784) / 255.0).round(6).tolist()
            users[name] = {"x": x, "y": data.labels[mine].tolist()}
    return {
        "users": list(users),
        "num_samples": [len(entry["y"]) for entry in users.values()],
        "user_data": users,
    }


def write_leaf(folder: Path, data: FederatedDataset, **rows: np.ndarray) -> Path:
    for name, chosen in rows.items():
        part = folder / name.split("__")[0]
        part.mkdir(parents=True, exist_ok=True)
        (part / f"{name}.json").write_text(json.dumps(leaf_json(data, chosen)), "utf-8")
    return folder


def test_leaf_train_and_test_give_the_same_data_as_npz(tmp_path: Path) -> None:
    data = small()
    train, held_out = np.flatnonzero(~data.test), np.flatnonzero(data.test)
    first = data.writer < 2  # two files a part, as LEAF writes 100 users a file
    folder = write_leaf(
        tmp_path / "leaf",
        data,
        train__0=train[first[train]],
        train__1=train[~first[train]],
        test__0=held_out[first[held_out]],
        test__1=held_out[~first[held_out]],
    )
    read = load(folder, writers=3)
    assert read.sha256 == data.sha256
    assert read.writer_ids == data.writer_ids
    assert read.name == "FEMNIST (LEAF, leaf)"
    assert not read.synthetic


@pytest.mark.parametrize("sub", ["", "all_data"])
def test_leaf_without_split_is_split_within_writers(tmp_path: Path, sub: str) -> None:
    data = small()
    part = tmp_path / "leaf" / sub
    part.mkdir(parents=True)
    (part / "all_data_0.json").write_text(json.dumps(leaf_json(data, np.arange(60))), "utf-8")
    read = load(tmp_path / "leaf", writers=3)
    np.testing.assert_array_equal(read.images, data.images)
    np.testing.assert_array_equal(read.labels, data.labels)
    np.testing.assert_array_equal(np.bincount(read.writer, read.test), [2, 2, 2])
    assert load(tmp_path / "leaf", writers=3).sha256 == read.sha256
    others = [load(tmp_path / "leaf", writers=3, seed=s).test for s in range(1, 4)]
    assert any(not np.array_equal(read.test, other) for other in others)


def test_leaf_without_repeats(tmp_path: Path) -> None:
    data = small()
    first_twice = np.sort(np.append(np.arange(60), [0, 20, 40]))  # group_by_writer.py's fault
    folder = write_leaf(tmp_path / "leaf", data, all_data=first_twice)
    assert len(read_leaf(folder).labels) == 63
    read = read_leaf(folder, deduplicate=True)
    np.testing.assert_array_equal(read.images, data.images)
    np.testing.assert_array_equal(read.labels, data.labels)
    assert read.test.sum() == 6

    # Divided by LEAF, the two copies may be on both sides: the training copy stays.
    train, held_out = np.flatnonzero(~data.test), np.flatnonzero(data.test)
    both = write_leaf(tmp_path / "b", data, train=train, test=np.append(held_out, [0, 20, 40]))
    assert read_leaf(both).test.sum() == 9
    assert read_leaf(both, deduplicate=True).sha256 == data.sha256


def faulty(change: str) -> object:
    """Make LEAF's content with one fault."""
    content = json.loads(json.dumps(leaf_json(small(), np.arange(60))))
    users, sizes, entries = content["users"], content["num_samples"], content["user_data"]
    entry = entries["f0001_00"]
    match change:
        case "no object":
            return [1]
        case "no users":
            del content["users"]
        case "no user_data":
            del content["user_data"]
        case "empty":
            content.update(users=[], num_samples=[])
        case "sizes":
            sizes.pop()
        case "repeated user":
            users[2] = users[1]
        case "user without data":
            del entries["f0001_00"]
        case "user with nothing":
            entry.update(x=[], y=[])
        case "pixel too large":
            entry["x"][3][5] = 1.5
        case "pixel not a number":
            entry["x"][3][5] = float("nan")
        case "bytes for floats":
            entry["x"] = [[255 * v for v in row] for row in entry["x"]]
        case "short image":
            entry["x"] = [row[:783] for row in entry["x"]]
        case "ragged":
            entry["x"][0] = entry["x"][0][:700]
        case "words":
            entry["x"][0] = ["white"] * 784
        case "fewer labels":
            entry["y"].pop()
        case "fewer than listed":
            sizes[1] = 21
        case "label 62":
            entry["y"][0] = 62
        case "label -1":
            entry["y"][0] = -1
        case "label 1.5":
            entry["y"][0] = 1.5
        case "label as text":
            entry["y"] = ["3"] * 20
        case "black background":
            for one in entries.values():
                one["x"] = [[1 - v for v in row] for row in one["x"]]
    return content


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("no object", "an object of users, got list"),
        ("no users", "needs 'users'"),
        ("no user_data", "needs 'user_data'"),
        ("empty", "distinct users .*got 0 users"),
        ("sizes", "got 3 users and 2 entries"),
        ("repeated user", "distinct users"),
        ("user without data", "user 'f0001_00' is listed but has no data"),
        ("user with nothing", "user 'f0001_00' is listed but has no data"),
        ("pixel too large", r"f0001_00' .*\[0, 1\], got .* to 1.5"),
        ("pixel not a number", r"f0001_00' .*\[0, 1\], got nan"),
        ("bytes for floats", r"\[0, 1\], got .* to 255"),
        ("short image", r"got \[20, 783\]"),
        ("ragged", r"f0001_00' .*784"),
        ("words", r"f0001_00' .*784"),
        ("fewer labels", r"y \[20\], got .* and \[19\]"),
        ("fewer than listed", r"y \[21\], got .* and \[20\]"),
        ("label 62", r"0 to 61, got .* to 62"),
        ("label -1", "0 to 61, got -1"),
        ("label 1.5", "integer labels"),
        ("label as text", "integer labels"),
        ("black background", "white background .*invert"),
    ],
)
def test_leaf_faults(tmp_path: Path, change: str, message: str) -> None:
    (tmp_path / "data.json").write_text(json.dumps(faulty(change)), "utf-8")
    with pytest.raises(ValueError, match=message) as caught:
        load(tmp_path, writers=3)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_leaf_damaged_or_missing(tmp_path: Path) -> None:
    data = small()
    whole = json.dumps(leaf_json(data, np.arange(60)))
    for content in (b"", whole[:5000].encode(), b"\xff\xfe\xfd", b"{'users': 1}"):
        (tmp_path / "data.json").write_bytes(content)
        with pytest.raises(ValueError, match=r"data\.json: damaged") as caught:
            load(tmp_path)
        assert caught.value.__cause__ is not None
    (tmp_path / "data.json").unlink()
    with pytest.raises(ValueError, match=r"LEAF JSON.* which holds nothing"):
        load(tmp_path)
    with pytest.raises(FileNotFoundError, match="json"):
        read_leaf(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"gone: no such file or folder"):
        load(tmp_path / "gone")
    train, held_out = np.flatnonzero(~data.test), np.flatnonzero(data.test)
    with pytest.raises(FileNotFoundError, match="test"):
        load(write_leaf(tmp_path / "half", data, train=train), writers=3)
    short = write_leaf(tmp_path / "short", data, train=train[18:], test=held_out)
    with pytest.raises(ValueError, match="training image, got none for f0000_00"):
        load(short, writers=3)


TOY = """
from dataclasses import replace
from pdrr.data.formats import Format
from pdrr.data.glyphs import glyphs

FORMAT = Format(
    "the word toy",
    lambda source: source == "toy",
    lambda source, *, writers, seed, deduplicate: replace(glyphs(writers, seed), name="toys"),
)
"""


def test_a_new_format_is_one_file(tmp_path, monkeypatch):
    (tmp_path / "toy_format.py").write_text(TOY, "utf-8")
    monkeypatch.setattr(pdrr.data, "__path__", [*pdrr.data.__path__, str(tmp_path)])
    assert load("toy", writers=3).name == "toys"
    with pytest.raises(ValueError, match="'glyphs', .* or the word toy, got 'toys'"):
        load("toys")
