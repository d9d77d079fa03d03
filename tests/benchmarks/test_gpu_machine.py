"""The script for a bare GPU machine runs from end to end without one, and its lines are read."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks import gpu as machine
from benchmarks import gpu_record, gpu_sections
from helpers.made_up import axes
from pdrr.book import gpu, performance, roofline
from pdrr.core.rules import DEFENDED
from pdrr.experiments.records import Records

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "benchmarks" / "gpu.sh"


def said(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def script(*words, **environment):
    return subprocess.run(
        [SCRIPT, *words],
        env={**os.environ, "PYTHON": sys.executable, **environment},
        capture_output=True,
        text=True,
    )


def test_the_script_runs_dry_from_end_to_end(tmp_path):
    done = script(tmp_path / "out", "--dry", PDRR_COMMIT="abc", PDRR_CACHE=str(tmp_path))
    assert done.returncode == 0, done.stderr
    lines = said(tmp_path / "out" / machine.STEM)
    assert [json.loads(line) for line in done.stdout.splitlines()] == lines
    assert all(gpu.run_of(line) == ("abc", gpu.DRY) for line in lines[1:])
    assert [line["section"] for line in lines if line.get("done")] == list(machine.LIMITS)
    versions = lines[0]["versions"]
    assert versions["numpy"] == np.__version__
    found = {name: [x for x in lines if x["section"] == name] for name in machine.LIMITS}
    assert found["tests"][0]["passed"] > 0 == found["tests"][0]["failed"]
    on = [x for x in found["kernels"] if x.get("kernels") == "on"]
    assert {(x["case"], x["k"]) for x in on} == {
        (rule, k) for rule in roofline.DRAWN for k in gpu_sections.DRY_SIZES
    }
    reads = {x["k"]: x["min_ms"] for x in found["kernels"] if x.get("case") == "read"}
    assert all(x["floors"] == pytest.approx(x["ms"] / reads[x["k"]], rel=0.01) for x in on)
    assert {x["attack"] for x in found["attacks"] if "ms" in x} == set(DEFENDED)
    trained = {x["what"]: x for x in found["training"] if "what" in x}
    assert {x["backend"] for x in trained.values()} == {"jax"}
    assert trained["a round of 10"]["step_ms"] > 0
    assert found["federation"][0]["s_a_round"] > 0
    with pytest.raises(ValueError, match="needs to come from a GPU, got a dry run"):
        gpu_record.keep(tmp_path / "out" / machine.STEM, tmp_path)
    assert not (tmp_path / gpu.FILE).exists()


def test_the_script_wants_a_folder_and_knows_its_options(tmp_path):
    for words, message in (((), "needs a folder"), ((tmp_path, "--fast"), "no option --fast")):
        done = script(*words)
        assert done.returncode == 2
        assert message in done.stderr


def sections(monkeypatch, tmp_path, code):
    """Let every section be a little program."""
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "gpu_sections.py").write_text(f"import sys, time\n{code}\n", "utf-8")
    monkeypatch.setattr(machine, "ROOT", tmp_path)
    monkeypatch.setenv("PDRR_COMMIT", "abc")


def test_a_section_that_fails_is_a_line_and_the_next_one_runs(tmp_path, monkeypatch, capsys):
    code = """
print('{"device": "a GPU"}' if sys.argv[1] == "machine" else '{"ms": 1}', flush=True)
print("not a result", flush=True)
if sys.argv[1] == "kernels": sys.exit("no such kernel")
"""
    sections(monkeypatch, tmp_path, code)
    assert machine.main([str(tmp_path / "out"), "--only", "kernels", "attacks"]) == 1
    lines = said(tmp_path / "out" / machine.STEM)
    about = {"commit": "abc", "device": "a GPU"}
    results = [x for x in lines if "done" not in x]
    assert results == [
        {"section": "machine", **about},
        {"section": "kernels", "ms": 1, **about},
        {"section": "kernels", "failed": "exit code 1: no such kernel", **about},
        {"section": "attacks", "ms": 1, **about},
    ]
    assert [x["done"] for x in lines if "done" in x] == [True, False, True]
    assert "failed: kernels" in capsys.readouterr().err


def test_a_section_that_hangs_is_ended_with_all_that_it_started(tmp_path, monkeypatch):
    code = """
