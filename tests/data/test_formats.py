"""Five formats, one data set: the same content has the same hash whichever file it came from."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from helpers import data_files
from helpers.data_files import FORMATS, toy
from pdrr.data import CLASSES, format_of, load, read
from pdrr.data.hdf5 import read_hdf5
from pdrr.data.images import read_images
from pdrr.data.leaf import read_leaf
from pdrr.data.npz import read_npz
from pdrr.data.orientation import height_to_width, lies_on_its_side
from pdrr.data.parquet import read_parquet

READERS = {
    "leaf": read_leaf,
    "npz": read_npz,
    "parquet": read_parquet,
    "hdf5": read_hdf5,
    "images": read_images,
}
UNDIVIDED = [kind for kind in FORMATS if kind != "npz"]


def by_label(data):
    """The rows of each writer by label: the order in which folders of pictures are read."""
    order = np.lexsort((data.labels, data.writer))
    return replace(data, images=data.images[order], labels=data.labels[order])


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_gives_the_same_data_set(tmp_path, kind):
    data = toy()
    path = FORMATS[kind](tmp_path / "some", data)
    found = load(path, writers=None)
    assert found.sha256 == data.sha256
    assert found.writer_ids == data.writer_ids
    assert not found.synthetic
    assert found.notes == ()
    assert READERS[kind](path).sha256 == data.sha256
    assert load(str(path), writers=3).sha256 == data.sha256


@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(1, 4), st.integers(2, 6), st.integers(0, 1000))
def test_whatever_the_numbers_all_formats_agree(tmp_path_factory, writers, each, seed):
    data = toy(writers, each, seed)
    folder = tmp_path_factory.mktemp("formats")
    found = {kind: load(FORMATS[kind](folder / kind, data), writers=None) for kind in FORMATS}
    assert {kind: each.sha256 for kind, each in found.items()} == dict.fromkeys(
        FORMATS, data.sha256
    )
    shutil.rmtree(folder)


def test_what_is_not_divided_is_divided_alike_in_every_format(tmp_path):
    data = by_label(toy())
    found = {}
    for kind in UNDIVIDED:
        path = FORMATS[kind](tmp_path / kind, data, divided=False)
        found[kind] = load(path, writers=None, seed=5)
        assert found[kind].notes == ("a tenth of each writer's images was held out here (seed 5)",)
        assert load(path, writers=None, seed=6).sha256 != found[kind].sha256
    assert len({each.sha256 for each in found.values()}) == 1
    held_out = found["leaf"].test.reshape(3, 10).sum(axis=1)
    np.testing.assert_array_equal(held_out, [1, 1, 1])


@pytest.mark.parametrize("divided", [True, False])
@pytest.mark.parametrize("deduplicate", [True, False])
def test_a_choice_of_writers_is_the_same_in_every_format(tmp_path, divided, deduplicate):
    data = by_label(toy(8)) if not divided else toy(8)
    kinds = FORMATS if divided else UNDIVIDED
    found = {}
    for kind in kinds:
        path = FORMATS[kind](tmp_path / kind, data, divided=divided)
        found[kind] = load(path, writers=3, seed=1, deduplicate=deduplicate)
        assert found[kind].name.endswith(", 3 of 8 writers"), kind
    assert len({each.sha256 for each in found.values()}) == 1
    assert len(found["leaf"]) == 3


@pytest.mark.parametrize("kind", FORMATS)
def test_repeats_are_dropped_in_every_format(tmp_path, kind):
    data = toy()
    images, labels = data.images.copy(), data.labels.copy()
    images[1], labels[1] = images[0], labels[0]
    images[9], labels[9] = images[0], labels[0]  # held out
    path = FORMATS[kind](tmp_path / "some", replace(data, images=images, labels=labels))
    found = load(path, writers=None, deduplicate=True)
    assert len(load(path, writers=None).labels) == 30
    assert len(found.labels) == 28
    assert found.test.sum() == 5
    assert "without repeats" in found.name


# background and orientation


def inverted(path):
    """Turn each picture under a folder, or in a file of pixels, into its negative."""
    for file in path.rglob("*.png"):
        Image.fromarray(255 - np.array(Image.open(file))).save(file)
    for file in path.rglob("*.h5"):
        with h5py.File(file, "r+") as opened:
            for group in opened["examples"].values():
                group["pixels"][...] = 1 - group["pixels"][()]
    for file in path.rglob("*.parquet"):
        read = pq.read_table(file)
        pictures = [Image.open(pa.BufferReader(row["bytes"])) for row in read["image"].to_pylist()]
        found = [{"bytes": data_files.png(255 - np.array(p)), "path": None} for p in pictures]
        pq.write_table(read.set_column(0, "image", pa.array(found, read["image"].type)), file)
    return path


@pytest.mark.parametrize("kind", ["parquet", "hdf5", "images"])
def test_a_black_background_is_made_white_and_noted(tmp_path, kind):
    data = toy()
    found = load(inverted(FORMATS[kind](tmp_path / "some", data)), writers=None)
    assert found.sha256 == data.sha256
    assert found.notes == ("a black background was made white",)


PART = {
    "parquet": "data/test-00000-of-00002.parquet",
    "hdf5": "fed_emnist_test.h5",
    "images": "test",
}


@pytest.mark.parametrize("kind", PART)
def test_a_background_that_is_black_in_one_part_only_is_refused(tmp_path, kind):
    path = FORMATS[kind](tmp_path / "some", toy())
    part = tmp_path / "part" / PART[kind]
    part.parent.mkdir(parents=True)
    shutil.move(path / PART[kind], part)
    inverted(tmp_path / "part")
    shutil.move(part, path / PART[kind])
    with pytest.raises(ValueError, match="one background in all parts, .*test images of f0000_00"):
        load(path, writers=None)


@pytest.mark.parametrize("kind", ["leaf", "npz"])
def test_a_black_test_part_of_leaf_and_npz_is_refused(tmp_path, kind):
    data = toy()
    path = FORMATS[kind](tmp_path / "some", data)
    if kind == "leaf":
        (file,) = (path / "test").iterdir()
        content = json.loads(file.read_text("utf-8"))
        for entry in content["user_data"].values():
            entry["x"] = (1 - np.array(entry["x"])).tolist()
        file.write_text(json.dumps(content), "utf-8")
    else:
        images = np.where(data.test[:, None, None], 255 - data.images, data.images)
        np.savez(path, **{**np.load(path), "images": images})
    with pytest.raises(
        ValueError, match="dark one in 3 of 6, first in the test images of f0000_00"
    ):
        load(path, writers=None)


def strokes(n=400):
    """Marks that are higher than wide, as handwriting is."""
    data = toy(4, n // 4)
    images = np.full_like(data.images, 255)
    rng = np.random.default_rng(0)
    for image, height, width in zip(
        images, rng.integers(8, 14, n), rng.integers(4, 11, n), strict=True
    ):
        image[14 - height // 2 :][:height, 13 - width // 2 :][:, :width] = 0
    return replace(data, images=images)


@pytest.mark.parametrize("kind", FORMATS)
def test_characters_that_lie_on_their_side_are_refused(tmp_path, kind):
    data = strokes()
    upright = FORMATS[kind](tmp_path / "upright", data)
    assert load(upright, writers=None).sha256 == data.sha256
    lying = FORMATS[kind](
        tmp_path / "lying", replace(data, images=data.images.transpose(0, 2, 1).copy())
    )
    with pytest.raises(ValueError, match="lying.*: needs upright .* transposed, swap rows and col"):
        load(lying, writers=None)
    assert lies_on_its_side(read(lying).images)


def test_the_box_around_the_ink_is_measured_as_by_hand():
    images = np.full((3, 28, 28), 255, np.uint8)
    images[0, 3:13, 5:9] = 0  # 10 high, 4 wide
    images[1, 27, 0] = images[1, 20, 5] = 100  # 8 high, 6 wide
    images[2] = 128  # no ink
    assert height_to_width(images) == (10 + 8) / (4 + 6)
    assert np.isnan(height_to_width(images[2:]))
    assert not lies_on_its_side(images.transpose(0, 2, 1))  # too few to say


def test_neither_drawn_nor_real_characters_lie_on_their_side():
    found = [load("glyphs", writers=10)]
    if Path(os.environ.get("PDRR_FEMNIST", "")).is_file():
        found.append(read(os.environ["PDRR_FEMNIST"]))
    for data in found:
        assert 1.2 < height_to_width(data.images) < 1.4
        assert not lies_on_its_side(data.images)
        assert lies_on_its_side(data.images.transpose(0, 2, 1))
        assert lies_on_its_side(np.rot90(data.images, axes=(1, 2)))


def test_real_femnist_is_the_same_in_every_format(tmp_path):
    path = os.environ.get("PDRR_FEMNIST", "")
    if not Path(path).is_file():
        pytest.skip("PDRR_FEMNIST names no .npz file of real FEMNIST")
    data = load(path, writers=6)
    order = np.lexsort((data.labels, data.test, data.writer))
    data = replace(data, images=data.images[order], labels=data.labels[order])
    data = replace(data, test=data.test[order])
    for kind, write in FORMATS.items():
        found = load(write(tmp_path / kind, data), writers=None)
        assert set(found.writer_ids) == set(data.writer_ids)
        assert sorted(map(bytes, found.images)) == sorted(map(bytes, data.images)), kind


# one format alone


def test_leaf_s_folders_are_read_in_leaf_s_order(tmp_path):
    made = {}
    for i, name in enumerate(("all_data", "sampled_data", "rem_user_data")):
        data = toy(seed=i)
        made[name] = read_leaf(data_files.leaf(tmp_path / name, data, divided=False)).sha256
        (tmp_path / "data").mkdir(exist_ok=True)
        shutil.move(tmp_path / name / "all_data", tmp_path / "data" / name)
        assert read_leaf(tmp_path / "data").sha256 == made[name]
        assert load(tmp_path, writers=None).sha256 == made[name]  # the folder that holds it
    for part in ("train", "test"):  # which preprocess.sh makes before it fills them
        (tmp_path / "data" / part).mkdir()
    assert read_leaf(tmp_path / "data").sha256 == made["rem_user_data"]
    last = toy(seed=9)
    for part in data_files.leaf(tmp_path / "last", last).iterdir():
        shutil.copytree(part, tmp_path / "data" / part.name, dirs_exist_ok=True)
    assert read_leaf(tmp_path / "data").sha256 == last.sha256


@pytest.mark.parametrize("kind", ["leaf", "parquet", "hdf5", "images"])
def test_names_that_begin_with_a_dot_are_skipped(tmp_path, kind):
    data = toy()
    path = FORMATS[kind](tmp_path / "some", data)
    folders = [path, *(each for each in path.rglob("*") if each.is_dir())]
    for folder in folders:
        for name in (".DS_Store", "._data.json", ".part.parquet", "._x_train.h5", ".a.png"):
            (folder / name).write_bytes(b"\0\5\26\7")
    assert load(path, writers=None).sha256 == data.sha256


def test_a_writer_in_two_files_of_one_part_is_refused_with_both_names(tmp_path):
    path = data_files.leaf(tmp_path / "some", toy())
    (file,) = (path / "train").iterdir()
    shutil.copy(file, path / "train" / "copy.json")
    with pytest.raises(ValueError, match=r"copy\.json: writer 'f0000_00' is also in .*") as caught:
        load(path, writers=None)
    assert {"copy.json", file.name} == {
        word for word in (file.name, "copy.json") if word in str(caught.value)
    }


def test_one_parquet_file_is_enough_and_other_columns_do_not_matter(tmp_path):
    data = by_label(toy())
    rows = np.arange(30)
    path = tmp_path / "one.parquet"
    pq.write_table(data_files.table(data, rows, names=False, hsf_id=None), path)
    plain = load(path, writers=None)
    for changes in (
        {"image": pa.array([data_files.png(image) for image in data.images])},
        {"writer_id": pa.array([data.writer_ids[i] for i in data.writer], pa.large_string())},
        {"character": pa.array([CLASSES[i] for i in data.labels])},
        {"character": pa.array(data.labels)},
    ):
        pq.write_table(data_files.table(data, rows, names=False, **changes), path)
        assert load(path, writers=None).sha256 == plain.sha256


def test_rows_of_a_writer_may_lie_anywhere_in_a_parquet_file(tmp_path):
    data = by_label(toy())
    path = tmp_path / "one.parquet"
    pq.write_table(data_files.table(data, np.arange(30)), path)
    plain = load(path, writers=None)
    between = np.argsort(np.tile(np.arange(10), 3), kind="stable")  # one of each writer in turn
    pq.write_table(data_files.table(data, between), path, row_group_size=4)
    assert load(path, writers=None).sha256 == plain.sha256


def test_either_half_of_a_pair_names_both(tmp_path):
    data = toy()
    folder = data_files.hdf5(tmp_path / "some", data)
    for half in ("train", "test"):
        assert load(folder / f"fed_emnist_{half}.h5", writers=None).sha256 == data.sha256
    (folder / "fed_emnist_test.h5").unlink()
    with pytest.raises(FileNotFoundError, match=r"fed_emnist_test\.h5: no such file"):
        load(folder, writers=None)


def test_a_missing_shard_is_named(tmp_path):
    path = data_files.parquet(tmp_path / "some", toy())
    (path / "data" / "train-00001-of-00002.parquet").unlink()
    with pytest.raises(FileNotFoundError, match=r"train-00001-of-00002\.parquet: .* missing"):
        load(path, writers=None)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_pictures_of_any_usual_mode_are_read(tmp_path, mode):
    image = np.full((28, 28), 255, np.uint8)
    image[5:20, 10:15] = 0
    picture = Image.fromarray(image).convert(mode)
    if mode in ("LA", "RGBA"):  # what is white is transparent, and black below
        alpha = Image.fromarray(255 - image)
        picture = Image.merge(mode, [*[Image.new("L", (28, 28))] * (len(mode) - 1), alpha])
    for label in ("A", "10", "010"):
        folder = tmp_path / label / "w1" / label
        folder.mkdir(parents=True)
        picture.save(folder / "x.png")
        picture.save(folder / "y.PNG")
        found = load(tmp_path / label, writers=None)
        np.testing.assert_array_equal(found.images, [image, image])
        assert found.labels.tolist() == [10, 10]


@pytest.mark.parametrize("kind", FORMATS)
def test_a_folder_s_format_is_told_by_what_it_holds(tmp_path, kind):
    words = {"leaf": "LEAF", "npz": "npz", "parquet": "parquet", "hdf5": "h5", "images": "pictures"}
    for divided in (True, False)[: 1 + (kind in UNDIVIDED)]:
        path = FORMATS[kind](tmp_path / f"some{divided}", toy(), divided=divided)
        assert words[kind] in format_of(path).words


def test_a_folder_of_nothing_known_says_what_it_holds(tmp_path):
    for name in ("b.txt", "c.csv", "d", "e"):
        (tmp_path / name).touch()
    with pytest.raises(ValueError, match=r"got '.*', which holds 'b\.txt', 'c\.csv', 'd', \.\.\."):
        load(tmp_path)
