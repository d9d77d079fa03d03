"""Arrays that would mean something else to a rule than to their owner are refused in words."""

from types import SimpleNamespace

import array_api_compat
import numpy as np
import pytest

import pdrr
from pdrr import PDRR, Round

VALUES = np.array(
    [[1.0, 2.0], [2.0, 1.0], [3.0, 5.0], [1e3, 4.0], [2.0, 2.0], [2.5, 1.5], [1.5, 2.5]]
)
PUBLIC = {
    "mean": pdrr.mean,
    "median": pdrr.median,
    "trimmed_mean": lambda x: pdrr.trimmed_mean(x, beta=1),
    "krum": lambda x: pdrr.krum(x, c=1),
    "bulyan": lambda x: pdrr.bulyan(x, c=1),
    "Round": lambda x: Round(x, x[0]),
}
every_function = pytest.mark.parametrize("function", PUBLIC.values(), ids=PUBLIC)


@every_function
@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda: np.ma.masked_equal(VALUES, 1e3), "needs plain arrays, got a masked one"),
        (lambda: np.ma.asarray(VALUES), "needs plain arrays, got a masked one"),
        (lambda: np.asmatrix(VALUES), "needs plain arrays, got numpy.matrix"),
        (lambda: list(VALUES), "needs one array, got a list: stack its models"),
        (lambda: tuple(VALUES), "needs one array, got a tuple: stack its models"),
        (lambda: VALUES.astype(">f8"), "needs float32 or float64 clients, got >f8"),
        (lambda: VALUES.astype(np.float16), "needs float32 or float64 clients, got float16"),
        (lambda: VALUES.astype(np.longdouble), "needs float32 or float64 clients, got "),
        (lambda: VALUES.astype(complex), "needs float32 or float64 clients, got complex128"),
        (lambda: VALUES.astype(int), "needs float32 or float64 clients, got int64"),
        (lambda: VALUES.astype(object), "needs float32 or float64 clients, got object"),
    ],
)
@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_what_is_no_plain_array_of_floats_is_refused(function, made, words):
    with pytest.raises(TypeError, match=words):
        function(made())


@every_function
def test_jax_without_float64_is_refused_and_with_it_agrees_with_numpy(function):
    jax = pytest.importorskip("jax")
    before = jax.config.jax_enable_x64
    try:
        jax.config.update("jax_enable_x64", False)
        with pytest.raises(TypeError, match=r"needs float64 for its sums, got JAX arrays"):
            function(jax.numpy.asarray(VALUES, dtype=np.float32))
        jax.config.update("jax_enable_x64", True)
        result = function(jax.numpy.asarray(VALUES))
        if not isinstance(result, Round):
            np.testing.assert_allclose(np.asarray(result), function(VALUES), rtol=1e-15)
    finally:
        jax.config.update("jax_enable_x64", before)


def test_a_tensor_with_a_gradient_is_refused(monkeypatch):
    monkeypatch.setattr(array_api_compat, "is_torch_array", lambda x: hasattr(x, "requires_grad"))
    with pytest.raises(TypeError, match="needs tensors without gradients, got one that requires"):
        pdrr.krum(SimpleNamespace(requires_grad=True), c=1)


@every_function
@pytest.mark.parametrize(
    "same",
    [
        lambda x: np.asfortranarray(x),
        lambda x: np.repeat(x, 2, axis=0)[::2],
        lambda x: np.repeat(x, 2, axis=1)[:, ::2],
        lambda x: np.lib.stride_tricks.as_strided(x, writeable=False),
        lambda x: x[::-1][::-1],
    ],
    ids=["Fortran", "every other row", "every other column", "read-only", "turned twice"],
)
def test_the_layout_of_an_array_changes_nothing(function, same):
    expected, result = function(VALUES), function(same(VALUES.copy()))
    if isinstance(result, Round):
        expected, result = expected.clients, result.clients
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize(
    ("rule", "own"), [("krum", {"c": 2}), ("trimmed_mean", {"beta": 2}), ("median", {})]
)
@pytest.mark.parametrize("k", [5, 8, 30])
@pytest.mark.parametrize("moved", [0.0, 1.5])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_of_clients_that_all_sent_the_same_model_nobody_is_flagged(rule, own, k, moved, dtype):
    model = np.array([1.0, -2.0, 3.0, 0.1], dtype)
    observed = Round(np.tile(model, (k, 1)), (model - dtype(moved)).astype(dtype))
    aggregate, found = PDRR(rule, q=0.9, **own).aggregate(observed)
    assert not found.flagged.any()
    assert any("tells no two models apart" in note for note in found.notes)
    np.testing.assert_array_equal(aggregate, model)
