"""What is no stack of models is refused by every function, before anything is computed."""

import time

import numpy as np
import pytest

import pdrr
from helpers.hostile_models import attack, counted
from pdrr import PDRR, Round
from pdrr.experiments import attacking

X = np.random.default_rng(0).normal(size=(9, 5))


def bfloat16(x):
    return x.astype(pytest.importorskip("ml_dtypes").bfloat16)


def jax_without_float64(x):
    jax = pytest.importorskip("jax")
    assert not jax.config.jax_enable_x64
    return jax.numpy.asarray(x, dtype=np.float32)


def torch_with_gradient(x):
    return pytest.importorskip("torch").asarray(x).requires_grad_()


def torch_sparse(x):
    return pytest.importorskip("torch").asarray(x).to_sparse()


def torch_without_values(x):
    return pytest.importorskip("torch").asarray(x).to("meta")


def sparse(x):
    from scipy.sparse import csr_array

    return csr_array(x)


def frame(x):
    import pandas as pd

    return pd.DataFrame(x)


KINDS = {
    "masked": lambda x: np.ma.masked_greater(x, 1),
    "masked nowhere": np.ma.asarray,
    "matrix": np.asmatrix,
    "big-endian": lambda x: x.astype(">f8"),
    "big-endian float32": lambda x: x.astype(">f4"),
    "float16": lambda x: x.astype(np.float16),
    "bfloat16": bfloat16,
    "longdouble": lambda x: x.astype(np.longdouble),
    "complex": lambda x: x.astype(complex),
    "int": lambda x: x.astype(int),
    "uint8": lambda x: np.abs(x).astype(np.uint8),
    "bool": lambda x: x > 0,
    "object": lambda x: x.astype(object),
    "text": lambda x: x.astype(str),
    "dates": lambda x: x.astype("datetime64[s]"),
    "fields": lambda x: x.view([("a", float)]),
    "list": lambda x: x.tolist(),
    "frame": frame,
    "sparse": sparse,
    "None": lambda _: None,
    "a number": lambda _: 1.0,
    "one model": lambda x: x[0],
    "a cube": lambda x: x[None],
    "no clients": lambda x: x[:0],
    "no parameters": lambda x: x[:, :0],
    "neither": lambda x: x[:0, :0],
    "JAX without float64": jax_without_float64,
    "torch with gradient": torch_with_gradient,
    "torch, sparse": torch_sparse,
    "torch without values": torch_without_values,
}
FUNCTIONS = {
    "mean": pdrr.mean,
    "median": pdrr.median,
    "trimmed_mean": lambda x: pdrr.trimmed_mean(x, beta=1),
    "krum": lambda x: pdrr.krum(x, c=1),
    "bulyan": lambda x: pdrr.bulyan(x, c=1),
    "krum with previous": lambda x: pdrr.krum(x, c=1, previous=X[0]),
    "bulyan with previous": lambda x: pdrr.bulyan(x, c=1, previous=X[0]),
    "Round": lambda x: Round(x, X[0]),
    "Round, previous of the same kind": lambda x: Round(x, x[0] if x.shape[0] else X[0]),
}
unwanted = pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")


@unwanted
@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_function_refuses_what_is_no_stack(kind, name):
    given = KINDS[kind](X)
    if "previous of the same kind" in name and not hasattr(given, "shape"):
        return
    counted(f"kind: {kind}")
    with pytest.raises((TypeError, ValueError), match="need") as caught:
        FUNCTIONS[name](given)
    assert "\n" not in str(caught.value)


WRONG_PREVIOUS = {
    "too short": lambda p: p[:-1],
    "too long": lambda p: np.append(p, 0),
    "a row": lambda p: p[None],
    "a column": lambda p: p[:, None],
    "float32": lambda p: p.astype(np.float32),
    "NaN": lambda p: p * np.nan,
    "infinite": lambda p: p / 0,
    "a list": lambda p: p.tolist(),
    "None": lambda _: None,
    "masked": np.ma.asarray,
}


@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
@pytest.mark.parametrize("kind", WRONG_PREVIOUS)
def test_a_previous_model_that_does_not_fit_is_refused(kind):
    counted(f"previous: {kind}")
    with pytest.raises((TypeError, ValueError), match="need"):
        Round(X, WRONG_PREVIOUS[kind](X[0]))


WRONG_MASK = {
    "numbers": lambda m: m.astype(int),
    "too short": lambda m: m[:-1],
    "nobody": np.zeros_like,
    "everybody": np.ones_like,
    "a column": lambda m: m[:, None],
    "a list": lambda m: m.tolist(),
}


@pytest.mark.parametrize("kind", WRONG_MASK)
@pytest.mark.parametrize("name", attacking.attacks())
def test_an_attack_refuses_a_mask_that_does_not_fit(name, kind):
    counted(f"mask: {kind}")
    mask = WRONG_MASK[kind](np.arange(9) < 3)
    if kind == "a list":  # means what it says
        attack(name, Round(X, X[0]), np.array(mask), "full")
        return
    with pytest.raises((TypeError, ValueError), match="needs"):
        attack(name, Round(X, X[0]), mask, "full")


# very many clients

MANY = 100_000


@pytest.mark.parametrize("d", [1, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_hundred_thousand_clients_with_a_parameter_or_three(d, dtype):
    counted("k = 100,000")
    x = np.random.default_rng(1).permutation(np.arange(MANY, dtype=dtype))
    x = np.repeat(x[:, None], d, axis=1)
    for found in (pdrr.mean(x), pdrr.median(x), pdrr.trimmed_mean(x, beta=40_000)):
        np.testing.assert_allclose(found, (MANY - 1) / 2, rtol=1e-7)
    observed = Round(x, np.full(d, -1, dtype))
    for detector in (PDRR("median", q=1.0), PDRR("trimmed_mean", beta=10_000, q=1.0)):
        model, found = detector.aggregate(observed)
        assert np.isfinite(model).all()
        assert found.flagged.sum() == {"median": MANY - 2, "trimmed_mean": 20_000}[detector.rule]


@pytest.mark.parametrize(
    "function",
    [
        lambda x: pdrr.krum(x, c=1),
        lambda x: pdrr.bulyan(x, c=1),
        lambda x: PDRR("krum", c=1, q=0.9).detect(Round(x, x[0])),
    ],
)
def test_what_compares_all_pairs_says_for_how_many_there_is_room(function):
    counted("k = 100,000, all pairs")
    started = time.monotonic()
    with pytest.raises(ValueError, match=r"needs at most 10,000 models, got 100,000"):
        function(np.zeros((MANY, 1)))
    assert time.monotonic() - started < 2
