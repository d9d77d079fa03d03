"""Time aggregators and PDRR in units of one pass over the models, side by side in one run.

python benchmarks/passes.py [--k 50] [--d 1000000] [--repeat 3]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np

import pdrr
from pdrr.arrays import kernels_for


def seconds(work: Callable[[], object], repeat: int) -> list[float]:
    """Sorted times of `repeat` runs after one that does not count."""
    times = []
    for _ in range(repeat + 1):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return sorted(times[1:])


def main() -> None:
    """Print a table: median and range of seconds, and the ratio to one sum over the clients."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--k", type=int, default=50, help="clients (default 50)")
    parser.add_argument("--d", type=int, default=1_000_000, help="parameters (default 1000000)")
    parser.add_argument("--repeat", type=int, default=3, help="counted runs (default 3)")
    given = parser.parse_args()

    rng = np.random.default_rng(0)
    clients = rng.standard_normal((given.k, given.d), dtype=np.float32)
    observed = pdrr.Round(clients, clients.mean(axis=0), 1)
    c, beta = given.k // 4, given.k // 5
    work: dict[str, Callable[[], object]] = {
        "one pass: clients.sum(0)": lambda: clients.sum(0),
        "numpy.median": lambda: np.median(clients, axis=0),
        "pdrr.median": lambda: pdrr.median(clients),
        "pdrr.trimmed_mean": lambda: pdrr.trimmed_mean(clients, beta=beta),
        "pdrr.krum": lambda: pdrr.krum(clients, c=c, previous=observed.previous),
        "PDRR median": lambda: pdrr.PDRR("median", q=0.9).detect(observed),
        "PDRR trimmed_mean": lambda: pdrr.PDRR("trimmed_mean", beta=beta, q=0.9).detect(observed),
        "PDRR krum": lambda: pdrr.PDRR("krum", c=c, q=0.5).detect(observed),
    }
    print(f"k = {given.k}, d = {given.d:,}, float32, median of {given.repeat} after a warm-up")
    print(f"compiled kernels: {'on' if kernels_for(clients) else 'off'}\n")
    print(f"{'':26}{'median s':>10}{'range s':>16}{'passes':>9}")
    unit = None
    for name, run in work.items():
        times = seconds(run, given.repeat)
        middle = statistics.median(times)
        unit = unit or middle
        print(f"{name:26}{middle:10.3f}{times[0]:8.3f}-{times[-1]:<7.3f}{middle / unit:9.1f}")


if __name__ == "__main__":
    main()
