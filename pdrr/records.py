"""Tidy results with their provenance: how they are made, kept and read back."""

from __future__ import annotations

import json
import os
import platform
import resource
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pdrr.arrays import kernels_for
from pdrr.config import Settings
from pdrr.data import FederatedDataset
from pdrr.store import atomic

RECORDED = Path("book/records")  # from the top folder of the repository
VERSIONS = ("pdrr", "numpy", "scipy", "pandas", "keras", "tensorflow")


@dataclass(frozen=True, eq=False)
class Records:
    """A tidy table and where it comes from.

    Attributes
    ----------
    table : DataFrame
        One row per observation, the varying parameters in its first columns.
    runs : DataFrame
        One row per run: parameters, measures, seconds.
    provenance : mapping
        Profile, settings, data set and hash, versions, device, seconds, commit.
    """

    table: pd.DataFrame
    runs: pd.DataFrame
    provenance: Mapping[str, Any]

    @property
    def caption(self) -> str:
        """What the results were computed on, in one line; never mixes synthetic and real."""
        p = self.provenance
        kind = "synthetic" if p["synthetic"] else "real"
        seeds = self.runs["seed"].unique().tolist()
        named = f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {', '.join(map(str, seeds))}"
        return f"{p['data']} ({kind} data), d = {p['d']:,}, {named}"

    def where(self, **values: Any) -> Records:
        """The part with the given values in the columns of both tables."""
        table, runs = self.table, self.runs
        for name, value in values.items():
            table, runs = table[table[name] == value], runs[runs[name] == value]
        if table.empty:
            raise ValueError(f"records have no run with {values}")
        return Records(table, runs, self.provenance)

    def save(self, folder: Path, stem: str) -> None:
        """Write ``stem.csv`` (table) and ``stem.json`` (runs, provenance) into `folder`."""
        with atomic(folder / f"{stem}.csv") as path:
            self.table.to_csv(path, index=False, float_format="%.9g")
        content = {
            "provenance": dict(self.provenance),
            "runs": [
                {name: None if pd.isna(value) else value for name, value in run.items()}
                for run in self.runs.to_dict(orient="records")
            ],
        }
        with atomic(folder / f"{stem}.json") as path:
            path.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", "utf-8")

    @classmethod
    def load(cls, folder: Path, stem: str) -> Records:
        """Read what `save` wrote; ValueError naming the file if it is missing or damaged."""
        try:
            content = json.loads((folder / f"{stem}.json").read_text("utf-8"))
            table = pd.read_csv(folder / f"{stem}.csv")
            runs = pd.DataFrame(content["runs"])
            gaps = [name for name in runs if runs[name].isna().any()]  # null where there was NaN
            return cls(table, runs.astype(dict.fromkeys(gaps, float)), content["provenance"])
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"cannot read the records {folder / stem}.*: {error}") from error

    @classmethod
    def concat(cls, parts: Iterable[Records]) -> Records:
        """Several runs as one; the provenance tells the total, and all that differs in origin."""
        parts = list(parts)
        told = [p.provenance for p in parts]
        merged = {
            name: "; ".join(dict.fromkeys(str(p[name]) for p in told if name in p))
            for name in ("device", "commit", "date", "command")
            if name in told[-1]
        }
        merged["seconds"] = round(sum(p["seconds"] for p in told), 2)
        return cls(
            pd.concat([p.table for p in parts], ignore_index=True),
            pd.concat([p.runs for p in parts], ignore_index=True),
            {**told[-1], **merged},
        )


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
            **{name: metadata.version(name) for name in VERSIONS},
            "numba": metadata.version("numba") if compiled else "not used",
        },
        "device": device(),
        "seconds": round(seconds, 2),
        "peak_memory_gib": round(peak_memory() / 2**30, 2),
        "commit": commit(),
        "date": date.today().isoformat(),
    }


def device() -> str:
    """Processor and cores this process may use."""
    name, cores = platform.processor() or platform.machine(), os.cpu_count()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text().splitlines()
        models = [x.partition(":")[2].strip() for x in lines if x.startswith("model name")]
        name, cores = next(iter(models), name), len(os.sched_getaffinity(0))
    return f"{name}, {cores} cores"


def peak_memory() -> int:
    """Largest resident size of this process so far, in bytes (with mapped files' pages)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if platform.system() == "Darwin" else peak * 1024  # macOS counts in bytes


@cache
def commit() -> str:
    """The package's git commit, "-dirty" if pdrr/ differs from it; "unknown" outside a clone.

    As it was when first asked for, since that is the code in memory.
    """
    here = Path(__file__).parent

    def git(*words: str) -> str:
        done = subprocess.run(["git", "-C", str(here), *words], capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else ""

    head = git("rev-parse", "--short=12", "HEAD")
    if not head:
        return "unknown"
    return f"{head}-dirty" if git("status", "--porcelain", "--", str(here)) else head


def recorded(stem: str, profile: str = "paper") -> Records:
    """The committed results of a full run, from ``book/records/<profile>``.

    The provenance also has the command that makes them again.
    """
    found = Records.load(RECORDED / profile, stem)
    seeds = ",".join(str(seed) for seed in found.runs["seed"].unique())
    source = found.provenance["settings"]["data"]["source"]
    command = f'make record PROFILE={profile} DATA={source} ARGS="--seeds {seeds} {stem}"'
    return Records(found.table, found.runs, {**found.provenance, "command": command})
