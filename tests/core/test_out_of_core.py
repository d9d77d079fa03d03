"""Stacks that lie on disk: bounded memory, same results."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from benchmarks import out_of_core
from pdrr import Round
from pdrr.book import performance, stages

K, D = 120, 150_000  # 72 MB, 144 MB as float64

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="only Linux tells private memory from file pages"
)


@pytest.fixture(scope="module")
def mapped(tmp_path_factory):
    path = tmp_path_factory.mktemp("large") / "stack"
    out_of_core.fill(path, K, D)
    return Round(np.memmap(path, np.float32, "r", shape=(K, D)), np.zeros(D, np.float32))


def arrays(result):
    """The arrays of a model, or of a model and a detection."""
    model, *rest = result if isinstance(result, tuple) else (result,)
    return [model, *(getattr(found, name) for found in rest for name in ("statistic", "flagged"))]


@pytest.mark.parametrize("kernels", ["on", "off"])
@pytest.mark.parametrize(
    "name",
    [
        "mean",
        "trimmed_mean",
        "median",
        "krum",
        "bulyan",
        "PDRR krum",
        "PDRR trimmed_mean",
        "PDRR median",
    ],
)
def test_memory_stays_bounded_and_the_result_is_that_in_memory(mapped, monkeypatch, name, kernels):
    monkeypatch.setenv("PDRR_KERNELS", kernels)
    job = out_of_core.jobs(24)[name]
    job(Round(mapped.clients[:, :1000], mapped.previous[:1000]))  # compiles, starts threads
    with out_of_core.Peak() as peak:
        found = job(mapped)
    assert peak.extra_mb < 60  # a stack of its own would be 72
    expected = job(Round(np.array(mapped.clients), mapped.previous))
    for one, other in zip(arrays(found), arrays(expected), strict=True):
        assert one.tobytes() == other.tobytes()


def test_the_watch_sees_memory_that_comes_and_goes():
    with out_of_core.Peak() as peak:
        block = np.ones(12_500_000)  # 100 MB
        out_of_core.time.sleep(0.05)
        del block
    assert 90 < peak.extra_mb < 130


def test_the_script_prints_and_keeps_a_row_for_each(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(performance, "OWN", tmp_path / "bench")
    monkeypatch.setattr(sys, "argv", ["x", str(tmp_path / "stack"), "--k", "23", "--d", "50"])
    out_of_core.main()
    printed = capsys.readouterr().out
    assert all(f"\n{name} " in printed for name in out_of_core.jobs(2))
    shown = stages.stages_table(out_of_core.PART, (tmp_path / "bench",))
    assert len(shown.data) == len(out_of_core.jobs(2))
    assert shown.caption.startswith("k = 23, d = 50: a file of 0.0 GB; ")
    assert " MB beside it" in shown.to_html()
    monkeypatch.setattr(sys, "argv", ["x", str(tmp_path / "stack"), "--k", "23", "--d", "51"])
    with pytest.raises(SystemExit):
        out_of_core.main()
    assert "needs 4,692 bytes for [k, d], got 4,600" in capsys.readouterr().err
