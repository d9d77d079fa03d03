"""The same numbers again: two recordings, and one on a single processor.

Ten minutes: they run where PDRR_TORTURE is set, by `make torture`.
"""

import json
import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pdrr.experiments.recordings import USUAL

pytestmark = pytest.mark.skipif(
    "PDRR_TORTURE" not in os.environ, reason="ten minutes: make torture"
)

ON = """
import os, sys
cores = sorted(os.sched_getaffinity(0))
os.sched_setaffinity(0, cores[:int(sys.argv[1])])
from pdrr.cli.main import main
main(["record", "--profile", "smoke", "--out", sys.argv[2], *sys.argv[3:]])
"""
OURS = "PDRR"


def recorded(folder, cores, *stems):
    """Record the smoke profile from nothing on so many processors."""
    environment = {**os.environ, "PDRR_CACHE": str(folder / "cache")}
    run = [sys.executable, "-c", ON, str(cores), str(folder), *stems]
    subprocess.run(run, env=environment, check=True, capture_output=True)
    return folder / "smoke"


def fingerprints(folder):
    """SHA-256 of every record by name, without seconds, dates and memory."""
    found = {path.name: sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.csv")}
    for path in folder.glob("*.json"):
        runs = json.loads(path.read_text("utf-8"))["runs"]
        plain = [{name: run[name] for name in run if not name.endswith("_s")} for run in runs]
        found[path.name] = sha256(json.dumps(plain).encode()).hexdigest()
    return found


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    return recorded(Path(tmp_path_factory.mktemp("first")), 99)


def test_two_recordings_have_the_same_hashes(first, tmp_path):
    one, other = fingerprints(first), fingerprints(recorded(tmp_path, 99))
    assert {name.partition(".")[0] for name in one} == set(USUAL)
    differ = sorted(name for name in one if one[name] != other[name])
    print(f"\n{len(one)} files of records, {len(differ)} differ: {differ}")
    assert one == other


def test_one_processor_and_two_decide_the_same(first, tmp_path):
    stems = ("fig04", "fig05", "fig06", "fig07", "table1", "table2", "table2b")
    alone = recorded(tmp_path, 1, *stems)
    differ = sorted(
        stem
        for stem in stems
        if fingerprints(alone)[f"{stem}.csv"] != fingerprints(first)[f"{stem}.csv"]
    )
    print(f"\non one processor {len(differ)} of {len(stems)} tables have other digits: {differ}")
    for stem in stems:
        here, there = (pd.read_csv(folder / f"{stem}.csv") for folder in (first, alone))
        apart = np.abs(here["score"] - there["score"])
        groups = here.groupby("scheme") if "scheme" in here else [(OURS, here)]
        for scheme, rows in groups:
            flags = (rows["flagged"] != there.loc[rows.index, "flagged"]).sum()
            print(f"{stem} {scheme}: score {apart[rows.index].max():.2g}, {flags} other flags")
            if scheme == OURS:
                assert not flags
