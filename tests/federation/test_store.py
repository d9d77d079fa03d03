"""The cache: files are whole or absent, keys are canonical, arrays come back memory-mapped."""

import hashlib
import json

import numpy as np
import pytest

from pdrr.core.files import atomic, digest
from pdrr.federation.store import Store, default_root

ARRAY = np.arange(12, dtype=np.float32).reshape(3, 4)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def test_atomic_shows_the_new_file_only_when_the_block_has_ended(tmp_path):
    path = tmp_path / "new" / "file.txt"
    with atomic(path) as temporary:
        temporary.write_text("first")
        assert not path.exists()
    with path.open() as reader:
        with atomic(path) as temporary:
            temporary.write_text("second")
            assert path.read_text() == "first"
            assert temporary.suffix == ".txt"
            assert temporary.name.startswith(".")  # what a kill leaves behind is hidden
        assert path.read_text() == "second"
        assert reader.read() == "first"  # replaced, not written into
    assert [p.name for p in path.parent.iterdir()] == ["file.txt"]
    assert path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("fault", [ValueError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("old", ["old", None])
def test_an_interrupted_writer_leaves_the_old_file_and_no_temporary(tmp_path, fault, old):
    path = tmp_path / "file.txt"
    if old is not None:
        path.write_text(old)

    def interrupted():
        with atomic(path) as temporary:
            temporary.write_text("half of the n")
            raise fault

    with pytest.raises(fault):
        interrupted()
    assert [p.read_text() for p in tmp_path.iterdir()] == ([] if old is None else [old])


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
    assert json.loads((folder / "key.json").read_text()) == key
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
def test_a_damaged_file_is_named(store, tmp_path, kind):
    path = tmp_path / "models.npy"
    store.save(path, ARRAY)
    damage(path, kind)
    with pytest.raises(
        ValueError, match=r"cached file .*models\.npy is damaged .*delete it"
    ) as caught:
        store.load(path)
    assert "\n" not in str(caught.value)


def test_pickled_objects_are_never_loaded(store, tmp_path):
    path = tmp_path / "models.npy"
    np.save(path, np.array([{}]), allow_pickle=True)
    with pytest.raises(ValueError, match=r"models\.npy is damaged"):
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
