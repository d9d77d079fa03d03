"""What is recorded beyond the paper: every job can be called as it stands."""

import inspect

import pytest

from pdrr.experiments import outside, recordings


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
