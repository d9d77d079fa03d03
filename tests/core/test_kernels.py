"""Compiled kernels against the plain definitions that they stand in for."""

import functools
import inspect
import io
import itertools
import json
import subprocess
import sys

import array_api_strict
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import pdrr.core.arrays
from helpers import oracles
from pdrr import ATTACKS, PDRR, Round, attacks, defenses, krum, median, trimmed_mean
from pdrr.baselines import jackknife
from pdrr.core import checks, directions, dispatch, distances, order, round_passes
from pdrr.core.kernels import numba, pieces, tiles

pytest.importorskip("numba")
from pdrr.core.kernels.network import batcher, sorting_program

PLAIN = {
    function.__name__: function.__wrapped__
    for function in (
        checks.finite_rows,
        order.closest_to_median,
        order.checked_mean,
        order.checked_middle,
        directions.extremes,
        directions.lengths,
        directions.mean_direction,
        directions.middle_direction,
        directions.moments,
        distances.gram,
        distances.pair_distances,
        defenses.checked_count,
        defenses.sign_sums,
        jackknife.kept_values,
        jackknife.mean_without,
        round_passes.rank_sums,
        round_passes.side_products,
    )
}
RULES = {"krum": {"c": 2}, "trimmed_mean": {"beta": 2}, "median": {}}
every_rule = pytest.mark.parametrize("rule", RULES)
both_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])
TILE = tiles.WIDTH


@pytest.fixture(autouse=True)
def kernels_are_on(monkeypatch):
    monkeypatch.delenv("PDRR_KERNELS", raising=False)


def observed(k, d, seed, dtype=np.float32, kind="ties"):
    """A round with many equal values ("ties") or none ("gauss"), or all of one value ("one")."""
    rng = np.random.default_rng(seed)
    values = {
        "ties": lambda shape: rng.integers(-2, 3, shape) * 0.1,
        "gauss": lambda shape: rng.normal(size=shape),
        "one": lambda shape: np.full(shape, 0.1),
    }[kind]
    return Round(values((k, d)).astype(dtype), values(d).astype(dtype))


