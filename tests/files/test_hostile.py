"""Files of strangers: each is read right, or refused in one line that names it, and at once."""

import io
import json
import os
import pickle
import resource
import time
import zipfile

import numpy as np
import pytest

from helpers import made_up_models
from pdrr import files

W = np.zeros((2, 3), np.float32)
NUMBERS = W.tobytes()


def npy(path, descr="'<f4'", shape="(2, 3)", data=NUMBERS, fortran="False", version=b"\1\0"):
    text = f"{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}".encode()
    width = 2 if version[0] == 1 else 4
    path.write_bytes(b"\x93NUMPY" + version + len(text).to_bytes(width, "little") + text + data)


def tensors(path, header=None, data=NUMBERS, length=None, text=None):
    text = json.dumps(header).encode() if text is None else text
    size = len(text) if length is None else length
    path.write_bytes(size.to_bytes(8, "little") + text + data)


def one(dtype="F32", shape=(2, 3), offsets=(0, 24), **more):
    return {"w": {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets), **more}}


def archive(path, members, method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", method) as made:
        for name, content in members:
            made.writestr(name, content)


def as_npy(values):
    made = io.BytesIO()
    np.save(made, values)
    return made.getvalue()


def twice(path):
    with pytest.warns(UserWarning, match="Duplicate name"):
        archive(path, [("w.npy", as_npy(W)), ("w.npy", as_npy(W + 1))])


def encrypted(path):
    archive(path, [("w.npy", as_npy(W))])
    content = bytearray(path.read_bytes())
    for mark, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        content[content.index(mark) + place] |= 1
    path.write_bytes(content)


def lying_archive(path):
    """One member whose directory promises 4 GB."""
    archive(path, [("w.npy", as_npy(W))])
    content = bytearray(path.read_bytes())
    place = content.index(b"PK\1\2") + 24
    content[place : place + 4] = (2**32 - 2).to_bytes(4, "little")
    path.write_bytes(content)


def flipped(path):
    np.savez(path, w=W)
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\1\2") - 1] ^= 1  # the last number
    path.write_bytes(content)


def objects(path):
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)


def half(make):
    def made(path):
        make(path)
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])

    return made


