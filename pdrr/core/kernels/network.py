"""Sorting networks: fixed lists of comparisons that put k rows into order, whatever they hold.

As the list does not depend on the values, many coordinates are sorted side by side.
"""

from __future__ import annotations

from functools import cache

import numpy as np

GROUP = 8
"""Rows that are moved together: `kernels.tiles` merges two sorted groups in registers."""


def batcher(n: int) -> list[tuple[int, int]]:
    """Comparators (i, j), i < j, of Batcher's odd-even merge sort for n values.

    References
    ----------
    Batcher, AFIPS Spring Joint Computer Conference 1968; Knuth, TAOCP 3, algorithm 5.2.2M.
    """
    comparators = []
    run = 1  # length of the sorted runs that are merged in pairs
    while run < n:
        step = run
        while step >= 1:
            for start in range(step % run, n - step, 2 * step):
                comparators += [
                    (i, i + step)
                    for i in range(start, min(start + step, n - step))
                    if i // (2 * run) == (i + step) // (2 * run)
                ]
            step //= 2
        run *= 2
    return comparators


@cache
def sorting_program(k: int, first: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
    """What a kernel has to do to find the values with the ranks first, ..., stop - 1 of k.

    A network for n values also sorts n sorted groups, if each comparator becomes a merge: the
    smaller half to the one side, the larger half to the other (Baudet and Stevenson, IEEE
    Transactions on Computers C-27, 1978).

    Parameters
    ----------
    k : int
        Rows to sort. They start as groups, each sorted in itself, in the buffers 0, 1, ...; the
        last group is filled up with infinities.
    first, stop : int
        The ranks that are wanted; merges that only serve others are left out.

    Returns
    -------
    program : int64 array [n, 4]
        For each merge the buffers of its two inputs, of the smaller and of the larger half. The
        outputs are two buffers that hold nothing needed any more, never the inputs: for a
        comparison in place compilers store under a mask, which costs many times more on some
        processors. So there are two buffers more than groups.
    ranks : int64 array [stop - first]
        Where the wanted ranks end up, as buffer * GROUP + row.
    """
    groups = -(-k // GROUP)
    wanted, merges = set(range(first // GROUP, (stop - 1) // GROUP + 1)), []
    for i, j in reversed(batcher(groups)):
        if i in wanted or j in wanted:
            wanted |= {i, j}
            merges.append((i, j))
    buffer, spare = list(range(groups)), (groups, groups + 1)
    program = []
    for i, j in reversed(merges):
        program.append((buffer[i], buffer[j], *spare))
        (buffer[i], buffer[j]), spare = spare, (buffer[i], buffer[j])
    ranks = [buffer[rank // GROUP] * GROUP + rank % GROUP for rank in range(first, stop)]
    return np.array(program, np.int64).reshape(-1, 4), np.array(ranks, np.int64)
