"""All aggregators and PDRR on a memory-mapped stack and on the same one in memory.

Seconds of both, and what is needed beside the pages of the file.

python -m benchmarks.out_of_core STACK [--k 1000] [--d 1000000] [--record]

STACK is a raw float32 file [k, d]. If it does not exist it is filled with random models.
"""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
from tqdm import tqdm

import pdrr
from benchmarks.stages import add
from pdrr.book import performance
from pdrr.core.dispatch import kernels_for
from pdrr.experiments import provenance

PART = "models on disk"


def private_mb() -> float:
    """Memory of this process that is no page of a file, in MB (Linux)."""
    status = Path("/proc/self/status").read_text("ascii")
    line = next(line for line in status.splitlines() if line.startswith("RssAnon:"))
    return int(line.split()[1]) / 1000


class Peak:
    """Looks at the private memory every few milliseconds inside a with block."""

    def __enter__(self) -> Peak:
        self.start_mb = self.peak_mb = private_mb()
        self.done = threading.Event()
        self.watcher = threading.Thread(target=self.watch)
        self.watcher.start()
        return self

    def watch(self) -> None:
        """Until the block ends."""
        while not self.done.wait(0.005):
            self.peak_mb = max(self.peak_mb, private_mb())

    def __exit__(self, *_: object) -> None:
        self.peak_mb = max(self.peak_mb, private_mb())
        self.done.set()
        self.watcher.join()

    @property
    def extra_mb(self) -> float:
        """How much more than at the start."""
        return self.peak_mb - self.start_mb


def jobs(c: int) -> dict[str, Callable[[pdrr.Round], object]]:
    """What is measured, on a round with room for c compromised clients."""
    return {
        "mean": lambda seen: pdrr.mean(seen.clients),
        "trimmed_mean": lambda seen: pdrr.trimmed_mean(seen.clients, beta=c),
        "median": lambda seen: pdrr.median(seen.clients),
        "krum": lambda seen: pdrr.krum(seen.clients, c=c, previous=seen.previous),
        "bulyan": lambda seen: pdrr.bulyan(seen.clients, c=c, previous=seen.previous),
        "PDRR krum": lambda seen: pdrr.PDRR("krum", c=c, q=0.9).aggregate(seen),
        "PDRR trimmed_mean": lambda seen: pdrr.PDRR("trimmed_mean", beta=c, q=0.9).aggregate(seen),
        "PDRR median": lambda seen: pdrr.PDRR("median", q=0.9).aggregate(seen),
    }


def fill(path: Path, k: int, d: int) -> None:
    """Write a stack of random models row by row; it appears under its name when it is whole."""
    partial = path.with_name(path.name + ".partial")
    rng = np.random.default_rng(0)
    with partial.open("wb") as file:
        for _ in tqdm(range(k), desc="writing", unit="model", disable=None):
            rng.standard_normal(d, dtype=np.float32).tofile(file)
    partial.rename(path)


def main() -> None:
    """Print a table: seconds, and the peak of memory beside the pages of the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stack", type=Path, help="raw float32 file [k, d]; made if missing")
    parser.add_argument("--k", type=int, default=1000, help="clients (default 1000)")
    parser.add_argument("--d", type=int, default=1_000_000, help="parameters (default 1000000)")
    parser.add_argument("--record", action="store_true", help="write to book/records/bench")
    given = parser.parse_args()
    if not given.stack.exists():
        fill(given.stack, given.k, given.d)
    needed, got = 4 * given.k * given.d, given.stack.stat().st_size
    if needed != got:
        parser.error(f"{given.stack} needs {needed:,} bytes for [k, d], got {got:,}")

    clients = np.memmap(given.stack, np.float32, "r", shape=(given.k, given.d))
    seen = pdrr.Round(clients, np.zeros(given.d, np.float32))
    in_memory = pdrr.Round(np.array(clients), seen.previous)
    little = pdrr.Round(np.array(clients[:, :1000]), seen.previous[:1000])
    kernels = "on" if kernels_for(clients) else "off"
    print(f"k = {given.k}, d = {given.d:,}, float32, {got / 1e9:.1f} GB; kernels {kernels}\n")
    print(f"{'':20}{'seconds':>10}{'extra MB':>10}{'in memory, s':>14}")
    began, rows = time.monotonic(), []
    size = f"k = {given.k:,}, d = {given.d:,}: a file of {got / 1e9:.1f} GB"
    for name, job in jobs(given.k // 5).items():
        job(little)  # compiled code and thread pools are no part of it
        started = time.perf_counter()
        with Peak() as peak:
            job(seen)
        mapped = time.perf_counter() - started
        started = time.perf_counter()
        job(in_memory)
        held = time.perf_counter() - started
        print(f"{name:20}{mapped:10.1f}{peak.extra_mb:10.0f}{held:14.1f}", flush=True)
        for variant, seconds in (("a mapped file", mapped), ("in memory", held)):
            times = dict.fromkeys(("median_s", "low_s", "high_s"), seconds)
            row = {"stage": name, "variant": variant, **times, "repeats": 1}
            rows += [{**row, "note": note} for note in (size, f"{peak.extra_mb:.0f} MB beside it")]
    origin = {"device": provenance.device(), "date": date.today().isoformat(), "kernels": kernels}
    origin |= {"commit": provenance.commit(), "seconds": round(time.monotonic() - began, 1)}
    add(performance.RECORDED if given.record else performance.OWN, PART, rows, origin)


if __name__ == "__main__":
    main()
