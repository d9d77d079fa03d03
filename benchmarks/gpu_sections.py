"""The sections of `benchmarks.gpu`, a process for each; results go to standard output.

python -m benchmarks.gpu_sections SECTION [--dry]

Dry, they run on NumPy and on JAX's processor at small sizes: what is tried then is the script.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from datetime import date
from importlib import metadata
from itertools import product
from typing import Any

import numpy as np

import pdrr
from benchmarks.cases import Problem, ours
from pdrr.attacks import KNOWLEDGE
from pdrr.core.arrays import Array, accelerator
from pdrr.core.rules import DEFENDED, own_setting

D = 6_603_710  # of the paper's network
SIZES, DRY_SIZES = (50, 10, 200, 1000), (5, 8)
CASE_S, MOST = 0.5, 30  # seconds for the repeats of one case, and how many at most
LAST_S = 70  # seconds after which no case begins
KERNELS_OFF = ("trimmed_mean", "median", "krum")  # also timed without kernels, at k = 50
DEVICE_TESTS = "tests/core/test_gpu.py"
PACKAGES = ("numpy", "cupy-cuda13x", "cupy-cuda12x", "jax", "keras", "numba", "pandas")
READ = r"""
extern "C" __global__ void read_all(const float* x, float* out, long long n) {
  float sum = 0;
  const long long step = (long long)gridDim.x * blockDim.x;
  long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  for (; i < n; i += step) sum += x[i];
  if (sum == 1e38f) out[0] = sum;
}
"""


def emit(**values: Any) -> None:
    """One result."""
    print(json.dumps(values), flush=True)


def device(dry: bool) -> Any:
    """CuPy, or NumPy in a dry run; ValueError if there is no device to measure."""
    home = np if dry else accelerator()
    if home is np and not dry:
        raise ValueError("needs CuPy and a CUDA device, got none: --dry tries the script without")
    return home


def timed(work: Callable[[], object], home: Any, least: int = 5) -> dict[str, float]:
    """Median and smallest milliseconds of a call, from the host's clock, after one that is not."""

    def wait() -> None:
        if home is not np:
            home.cuda.get_current_stream().synchronize()

    def once() -> float:
        wait()
        started = time.perf_counter()
        work()
        wait()
        return time.perf_counter() - started

    once()
    counted = [once()]
    while (len(counted) < least and sum(counted) < 4 * CASE_S) or (
        len(counted) < MOST and sum(counted) < CASE_S
    ):
        counted.append(once())
    return {
        "ms": round(1e3 * statistics.median(counted), 4),
        "min_ms": round(1e3 * min(counted), 4),
        "n": len(counted),
    }


def problem(home: Any, k: int, d: int) -> Problem:
    """A stack as the benchmark has it, drawn where it lies."""
    if home is np:
        return Problem.make(k, d)
    home.random.seed(k)
    previous = 0.05 * home.random.standard_normal(d, dtype=home.float32)
    clients = home.empty((k, d), home.float32)
    for row in clients:
        row[...] = previous + 0.01 * home.random.standard_normal(d, dtype=home.float32)
    return Problem(clients, previous)


# the sections


def machine(dry: bool) -> None:
    """Device, driver's memory, versions."""
    home, gpu = device(dry), {}
    if home is not np:
        properties = home.cuda.runtime.getDeviceProperties(0)
        gpu = {"memory_gib": round(properties["totalGlobalMem"] / 2**30, 1)}
    versions = {"python": platform.python_version(), "pdrr": pdrr.__version__}
    for name in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    name = properties["name"].decode() if gpu else "no GPU: a dry run"
    emit(device=name, **gpu, versions=versions, date=date.today().isoformat())


