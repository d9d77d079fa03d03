"""The benchmark measures what it says, skips what it must, and its tables and figures show it."""

import os
import re
import sys
import time
from types import ModuleType, SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from benchmarks import measure
from benchmarks.__main__ import arguments, main
from benchmarks.cases import Implementation, Problem, compare, implementations, share
from benchmarks.runner import Known, Plan, Run
from benchmarks.stages import add
from helpers.made_up import axes
from pdrr.book import performance, stages
from pdrr.experiments import regenerate
from pdrr.experiments.records import Records

MB = 2**20


def one(rule, name, work, **more):
    return Implementation(rule, name, lambda p: lambda: work(p), **more)


def clients(p):
    return p.clients


UNIT = one("pass", "numpy", lambda p: p.clients.sum(0))
OURS = one("mean", "pdrr", lambda p: clients(p).mean(axis=0))
SAME = one("mean", "same", lambda p: clients(p).mean(axis=0) + np.float32(1e-9), note="a peer")
WRONG = one("mean", "wrong", lambda p: clients(p).mean(axis=0) * 1.01)
ELSE = one("mean", "else", lambda p: clients(p).max(axis=0), other=True)
ABSENT = one("mean", "absent", clients, needs="no_such_library")


def plan(**more):
    return Plan(**{"k": (10,), "d": (1000,), "repeat": 1, "budget": 60, **more})


def table_of(folder, chosen, **more):
    free = more.pop("free", lambda: None)
    run = Run(plan(**more), folder, chosen, free=free)
    run.everything()
    return performance.load(folder)


def row_of(records, name, rule="mean", **where):
    table = records.table
    for column, value in {"implementation": name, "rule": rule, **where}.items():
        table = table[table[column] == value]
    (row,) = table.to_dict("records")
    return row


# one case


@pytest.mark.skipif(not measure.CLEAR.exists(), reason="the system keeps no peak")
def test_extra_memory_is_what_is_there_beside_the_result():
    def work():
        scratch = np.ones(64 * MB, np.uint8)
        return scratch[: 32 * MB].copy()

    def job():
        return measure.timed(work, lambda x: (x.nbytes, None), repeat=2, allowed=60)

    assert 60 * MB < measure.alone(job, 60).extra < 72 * MB


def test_memory_is_sampled_where_the_system_keeps_no_peak(monkeypatch):
    monkeypatch.setattr(measure, "_reset", lambda: False)

    def work():
        scratch = np.ones(64 * MB, np.uint8)
        time.sleep(0.2)
        return scratch[:1].copy()

    found = measure.timed(work, lambda x: (x.nbytes, None), repeat=1, allowed=60)
    assert 56 * MB < found.extra < 80 * MB


def test_runs_are_counted_after_a_warm_up_as_time_allows():
    def work():
        time.sleep(0.05)

    def timed(repeat, allowed):
        return measure.timed(work, lambda _: (0, "seen"), repeat=repeat, allowed=allowed)

    usual = timed(3, 60)
    assert (len(usual.seconds), usual.warmed, usual.verdict) == (3, True, "seen")
    assert all(0.05 <= seconds < 1 for seconds in usual.seconds)
    naps = iter([0.3, 0.1, 0.01])
    uneven = measure.timed(
        lambda: time.sleep(next(naps)), lambda _: (0, None), repeat=2, allowed=60
    )
    assert uneven.seconds[0] < 0.3
    assert uneven.seconds[1] < 0.1
    assert len(timed(50, 0.3).seconds) <= 5
    short = timed(3, 0.01)
    assert (len(short.seconds), short.warmed) == (1, False)


@pytest.mark.parametrize(
    ("job", "words"),
    [
        (lambda: time.sleep(60), "stopped after 0 s"),
        (lambda: os._exit(3), "exit code 3"),
        (lambda: np.ones(2) @ np.ones(3), "^ValueError: matmul"),
    ],
)
@pytest.mark.skipif(os.uname().sysname != "Linux", reason="forks are safe on Linux")
def test_a_case_that_fails_says_why_and_harms_nobody(job, words):
    with pytest.raises(measure.StoppedError, match=words):
        measure.alone(job, limit=0.3)


