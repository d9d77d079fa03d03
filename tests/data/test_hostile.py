"""Files made to hang, fill or fool a reader: each is refused in one line that names it."""

from __future__ import annotations

import io
import json
import os
import pickle
import re
import struct
import tracemalloc
import zipfile
import zlib

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from helpers import data_files
from helpers.data_files import FORMATS, png, toy
from pdrr.cli.main import main
from pdrr.data import CLASSES, load
from pdrr.data.pictures import decoded

LARGE = 60 << 20  # bytes that no refusal may need
DATA = toy()
CASES = {}


def case(message, *, name):
    """Enter a function `make(folder) -> source` whose source is refused with this message."""

    def enter(make):
        CASES[make.__name__.replace("_", " ").strip()] = (make, name, message)
        return make

    return enter


# any file


ANY = {"x.npz": "npz", "x.parquet": "Parquet", "x_all.h5": "HDF5"}


@pytest.mark.parametrize("name", ANY)
@pytest.mark.parametrize(
    "content", [b"", b"text\n" * 100, b"\x80\x04K\x01.", b"PK\x05\x06" + bytes(18), b"PAR1" * 9]
)
def test_what_is_no_such_file_is_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    refused(tmp_path / name, rf"{name}: (damaged or no \.?{ANY[name]}|needs the arrays)")


@pytest.mark.parametrize("name", [*ANY, "some/train/data.json", "some/w1/A/x.png"])
@pytest.mark.parametrize("kind", ["FIFO", "device", "loop", "nowhere", "folder"])
def test_what_is_no_plain_file_is_refused_before_it_is_opened(tmp_path, name, kind):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    match kind:
        case "FIFO":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "loop":
            path.symlink_to(path)
        case "nowhere":
            path.symlink_to(tmp_path / "gone")
        case "folder":
            path.mkdir()
    source = tmp_path / name.partition("/")[0]
    refused(source, rf"{path.name}: (needs|no such file|is a link)")


@pytest.mark.parametrize("kind", ["npz", "parquet", "hdf5"])
def test_truncated_and_flipped_files_are_refused_by_name(tmp_path, kind):
    source = FORMATS[kind](tmp_path / "some", DATA)
    file = next(p for p in sorted((tmp_path / "some").rglob("*.*")) if p.is_file())
    whole = file.read_bytes()
    for part in (10, len(whole) // 3, len(whole) - 20):
        file.write_bytes(whole[:part])
        refused(source, file.name)
    file.write_bytes(whole)
    assert outcome(source) == (DATA.sha256, "")
    rng = np.random.default_rng(0)
    changed = 0
    for place in rng.integers(0, len(whole), 25):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << rng.integers(8)
        file.write_bytes(flipped)
        found, said = outcome(source)
        assert "\n" not in said
        changed += found not in ("", DATA.sha256)
    assert changed == 0 or kind != "npz"  # which has checksums: the others cannot know


def outcome(source):
    """The hash of what was read, or what was said against it."""
    try:
        return load(source, writers=None).sha256, ""
    except (ValueError, FileNotFoundError) as error:
        return "", str(error)


@pytest.mark.parametrize("kind", FORMATS)
def test_more_images_than_any_data_set_has_are_refused(tmp_path, monkeypatch, kind):
    source = FORMATS[kind](tmp_path / "some", DATA)
    monkeypatch.setattr("pdrr.data.gathering.MOST", 20)
    refused(source, r"needs? 1 to 20 images, got \d+")


def refused(source, message):
    """Check that a source is refused with a message of one line, and without much memory."""
    tracemalloc.start()
    try:
        with pytest.raises((ValueError, FileNotFoundError)) as caught:
            load(source, writers=None)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert re.search(message, str(caught.value)), str(caught.value)
    assert "\n" not in str(caught.value)
    assert peak < LARGE, f"{peak:,} bytes"


# archives


def members(**changes):
    """The members of an archive as bytes, with changes."""
    arrays = {
        "images": DATA.images,
        "labels": DATA.labels,
        "writer": DATA.writer,
        "writer_ids": np.array(DATA.writer_ids),
        "split": DATA.test.astype(np.uint8),
    }
    found = {}
    for name, array in arrays.items():
        file = io.BytesIO()
        np.save(file, array)
        found[f"{name}.npy"] = file.getvalue()
    return found | {f"{name}.npy": content for name, content in changes.items()}


def header(shape, dtype="|u1"):
    """The beginning of a .npy file that says it has this shape."""
    file = io.BytesIO()
    told = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, told)
    return file.getvalue()


