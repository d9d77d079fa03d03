"""The cache: files are whole or absent, keys are canonical, arrays come back memory-mapped."""

import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pdrr.core.files import atomic, digest, listed
from pdrr.federation.store import Store, default_root

ARRAY = np.arange(12, dtype=np.float32).reshape(3, 4)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def test_atomic_shows_the_new_file_only_when_the_block_has_ended(tmp_path):
    path = tmp_path / "new" / "file.txt"
    with atomic(path) as temporary:
        temporary.write_text("first", "utf-8")
        assert not path.exists()
    with path.open(encoding="utf-8") as reader:
        with atomic(path) as temporary:
            temporary.write_text("second", "utf-8")
            assert path.read_text("utf-8") == "first"
            assert temporary.suffix == ".txt"
            assert temporary.name.startswith(".")  # what a kill leaves behind is hidden
        assert path.read_text("utf-8") == "second"
        assert reader.read() == "first"  # replaced, not written into
    assert [p.name for p in path.parent.iterdir()] == ["file.txt"]
    assert path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("fault", [ValueError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("old", ["old", None])
def test_an_interrupted_writer_leaves_the_old_file_and_no_temporary(tmp_path, fault, old):
    path = tmp_path / "file.txt"
    if old is not None:
        path.write_text(old, "utf-8")

    def interrupted():
        with atomic(path) as temporary:
            temporary.write_text("half of the n", "utf-8")
            raise fault

    with pytest.raises(fault):
        interrupted()
    assert [p.read_text("utf-8") for p in tmp_path.iterdir()] == ([] if old is None else [old])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_told_with_the_name_of_the_file(tmp_path):
    path = tmp_path / "models.npy"
    path.write_bytes(b"old")

    def write():
        with atomic(path), open("/dev/full", "wb", buffering=0) as full:
            np.save(full, np.zeros(10_000), allow_pickle=False)

    with pytest.raises(OSError, match=r"models\.npy cannot be written|No space left"):
        write()
    assert path.read_bytes() == b"old"
    with (
        pytest.raises(OSError, match=r"models\.npy cannot be written: 9 requested and 2 written"),
        atomic(path),
    ):
        raise OSError("9 requested and 2 written")


HELD = """
import sys, time
from pathlib import Path
from pdrr.core.files import atomic
with atomic(Path(sys.argv[1])) as temporary:
    print(temporary.name, flush=True)
    time.sleep(60)
"""


def test_what_a_killed_writer_left_is_removed_but_never_a_file_at_work(tmp_path):
    path, long_ago = tmp_path / "models.npy", time.time() - 3600
    command = [sys.executable, "-c", HELD, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        name = writer.stdout.readline().strip()
        os.utime(tmp_path / name, (long_ago, long_ago))
        with atomic(path):
            pass
        assert (tmp_path / name).exists()
        writer.kill()
    with atomic(path):
        assert not (tmp_path / name).exists()


def test_hidden_and_unfinished_files_are_not_listed(tmp_path):
    for name in ("b.json", "a.json", ".fig04-abcd.json", ".being-written-x.json", "c.csv"):
        (tmp_path / name).write_text("", "utf-8")
    assert [path.name for path in listed(tmp_path, "*.json")] == ["a.json", "b.json"]


def test_a_digest_is_of_the_content_not_of_its_order_or_layout():
    settings = {"b": {"y": 2, "x": [1, 2]}, "a": 1e-7}
    text = '{"a": 1e-07, "b": {"x": [1, 2], "y": 2}}'
    assert digest(settings) == hashlib.sha256(text.encode()).hexdigest()
    assert digest({"a": 1e-7, "b": {"x": [1, 2], "y": 2}}) == digest(settings)
    assert digest({"a": 1e-7, "b": {"x": [2, 1], "y": 2}}) != digest(settings)
    assert digest(ARRAY) == hashlib.sha256(ARRAY.tobytes()).hexdigest()
    assert digest(np.asfortranarray(ARRAY)) == digest(ARRAY)
    assert digest(np.nextafter(ARRAY, np.float32(99))) != digest(ARRAY)


def test_nan_is_no_key():
    with pytest.raises(ValueError, match="JSON"):
        digest({"q": float("nan")})


def test_a_folder_belongs_to_one_key_which_stands_in_it(store):
    key = {"seed": 1, "rule": {"krum": {"c": 0}}}
    folder = store.folder("stage", key)
    assert folder.parent == store.root / "stage"
    assert json.loads((folder / "key.json").read_text("utf-8")) == key
    assert store.folder("stage", dict(reversed(key.items()))) == folder
    others = {store.folder("stage", {**key, "seed": 2}), store.folder("other", key)}
    assert len(others | {folder}) == 3


def test_arrays_come_back_bit_for_bit_memory_mapped_and_read_only(store, tmp_path):
    path = tmp_path / "models.npy"
    for loaded in (store.save(path, ARRAY), store.load(path)):
        assert isinstance(loaded, np.memmap)
        assert loaded.dtype == ARRAY.dtype
        np.testing.assert_array_equal(loaded, ARRAY)
        with pytest.raises(ValueError, match="read-only"):
            loaded[0, 0] = 1


def damage(path, kind):
    whole = path.read_bytes()
    path.write_bytes(
        {"cut": whole[:-5], "header": whole[:20], "empty": b"", "other": b"x" * 99}[kind]
    )


@pytest.mark.parametrize("kind", ["cut", "header", "empty", "other"])
def test_a_damaged_file_is_named_and_set_aside(store, tmp_path, capsys, kind):
    path = tmp_path / "models.npy"
    store.save(path, ARRAY)
    damage(path, kind)
    assert not store.has(path)
    assert capsys.readouterr().err == (
        f"pdrr: {path} is damaged: set aside as models.npy.damaged, made anew\n"
    )
    assert [found.name for found in tmp_path.iterdir()] == ["models.npy.damaged"]
    with pytest.raises(FileNotFoundError, match=r"models\.npy"):
        store.load(path)
    np.testing.assert_array_equal(store.save(path, ARRAY), ARRAY)


@settings(deadline=None)
@given(st.data())
def test_one_changed_bit_anywhere_is_seen(data):
    with TemporaryDirectory() as folder:
        store, path = Store(Path(folder)), Path(folder) / "models.npy"
        store.save(path, ARRAY)
        content = bytearray(path.read_bytes())
        place = data.draw(st.integers(0, 8 * len(content) - 1))
        content[place // 8] ^= 1 << place % 8
        path.write_bytes(content)
        assert not store.has(path)


def test_a_state_comes_back_as_it_was_and_a_row_less_is_seen(store, tmp_path, capsys):
    path = tmp_path / "state.npz"
    store.save_state(path, [{"round": 1, "model": "é"}], previous=ARRAY, scores=ARRAY[0])
    rows, arrays = store.load_state(path)
    assert rows == [{"round": 1, "model": "é"}]
    assert set(arrays) == {"previous", "scores"}
    np.testing.assert_array_equal(arrays["previous"], ARRAY)
    store.save_json(tmp_path / "seconds.json", 1.5)
    assert store.load_json(tmp_path / "seconds.json") == 1.5
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(FileNotFoundError):
        store.load_state(path)
    assert "state.npz is damaged" in capsys.readouterr().err
    with pytest.raises(FileNotFoundError):
        store.load_json(tmp_path / "none.json")


def test_pickled_objects_are_never_loaded(store, tmp_path):
    path = tmp_path / "models.npy"
    with store.writing(path) as file:
        np.save(file, np.array([{}]), allow_pickle=True)
    with pytest.raises(ValueError, match=r"Python objects|allow_pickle"):
        store.load(path)
    with pytest.raises(ValueError, match="Object arrays"):
        store.save(path, np.array([{}]))


def test_the_cache_lies_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("PDRR_CACHE", str(tmp_path))
    assert default_root() == Store().root == tmp_path
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PDRR_CACHE", "relative")
    assert default_root() == tmp_path / "relative"
    monkeypatch.setenv("PDRR_CACHE", "")
    assert default_root().name == "pdrr"