def test_equal_results_agree_and_others_do_not():
    ours = np.array([1.0, -2.0], np.float32)
    assert compare(ours + 1e-5, ours, other=False) == ("yes", "")
    assert compare(ours + 1e-3, ours, other=False) == ("no", "differs by up to 0.001")
    assert compare(ours[:1], ours, other=False)[0] == "no"
    assert compare(ours * np.nan, ours, other=False) == ("no", "not finite")
    assert compare(ours, ours, other=True) == ("other", "same result here")
    assert compare(-ours, ours, other=True) == ("other", "another result here")


@pytest.mark.parametrize("k", range(3, 250))
def test_other_libraries_cut_as_many_values_as_we_do(k):
    p = Problem(np.zeros((k, 1), np.float32), np.zeros(1, np.float32))
    assert int(share(p) * k) == p.c
    assert k >= 4 * p.c + 3 > k - 4


# a run


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """All of ours and NumPy's, and made-up peers, in one process after the other."""
    own = [x for x in implementations() if x.needs in ("numpy", "scipy")]
    folder = tmp_path_factory.mktemp("bench")
    # a budget that no machine uses up, however busy: kernels may have to be compiled first
    return table_of(folder, [*own, SAME, WRONG, ELSE, ABSENT], d=(1000, 2000), budget=3600), folder


def test_every_rule_is_timed_with_kernels_and_plain(whole):
    table = whole[0].table
    assert table.columns.tolist() == performance.COLUMNS
    for rule in performance.RULES:
        for d in (1000, 2000):
            plain = row_of(whole[0], "pdrr, plain", rule, d=d)
            assert plain["agrees"] == "yes", (rule, plain["note"])
            assert row_of(whole[0], "pdrr", rule, d=d)["agrees"] == ""  # what others are held to
    assert (table["low_s"] <= table["median_s"]).all()
    assert (table["median_s"] <= table["high_s"]).all()
    assert (table["repeats"] == 1).all()
    assert (table["low_s"] > 0).all()
    assert (table["extra_mb"] >= 0).all()


def test_the_unit_is_the_pass_over_the_same_stack(whole):
    for d in (1000, 2000):
        unit = row_of(whole[0], "numpy", "pass", d=d)
        assert unit["passes"] == 1
        here = whole[0].table[whole[0].table["d"] == d]
        assert here["passes"].to_numpy() == pytest.approx(here["median_s"] / unit["median_s"])
        (size,) = whole[0].runs[whole[0].runs["d"] == d].to_dict("records")
        assert size["stack_mb"] == pytest.approx(4 * 10 * d / MB)
        assert size["pass_gb_s"] == pytest.approx(4 * 10 * d / unit["median_s"] / 1e9)


def test_a_peer_that_computes_something_else_is_told(whole):
    assert row_of(whole[0], "same", d=1000)["agrees"] == "yes"
    assert row_of(whole[0], "same", d=1000)["note"] == "a peer"
    wrong = row_of(whole[0], "wrong", d=1000)
    assert wrong["agrees"] == "no"
    assert "differs by up to" in wrong["note"]
    assert row_of(whole[0], "else", d=1000)["agrees"] == "other"


def test_a_library_that_is_not_there_is_a_line_and_no_row(whole):
    (line,) = [x for x in whole[0].provenance["missing"] if "no_such_library" in x]
    assert line == "no_such_library is not installed: pip install '.[peers]'"
    assert not (whole[0].table["implementation"] == "absent").any()


def test_the_origin_says_where_and_with_what(whole):
    found = whole[0].provenance
    assert {"date", "device", "threads", "kernels", "versions", "commit"} <= set(found)
    assert found["versions"]["numpy"] == np.__version__
    assert found["copy_gb_s"]["host"] > 0.1
    assert sorted(path.name for path in whole[1].iterdir()) == ["bench.csv", "bench.json"]


