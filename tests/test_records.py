"""Results on disk, how they are recorded, and the verdicts read from them."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import miniature
from pdrr import config, data, experiments, figures, recordings, verdicts
from pdrr.records import Records, device, peak_memory, provenance
from pdrr.schemes import READINGS, SCHEMES
from pdrr.store import Store
from pdrr.verdicts import CLAIMS, judge

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
    found = experiments.detection("trimmed_mean", profile="smoke", store=Store(tmp_path))
    none = Records(found.table, found.runs.assign(q_low=np.nan, q_high=np.nan), found.provenance)
    none.save(tmp_path, "fig05")
    loaded = Records.load(tmp_path, "fig05")
    assert figures.fig05(loaded).axes
    assert figures.runs_table(loaded).data["suitable q"].tolist() == ["none"]


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


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="asks Linux")
def test_peak_memory_is_what_the_system_says_in_bytes():
    status = Path("/proc/self/status").read_text()
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
    assert set(recordings.STEMS) - set(recordings.USUAL) == {"calibration", "table3"}
    assert {p.stem for p in folder.iterdir()} == set(recordings.USUAL)
    for stem in recordings.USUAL:
        runs = Records.load(folder, stem).runs
        assert sorted(runs["seed"].unique()) == [1, 2]
        for seed in (1, 2):
            for _, options in recordings.jobs(stem, "smoke", seed):
                reading = {"noise": "coordinate"} if options.get("rule") == "krum" else {}
                wanted = {**reading, **options, "seed": seed}
                if "number" in wanted:
                    wanted["round"] = wanted.pop("number")
                same = [name for name in wanted if name in runs]
                assert len(same) >= 2
                chosen = runs[(runs[same] == pd.Series(wanted)[same]).all(axis=1)]
                if stem in recordings.TABLES:
                    assert chosen["scheme"].tolist() == list(SCHEMES)
                else:
                    assert len(chosen) == 1


def test_the_paper_profile_is_recorded_as_the_book_says():
    for stem, rule in recordings.TABLES.items():
        for seed, numbers in ((1, [1, 10, 20, 50, 100]), (2, [1, 20]), (3, [1, 20])):
            options = [options for _, options in recordings.jobs(stem, "paper", seed)]
            assert {o["rule"] for o in options} == {rule}
            assert {o["c"] for o in options} == {20}
            schemes = [o for o in options if "schemes" not in o]
            for knowledge in ("partial", "full"):
                for beta in (10, 20) if rule == "trimmed_mean" else (None,):
                    chosen = [
                        o["number"]
                        for o in schemes
                        if o["knowledge"] == knowledge and o.get("beta") == beta
                    ]
                    assert chosen == numbers
            asked = {r for o in options for r in o.get("readings", ())}
            assert asked == (set(READINGS) if seed == 1 else set())
            late = {o["number"] for o in options if "from w_p" in o.get("readings", ())}
            assert late == ({20} if seed == 1 else set())
    assert len(recordings.jobs("table1", "quick", 3)) == 2
    with pytest.raises(ValueError, match="no recording of 'fig99', only of fig02, fig04"):
        recordings.jobs("fig99", "paper", 1)


def test_every_claim_can_be_judged_on_a_recording(recorded):
    table = verdicts.table(recorded[0])
    assert list(table.columns) == ["verdict", "claim", "paper", "ours", "figure"]
    assert table["claim"].tolist() == [claim.text for claim in CLAIMS]
    assert set(table["verdict"]) <= {"reproduced", "partly", "not"}
    assert "nan" not in table.to_string()


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
    monkeypatch.setattr(experiments, "code_digest", lambda: "other code")
    with pytest.raises(AssertionError, match="run again"):
        recordings.run(["fig02"], "smoke", "glyphs", [1], tmp_path, store)


def _named(function, other):
    """`function` under the name of `other`, which is part of the cache's key."""

    def named(**options):
        return function(**options)

    named.__name__ = other.__name__
    return named


def test_the_code_digest_covers_what_the_numbers_come_from():
    numerical = {"arrays", "aggregators", "attacks", "defenses", "metrics", "models", "training"}
    schemes = {"baselines", "spectral", "schemes", "evaluation"}
    assert numerical | schemes | {"federation", "experiments"} <= set(experiments.CODE)


