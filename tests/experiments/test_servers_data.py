"""Auxiliary sets and counts of images."""

import numpy as np
import pytest

from helpers import miniature
from pdrr import config, experiments
from pdrr.baselines import err_and_lfr
from pdrr.core.rules import own_setting
from pdrr.experiments import scene, servers_data

pytestmark = pytest.mark.usefixtures("small")
SMOKE = config.load("smoke")


@pytest.mark.parametrize("rule", ["krum", "trimmed_mean", "median"])
def test_with_the_usual_half_the_verdict_is_that_of_err_and_lfr(store, rule):
    options = {"profile": "smoke", "store": store}
    found = experiments.by_auxiliary(rule, portions=[0.5], draws=1, **options)
    here = scene.scene(rule, **options)
    c = here.settings.federation.c
    own = own_setting(rule, c=c, beta=here.settings.defense.beta)
    both = err_and_lfr(
        here.observed,
        rule,
        network=here.federation.trainer,
        auxiliary=here.federation.dataset.auxiliary(),
        c=c,
        rng=np.random.default_rng(0),
        beta=own.get("beta"),
    )
    for scheme, detection in zip(("ERR", "LFR"), both, strict=True):
        run = found.where(scheme=scheme, choice="the half").runs.iloc[0]
        scores = np.round(detection.scores, 12)
        edge = np.sort(scores)[-c]
        assert run["tied"] == (scores == edge).sum()
        benign = scores[~here.byzantine]
        surely, perhaps = (benign > edge).mean(), (benign >= edge).mean()
        assert surely - 1e-9 <= run["far"] <= perhaps + 1e-9
        assert run["benign_rank"] == 1 + (scores > benign.max()).sum()
        # c models are flagged, on average over draws
        assert 30 * run["far"] + 20 * (1 - run["mar"]) == pytest.approx(c)


def test_sets_have_the_sizes_asked_for_and_draws_differ(store):
    found = experiments.by_auxiliary(
        "median", portions=[1.0, 0.25], draws=2, profile="smoke", store=store
    )
    data = scene.dataset(scene.settings("smoke", "glyphs", 1), store)
    half = len(data.auxiliary()[1])
    drawn = found.where(choice="drawn").runs
    assert drawn["images"].tolist() == [half] * 4 + [round(half / 4)] * 4
    assert drawn[drawn["portion"] == 1]["digits"].nunique() == 2
    digits = found.where(choice="digits").runs
    assert (digits["digits"] == 1).all()
    assert (digits["images"] == (data.auxiliary()[1] < 10).sum()).all()


def test_the_last_place_is_drawn_among_those_who_share_it():
    chance, tied = servers_data.by_lot(np.array([3.0, 1.0, 1.0, 1.0, 0.0]), 2)
    np.testing.assert_allclose(chance, [1, 1 / 3, 1 / 3, 1 / 3, 0])
    assert tied == 3
    chance, tied = servers_data.by_lot(np.zeros(5), 2)
    np.testing.assert_allclose(chance, [0.4] * 5)


@pytest.mark.parametrize("portion", [0.0, 1.5, -0.1])
def test_a_portion_is_refused_that_is_none(store, portion):
    with pytest.raises(ValueError, match=r"portions need to be in \(0, 1\], got"):
        experiments.by_auxiliary("median", portions=[portion], profile="smoke", store=store)


def test_facts_are_counts_of_the_data(store):
    found = experiments.data_facts(profile="smoke", source="glyphs", store=store)
    run, data = found.runs.iloc[0], miniature.dataset(60)
    assert run["clients"] == len(found.table) == 60
    assert run["training"] == found.table["training"].sum() == 60 * miniature.TRAINED
    assert run["test"] == run["auxiliary"] + run["evaluation"] == data.test.sum() == 60
    assert run["digits"] == pytest.approx((data.labels < 10).mean())
    assert run["small"] == pytest.approx((data.labels >= 36).mean())
    assert (run["smallest"], run["largest"], run["over_300"]) == (14, 14, 0)
    assert run["d"] == found.provenance["d"] == 1947
