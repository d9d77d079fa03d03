"""Results on disk, and how they are recorded."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers import miniature
from pdrr import config, data
from pdrr.book import figures, tables
from pdrr.experiments import alone, cache, recordings
from pdrr.experiments.provenance import device, peak_memory, provenance
from pdrr.experiments.records import Records
from pdrr.experiments.schemes import IN_THE_PAPER, usual
from pdrr.federation.store import Store

READINGS = {reading for entry in IN_THE_PAPER for reading in entry.readings}
ORIGIN = {"data": "letters", "synthetic": True, "d": 6_603_710, "seconds": 1.5}


def made_up(*seeds, **columns):
    """Records with one row a seed in both tables."""
    rows = pd.DataFrame([{"seed": seed, **columns} for seed in seeds])
    return Records(rows, rows.copy(), ORIGIN)


# on disk


VALUES = [1 / 3, -1.23456789e-7, 6_603_710.0, 1.98765432e-12, np.nan]
KEPT = pd.DataFrame(
    {
        "seed": [1, 1, 2, 2, 3],
        "value": VALUES,
        "nothing": np.nan,
        "yes": [True, False, True, True, False],
        "text": ["full", "partial", "a, b", "ρ", "full"],
    }
)


@pytest.mark.parametrize("part", ["table", "runs"])
def test_a_round_trip_keeps_nine_digits_booleans_gaps_and_text(tmp_path, part):
    Records(KEPT, KEPT.copy(), ORIGIN).save(tmp_path / "new", "fig99")
    loaded = Records.load(tmp_path / "new", "fig99")
    back = getattr(loaded, part)
    assert list(back.columns) == list(KEPT.columns)
    np.testing.assert_allclose(back["value"].astype(float), VALUES, rtol=1e-8)
    assert back["nothing"].dtype == float
    assert back["nothing"].isna().all()
    assert back["yes"].dtype == bool
    assert back["seed"].dtype == int
    for name in ("seed", "yes", "text"):
        assert back[name].tolist() == KEPT[name].tolist()
    assert loaded.provenance == ORIGIN
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == ["fig99.csv", "fig99.json"]


def test_a_recorded_run_without_a_q_range_can_be_drawn(tmp_path, monkeypatch):
    miniature.use(monkeypatch)
    found = alone.detection("trimmed_mean", profile="smoke", store=Store(tmp_path))
    none = Records(found.table, found.runs.assign(q_low=np.nan, q_high=np.nan), found.provenance)
    none.save(tmp_path, "fig05")
    loaded = Records.load(tmp_path, "fig05")
    assert figures.fig05(loaded).panels
    assert tables.runs_table(loaded).data["suitable q"].tolist() == ["none"]


@pytest.mark.parametrize("suffix", ["csv", "json"])
def test_a_missing_file_is_named(tmp_path, suffix):
    made_up(1).save(tmp_path, "fig99")
    (tmp_path / f"fig99.{suffix}").unlink()
    with pytest.raises(ValueError, match=f"cannot read the records {tmp_path}/fig99") as caught:
        Records.load(tmp_path, "fig99")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("fig99.json", b'{"provenance": {}, "ru'),
        ("fig99.json", b'{"provenance": {}}'),
        ("fig99.json", b"[]"),
        ("fig99.json", b"\xff\xfe"),
        ("fig99.csv", b""),
        ("fig99.csv", b'seed,value\n1,"2'),
        ("fig99.csv", b"\xff\xfe,a\n"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, name, content):
    made_up(1).save(tmp_path, "fig99")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"cannot read the records {tmp_path}/fig99") as caught:
        Records.load(tmp_path, "fig99")
    assert "\n" not in str(caught.value)


def test_a_failing_save_leaves_the_former_records(tmp_path):
    made_up(1, value=0.5).save(tmp_path, "fig99")
    old = [(p.name, p.read_bytes()) for p in sorted(tmp_path.iterdir())]
    broken = made_up(1, value=0.5)
    broken = Records(broken.table, broken.runs, {"not JSON": object()})
    with pytest.raises(TypeError, match="JSON"):
        broken.save(tmp_path, "fig99")
    assert [(p.name, p.read_bytes()) for p in sorted(tmp_path.iterdir())] == old


# parts and captions


def test_where_takes_the_same_part_of_both_tables():
    both = Records.concat([made_up(1, c=10), made_up(2, c=10), made_up(2, c=20)])
    part = both.where(seed=2, c=20)
    assert part.table.to_dict("records") == part.runs.to_dict("records") == [{"seed": 2, "c": 20}]
    assert len(both.where(seed=2).runs) == 2
    assert both.where(seed=2).provenance["seconds"] == pytest.approx(3 * 1.5)


def test_where_nothing_is_left_is_an_error():
    with pytest.raises(ValueError, match=r"records have no run with \{'seed': 3\}"):
        made_up(1, 2).where(seed=3)


@pytest.mark.parametrize(("synthetic", "kind"), [(True, "synthetic"), (False, "real")])
def test_a_caption_says_whether_people_wrote_the_characters(synthetic, kind):
    one = made_up(1)
    records = Records(one.table, one.runs, {**ORIGIN, "synthetic": synthetic})
    assert records.caption == f"letters ({kind} data), d = 6,603,710, seed 1"


def test_a_caption_names_every_seed_once():
    assert made_up(1, 2, 1).caption.endswith(", seeds 1, 2")


# provenance


def test_provenance_names_no_place_on_this_machine(tmp_path):
    path = miniature.write_npz(tmp_path / "letters.npz")
    chosen = config.load("smoke", {"data.source": str(path)})
    found = provenance(chosen, data.load(path, writers=12), 1947, 1.234)
    text = json.dumps(found)
    assert str(tmp_path) not in text
    assert '"/' not in text
    assert found["settings"]["data"]["source"] == "letters.npz"
    assert "letters.npz" in found["data"]
    assert (found["profile"], found["sha256"], found["d"]) == (
        "smoke",
        miniature.dataset().sha256,
        1947,
    )
    assert (found["seconds"], found["synthetic"]) == (1.23, False)
    assert found["versions"]["numpy"] == np.__version__
    expected = {**chosen.as_dict(), "data": found["settings"]["data"]}
    assert found["settings"] == expected


def test_provenance_tells_whether_compiled_kernels_did_the_work(monkeypatch):
    numba = pytest.importorskip("numba")
    chosen = config.load("smoke", {})
    for switch, expected in (("", numba.__version__), ("off", "not used")):
        monkeypatch.setenv("PDRR_KERNELS", switch)
        found = provenance(chosen, miniature.dataset(), 1947, 1.0)
        assert found["versions"]["numba"] == expected


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="asks Linux")
def test_peak_memory_is_what_the_system_says_in_bytes():
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
    assert peak_memory() == pytest.approx(1024 * int(line.split()[1]), rel=0.1)


def test_the_device_says_how_many_cores():
    assert re.fullmatch(r".+, [1-9]\d* cores", device())


# recordings


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """All experiments for seeds 1 and 2, and their cache."""
    with pytest.MonkeyPatch.context() as patch:
        store = Store(tmp_path_factory.mktemp("cache"))
        folder = tmp_path_factory.mktemp("records") / "paper"
        miniature.use(patch)
        recordings.run([], "smoke", "glyphs", [1, 2], folder, store)
    return folder, store


def test_a_recording_holds_every_run_of_every_seed(recorded):
    folder, _ = recorded
    rare = {"calibration", *recordings.TIMES, *recordings.LONG}
    assert set(recordings.STEMS) - set(recordings.USUAL) == rare
    assert {p.stem for p in folder.iterdir()} == set(recordings.USUAL)
    for stem in recordings.USUAL:
        runs = Records.load(folder, stem).runs
        assert sorted(runs["seed"].unique()) == [1, 2]
        for seed in (1, 2):
            for _, options in recordings.jobs(stem, "smoke", seed):
                reading = {"noise": "ball"} if options.get("rule") == "krum" else {}
                wanted = {**reading, **options, "seed": seed}
                if "number" in wanted:
                    wanted["round"] = wanted.pop("number")
                same = [name for name in wanted if name in runs]
                assert len(same) >= 2
                chosen = runs[(runs[same] == pd.Series(wanted)[same]).all(axis=1)]
                if stem in recordings.TABLES:
                    assert chosen["scheme"].tolist() == list(usual())
                else:
                    assert len(chosen) == 1


def test_the_paper_profile_is_recorded_as_the_book_says():
    def chosen(options, knowledge, beta):
        return [o for o in options if o["knowledge"] == knowledge and o.get("beta") == beta]

    every = [1, 10, 20, 50, 100]
    for stem, rule in recordings.TABLES.items():
        for seed, numbers in ((1, every), (2, every), (3, every), (4, [1, 20]), (5, [1, 20])):
            options = [options for _, options in recordings.jobs(stem, "paper", seed)]
            assert {o["rule"] for o in options} == {rule}
            assert {o["c"] for o in options} == {20}
            other = [o["number"] for o in options if o.get("noise") == "coordinate"]
            assert other == (sorted(every * 2) if rule == "krum" and seed == 1 else [])
            options = [o for o in options if "noise" not in o]
            for beta in (10, 20) if rule == "trimmed_mean" else (None,):
                partial, full = (chosen(options, known, beta) for known in ("partial", "full"))
                assert [o["number"] for o in partial] == [o["number"] for o in full] == numbers
                assert not any("schemes" in o for o in partial)  # all of them
                alone = beta == 20 or seed > 1
                assert [o.get("schemes") for o in full] == [("PDRR",) if alone else None] * len(
                    full
                )
            asked = {o["number"]: set(o["readings"]) for o in options if "readings" in o}
            if seed > 1:
                assert not asked
            else:
                assert asked[20] == set(READINGS)
                assert asked[1] == set(READINGS) - {"from w_p"}
                late = set(READINGS) - {"from w_p", "mean"}
                assert asked[10] == asked[50] == asked[100] == late
    assert len(recordings.jobs("table1", "quick", 3)) == 2
    for seed, numbers in ((1, every), (3, every), (4, [1, 20])):
        options = [options for _, options in recordings.jobs("unattacked", "paper", seed)]
        rules = recordings.TABLES.values()
        assert options == [{"rule": rule, "number": n} for rule in rules for n in numbers]
    with pytest.raises(ValueError, match="no recording of 'fig99', only of fig02, fig03"):
        recordings.jobs("fig99", "paper", 1)


def test_a_second_recording_runs_nothing(recorded, tmp_path, monkeypatch):
    folder, store = recorded
    miniature.use(monkeypatch)

    def run_again(**_options):
        raise AssertionError("an experiment was run again")

    known = recordings.jobs

    def again(stem, profile, seed):
        return [(_named(run_again, e), options) for e, options in known(stem, profile, seed)]

    monkeypatch.setattr(recordings, "jobs", again)
    recordings.run([], "smoke", "glyphs", [1, 2], tmp_path, store)
    for path in sorted(folder.iterdir()):
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()
    with pytest.raises(AssertionError, match="run again"):
        recordings.run(["fig02"], "smoke", "glyphs", [3], tmp_path, store)
    monkeypatch.setattr(cache, "code_digest", lambda: "other code")
    with pytest.raises(AssertionError, match="run again"):
        recordings.run(["fig02"], "smoke", "glyphs", [1], tmp_path, store)


def _named(function, other):
    """`function` under the name of `other`, which is part of the cache's key."""

    def named(**options):
        return function(**options)

    named.__module__, named.__qualname__ = other.__module__, other.__qualname__
    return named


