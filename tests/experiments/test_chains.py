"""PDRR on every round of two chains, against the same rounds run one by one."""

from __future__ import annotations

import numpy as np
import pytest

from pdrr import experiments
from pdrr.experiments import chains as module
from pdrr.experiments.attacking import attacked
from pdrr.experiments.chains import errors_by_q, every_round
from pdrr.experiments.records import each_run
from pdrr.experiments.scene import dataset, defense, settings
from pdrr.federation.rounds import Federation
from pdrr.federation.store import Store
from pdrr.metrics import far, mar

SMOKE = {"profile": "smoke", "seed": 3}


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def trimmed(kept):
    return every_round("trimmed_mean", last=3, betas=(10, 20), store=kept, **SMOKE).table


@pytest.mark.parametrize("beta", [10, 20])
@pytest.mark.parametrize("knowledge", ["full", "partial"])
def test_the_oracle_defended_chain_is_that_of_single_detections(trimmed, kept, beta, knowledge):
    rows = trimmed.query("chain == 'oracle-defended' and beta == @beta and knowledge == @knowledge")
    for row in rows.to_dict("records"):
        alone = experiments.detection(
            "trimmed_mean", number=row["round"], beta=beta, knowledge=knowledge, store=kept, **SMOKE
        )
        run, clients = alone.runs.iloc[0], alone.table
        assert row["false_alarms"] / row["benign"] == run["far"]
        assert row["missed"] / row["malicious"] == run["mar"]
        scores = clients.groupby("byzantine")["score"]
        assert row["benign_high"] == pytest.approx(scores.max()[False], rel=1e-5)
        assert row["malicious_low"] == pytest.approx(scores.min()[True], rel=1e-5)
    assert list(rows["round"]) == [1, 2, 3]


def test_the_loop_is_what_a_server_with_pdrr_goes_through(trimmed, kept):
    chosen = settings("smoke", "glyphs", 3, beta=10)
    federation = Federation(chosen, dataset(chosen, kept), "trimmed_mean", kept)
    bad, previous = np.arange(50) < 20, federation.start(1)
    rows = trimmed.query(
        "chain == 'PDRR in the loop' and beta == 10 and knowledge == 'partial'"
    ).to_dict("records")
    assert any(row["apart"] for row in rows)  # or this test would say nothing
    for number, row in enumerate(rows, 1):
        honest = federation.trained(number, previous)
        crafted = attacked(chosen, "trimmed_mean", "trimmed_mean", honest, "partial")
        previous, found = defense(chosen, "trimmed_mean").aggregate(crafted.observed)
        assert row["false_alarms"] / 30 == far(found.flagged, bad)
        assert row["missed"] / 20 == mar(found.flagged, bad)


def test_where_nobody_attacks_all_who_are_flagged_are_false_alarms(trimmed, kept):
    nobody = trimmed.query("attack == 'none' and beta == 10 and round == 1").iloc[0]
    alone = experiments.unattacked(rule="trimmed_mean", number=1, store=kept, **SMOKE)
    assert nobody["false_alarms"] == alone.table["flagged"].sum() > 0
    assert nobody["benign"] == 50
    assert nobody["malicious"] == 0


def test_errors_at_the_server_s_own_q_are_those_of_the_rounds(trimmed, kept):
    curve = errors_by_q("trimmed_mean", last=3, betas=(10, 20), store=kept, **SMOKE).table
    by = ["chain", "attack", "knowledge", "beta"]
    counts = ["benign", "false_alarms", "malicious", "missed"]
    at_q = curve[curve["q"] == settings("smoke", "glyphs", 3).defense.q.trimmed_mean]
    assert at_q.groupby(by)[counts].sum().equals(trimmed.groupby(by)[counts].sum())
    assert (curve[curve["q"] == 0]["missed"] == 0).all()


def test_a_killed_run_goes_on_with_the_same_bits(trimmed, tmp_path, monkeypatch):
    class KilledError(Exception):
        pass

    def killed(*args):
        if len(seen := list(args[2].rows)) and seen[-1]["round"] == 2:
            raise KilledError
        return write(*args)

    write, store = module._write, Store(tmp_path)
    monkeypatch.setattr(module, "SAVED", 1)
    monkeypatch.setattr(module, "_write", killed)
    with pytest.raises(KilledError):
        every_round("trimmed_mean", last=3, betas=(10, 20), store=store, **SMOKE)
    monkeypatch.setattr(module, "_write", write)
    trained = []
    train = Federation.trained
    monkeypatch.setattr(
        Federation, "trained", lambda self, n, *rest: trained.append(n) or train(self, n, *rest)
    )
    again = every_round("trimmed_mean", last=3, betas=(10, 20), store=store, **SMOKE).table
    assert again.equals(trimmed)
    assert min(trained) == 2


def test_a_longer_run_takes_over_the_rounds_of_a_shorter_one(kept, trimmed, monkeypatch):
    monkeypatch.setattr(Federation, "trained", lambda *_: pytest.fail("trained anew"))
    shorter = every_round("trimmed_mean", last=2, betas=(10, 20), store=kept, **SMOKE).table
    assert shorter.equals(trimmed[trimmed["round"] <= 2].reset_index(drop=True))


def test_a_run_counts_the_errors_of_its_rounds(kept):
    found = every_round("trimmed_mean", last=3, betas=(10, 20), store=kept, **SMOKE)
    assert len(found.runs) == 2 * (1 + 2 * 2)  # betas: nobody, and two knowledges in two chains
    for _, rows, run in each_run(found):
        assert run["rounds"] == len(rows) == 3
        assert run["wrong"] == (rows["false_alarms"] + rows["missed"] > 0).sum()
        assert run["missed"] == rows["missed"].sum()
