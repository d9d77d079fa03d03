"""One run over all cases: what is skipped and why, and a table that is safe at every moment."""

from __future__ import annotations

import gc
import importlib
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from benchmarks import measure
from benchmarks.cases import Implementation, Problem, compare, usable, vector
from pdrr.book.performance import COLUMNS, STEM
from pdrr.core.dispatch import kernels_for
from pdrr.experiments.provenance import commit, device
from pdrr.experiments.records import Records

UNFINISHED = "unfinished"  # stem of the table while the run goes on
ONE_RUN, ONE_CASE = 1 / 60, 1 / 200  # of the budget: the longest run; where repeats end
TRIAL = 10_000  # coordinates that tell what a larger case will take, if no smaller one was run
PRODUCT = """
import time
import numpy as np
square, seconds = np.ones((2048, 2048), np.float32), []
for _ in range(5):
    started = time.perf_counter()
    square @ square
    seconds.append(time.perf_counter() - started)
print(2e-9 * 2048**3 / min(seconds))
"""
VERSIONS = ("pdrr", "numpy", "numba", "scipy", "flwr", "byzfl", "torch", "cupy-cuda12x")


@dataclass(frozen=True)
class Plan:
    """What one run is asked for: sizes, counted runs of each case, seconds for everything."""

    k: Sequence[int]
    d: Sequence[int]
    repeat: int
    budget: float
    only: Sequence[str] = ()

    @property
    def allowed(self) -> float:
        """Seconds for one run of a case."""
        return self.budget * ONE_RUN

    def wants(self, one: Implementation) -> bool:
        """Whether a rule or an implementation was asked for; the unit always is."""
        named = f"{one.rule} by {one.name}"
        return not self.only or one.rule == "pass" or any(word in named for word in self.only)


@dataclass
class Known:
    """What earlier cases of one implementation and k tell of a larger d, by proportion."""

    seconds: float
    extra: float
    d: int
    why: str = ""

    def refusal(self, plan: Plan, d: int, stack: int, available: float) -> str:
        """Why a case of d coordinates is not run; "" if it is."""
        seconds, extra = self.seconds * d / self.d, self.extra * d / self.d
        if self.why:
            return f"{self.why} at d = {self.d:,}"
        if seconds > plan.allowed:
            return f"about {seconds:.0f} s a run, allowed {plan.allowed:.0f} s"
        if extra > available:
            words = f"{extra / 2**30:.1f} GiB beside the stack of {stack / 2**30:.1f} GiB"
            return f"about {words}, available {available / 2**30:.1f} GiB"
        return ""


