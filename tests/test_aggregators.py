"""The aggregation rules: hand-computed cases, exact oracles, and what must never change."""

import itertools

import array_api_strict
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import trim_mean

import pdrr.core.arrays
from helpers import oracles
from pdrr import AGGREGATORS, bulyan, krum, mean, median, trimmed_mean
from pdrr.core.distances import krum_scores, pairwise_squared_distances
from pdrr.core.order import kept_fraction

# Every rule with settings that are legal for k = 7; (rule, keyword arguments).
RULES = {
    "mean": (mean, {}),
    "krum": (krum, {"c": 2}),
    "trimmed_mean": (trimmed_mean, {"beta": 2}),
    "median": (median, {}),
    "bulyan": (bulyan, {"c": 1}),
}
every_rule = pytest.mark.parametrize("name", RULES)


def apply(name, clients):
    rule, settings = RULES[name]
    return rule(clients, **settings)


def floats(fractions):
    return np.array([float(value) for value in fractions])


# ------------------------------------------------------------------------------ cases by hand


def test_mean_by_hand():
    clients = np.array([[1.0, 10.0], [2.0, 20.0], [6.0, -30.0]], dtype=np.float32)
    assert mean(clients).tolist() == [3.0, 0.0]


def test_mean_accumulates_in_float64():
    # In float32 1e8 + 1 is 1e8, and the sum of this column would lose both ones.
    clients = np.array([[1e8], [1.0], [-1e8], [1.0]], dtype=np.float32)
    assert mean(clients).tolist() == [0.5]
    assert trimmed_mean(clients, beta=0).tolist() == [0.5]


def test_trimmed_mean_by_hand():
    # Column 0 sorted: -100 1 2 6 50, without one at each end (1 + 2 + 6) / 3 = 3.
    # Column 1 sorted: 4 4 4 4 9, without one 4 and the 9: 4.
    clients = np.array([[1, 4], [50, 4], [2, 9], [-100, 4], [6, 4]], dtype=np.float32)
    assert trimmed_mean(clients, beta=1).tolist() == [3.0, 4.0]


@pytest.mark.parametrize(
    ("column", "expected"),
    [([3.0, 1.0, 2.0], 2.0), ([4.0, 1.0, 10.0, 2.0], 3.0), ([7.0], 7.0), ([1.0, 2.0], 1.5)],
)
def test_median_by_hand(column, expected):
    # An even number of CLIENTS takes the middle two, however many parameters there are.
    clients = np.array([column, column]).T  # [k, 2]
    assert median(clients).tolist() == [expected, expected]


def test_krum_by_hand():
    # Positions 0 1 3 10 30, c = 1: the sum of squares to the k - c - 2 = 2 nearest OTHERS is
    #   0: 1 + 9 = 10   1: 1 + 4 = 5   3: 4 + 9 = 13   10: 49 + 81 = 130   30: 400 + 729 = 1129
    clients = np.array([[10.0], [3.0], [0.0], [1.0], [30.0]])
    scores = krum_scores(pairwise_squared_distances(clients), neighbours=2)
    assert scores.tolist() == [130.0, 13.0, 10.0, 5.0, 1129.0]
    assert krum(clients, c=1).tolist() == [1.0]


@pytest.mark.parametrize(("spread", "chosen"), [(3.5, 100.0), (3.75, 0.0)])
def test_krum_sums_squares_and_no_other_power(spread, chosen):
    # k = 6, c = 2: two neighbours. Model 0 has them at 1 and 5, model 100 at +- spread.
    #   plain distances: 6 against 7 or 7.5 -> always 0
    #   squares: 1 + 25 = 26 against 24.5 or 28.125 -> 100, then 0
    #   fourth powers: 626 against 300 or 396 -> always 100
    clients = np.array([[0.0], [1.0], [-5.0], [100.0], [100 + spread], [100 - spread]])
    assert krum(clients, c=2).tolist() == [chosen]


def test_krum_does_not_count_a_model_as_its_own_neighbour():
    # k = 5, c = 1: two neighbours. 103 has 9 + 9 = 18; 0 has 1 + 100^2 and loses, but would win
    # with 0 + 1 if it were its own neighbour.
    clients = np.array([[0.0], [1.0], [100.0], [103.0], [106.0]])
    assert krum(clients, c=1).tolist() == [103.0]


