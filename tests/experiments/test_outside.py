"""What is recorded beyond the paper: every job can be called as it stands."""

import inspect

import pandas as pd
import pytest

from pdrr.experiments import against, how_many, outside, recordings, regenerate
from pdrr.experiments.records import Records


@pytest.mark.parametrize("profile", recordings.SEEDS)
@pytest.mark.parametrize("stem", outside.STEMS)
def test_a_job_fits_its_experiment(stem, profile):
    jobs = recordings.jobs(stem, profile, seed=1)
    assert jobs
    for experiment, options in jobs:
        which = {"profile": profile, "source": "glyphs", "seed": 1, "store": None}
        inspect.signature(experiment).bind(**options, **which)
    asked = [sorted(options.items(), key=str) for _, options in jobs]
    assert all(asked.count(each) == 1 for each in asked), "a job twice"


def test_such_a_recording_has_to_be_asked_for():
    assert not set(outside.STEMS) & set(recordings.USUAL)
    assert set(outside.STEMS) <= set(recordings.STEMS)


@pytest.mark.parametrize(("profile", "numbers"), [("quick", [1, 5, 20]), ("paper", [1, 20, 50])])
def test_every_seed_meets_the_matrix_at_each_round(profile, numbers):
    for seed in (1, 5):
        jobs = recordings.jobs("matrix", profile, seed)
        assert [options["number"] for _, options in jobs] == numbers
        assert {function for function, _ in jobs} == {against}


def test_fewer_models_are_tried_beside_the_whole_round():
    jobs = recordings.jobs("how_many", "quick", 1)
    assert {function for function, _ in jobs} == {how_many}
    sizes = [(options["number"], options.get("k")) for _, options in jobs]
    assert sizes == [(number, k) for number in (1, 5, 20) for k in (None, 20, 35)]
    others = recordings.jobs("how_many", "quick", 2)
    assert [(options["number"], options.get("k")) for _, options in others] == sizes[:3]


def test_rates_without_scores_are_not_computed_again_from_scores(tmp_path):
    origin = {"settings": {}, "seconds": 0.0}
    rates = pd.DataFrame({"seed": [1, 1], "attack": "alie", "scheme": ["PDRR", "DnC"], "far": 0.0})
    for stem in outside.RATES:
        Records(rates, rates, origin).save(tmp_path / "quick", stem)
    with pytest.raises(ValueError, match="no records"):
        regenerate.recomputed(tmp_path)
