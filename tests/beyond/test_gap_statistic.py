"""Groups of numbers: exact k-means on a line, and how many groups there are."""

from itertools import combinations

import numpy as np
import pytest

from pdrr.beyond import gap_statistic


def squares(group):
    return ((group - group.mean()) ** 2).sum()


def brute_force(ordered, k):
    """The least sum of squares within k groups, over all places where they may part."""
    cuts = combinations(range(1, len(ordered)), k - 1)
    return min(sum(squares(part) for part in np.split(ordered, cut)) for cut in cuts)


@pytest.mark.parametrize("seed", range(5))
def test_the_spread_is_that_of_the_best_groups(seed):
    ordered = np.sort(np.random.default_rng(seed).random(9))
    expected = [brute_force(ordered, k) for k in range(1, 7)]
    np.testing.assert_allclose(gap_statistic.spread(ordered, 6), expected, rtol=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_the_upper_of_two_groups_is_that_of_the_best_two(seed):
    values = np.random.default_rng(seed).random(9)
    ordered = np.sort(values)
    cut = min(range(1, 9), key=lambda at: squares(ordered[:at]) + squares(ordered[at:]))
    np.testing.assert_array_equal(gap_statistic.upper_of_two(values), values >= ordered[cut])


def test_equal_values_are_never_parted():
    found = gap_statistic.upper_of_two(np.array([0.0, 1, 1, 1, 1, 1, 3]))
    assert len(set(found[1:6])) == 1
    assert not gap_statistic.upper_of_two(np.ones(4)).any()


@pytest.mark.parametrize(
    ("n", "centres"), [(50, (0,)), (30, (0, 1)), (20, (0, 2, 10)), (10, (0, 3, 10))]
)
def test_groups_that_lie_apart_are_counted(n, centres):
    rng = np.random.default_rng(1)
    values = np.concatenate([centre + rng.normal(0, 0.02, n) for centre in centres])
    assert gap_statistic.groups(values, rng) == len(centres)


def test_numbers_all_over_the_place_are_one_group_mostly():
    rng = np.random.default_rng(2)
    counts = [gap_statistic.groups(rng.random(50), rng) for _ in range(100)]
    assert 70 < counts.count(1) < 100  # it errs, and not seldom


def test_scale_and_place_make_no_difference():
    values = np.random.default_rng(3).random(20)
    one, other = (
        gap_statistic.groups(x, np.random.default_rng(0)) for x in (values, 1024 * values + 64)
    )
    assert one == other


@pytest.mark.parametrize("values", [[1.0], [2.0, 2.0], [3.0] * 10])
def test_one_value_is_one_group(values):
    assert gap_statistic.groups(np.array(values), np.random.default_rng(0)) == 1