def archive(folder, kind=zipfile.ZIP_DEFLATED, **changes):
    with zipfile.ZipFile(folder / "x.npz", "w", kind) as file:
        for name, content in members(**changes).items():
            if content is not None:
                file.writestr(name, content)
    return folder / "x.npz"


class Shell:
    """What a pickle would run."""

    def __reduce__(self):
        return os.mkdir, ("pickled",)


@case("pickled objects", name="x.npz")
def an_archive_of_pickles(folder):
    file = io.BytesIO()
    np.save(file, np.array([Shell()] * 3), allow_pickle=True)
    return archive(folder, writer_ids=file.getvalue())


@case("magic|needs version", name="x.npz")
def an_archive_with_a_bare_pickle(folder):
    return archive(folder, split=pickle.dumps(Shell()))


@case("needs members stored or deflated", name="x.npz")
def an_archive_compressed_by_lzma(folder):
    return archive(folder, zipfile.ZIP_LZMA)


@case("needs members stored or deflated", name="x.npz")
def an_archive_compressed_by_bzip2(folder):
    return archive(folder, zipfile.ZIP_BZIP2)


@case("images need 1 to|images: needs 1 to 5,000,000 images|images need", name="x.npz")
def a_header_of_713_tebibytes(folder):
    return archive(folder, images=header((10**12, 28, 28)) + bytes(1000))


@case(r"split need|test need", name="x.npz")
def a_bomb_of_a_hundred_million_zeros(folder):
    return archive(folder, split=header((100_000_000,)) + bytes(100_000_000))


@case("images: needs 1 to 5,000,000", name="x.npz")
def a_bomb_of_images(folder):
    n = 5_000_001
    content = header((n, 28, 28)) + bytes(1000)
    path = archive(folder, images=content)
    return with_sizes(path, "images.npy", len(header((n, 28, 28))) + n * 784)


@case("writer_ids need at most", name="x.npz")
def names_of_a_million_letters(folder):
    return archive(folder, writer_ids=header((3,), "<U1000000") + bytes(12_000_000))


@case("needs? .* got several", name="x.npz")
def an_archive_with_a_member_twice(folder):
    path = archive(folder)
    with zipfile.ZipFile(path, "a") as file, pytest.warns(UserWarning, match="Duplicate"):
        file.writestr("labels.npy", members()["labels.npy"])
    return path


@case("lacks images", name="x.npz")
def an_archive_that_climbs_out(folder):
    path = archive(folder, images=None)
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("../images.npy", members()["images.npy"])
    return path


@case("header cannot be read|header", name="x.npz")
def a_header_nested_deep(folder):
    text = b"(" * 9000 + b"\n"
    return archive(folder, split=b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text)


@case("header|EOL|[Pp]arse|string", name="x.npz")
def a_header_that_is_no_python(folder):
    text = b"{'descr': '''\n"
    return archive(folder, split=b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text)


@case("version", name="x.npz")
def a_header_of_a_version_to_come(folder):
    return archive(folder, split=b"\x93NUMPY\x09\x00" + bytes(100))


@case("without a password", name="x.npz")
def an_archive_with_a_password(folder):
    path = archive(folder)
    content = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = content.find(mark)
        while place >= 0:
            content[place + offset] |= 1
            place = content.find(mark, place + 4)
    path.write_bytes(content)
    return path


@case("printable text", name="x.npz")
def names_that_are_no_text(folder):
    file = io.BytesIO()
    np.save(file, np.array(["a", "b\udcff", "c"]))
    return archive(folder, writer_ids=file.getvalue())


