"""Every attack against every detector: one round for all, and numbers that mean what they say."""

import numpy as np
import pytest

from pdrr import experiments, trimmed_mean
from pdrr.experiments import attacking
from pdrr.experiments.matrix import ADAPTIVE, rates, ways
from pdrr.experiments.scene import settings
from pdrr.federation.rounds import Federation

pytestmark = pytest.mark.usefixtures("small")


def test_rates_are_those_of_the_metrics_and_leave_a_copied_client_out():
    bad = np.array([True, True, False, False, False])
    flagged = np.array([True, False, True, False, False])
    scores = np.array([3.0, 1.0, 3.0, 2.0, 0.0])
    assert rates(flagged, scores, bad) == {
        "far": pytest.approx(1 / 3),
        "far_target": pytest.approx(1 / 3),
        "mar": 0.5,
        "auc": pytest.approx(3.5 / 6),  # of the first: a tie and two; of the second: one
    }
    copied = rates(flagged, scores, bad, target=2)
    assert copied["far"] == 0
    assert copied["far_target"] == pytest.approx(1 / 3)
    assert copied["auc"] == pytest.approx(3 / 4)


def test_where_nobody_attacks_nothing_can_be_missed():
    found = rates(np.array([True, False]), np.array([1.0, 0.0]), np.zeros(2, bool))
    assert found["far"] == 0.5
    assert np.isnan([found["mar"], found["auc"]]).all()


def test_each_attack_is_tried_but_those_that_know_the_defence():
    tried = ways()
    assert {way.attack for way in tried} == {*attacking.attacks()} - {*ADAPTIVE}
    assert len(set(tried)) == len(tried)
    assert {way.noise for way in tried if way.attack == "krum"} == {"", "coordinate"}


def test_all_schemes_judge_one_round_under_each_attack_and_under_none(store):
    which = {"tried": ["ipm", "mimic"], "schemes": ["Multi-Krum", "NNM"], "profile": "smoke"}
    records = experiments.against(**which, store=store)
    cells = records.table.groupby("attack")["scheme"].apply(list)
    assert set(cells.index) == {"none", "ipm", "mimic"}
    for schemes in cells:
        assert schemes == [
            "PDRR (Krum)",
            "PDRR (trimmed mean)",
            "PDRR (median)",
            "Multi-Krum",
            "NNM",
        ]
    dropped = records.table[records.table["scheme"] == "Multi-Krum"]
    assert (dropped["flagged"] == dropped["c"]).all()
    assert (records.table.loc[records.table["scheme"] == "NNM", "flagged"] == 0).all()
    quiet = records.runs[records.runs["attack"] == "none"]
    assert (quiet["moved"] == 0).all()
    assert (quiet["accuracy"] == quiet["accuracy_spared"]).all()


def test_an_attack_s_damage_is_how_far_the_aggregate_moves_in_steps_of_the_round(store):
    records = experiments.against(tried=["ipm_10"], schemes=[], profile="smoke", store=store)
    row = records.runs[
        (records.runs["attack"] == "ipm_10") & (records.runs["rule"] == "trimmed_mean")
    ].iloc[0]
    chosen = settings("smoke", "glyphs", 1)
    data = experiments.dataset(chosen, store)
    honest = next(Federation(chosen, data, "trimmed_mean", store).rounds([1]))
    c, beta = chosen.federation.c, chosen.defense.beta
    sent = honest.clients.astype(float)
    sent[:c] = honest.previous - 10 * (sent[c:] - honest.previous).mean(axis=0)
    before = trimmed_mean(honest.clients, beta=beta).astype(float)
    after = trimmed_mean(sent.astype(np.float32), beta=beta).astype(float)
    expected = np.linalg.norm(after - before) / np.linalg.norm(before - honest.previous)
    assert row["moved"] == pytest.approx(expected, rel=1e-4)
