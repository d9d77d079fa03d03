"""What several methods ask of a round: computed once, read-only, gone with the round."""

import gc
import weakref

import numpy as np
import pytest

from pdrr import Round
from pdrr.core.shared import forget, shared


class Large:
    """Something whose end can be watched."""


@pytest.fixture
def counted():
    """A shared function and the rounds that it was really computed for."""
    calls = []

    @shared
    def total(observed):
        """The sum."""
        calls.append(observed.number)
        return observed.clients.sum(axis=1)

    return total, calls


def a_round(number=1):
    return Round(np.ones((3, 4)), np.zeros(4), number)


def test_it_is_computed_once_a_round(counted):
    total, calls = counted
    one, two = a_round(1), a_round(2)
    assert total(one) is total(one)
    assert total(two) is not total(one)
    assert calls == [1, 2]


def test_two_functions_do_not_share_one_place():
    @shared
    def first(observed):
        return observed.k

    @shared
    def second(observed):
        return observed.d

    observed = a_round()
    assert (first(observed), second(observed), first(observed)) == (3, 4, 3)


def test_what_is_forgotten_is_computed_again(counted):
    total, calls = counted
    one, two = a_round(1), a_round(2)
    total(one), total(two)
    forget(one)
    forget(one)  # nothing is left to be forgotten
    total(one), total(two)
    assert calls == [1, 2, 1]


def test_it_goes_with_its_round():
    @shared
    def large(_observed):
        return Large()

    observed = a_round()
    watched = weakref.ref(large(observed))
    gc.collect()
    assert watched() is not None
    del observed
    gc.collect()
    assert watched() is None


def test_nobody_can_change_it_for_the_others(counted):
    total, _ = counted

    @shared
    def pair(observed):
        return observed.clients.min(axis=1), observed.clients.max(axis=1), 3

    observed = a_round()
    for found in (total(observed), *pair(observed)[:2]):
        with pytest.raises(ValueError, match="read-only"):
            found[0] = 5
    assert pair(observed)[2] == 3


def test_it_keeps_its_name_and_docstring(counted):
    assert counted[0].__name__ == "total"
    assert counted[0].__doc__ == "The sum."
