"""Attacks on rules that they were not made for."""

import numpy as np
import pytest

from pdrr import aggregators, config, experiments
from pdrr.experiments import scene, transfer, variations

pytestmark = pytest.mark.usefixtures("small")
SMOKE = config.load("smoke")
K = SMOKE.federation.k
ROBUST = ["krum", "trimmed_mean", "median"]


@pytest.fixture
def options(store):
    return {"profile": "smoke", "store": store, "knowledge": "full"}


def test_every_attack_meets_every_rule_that_is_defined(options):
    found = experiments.crossed(**options).runs
    assert found.groupby("attack", sort=False)["rule"].agg(list).to_dict() == {
        attack: ["mean", *ROBUST] for attack in ROBUST
    }
    assert (found["c"] == SMOKE.federation.c).all()
    few = experiments.crossed(attackers=11, **options)
    assert few.runs["rule"].tolist() == ["mean", *ROBUST, "bulyan"] * 3
    assert (few.runs["c"] == 11).all()
    assert set(few.table["rule"]) == {"mean", *ROBUST, "bulyan"}
    unjudged = few.table["rule"].isin(["mean", "bulyan"])  # PDRR has no scheme for these
    assert few.table[unjudged]["score"].isna().all()
    assert few.table[~unjudged]["score"].notna().all()
    for _, rows in few.table.groupby(["attack", "rule"]):
        assert rows["byzantine"].sum() == 11
        assert len(rows) == K


def test_of_its_own_rule_an_attack_does_what_it_does_alone(options):
    found = experiments.crossed(**options)
    for rule in ROBUST:
        run = found.where(attack=rule, rule=rule).runs.iloc[0]
        alone = experiments.detection(rule, **options).runs.iloc[0]
        for name in ("far", "mar", "q_low", "q_high", "selected", "beta"):
            both = run[name], alone[name]
            assert both[0] == both[1] or np.isnan(list(both)).all(), (rule, name)


def test_the_aggregates_are_those_of_the_rules(options):
    here = scene.scene("trimmed_mean", attack="median", c=11, **options)
    found = experiments.crossed(attacks=["median"], attackers=11, **options).runs.set_index("rule")
    previous = here.honest.previous
    for rule, own in (
        ("mean", {}),
        ("krum", {"c": 11}),
        ("trimmed_mean", {"beta": 10}),
        ("median", {}),
        ("bulyan", {"c": 11}),
    ):
        w, attacked = (
            aggregators.AGGREGATORS[rule](r.clients, **own) for r in (here.honest, here.observed)
        )
        moved = np.linalg.norm(attacked - w) / np.linalg.norm(w - previous)
        assert found.loc[rule, "moved"] == pytest.approx(moved, rel=1e-4)
        before, after = here.accuracies(w, attacked)
        assert found.loc[rule, "accuracy_attacked"] == after
        assert found.loc[rule, "harm"] == pytest.approx(before - after)


def test_one_client_carries_off_the_mean_and_no_robust_rule(options):
    quiet = scene.scene("trimmed_mean", attack="none", **options)
    here = transfer.one_client(variations.varied(quiet, "none"))
    assert here.byzantine.tolist() == [True] + [False] * (K - 1)
    np.testing.assert_array_equal(here.observed.clients[1:], quiet.honest.clients[1:])
    own, base = quiet.honest.clients[0].astype(float), quiet.honest.previous.astype(float)
    np.testing.assert_allclose(here.observed.clients[0], base - 1e6 * (own - base), rtol=1e-6)

    runs = experiments.crossed(attacks=["one client"], attackers=1, **options).runs
    moved = runs.set_index("rule")["moved"]
    assert moved["mean"] > 1e3
    assert (moved.drop("mean") < 2).all()
    assert (runs["c"] == 1).all()