@case("Bad CRC|damaged", name="x.npz")
def an_archive_whose_checksum_is_wrong(folder):
    path = archive(folder, zipfile.ZIP_STORED)
    content = bytearray(path.read_bytes())
    content[content.find(DATA.images[5].tobytes()[200:400]) + 50] ^= 0xFF
    path.write_bytes(content)
    return path


def with_sizes(path, name, size):
    """Let the archive's directory say that a member has this size."""
    content = bytearray(path.read_bytes())
    place = content.rfind(b"PK\x01\x02", 0, content.rfind(name.encode()))
    content[place + 24 : place + 28] = struct.pack("<I", size)
    path.write_bytes(content)
    return path


# LEAF


def leaf(folder, text=None, **changes):
    source = data_files.leaf(folder / "some", DATA)
    (file,) = (source / "train").iterdir()
    content = json.loads(file.read_text("utf-8")) | changes
    (source / "train" / "x.json").write_bytes(
        json.dumps(content).encode() if text is None else text
    )
    file.unlink()
    return source


@case("nested too deep", name="x.json")
def json_nested_a_hundred_thousand_deep(folder):
    return leaf(folder, b"[" * 100_000)


@case("nested too deep", name="x.json")
def objects_nested_deep(folder):
    return leaf(folder, b'{"users":' * 100_000)


@case("damaged or no JSON", name="x.json")
def json_that_is_no_text(folder):
    return leaf(folder, b"\xff\xfe{\x00}\x80")


@case("damaged or no JSON", name="x.json")
def a_number_of_ten_thousand_digits(folder):
    return leaf(folder, b'{"users": [' + b"9" * 10_000 + b"]}")


@case("784", name="x.json")
def a_pixel_past_every_float(folder):
    entry = {"x": [[10**400] * 784], "y": [1]}
    return leaf(folder, users=["a"], num_samples=[1], user_data={"a": entry})


@case("integer labels", name="x.json")
def a_label_past_every_integer(folder):
    entry = {"x": [[1.0] * 784], "y": [2**70]}
    return leaf(folder, users=["a"], num_samples=[1], user_data={"a": entry})


@case("users that are strings", name="x.json")
def users_that_are_lists(folder):
    return leaf(folder, users=[["a"], {}, None])


@case("needs 1 to 5,000,000 images", name="x.json")
def a_promise_of_a_billion_samples(folder):
    return leaf(folder, num_samples=[10**9, 1, 1])


@case("needs 1 to 5,000,000 images", name="x.json")
def a_promise_of_less_than_nothing(folder):
    return leaf(folder, num_samples=[-1, -1, -1])


@case("needs x", name="x.json")
def a_deep_array_for_pixels(folder):
    deep = [1.0]
    for _ in range(70):
        deep = [deep]
    return leaf(folder, users=["a"], num_samples=[1], user_data={"a": {"x": deep, "y": [1]}})


@case("printable text", name="some")
def users_with_line_ends(folder):
    entry = {"x": [[1.0] * 784], "y": [1]}
    return leaf(folder, users=["a\nb"], num_samples=[1], user_data={"a\nb": entry})


@case("also in", name="x.json")
def a_writer_twice(folder):
    source = leaf(folder)
    (source / "train" / "w.json").write_bytes((source / "train" / "x.json").read_bytes())
    return source


# Parquet


def parquet(folder, table=None, **changes):
    rows = np.arange(30)
    changed = data_files.table(DATA, rows, **changes) if table is None else table
    pq.write_table(changed, folder / "x.parquet")
    return folder / "x.parquet"


def pictures(content):
    """A column of pictures of which the fifth has this content."""
    found = [png(image) for image in DATA.images]
    found[5] = content
    return pa.array(found, pa.binary())


def chunk(kind, content):
    body = kind + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def png_of(width, height, depth=8, colour=0, data=b""):
    """A PNG that says it has this size, with this data."""
    start = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    signature = b"\x89PNG\r\n\x1a\n"
    return signature + chunk(b"IHDR", start) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


