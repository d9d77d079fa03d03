"""A round is read once: passes say whether what they read is finite, and huge values do no harm."""

from __future__ import annotations

import threading
import warnings
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pdrr import AGGREGATORS, PDRR, Round, bulyan, krum, mean, median, trimmed_mean
from pdrr.aggregators import krum_index
from pdrr.baselines import leave_one_out
from pdrr.core import dispatch, distances, order
from pdrr.core.kernels import numba, pieces, sorting, tiles
from pdrr.defenses import checked_count

DEFENCES = {"krum": {"c": 1}, "trimmed_mean": {"beta": 2}, "median": {}}
RULES = {"mean": {}, "bulyan": {"c": 1}, **DEFENCES}
MAX = float(np.finfo(np.float64).max)
both = pytest.mark.parametrize("kernels", ["on", "off"])
both_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@settings(max_examples=40)
@given(st.data())
def test_each_pass_finds_a_value_that_is_not_finite_and_only_in_its_rows(data):
    k, d = data.draw(st.integers(2, 23)), data.draw(st.sampled_from([1, 17, tiles.WIDTH * 2 + 9]))
    dtype = data.draw(st.sampled_from([np.float32, np.float64]))
    rng = np.random.default_rng(data.draw(st.integers(0, 10**6)))
    kind = data.draw(st.sampled_from(["gauss", "ties", "largest"]))
    clients = {
        "gauss": lambda: rng.normal(size=(k, d)),
        "ties": lambda: rng.integers(-1, 2, (k, d)).astype(float),
        "largest": lambda: rng.choice([-1.0, 1.0], (k, d)) * np.finfo(dtype).max,
    }[kind]().astype(dtype)
    row, column = data.draw(st.integers(0, k - 1)), data.draw(st.integers(0, d - 1))
    clients[row, column] = data.draw(st.sampled_from([np.nan, np.inf, -np.inf]))
    others = np.delete(np.arange(k), row)
    seen = Round(clients, np.zeros(d, dtype))
    for rows in (np.arange(k), others):
        beta = data.draw(st.integers(0, (len(rows) - 1) // 2))
        own = np.ascontiguousarray(clients[rows])
        for pass_, arguments in (
            (order.checked_mean, (own,)),
            (order.checked_middle, (clients, beta, rows)),
            (checked_count, (seen, rows, beta, False)),
        ):
            for f in (pass_.__wrapped__, getattr(numba, pass_.__name__)):
                finite = f(*arguments)[-1]
                assert type(finite) is bool
                if kind == "largest":  # their sums may overflow: then the pass is not sure
                    assert rows is others or not finite
                else:
                    assert finite == (rows is others)


@both
@both_dtypes
def test_models_that_are_finite_are_looked_at_in_no_other_pass(kernels, dtype, monkeypatch):
    monkeypatch.setenv("PDRR_KERNELS", kernels)
    clients = np.random.default_rng(0).normal(size=(9, 700)).astype(dtype)
    seen = Round(clients, clients.mean(axis=0))
    for place in ("pdrr.core.checks", "pdrr.core.distances", "pdrr.defenses"):
        monkeypatch.setattr(f"{place}.finite_rows", lambda _: 1 / 0)
    for rule, own in RULES.items():
        AGGREGATORS[rule](clients, **own)
    for rule, own in DEFENCES.items():
        PDRR(rule, q=0.99, **own).aggregate(seen)


# finite in, finite out


HUGE = {
    "two": [[1.2e308], [1.6e308]],
    "three": [[1.2e308], [1.6e308], [1.5e308]],
    "largest": [[MAX]] * 5,
    "either side": [[MAX], [MAX], [MAX], [MAX], [-MAX], [3.0], [5.0]],
    "next": [[MAX], [np.nextafter(MAX, 0)], [MAX], [np.nextafter(MAX, 0)]],
    "beside small ones": [[1e308, 1.0], [1.5e308, 2.0], [1.7e308, 4.0], [1.7e308, 1.0]],
}


def exact(x, beta):
    """Trimmed mean of the columns, in fractions."""
    columns = [sorted(map(Fraction, column)) for column in np.array(x).T.tolist()]
    kept = [column[beta : len(column) - beta] for column in columns]
    return [float(sum(column) / len(column)) for column in kept]


@both
@pytest.mark.parametrize("name", HUGE)
def test_means_of_huge_values_are_finite_and_right(name, kernels, monkeypatch):
    monkeypatch.setenv("PDRR_KERNELS", kernels)
    x = np.array(HUGE[name])
    x = np.tile(x, (1, 40))  # as wide as kernels want it
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_allclose(mean(x), exact(x, 0), rtol=1e-14)
        for beta in range((len(x) + 1) // 2):
            np.testing.assert_allclose(trimmed_mean(x, beta=beta), exact(x, beta), rtol=1e-14)
        middle = exact(x, order.median_beta(len(x)))
        np.testing.assert_allclose(median(x), middle, rtol=1e-14)
        found = PDRR("median", q=1).detect(Round(x, np.zeros(x.shape[1])))
        np.testing.assert_allclose(found.pre_aggregate, middle, rtol=1e-14)
        assert not [note for note in found.notes if "finite" in note]
        assert np.isfinite(found.scores).all()


@both
def test_the_closest_to_a_huge_median_are_those_of_the_same_values_made_small(kernels, monkeypatch):
    monkeypatch.setenv("PDRR_KERNELS", kernels)
    x = np.random.default_rng(3).uniform(-1, 1, (9, 300))
    large, small = (
        order.closest_to_median(x * size, np.arange(9), 4) for size in (2.0**1023, 2.0**900)
    )
    np.testing.assert_array_equal(large / 2.0**123, small)


@both
def test_of_equal_values_bulyan_leaves_exactly_that_value(kernels, monkeypatch):
    monkeypatch.setenv("PDRR_KERNELS", kernels)
    model = np.random.default_rng(8).normal(size=300)
    assert (bulyan(np.tile(model, (7, 1)), c=0) == model).all()


@both
@pytest.mark.parametrize("rule", ["mean", "trimmed_mean", "median"])
def test_a_huge_model_takes_no_digits_from_the_mean_without_it(rule, kernels, monkeypatch):
    monkeypatch.setenv("PDRR_KERNELS", kernels)
    x = np.random.default_rng(9).normal(size=(6, 300))
    own = {"beta": 1} if rule == "trimmed_mean" else {}
    for size in (1e17, 1e308):
        x[2] = size
        without = list(leave_one_out(Round(x, np.zeros(300)), rule, **own))[2]
        expected = AGGREGATORS[rule](np.delete(x, 2, axis=0), **own)
        np.testing.assert_allclose(without, expected, rtol=1e-12, atol=1e-15)


@both
def test_models_whose_norms_overflow_may_lie_side_by_side(kernels, monkeypatch):
    monkeypatch.setenv("PDRR_KERNELS", kernels)
    x = np.zeros((4, 30))
    x[:3, 0], x[1, 1], x[2, 1] = 1e308, 3.0, 5.0
    squared = distances.pairwise_squared_distances(x)
    assert squared[:3, :3].tolist() == [[0, 9, 25], [9, 0, 4], [25, 4, 0]]
    assert np.isinf(squared[3, :3]).all()


@both
@pytest.mark.parametrize("size", [1e-150, 1e-165, 1e-200, 1e-300])
def test_no_model_wins_krum_or_bulyan_by_underflow(size, kernels, monkeypatch):
    monkeypatch.setenv("PDRR_KERNELS", kernels)
    x = np.random.default_rng(5).normal(size=(11, 50))
    x[0] = 1e3  # the first would win if all distances were 0
    y = x * size
    y[1] = 1.0
    x[1] = 1e6
    assert krum_index(y, c=3) == krum_index(x, c=3) > 1
    np.testing.assert_allclose(bulyan(y, c=2), bulyan(x, c=2) * size, rtol=1e-6)


def test_the_middle_of_two_is_finite_for_every_pair():
    for a in (MAX, -MAX, 1e308, 1.0, 5e-324):
        for b in (MAX, -MAX, 1e308, -1e300):
            assert median(np.array([[a], [b]]))[0] == float((Fraction(a) + Fraction(b)) / 2)


# size does not matter to Krum


SIZES = (1.0, 1e100, 1e150, 1e153, 1e154, 1e160, 1e200, 1e300)


@both
@pytest.mark.parametrize("size", SIZES)
def test_a_huge_finite_model_does_not_win_by_overflow(size, kernels, monkeypatch):
    monkeypatch.setenv("PDRR_KERNELS", kernels)
    rng = np.random.default_rng(1)
    x, s = rng.standard_normal((9, 40)), np.sign(rng.standard_normal(40))
    expected = x.copy()
    expected[:3] = 1e100 * s
    x[:3] = max(size, 1e3) * s
    observed, known = Round(x, np.zeros(40)), Round(expected, np.zeros(40))
    defence = PDRR("krum", q=0.25, c=3)
    (own, found), (wanted, other) = defence.aggregate(observed), defence.aggregate(known)
    assert (own[None] == x).all(axis=1).tolist() == (wanted[None] == expected).all(axis=1).tolist()
    assert found.flagged.tolist() == other.flagged.tolist()
    assert (krum(x, c=3)[None] == x).all(axis=1).argmax() >= 3


@both
@pytest.mark.parametrize("shift", [-480, 0, 480, 600, 900])
def test_krum_and_bulyan_choose_the_same_at_every_size(shift, kernels, monkeypatch):
    monkeypatch.setenv("PDRR_KERNELS", kernels)
    x = np.random.default_rng(5).normal(size=(11, 50))
    y = x * 2.0**shift
    assert (krum(y, c=3) == krum(x, c=3) * 2.0**shift).all()
    assert (bulyan(y, c=2) == bulyan(x, c=2) * 2.0**shift).all()


# Bulyan's picks


def plain_picks(squared, c):
    """Krum anew on what remains after each pick."""
    remaining, picked = list(range(len(squared))), []
    for _ in range(len(squared) - 2 * c):
        among = squared[np.ix_(remaining, remaining)]
        scores = distances.krum_scores(among, neighbours=max(1, len(remaining) - c - 2))
        picked.append(remaining.pop(int(np.argmin(scores))))
    return picked


@given(
    st.integers(3, 40), st.integers(0, 10**6), st.sampled_from(["gauss", "ties", "clones", "inf"])
)
def test_picks_are_those_of_krum_on_what_remains(k, seed, kind):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(k, 3)) if kind != "ties" else rng.integers(0, 2, (k, 3)).astype(float)
    if kind == "clones":
        points[: k // 2] = points[0]
    squared = ((points[:, None] - points[None]) ** 2).sum(axis=2)
    if kind == "inf":
        squared[0, :] = squared[:, 0] = np.inf
        squared[0, 0] = 0
    for c in {0, (k - 3) // 8, (k - 3) // 4}:
        assert distances.bulyan_picks(squared, c).tolist() == plain_picks(squared, c)


def test_picks_are_the_same_for_many_models():
    points = np.random.default_rng(0).integers(0, 9, (150, 2)).astype(float)
    squared = ((points[:, None] - points[None]) ** 2).sum(axis=2)
    assert distances.bulyan_picks(squared, 30).tolist() == plain_picks(squared, 30)


# many equal values, many models, threads that do not start


@pytest.mark.parametrize("equal", [32_767, 32_768, 65_535, 65_536, 70_000])
def test_counts_of_equal_values_hold_any_number(equal):
    x = np.zeros(tiles.WIDTH, np.float32)
    share, counts = np.empty(x.size), np.empty((2, x.size), np.int32)
    beta = equal // 7
    sorting.kept_share(x, np.zeros(equal, np.int64), 0, x, beta, counts, share)
    assert (share == (equal - 2 * beta) / equal).all()


@both
def test_seventy_thousand_equal_models_share_what_is_kept(kernels, monkeypatch):
    monkeypatch.setenv("PDRR_KERNELS", kernels)
    x = np.zeros((70_000, 1), np.float32)
    x[0], x[1] = 1, -1
    seen = Round(x, np.full(1, -5, np.float32))
    found = PDRR("trimmed_mean", beta=7_000, q=0.9).detect(seen)
    expected = [1, 1, 1 - 56_000 / 69_998]
    np.testing.assert_allclose(found.statistic[:3], expected, rtol=1e-12)
    assert found.flagged.sum() == 2


def test_a_few_coordinates_of_very_many_models_are_sorted_without_a_tile(monkeypatch):
    monkeypatch.delenv("PDRR_KERNELS", raising=False)
    assert dispatch.kernels_for(np.zeros((20_000, 1), np.float32)) is None
    assert dispatch.kernels_for(np.zeros((20_000, 16), np.float32)) is numba
    assert dispatch.kernels_for(np.zeros((50, 1), np.float32)) is numba


@pytest.mark.parametrize("started", [0, 1, 2])
def test_without_new_threads_the_same_work_is_done(started, monkeypatch):
    x = np.random.default_rng(2).normal(size=(7, 3 * tiles.WIDTH + 5))
    monkeypatch.setattr("pdrr.core.arrays.BLOCK", tiles.WIDTH // 4)
    monkeypatch.setattr(pieces, "processors", lambda: 2)
    expected = median(x)
    submit, calls = pieces.ThreadPoolExecutor.submit, []

    def refuse(self, *args):
        calls.append(args)
        if len(calls) > started:
            raise RuntimeError("cannot schedule new futures after interpreter shutdown")
        return submit(self, *args)

    monkeypatch.setattr(pieces.ThreadPoolExecutor, "submit", refuse)
    assert median(x).tobytes() == expected.tobytes()
    assert len(calls) == started + 1


def test_other_threads_may_use_the_kernels():
    x, found = np.random.default_rng(4).normal(size=(7, 900)), []
    thread = threading.Thread(target=lambda: found.append(median(x)))
    thread.start()
    thread.join()
    assert found[0].tobytes() == median(x).tobytes()