def test_the_code_digest_covers_every_folder_that_can_change_a_number():
    files = {str(path.relative_to(cache.PACKAGE)) for path in cache.code_files()}
    assert {"attacks.py", "core/kernels/numba.py", "core/kernels/gram.cu"} <= files
    assert {"federation/training.py", "baselines/vae.py", "beyond/__init__.py"} <= files
    every = {str(path.relative_to(cache.PACKAGE)) for path in cache.PACKAGE.rglob("*.py")}
    assert {name.split("/")[0] for name in every - files} == set(cache.SHOWN)


def test_a_method_of_the_reader_s_own_is_part_of_the_code(tmp_path, monkeypatch):
    before = cache.code_digest()
    method = tmp_path / "toy.py"
    monkeypatch.setenv("PDRR_METHODS", str(tmp_path))
    assert cache.code_digest() == before
    for text in ("x = 1", "x = 2"):
        method.write_text(text, "utf-8")
        assert cache.code_digest() != before
        before = cache.code_digest()


def test_what_is_said_about_the_code_does_not_count():
    plain = "x = 1\ndef f(a):\n    return 'no docstring'\n"
    told = '"""Module."""\nx = 1  # why\n\ndef f(a):\n    """Told."""\n    return "no docstring"'
    assert cache._statements(told) == cache._statements(plain)
    assert cache._statements(plain.replace("1", "2")) != cache._statements(plain)


def test_an_unknown_recording_is_refused_with_the_known_ones(tmp_path):
    with pytest.raises(ValueError, match="no recording of 'fig99', only of fig02, fig03"):
        recordings.run(["fig04", "fig99"], "smoke", "glyphs", [1], tmp_path, Store(tmp_path))
