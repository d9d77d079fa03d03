"""Arrays of any shape and type: laid out as a row, and back again."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pdrr.serving.layout import Layout

DTYPES = ["f2", "f4", "f8", "g", ">f4", "i1", "u8", "<i4", ">i2", "?"]
ARRAYS = st.sampled_from(DTYPES).flatmap(
    lambda dtype: hnp.arrays(
        dtype,
        hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
        elements={"min_value": 0, "max_value": 100} if dtype != "?" else None,
    )
)
MODELS = st.dictionaries(st.text(max_size=5), ARRAYS, min_size=1, max_size=5).map(
    lambda model: {**model, "float": np.ones(2, np.float32)}
)


@given(MODELS)
def test_a_model_comes_back_as_what_it_was(model):
    layout = Layout(model)
    row = np.empty(layout.d, layout.dtype)
    layout.fill(row, model)
    back = layout.unpack(row, layout.counters(model))
    assert list(back) == list(model)
    for name, array in model.items():
        assert back[name].dtype == array.dtype.newbyteorder("=")
        assert back[name].shape == array.shape
        if array.dtype.itemsize <= 8:  # longdouble has digits that a row has not
            assert (back[name] == array).all()


@given(MODELS)
def test_a_model_is_no_trouble_to_itself_and_to_nobody_with_an_array_more(model):
    layout = Layout(model)
    assert layout.trouble(model) == ""
    assert "arrays as sent" in layout.trouble({**model, "another one": np.ones(1)})


def test_the_vector_is_as_wide_as_the_widest_float():
    assert Layout({"a": np.ones(1, "f2"), "b": np.ones(1, "f4")}).dtype == np.float32
    assert Layout({"a": np.ones(1, "f2"), "b": np.ones(1, "f8")}).dtype == np.float64
    assert Layout({"a": np.ones(1, "f4"), "n": np.ones(9, "i8")}).dtype == np.float32


@pytest.mark.parametrize("dtype", ["c16", "U3", "M8[s]", "O", "V4"])
def test_what_is_no_real_number_is_refused(dtype):
    with pytest.raises(TypeError, match="needs arrays of real numbers, got 'x'"):
        Layout({"w": np.ones(1), "x": np.zeros(2, dtype)})


def test_a_model_without_floating_point_values_is_refused():
    with pytest.raises(ValueError, match="needs floating-point values, got none"):
        Layout({"n": np.ones(3, int), "empty": np.ones((0, 2))})


def test_other_widths_of_float_are_converted_and_other_whole_numbers_refused():
    layout = Layout({"w": np.ones(2, "f4"), "n": np.array(1, "i8")})
    assert layout.trouble({"w": np.ones(2, "f8"), "n": np.array(1, ">i8")}) == ""
    assert "needs int64, got int32" in layout.trouble({"w": np.ones(2), "n": np.array(1, "i4")})
    assert "needs float32, got int64" in layout.trouble(
        {"w": np.ones(2, "i8"), "n": np.array(1, "i8")}
    )


@pytest.mark.parametrize(("own", "theirs", "value"), [("f2", "f4", 1e6), ("f4", "f8", 1e300)])
def test_what_the_model_s_own_type_cannot_hold_is_infinite(own, theirs, value):
    layout = Layout({"w": np.ones(1, own), "wide": np.ones(1, "f8")})
    row = np.empty(2)
    layout.fill(row, {"w": np.full(1, value, theirs), "wide": np.ones(1)})
    assert np.isinf(row[0])
    assert row[1] == 1


def test_counters_take_the_lower_median_and_are_never_averaged():
    layout = Layout({"w": np.ones(1), "n": np.zeros(2, np.uint8)})
    kept = [{"n": np.array([a, b], np.uint8)} for a, b in ((1, 255), (2, 0), (9, 7), (4, 8))]
    settled = layout.settle(kept, {})["n"]
    assert settled.tolist() == [2, 7]
    assert settled.dtype == np.uint8


def test_without_a_kept_model_counters_stay():
    layout = Layout({"w": np.ones(1), "n": np.array(3)})
    assert layout.settle([], {"n": np.array(3), "w": np.ones(1)}) == {"n": np.array(3)}


def test_truth_values_are_made_of_any_bytes():
    layout = Layout({"w": np.ones(1), "mask": np.zeros(3, bool)})
    odd = np.array([0, 2, 255], np.uint8).view(bool)
    counters = layout.counters({"mask": odd})
    assert counters["mask"].view(np.uint8).tolist() == [0, 1, 1]
