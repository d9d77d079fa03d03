"""Reference implementations that are slow, obviously right, and independent of the package.

Plain Python loops over exact fractions, so that a sum has no rounding and a tie is a tie. Only
what must run on many coordinates (`longdouble_squared_distances`, the Krum attacker's simulation)
is NumPy in extended precision. A stack is any [k, d] array; results are lists.
"""

from fractions import Fraction
from itertools import permutations
from math import sqrt

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

# ------------------------------------------------------------------------------------- inputs


def stacks(min_k, max_k=9, max_d=6, values=(-3, 3), dtype=np.float64):
    """Hypothesis strategy: [k, d] of small whole numbers, so that ties are common, sums exact."""
    shape = st.tuples(st.integers(min_k, max_k), st.integers(1, max_d))
    whole = st.integers(*values)
    return shape.flatmap(lambda s: hnp.arrays(np.int64, s, elements=whole)).map(
        lambda a: a.astype(dtype)
    )


def rounds(min_k, max_k=9, max_d=8, dtype=np.float64):
    """Hypothesis strategy: (clients [k, d], previous [d]) of small whole numbers."""
    stack = stacks(min_k + 1, max_k + 1, max_d, values=(-2, 2), dtype=dtype)
    return stack.map(lambda a: (a[1:], a[0]))


def distinct_values(k, d, seed, dtype=np.float64):
    """[k, d] of Gaussian values: no two equal, for properties that ties would break."""
    return np.random.default_rng(seed).normal(size=(k, d)).astype(dtype)


def exact(stack):
    """The rows of a float array as lists of fractions: no later step rounds."""
    return [[Fraction(float(value)) for value in row] for row in np.asarray(stack)]


def sign(x):
    return (x > 0) - (x < 0)


# ------------------------------------------------------------------------------ aggregation rules


def mean(stack):
    rows = exact(stack)
    return [sum(column) / len(rows) for column in zip(*rows, strict=True)]


def trimmed_mean(stack, beta):
    """Sort each coordinate, drop beta at either end, average what is left."""
    rows = exact(stack)
    kept = [sorted(column)[beta : len(rows) - beta] for column in zip(*rows, strict=True)]
    return [sum(values) / len(values) for values in kept]


