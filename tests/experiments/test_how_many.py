"""More and more attackers, on one honest round of the miniature."""

import importlib
from dataclasses import replace

import numpy as np
import pytest

import pdrr
from helpers import miniature
from pdrr import config, experiments
from pdrr.experiments import attacking
from pdrr.types import Crafted

pytestmark = pytest.mark.usefixtures("small")
SMOKE = config.load("smoke")
PDRR = ["PDRR (Krum)", "PDRR (trimmed mean)", "PDRR (median)"]


@pytest.fixture
def options(store):
    none = {"betas": (), "expected": (), "schemes": ()}
    return {**none, "profile": "smoke", "store": store}


def test_each_number_of_attackers_is_tried_with_what_can_be_tried(options):
    found = experiments.how_many(counts=[0, 2, 3, 24, 25], **options)
    tried = found.table.groupby("c")["attack"].unique().map(list).to_dict()
    assert tried == {
        0: ["none"],
        2: ["trimmed_mean", "median", "alie"],
        3: ["krum", "trimmed_mean", "median", "alie"],
        24: ["krum", "trimmed_mean", "median", "alie"],
    }
    assert found.table.groupby("attack")["scheme"].unique().map(list).to_dict() == {
        "none": PDRR,
        "krum": PDRR[:1],
        "trimmed_mean": PDRR[1:2],
        "median": PDRR[2:],
        "alie": PDRR,
    }
    assert set(found.table.loc[found.table["attack"] == "alie", "knowledge"]) == {"full"}


def test_a_cell_is_what_the_defence_says_of_the_round(options, store):
    found = experiments.how_many(counts=[7], **options)
    changes = {"federation": replace(SMOKE.federation, c=7)}
    chosen = replace(SMOKE, **changes)
    honest = miniature.honest_round(SMOKE, "trimmed_mean", 1, store)
    for rule, words in (("krum", "Krum"), ("trimmed_mean", "trimmed mean"), ("median", "median")):
        observed = attacking.attacked(chosen, rule, rule, honest, "partial").observed
        own = {"krum": {"c": 7}, "trimmed_mean": {"beta": 10}, "median": {}}[rule]
        detection = pdrr.PDRR(rule, q=SMOKE.defense.q[rule], **own).detect(observed)
        bad = np.arange(SMOKE.federation.k) < 7
        row = found.where(attack=rule).table.iloc[0]
        assert row["scheme"] == f"PDRR ({words})"
        assert row["far"] == pdrr.far(detection.flagged, bad)
        assert row["mar"] == pdrr.mar(detection.flagged, bad)
        assert row["auc"] == pdrr.auc(detection.scores, bad)
        assert row["flagged"] == detection.flagged.sum()


def test_the_way_moved_is_measured_in_steps_of_the_rule_without_attack(options, store):
    run = experiments.how_many(counts=[7], **options).where(attack="median").runs.iloc[0]
    honest = miniature.honest_round(SMOKE, "trimmed_mean", 1, store)
    chosen = replace(SMOKE, federation=replace(SMOKE.federation, c=7))
    observed = attacking.attacked(chosen, "median", "median", honest, "partial").observed
    spared = np.median(honest.clients.astype(float), axis=0)
    moved = np.median(observed.clients.astype(float), axis=0)
    step = np.linalg.norm(spared - honest.previous)
    assert run["moved"] == pytest.approx(np.linalg.norm(moved - spared) / step, rel=1e-4)
    assert run["rule"] == "median"


def test_nothing_moves_where_nobody_attacks(options):
    given = {**options, "expected": (5, 20), "schemes": ("Multi-Krum", "NNM"), "betas": (5,)}
    found = experiments.how_many(counts=[0], **given)
    assert (found.runs["moved"] == 0).all()
    assert (found.runs["accuracy"].dropna() == found.runs["accuracy_spared"].dropna()).all()
    told = found.table[found.table["scheme"] == "Multi-Krum"]
    assert told[["expected", "flagged"]].to_numpy().tolist() == [[1, 1], [5, 5], [20, 20]]
    assert found.table["auc"].isna().all()


def test_what_is_expected_and_trimmed_is_varied_one_at_a_time(options):
    given = {"expected": (5, 10), "betas": (1, 10, 24), "schemes": ("DnC", "SignGuard")}
    found = experiments.how_many(counts=[10, 12, 15], **{**options, **given})
    alie = found.where(attack="alie").table

    def tried(scheme, c):
        own = alie[(alie["scheme"] == scheme) & (alie["c"] == c)]
        return own[["expected", "beta"]].fillna(-1).to_numpy().astype(int).tolist()

    assert tried("PDRR (Krum)", 15) == [[15, -1], [5, -1], [10, -1]]
    assert tried("PDRR (Krum)", 12) == [[12, -1]]  # not at every number
    assert tried("PDRR (Krum)", 10) == [[10, -1], [5, -1]]
    assert tried("PDRR (trimmed mean)", 10) == [[-1, 10], [-1, 1], [-1, 24]]
    assert tried("PDRR (trimmed mean)", 12) == [[-1, 10]]  # other betas only at c = 10 and 20
    assert tried("PDRR (median)", 12) == [[-1, -1]]
    assert tried("DnC", 15) == [[15, -1], [5, -1], [10, -1]]
    assert tried("SignGuard", 12) == [[-1, -1]]
    flagged = alie[(alie["scheme"] == "DnC") & (alie["c"] == 15)]["flagged"]
    assert flagged.tolist() == [15, 5, 10]


def test_fewer_models_are_the_first_of_the_round(options, store, monkeypatch):
    honest = miniature.honest_round(SMOKE, "trimmed_mean", 1, store)
    seen = []

    def watched(chosen, _attack, _rule, given, _knowledge):
        seen.append(given)
        assert chosen.federation.k == 20
        return Crafted(observed=replace(given), succeeded=False)

    module = importlib.import_module("pdrr.experiments.counting")
    monkeypatch.setattr(module, "attacked", watched)
    found = experiments.how_many(k=20, counts=[4, 9, 10], **options)
    np.testing.assert_array_equal(seen[0].clients, honest.clients[:20])
    np.testing.assert_array_equal(seen[0].ids, honest.ids[:20])
    assert set(found.table["c"]) == {4, 9}  # half of the models is too many
    assert set(found.table["beta"].dropna()) == {4}  # a fifth of them
    with pytest.raises(ValueError, match=r"needs 3 <= k <= 50, got k=51"):
        experiments.how_many(k=51, **options)


def test_krum_says_whose_model_it_selects(options):
    found = experiments.how_many(counts=[3, 24], **options)
    krum = found.runs[found.runs["rule"] == "Krum"]
    assert set(krum["selected"]) <= {"benign", "malicious"}
    for run in krum.to_dict("records"):
        assert run["moved"] > 0 or run["selected"] == "benign"
    assert (found.runs.loc[found.runs["rule"] == "median", "selected"] == "").all()


def test_the_attacks_on_the_trimmed_mean_and_the_median_send_the_same_models(store):
    """With partial knowledge, so that one of them is enough."""
    honest = miniature.honest_round(SMOKE, "trimmed_mean", 1, store)
    first, second = (
        attacking.attacked(SMOKE, rule, rule, honest, "partial").observed.clients
        for rule in ("trimmed_mean", "median")
    )
    np.testing.assert_array_equal(first, second)
