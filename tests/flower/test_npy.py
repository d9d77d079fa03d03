"""Bytes of an array: what NumPy writes is read without a copy, anything else is refused."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from benchmarks.hostile import promise
from pdrr.flower import npy

PLAIN = hnp.arrays(
    st.sampled_from(["f2", "f4", "f8", "g", ">f4", "i1", "<i8", ">u4", "?"]),
    hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4),
)


def written(array, version=None):
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asanyarray(array), version, allow_pickle=True)
    return file.getvalue()


@given(PLAIN, st.sampled_from([(1, 0), (2, 0), (3, 0)]), st.booleans())
def test_what_numpy_writes_is_read_as_numpy_reads_it(array, version, fortran):
    array = np.asfortranarray(array) if fortran and array.ndim > 1 else array
    got = npy.read(written(array, version))
    assert got.dtype == array.dtype
    assert got.shape == array.shape
    assert got.tobytes() == array.tobytes()


@given(st.binary(max_size=30), st.integers(0, 140), PLAIN)
def test_whatever_is_accepted_numpy_reads_in_the_same_way(noise, place, array):
    """A filter hands the bytes on to strategies that use numpy.load."""
    data = written(array)
    data = data[:place] + noise + data[place + len(noise) :]
    try:
        got = npy.read(data)
    except ValueError:
        return
    theirs = np.load(io.BytesIO(data), allow_pickle=False)
    assert got.dtype == theirs.dtype
    assert got.shape == theirs.shape
    assert got.tobytes() == theirs.tobytes()


def test_nothing_is_copied():
    data = written(np.arange(1000.0))
    got = npy.read(data)
    assert np.shares_memory(got, np.frombuffer(data, np.uint8))
    assert not got.flags.writeable


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "the form of .npy"),
        (b"PK\x03\x04", "the form of .npy"),
        (b"\x93NUMPY", "the form of .npy"),
        (b"\x93NUMPY\x01\x00\xff\xff", "a whole header"),
        (written(np.ones(3))[:20], "a whole header"),
        (written(np.ones(3))[:-1], r"needs 24 bytes, got 23"),
        (written(np.ones(3)) + b"\0", r"needs 24 bytes, got 25"),
        (written(np.array([{}], object)), "one plain type"),
        (written(np.zeros(2, "f4,i4")), "one plain type"),
        (written(np.zeros(2, "c8")), "real numbers"),
        (written(np.array(["a"])), "real numbers"),
        (written(np.zeros(2, "V3")), "real numbers"),
        (written(np.ones(3)).replace(b"<f8", b"<f7"), "a type that exists"),
        (written(np.ones(3)).replace(b"<f8", b"=f8"), "real numbers"),
        (written(np.ones(3)).replace(b"'descr'", b"'shape'"), "one plain type"),
        ("text", "needs bytes, got str"),
    ],
)
def test_anything_else_is_refused_in_words(data, words):
    with pytest.raises(ValueError, match=words):
        npy.read(data)


def test_a_promise_of_terabytes_costs_nothing():
    data = promise("(1000000000000,)")
    with pytest.raises(ValueError, match="needs 4000000000000 bytes, got 0"):
        npy.read(data)