def tests(dry: bool) -> None:
    """The device tests; dry, one that needs no device."""
    import pytest

    counts: dict[str, int] = {}
    first: list[str] = []

    class Counted:
        def pytest_runtest_logreport(self, report: Any) -> None:
            if report.when == "call" or report.outcome != "passed":
                counts[report.outcome] = counts.get(report.outcome, 0) + 1
                if report.outcome == "failed":
                    first.append(report.nodeid)

    chosen = "every_comparator_is_needed" if dry else "not processor"
    words = [DEVICE_TESTS, "-q", "-x", "-p", "no:cacheprovider", "-k", chosen]
    if not dry and importlib.util.find_spec("xdist"):
        words += ["-n", "8"]  # most of the time compilers are at work
    with contextlib.redirect_stdout(sys.stderr):
        code = pytest.main(words, plugins=[Counted()])
    emit(**{name: counts.get(name, 0) for name in ("passed", "failed", "skipped")}, first=first[:1])
    if code:
        sys.exit(f"the device tests ended with code {int(code)}")


def kernels(dry: bool) -> None:
    """Rules and detections in units of one read of the stack, at the bandwidth of the same run."""
    home, started = device(dry), time.monotonic()
    sizes, d = (DRY_SIZES, 2000) if dry else (SIZES, D)
    before: dict[str, tuple[int, float]] = {}
    for dtype in ("float32", "float64"):
        emit(case="product", dtype=dtype, tflop_s=matrix_product(home, 64 if dry else 8192, dtype))
    for k in sizes:
        made = problem(home, k, d)
        floor = reading(home, made.clients)
        emit(case="read", k=k, d=d, **floor, tb_s=round(4e-9 * k * d / floor["min_ms"], 3))
        for kernels_on in (True, False) if k == 50 or dry else (True,):
            for case, prepare in ours().items():
                if case.startswith("attack") or not (kernels_on or case in KERNELS_OFF):
                    continue
                here = {"case": case, "k": k, "d": d, "kernels": "on" if kernels_on else "off"}
                old_k, old = before.get(case, (k, 0.0))
                expected = old * (k / old_k) ** 2
                left = LAST_S - (time.monotonic() - started)
                if 2 * expected > left:
                    emit(**here, skipped=f"about {expected:.0f} s a call, {left:.0f} s left")
                    continue
                with kernels_as(kernels_on):
                    found = timed(prepare(made), home)
                if kernels_on:
                    before[case] = k, found["ms"] / 1e3
                emit(**here, **found, floors=round(found["ms"] / floor["min_ms"], 2))
        del made
        if home is not np:
            home.get_default_memory_pool().free_all_blocks()


@contextlib.contextmanager
def kernels_as(on: bool) -> Any:
    """PDRR_KERNELS on or off for the time being."""
    os.environ["PDRR_KERNELS"] = "on" if on else "off"
    try:
        yield
    finally:
        del os.environ["PDRR_KERNELS"]


def reading(home: Any, clients: Array) -> dict[str, float]:
    """Time in which every value is read once and hardly anything written."""
    if home is np:
        return timed(lambda: clients.sum(), home)
    read, out = home.RawKernel(READ, "read_all"), home.zeros(1, home.float32)
    blocks = 16 * home.cuda.Device().attributes["MultiProcessorCount"]
    size = np.int64(clients.size)
    found = [
        timed(lambda: read((blocks,), (512,), (clients, out, size)), home, least=20),
        timed(lambda: clients.sum(), home, least=20),
    ]
    return min(found, key=lambda each: each["min_ms"])


def matrix_product(home: Any, n: int, dtype: str) -> float:
    """1e12 operations a second of a large matrix product: what arithmetic allows."""
    square = home.ones((n, n), dtype)
    return float(f"{2e-9 * n**3 / timed(lambda: square @ square, home)['min_ms']:.4g}")


def attacks(dry: bool) -> None:
    """Each attack of the paper on a round of its size."""
    home = device(dry)
    k, c, beta, d = (10, 4, 2, 2000) if dry else (50, 20, 10, D)
    honest, byzantine = problem(home, k, d).observed, np.arange(k) < c
    for rule, knowledge in product(DEFENDED, KNOWLEDGE[dry:]):
        own = {"beta": beta} if rule == "trimmed_mean" else {}

        def attack(rule: str = rule, knowledge: str = knowledge, own: Any = own) -> object:
            rng = np.random.default_rng(1)
            return pdrr.ATTACKS[rule](honest, byzantine, knowledge=knowledge, rng=rng, **own)

        emit(attack=rule, knowledge=knowledge, k=k, c=c, d=d, **timed(attack, home, least=3))


