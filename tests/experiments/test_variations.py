"""One honest round, attacked in many ways."""

import numpy as np
import pytest

from pdrr import config, experiments
from pdrr.experiments import scene, variations

pytestmark = pytest.mark.usefixtures("small")
SMOKE = config.load("smoke")


@pytest.fixture
def options(store):
    return {"profile": "smoke", "store": store}


def test_a_variation_is_the_attack_that_its_settings_would_make(options):
    here = scene.scene("trimmed_mean", attack="none", knowledge="full", **options)
    again = variations.varied(here, "trimmed_mean", c=7, beta=3)
    alone = scene.scene("trimmed_mean", knowledge="full", c=7, beta=3, **options)
    np.testing.assert_array_equal(again.observed.clients, alone.observed.clients)
    assert again.key == alone.key
    assert again.byzantine.sum() == 7
    kept = variations.varied(here, "trimmed_mean")
    assert kept.settings == here.settings


@pytest.mark.parametrize("rule", ["krum", "trimmed_mean", "median"])
def test_each_number_of_attackers_has_a_run(options, rule):
    counts = [1, 3, 10, 24]
    for knowledge in ("full", "partial"):
        found = experiments.by_count(rule, counts=counts, knowledge=knowledge, **options)
        barred = rule == "krum" and knowledge == "partial"
        assert found.runs["c"].tolist() == (counts[1:] if barred else counts)
        for run in found.runs.to_dict("records"):
            rows = found.where(c=run["c"]).table
            assert rows["byzantine"].sum() == run["c"]
            assert run["far"] == pytest.approx(rows[~rows["byzantine"]]["flagged"].mean())
            loss = run["accuracy_unattacked"] - run["accuracy_attacked"]
            assert run["harm"] == pytest.approx(loss)
        if rule == "trimmed_mean":
            assert found.runs["beta"].tolist() == counts
        else:
            assert found.runs["beta"].isna().all()


def test_more_attackers_than_values_can_be_trimmed_leave_two_of_them(options):
    found = experiments.by_count("trimmed_mean", counts=[25], knowledge="full", **options)
    assert found.runs["beta"].tolist() == [24]


def test_a_run_is_that_of_the_round_alone(options):
    found = experiments.by_count("krum", counts=[12], knowledge="full", **options)
    alone = experiments.detection("krum", c=12, knowledge="full", **options)
    for name in ("far", "mar", "q_low", "q_high", "lambda", "selected"):
        assert found.runs[name].equals(alone.runs[name]), name


def test_noise_makes_copies_unlike_until_krum_refuses_them(options):
    epsilons = (0.0, 1e-3, 10.0)
    found = experiments.by_epsilon(epsilons=epsilons, knowledge="full", **options)
    assert list(zip(found.runs["noise"], found.runs["epsilon"], strict=True)) == [
        (noise, epsilon) for noise in ("ball", "coordinate") for epsilon in epsilons
    ]
    for noise in ("ball", "coordinate"):
        runs = found.where(noise=noise).runs
        assert runs["rho_malicious"].iloc[0] == pytest.approx(1)
        assert runs["selected"].tolist()[::2] == ["malicious", "benign"]
        assert runs["lambda"].nunique() == 1  # the search knows nothing of the noise
    rows = found.where(noise="ball", epsilon=1e-3).table
    run = found.where(noise="ball", epsilon=1e-3).runs.iloc[0]
    assert run["rho_malicious"] == rows[rows["byzantine"]]["statistic"].min()
    assert run["rho_benign"] == rows[~rows["byzantine"]]["statistic"].max()
