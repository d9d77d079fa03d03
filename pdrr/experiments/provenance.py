"""Where numbers come from: versions, device, memory, commit."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import subprocess
import sys
from datetime import date
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from pdrr import __version__
from pdrr.config import Settings
from pdrr.core.arrays import accelerator
from pdrr.core.backend import backend
from pdrr.core.dispatch import kernels_for
from pdrr.data import FederatedDataset
from pdrr.federation.precision import precision

VERSIONS = ("numpy", "scipy", "pandas", "keras")


def provenance(
    settings: Settings, dataset: FederatedDataset, d: int, seconds: float
) -> dict[str, Any]:
    """Everything somebody needs who wants the same numbers, and what they cost here."""
    values = settings.as_dict()
    values["data"]["source"] = Path(settings.data.source).name  # not where it lay on this machine
    compiled = kernels_for(np.empty((1, 1), np.float32)) is not None
    return {
        "profile": settings.profile,
        "data": dataset.name,
        "synthetic": dataset.synthetic,
        "sha256": dataset.sha256,
        "d": d,
        "settings": values,
        "versions": {
            "python": platform.python_version(),
            "pdrr": __version__,
            **{name: metadata.version(name) for name in VERSIONS},
            **_backend(),
            "numba": metadata.version("numba") if compiled else "not used",
        },
        "device": device(),
        "precision": precision(),
        "seconds": round(seconds, 2),
        "peak_memory_gib": round(peak_memory() / 2**30, 2),
        "commit": commit(),
        "date": date.today().isoformat(),
    }


def _backend() -> dict[str, str]:
    """The library under Keras, where one is loaded; TensorFlow otherwise, if it is installed."""
    name = backend()
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return {}
    cupy = sys.modules.get("cupy")
    return {name: version, **({"cupy": cupy.__version__} if cupy else {})}


def device() -> str:
    """Processor and cores this process may use, and the GPU that it has used."""
    gpu = ""
    if "cupy" in sys.modules and (home := accelerator()) is not np:
        gpu = home.cuda.runtime.getDeviceProperties(0)["name"].decode() + "; "
    return gpu + _processor()


def _processor() -> str:
    name, cores = platform.processor() or platform.machine(), os.cpu_count()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text("utf-8").splitlines()
        models = [x.partition(":")[2].strip() for x in lines if x.startswith("model name")]
        name, cores = next(iter(models), name), len(os.sched_getaffinity(0))
    return f"{name}, {cores} core{'s' * (cores != 1)}"


def peak_memory() -> int:
    """Largest resident size of this process so far, in bytes (with mapped files' pages)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if platform.system() == "Darwin" else peak * 1024  # macOS counts in bytes


@cache
def commit() -> str:
    """The package's git commit, "-dirty" if pdrr/ differs from it.

    Outside a clone it is what the environment variable PDRR_COMMIT says, or "unknown".

    As it was when first asked for, since that is the code in memory.
    """
    here = Path(__file__).parents[1]

    def git(*words: str) -> str:
        run = ["git", "-C", str(here), *words]
        done = subprocess.run(run, capture_output=True, text=True, encoding="utf-8")
        return done.stdout.strip() if done.returncode == 0 else ""

    # a package that lies in somebody else's repository has no commit there
    ours = shutil.which("git") and git("ls-files", "--", "__init__.py")
    head = git("rev-parse", "--short=12", "HEAD") if ours else ""
    if not head:
        return os.environ.get("PDRR_COMMIT", "unknown")
    return f"{head}-dirty" if git("status", "--porcelain", "--", str(here)) else head