NPY = {
    "a pickle": (lambda p: p.write_bytes(pickle.dumps([1, 2])), "is no .npy array"),
    "an empty file": (lambda p: p.touch(), "is truncated"),
    "objects": (objects, r"needs floats or whole numbers, got the type \|O"),
    "text": (lambda p: np.save(p, np.array(["a"])), "got the type <U1"),
    "complex numbers": (lambda p: np.save(p, np.zeros(3, complex)), "got the type <c16"),
    "long doubles": (lambda p: npy(p, "'<f16'", "(2,)", bytes(32)), "got the type <f16"),
    "records": (lambda p: np.save(p, np.zeros(2, "f4,i4")), "needs floats or whole numbers"),
    "nameless 16-bit floats": (lambda p: npy(p, "'<V2'", "(12,)"), "bfloat16"),
    "a truncated file": (half(lambda p: np.save(p, W)), "is truncated"),
    "half the numbers": (lambda p: npy(p, data=NUMBERS[:12]), "needs 24 bytes .*, has 12"),
    "numbers left over": (lambda p: npy(p, data=bytes(25)), "needs 24 bytes .*, has 25"),
    "4 TB": (lambda p: npy(p, shape="(1000000000000,)"), "needs 4000000000000 bytes .*, has 24"),
    "overflowing sizes": (lambda p: npy(p, shape=f"({2**62}, 4)"), "needs .* bytes .*, has 24"),
    "sizes past 64 bits": (lambda p: npy(p, shape=f"({2**70},)"), "damaged .npy header"),
    "a negative size": (lambda p: npy(p, shape="(-2, -3)"), "damaged .npy header"),
    "a truth value as size": (lambda p: npy(p, shape="(True, 6)"), "damaged .npy header"),
    "33 dimensions": (lambda p: npy(p, shape=repr((1,) * 33)), "damaged .npy header"),
    "a header of code": (lambda p: npy(p, shape="__import__('os')"), "damaged .npy header"),
    "a deep header": (lambda p: npy(p, shape="(" * 3000), "damaged .npy header"),
    "many signs": (lambda p: npy(p, shape="-" * 3900 + "1"), "damaged .npy header"),
    "a giant header": (lambda p: npy(p, shape=" " * 9000 + "(6,)"), "header of at most 4096"),
    "version 3": (lambda p: npy(p, version=b"\3\0"), "needs version 1.0 or 2.0"),
    "a folder": (lambda p: p.mkdir(), "needs a file, got a folder"),
    "a pipe": (lambda p: os.mkfifo(p), "needs a file, got a folder, pipe"),
    "a loop of links": (lambda p: p.symlink_to(p), "Too many levels of symbolic links"),
    "a link to nothing": (lambda p: p.symlink_to("nowhere"), "No such file"),
    "a device": (lambda p: p.symlink_to("/dev/zero"), "needs a file, got"),
}
NPZ = {
    "no archive": (lambda p: p.write_bytes(b"PK\3\4" + bytes(60)), "no .npz archive"),
    "a .npy file": (lambda p: p.write_bytes(as_npy(W)), "no .npz archive"),
    "a truncated file": (half(lambda p: np.savez(p, w=W)), "no .npz archive"),
    "no arrays": (lambda p: archive(p, []), "needs arrays, got none"),
    "a member twice": (twice, "got w twice"),
    "text": (lambda p: archive(p, [("w.txt", b"1 2")]), "holds w.txt, which is no array"),
    "a pickled member": (
        lambda p: archive(p, [("w.npy", pickle.dumps([1] * 9))]),
        "w.npy is no .npy",
    ),
    "encrypted": (encrypted, "w.npy is encrypted"),
    "LZMA": (
        lambda p: archive(p, [("w.npy", as_npy(W))], zipfile.ZIP_LZMA),
        "packed by method 14",
    ),
    "a bomb": (
        lambda p: archive(p, [("w.npy", as_npy(np.zeros(2**21)))], zipfile.ZIP_DEFLATED),
        r"needs the array w as float32 \[2, 3\], like .*, got float64 \[2097152\]",
    ),
    "an impossible promise": (lying_archive, "promises more bytes than its archive can hold"),
    "a flipped bit": (flipped, "Bad CRC-32"),
    "a key too many": (lambda p: np.savez(p, w=W, v=W), "has the array v, which .* lacks"),
    "whole numbers": (lambda p: np.savez(p, w=W.astype(int)), "int64"),
}
SAFETENSORS = {
    "an empty file": (lambda p: p.touch(), "is truncated"),
    "a pickle": (lambda p: p.write_bytes(pickle.dumps([1] * 99)), "promises a header of"),
    "a giant header": (lambda p: tensors(p, one(), length=2**63), "promises a header of 9223"),
    "a giant header that is there": (
        lambda p: tensors(p, text=b" " * 25_000_001, data=b""),
        "header of at most 25000000",
    ),
    "no JSON": (lambda p: tensors(p, text=b"{'w': 1}"), "damaged header"),
    "a deep header": (lambda p: tensors(p, text=b"[" * 100_000), "damaged header"),
    "a list": (lambda p: tensors(p, [1]), "damaged header"),
    "text that is none": (lambda p: tensors(p, text=b'{"\xff": 1}'), "damaged header"),
    "half a character": (lambda p: tensors(p, {"\ud800": one()["w"]}), "keys that are text"),
    "a key twice": (
        lambda p: tensors(p, text=json.dumps(one()).encode()[:-1] + b', "w": {}}'),
        "got w twice",
    ),
    "a field too many": (lambda p: tensors(p, one(run="code")), "w needs dtype, shape and data"),
    "a number as tensor": (lambda p: tensors(p, {"w": 1}), "w needs dtype"),
    "an unknown type": (lambda p: tensors(p, one("F8_E4M3")), "w needs a type of F64"),
    "a list as type": (lambda p: tensors(p, one(["F32"])), "w needs a type of F64"),
    "a negative size": (lambda p: tensors(p, one(shape=(-2, -3))), "damaged shape or place"),
    "a broken size": (lambda p: tensors(p, one(shape=(2.0, 3))), "damaged shape or place"),
    "places backwards": (lambda p: tensors(p, one(offsets=(24, 0))), "damaged shape or place"),
    "one place": (lambda p: tensors(p, one(offsets=(0,))), "damaged shape or place"),
    "a wrong size": (lambda p: tensors(p, one(offsets=(0, 20))), "shape that does not fit"),
    "4 TB": (
        lambda p: tensors(p, one(shape=(10**12,), offsets=(0, 4 * 10**12))),
        "needs 4.* bytes, has",
    ),
    "sizes past 64 bits": (lambda p: tensors(p, one(shape=(2**62, 2**62))), "does not fit"),
    "numbers left over": (lambda p: tensors(p, one(), data=bytes(30)), "needs .* bytes, has"),
    "half the numbers": (lambda p: tensors(p, one(), data=bytes(12)), "needs .* bytes, has"),
    "a hole": (lambda p: tensors(p, one(offsets=(4, 28)), data=bytes(28)), "or leaves a hole"),
    "an overlap": (
        lambda p: tensors(p, {**one(), "v": one(offsets=(8, 32))["w"]}, data=bytes(32)),
        "v overlaps another tensor",
    ),
    "numbers as text": (lambda p: tensors(p, {"__metadata__": {"a": 1}, **one()}), "needs text in"),
    "no tensor": (lambda p: tensors(p, {}, data=b""), "needs arrays, got none"),
}
UNLIKE = {
    ".npy": {
        "another shape": (lambda p: np.save(p, W.T), r"needs an array as float32 \[2, 3\], like"),
        "another type": (lambda p: np.save(p, W.astype("f8")), r"got float64 \[2, 3\]"),
        "no dimension": (lambda p: np.save(p, np.float32(1)), r"got float32 \[\]"),
    },
    ".npz": {
        "another key": (lambda p: np.savez(p, v=W), "lacks the array w, which .* has"),
        "another type": (lambda p: np.savez(p, w=W.astype("f2")), "the array w as .* got float16"),
    },
    ".safetensors": {
        "another type": (lambda p: tensors(p, one("I32")), "the array w as .*, got int32"),
        "another shape": (lambda p: tensors(p, one(shape=(6,))), r"got float32 \[6\]"),
    },
}
CASES = [
    pytest.param(suffix, make, message, id=f"{suffix[1:]}-{name}")
    for suffix, cases in ((".npy", NPY), (".npz", NPZ), (".safetensors", SAFETENSORS))
    for name, (make, message) in cases.items()
]
ODD_ONES = [
    pytest.param(suffix, make, message, id=f"{suffix[1:]}-{name}")
    for suffix, cases in UNLIKE.items()
    for name, (make, message) in cases.items()
]


