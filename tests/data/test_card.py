"""The data card and the contact sheet say what is there, for every format."""

from __future__ import annotations

import json
import os
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pdrr.data.glyphs as glyphs
from helpers.data_files import FORMATS, toy
from pdrr.cli.main import main
from pdrr.data import CLASSES, card, load
from pdrr.data.sheet import contact_sheet


@pytest.fixture
def inspect(capfd):
    """What `pdrr data inspect` prints."""

    def call(*arguments):
        with pytest.raises(SystemExit) as end:
            main(["data", "inspect", *map(str, arguments)])
        shown = capfd.readouterr()
        assert (end.value.code, shown.err) == (0, "")
        return shown.out

    return call


def counted(data):
    """The facts of a card, counted in another way."""
    sizes = sorted(list(data.writer).count(i) for i in range(len(data)))
    labels = [CLASSES[label] for label in data.labels]
    rows = {(w, x.tobytes()) for w, x in zip(data.writer.tolist(), data.images, strict=True)}
    return {
        "writers": len(data.writer_ids),
        "images": len(labels),
        "images_per_writer": {
            "min": sizes[0],
            "median": (sizes[(len(sizes) - 1) // 2] + sizes[len(sizes) // 2]) / 2,
            "max": sizes[-1],
        },
        "classes": len(set(labels)),
        "images_per_class": {c: labels.count(c) for c in CLASSES if c in labels},
        "split": {"train": list(data.test).count(False), "test": list(data.test).count(True)},
        "values": [min(map(int, data.images.flat)), max(map(int, data.images.flat))],
        "repeats_within_a_writer": len(labels) - len(rows),
        "sha256": data.sha256,
    }


@pytest.mark.parametrize("kind", FORMATS)
def test_the_card_counts_what_is_there_in_every_format(tmp_path, inspect, kind):
    data = toy(5)
    images = data.images.copy()
    images[[1, 9]] = images[0]
    images[10] = images[0]  # by another writer
    data = replace(data, images=images)
    path = FORMATS[kind](tmp_path / "some", data)
    told = json.loads(inspect(path, "--json"))
    assert counted(data).items() <= told.items()
    assert told["repeats_within_a_writer"] == 2
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    assert told["bytes"] == sum(len(file.read_bytes()) for file in files)
    assert told["background"] == "white (255)"
    assert told["orientation"].startswith("too few images to say")
    text = inspect(path)
    assert text.startswith(f"{told['name']}\n  format ")
    assert f"images        {told['images']}: 10 to 10 a writer, median 10\n" in text
    assert max(map(len, text.splitlines())) <= 120


def test_the_card_says_what_was_done_and_what_is_wrong(tmp_path, inspect):
    data = toy(4, 60)
    images = np.full_like(data.images, 255)
    images[:, 10:18, 4:24] = 0
    path = FORMATS["hdf5"](tmp_path / "some", replace(data, images=images), divided=False)
    with pytest.raises(ValueError, match="upright"):
        load(path, writers=None)
    text = inspect(path)
    assert "orientation   ON ITS SIDE: ink 0.40 times as high as wide; refused where" in text
    assert "note          a tenth of each writer's images was held out here (seed 0)\n" in text


def test_the_card_of_the_embedded_data_needs_no_file(monkeypatch, inspect):
    whole = glyphs.FORMAT

    def read(source, *, writers, **how):
        return whole.read(source, writers=writers or 3, **how)

    monkeypatch.setattr(glyphs, "FORMAT", replace(whole, read=read))
    text = inspect("glyphs")
    assert "on disk       in the package\n" in text
    assert "OFL-1.1" in text
    assert "writers       3\n" in text
    assert "orientation   upright: ink 1." in text


def test_nothing_but_numpy_is_needed_to_inspect_an_archive(tmp_path, inspect, monkeypatch):
    path = FORMATS["npz"](tmp_path / "some", toy())
    for name in ("PIL", "scipy", "h5py", "pyarrow", "pooch", "huggingface_hub"):
        monkeypatch.setitem(sys.modules, name, None)
    assert "writers       3\n" in inspect(path)


@pytest.mark.parametrize(
    ("kind", "library"), [("hdf5", "h5py"), ("parquet", "pyarrow"), ("images", "PIL")]
)
def test_a_missing_library_is_named_with_its_extra(tmp_path, capfd, monkeypatch, kind, library):
    path = FORMATS[kind](tmp_path / "some", toy())
    for name in list(sys.modules):
        if name.partition(".")[0] == library:
            monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(SystemExit) as end:
        main(["data", "inspect", str(path)])
    assert end.value.code == 2
    extra = "experiments" if library == "PIL" else "data"
    wanted = rf"pdrr: this needs {library}, which is not here: pip install '\.\[{extra}\]'\n"
    assert re.fullmatch(wanted, capfd.readouterr().err)


def test_the_sheet_shows_the_characters_that_were_written(tmp_path, inspect):
    data = toy(3, 20)
    path = FORMATS["npz"](tmp_path / "some", data)
    inspect(path, "--sheet", tmp_path / "sheets" / "sheet.png")
    with Image.open(tmp_path / "sheets" / "sheet.png") as picture:
        sheet = np.array(picture)
    present = np.unique(data.labels)
    assert sheet.shape == (16 + 30 * 3, 70 + 30 * len(present))
    for i in range(3):
        for j, label in enumerate(present):
            cell = sheet[16 + 30 * i + 1 :, 70 + 30 * j + 1 :][:28, :28]
            own = data.images[(data.writer == i) & (data.labels == label)]
            expected = own[0] if len(own) else np.full((28, 28), 225)
            np.testing.assert_array_equal(cell, expected)
    assert sheet[:16].min() < 50  # the classes' names


def test_a_sheet_of_many_stays_small():
    data = toy(40, 70)
    width, height = contact_sheet(data).size
    assert width <= 70 + 30 * 62
    assert height == 16 + 30 * 12
    assert contact_sheet(data, writers=1, classes=1).size == (100, 46)


def test_the_card_of_real_femnist():
    path = os.environ.get("PDRR_FEMNIST", "")
    if not Path(path).is_file():
        pytest.skip("PDRR_FEMNIST names no .npz file of real FEMNIST")
    told = card.facts(load(path, writers=None), path, "", "")
    assert (told["writers"], told["images"], told["classes"]) == (192, 31_786, 62)
    assert told["split"] == {"train": 28_520, "test": 3_266}
    assert told["images_per_writer"]["max"] == 356
    assert told["repeats_within_a_writer"] == 192  # the first image of each, by group_by_writer.py
    assert told["orientation"] == "upright: ink 1.26 times as high as wide"