def test_kernels_stay_as_they_were(monkeypatch):
    seen = []
    plain = next(x for x in implementations() if (x.rule, x.name) == ("mean", "pdrr, plain"))
    monkeypatch.setattr("pdrr.mean", lambda _: seen.append(os.environ["PDRR_KERNELS"]))
    for before in ("on", None):
        monkeypatch.delenv("PDRR_KERNELS", raising=False)
        if before:
            monkeypatch.setenv("PDRR_KERNELS", before)
        plain.prepare(Problem.make(3, 2))()
        assert os.environ.get("PDRR_KERNELS") == before
    assert seen == ["off", "off"]


def test_a_larger_case_is_estimated_by_proportion():
    known = Known(seconds=2.0, extra=3 * MB, d=100)
    usual = plan(budget=600)  # 10 s a case
    assert known.refusal(usual, 400, stack=0, available=100 * MB) == ""
    assert known.refusal(usual, 1000, 0, 100 * MB) == "about 20 s a run, allowed 10 s"
    words = known.refusal(usual, 400, 2**30, available=10 * MB)
    assert words == "about 0.0 GiB beside the stack of 1.0 GiB, available 0.0 GiB"
    stopped = Known(0.1, 0, 100, why="stopped after 5 s")
    assert stopped.refusal(usual, 200, 0, 100 * MB) == "stopped after 5 s at d = 100"


def test_what_would_take_too_long_is_skipped_and_listed(tmp_path):
    slow = one("mean", "slow", lambda p: time.sleep(p.clients.shape[1] * 1e-4))
    found = table_of(tmp_path, [UNIT, slow], d=(1000, 100_000), budget=60)
    assert row_of(found, "slow", d=1000)["median_s"] > 0.1
    note = row_of(found, "slow", d=100_000)["note"]
    assert re.fullmatch(r"skipped: about 1\d s a run, allowed 1 s", note)
    shown = performance.skipped_table(found).data
    assert shown.to_dict("list") == {
        "implementation": ["slow"],
        "k": [10],
        "d": ["100,000"],
        "why": [note.removeprefix("skipped: ")],
    }


def test_a_size_never_run_before_is_tried_on_few_coordinates_first(tmp_path):
    slow = one("mean", "slow", lambda p: time.sleep(p.clients.shape[1] * 1e-5))
    found = table_of(tmp_path, [UNIT, slow], d=(200_000,), budget=60)
    assert re.fullmatch(r"skipped: about [23] s a run, allowed 1 s", row_of(found, "slow")["note"])


def test_what_does_not_fit_into_memory_is_skipped(tmp_path):
    found = table_of(tmp_path, [UNIT, OURS], d=(1000, 100_000), free=lambda: MB)
    assert row_of(found, "pdrr", d=1000)["repeats"] == 1
    assert "a stack of 0.0 GiB, available 0.0 GiB" in row_of(found, "pdrr", d=100_000)["note"]


def test_nothing_is_run_once_the_budget_is_used_up(tmp_path):
    found = table_of(tmp_path, [UNIT, OURS], budget=1e-9)
    assert found.table["note"].tolist() == ["skipped: the budget of 0 s was used up"] * 2


def test_a_killed_run_leaves_its_rows_and_the_former_table(tmp_path, monkeypatch):
    former = table_of(tmp_path, [UNIT, OURS]).table
    alone, calls = measure.alone, []

    def killed(job, limit):
        calls.append(limit)
        if len(calls) > 2:
            raise KeyboardInterrupt
        return alone(job, limit)

    monkeypatch.setattr(measure, "alone", killed)
    with pytest.raises(KeyboardInterrupt):
        table_of(tmp_path, [UNIT, OURS, SAME])
    kept = Records.load(tmp_path, "unfinished").table
    assert kept["implementation"].tolist() == ["numpy", "pdrr"]
    pd.testing.assert_frame_equal(performance.load(tmp_path).table, former)


class Pool:
    """A memory pool that grows by 8 MB whenever somebody asks."""

    def __init__(self):
        self.held = 0

    def free_all_blocks(self):
        self.held = 0

    def total_bytes(self):
        self.held += 8 * MB
        return self.held