@st.composite
def cases(draw, min_k=1):
    """(round, rows, beta): any k up to 40, d around the edges of tiles, some of the rows."""
    k = draw(st.integers(min_k, 40))
    d = draw(st.sampled_from([2, 63, TILE - 1, TILE, TILE + 1, 3 * TILE + 70]))
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    kind = draw(st.sampled_from(["ties", "ties", "gauss", "one"]))
    n = draw(st.sampled_from([k, k, max(min_k, k // 2)]))
    seed = draw(st.integers(0, 10**6))
    rows = np.sort(np.random.default_rng(seed).permutation(k)[:n])
    return observed(k, d, seed, dtype, kind), rows, draw(st.integers(0, (n - 1) // 2))


def same(found, expected):
    """Equal values, types and shapes; -0.0 equals 0.0."""
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    assert np.array_equal(found, expected)


# the two ways in


def test_each_kernel_has_the_name_and_parameters_of_its_plain_definition():
    public = [
        name
        for name, value in vars(numba).items()
        if inspect.isfunction(value) and value.__module__ == numba.__name__ and name[0] != "_"
    ]
    assert set(public) == set(PLAIN)
    for name, plain in PLAIN.items():
        own, wanted = inspect.signature(getattr(numba, name)), inspect.signature(plain)
        assert list(own.parameters.values()) == [
            parameter.replace(annotation=own.parameters[parameter.name].annotation)
            for parameter in wanted.parameters.values()
        ]


def test_kernels_work_on_stacks_of_the_host_whose_rows_are_contiguous(tmp_path):
    x = np.zeros((6, 8), np.float32)
    x.tofile(tmp_path / "stack")
    mapped = np.memmap(tmp_path / "stack", np.float32, mode="r", shape=(6, 8))
    for fits in (x, x.astype(float), mapped, x[::-1], x[1:4, 2:5], np.broadcast_to(x[0], (6, 8))):
        assert dispatch.kernels_for(fits) is numba
    unaligned = np.zeros(6 * 8 * 4 + 1, np.uint8)[1:].view(np.float32).reshape(6, 8)
    others = (np.asfortranarray(x), x[:, ::2], x.astype(">f4"), unaligned)
    for other in (*others, np.ma.masked_array(x), array_api_strict.asarray(x)):
        assert dispatch.kernels_for(other) is None


def test_the_kernels_can_be_switched_off(monkeypatch):
    seen = observed(7, 20, 0)
    monkeypatch.setattr(numba, "checked_middle", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        median(seen.clients)
    monkeypatch.setenv("PDRR_KERNELS", "off")
    median(seen.clients)


DETECT = """
import sys
import numpy as np
import pdrr
assert "numba" not in sys.modules, "import pdrr"
clients = np.arange(35, dtype=np.float32).reshape(5, 7) % 4
print(pdrr.PDRR("median", q=0.9).detect(pdrr.Round(clients, clients[0])).statistic.tolist())
assert ("numba" in sys.modules) == (sys.argv[1] == "on")
"""


@pytest.mark.parametrize("how", ["on", "off", "missing"])
def test_numba_is_loaded_when_needed_and_never_required(how, monkeypatch):
    monkeypatch.setenv("PDRR_KERNELS", "off" if how == "off" else "")
    code = DETECT
    if how == "missing":  # what an import of it would do without it
        code = DETECT.replace("import numpy", "sys.modules['numba'] = None\nimport numpy", 1)
        code = code.replace('assert "numba" not in sys.modules, "import pdrr"', "")
        code = code.replace('("numba" in sys.modules) == (sys.argv[1] == "on")', "True")
    run = [sys.executable, "-c", code, how]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    clients = np.arange(35, dtype=np.float32).reshape(5, 7) % 4
    expected = PDRR("median", q=0.9).detect(Round(clients, clients[0])).statistic.tolist()
    assert json.loads(done.stdout) == pytest.approx(expected)


# sorting networks


@pytest.mark.parametrize("n", range(1, 17))
def test_a_network_sorts_all_zeros_and_ones_and_so_everything(n):
    # 0-1 principle: a network that sorts every sequence of zeros and ones sorts every sequence.
    x = np.array(list(itertools.product((0, 1), repeat=n))).T
    for i, j in batcher(n):
        assert 0 <= i < j < n
        x[[i, j]] = np.minimum(x[i], x[j]), np.maximum(x[i], x[j])
    assert (np.diff(x, axis=0) >= 0).all()


def test_no_merge_writes_where_it_reads():
    for k in (1, 4, 5, 50, 300):
        program, ranks = sorting_program(k, 0, k)
        assert ranks.shape == (k,)
        assert len(set(ranks.tolist())) == k
        for x, y, u, v in program.tolist():
            assert len({x, y, u, v}) == 4


def test_the_median_needs_fewer_merges_than_the_whole_order():
    assert len(sorting_program(50, 24, 26)[0]) < len(sorting_program(50, 0, 50)[0])


# the same results as the plain definitions


@given(cases())
def test_the_mean_of_the_middle_is_the_same_bit_for_bit(case):
    seen, rows, beta = case
    expected = PLAIN["checked_middle"](seen.clients, beta, rows)[0]
    same(numba.checked_middle(seen.clients, beta, rows)[0], expected)
    if len(rows) == seen.k:
        same(numba.checked_middle(seen.clients, beta)[0], expected)


@given(cases(), st.data())
def test_the_mean_of_the_closest_to_the_median_is_the_same(case, data):
    seen, rows, _ = case
    gamma = data.draw(st.integers(1, len(rows)))
    found = numba.closest_to_median(seen.clients, rows, gamma)
    expected = PLAIN["closest_to_median"](seen.clients, rows, gamma)
    assert found.dtype == expected.dtype
    # the values are added in another order
    scale = np.finfo(found.dtype).eps * np.abs(seen.clients).max()
    assert (np.abs(found - expected) <= 2 * scale).all()


@given(cases(min_k=2))
def test_the_means_without_each_model_are_the_same_bit_for_bit(case):
    seen, rows, beta = case
    clients, beta = seen.clients, min(beta, (seen.k - 2) // 2)
    edges, total = numba.kept_values(clients, beta)
    for found, expected in zip((edges, total), PLAIN["kept_values"](clients, beta), strict=True):
        same(found, expected)
    for i in rows:
        expected = PLAIN["mean_without"](clients, i, beta, edges, total)
        same(numba.mean_without(clients, i, beta, edges, total), expected)


def test_a_single_coordinate_works():
    # NumPy adds a single column in pairs, many columns one row after the other
    seen = observed(16, 1, 0, np.float64, "gauss")
    found, expected = (
        rule(seen, np.arange(16), 2, False)[:3]
        for rule in (numba.checked_count, PLAIN["checked_count"])
    )
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-15)
    same(np.array(found[1:]), np.array(expected[1:]))


@given(cases())
def test_the_direction_of_the_middle_is_the_same(case):
    seen, _, _ = case
    for beta in {0, (seen.k - 1) // 4, (seen.k - 1) // 2}:
        expected = PLAIN["middle_direction"](seen, beta)
        same(numba.middle_direction(seen, beta), expected)


@given(cases())
def test_what_attackers_know_is_the_same(case):
    seen, rows, _ = case
    same(numba.checked_mean(seen.clients)[0], PLAIN["checked_mean"](seen.clients)[0])
    s = numba.mean_direction(seen, rows)
    same(s, PLAIN["mean_direction"](seen, rows))
    for name in ("extremes", "moments"):
        found, expected = (of[name](seen.clients, rows) for of in (vars(numba), PLAIN))
        for one, other in zip(found, expected, strict=True):
            same(one, other)
    x = seen.clients[rows].astype(np.longdouble) - seen.previous
    norms, products = numba.lengths(seen, rows, s)
    np.testing.assert_allclose(norms, (x * x).sum(axis=1).astype(float), rtol=1e-13)
    bound = 1e-13 * np.abs(x).sum(axis=1).astype(float)
    assert (np.abs(products - (x @ s.astype(np.longdouble)).astype(float)) <= bound).all()
    expected = PLAIN["lengths"](seen, rows, s)
    np.testing.assert_allclose(norms, expected[0], rtol=1e-12)
    assert (np.abs(products - expected[1]) <= 10 * bound).all()


@every_rule
@pytest.mark.parametrize("knowledge", attacks.KNOWLEDGE)
def test_attacks_are_the_same_with_and_without_kernels(rule, knowledge, monkeypatch):
    honest, byzantine = observed(12, 700, 7, kind="gauss"), np.arange(12) < 4
    honest.clients[:, ::3] = honest.previous[::3]

    def crafted():
        settings = {"beta": 3} if rule == "trimmed_mean" else {}
        rng = np.random.default_rng(0)
        return ATTACKS[rule](honest, byzantine, knowledge=knowledge, rng=rng, **settings)

    found = crafted()
    monkeypatch.setenv("PDRR_KERNELS", "off")
    expected = crafted()
    assert found.detail == pytest.approx(expected.detail, rel=1e-9)
    if rule == "krum":
        np.testing.assert_allclose(found.observed.clients, expected.observed.clients, rtol=1e-6)
    else:
        same(found.observed.clients, expected.observed.clients)


@given(cases(), st.booleans())
def test_counts_are_the_same_and_add_up(case, zero_change):
    seen, rows, beta = case
    model, trimmed, remained, _ = numba.checked_count(seen, rows, beta, zero_change)
    expected = PLAIN["checked_count"](seen, rows, beta, zero_change)
    same(model, expected[0])
    np.testing.assert_allclose(trimmed, expected[1], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(remained, expected[2], rtol=1e-12, atol=1e-12)
    counted = seen.d if zero_change else np.count_nonzero(model != seen.previous)
    np.testing.assert_allclose(trimmed + remained, counted, rtol=1e-12)
    np.testing.assert_allclose(remained.sum(), counted * (len(rows) - 2 * beta), rtol=1e-12)


@pytest.mark.parametrize("kind", ["ties", "gauss"])
@pytest.mark.parametrize("k", [*range(1, 34), 49, 50, 51, 64, 65, 100, 127, 129, 255, 256, 300])
def test_every_number_of_clients_works(k, kind):
    seen, rows = observed(k, TILE + 9, k, kind=kind), np.arange(k)
    for beta in {0, (k - 1) // 5, (k - 1) // 2}:
        found, expected = (
            numba.checked_count(seen, rows, beta, False),
            PLAIN["checked_count"](seen, rows, beta, False),
        )
        same(found[0], expected[0])
        np.testing.assert_allclose(found[1:3], expected[1:3], rtol=1e-12, atol=1e-12)
        same(numba.checked_middle(seen.clients, beta)[0], expected[0])


@given(oracles.stacks(min_k=2, max_k=9, max_d=6, dtype=np.float32), st.data())
def test_counts_equal_the_exact_oracle(stack, data):
    clients, previous = stack[1:], stack[0]
    k = len(clients)
    beta = data.draw(st.integers(0, (k - 1) // 2))
    for zero_change in (False, True):
        seen = Round(clients, previous)
        model, trimmed, remained, _ = numba.checked_count(seen, np.arange(k), beta, zero_change)
        expected = np.array(oracles.counts(clients, model, beta, True), float)
        assert expected.shape == (2, k)
        moved = model != previous if not zero_change else np.ones(len(model), bool)
        if moved.any():
            part = oracles.counts(clients[:, moved], previous[moved], beta, True)
            np.testing.assert_allclose([trimmed, remained], np.array(part, float), rtol=1e-12)
        else:
            assert not trimmed.any()
            assert not remained.any()


@given(cases(), st.data())
def test_permuting_the_clients_permutes_the_counts_bit_for_bit(case, data):
    seen, _, _ = case
    beta = data.draw(st.integers(0, (seen.k - 1) // 2))
    order = np.array(data.draw(st.permutations(range(seen.k))))
    rows = np.arange(seen.k)
    model, trimmed, remained, _ = numba.checked_count(seen, rows, beta, False)
    moved = numba.checked_count(Round(seen.clients[order], seen.previous), rows, beta, False)
    for found, expected in zip(moved[:3], (model, trimmed[order], remained[order]), strict=True):
        same(found, expected)


@pytest.mark.parametrize("side", [3, 5])  # either kind of processor
@given(case=cases())
def test_inner_products_and_distances_are_the_same(side, case):
    seen, rows, _ = case
    x = seen.clients[rows].astype(np.longdouble) - seen.previous
    for previous, exact in ((seen.previous, x), (None, seen.clients[rows].astype(np.longdouble))):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(numba, "SIDE", side)
            found, true = (
                numba.gram(seen.clients, previous, rows),
                (exact @ exact.T).astype(float),
            )
        scale = np.sqrt(np.outer(np.diag(true), np.diag(true)))
        assert (np.abs(found - true) <= 1e-13 * scale).all()
        assert (found == found.T).all()
    i, j = np.triu_indices(len(rows))
    found = numba.pair_distances(seen.clients, rows, i, j)
    expected = PLAIN["pair_distances"](seen.clients, rows, i, j)
    np.testing.assert_allclose(found, expected, rtol=1e-13)


@given(oracles.stacks(min_k=2, dtype=np.float32))
def test_distances_of_whole_numbers_are_exact(clients):
    found = distances.pairwise_squared_distances(clients, clients[0])
    assert found.tolist() == oracles.squared_distances(clients)


@given(cases())
def test_sums_of_ranks_are_the_same_bit_for_bit(case):
    clients = case[0].clients
    found, expected = numba.rank_sums(clients), PLAIN["rank_sums"](clients)
    for one, other in zip(found, expected, strict=True):
        same(one, other)
    k, d = clients.shape
    assert found[0].sum() == d * k * (k + 1) / 2


@pytest.mark.parametrize("k", [*range(1, 10), 49, 50, 300])
def test_ranks_are_those_of_scipy(k):
    clients = observed(k, TILE + 9, k).clients
    ranks = stats.rankdata(clients.astype(float), axis=0)
    for rule in (numba.rank_sums, PLAIN["rank_sums"]):
        first, second = rule(clients)
        assert np.array_equal(first, ranks.sum(axis=1))
        assert np.array_equal(second, (ranks**2).sum(axis=1))


@pytest.mark.parametrize("side", [3, 5])  # either kind of processor
@given(case=cases())
def test_products_of_sides_are_the_same(side, case):
    clients = case[0].clients
    k = len(clients)
    for beta in {0, min(case[2], (k - 1) // 2), (k - 1) // 2}:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(numba, "SIDE", side)
            found = numba.side_products(clients, beta)
        expected = PLAIN["side_products"](clients, beta)
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-10)
        assert (found == found.T).all()
        # the sides of a coordinate add up to 0, and so do the products with them
        np.testing.assert_allclose(found.sum(axis=0), 0, atol=1e-9)


def test_products_of_sides_count_what_is_dropped_together():
    clients = np.array([[0, 1, 9], [1, 0, 9], [2, 2, 9], [3, 4, 0], [4, 3, 9]], np.float32)
    # at the last coordinate one model is dropped below, and four share one place above
    side = np.array([[-1, 0, 1 / 4], [0, -1, 1 / 4], [0, 0, 1 / 4], [0, 1, -1], [1, 0, 1 / 4]])
    for rule in (numba.side_products, PLAIN["side_products"]):
        np.testing.assert_allclose(rule(clients, 1), side @ side.T, rtol=1e-14)
    elsewhere = round_passes.side_products(array_api_strict.asarray(clients), 1)
    np.testing.assert_allclose(elsewhere, side @ side.T, rtol=1e-14)


@pytest.mark.parametrize("k", [4, 5])
def test_sides_are_the_mean_over_all_ways_to_break_ties(k):
    for column in itertools.product(range(3), repeat=k):
        block = np.array(column, np.float32)[:, None]
        for beta in range((k - 1) // 2 + 1):
            found = order.dropped_sides(block, beta)[:, 0]
            sides = []
            for lots in itertools.permutations(range(k)):
                place = np.argsort(np.lexsort((lots, column)))
                sides.append(np.where(place < beta, -1, np.where(place >= k - beta, 1, 0)))
            np.testing.assert_allclose(found, np.mean(sides, axis=0), atol=1e-12)


def test_values_at_an_edge_are_shared_in_some_coordinates_only():
    clients = observed(11, 4 * TILE + 5, 1, kind="gauss").clients
    clients[:, ::3] = clients[0, ::3]
    clients[:4, 1::6] = clients[4, 1::6]
    for beta in range(6):
        found, expected = (
            rule(clients, beta) for rule in (numba.side_products, PLAIN["side_products"])
        )
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-10)


@given(cases())
def test_sums_of_signs_are_the_same(case):
    seen, rows, _ = case
    chosen = seen.clients[rows[0]]
    expected = PLAIN["sign_sums"](seen, rows, chosen)
    for found, value in zip(numba.sign_sums(seen, rows, chosen), expected, strict=True):
        assert np.array_equal(found, value)


@both_dtypes
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_found_wherever_it_is(dtype, bad):
    d = 8192 + TILE + 3
    clients = np.full((3, d), np.finfo(dtype).max, dtype)
    clients[0] *= -1
    for column in (0, TILE - 1, TILE, 8191, 8192, d - 1):
        other = clients.copy()
        other[1, column] = bad
        assert numba.finite_rows(other).tolist() == [True, False, True]
    assert numba.finite_rows(clients).tolist() == [True] * 3


@every_rule
@both_dtypes
@pytest.mark.parametrize("bad", [(), (3,), (0, 8)])
def test_detections_are_the_same_with_and_without_kernels(rule, dtype, bad, monkeypatch):
    seen = observed(12, 700, 1, dtype, "gauss")
    seen.clients[:, ::3] = seen.previous[::3]
    seen.clients[list(bad), 5] = np.nan
    detector = PDRR(rule, q=0.8, **{name: 2 + value for name, value in RULES[rule].items()})
    model, found = detector.aggregate(seen)
    monkeypatch.setenv("PDRR_KERNELS", "off")
    expected_model, expected = detector.aggregate(seen)
    same(model, expected_model)
    same(found.pre_aggregate, expected.pre_aggregate)
    np.testing.assert_allclose(found.statistic, expected.statistic, rtol=1e-12)
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-12, atol=1e-15)
    assert found.flagged.tolist() == expected.flagged.tolist()
    assert found.notes == expected.notes


# blocks, threads, places in memory


class Screen(io.StringIO):
    """A terminal."""

    def isatty(self):
        return True


@pytest.mark.parametrize("kernels_switch", ["on", "off"])
@pytest.mark.parametrize("kind", [Screen, io.StringIO])
def test_long_work_shows_on_a_terminal_how_far_it_is(kind, kernels_switch, monkeypatch):
    screen = kind()
    monkeypatch.setenv("PDRR_KERNELS", kernels_switch)
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(pdrr.core.arrays, "BLOCK", 64)
    seen = observed(7, 1000, 0)
    median(seen.clients)
    assert screen.getvalue() == ""  # done at once
    late = functools.partial(pdrr.core.arrays.tqdm, file=screen)
    monkeypatch.setattr(
        pdrr.core.arrays, "tqdm", lambda *args, **more: late(*args, **more | {"delay": 0})
    )
    median(seen.clients)
    assert ("models: " in screen.getvalue()) == screen.isatty()


@pytest.mark.parametrize("block", [1, 3, 64, 100, 1000])
@pytest.mark.parametrize("processors", [1, 2, 5])
def test_neither_blocks_nor_threads_change_the_results(block, processors, monkeypatch):
    seen, rows = observed(7, 1500, 2, kind="ties"), np.arange(7)

    def everything():
        return (
            numba.finite_rows(seen.clients),
            numba.checked_middle(seen.clients, 2)[0],
            numba.middle_direction(seen, 2),
            numba.closest_to_median(seen.clients, rows, 3),
            numba.checked_mean(seen.clients)[0],
            numba.mean_direction(seen, rows),
            *numba.extremes(seen.clients, rows),
            *numba.moments(seen.clients, rows),
            *numba.checked_count(seen, rows, 2, False)[:3],
            numba.gram(seen.clients, seen.previous, rows),
            numba.pair_distances(seen.clients, rows, rows[:3], rows[4:]),
            *numba.sign_sums(seen, rows, seen.clients[0]),
            *numba.lengths(seen, rows, seen.clients[0]),
            *numba.rank_sums(seen.clients),
            numba.side_products(seen.clients, 2),
        )

    expected = everything()
    monkeypatch.setattr(pieces, "processors", lambda: processors)
    monkeypatch.setattr(pdrr.core.arrays, "BLOCK", block)
    first, second = everything(), everything()
    for found, again, value in zip(first, second, expected, strict=True):
        assert np.array_equal(found, again)  # bit for bit with the same blocks
        np.testing.assert_allclose(found, value, rtol=1e-12)
    for found, value in zip(first[:11], expected[:11], strict=True):
        same(found, value)


def test_every_number_of_threads_gives_the_same_bits(monkeypatch):
    seen = observed(9, 3000, 3, kind="gauss")
    monkeypatch.setattr(pdrr.core.arrays, "BLOCK", 64)
    results = []
    for processors in (1, 2, 8):
        monkeypatch.setattr(pieces, "processors", lambda n=processors: n)
        results.append(
            (
                numba.gram(seen.clients, seen.previous, np.arange(9)),
                np.array(numba.checked_count(seen, np.arange(9), 3, True)[1:3]),
            )
        )
    for other in results[1:]:
        for found, value in zip(other, results[0], strict=True):
            same(found, value)


@every_rule
def test_views_and_files_give_what_their_copies_give(rule, tmp_path):
    wide = observed(14, 3 * TILE + 40, 4, kind="gauss").clients
    wide.tofile(tmp_path / "stack")
    mapped = np.memmap(tmp_path / "stack", np.float32, mode="r", shape=wide.shape)
    detector = PDRR(rule, q=0.8, **RULES[rule])
    for cut in (np.s_[::-1], np.s_[::-2, 5:], np.s_[3:12, 7:-9], np.s_[1::3, TILE:]):
        assert dispatch.kernels_for(wide[cut]) is numba
        copy = np.ascontiguousarray(wide[cut])
        model, expected = detector.aggregate(Round(copy, copy.mean(axis=0)))
        for stack in (wide[cut], mapped[cut]):
            own, found = detector.aggregate(Round(stack, copy.mean(axis=0)))
            same(own, model)
            same(found.statistic, expected.statistic)
            assert type(own) is np.ndarray


def test_ranks_and_sides_of_views_and_files_are_those_of_their_copies(tmp_path):
    wide = observed(14, 3 * TILE + 40, 4).clients
    wide.tofile(tmp_path / "stack")
    mapped = np.memmap(tmp_path / "stack", np.float32, mode="r", shape=wide.shape)
    for cut in (np.s_[::-1], np.s_[::-2, 5:], np.s_[3:12, 7:-9], np.s_[1::3, TILE:]):
        copy = np.ascontiguousarray(wide[cut])
        for stack in (wide[cut], mapped[cut]):
            same(np.array(numba.rank_sums(stack)), np.array(PLAIN["rank_sums"](copy)))
            same(numba.side_products(stack, 1), numba.side_products(copy, 1))


def test_previous_and_chosen_models_may_be_strided():
    seen = observed(7, 2 * TILE, 5)
    strided = Round(seen.clients[:, :TILE].copy(), np.repeat(seen.previous[:TILE], 2)[::2])
    plain = Round(strided.clients, strided.previous.copy())
    for rule, settings in RULES.items():
        detector = PDRR(rule, q=0.8, **settings)
        same(detector.detect(strided).statistic, detector.detect(plain).statistic)


def test_models_are_neither_changed_nor_kept():
    seen = observed(9, TILE + 1, 6)
    before = seen.clients.tobytes()
    seen.clients.setflags(write=False)
    model = trimmed_mean(seen.clients, beta=2)
    assert model.flags.writeable
    assert krum(seen.clients, c=2).flags.writeable
    median(seen.clients)
    assert seen.clients.tobytes() == before


# floats as whole numbers


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_keys_are_in_the_order_of_the_values_and_turn_back(dtype):
    tiny, huge = np.finfo(dtype).smallest_subnormal, np.finfo(dtype).max
    up = np.array([tiny, np.finfo(dtype).tiny, 0.5, 1, np.nextafter(dtype(1), 2), huge], dtype)
    values = np.concatenate([-up[::-1], [-0.0], [0.0], up]).astype(dtype)
    outside = np.array([np.nan, -np.inf, np.inf, np.nan], dtype)
    outside[0] = np.copysign(outside[0], -1)
    keys = np.concatenate([values, outside]).view(f"i{np.dtype(dtype).itemsize}")
    again = keys.copy()
    tiles.turn(keys)
    finite, (below, low, high, above) = keys[: len(values)], keys[len(values) :].tolist()
    assert (np.diff(finite) > 0).all()
    assert below < low == finite[0] - 1
    assert finite[-1] + 1 == high < above
    assert finite[0] == -finite[-1] - 1
    tiles.turn(keys)
    assert (keys == again).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bad", [np.nan, -np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("k", [1, 7, 8, 9, 50])
def test_the_largest_finite_values_are_finite_and_nothing_beyond_is(k, bad, dtype):
    x = (
        np.random.default_rng(k)
        .choice([-1, 0, 1, np.finfo(dtype).max, -np.finfo(dtype).max], size=(k, TILE + 1))
        .astype(dtype)
    )
    middle, finite = numba.checked_middle(x, (k - 1) // 2)
    assert finite
    same(middle, PLAIN["checked_middle"](x, (k - 1) // 2)[0])
    for column in (0, TILE - 1, TILE):
        for row in {0, k // 2, k - 1}:
            worse = x.copy()
            worse[row, column] = bad
            assert not numba.checked_middle(worse, (k - 1) // 2)[1]