PICTURES = {
    "a bomb": (png_of(60_000, 60_000, data=zlib.compress(bytes(10**6))), "60000|exceeds limit"),
    "a small bomb": (png_of(10_000, 10_000), "28 x 28 pixels, got 10000 x 10000|exceeds limit"),
    "another size": (png_of(29, 28), "28 x 28 pixels, got 29 x 28: resize"),
    "16 bits": (png_of(28, 28, 16), "8 bits a channel, got mode I"),
    "cut short": (png(DATA.images[0])[:200], "truncated"),
    "no data": (png_of(28, 28), "truncated|incomplete|unexpected end|bad|broken"),
    "text": (b"<svg/>", "PNG, JPEG or BMP"),
    "nothing": (b"", "PNG, JPEG or BMP"),
    "too many bytes": (png(DATA.images[0]) + bytes(2 << 20), "at most 1,048,576 bytes"),
    "a GIF": (b"GIF89a" + bytes(100), "PNG, JPEG or BMP"),
    "PostScript": (b"%!PS-Adobe\n(/etc/passwd) run", "PNG, JPEG or BMP"),
}


@pytest.mark.parametrize("kind", PICTURES)
def test_pictures_that_are_none_are_refused_in_both_formats_that_hold_them(tmp_path, kind):
    content, message = PICTURES[kind]
    refused(parquet(tmp_path, image=pictures(content)), rf"x\.parquet: row 5: .*({message})")
    folder = data_files.images(tmp_path / "some", DATA)
    file = sorted(folder.rglob("*.png"))[5]
    file.write_bytes(content)
    refused(folder, rf"{file.name}: .*({message})")


def test_more_pixels_than_the_header_says_are_not_unpacked():
    content = png_of(28, 28, data=zlib.compress(bytes(32 << 20)))
    assert len(content) < 1 << 20
    assert not decoded(content, "a bomb behind the last row").any()


@case("needs the columns image, writer_id, character, got", name="x.parquet")
def a_table_without_writers(folder):
    return parquet(folder, writer_id=None)


@case("another column 'image' than one of int64", name="x.parquet")
def pictures_that_are_numbers(folder):
    return parquet(folder, image=pa.array(range(30)))


@case("another column 'character' than one of double", name="x.parquet")
def labels_that_are_fractions(folder):
    return parquet(folder, character=pa.array([1.5] * 30))


@case("needs character in every row", name="x.parquet")
def labels_that_are_missing(folder):
    return parquet(folder, character=pa.array([None] * 30, pa.int64()))


@case("needs image in every row", name="x.parquet")
def pictures_that_are_missing(folder):
    return parquet(folder, image=pictures(None))


@case("labels 0 to 61, got .* to 62", name="x.parquet")
def a_label_past_the_last(folder):
    return parquet(folder, character=pa.array([62] * 30))


@case("characters 0-9 A-Z a-z, got 'é'", name="x.parquet")
def a_character_of_another_script(folder):
    return parquet(folder, character=pa.array(["é"] * 30))


@case("classes 0-9 A-Z a-z in this order, got 0 1", name="x.parquet")
def classes_in_another_order(folder):
    order = CLASSES[:10] + CLASSES[36:] + CLASSES[10:36]
    told = {"info": {"features": {"character": {"names": list(order)}}}}
    table = data_files.table(DATA, np.arange(30), names=False)
    return parquet(folder, table.replace_schema_metadata({"huggingface": json.dumps(told)}))


@case("printable text, got", name="x.parquet")
def writers_with_escapes(folder):
    return parquet(folder, writer_id=pa.array(["\x1b[2J"] * 30))


@case("utf-8|UTF8|UTF-8", name="x.parquet")
def writers_that_are_no_text(folder):
    bad = pa.StringArray.from_buffers(
        30, pa.py_buffer(np.arange(31, dtype=np.int32)), pa.py_buffer(b"\xff" * 30)
    )
    return parquet(folder, writer_id=bad)


def test_rows_that_unpack_to_too_much_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("pdrr.data.parquet._UNPACKED", 100)
    refused(parquet(tmp_path), r"x\.parquet: needs row groups of at most 100 bytes, got")