import subprocess
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print('{"child": %d}' % child.pid, flush=True)
time.sleep(600)
"""
    sections(monkeypatch, tmp_path, code)
    first, last = machine.results("attacks", 5, tmp_path)
    assert last == {"failed": "stopped after 5 s"}
    state, until = Path(f"/proc/{first['child']}/stat"), time.monotonic() + 30
    while state.exists() and state.read_text(encoding="utf-8").split()[2] != "Z":
        assert time.monotonic() < until, "the child lives on"
        time.sleep(0.1)


def test_all_sections_together_take_less_than_five_minutes():
    assert sum(machine.LIMITS.values()) < 300
    assert set(machine.LIMITS) == set(gpu_sections.SECTIONS)


def test_without_a_device_the_sections_say_what_they_need():
    with pytest.raises(ValueError, match="needs CuPy and a CUDA device, got none"):
        gpu_sections.device(dry=False)


@pytest.mark.parametrize(("naps", "least", "counted"), [((0.3,), 5, 5), ((3.0,), 5, 1)])
def test_a_case_is_repeated_as_time_allows(monkeypatch, naps, least, counted):
    clock = iter(np.arange(1000) * naps[0])
    monkeypatch.setattr(gpu_sections.time, "perf_counter", lambda: next(clock))
    found = gpu_sections.timed(lambda: None, np, least)
    assert found == {"ms": 1e3 * naps[0], "min_ms": 1e3 * naps[0], "n": counted}


# records


def line(**more):
    return {"section": "kernels", "commit": "abc", "device": "a GPU", **more}


def written(path, *lines):
    path.write_text("".join(json.dumps(each) + "\n" for each in lines), "utf-8")
    return path


def test_a_new_run_replaces_that_of_its_device_and_commit(tmp_path):
    other = line(commit="old", case="mean", ms=9)
    written(tmp_path / gpu.FILE, line(case="mean", ms=3), other)
    new = written(tmp_path / "new.jsonl", line(case="mean", ms=2), line(case="krum", ms=4))
    assert gpu_record.keep(new, tmp_path) == 3
    assert gpu.read(tmp_path / gpu.FILE) == [other, *gpu.read(new)]
    assert gpu.latest(tmp_path) == gpu.read(new)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "in line 1: {"),
        ("[]", "in line 1"),
        ('{"section": "kernels", "commit": "a"}', "section, commit and device, got in line 1"),
        (json.dumps(line(failed="why")), "at least one time, got none"),
        ("", "at least one time, got none"),
    ],
)
def test_what_is_no_run_is_refused_and_nothing_is_written(tmp_path, text, message):
    (tmp_path / "new.jsonl").write_text(text, "utf-8")
    with pytest.raises(ValueError, match=message):
        gpu_record.keep(tmp_path / "new.jsonl", tmp_path)
    assert not (tmp_path / gpu.FILE).exists()
    with pytest.raises(SystemExit):
        gpu_record.main([str(tmp_path / "new.jsonl"), "--folder", str(tmp_path)])


LINES = [
    line(case="read", k=50, d=6_603_710, ms=0.3, min_ms=0.3, tb_s=4.4),
    line(case="median", k=50, d=6_603_710, kernels="on", ms=0.9, min_ms=0.9, floors=3.0),
    line(case="median", k=50, d=6_603_710, kernels="off", ms=9.0, min_ms=9.0, floors=30.0),
    line(case="PDRR median", k=50, d=6_603_710, kernels="on", ms=6.3, min_ms=6.0, floors=21.0),
    line(case="product", dtype="float32", tflop_s=50.0),
    line(section="attacks", attack="median", knowledge="full", k=50, d=6_603_710, ms=700.0),
    line(section="peers", case="krum", implementation="byzfl", k=50, d=6_603_710, ms=7.35),
    line(section="training", what="a round of 50", ms=160.0),
    line(section="federation", rule="median", detector="ERR and LFR", ms=99.0),
]


def test_a_table_has_milliseconds_reads_and_targets():
    table = gpu.kernels_table(LINES).data
    assert table.index.tolist() == ["one read of the stack", "median", "PDRR for the median"]
    assert table.loc["median", "k = 50"] == "0.900 ms<br><small>3.00 reads<br>target 2.5</small>"
    assert table.loc["one read of the stack", "k = 50"] == "0.300 ms<br><small>4.40 TB/s</small>"


def test_whatever_else_was_timed_is_named():
    assert gpu.others_table(LINES).data["ms"].to_dict() == {
        "attack on the median, full knowledge": "700",
        "Krum: byzfl": "7.35",
        "training: a round of 50": "160",
        "federation: ERR and LFR, median": "99.0",
    }


def bench():
    sizes = [
        ("pass", 0.05),
        *((f"PDRR {rule}", s) for rule, s in zip(DEFENDED, (0.3, 0.2, 0.21), strict=True)),
    ]
    sizes += [("median", 0.1)]
    rows = [["pdrr", rule, 50, 6_603_710, s, s, s, 3, s / 0.05, 7.0, "", ""] for rule, s in sizes]
    runs = pd.DataFrame([{"k": 50, "d": 6_603_710, "stack_mb": 1260.0, "pass_gb_s": 25.0}])
    origin = {"device": "a processor", "gflop_s": {"host": 200.0}}
    return Records(pd.DataFrame(rows, columns=performance.COLUMNS), runs, origin)


def test_the_paper_s_times_stand_beside_ours():
    table = roofline.papers_table({"recorded": bench()}, LINES).data
    row = table.loc["median"]
    assert row["paper, RTX 2080 Ti"] == "630 ms"
    assert row["recorded, a processor"] == "210 ms<br><small>3.0 times as fast</small>"
    assert row["recorded, a GPU at abc"] == "6.30 ms<br><small>100 times as fast</small>"
    assert table.loc["Krum", "recorded, a GPU at abc"] == "–"


def test_points_of_the_roofline_are_operations_by_bytes_and_by_seconds():
    rows = pd.DataFrame({"rule": ["mean", "krum"], "k": [4, 4], "d": [1000, 1000], "ms": [1.0, 2]})
    found = roofline.points(rows, "ms")
    assert found["intensity"].tolist() == [0.25, 1.25]  # an addition, five pairs of two, a value
    assert found["speed"].tolist() == [4 * 1000 / 1e-3, 20 * 1000 / 2e-3]


def test_the_roofline_has_both_limits_and_a_mark_for_each_rule():
    drawing = roofline.roofline(bench(), LINES)
    left, right = axes(drawing)
    assert ("◇", roofline.SKY, "PDRR for the median") in drawing.key
    assert left.get_title(loc="left") == "a processor"
    assert right.get_title(loc="left") == "a GPU at abc"
    for ax, memory, roof, marks in ((left, 25e9, 200e9, 4), (right, 4.4e12, 50e12, 2)):
        limits = ax.lines[0]
        x, y = limits.get_xdata(), limits.get_ydata()
        assert y == pytest.approx(np.minimum(memory * x, roof))
        assert len(ax.lines) == 1 + marks
        assert all((line.get_ydata() <= roof).all() for line in ax.lines[1:])