def median(stack):
    """The middle value of each coordinate, or the mean of the middle two."""
    return trimmed_mean(stack, (len(stack) - 1) // 2)


def squared_distances(stack):
    rows = exact(stack)
    return [[sum((x - y) ** 2 for x, y in zip(a, b, strict=True)) for b in rows] for a in rows]


def krum_scores(distances, neighbours):
    """For each model the sum of the `neighbours` smallest distances to OTHER models."""
    k = len(distances)
    others = [sorted(distances[i][j] for j in range(k) if j != i) for i in range(k)]
    return [sum(nearest[:neighbours]) for nearest in others]


def krum_index(stack, c):
    """Index of the smallest score over k - c - 2 neighbours; the lowest index on a tie."""
    scores = krum_scores(squared_distances(stack), len(stack) - c - 2)
    return scores.index(min(scores))


def bulyan(stack, c):
    """Krum picks k - 2c models one by one; then the k - 4c values nearest to their median."""
    distances = squared_distances(stack)
    remaining, selected = list(range(len(stack))), []
    while len(selected) < len(stack) - 2 * c:
        among = [[distances[i][j] for j in remaining] for i in remaining]
        scores = krum_scores(among, max(1, len(remaining) - c - 2))
        selected.append(remaining.pop(scores.index(min(scores))))
    gamma = len(selected) - 2 * c
    chosen = np.asarray(stack)[selected]
    result = []
    for column, middle in zip(zip(*exact(chosen), strict=True), median(chosen), strict=True):
        nearest = sorted(column, key=lambda value: (abs(value - middle), value))[:gamma]
        result.append(sum(nearest) / gamma)
    return result


def one_shot_bulyan(stack, c):
    """The shortcut `bulyan` must NOT take: the k - 2c best scores of a single Krum."""
    scores = krum_scores(squared_distances(stack), len(stack) - c - 2)
    best = sorted(range(len(stack)), key=scores.__getitem__)[: len(stack) - 2 * c]
    chosen = np.asarray(stack)[best]
    gamma = len(best) - 2 * c
    result = []
    for column, middle in zip(zip(*exact(chosen), strict=True), median(chosen), strict=True):
        nearest = sorted(column, key=lambda value: (abs(value - middle), value))[:gamma]
        result.append(sum(nearest) / gamma)
    return result


def longdouble_squared_distances(stack):
    """[k, k] in extended precision, from the differences of the rows themselves."""
    rows = np.asarray(stack, dtype=np.longdouble)
    return np.array([[((a - b) ** 2).sum() for b in rows] for a in rows])


# ------------------------------------------------------------------- which values a trim keeps


def kept_fraction_over_all_orders(column, beta):
    """Average over EVERY order of the clients of "is kept by a stable sort". For tiny k."""
    k = len(column)
    kept, orders = [0] * k, list(permutations(range(k)))
    for order in orders:
        by_value = sorted(order, key=lambda i: column[i])  # stable: ties stay in this order
        for i in by_value[beta : k - beta]:
            kept[i] += 1
    return [Fraction(count, len(orders)) for count in kept]


def kept_fraction(column, beta):
    """The same expectation in closed form: a group of equal values shares its kept places."""
    k, result = len(column), []
    for value in column:
        first = sum(other < value for other in column)
        size = sum(other == value for other in column)
        places = [p for p in range(first, first + size) if beta <= p < k - beta]
        result.append(Fraction(len(places), size))
    return result


# --------------------------------------------------------------------------------------- PDRR


def pearson(a, b):
    """Correlation of two lists of numbers; 0 where one of them is constant."""
    n = len(a)
    centred_a = [Fraction(x) - Fraction(sum(a), n) for x in a]
    centred_b = [Fraction(x) - Fraction(sum(b), n) for x in b]
    spread = sum(x * x for x in centred_a) * sum(x * x for x in centred_b)
    if spread == 0:
        return 0.0
    return float(sum(x * y for x, y in zip(centred_a, centred_b, strict=True))) / sqrt(spread)


def signs_of_change(clients, previous):
    """Sgn(w_i - w_p) as lists of -1, 0, +1."""
    base = exact([previous])[0]
    return [[sign(x - p) for x, p in zip(row, base, strict=True)] for row in exact(clients)]


def krum_correlations(clients, previous, c):
    """rho_i: correlation of each model's signs with those of Krum's choice."""
    signs = signs_of_change(clients, previous)
    chosen = signs[krum_index(clients, c)]
    return [pearson(row, chosen) for row in signs]


def counts(clients, previous, beta, zero_change=False):
    """(n_i^c, n_i^r) of trimmed and kept values, without the coordinates that did not move."""
    columns = list(zip(*exact(clients), strict=True))
    pre_aggregate, base = trimmed_mean(clients, beta), exact([previous])[0]
    trimmed, kept = [Fraction(0)] * len(clients), [Fraction(0)] * len(clients)
    for column, aggregate, before in zip(columns, pre_aggregate, base, strict=True):
        if aggregate == before and not zero_change:
            continue
        for i, fraction in enumerate(kept_fraction(column, beta)):
            kept[i] += fraction
            trimmed[i] += 1 - fraction
    return trimmed, kept


# ----------------------------------------------------------------------------- the Krum attacker


def attacker_stack(known, previous, s, lam, copies):
    """`copies` models w_p - lambda s, then the honest models the attacker knows."""
    previous, s = np.asarray(previous, np.longdouble), np.asarray(s, np.longdouble)
    malicious = previous - np.longdouble(lam) * s
    return np.vstack([malicious] * copies + [np.asarray(known, np.longdouble)])


def attack_is_accepted(known, previous, s, lam, copies):
    """Would Krum, run with c = `copies`, select one of the malicious models? A tie counts."""
    stack = attacker_stack(known, previous, s, lam, copies)
    scores = krum_scores(longdouble_squared_distances(stack), len(stack) - copies - 2)
    return bool(min(scores[:copies]) <= min(scores[copies:]))


def attack_bound(known, previous, s, copies):
    """Equation (4), with ||s||_0 in the place of d and 1 for a denominator that is not positive."""
    known, previous = np.asarray(known, np.longdouble), np.asarray(previous, np.longdouble)
    n, moved = len(known) + copies, int(np.count_nonzero(s))
    nearest = min(krum_scores(longdouble_squared_distances(known), n - copies - 2))
    farthest = max(np.sqrt(((row - previous) ** 2).sum()) for row in known)
    return float(
        np.sqrt(nearest / (max(n - 2 * copies - 1, 1) * moved)) + farthest / np.sqrt(moved)
    )


def halving_finds_a_lambda(known, previous, s, copies, smallest=1e-9):
    """Does any of bound, bound/2, bound/4, ... down to `smallest` get accepted?"""
    lam = attack_bound(known, previous, s, copies)
    while lam >= smallest:
        if attack_is_accepted(known, previous, s, lam, copies):
            return True
        lam /= 2
    return False


def crafted_interval(s, w_min, w_max, before, b):
    """Where the full-knowledge trimmed-mean attack draws one coordinate from."""
    if s == 0:
        return before, before
    if s < 0:
        return (w_max, b * w_max) if w_max > 0 else (w_max, w_max / b)
    return (w_min / b, w_min) if w_min > 0 else (b * w_min, w_min)