# HDF5


def hdf5(folder, change):
    path = data_files.hdf5(folder / "some", DATA, divided=False).rename(folder / "x.h5")
    with h5py.File(path, "r+") as file:
        change(file["examples"], file)
    return path


def replaced(group, name, **how):
    del group[name]
    return group.create_dataset(name, **how)


@case("lacks 'examples'", name="x.h5")
def a_file_without_examples(folder):
    return hdf5(folder, lambda _examples, file: file.pop("examples"))


@case("lacks 'label'", name="x.h5")
def a_writer_without_labels(folder):
    return hdf5(folder, lambda examples, _: examples["f0001_01"].pop("label"))


@case("is a link to elsewhere", name="x.h5")
def a_link_to_another_file(folder):
    other = data_files.hdf5(folder / "other", DATA, divided=False)

    def change(examples, _):
        del examples["f0001_01"]
        examples["f0001_01"] = h5py.ExternalLink(str(other), "/examples/f0001_01")

    return hdf5(folder, change)


@case("is a link to elsewhere", name="x.h5")
def links_in_a_circle(folder):
    def change(examples, _):
        del examples["f0001_01"]
        examples["f0001_01"] = h5py.SoftLink("/examples/f0001_01")

    return hdf5(folder, change)


@case("lacks 'pixels'", name="x.h5")
def a_group_that_holds_itself(folder):
    def change(examples, _):
        examples["f0000"] = examples

    return hdf5(folder, change)


@case("in the file itself", name="x.h5")
def pixels_kept_in_another_file(folder):
    (folder / "raw").write_bytes(bytes(28 * 28 * 10))

    def change(examples, _):
        replaced(
            examples["f0001_01"],
            "pixels",
            shape=(10, 28, 28),
            dtype="u1",
            external=[(str(folder / "raw"), 0, 7840)],
        )

    return hdf5(folder, change)


@case("in the file itself", name="x.h5")
def pixels_put_together_from_other_files(folder):
    def change(examples, _):
        layout = h5py.VirtualLayout((10, 28, 28), "u1")
        layout[:] = h5py.VirtualSource("/etc/passwd", "x", (10, 28, 28))
        del examples["f0001_01/pixels"]
        examples["f0001_01"].create_virtual_dataset("pixels", layout)

    return hdf5(folder, change)


@case("needs 1 to 5,000,000 images, got 1,000,000,000", name="x.h5")
def a_billion_images_in_a_few_bytes(folder):
    def change(examples, _):
        group = examples["f0001_01"]
        replaced(group, "pixels", shape=(10**9, 28, 28), dtype="f4", chunks=(1, 28, 28))
        replaced(group, "label", shape=(10**9,), dtype="i4", chunks=(1000,))

    return hdf5(folder, change)


@case("needs pixels .*got .10, 28, 27", name="x.h5")
def pixels_of_another_shape(folder):
    def change(examples, _):
        replaced(examples["f0001_01"], "pixels", data=np.zeros((10, 28, 27)))

    return hdf5(folder, change)


@case("label .m. of integers, got .* object", name="x.h5")
def labels_that_are_objects(folder):
    def change(examples, _):
        replaced(examples["f0001_01"], "label", data=["1"] * 10, dtype=h5py.string_dtype())

    return hdf5(folder, change)


@case("pixels of float or uint8", name="x.h5")
def pixels_that_are_records(folder):
    def change(examples, _):
        replaced(examples["f0001_01"], "pixels", data=np.zeros((10, 28, 28), "u1,f4"))

    return hdf5(folder, change)


@case(r"pixels in \[0, 1\], got nan", name="x.h5")
def pixels_that_are_no_numbers(folder):
    def change(examples, _):
        examples["f0001_01/pixels"][0, 0, 0] = np.nan

    return hdf5(folder, change)


@case("labels 0 to 61, got .* to 62", name="x.h5")
def a_label_too_many(folder):
    def change(examples, _):
        examples["f0001_01/label"][0] = 62

    return hdf5(folder, change)


