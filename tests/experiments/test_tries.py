"""What is recorded to try the paper's passing remarks."""

import pytest

from helpers import miniature
from pdrr.experiments import recordings, tries
from pdrr.experiments.records import Records, each_run
from pdrr.federation.store import Store


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """All of them once, for seed 1, in the smoke profile."""
    with pytest.MonkeyPatch.context() as patch:
        miniature.use(patch)
        where = tmp_path_factory.mktemp("records")
        store = Store(tmp_path_factory.mktemp("cache"))
        recordings.run(tries.STEMS, "smoke", "glyphs", [1], where, store)
    return where


def test_each_recording_has_a_file_of_its_own_and_can_be_read(folder):
    assert {path.stem for path in folder.iterdir()} == set(tries.STEMS)
    for stem in tries.STEMS:
        runs = Records.load(folder, stem).runs
        assert set(runs["seed"]) == {1}
        if stem != "data":
            assert sorted(runs["round"].unique()) == ([1] if stem == "alike" else [1, 2])


@pytest.mark.parametrize("stem", [s for s in tries.STEMS if s != "data"])
def test_every_run_can_be_told_from_the_others(folder, stem):
    records = Records.load(folder, stem)
    assert len(list(each_run(records))) == len(records.runs)


def test_the_first_seed_is_tried_at_two_rounds_and_the_others_where_it_is_quick():
    for seed in (1, 2):
        for stem in tries.STEMS[:-1]:
            numbers = {options["number"] for _, options in recordings.jobs(stem, "paper", seed)}
            both = stem in tries.OFTEN or (seed == 1 and stem != "alike")
            assert numbers == ({1, 20} if both else {1}), stem


def test_every_setting_is_run_for_both_kinds_of_knowledge():
    for stem in ("anatomy", "similarities", "by_epsilon", "by_count", "alike"):
        jobs = [options for _, options in tries.jobs(stem, [1], first=True)]
        settings = [{k: v for k, v in o.items() if k != "knowledge"} for o in jobs]
        for options in settings:
            assert settings.count(options) == 2
