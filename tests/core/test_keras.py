"""Keras comes without the lines that TensorFlow writes while it starts; nothing else is lost."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pdrr.core.keras import LEVEL, without_start_up_lines

ROOT = Path(__file__).parents[2]
NOISE = (
    b"WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\n",
    b"I0000 00:00:1795690261.837770   20286 port.cc:153] oneDNN custom operations are on.\n",
    b"E0000 00:00:1795690265.349904   20286 cuda_platform.cc:52] failed call to cuInit\n",
    b"2026-01-02 03:04:05.678901: I tensorflow/core/platform/cpu_feature_guard.cc:182] This\n",
    b"To enable the following instructions: AVX2 FMA, in other operations, rebuild TensorFlow\n",
)
WORD = b"some.py:12: DeprecationWarning: I0000 is no more\n"

TRAINING = """
from dataclasses import asdict

import numpy as np
from pdrr.config import load
from pdrr.federation.training import LocalTrainer

chosen = load("smoke")
trainer = LocalTrainer(**asdict(chosen.model), **asdict(chosen.training), seed=1)
x = np.zeros((5, 28, 28, 1), np.float32)
model = trainer.train(trainer.initial, x, np.arange(5), np.random.default_rng(1))
trainer.logits(model, x)
"""


SEVERAL = """
import numpy as np
from pdrr.core.keras import keras

for _ in range(6):
    network = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(1)])
    network.predict_on_batch(np.zeros((1, 1)))
"""


@pytest.fixture
def level(monkeypatch):
    """As where nobody has asked for anything."""
    monkeypatch.setenv(LEVEL, "3")
    monkeypatch.delenv(LEVEL)


def shown(capfd):
    return capfd.readouterr().err.encode()


@pytest.mark.parametrize("code", [TRAINING, SEVERAL], ids=["training", "several networks"])
def test_importing_and_using_keras_writes_nothing_to_standard_error(code):
    unset = {name: value for name, value in os.environ.items() if name != LEVEL}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=unset, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_keras_can_be_imported_where_standard_error_is_closed():
    code = "from pdrr.core.keras import keras; print(keras.__name__)"
    done = subprocess.run(
        ["sh", "-c", f"exec '{sys.executable}' -c '{code}' 2>&-"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, b"keras\n")


@pytest.mark.usefixtures("level")
def test_start_up_lines_are_kept_off_and_others_are_shown(capfd):
    with without_start_up_lines():
        for line in (*NOISE[:2], WORD, *NOISE[2:]):
            os.write(2, line)
        assert shown(capfd) == b""
    assert shown(capfd) == WORD
    os.write(2, NOISE[0])
    assert shown(capfd) == NOISE[0]


@pytest.mark.usefixtures("level")
def test_a_failing_import_shows_what_was_written(capfd):
    with pytest.raises(ModuleNotFoundError), without_start_up_lines():
        os.write(2, NOISE[0] + WORD)
        raise ModuleNotFoundError("no tensorflow")
    assert shown(capfd) == NOISE[0] + WORD


@pytest.mark.usefixtures("level")
def test_an_interrupted_import_stays_quiet(capfd):
    with pytest.raises(KeyboardInterrupt), without_start_up_lines():
        os.write(2, NOISE[0])
        raise KeyboardInterrupt
    assert shown(capfd) == b""


def test_who_asks_for_tensorflow_s_log_gets_it(capfd, monkeypatch):
    monkeypatch.setenv(LEVEL, "0")
    with without_start_up_lines():
        os.write(2, NOISE[0])
    assert shown(capfd) == NOISE[0]


@pytest.mark.usefixtures("level")
def test_python_s_own_standard_error_may_be_another_one(capsys):
    with without_start_up_lines():
        print("for somebody who listens", file=sys.stderr)
    assert capsys.readouterr().err == "for somebody who listens\n"
    assert os.environ[LEVEL] == "3"


@pytest.mark.usefixtures("level")
def test_no_descriptor_is_left_open():
    before = os.listdir("/dev/fd")
    with without_start_up_lines():
        pass
    assert os.listdir("/dev/fd") == before
