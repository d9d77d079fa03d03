"""The page on models from files: what it tells a reader to type gives what it shows."""

import importlib.util
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "book" / "files.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.M | re.S)
PYTHON = [text for language, text in BLOCKS if language == "python"]


@pytest.fixture
def in_a_folder(tmp_path, monkeypatch):
    """The round that the page makes, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    exec(PYTHON[0], {})
    return tmp_path


def run(command):
    """Standard output of a command of the page; nothing may be said on standard error."""
    program, *words = shlex.split(command)
    assert program == "pdrr"
    done = subprocess.run(
        [sys.executable, "-m", "pdrr", *words], capture_output=True, text=True, check=False
    )
    assert (done.stderr, done.returncode in (0, 1)) == ("", True)
    return done.stdout


@pytest.mark.usefixtures("in_a_folder")
def test_commands_print_what_the_page_shows():
    shown = 0
    for (language, text), (following, output) in zip(BLOCKS, [*BLOCKS[1:], ("", "")], strict=True):
        if language == "bash":
            printed = run(text)
            if following == "output":
                shown += 1
                assert printed == output
    assert shown == 2


def test_keras_weights_go_to_a_file_and_back(tmp_path, monkeypatch):
    from pdrr.core.keras import keras

    monkeypatch.chdir(tmp_path)
    (tmp_path / "round").mkdir()
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.Dropout(0.5),
                              keras.layers.BatchNormalization()])  # fmt: skip
    before = [np.array(weights) for weights in model.get_weights()]
    (block,) = [text for text in PYTHON if "get_weights" in text]
    exec(block, {"model": model})
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    for client in range(3):
        np.savez(f"round/site-0{client}.npz", *[weights + client for weights in before])
    command = "aggregate --rule trimmed_mean --beta 1 --q 1 round --previous median --out new.npz"
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    run(f"pdrr {command}")
    with np.load("new.npz") as weights:
        model.set_weights([weights[f"arr_{place}"] for place in range(len(weights.files))])


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="needs PyTorch")
def test_a_state_dict_goes_to_a_file(tmp_path, monkeypatch):
    import torch

    from pdrr.files import rounds

    monkeypatch.chdir(tmp_path)
    (tmp_path / "round").mkdir()
    (block,) = [text for text in PYTHON if "state_dict" in text]
    exec(block, {"model": torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))})
    found = rounds.describe(tmp_path / "round" / "site-07.safetensors")
    assert {entry.key for entry in found.entries if not entry.real} == {"1.num_batches_tracked"}


def test_formats_and_hints_of_the_page_are_those_of_the_code():
    from pdrr.files import rounds

    assert re.findall(r"^\| `(\.\w+)` \|", PAGE, re.M) == list(rounds.FORMATS)
    told = re.search(r"Files of (.*?) are not read", PAGE)[1]
    assert set(re.findall(r"`(\.\w+)`", told)) <= set(rounds.HINTS)