@pytest.fixture(params=made_up_models.FORMATS)
def suffix(request):
    return request.param


def fill(folder, suffix, count=4):
    """A round of good models; "bad" comes between them."""
    folder.mkdir(exist_ok=True)
    for name in ("a", "b", "y", "z")[:count]:
        made_up_models.save(folder / f"{name}{suffix}", {"w": W})
    return folder


def whole(path, previous="median"):
    with files.survey(path, previous).read() as observed:
        return np.array(observed.clients)


@pytest.mark.parametrize(("suffix", "make", "message"), [*CASES, *ODD_ONES])
def test_a_hostile_file_is_refused_at_once_in_one_line_that_names_it(
    suffix, make, message, tmp_path
):
    folder = fill(tmp_path / "round", suffix)
    make(folder / f"bad{suffix}")
    started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match=message) as refused:
        whole(folder)
    assert str(refused.value).startswith(f"{folder}/bad{suffix}: ")
    assert "\n" not in str(refused.value)
    assert time.perf_counter() - started < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KB


@pytest.mark.parametrize(("suffix", "make", "message"), CASES)
def test_so_is_a_hostile_previous_model(suffix, make, message, tmp_path):
    folder = fill(tmp_path / "round", suffix)
    make(tmp_path / f"bad{suffix}")
    with pytest.raises(ValueError, match=message.replace("float64", "float32")) as refused:
        whole(folder, tmp_path / f"bad{suffix}")
    assert str(refused.value).startswith(f"{tmp_path}/bad{suffix}: ")


