"""PDRR in NVIDIA FLARE: the aggregator on made-up replies, and a job of eight sites for real."""

import contextlib
import doctest
import json
import os
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("nvflare", reason="NVIDIA FLARE is not installed: pip install '.[flare]'")

import psutil
from nvflare.apis.fl_context import FLContext
from nvflare.app_common.abstract.fl_model import FLModel, ParamsType
from nvflare.app_common.abstract.model import make_model_learnable
from nvflare.app_common.app_constant import AppConstants

import pdrr
import pdrr.flare.aggregator
from pdrr.flare import PDRRAggregator

ROOT = Path(__file__).parents[2]
SENT = {"w": np.zeros((3, 40), np.float32), "b": np.ones(5, np.float32), "seen": np.array(10)}


def honest(site):
    rng = np.random.default_rng(site)
    model = {name: rng.normal(0.05, 0.1, SENT[name].shape) for name in ("w", "b")}
    return {**{name: (SENT[name] + step).astype("f4") for name, step in model.items()},
            "seen": np.array(10 + site)}  # fmt: skip


def hostile(site):
    return {"w": SENT["w"] - 0.5 - site / 100, "b": SENT["b"] - 0.5 - site / 100,
            "seen": np.array(2**62)}  # fmt: skip


@pytest.fixture
def make():
    """An aggregator in a round whose global model was sent."""

    def made(rule="median", **settings):
        settings = settings or {"q": 0.71}
        aggregator, context = PDRRAggregator(rule, **settings), FLContext()
        learnable = make_model_learnable(weights=SENT, meta_props={})
        context.set_prop(AppConstants.GLOBAL_MODEL, learnable, private=True, sticky=False)
        aggregator.fl_ctx = context
        return aggregator

    return made


def reply(aggregator, site, params, kind=ParamsType.FULL, **more):
    aggregator.accept_model(
        FLModel(params=params, params_type=kind, meta={"client_name": f"site-{site}"}, **more)
    )


def filled(aggregator, bad=3, k=8):
    for site in reversed(range(1, k + 1)):  # in whatever order they arrive
        params = hostile(site) if site <= bad else honest(site)
        reply(aggregator, site, params, metrics={"accuracy": site / 10})
    return aggregator


def vector(model):
    return np.concatenate([model["w"].ravel(), model["b"]])


def test_attackers_are_flagged_by_name_and_the_rest_is_aggregated(make):
    aggregator = filled(make())
    model = aggregator.aggregate_model()
    (verdict,) = aggregator.verdicts
    assert verdict.flagged == ("site-1", "site-2", "site-3")
    clients = np.stack([vector(hostile(s) if s <= 3 else honest(s)) for s in range(1, 9)])
    wanted, _ = pdrr.PDRR("median", q=0.71).aggregate(pdrr.Round(clients, vector(SENT)))
    np.testing.assert_array_equal(vector(model.params), wanted)
    assert (model.params["w"].shape, model.params["w"].dtype) == ((3, 40), np.float32)
    assert model.params["seen"] == 16  # of 14 to 18
    assert model.metrics == {"accuracy": pytest.approx(0.6)}
    assert model.params_type == ParamsType.FULL


def test_differences_are_aggregated_as_differences(make):
    aggregator, whole = make(), filled(make()).aggregate_model()
    for site in range(1, 9):
        params = hostile(site) if site <= 3 else honest(site)
        steps = {name: params[name] - SENT[name] for name in params}
        reply(aggregator, site, steps, ParamsType.DIFF)
    model = aggregator.aggregate_model()
    assert model.params_type == ParamsType.DIFF
    assert aggregator.verdicts[0].flagged == ("site-1", "site-2", "site-3")
    for name in SENT:
        np.testing.assert_allclose(SENT[name] + model.params[name], whole.params[name], atol=1e-6)


HOSTILE = {
    "other keys": ({"v": SENT["w"]}, "needs 3 arrays as sent"),
    "a shape": ({**SENT, "w": np.zeros((40, 3), "f4")}, "array 'w' needs shape"),
    "text": ({**SENT, "w": np.full((3, 40), "x")}, "array 'w' needs float32"),
    "objects": ({**SENT, "w": np.full((3, 40), None)}, "array 'w' needs float32"),
    "no arrays": ({**SENT, "w": "x"}, "needs arrays, got str"),
    "a list": ([1.0, 2.0], "no attribute"),
    "counters as floats": ({**SENT, "seen": np.array(1.5)}, "array 'seen' needs int64"),
    "NaN": ({**SENT, "w": SENT["w"] + np.nan}, "holds NaN or infinite values"),
    "too large": ({**SENT, "w": np.full((3, 40), 1e300)}, "holds NaN or infinite values"),
}