@pytest.fixture
def cupy(monkeypatch):
    """A stand-in for CuPy that lies on the host, with a device count to be set."""
    module = ModuleType("cupy")
    pool, waited = Pool(), []
    module.asarray, module.ones, module.empty_like = np.asarray, np.ones, np.empty_like
    module.get_default_memory_pool = lambda: pool
    stream = SimpleNamespace(synchronize=lambda: waited.append(1))
    runtime = SimpleNamespace(
        getDeviceCount=lambda: module.count,
        getDeviceProperties=lambda _: {"name": b"a GPU"},
        CUDARuntimeError=OSError,
    )
    module.cuda = SimpleNamespace(get_current_stream=lambda: stream, runtime=runtime)
    module.count, module.waited = 1, waited
    monkeypatch.setitem(sys.modules, "cupy", module)
    monkeypatch.setattr(measure, "alone", lambda job, *_, **__: job())
    return module


def test_a_device_is_waited_for_and_its_pool_is_the_memory(cupy, tmp_path):
    ours = next(x for x in implementations() if (x.rule, x.name) == ("mean", "pdrr on GPU"))
    found = table_of(tmp_path, [UNIT, OURS, ours], repeat=2)
    row = row_of(found, "pdrr on GPU")
    assert (row["agrees"], row["repeats"]) == ("yes", 2)
    assert row["extra_mb"] == pytest.approx(8, abs=0.01)
    assert len(cupy.waited) == 4 + 2 * 3  # four copies; before and after three runs
    assert set(found.provenance["copy_gb_s"]) == {"host", "GPU"}


def test_without_a_device_a_line_says_so(cupy, tmp_path):
    cupy.count = 0
    gpu = [x for x in implementations() if x.gpu]
    found = table_of(tmp_path, [UNIT, *gpu])
    assert found.provenance["missing"] == ["no CUDA device"]
    assert len(found.table) == 1


# the command


def test_a_part_of_the_table_from_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["--k", "10", "--d", "1000", "--repeat", "1", "--budget", "3600", "--only"]
    assert main([*words, "median by pdrr", "median by numpy"]) == 0
    found = performance.load(performance.OWN).table
    names = found["rule"] + ": " + found["implementation"]
    assert {"pass: numpy", "median: pdrr", "median: pdrr, plain", "median: numpy"} <= set(names)
    assert not names.str.contains("krum|mean|flower").any()
    shown = capsys.readouterr().out
    assert "k = 10, d = 1,000" in shown
    assert "wrote build/bench/bench.csv" in shown
    assert list(performance.available()) == ["your run"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--record --only krum", "--record needs the whole table, got a part of it"),
        ("--record --quick", "--record needs the whole table, got a part of it"),
        ("--k 10 0", "--k needs to be positive, got 0"),
        ("--budget -1", "--budget needs to be positive, got -1"),
    ],
)
def test_a_command_that_makes_no_sense_is_refused(words, message, capsys):
    with pytest.raises(SystemExit):
        arguments(words.split())
    assert message in capsys.readouterr().err


# stages


def stage(name, variant, seconds):
    same = dict.fromkeys(("median_s", "low_s", "high_s"), seconds)
    return {"stage": name, "variant": variant, **same, "repeats": 1, "note": ""}


def test_a_part_of_the_stages_takes_the_place_of_its_former_self(tmp_path):
    add(tmp_path, "first call", [stage("median", "anew", 3.0)], {"date": "then", "device": "one"})
    add(tmp_path, "training", [stage("a step", "before", 0.002)], {"date": "then", "device": "one"})
    add(
        tmp_path,
        "first call",
        [stage("krum", "anew", 4.0), stage("krum", "later", 0.5)],
        {"date": "now", "device": "two"},
    )
    kept = Records.load(tmp_path, stages.STEM)
    assert kept.provenance == {
        "first call": {"date": "now", "device": "two"},
        "training": {"date": "then", "device": "one"},
    }
    folders = (tmp_path / "none", tmp_path)
    shown = stages.stages_table("training", folders)
    assert shown.data.to_dict("index") == {"a step": {"before": "2.00 ms"}}
    assert shown.caption == "one; then."
    shown = stages.stages_table("first call", folders)
    assert shown.data.to_dict("index") == {"Krum": {"anew": "4.00 s", "later": "500 ms"}}
    with pytest.raises(ValueError, match="no table of stages has a part 'lunch'"):
        stages.stages_table("lunch", folders)