def test_krum_takes_k_c_2_neighbours_and_not_one_more():
    # k = 6, c = 2: two neighbours, and 0 wins with 1 + 1. A third would lie in the other trio and
    # let 1 win, which is nearer to it: 1 + 4 + 99^2 = 9806 against 1 + 1 + 100^2 = 10002.
    clients = np.array([[-1.0], [0.0], [1.0], [100.0], [102.0], [104.0]])
    assert krum(clients, c=2).tolist() == [0.0]
    assert krum(clients, c=1).tolist() == [1.0]


def test_krum_scores_count_clones_as_neighbours():
    # Rows 0 and 1 are equal: each is a neighbour of the other at distance 0, not "itself".
    clients = np.array([[5.0], [5.0], [6.0], [9.0]])
    distances = pairwise_squared_distances(clients)
    assert krum_scores(distances, neighbours=1).tolist() == [0.0, 0.0, 1.0, 9.0]
    assert krum_scores(distances, neighbours=2).tolist() == [1.0, 1.0, 2.0, 25.0]


def test_krum_gives_ties_to_the_lowest_index():
    # Two pairs, each one unit apart, c = 1 and k = 4: all four scores are 1.
    clients = np.array([[10.0, 0.0], [0.0, 0.0], [10.0, 1.0], [0.0, 1.0]])
    assert krum(clients, c=1).tolist() == [10.0, 0.0]
    assert krum(clients[::-1], c=1).tolist() == [0.0, 1.0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("with_previous", [False, True])
def test_krum_returns_the_chosen_row_bit_for_bit(dtype, with_previous):
    clients = oracles.distinct_values(7, 31, seed=1, dtype=dtype)
    clients[:, 0] = -0.0
    clients[:, 1] = np.finfo(dtype).tiny / 4  # subnormal
    previous = np.full(31, 1.1, dtype=dtype) if with_previous else None
    chosen = krum(clients, c=2, previous=previous)
    assert chosen.tobytes() == clients[oracles.krum_index(clients, c=2)].tobytes()


def test_bulyan_by_hand():
    # k = 7, c = 1, one coordinate, the models in the order 4 0 50 60 3 2 1. theta = 5 picks:
    # 7 left, 4 neighbours: 0: 1+4+9+16 = 30, 1: 15, 2: 10, 3: 15, 4: 30      -> 2
    # 6 left, 3 neighbours: 0: 26, 1: 1+4+9 = 14, 3: 14, 4: 26, a tie          -> 3, it comes first
    # 5 left, 2 neighbours: 0: 1+16 = 17, 1: 1+9 = 10, 4: 9+16 = 25            -> 1
    # 4 left, 1 neighbour:  0: 16, 4: 16, 50: 100, 60: 100, a tie              -> 4, it comes first
    # 3 left, 3-c-2 = 0 but at least 1 neighbour: 0: 2500, 50: 100, 60: 100    -> 50
    # Selected 1 2 3 4 50: median 3, the gamma = 3 nearest are 2 3 4, mean 3. (A single Krum would
    # select 0 1 2 3 4 and give 2, and so would a last pick that looks at no neighbour.)
    models = np.array([[4.0], [0.0], [50.0], [60.0], [3.0], [2.0], [1.0]])
    assert bulyan(models, c=1).tolist() == [3.0]
    # In the opposite order the ties go the other way: 2 1 3 0 and 60, median 2, mean of 1 2 3.
    assert bulyan(models[::-1], c=1).tolist() == [2.0]


def test_bulyan_prefers_the_smaller_of_two_equidistant_values():
    # k = 8, c = 1: theta = 6 drops the two far models, gamma = 4 values per coordinate are kept.
    #   0 0 2 4 4 5, median 3: distances 3 3 1 1 1 2, kept 2 4 4 5, mean 3.75
    #   0 0 2 2 5 4, median 2: kept 2 2 and two of 0 0 4, all at distance 2: 0 0, mean 1
    near = np.array([[0, 0, 2, 4, 4, 5], [0, 0, 2, 2, 5, 4]], dtype=float).T
    clients = np.vstack([near, [[1000, 1000], [-900, 900]]])
    assert bulyan(clients, c=1).tolist() == [3.75, 1.0]


def test_bulyan_without_byzantine_models_is_the_mean():
    clients = oracles.distinct_values(5, 8, seed=2)
    np.testing.assert_allclose(bulyan(clients, c=0), clients.mean(axis=0), rtol=1e-14)


# -------------------------------------------------------------------------------- exact oracles


@given(oracles.stacks(min_k=1))
def test_mean_equals_the_oracle(clients):
    np.testing.assert_allclose(mean(clients), floats(oracles.mean(clients)), rtol=1e-15)


@given(oracles.stacks(min_k=1), st.data())
def test_trimmed_mean_equals_the_oracle(clients, data):
    beta = data.draw(st.integers(0, (len(clients) - 1) // 2))
    expected = floats(oracles.trimmed_mean(clients, beta))
    np.testing.assert_allclose(trimmed_mean(clients, beta=beta), expected, rtol=1e-15)


@given(oracles.stacks(min_k=1))
def test_median_equals_the_oracle_and_numpy(clients):
    assert median(clients).tolist() == floats(oracles.median(clients)).tolist()
    assert median(clients).tolist() == np.median(clients, axis=0).tolist()


@pytest.mark.parametrize("k", [*range(1, 14), 49, 50])
def test_median_equals_numpy_for_odd_and_even_k(k):
    clients = oracles.distinct_values(k, 40, seed=k)
    np.testing.assert_allclose(median(clients), np.median(clients, axis=0), rtol=1e-15)


@pytest.mark.parametrize(("k", "beta"), [(9, 0), (9, 4), (10, 3), (50, 10), (50, 24)])
def test_trimmed_mean_equals_scipy(k, beta):
    clients = oracles.distinct_values(k, 40, seed=k + beta)
    expected = trim_mean(clients, (beta + 0.5) / k, axis=0)  # SciPy floors the product
    np.testing.assert_allclose(trimmed_mean(clients, beta=beta), expected, rtol=1e-12)


@given(oracles.stacks(min_k=2))
def test_squared_distances_and_scores_equal_the_oracle(clients):
    distances = pairwise_squared_distances(clients)
    expected = oracles.squared_distances(clients)
    assert distances.dtype == np.float64
    assert distances.tolist() == expected
    for neighbours in range(1, len(clients)):
        scores = krum_scores(distances, neighbours=neighbours)
        assert scores.tolist() == oracles.krum_scores(expected, neighbours)


@given(oracles.stacks(min_k=3), st.data())
def test_krum_equals_the_oracle(clients, data):
    c = data.draw(st.integers(0, len(clients) - 3))
    assert krum(clients, c=c).tolist() == clients[oracles.krum_index(clients, c)].tolist()


@given(oracles.stacks(min_k=7, max_k=13, max_d=4), st.data())
def test_bulyan_equals_the_oracle(clients, data):
    c = data.draw(st.integers(0, (len(clients) - 3) // 4))
    expected = floats(oracles.bulyan(clients, c))
    np.testing.assert_allclose(bulyan(clients, c=c), expected, rtol=1e-14, atol=1e-15)


def test_bulyan_of_a_library_without_take_along_axis(monkeypatch):
    """The standard has it since 2024; Dask has not."""
    clients = np.random.default_rng(0).normal(size=(11, 7))
    monkeypatch.delattr(array_api_strict, "take_along_axis")
    found = bulyan(array_api_strict.asarray(clients), c=2)
    np.testing.assert_allclose(np.asarray(found), bulyan(clients, c=2), rtol=1e-12)


def test_bulyan_recomputes_krum_after_each_pick():
    # A whole-number stack on which the one-shot Multi-Krum shortcut gives another result.
    for seed in range(100):
        clients = np.random.default_rng(seed).integers(-9, 10, size=(11, 2)).astype(float)
        iterated, shortcut = oracles.bulyan(clients, c=2), oracles.one_shot_bulyan(clients, c=2)
        if iterated != shortcut:
            np.testing.assert_allclose(bulyan(clients, c=2), floats(iterated), rtol=1e-14)
            return
    pytest.fail("no seed separates the two: the test has lost its point")


# -------------------------------------------------- ties: the expected fraction that is kept


@pytest.mark.parametrize(
    ("column", "beta", "expected"),
    [
        ([4, 1, 3, 2], 1, [0, 0, 1, 1]),
        ([5, 5, 5, 1], 1, [2 / 3, 2 / 3, 2 / 3, 0]),  # one of three fives goes
        ([0, 0, 0, 0], 1, [1 / 2] * 4),  # a group cut at both ends
        ([2, 2, 2, 2, 2], 2, [1 / 5] * 5),
        ([0, 0, 7, 9, 9], 2, [0, 0, 1, 0, 0]),
        ([0, 7, 7, 9, 9], 2, [0, 1 / 2, 1 / 2, 0, 0]),
        ([3, 1, 2], 0, [1, 1, 1]),
    ],
)
def test_kept_fraction_by_hand(column, beta, expected):
    block = np.array(column, dtype=np.float32)[:, None]  # [k, 1]
    fraction = kept_fraction(block, beta)
    assert fraction.dtype == np.float64
    np.testing.assert_allclose(fraction[:, 0], expected, rtol=1e-15)


@pytest.mark.parametrize("k", [1, 2, 3, 4, 5])
def test_kept_fraction_is_the_average_over_all_tie_breaks(k):
    columns = list(itertools.product(range(3), repeat=k))  # every pattern of ties
    for beta in range((k + 1) // 2):
        fraction = kept_fraction(np.array(columns, dtype=float).T, beta)  # [k, 3^k]
        for j, column in enumerate(columns[:: max(1, k * k // 4)]):
            over_all = oracles.kept_fraction_over_all_orders(column, beta)
            assert over_all == oracles.kept_fraction(column, beta)  # the oracle's short form
            found = fraction[:, j * max(1, k * k // 4)]
            np.testing.assert_allclose(found, floats(over_all), rtol=1e-15)


@given(oracles.stacks(min_k=1, max_k=12), st.data())
def test_kept_fraction_equals_the_oracle(clients, data):
    beta = data.draw(st.integers(0, (len(clients) - 1) // 2))
    fraction = kept_fraction(clients, beta)
    for j, column in enumerate(zip(*oracles.exact(clients), strict=True)):
        expected = floats(oracles.kept_fraction(column, beta))
        np.testing.assert_allclose(fraction[:, j], expected, rtol=1e-15)
    np.testing.assert_allclose(fraction.sum(axis=0), len(clients) - 2 * beta, rtol=1e-12)


@given(oracles.stacks(min_k=2), st.data())
def test_kept_fraction_follows_the_clients_when_they_are_permuted(clients, data):
    beta = data.draw(st.integers(0, (len(clients) - 1) // 2))
    order = data.draw(st.permutations(range(len(clients))))
    moved = kept_fraction(clients[order], beta)
    assert moved.tolist() == kept_fraction(clients, beta)[order].tolist()


# ----------------------------------------------------------------- properties of every rule


@every_rule
@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_the_clients_does_not_matter(name, seed):
    # Bulyan needs c >= 3 for it: its last pick has c - 1 neighbours, and where a model has only one
    # neighbour the two nearest to each other always tie, and the order decides.
    rule, settings = (bulyan, {"c": 3}) if name == "bulyan" else RULES[name]
    clients = oracles.distinct_values(15, 12, seed)
    order = np.random.default_rng(seed).permutation(15)
    one, other = rule(clients, **settings), rule(clients[order], **settings)
    np.testing.assert_allclose(one, other, rtol=1e-13, atol=1e-15)


@every_rule
@pytest.mark.parametrize("seed", range(3))
def test_shifting_and_scaling_the_models_shifts_and_scales_the_result(name, seed):
    rng = np.random.default_rng(seed)
    clients = rng.integers(-50, 50, size=(7, 12)).astype(float)
    shift = rng.integers(-50, 50, size=12)
    expected = 4 * apply(name, clients) + shift
    np.testing.assert_allclose(apply(name, 4 * clients + shift), expected, rtol=1e-13)


@every_rule
def test_equal_models_are_their_own_aggregate(name):
    model = np.float32([0.1, -2.5, 0.0, 1e-30, 7.0])
    assert apply(name, np.tile(model, (7, 1))).tolist() == model.tolist()


@every_rule
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_result_has_the_shape_and_dtype_of_one_model(name, dtype):
    result = apply(name, oracles.distinct_values(7, 12, seed=3, dtype=dtype))
    assert result.shape == (12,)
    assert result.dtype == dtype


@every_rule
def test_float32_differs_from_float64_only_by_the_last_rounding(name):
    clients = oracles.distinct_values(7, 200, seed=4, dtype=np.float32)
    wide = apply(name, clients.astype(np.float64))
    assert apply(name, clients).tolist() == wide.astype(np.float32).tolist()


@every_rule
@pytest.mark.parametrize("block", [1, 3, 64, 1000])
def test_the_block_size_does_not_change_the_result(name, block, monkeypatch):
    clients = np.random.default_rng(5).integers(-3, 4, size=(7, 200)).astype(np.float32)
    expected = apply(name, clients)
    monkeypatch.setattr(pdrr.core.arrays, "BLOCK", block)
    assert apply(name, clients).tolist() == expected.tolist()


@every_rule
def test_models_longer_than_a_block_are_read_to_their_end(name):
    # Only the columns at the edges of the blocks tell the models apart.
    block = pdrr.core.arrays.BLOCK
    edges = [0, block - 1, block, 2 * block - 1, 2 * block, 2 * block + 2]
    narrow = np.random.default_rng(6).integers(-9, 10, size=(7, 6)).astype(np.float32)
    clients = np.ones((7, 2 * block + 3), dtype=np.float32)
    clients[:, edges] = narrow
    result = apply(name, clients)
    assert result[edges].tolist() == apply(name, narrow).tolist()
    assert np.delete(result, edges).min() == np.delete(result, edges).max() == 1


@every_rule
def test_array_libraries_agree_and_get_their_own_arrays_back(name, xp):
    clients = oracles.distinct_values(7, 40, seed=7, dtype=np.float32)
    result = apply(name, xp.asarray(clients))
    assert isinstance(result, type(xp.asarray(clients)))
    assert result.dtype == xp.float32
    np.testing.assert_allclose(np.asarray(result), apply(name, clients), rtol=1e-6)


def test_the_parts_of_krum_and_the_counts_run_on_every_library(xp):
    clients = np.random.default_rng(8).integers(-3, 4, size=(6, 9)).astype(float)
    distances = pairwise_squared_distances(xp.asarray(clients), xp.asarray(clients[0]))
    assert np.asarray(distances).tolist() == oracles.squared_distances(clients)
    scores = krum_scores(distances, neighbours=3)
    assert np.asarray(scores).tolist() == oracles.krum_scores(np.asarray(distances), 3)
    fraction = np.asarray(kept_fraction(xp.asarray(clients), 2))
    np.testing.assert_allclose(fraction, kept_fraction(clients, 2), rtol=1e-15)


@every_rule
def test_inputs_are_never_written_to(name, tmp_path):
    clients = oracles.distinct_values(7, 30, seed=9, dtype=np.float32)
    expected = apply(name, clients.copy())
    before = clients.tobytes()
    assert apply(name, clients).tolist() == expected.tolist()
    assert clients.tobytes() == before

    clients.setflags(write=False)
    assert apply(name, clients).tolist() == expected.tolist()

    clients.tofile(tmp_path / "stack")
    mapped = np.memmap(tmp_path / "stack", dtype=np.float32, mode="r", shape=(7, 30))
    assert apply(name, mapped).tolist() == expected.tolist()


@every_rule
def test_any_memory_layout_is_welcome(name):
    clients = oracles.distinct_values(7, 30, seed=10, dtype=np.float32)
    expected = apply(name, clients).tolist()
    assert apply(name, np.asfortranarray(clients)).tolist() == expected
    assert apply(name, np.repeat(clients, 2, axis=1)[:, ::2]).tolist() == expected


def test_the_registry_names_every_rule():
    assert {name: rule for name, (rule, _) in RULES.items()} == dict(AGGREGATORS)


# ------------------------------------------------------------------------------- close clones


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("with_previous", [False, True])
def test_krum_tells_clones_apart_at_a_distance_of_1e_7(seed, with_previous):
    # Four clones of one model, noise 1e-7, among six honest models with updates of 1e-3, on
    # weights of 0.05 to 1: a float32 product of raw weights has errors a million times larger
    # than the distances between the clones.
    rng = np.random.default_rng(seed)
    d = 200_000
    previous = (rng.uniform(0.05, 1, d) * rng.choice([-1, 1], d)).astype(np.float32)
    crafted = previous - 2e-4
    clones = (crafted + rng.uniform(-1e-7, 1e-7, (4, d))).astype(np.float32)
    honest = (previous + 1e-3 * rng.normal(size=(6, d))).astype(np.float32)
    clients = np.vstack([clones, honest])[rng.permutation(10)]

    true = oracles.longdouble_squared_distances(clients)
    given_previous = previous if with_previous else None
    if with_previous:
        found = pairwise_squared_distances(clients, given_previous)
        np.testing.assert_allclose(found, true.astype(float), rtol=1e-6)
    scores = np.array(oracles.krum_scores(true.tolist(), 10 - 4 - 2))
    winner = int(scores.argmin())
    assert krum(clients, c=4, previous=given_previous).tobytes() == clients[winner].tobytes()


@pytest.mark.parametrize("kernels", ["on", "off"])
def test_two_groups_of_clones_and_equal_models_keep_their_digits(kernels, monkeypatch):
    # The larger group is measured from one of its members, the smaller one pair by pair; two equal
    # models have distance 0, also away from that member.
    monkeypatch.setenv("PDRR_KERNELS", kernels)
    rng = np.random.default_rng(3)
    previous, near = rng.uniform(0.05, 1, 50_000).astype(np.float32), np.empty((12, 50_000))
    near[:5] = previous - 2e-4 + rng.uniform(-1e-7, 1e-7, (5, 50_000))
    near[4] = near[3]
    near[5:8] = previous + 1e-3 * rng.normal(size=50_000)
    near[5:8] += rng.uniform(-1e-8, 1e-8, (3, 50_000))
    near[8:] = previous + 1e-3 * rng.normal(size=(4, 50_000))
    clients = near[rng.permutation(12)]
    found = pairwise_squared_distances(clients, previous.astype(float))
    true = ((clients[:, None] - clients[None]).astype(np.longdouble) ** 2).sum(axis=2).astype(float)
    np.testing.assert_allclose(found, true, rtol=1e-6, atol=0)
    assert np.count_nonzero(found == 0) == 12 + 2


def test_differences_of_float32_models_are_not_rounded_to_float32():
    # 1 + n 2^-23 minus -1.5 needs 24 bits after the point; float32 has 22 there.
    steps = np.array([[0, 1, 2], [3, 1, 0], [2, 2, 7]])
    clients = (1 + steps * 2.0**-23).astype(np.float32)
    found = pairwise_squared_distances(clients, np.full(3, -1.5, dtype=np.float32))
    assert found.tolist() == (np.array(oracles.squared_distances(steps)) * 2.0**-46).tolist()


def test_previous_changes_the_arithmetic_of_krum_but_not_its_choice():
    clients = np.random.default_rng(11).integers(-9, 10, size=(9, 5)).astype(np.float32)
    previous = np.float32([100, -7, 3, 0, 12])
    assert krum(clients, c=3, previous=previous).tolist() == krum(clients, c=3).tolist()
    shifted = pairwise_squared_distances(clients, previous)
    assert shifted.tolist() == oracles.squared_distances(clients)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("previous", [None, np.float64([1, 2, 3])])
def test_a_model_that_is_not_finite_has_no_distances_and_spoils_no_others(bad, previous):
    rng = np.random.default_rng(12)
    clients = rng.integers(-9, 10, size=(6, 3)).astype(float)
    clients[1] = 1e200  # overflows, but is finite
    others = np.array([0, 1, 2, 3, 5])
    expected = pairwise_squared_distances(clients[others], previous)
    assert np.isinf(expected[1, 0])
    clients[4, 2] = bad
    found = pairwise_squared_distances(clients, previous)
    assert np.isnan(found[4]).all()
    assert np.isnan(found[:, 4]).all()
    assert found[np.ix_(others, others)].tolist() == expected.tolist()
    some = pairwise_squared_distances(clients, previous, np.array([4, 0]))
    assert np.isnan(some).tolist() == [[True, True], [True, False]]


@pytest.mark.parametrize(
    ("dtype", "huge"), [(np.float32, 1e30), (np.float64, 1e30), (np.float64, 1e200)]
)
@pytest.mark.parametrize("row", [0, 3])
def test_an_enormous_model_neither_wins_krum_nor_blinds_it(dtype, huge, row):
    # Beside 1e30 the other models are equal in float64; the square of 1e200 is infinite.
    chosen = set()
    for seed in range(5):
        clients = oracles.distinct_values(7, 20, seed, dtype=dtype)
        clients[row] = huge
        expected = oracles.krum_index(clients, c=2)
        assert krum(clients, c=2).tolist() == clients[expected].tolist()
        chosen.add(expected)
    assert len(chosen) > 2  # no fixed answer passes


# -------------------------------------------------------------------------------- bad inputs

GOOD = np.zeros((50, 4), dtype=np.float32)


@pytest.mark.parametrize(
    ("call", "error", "needed", "given"),
    [
        (lambda: trimmed_mean(GOOD, beta=25), ValueError, "0 <= 2*beta < k", "beta=25 for k=50"),
        (lambda: trimmed_mean(GOOD, beta=-1), ValueError, "0 <= 2*beta < k", "beta=-1"),
        (lambda: krum(GOOD, c=48), ValueError, "k >= c + 3", "c=48 for k=50"),
        (lambda: krum(GOOD, c=-1), ValueError, "krum", "c=-1"),
        (lambda: krum(GOOD[:2], c=0), ValueError, "k >= c + 3", "c=0 for k=2"),
        (lambda: bulyan(GOOD, c=12), ValueError, "k >= 4*c + 3", "c=12 for k=50"),
        (lambda: bulyan(GOOD, c=-1), ValueError, "bulyan", "c=-1"),
        (lambda: krum(GOOD, c=2, previous=GOOD[0, :3]), ValueError, "previous", "3"),
        (lambda: bulyan(GOOD, c=2, previous=GOOD), ValueError, "previous", "50"),
    ],
)
def test_settings_outside_a_rule_s_range(call, error, needed, given):
    with pytest.raises(error) as caught:
        call()
    message = str(caught.value)
    assert needed in message
    assert given in message.partition(" got ")[2]
    assert "\n" not in message


def test_the_largest_legal_settings_work():
    clients = oracles.distinct_values(50, 3, seed=12)
    assert krum(clients, c=47).tolist() == clients[oracles.krum_index(clients, 47)].tolist()
    np.testing.assert_allclose(trimmed_mean(clients, beta=24), np.median(clients, axis=0))
    np.testing.assert_allclose(bulyan(clients, c=11), floats(oracles.bulyan(clients, 11)))


@every_rule
@pytest.mark.parametrize(
    ("clients", "error"),
    [
        (np.zeros(7, dtype=np.float32), ValueError),  # one model alone
        (np.zeros((7, 2, 2), dtype=np.float32), ValueError),  # models not flattened
        (np.zeros((0, 4), dtype=np.float32), ValueError),  # nobody
        (np.zeros((7, 4), dtype=np.int64), TypeError),
        (np.zeros((7, 4), dtype=np.float16), TypeError),
        (np.zeros((7, 4), dtype=np.complex64), TypeError),
        (np.zeros((7, 4), dtype=bool), TypeError),
        ([[0.0, 1.0]] * 7, TypeError),  # not an array
    ],
    ids=["1-D", "3-D", "empty", "int", "half", "complex", "bool", "list"],
)
def test_what_is_not_a_stack_of_models_is_refused(name, clients, error):
    with pytest.raises(error) as caught:
        apply(name, clients)
    assert "\n" not in str(caught.value)


@every_rule
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_non_finite_models_are_refused_by_row(name, bad):
    clients = oracles.distinct_values(7, 40, seed=13, dtype=np.float32)
    clients[3, 39] = bad
    clients[5, :] = bad
    with pytest.raises(ValueError, match=r"rows \[3, 5\]"):
        apply(name, clients)


def test_huge_but_finite_models_are_not_called_non_finite():
    clients = np.full((5, 3), 3e38, dtype=np.float32)
    assert mean(clients).tolist() == clients[0].tolist()
    assert median(clients).tolist() == clients[0].tolist()
    assert trimmed_mean(clients, beta=1).tolist() == clients[0].tolist()
    assert krum(clients, c=1).tolist() == clients[0].tolist()
