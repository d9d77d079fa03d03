"""Seconds and peak memory of one piece of work, and whether it gives what it should.

On Linux each case runs in a fork of its own: it finds the stack in memory without a copy, starts
from a clean heap, and may be stopped, or killed for memory, without harm to the rest.
"""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import os
import platform
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
SAMPLED_EVERY = 0.005  # seconds, where the system does not keep the peak


@dataclass(frozen=True)
class Measured:
    """What came out of one case.

    Attributes
    ----------
    seconds : tuple of float
        Of the counted runs, in the order in which they were made.
    extra : int
        Peak memory in bytes during one run, beyond what there was before and the result itself.
    warmed : bool
        Whether a run before the counted ones did not count.
    verdict : object
        What `judge` said of the result.
    """

    seconds: tuple[float, ...]
    extra: int
    warmed: bool
    verdict: Any


class StoppedError(Exception):
    """A case that gave no result; the words say why."""


class HostPeak:
    """Peak resident memory of this process while the block runs, from the system or sampled."""

    def __enter__(self) -> HostPeak:
        gc.collect()
        if platform.libc_ver()[0] == "glibc":  # what was freed is handed back, and not used again
            ctypes.CDLL(None).malloc_trim(0)
        self.before = self.highest = resident()
        self.kept = _reset()
        self.done = threading.Event()
        self.sampler = threading.Thread(target=self._sample, daemon=True)
        if not self.kept:
            self.sampler.start()
        return self

    def _sample(self) -> None:
        while not self.done.wait(SAMPLED_EVERY):
            self.highest = max(self.highest, resident())

    def __exit__(self, *_: object) -> None:
        self.done.set()
        if self.kept:
            self.highest = _from_status("VmHWM")
        else:
            self.sampler.join()
        self.extra = max(0, self.highest - self.before)


class DevicePeak:
    """Peak of CuPy's memory pool while the block runs: a pool keeps what it ever needed."""

    def __enter__(self) -> DevicePeak:
        import cupy

        self.pool = cupy.get_default_memory_pool()
        self.pool.free_all_blocks()
        self.before = self.pool.total_bytes()
        return self

    def __exit__(self, *_: object) -> None:
        self.extra = self.pool.total_bytes() - self.before


def resident() -> int:
    """Bytes of memory that this process holds now."""
    if STATUS.exists():
        return _from_status("VmRSS")
    asked = subprocess.run(["ps", "-o", "rss=", "-p", str(os.getpid())], capture_output=True)
    return int(asked.stdout) * 1024


def available_memory() -> int | None:
    """Bytes that may be taken without swapping; None where the system does not say."""
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        words = dict(line.split(":") for line in meminfo.read_text(encoding="utf-8").splitlines())
        return int(words["MemAvailable"].split()[0]) * 1024
    known = os.sysconf_names
    if "SC_PHYS_PAGES" in known and "SC_PAGE_SIZE" in known:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    return None


def timed(
    work: Callable[[], Any],
    judge: Callable[[Any], tuple[int, Any]],
    *,
    repeat: int,
    allowed: float,
    synchronise: Callable[[], object] = lambda: None,
    peak: type[HostPeak] | type[DevicePeak] = HostPeak,
) -> Measured:
    """Run `work` once for its memory and as warm-up, then `repeat` times that count.

    Parameters
    ----------
    work : function
    judge : function
        Of the first result: its bytes, and a verdict to hand on.
    repeat : int
    allowed : float
        Seconds for everything. Fewer runs are made where they would take longer; where there is
        time for one only, it counts.
    synchronise : function
        Waits until a device has done its work.
    """

    def once() -> tuple[float, Any]:
        synchronise()
        started = time.perf_counter()
        result = work()
        synchronise()
        return time.perf_counter() - started, result

    with peak() as memory:
        first, result = once()
    own, verdict = judge(result)
    del result
    seconds: list[float] = []
    while len(seconds) < repeat and first + sum(seconds) + min([first, *seconds]) <= allowed:
        gc.collect()
        seconds.append(once()[0])  # the result is gone before the next run
    return Measured(tuple(seconds or [first]), max(0, memory.extra - own), bool(seconds), verdict)


def alone(job: Callable[[], Any], limit: float) -> Any:
    """What `job` returns, run in a fork of this process where forks are safe.

    Raises
    ------
    StoppedError
        After `limit` seconds, if the process died, or with the job's own error in words.
    """
    if sys.platform != "linux":
        return _answer(job)
    here, there = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.get_context("fork").Process(target=_send, args=(job, there))
    with warnings.catch_warnings():
        # the only other threads are those of BLAS, which knows about forks, and of JAX where it was
        # used before, which no job calls
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.filterwarnings("ignore", r"os\.fork\(\) was called", RuntimeWarning)
        child.start()
    there.close()
    try:
        if not here.poll(limit):
            raise StoppedError(f"stopped after {limit:.0f} s")
        answer = here.recv()
    except EOFError:
        child.join()
        raise StoppedError(f"the process ended with exit code {child.exitcode}") from None
    finally:
        child.kill()
        child.join()
        here.close()
    if isinstance(answer, StoppedError):
        raise answer
    return answer


def _answer(job: Callable[[], Any]) -> Any:
    try:
        return job()
    except (ArithmeticError, AttributeError, IndexError, TypeError, ValueError) as error:
        raise StoppedError(f"{type(error).__name__}: {error}") from error
    except (MemoryError, RuntimeError) as error:  # torch's refusals are RuntimeErrors
        raise StoppedError(f"{type(error).__name__}: {error}") from error


def _send(job: Callable[[], Any], there: Connection) -> None:
    try:
        there.send(_answer(job))
    except StoppedError as why:
        there.send(StoppedError(*why.args))
    there.close()


def _from_status(name: str) -> int:
    words = dict(line.split(":", 1) for line in STATUS.read_text(encoding="utf-8").splitlines())
    return int(words[name].split()[0]) * 1024


def _reset() -> bool:
    """Make the peak start anew; False where the system has none, or does not let us."""
    try:
        CLEAR.write_text("5", encoding="utf-8")
    except OSError:
        return False
    return True