def test_an_unknown_recording_is_refused_with_the_known_ones(tmp_path):
    with pytest.raises(ValueError, match="no recording of 'fig99', only of fig02, fig04"):
        recordings.run(["fig04", "fig99"], "smoke", "glyphs", [1], tmp_path, Store(tmp_path))


def calibration(*runs):
    """Made-up runs: rule, seed, the scores of malicious and benign models, whose Krum selected."""
    rows, clients = [], []
    for rule, seed, malicious, benign, whose in runs:
        keys = {"rule": rule, "seed": seed, "knowledge": "full", "beta": np.nan}
        rows.append({**keys, "selected": whose, "succeeded": True})
        for byzantine, scores in ((True, malicious), (False, benign)):
            clients += [{**keys, "byzantine": byzantine, "score": score} for score in scores]
    return Records(pd.DataFrame(clients), pd.DataFrame(rows), ORIGIN)


def test_thresholds_are_the_middle_of_what_makes_the_fewest_errors():
    found = calibration(
        ("krum", 1, [0.9, 1.0], [0.1, 0.3], "malicious"),
        ("krum", 2, [0.7, 1.0], [0.2, 0.1], "malicious"),
        ("krum", 3, [0.9, 0.9], [0.6, 0.6], "benign"),  # no attack to be seen: does not count
        ("median", 1, [0.6, 1.0], [0.2, 0.7], ""),  # one error at best: (0.2, 0.6] or (0.7, 1]
    )
    assert recordings.thresholds(found) == {"krum": 0.5, "median": 0.4}


def test_attacks_that_failed_do_not_set_thresholds():
    found = calibration(
        ("krum", 1, [0.9], [0.1], "malicious"), ("krum", 2, [0.2], [1.0], "malicious")
    )
    failed = Records(found.table, found.runs.assign(succeeded=[True, False]), ORIGIN)
    assert recordings.thresholds(failed) == {"krum": 0.5}


# verdicts


def result(
    seed,
    *,
    malicious,
    benign,
    knowledge="full",
    c=10,
    beta=np.nan,
    noise="coordinate",
    q=(np.nan, np.nan),
    **run,
):
    """One made-up run: the statistics of its clients, its q range, and FAR and MAR 0."""
    keys = {"seed": seed, "knowledge": knowledge, "c": c, "beta": beta, "noise": noise}
    table = pd.DataFrame(
        [{**keys, "byzantine": True, "statistic": s} for s in malicious]
        + [{**keys, "byzantine": False, "statistic": s} for s in benign]
    )
    row = {**keys, "far": 0.0, "mar": 0.0, "q_low": q[0], "q_high": q[1], **run}
    return Records(table, pd.DataFrame([row]), ORIGIN)


ANY = {"malicious": [9, 9], "benign": [1, 2]}
FIG6 = {"beta": 5}
TABLE = {"knowledge": "partial", "c": 20, **ANY}
JUDGED = [  # a claim, a run that meets it, a run that does not, the numbers to be shown
    (
        "benign models: correlation below 0.1",
        {"malicious": [0.9, 1.0], "benign": [0.05, 0.09]},
        {"malicious": [0.9, 1.0], "benign": [0.05, 0.1]},
        "largest 0.09 to 0.10",
    ),
    (
        "malicious models: correlation close to 1",
        {"malicious": [0.96, 1.0], "benign": [0.5]},
        {"malicious": [0.95, 1.0], "benign": [0.5]},
        "smallest 0.95 to 0.96",
    ),
    (
        "any q in [0.1, 0.99] detects all",
        {**ANY, "q": (0.1, 0.99)},
        {**ANY, "q": (0.11, 1.0)},
        "1 of 2 runs",
    ),
    (
        "counts over all coordinates do not separate",
        {**ANY, **FIG6},
        {**ANY, **FIG6, "q": (0.5, 0.75)},
        "q range of length 0.00 to 0.25",
    ),
    (
        "without zero-change coordinates they do",
        {**ANY, **FIG6, "q": (0.5, 0.75)},
        {**ANY, **FIG6},
        "q range of length 0.00 to 0.25",
    ),
    (
        "malicious counts are subequal",
        {**FIG6, "malicious": [96, 100], "benign": [200]},
        {**FIG6, "malicious": [95, 100], "benign": [200]},
        "smallest / largest 0.95 to 0.96",
    ),
    (
        "malicious models supply almost no middle values",
        {"malicious": [0, 4], "benign": [100, 50]},
        {"malicious": [0, 5], "benign": [100, 50]},
        "0.04 to 0.05 of the largest count",
    ),
    ("PDRR on Krum", TABLE, {**TABLE, "far": 0.1}, "1 of 2 runs without error"),
    (
        "PDRR on trimmed mean",
        {**TABLE, "beta": 10},
        {**TABLE, "beta": 10, "mar": 0.1},
        "1 of 2 runs without error",
    ),
    ("PDRR on median", TABLE, {**TABLE, "mar": 1.0}, "1 of 2 runs without error"),
]


