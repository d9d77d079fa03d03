"""The processes that a submission starts: what they have used, and their end."""

from __future__ import annotations

import contextlib

import psutil


def computed() -> float:
    """Seconds of processor that all processes below this one have used."""
    total = 0.0
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            total += sum(process.cpu_times()[:4])  # with those of children that have ended
    return total


def end_family(process: psutil.Process, *, itself: bool) -> None:
    """End all that a process has started, and `itself` last."""
    for _ in range(100):  # while it is being ended, a process may start others
        with contextlib.suppress(psutil.NoSuchProcess):
            children = process.children(recursive=True)
            for child in children:
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.kill()
            psutil.wait_procs(children, timeout=1)
            if children:
                continue
        break
    if itself:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
