"""Captions name the chain of later rounds and what FEMNIST lacks; the prose has the counts."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers.made_up import evaluation_records
from pdrr import data
from pdrr.book import captions
from pdrr.core.files import RECORDED
from pdrr.data import FederatedDataset
from pdrr.experiments.records import Records

ROOT = Path(__file__).parents[2]


def told(rounds, **more):
    runs = pd.DataFrame({"seed": 1, "round": rounds, **more})
    return captions.caption(Records(runs, runs, {"data": "x", "synthetic": True, "d": 7}))


def test_the_first_round_belongs_to_every_chain():
    assert told([1, 1]) == "x (synthetic data), d = 7, seed 1"


def test_later_rounds_name_the_oracle_defended_chain():
    _, line = told([1, 20, 50, 20]).splitlines()
    assert line == (
        "rounds 20, 50 of the oracle-defended chain:"
        " between measured rounds attackers are left out by label"
    )
    assert told([2]).splitlines()[1].startswith("round 2 of the oracle-defended chain: ")


def test_records_that_name_their_chain_are_believed():
    chains = ["oracle-defended", "PDRR in the loop", "mine"]
    _, *lines = told([5, 6, 7], chain=chains).splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        f"round {number} of the {chain} chain"
        for number, chain in zip((5, 6, 7), chains, strict=True)
    ]


def test_many_rounds_are_named_by_their_ends():
    assert "rounds 2 to 100 of the" in told(range(1, 101))


def test_real_data_are_described_and_other_data_are_not(monkeypatch):
    monkeypatch.chdir(ROOT)
    made = evaluation_records()
    other = captions.caption(made)
    real = {**made.provenance, "sha256": captions.counted()["sha256"]}
    made = replace(made, provenance=real)
    line = captions.caption(made).splitlines()[-1]
    assert line.startswith(
        "3,266 test images, 1,633 of them auxiliary (the paper: 4,004 and 2,002)"
    )
    assert "3,266" not in other


# the counts

COUNTED = json.loads((ROOT / captions.COUNTED).read_text("utf-8"))


def test_counts_are_those_of_the_data():
    labels = np.array([0, 9, 10, 61] * 100, dtype=np.uint8)
    small = FederatedDataset(
        name="letters",
        synthetic=True,
        images=np.full((400, 28, 28), 255, np.uint8),
        labels=labels,
        writer=np.repeat(np.arange(3), [301, 50, 49]),
        writer_ids=("a", "b", "c"),
        test=np.arange(400) % 10 == 0,
    )
    assert captions.count(small) == {
        "sha256": small.sha256,
        "writers": 3,
        "images": 400,
        "test": 40,
        "auxiliary": 20,
        "digits": 0.5,
        "writers_of_many": 1,
    }


def test_the_counted_data_are_those_of_the_records():
    paths = [path for path in (ROOT / RECORDED).glob("paper/*.json") if path.stem != "alike"]
    recorded = [
        json.loads(path.read_text("utf-8")) for path in paths
    ]  # of "alike" writers share images
    found = {each["provenance"]["sha256"] for each in recorded}
    assert found == {COUNTED["sha256"]}


@pytest.mark.skipif(
    "PDRR_FEMNIST" not in os.environ, reason="needs PDRR_FEMNIST, a file or a folder"
)
def test_the_committed_counts_can_be_had_again():
    assert captions.count(data.load(os.environ["PDRR_FEMNIST"])) == COUNTED


@pytest.mark.parametrize("page", ["data.md", "evaluation.md"])
def test_the_prose_has_the_counted_numbers(page):
    text = " ".join((ROOT / "book" / page).read_text("utf-8").split())
    assert captions.sentence(COUNTED) in text
