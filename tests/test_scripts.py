"""The scripts beside the package that change what is committed."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from helpers.made_up import evaluation_records
from pdrr.experiments.outside import STEMS
from pdrr.experiments.records import Records

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "scripts"))
import add_attack_column as script  # noqa: E402


@pytest.fixture
def old(tmp_path):
    """Records as they were before attacks had a column."""
    made = evaluation_records(rounds=(1,))
    parts = [frame.drop(columns="attack") for frame in (made.table, made.runs)]
    Records(*parts, made.provenance).save(tmp_path, "table1")
    return tmp_path / "table1.json"


def texts(path):
    return path.read_text("utf-8"), path.with_suffix(".csv").read_text("utf-8")


def test_the_column_comes_beside_the_rule_and_nothing_else_changes(old):
    before = texts(old)
    assert script.migrate(old)
    after = Records.load(old.parent, "table1")
    for frame in (after.table, after.runs):
        assert frame["attack"].tolist() == frame["rule"].tolist()
        assert list(frame).index("attack") == list(frame).index("rule") - 1
    wrong, compared = script.differences(old, *before)
    assert wrong == []
    assert compared == after.table.size + after.runs.size
    assert not script.migrate(old), "a second time there is nothing to do"


@pytest.mark.parametrize("spoiled", ["table", "runs", "attack"])
def test_a_cell_that_changes_is_found(old, spoiled):
    before = texts(old)
    script.migrate(old)
    if spoiled == "table":
        table = pd.read_csv(old.with_suffix(".csv"))
        table.loc[3, "score"] += 1e-6
        table.to_csv(old.with_suffix(".csv"), index=False)
    else:
        content = json.loads(old.read_text("utf-8"))
        content["runs"][2]["far" if spoiled == "runs" else "attack"] = 0.25
        old.write_text(script.dumped(content), "utf-8")
    wrong, _ = script.differences(old, *before)
    assert wrong


def test_rounds_without_an_attack_say_so():
    assert script.attack_of("unattacked", "median") == "none"
    assert script.attack_of("table2b", "median") == "median"


def test_every_committed_record_tells_its_attack():
    paths = sorted(ROOT.glob("book/records/[pqs]*/*.json"))
    assert len(paths) > 20
    for path in paths:
        runs = Records.load(path.parent, path.stem).runs
        if path.stem in ("data", "transfer", *STEMS):  # of no round; of attacks on other rules
            continue
        attacked = runs["attack"] == runs["rule"]
        nobody = runs["attack"] == "none"
        if "chain" in runs:  # whom PDRR flags where nobody attacks stands there, too
            assert (attacked | nobody).all(), path
        else:
            quiet = path.stem in ("unattacked", "coordinates")
            assert (nobody if quiet else attacked).all(), path


def test_the_script_says_what_it_did(old):
    command = [sys.executable, str(ROOT / "scripts/add_attack_column.py"), str(old)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"{old}: written\n"
