"""What is refused before a run: settings that do not go together, Flower that is not there."""

import subprocess
import sys
from pathlib import Path

import pytest

from pdrr.flower import PDRR

ROOT = Path(__file__).parents[2]


def test_it_is_told_to_configure_first():
    with pytest.raises(RuntimeError, match="needs configure_train before"):
        PDRR("median", q=0.7).aggregate_train(1, [])


def test_its_own_settings_and_those_of_fedavg_are_checked_at_once(tmp_path):
    with pytest.raises(TypeError, match="needs beta, got none"):
        PDRR("trimmed_mean", q=0.9)
    with pytest.raises(TypeError, match="fraction_of"):
        PDRR("median", q=0.9, fraction_of=1)
    with pytest.raises(ValueError, match="a file in a folder"):
        PDRR("median", q=0.9, verdicts_path=tmp_path)


def test_without_flower_one_line_says_what_to_install():
    code = "import sys; sys.modules['flwr'] = None; import pdrr.flower"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False
    )
    last = done.stderr.strip().splitlines()[-1]
    assert last == (
        "ModuleNotFoundError: pdrr.flower needs Flower 1.30 or newer: pip install 'pdrr[flower]'"
    )