def training(dry: bool) -> None:
    """One client alone, a round as the experiments train it, one trial of a model."""
    from pdrr.core.keras import keras
    from pdrr.experiments import scene
    from pdrr.federation.precision import precision
    from pdrr.federation.rounds import Federation
    from pdrr.federation.store import Store

    home, least = device(dry), 1 if dry else 3
    store = Store()
    few = {"k": 10, "c": 2} if dry else {}
    chosen = scene.settings("smoke" if dry else "paper", "glyphs", 1, **few)
    data = scene.dataset(chosen, store)
    federation = Federation(chosen, data, "mean", store)
    trainer, start = federation.trainer, home.asarray(federation.trainer.initial)
    x, y = data.train(0)
    steps = chosen.training.epochs * -(-len(y) // chosen.training.batch)
    of_round = sum(
        chosen.training.epochs * -(-len(data.train(i)[1]) // chosen.training.batch)
        for i in federation.clients(1).tolist()
    )
    about = {
        "d": int(start.size),
        "backend": keras.backend.backend(),
        "precision": precision(),
    }

    def one() -> object:
        return trainer.train(start, x, y, np.random.default_rng(0))

    found = timed(one, home, least)
    emit(what="one client alone", steps=steps, step_ms=found["ms"] / steps, **found, **about)
    k = chosen.federation.k
    found = timed(lambda: federation.trained(1, start, home), home, least)
    step_ms = found["ms"] / of_round
    emit(what=f"a round of {k}", steps=of_round, step_ms=step_ms, **found, **about)
    images, _ = data.auxiliary()
    found = timed(lambda: trainer.logits(start, images), home, least)
    emit(what="trial of one aggregate", images=len(images), **found, **about)


def federation(dry: bool) -> None:
    """Every round attacked and defended in both chains, seconds a round; then ERR and LFR."""
    from pdrr.baselines import err_and_lfr
    from pdrr.experiments import chains, scene
    from pdrr.experiments.attacking import attacked
    from pdrr.federation.rounds import Federation
    from pdrr.federation.store import Store

    home = device(dry)
    profile, first, last = ("smoke", 0, 1) if dry else ("paper", 1, 4)
    which: dict[str, Any] = {"profile": profile, "source": "glyphs", "seed": 1}
    store = Store()
    for rule in DEFENDED[2 * dry :]:
        if first:  # compiles
            chains.every_round(rule, last=first, betas=(10,), store=store, **which)
        started = time.perf_counter()
        found = chains.every_round(rule, last=last, betas=(10,), store=store, **which).table
        seconds = (time.perf_counter() - started) / (last - first)
        wrong = found.loc[found["attack"] != "none", ["false_alarms", "missed"]].sum(axis=1) > 0
        emit(
            rule=rule,
            rounds=last - first,
            attacks=int((found["attack"] != "none").sum() / last),
            s_a_round=round(seconds, 3),
            wrong=int(wrong.sum()),
            detections=len(found),
        )
    chosen, rule = scene.settings(profile, "glyphs", 1), "krum" if dry else "trimmed_mean"
    own = own_setting(rule, c=chosen.federation.c, beta=chosen.defense.beta)
    there = Federation(chosen, scene.dataset(chosen, store), rule, store)
    honest = there.trained(1, there.start(1), home)
    seen = attacked(chosen, rule, rule, honest, "partial").observed

    def judged() -> object:
        return err_and_lfr(
            seen,
            rule,
            network=there.trainer,
            auxiliary=auxiliary,
            rng=np.random.default_rng(0),
            **{"c": chosen.federation.c, **own},
        )

    auxiliary = there.dataset.auxiliary()
    emit(rule=rule, detector="ERR and LFR", **timed(judged, home, least=1))


SECTIONS = {one.__name__: one for one in (machine, tests, kernels, attacks, training, federation)}

if __name__ == "__main__":
    SECTIONS[sys.argv[1]]("--dry" in sys.argv[2:])