@pytest.mark.parametrize(("params", "why"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_reply_ends_in_a_flag_and_a_finite_model(params, why, make):
    aggregator = make()
    for site in range(1, 9):
        reply(aggregator, site, params if site == 5 else honest(site))
    model = aggregator.aggregate_model()
    (verdict,) = aggregator.verdicts
    assert "site-5" in verdict.flagged
    assert why in verdict.refused["site-5"]
    assert np.isfinite(vector(model.params)).all()
    assert model.params["seen"] in range(11, 19)
    assert {name: a.shape for name, a in model.params.items()} == {
        n: a.shape for n, a in SENT.items()
    }
    assert json.loads(verdict.line())["nodes"][4] == "site-5"


def test_who_sends_differences_where_most_send_models_is_refused(make):
    aggregator = make()
    for site in range(1, 9):
        kind = ParamsType.DIFF if site == 2 else ParamsType.FULL
        reply(aggregator, site, honest(site), kind)
    aggregator.aggregate_model()
    assert "site-2" in aggregator.verdicts[0].refused


def test_who_replies_twice_is_refused(make):
    aggregator = filled(make(), bad=0)
    reply(aggregator, 4, honest(5))
    aggregator.aggregate_model()
    assert aggregator.verdicts[0].refused == {"site-4": "needs to reply once, got two replies"}


def test_too_few_models_leave_the_global_one(make):
    aggregator = make("krum", c=1, q=0.5)
    reply(aggregator, 1, honest(1))
    model = aggregator.aggregate_model()
    np.testing.assert_array_equal(vector(model.params), vector(SENT))
    assert aggregator.verdicts[0].flagged == ()


def test_rounds_start_anew(make):
    aggregator = filled(make())
    aggregator.aggregate_model()
    aggregator.reset_stats()
    filled(aggregator, bad=0, k=6).aggregate_model()
    assert [len(verdict.nodes) for verdict in aggregator.verdicts] == [8, 6]


def test_the_improved_detector_takes_no_q(make):
    aggregator = filled(make("trimmed_mean", beta=3, detector="improved"))
    assert aggregator.aggregate_model().params["seen"] < 2**62
    with pytest.raises(TypeError, match="needs q, or a detector in its place, got both"):
        PDRRAggregator("median", q=0.5, detector="improved")
    with pytest.raises(ValueError, match="needs a detector of paper, improved"):
        PDRRAggregator("median", q=0.5, detector="best")


def end(process):
    """End a process and all that it started: sites are sessions of their own."""
    found = psutil.Process(process.pid)
    for each in [*found.children(recursive=True), found]:
        with contextlib.suppress(psutil.NoSuchProcess):
            each.kill()
    process.communicate()


def job(folder):
    """Standard output of the example; None where the simulator lost a site and waits for ever."""
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "examples" / "flare" / "job.py"), "--threads", "4"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        printed, _ = process.communicate(timeout=240)
    except subprocess.TimeoutExpired:
        end(process)
        return None
    assert process.returncode == 0, printed[-2000:]
    return printed


def test_a_python_that_the_simulator_cannot_start_is_refused_in_a_line(monkeypatch, capsys):
    path = ROOT / "examples" / "flare" / "job.py"
    monkeypatch.setattr(sys, "executable", "/a folder/bin/python")
    monkeypatch.setattr(sys, "argv", [str(path)])
    monkeypatch.syspath_prepend(path.parent)  # as `python job.py` has it
    with pytest.raises(SystemExit):
        runpy.run_path(str(path), run_name="__main__")
    assert "needs a Python without spaces in its path, got /a folder" in capsys.readouterr().err


@pytest.mark.skipif(
    shlex.split(sys.executable) != [sys.executable], reason="FLARE's simulator splits Python's path"
)
def test_a_job_of_eight_sites_flags_the_three_and_only_them(tmp_path):
    for trial in ("first", "second"):  # two sites may have been given one port
        (tmp_path / trial).mkdir()
        printed = job(tmp_path / trial)
        if printed is not None:
            break
    assert printed is not None, "the simulator hung twice"
    verdicts = tmp_path / trial / "workspace" / "verdicts.jsonl"
    lines = verdicts.read_text("utf-8").splitlines()
    assert len(lines) == 3
    for line in map(json.loads, lines):
        assert len(line["nodes"]) == 8
        assert line["flagged"] == ["site-1", "site-2", "site-3"]
        assert (line["refused"], line["notes"]) == ({}, [])
    assert [line for line in printed.splitlines() if line in lines] == lines


def test_the_example_of_the_docstring_runs():
    assert doctest.testmod(pdrr.flare.aggregator).attempted
    assert not doctest.testmod(pdrr.flare.aggregator).failed