@case("group of pixels and label", name="x.h5")
def a_writer_that_is_an_array(folder):
    def change(examples, _):
        replaced(examples, "f0001_01", data=np.zeros(3))

    return hdf5(folder, change)


# folders of pictures


def images(folder, change):
    source = data_files.images(folder / "some", DATA, divided=False)
    change(source)
    return source


@case("is a link, and links to folders are not followed", name="f9")
def a_writer_that_links_back(folder):
    return images(folder, lambda source: (source / "f9").symlink_to(source))


@case("is a link, and links to folders are not followed", name="A")
def a_label_that_links_out(folder):
    def change(source):
        (source / "f9").mkdir()
        (source / "f9" / "A").symlink_to(folder)

    return images(folder, change)


@case("something else", name="notes.txt")
def a_text_among_the_writers(folder):
    return images(folder, lambda source: (source / "notes.txt").write_text("by me", "utf-8"))


@case("needs a label, 0 to 61", name="62")
def a_folder_of_no_label(folder):
    return images(folder, lambda source: (source / "f0000_00" / "62").mkdir())


@case("needs a label, 0 to 61", name="photo.png")
def a_picture_without_a_label(folder):
    return images(folder, lambda source: (source / "f0000_00" / "photo.png").touch())


@case("needs pictures, has none", name="f9")
def a_writer_of_nothing(folder):
    return images(folder, lambda source: (source / "f9").mkdir())


@case("needs a PNG, JPEG or BMP picture", name="deeper")
def folders_below_the_labels(folder):
    return images(folder, lambda source: (source / "f0000_00" / "1" / "deeper").mkdir(parents=True))


@case("printable text, got", name="some")
def a_name_that_is_no_text(folder):
    def change(source):
        (source / "f0000_00").rename(os.fsdecode(bytes(source / "f") + b"\xff"))

    return images(folder, change)


@case("printable text, got", name="some")
def a_name_of_two_lines(folder):
    return images(folder, lambda source: (source / "f0000_00").rename(source / "a\nb"))


@pytest.mark.parametrize("kind", CASES)
def test_hostile_files_are_refused(tmp_path, monkeypatch, kind):
    make, name, message = CASES[kind]
    monkeypatch.chdir(tmp_path)
    source = make(tmp_path)
    refused(source, rf"{re.escape(name)}(: | |')(.*)({message})")
    assert not (tmp_path / "pickled").exists(), "a pickle was run"


@pytest.mark.parametrize("kind", CASES)
def test_the_commands_end_in_one_line_and_leave_nothing(tmp_path, monkeypatch, capfd, kind):
    make, name, _ = CASES[kind]
    monkeypatch.chdir(tmp_path)
    source = str(make(tmp_path))
    before = sorted(tmp_path.rglob("*"))
    for words in (("inspect", source), ("convert", source, "out.npz")):
        with pytest.raises(SystemExit) as end:
            main(["data", *words])
        shown = capfd.readouterr()
        assert (end.value.code, shown.out) == (2, "")
        assert re.fullmatch(rf"pdrr: .*{re.escape(name)}.*\n", shown.err), shown.err
    assert sorted(tmp_path.rglob("*")) == before


def test_file_names_that_are_no_text_are_shown_in_one_line(tmp_path, capfd):
    for name in (b"a\nb", b"\xff\xfe", b"\x1b[2J"):
        path = os.fsdecode(bytes(tmp_path) + b"/" + name + b".npz")
        with open(path, "w", encoding="utf-8") as file:
            file.write("text")
        with pytest.raises(SystemExit) as end:
            main(["data", "inspect", path])
        assert end.value.code == 2
        assert re.fullmatch(r"pdrr: [ -~]+\.npz: [ -~]+\n", capfd.readouterr().err)


def test_a_picture_is_closed_and_whole_after_all_that(tmp_path):
    source = data_files.images(tmp_path / "some", DATA)
    file = sorted(source.rglob("*.png"))[0]
    before = file.read_bytes()
    load(source, writers=None)
    assert file.read_bytes() == before
    with Image.open(file) as picture:
        assert picture.size == (28, 28)
