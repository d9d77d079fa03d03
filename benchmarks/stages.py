"""Times of whole stages: what a first call costs. Others add their own part to the same table.

`python -m benchmarks.stages` prints, as JSON, what the first and the second calls take in a process
that has called nothing before.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from pdrr.book.stages import COLUMNS, STEM
from pdrr.experiments.records import Records

FIRST = "first call"


def add(
    folder: Path, part: str, rows: Sequence[Mapping[str, Any]], origin: Mapping[str, Any]
) -> None:
    """Put the rows of one part into the table of stages, in place of its former ones.

    Parameters
    ----------
    folder : Path
        Where the benchmark's tables lie.
    part : str
        What was measured, "first call" or "training", say.
    rows : sequence of mappings
        `pdrr.book.stages.COLUMNS` but "part"; `before` and `after` are variants of one stage.
    origin : mapping
        Date, device, versions, commit.
    """
    new = pd.DataFrame([{"part": part, **row} for row in rows], columns=COLUMNS)
    origins: dict[str, Any] = {}
    if (folder / f"{STEM}.json").exists():
        kept = Records.load(folder, STEM)
        others = kept.table[kept.table["part"] != part]
        new = pd.concat([others, new], ignore_index=True) if len(others) else new
        origins = dict(kept.provenance)
    Records(new, pd.DataFrame(), {**origins, part: dict(origin)}).save(folder, STEM)


def first_calls() -> list[dict[str, Any]]:
    """Seconds of first calls, with an empty cache of machine code and with a full one."""
    rows = []
    with tempfile.TemporaryDirectory() as empty:
        for variant in ("compiled anew", "machine code from disk"):
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.stages"],
                env={
                    **os.environ,
                    "NUMBA_CACHE_DIR": empty,
                    "PYTHONPATH": os.pathsep.join(sys.path),
                },
                capture_output=True,
                check=True,
                text=True,
            )
            seconds = json.loads(done.stdout)
            rows += [_row(stage, variant, first) for stage, (first, _) in seconds.items()]
    rows += [_row(stage, "any later call", later) for stage, (_, later) in seconds.items()]
    return rows


def _row(stage: str, variant: str, seconds: float) -> dict[str, Any]:
    same = dict.fromkeys(("median_s", "low_s", "high_s"), seconds)
    return {"stage": stage, "variant": variant, **same, "repeats": 1, "note": ""}


def main() -> None:
    """Time the first and the second call of each rule that has kernels of its own."""
    from benchmarks.cases import Problem, implementations

    few = Problem.make(k=10, d=1000)
    seconds: dict[str, tuple[float, ...]] = {}
    for one in implementations():
        if one.name == "pdrr" and not one.rule.startswith("attack"):
            work, times = one.prepare(few), []
            for _ in range(2):
                started = time.perf_counter()
                work()
                times.append(time.perf_counter() - started)
            seconds[one.rule] = tuple(times)
    seconds["all together"] = tuple(map(sum, zip(*seconds.values(), strict=True)))
    print(json.dumps(seconds))


if __name__ == "__main__":
    main()
