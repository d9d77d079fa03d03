"""Files of models: what NumPy and the safetensors library write is read, and so is ours by them."""

import json

import ml_dtypes
import numpy as np
import pytest
import safetensors
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from helpers import made_up_models
from pdrr import files
from pdrr.files import rounds
from pdrr.files.layout import typed

MODELS = arrays_of.arrays(
    st.sampled_from(["<f2", "<f4", "<f8", ">f4", "<i8", "|u1", "|b1"]),
    arrays_of.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
    elements={"allow_nan": False},
)
QUIET = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def read(path):
    """All arrays of a file, by our reader."""
    file = rounds.describe(path)
    return rounds.numbers(file, file.entries)


def same(one, other):
    assert one.keys() == other.keys()
    for key in one:
        assert one[key].dtype.newbyteorder("=") == other[key].dtype.newbyteorder("=")
        np.testing.assert_array_equal(one[key], other[key])
        assert one[key].shape == other[key].shape


@QUIET
@given(st.dictionaries(st.text("abc./é", min_size=1), MODELS, min_size=1, max_size=4))
@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_what_the_libraries_write_is_read(suffix, tmp_path, model):
    path = tmp_path / f"model{suffix}"
    if suffix == ".safetensors":
        model = {key: value.astype(value.dtype.newbyteorder("=")) for key, value in model.items()}
    made_up_models.save(path, model)
    same(read(path), model)


@QUIET
@given(MODELS)
def test_what_numpy_writes_as_one_array_is_read(tmp_path, values):
    np.save(tmp_path / "model.npy", values)
    same(read(tmp_path / "model.npy"), {"": values})


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_the_first_index_may_run_fastest(suffix, tmp_path):
    values = np.asfortranarray(np.arange(12.0).reshape(3, 4))
    made_up_models.save(tmp_path / f"model{suffix}", {"w": values})
    (found,) = read(tmp_path / f"model{suffix}").values()
    np.testing.assert_array_equal(found, values)


def test_a_compressed_archive_is_read(tmp_path):
    np.savez_compressed(tmp_path / "model.npz", w=np.zeros(10_000), b=np.arange(3.0))
    same(read(tmp_path / "model.npz"), {"w": np.zeros(10_000), "b": np.arange(3.0)})


def test_brain_floats_are_read_as_their_values(tmp_path):
    values = np.array([1.0, -0.0, 3.0e38, 1e-40, np.nan, np.inf], np.float32)
    short = values.astype(ml_dtypes.bfloat16)
    tensor = safetensors.TensorSpec(dtype="bfloat16", shape=[6], data_ptr=short.ctypes.data,
                                    data_len=short.nbytes)  # fmt: skip
    safetensors.serialize_file({"w": tensor}, tmp_path / "model.safetensors", None)
    np.testing.assert_array_equal(read(tmp_path / "model.safetensors")["w"], short.astype("f4"))


@given(arrays_of.arrays(np.float32, 8, elements={"allow_nan": False}))
def test_brain_floats_are_rounded_as_another_library_does(values):
    finite = values[np.abs(values) < 3e38]
    theirs = finite.astype(ml_dtypes.bfloat16).view(np.uint16)
    np.testing.assert_array_equal(typed(finite, "bfloat16"), theirs)


@pytest.mark.parametrize("suffix", made_up_models.FORMATS)
@pytest.mark.parametrize("dtype", ["<f2", "<f4", "<f8"])
def test_a_model_that_krum_chose_is_written_as_it_came(suffix, dtype, tmp_path):
    folder, previous = made_up_models.write_round(tmp_path, suffix, dtype)
    found = files.survey(folder, previous)
    with found.read() as observed:
        chosen = np.array(observed.clients[7])
    files.write(tmp_path / f"new{suffix}", found, chosen, [7])
    wanted = made_up_models.load(folder / f"client-7{suffix}")
    written = made_up_models.load(tmp_path / f"new{suffix}")
    same(written, wanted)


def test_big_endian_models_are_written_as_they_came(tmp_path):
    (tmp_path / "round").mkdir()
    for client in range(3):
        np.savez(tmp_path / "round" / f"{client}.npz", w=np.full((2, 2), client, ">f4"))
    found = files.survey(tmp_path / "round", "median")
    with found.read() as observed:
        np.testing.assert_array_equal(observed.clients, [[0] * 4, [1] * 4, [2] * 4])
        files.write(tmp_path / "new.npz", found, np.asarray(observed.previous), [0, 1, 2])
    with np.load(tmp_path / "new.npz") as archive:
        assert archive["w"].dtype == ">f4"
        np.testing.assert_array_equal(archive["w"], np.ones((2, 2)))


def test_brain_floats_are_written_as_brain_floats(tmp_path):
    (tmp_path / "round").mkdir()
    models = [np.array([1.0, 2.0, 3.0]) * (1 + client) for client in range(3)]
    for client, values in enumerate(models):
        header = {"w": {"dtype": "BF16", "shape": [3], "data_offsets": [0, 6]}}
        text = json.dumps(header | {"__metadata__": {"format": "pt"}}).encode()
        (tmp_path / "round" / f"{client}.safetensors").write_bytes(
            len(text).to_bytes(8, "little") + text + made_up_models.bfloat16(values)
        )
    found = files.survey(tmp_path / "round", "median")
    with found.read() as observed:
        np.testing.assert_array_equal(observed.clients, models)
        files.write(tmp_path / "new.safetensors", found, np.array(observed.previous), [0, 1, 2])
    content = (tmp_path / "new.safetensors").read_bytes()
    ((key, tensor),) = safetensors.deserialize(content)
    assert (key, tensor["dtype"], tensor["shape"]) == ("w", "BF16", [3])
    assert bytes(tensor["data"]) == made_up_models.bfloat16(models[1])
    with safetensors.safe_open(tmp_path / "new.safetensors", "np") as opened:
        assert opened.metadata() == {"format": "pt"}
