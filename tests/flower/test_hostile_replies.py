"""One hostile client of ten: it ends no run, leaves no broken model, changes no shape or type."""

import csv
from pathlib import Path

import numpy as np
import pytest

from benchmarks import hostile
from benchmarks.fake_grid import arrays_of, rounds

ROOT = Path(__file__).parents[2]
COUNTED = {  # what is a model like any other, and counts
    "description differs from the bytes",
    "60000 in float16",
    "wider type (float64)",
    "narrower type (float16)",
    "widest type (longdouble)",
    "big-endian",
    "Fortran order",
    "counter at 2^62",
    "counter below zero",
    "mask of other bytes",
    "a ConfigRecord more",
    "metric NaN",
    "replies for another node too",
}
NO_EVIDENCE = {"reports an error", "never replies"}
FLAGGED = {"1e38 everywhere", "-3e38 everywhere", "all zeros", "minus the model, ten times"}


@pytest.fixture(scope="module")
def recorded():
    with (ROOT / hostile.RECORD).open(encoding="utf-8") as file:
        return {row["reply"]: row for row in csv.DictReader(file)}


def test_there_are_more_than_forty_kinds():
    assert len(hostile.KINDS) + len(hostile.EVALUATION) > 40


@pytest.mark.parametrize("name", ["PDRR", "PDRRFilter"])
@pytest.mark.parametrize("kind", [*hostile.KINDS, *hostile.EVALUATION])
def test_a_hostile_reply_neither_ends_the_run_nor_breaks_the_model(kind, name):
    strategy = hostile.STRATEGIES[name]()
    with np.errstate(all="ignore"):
        result = rounds(strategy, hostile.federation(kind), hostile.MODEL, hostile.ROUNDS)
    got = arrays_of(result.arrays)
    assert list(got) == list(hostile.MODEL)
    for key, value in got.items():
        assert value.dtype == hostile.MODEL[key].dtype, key
        assert value.shape == hostile.MODEL[key].shape, key
        assert np.isfinite(value).all(), key
    assert got["batches"] == hostile.MODEL["batches"] + hostile.ROUNDS  # nobody's but the honest
    assert (got["mask"] == hostile.MODEL["mask"]).all()
    assert len(strategy.verdicts) == hostile.ROUNDS
    if kind in hostile.EVALUATION:
        assert result.evaluate_metrics_clientapp[2]["loss"] == pytest.approx(1)
        return
    for verdict in strategy.verdicts:
        assert set(verdict.refused) - {999} <= {hostile.HOSTILE}
        assert (hostile.HOSTILE in verdict.failed or hostile.HOSTILE in verdict.missing) == (
            kind in NO_EVIDENCE
        )
    verdict = strategy.verdicts[0]
    assert (hostile.HOSTILE in verdict.refused) == (kind not in COUNTED | NO_EVIDENCE | FLAGGED)
    if kind not in COUNTED:  # as any model may be, or not
        assert (hostile.HOSTILE in verdict.flagged) == (kind not in NO_EVIDENCE)


def test_the_table_of_the_book_is_what_happens(recorded):
    assert list(recorded) == [*hostile.KINDS, *hostile.EVALUATION]
    for kind in ("header promises 4 TB", "weight infinite", "flat", "all zeros"):
        assert {"reply": kind, **hostile.ends(kind)} == recorded[kind]


def test_what_ours_end_in_is_said_once_where_they_agree(monkeypatch):
    monkeypatch.setattr(hostile, "outcome", lambda _, kind: kind)
    assert hostile.ends("flagged") == {"FedAvg": "flagged", "PDRR and PDRRFilter": "flagged"}
    monkeypatch.setattr(hostile, "outcome", lambda strategy, _: type(strategy).__name__)
    assert hostile.ends("any")["PDRR and PDRRFilter"] == "PDRR: PDRR; PDRRFilter: PDRRFilter"


def test_in_the_table_stock_fedavg_ends_or_breaks_and_ours_never(recorded):
    for row in recorded.values():
        ours = row["PDRR and PDRRFilter"]
        assert not any(word in ours for word in ("ends the run", "leaves a model", "changes the"))
    ends = sum(row["FedAvg"].startswith("ends") for row in recorded.values())
    assert 2 * ends > len(recorded)