@dataclass
class Run:
    """A run in the making: rows so far, and what they tell of the next."""

    plan: Plan
    folder: Path
    chosen: Sequence[Implementation]
    rows: list[dict[str, Any]] = field(default_factory=list)
    sizes: list[dict[str, Any]] = field(default_factory=list)
    known: dict[tuple[str, str, int], Known] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)
    free: Callable[[], int | None] = measure.available_memory

    def __post_init__(self) -> None:
        self.chosen = [one for one in self.chosen if self.plan.wants(one)]
        self.chosen, self.missing = usable(self.chosen)
        if any(one.gpu for one in self.chosen) and not measure.alone(gpus, limit=60):
            self.missing["cupy"] = "no CUDA device"
            self.chosen = [one for one in self.chosen if not one.gpu]
        on_gpu = any(one.gpu for one in self.chosen)
        self.copy = {
            "host": copy_bandwidth("numpy"),
            **({"GPU": measure.alone(lambda: copy_bandwidth("cupy"), limit=120)} if on_gpu else {}),
        }
        self.product = {"host": product_speed()}
        few = Problem.make(k=11, d=100)
        for one in self.chosen:
            if one.name.startswith("pdrr") and not one.gpu:
                one.prepare(few)()  # the forks find the compiled loops in memory

    def everything(self) -> Records:
        """Run all cases; the table is on disk after each, and under its own name at the end."""
        bar = tqdm(
            total=sum(self._weight(k, d) for k, d in self._pairs()) * len(self.chosen),
            bar_format="{l_bar}{bar}| {elapsed}<{remaining} {postfix}",
            disable=None,
        )
        for why in self.missing.values():
            bar.write(f"skipped: {why}")
        gc.freeze()  # the forks need not look at what was imported
        with bar:
            for k, d in self._pairs():
                for row in self._size(k, d):
                    self.rows.append(row)
                    bar.set_postfix_str(f"k={k} d={d:,} {row['rule']}: {row['implementation']}")
                    bar.update(self._weight(k, d))
                    self.records().save(self.folder, UNFINISHED)
        gc.unfreeze()
        found = self.records()
        found.save(self.folder, STEM)
        for suffix in (".csv", ".json"):
            (self.folder / (UNFINISHED + suffix)).unlink(missing_ok=True)
        return found

    def records(self) -> Records:
        """What there is so far, with its origin."""
        table = pd.DataFrame(self.rows, columns=COLUMNS)
        return Records(table, pd.DataFrame(self.sizes), self._provenance())

    def _pairs(self) -> list[tuple[int, int]]:
        """All sizes, the smallest stack first: they tell what the larger ones will take."""
        return sorted(((k, d) for k in self.plan.k for d in self.plan.d), key=math.prod)

    def _weight(self, k: int, d: int) -> int:
        """How long a case takes beside the others, for the time left."""
        return 10 + k * d // 1_000_000

    def _size(self, k: int, d: int) -> Iterator[dict[str, Any]]:
        """The rows of one k and d."""
        stack, available = 4 * k * d, self.free() or math.inf
        if stack > 0.8 * available:
            words = f"a stack of {stack / 2**30:.1f} GiB, available {available / 2**30:.1f} GiB"
            yield from (self._row(one, k, d, note=f"skipped: {words}") for one in self.chosen)
            return
        problem = Problem.make(k, d)
        expected: dict[str, np.ndarray] = {}
        unit = math.nan
        for one in self.chosen:
            key = (one.rule, one.name, k)
            why = self._refusal(key, one, problem, d)
            if not why:
                try:
                    row = self._measured(one, problem, d, expected, unit)
                    if one.rule == "pass":
                        unit = row["median_s"]
                        self.sizes.append(self._unit(k, d, unit))
                    self.known[key] = Known(row["low_s"], row["extra_mb"] * 2**20, d)
                    yield row
                    continue
                except measure.StoppedError as stopped:
                    why = str(stopped)
                    self.known[key] = Known(math.inf, 0, d, why)
            yield self._row(one, k, d, note=f"skipped: {why}")

    def _refusal(
        self, key: tuple[str, str, int], one: Implementation, problem: Problem, d: int
    ) -> str:
        """Why a case is not run; "" if it is."""
        left = self.plan.budget - (time.monotonic() - self.started)
        if left <= 0:
            return f"the budget of {self.plan.budget:.0f} s was used up"
        if key not in self.known and d > 10 * TRIAL:
            few = problem.few(d=TRIAL)
            try:
                tried = measure.alone(lambda: self._work(one, few, {}), self._limit)
                self.known[key] = Known(min(tried.seconds), tried.extra, TRIAL)
            except measure.StoppedError as stopped:
                self.known[key] = Known(math.inf, 0, TRIAL, str(stopped))
        if key not in self.known:
            return ""
        available = math.inf if one.gpu else 0.8 * (self.free() or math.inf)
        return self.known[key].refusal(self.plan, d, problem.clients.nbytes, available)

    @property
    def _limit(self) -> float:
        """Seconds after which a case is stopped whose estimate was too low."""
        return 2 * self.plan.allowed + 5

    def _measured(
        self,
        one: Implementation,
        problem: Problem,
        d: int,
        expected: dict[str, np.ndarray],
        unit: float,
    ) -> dict[str, Any]:
        """The row of a case that was run."""
        found = measure.alone(lambda: self._work(one, problem, expected), self._limit)
        agrees, words, value = found.verdict
        if value is not None:
            expected[one.rule] = value
        if not found.warmed:
            words = "; ".join(filter(None, [words, "no warm-up"]))
        median = statistics.median(found.seconds)
        return self._row(
            one,
            problem.k,
            d,
            median_s=median,
            low_s=min(found.seconds),
            high_s=max(found.seconds),
            repeats=len(found.seconds),
            passes=1.0 if one.rule == "pass" else median / unit,
            extra_mb=found.extra / 2**20,
            agrees=agrees,
            note="; ".join(filter(None, [one.note, words])),
        )

    def _work(
        self, one: Implementation, problem: Problem, expected: dict[str, np.ndarray]
    ) -> measure.Measured:
        """Everything that happens in the case's own process."""
        few = problem.few(k=11)
        timing: dict[str, Any] = {}
        if one.gpu:
            import cupy

            problem, few = problem.on_gpu(), few.on_gpu()
            timing = {
                "peak": measure.DevicePeak,
                "synchronise": cupy.cuda.get_current_stream().synchronize,
            }
        one.prepare(few)()  # libraries are loaded, compiled loops too, before the first run

        def judge(result: Any) -> tuple[int, Any]:
            value, own = vector(result)
            if one.rule not in expected:
                return own, ("", "", value)
            return own, (*compare(value, expected[one.rule], one.other), None)

        return measure.timed(
            one.prepare(problem),
            judge,
            repeat=self.plan.repeat,
            allowed=self.plan.budget * ONE_CASE,
            **timing,
        )

    def _row(self, one: Implementation, k: int, d: int, **found: Any) -> dict[str, Any]:
        gaps = dict.fromkeys(("median_s", "low_s", "high_s", "passes", "extra_mb"), math.nan)
        name = {"implementation": one.name, "rule": one.rule, "k": k, "d": d}
        return {**name, **gaps, "repeats": 0, "agrees": "", **found}

    def _unit(self, k: int, d: int, seconds: float) -> dict[str, Any]:
        """What one pass over a stack tells: how much it reads in a second."""
        stack = 4 * k * d
        return {"k": k, "d": d, "stack_mb": stack / 2**20, "pass_gb_s": stack / seconds / 1e9}

    def _provenance(self) -> dict[str, Any]:
        stack = Problem.make(1, 1).clients
        return {
            "date": date.today().isoformat(),
            "device": device(),
            "threads": threads(),
            "kernels": "on" if kernels_for(stack) else "off",
            "copy_gb_s": self.copy,
            "gflop_s": self.product,
            "versions": dict(_versions()),
            "commit": commit(),
            "repeat": self.plan.repeat,
            "budget_s": self.plan.budget,
            "missing": list(self.missing.values()),
            "seconds": round(time.monotonic() - self.started, 1),
        }


