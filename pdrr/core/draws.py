"""Random numbers for a stack of models: drawn on the host, or there where the stack lies.

The numbers are those of NumPy's generator in either case: its PCG64 is a linear congruential
generator, in which a device can jump to any place.
"""

from __future__ import annotations

import numpy as np

from pdrr.core.arrays import Array, array_namespace, like
from pdrr.core.dispatch import accelerated

MULTIPLIER = 0x2360ED051FC65DA44385DF649FCCF645
"""Of PCG64."""

WORD, BITS = 2**64, 2**128


@accelerated
def uniform_rows(
    clients: Array,
    rows: np.ndarray,
    near: Array,
    width: Array,
    low: float,
    rng: np.random.Generator,
) -> None:
    """Write near + (low + width * u) into some rows, u uniform in [0, 1) anew for each.

    Parameters
    ----------
    clients : array [k, d]
        Changed in place.
    rows : int array [n]
    near, width : float64 arrays [d], where the stack lies
    low : float
    rng : numpy.random.Generator
        Left where the draws of the rows, one after the other, leave it.
    """
    drawn_on_host(clients, rows, near, width, low, rng)


def drawn_on_host(
    clients: Array,
    rows: np.ndarray,
    near: Array,
    width: Array,
    low: float,
    rng: np.random.Generator,
) -> None:
    """As `uniform_rows`, whatever the generator is."""
    xp = array_namespace(clients)
    for row in rows:
        offset = width * like(rng.random(clients.shape[1]), clients)
        offset = low + offset if low else offset
        clients[int(row), :] = xp.astype(near + offset, clients.dtype)


def stream(rng: np.random.Generator, jumps: tuple[int, ...]) -> np.ndarray:
    """Where a PCG64 generator stands, and what takes it on: uint64 [n, 4].

    First the state (high and low word), then for each of `jumps`, and for 1, 2, 4, ..., the a and
    c (high and low word) with which state * a + c is that many numbers ahead.
    """
    state = rng.bit_generator.state["state"]
    lines = [(state["state"], 0)]
    lines += [_jump(n, state["inc"]) for n in (*jumps, *(2**i for i in range(48)))]
    words = [[word for x in line for word in divmod(x, WORD)] for line in lines]
    return np.array(words, np.uint64)


def skip(rng: np.random.Generator, n: int) -> None:
    """Leave out n numbers of a PCG64 generator, as if they had been drawn."""
    state = rng.bit_generator.state
    a, c = _jump(n, state["state"]["inc"])
    state["state"]["state"] = (state["state"]["state"] * a + c) % BITS
    rng.bit_generator.state = state


def _jump(n: int, increment: int) -> tuple[int, int]:
    """a and c with which state * a + c, modulo 2^128, is n steps ahead."""
    a, c, step, added = 1, 0, MULTIPLIER, increment
    while n:
        if n % 2:
            a, c = a * step % BITS, (c * step + added) % BITS
        step, added = step * step % BITS, added * (step + 1) % BITS
        n //= 2
    return a, c