def test_notes_stand_where_they_belong(tmp_path):
    def noted(*notes):
        rows = [
            {**stage(name, "seconds", 2.0), "note": note}
            for name, own in zip(("krum", "median", "mean"), notes, strict=True)
            for note in own
        ]
        add(tmp_path, "a part", rows, {"date": "now", "device": "two"})
        return stages.stages_table("a part", (tmp_path,))

    shown = noted(["1 GB", "fast"], ["1 GB", "slow"], ["1 GB", "fast"])
    assert shown.caption == "1 GB; fast; median: slow; two; now."
    assert list(shown.data) == ["seconds"]
    one = [{**stage("krum", each, 2.0), "note": f"sort {each}"} for each in ("before", "now")]
    add(tmp_path, "another", one, {"date": "now", "device": "two"})
    caption = stages.stages_table("another", (tmp_path,)).caption
    assert caption == "before: sort before; now: sort now; two; now."
    shown = noted(["1 GB", "a"], ["1 GB", "b"], ["1 GB", "c"])
    assert shown.caption == "1 GB; two; now."
    assert shown.data["note"].tolist() == ["a", "b", "c"]


# reading and drawing


def made(k=(10, 50), d=(1000, 100_000), names=("pdrr", "flower", "somebody"), seconds=1e-7):
    """A table in which the i-th implementation takes 10**i times k * d * `seconds`."""
    rows, sizes = [], []
    for each_k in k:
        for each_d in d:
            unit = each_k * each_d * seconds / 10
            sizes.append(
                {
                    "k": each_k,
                    "d": each_d,
                    "stack_mb": 4 * each_k * each_d / MB,
                    "pass_gb_s": 4 * each_k * each_d / unit / 1e9,
                }
            )
            entries = [("numpy", "pass", unit)]
            for rule in ("median", "PDRR krum"):
                entries += [(n, rule, unit * 10 ** (i + 1)) for i, n in enumerate(names)]
            rows += [
                [name, rule, each_k, each_d, s, s / 2, s * 2, 3, s / unit, 7.0, "yes", "a note"]
                for name, rule, s in entries
            ]
    skipped = ["numpy", "median", k[0], d[0], *[np.nan] * 3, 0, np.nan, np.nan, "", "skipped: why"]
    origin = {
        **{"date": "2026-01-02", "device": "a processor, 2 cores", "threads": 2, "kernels": "on"},
        **{"copy_gb_s": {"host": 9.5}, "versions": {"numpy": "2"}, "commit": "abc", "repeat": 5},
        **{"budget_s": 400.0, "missing": ["cupy is not installed"], "seconds": 12.0},
    }
    table = pd.DataFrame([*rows, skipped], columns=performance.COLUMNS)
    return Records(table, pd.DataFrame(sizes), origin)


def drawn(ax):
    """The lines with a mark for each implementation: colour and mark -> x and y."""
    return {
        (line.get_color(), line.get_marker()): line.get_xydata().tolist()
        for line in ax.lines
        if line.get_marker() not in ("None", None)
    }


def look(name):
    return performance.LOOK[name]["color"], performance.LOOK[name]["marker"]


def test_the_nearest_size_is_shown():
    assert performance.nearest(made(), 50, 6_603_710) == (50, 100_000)
    assert performance.nearest(made(), 12, 900) == (10, 1000)
    with pytest.raises(ValueError, match="has no measured row"):
        performance.nearest(Records(made().table[-1:], made().runs, {}), 50, 1000)


def test_the_floor_is_bytes_by_the_bandwidth_of_a_pass_that_no_cache_helps():
    records = made()
    records.runs.loc[0, "pass_gb_s"] = 1e6  # the smallest stack lies in a cache
    assert performance.floor(records, 50, 100_000) == pytest.approx(50 * 100_000 * 1e-8)
    assert performance.floor(records, 10, 1000) == pytest.approx(10 * 1000 * 1e-8)
    records.runs["stack_mb"] = [1.0, 200.0, 500.0, 900.0]
    records.runs["pass_gb_s"] = [100.0, 20.0, 10.0, 8.0]
    assert performance.floor(records, 10, 1000) == pytest.approx(4 * 10 * 1000 / 20e9)