BALL = ", if ε is the radius of a ball"
JUDGED += [
    (text + BALL, {**good, "noise": "ball"}, {**bad, "noise": "ball"}, shown)
    for text, good, bad, shown in JUDGED[1:3]
]


def the_claim(words):
    """The claim with the given words; of several, the one that says no more than them."""
    return min(
        (claim for claim in CLAIMS if words in claim.text), key=lambda claim: len(claim.text)
    )


@pytest.fixture(params=JUDGED, ids=[text for text, *_ in JUDGED])
def judged(request, tmp_path):
    """The verdict on one claim for two runs, each of which meets it or does not."""
    text, good, bad, shown = request.param
    claim = the_claim(text)
    elsewhere = result(3, malicious=[0, 99], benign=[0, 99], knowledge="partial", c=5, far=1.0)

    def verdict(*met):
        runs = [result(1 + i, **(good if well else bad)) for i, well in enumerate(met)]
        Records.concat([*runs, elsewhere]).save(tmp_path, claim.stem)
        return judge(claim, tmp_path)

    return verdict, shown


def test_verdicts_on_made_up_runs(judged):
    verdict, shown = judged
    assert verdict(True, True)["verdict"] == "reproduced"
    assert verdict(True, False) | {"verdict": "", "ours": ""} == verdict(False, False) | {
        "verdict": "",
        "ours": "",
    }
    assert verdict(True, False)["verdict"] == verdict(False, True)["verdict"] == "partly"
    assert verdict(True, False)["ours"] == shown
    assert verdict(False, False)["verdict"] == "not"


@pytest.mark.parametrize("found", [(0.11, 1.0), (0.0, 0.98), (np.nan, np.nan)])
def test_the_range_of_q_has_to_reach_both_ends(tmp_path, found):
    claim = the_claim("any q in")
    result(1, **ANY, q=found).save(tmp_path, claim.stem)
    assert judge(claim, tmp_path)["verdict"] == "not"


def test_every_claim_has_made_up_runs():
    texts = [the_claim(text).text for text, *_ in JUDGED]
    assert sorted(texts) == sorted(claim.text for claim in CLAIMS)


def test_a_claim_without_records_names_the_file(tmp_path):
    with pytest.raises(ValueError, match=f"{tmp_path}/{CLAIMS[0].stem}"):
        verdicts.table(tmp_path)


def test_verdicts_become_html_with_links_and_badges():
    rows = [
        {"verdict": v, "claim": f"a < {v}", "paper": "< 0.1", "ours": "0.2", "figure": "fig04"}
        for v in ("reproduced", "partly", "not")
    ]
    html = figures.verdicts_html(pd.DataFrame(rows))
    assert html.count("sd-badge") == html.count('/fig04.html">a &lt; ') == 3
    assert "<td>&lt; 0.1</td>" in html


def test_the_profiles_thresholds_are_those_of_the_committed_calibration():
    committed = Records.load(Path(__file__).parents[1] / "book/records/quick", "calibration")
    computed = recordings.thresholds(committed)
    assert {rule: config.load("paper").defense.q[rule] for rule in computed} == computed