def threads() -> int:
    """Processors that this process may use: our kernels, BLAS and torch take them all."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def copy_bandwidth(library: str) -> float:
    """1e9 bytes read and written per second when memory is copied, by "numpy" or "cupy"."""
    xp: Any = importlib.import_module(library)
    source = xp.ones(2**26, np.float32)
    target = xp.empty_like(source)
    wait = xp.cuda.get_current_stream().synchronize if library == "cupy" else lambda: None
    seconds = []
    for _ in range(4):
        started = time.perf_counter()
        target[...] = source
        wait()
        seconds.append(time.perf_counter() - started)
    return float(2 * source.nbytes / min(seconds) / 1e9)


def product_speed() -> float:
    """1e9 operations a second of a large float32 matrix product: what arithmetic allows.

    In a process of its own, without the word that keeps OpenBLAS to an older processor's code.
    """
    kept = {name: value for name, value in os.environ.items() if "OPENBLAS" not in name}
    done = subprocess.run(
        [sys.executable, "-c", PRODUCT], env=kept, capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def gpus() -> int:
    """How many CUDA devices there are, asked in a process that ends: the driver hates forks."""
    import cupy

    try:
        return int(cupy.cuda.runtime.getDeviceCount())
    except cupy.cuda.runtime.CUDARuntimeError:
        return 0


def _versions() -> Iterator[tuple[str, str]]:
    for name in VERSIONS:
        try:
            yield name, metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