@pytest.mark.parametrize("x", ["d", "k"])
def test_a_panel_shows_the_seconds_of_each_implementation(x):
    if x == "d":
        drawing = performance.cost_by_d(made(), k=50)
        expected = [[d, 50 * d * 1e-7] for d in (1000, 100_000)]
    else:
        drawing = performance.cost_by_k(made(), d=1000)
        expected = [[k, 1000 * k * 1e-7] for k in (10, 50)]
    panels = axes(drawing)
    assert [ax.get_title(loc="left") for ax in panels] == ["median", "PDRR for Krum"]
    for ax in panels:
        assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
        lines = drawn(ax)
        assert len(lines) == 3
        for number, name in enumerate(("pdrr", "flower")):
            slower = [[size, seconds * 10**number] for size, seconds in expected]
            assert lines[look(name)] == [pytest.approx(point) for point in slower]
        (floor,) = [line for line in ax.lines if line.get_marker() == "None"]
        assert floor.get_ydata() == pytest.approx([seconds / 10 for _, seconds in expected])
    assert len({ax.get_ylim() for ax in panels}) == 1
    words = [words for _, _, words in drawing.key]
    assert words == ["pdrr", "flower", "somebody", "memory floor"]


def test_passes_are_seconds_by_those_of_one_pass():
    drawing = performance.in_passes(made(), 50, 100_000)
    (ax,) = axes(drawing)
    assert [glyph for glyph, _, _ in drawing.key] == ["●", "▲", "✕", "━"]
    assert ax.get_xscale() == "log"
    assert [label.get_text() for label in ax.get_yticklabels()] == ["PDRR for Krum", "median"]
    assert drawn(ax)[look("pdrr")] == [pytest.approx([10, 1]), pytest.approx([10, 0])]
    assert drawn(ax)[look("flower")] == [pytest.approx([100, 1]), pytest.approx([100, 0])]


def test_the_table_has_two_runs_side_by_side():
    parts = {"your run": made(), "recorded": made(seconds=2e-7, names=("pdrr",))}
    table = performance.times_table(parts, 50, 100_000)
    note = "<br><small>a note</small>"
    row = table.data.loc[f"median: flower{note}"]
    assert row["your run", "seconds"] == "5.00<br><small>2.50–10.0</small>"
    assert row["your run", "passes"] == "100"
    assert row["recorded", "seconds"] == "–"
    assert row["results", "agree"] == "yes"
    assert table.data.loc[f"median: pdrr{note}"]["recorded", "seconds"].startswith("1.00<br>")
    assert table.data.index[0] == f"one pass: numpy{note}"
    assert "your run: k = 50, d = 100,000; recorded: k = 50, d = 100,000." in table.caption


def test_the_reader_s_run_goes_before_the_recorded_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made().save(performance.RECORDED, performance.STEM)
    assert list(performance.available()) == ["recorded"]
    made().save(performance.OWN, performance.STEM)
    parts = performance.available()
    assert list(parts) == ["your run", "recorded"]
    assert performance.caption(parts).splitlines() == [
        f"{name}: a processor, 2 cores, 2 threads, kernels on, 2026-01-02" for name in parts
    ]
    assert performance.origin_table(parts).data["your run"]["copying memory"] == "host 9.5 GB/s"


def test_the_summary_has_the_largest_size_of_each_k():
    text = performance.summary(made())
    assert "k = 10, d = 100,000" in text
    assert "k = 50, d = 100,000" in text
    assert "d = 1,000\n" not in text
    assert text.endswith("1 cases were skipped; the table says why")


def test_the_check_of_the_records_leaves_the_benchmark_alone(tmp_path):
    made().save(tmp_path / "bench", performance.STEM)
    with pytest.raises(ValueError, match="no records in"):
        regenerate.recomputed(tmp_path)