def test_a_round_that_all_agree_is_too_large_is_refused(tmp_path):
    (tmp_path / "round").mkdir()
    size = 10**12
    for name in ("a", "b", "c"):
        path = tmp_path / "round" / f"{name}.npy"
        npy(path, shape=f"({size},)", data=b"")
        os.truncate(path, path.stat().st_size + 4 * size)  # no block of it is there
    with pytest.raises(ValueError, match=r"a model of 4.0 TB needs 16.0 TB of memory, got"):
        whole(tmp_path / "round")


def test_names_in_messages_cannot_steer_a_terminal(suffix, tmp_path):
    folder = fill(tmp_path / "round", suffix)
    (folder / f"\x1b[2J\n{suffix}").touch()
    with pytest.raises(ValueError, match=r"\\x1b\[2J\\n"):
        whole(folder)


def test_names_need_not_be_utf_8(suffix, tmp_path):
    folder = fill(tmp_path / "round", suffix)
    os.rename(folder / f"a{suffix}", os.fsencode(folder) + b"/J\xf6rg" + suffix.encode())
    assert f"J\udcf6rg{suffix}" in files.survey(folder, "median").names


@pytest.mark.parametrize("count", [0, 1])
def test_a_folder_of_none_or_one_is_no_round(count, suffix, tmp_path):
    folder = fill(tmp_path / "round", suffix, count)
    with pytest.raises(ValueError, match=f"needs two models or more, one a file, got {count}"):
        whole(folder)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("notes.txt", "notes.txt: needs .npy, .npz, .safetensors$"),
        ("model", "model: needs .npy"),
        ("x.weights.h5", r"in Keras save numpy.savez"),
        ("x.keras", r"in Keras save numpy.savez"),
        ("x.pt", r"safetensors.torch.save_file"),
        ("x.pkl", "pickles run code"),
    ],
)
def test_other_files_are_refused_with_a_hint(name, message, suffix, tmp_path):
    folder = fill(tmp_path / "round", suffix)
    (folder / name).touch()
    with pytest.raises(ValueError, match=message):
        whole(folder)


def test_formats_are_not_mixed(tmp_path):
    folder = fill(fill(tmp_path / "round", ".npy"), ".npz")
    with pytest.raises(ValueError, match=r"needs one format, got a.npy and a.npz"):
        whole(folder)


def test_dot_files_are_no_clients(suffix, tmp_path):
    folder = fill(tmp_path / "round", suffix)
    (folder / ".DS_Store").write_bytes(b"\0")
    (folder / f"._a{suffix}").write_bytes(b"\0")
    assert len(whole(folder)) == 4


def test_a_link_to_a_model_is_a_model(suffix, tmp_path):
    folder = fill(tmp_path / "round", suffix)
    made_up_models.save(tmp_path / f"far{suffix}", {"w": W + 1})
    (folder / f"link{suffix}").symlink_to(tmp_path / f"far{suffix}")
    assert whole(folder).sum() == 6


def test_a_file_that_changes_under_way_is_noticed(suffix, tmp_path):
    folder = fill(tmp_path / "round", suffix)
    found = files.survey(folder, "median")
    made_up_models.save(folder / f"b{suffix}", {"w": W + 1})
    os.utime(folder / f"b{suffix}", ns=(1, 1))
    with pytest.raises(ValueError, match=f"b{suffix}: was changed"), found.read():
        pass


def test_a_missing_round_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"nowhere: No such file"):
        whole(tmp_path / "nowhere")


def test_loops_of_links_and_pipes_are_no_rounds(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    for name, message in (("loop", "Too many levels"), ("pipe", "needs a file")):
        with pytest.raises(ValueError, match=f"{name}: {message}"):
            whole(tmp_path / name)
