"""Trouble with compiled code means slower, never no result; no bar costs a result."""

from __future__ import annotations

import errno
import importlib.util
import io
import subprocess
import sys

import numba as compiler
import numpy as np
import pytest

import pdrr
from pdrr.core import arrays
from pdrr.core.kernels import machine_code

TOY = """
from pdrr.core.kernels.machine_code import kernel


@kernel()
def twice(x):
    return 2 * x
"""


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A function that imports a module with a kernel anew, as a new process does."""
    monkeypatch.setattr(compiler.config, "CACHE_DIR", str(tmp_path / "cache"))
    path = tmp_path / "toy.py"
    path.write_text(TOY, "ascii")

    def anew():
        spec = importlib.util.spec_from_file_location("toy", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module.twice

    return anew


def turned(content, at):
    """With a bit turned."""
    at %= len(content)
    return content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :]


def kept(tmp_path, ending):
    (found,) = (tmp_path / "cache").rglob(f"*.{ending}")
    return found


def test_machine_code_is_kept_on_disk(toy):
    first, second = toy(), toy()
    assert first(21) == second(21) == 42
    assert (sum(first.stats.cache_hits.values()), sum(second.stats.cache_hits.values())) == (0, 1)


@pytest.mark.parametrize("ending", ["nbi", "nbc"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda old: old[:0],
        lambda old: old[:1],
        lambda old: old[: len(old) // 2],
        lambda old: old[:-1],
        lambda old: b"\0" * len(old),
        lambda old: b"not a pickle" + old,
        lambda old: old[:20] + b"\xff" * 20 + old[40:],
        lambda old: turned(old, len(old) // 3),
        lambda old: turned(old, max(0, old.find(b"ELF")) + 200),
        lambda old: turned(old, -1),
        lambda old: old + b"x",
    ],
)
def test_what_is_damaged_on_disk_is_compiled_again(toy, tmp_path, ending, damage):
    assert toy()(21) == 42
    path = kept(tmp_path, ending)
    path.write_bytes(damage(path.read_bytes()))
    assert toy()(21) == 42
    mended = toy()
    assert mended(21) == 42
    assert sum(mended.stats.cache_hits.values()) == 1


def test_a_full_disk_costs_no_result(toy, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(machine_code.FunctionCache, "save_overload", full)
    assert toy()(21) == 42


def test_other_versions_of_the_kernels_have_machine_code_of_their_own(toy, monkeypatch):
    assert toy()(21) == 42
    monkeypatch.setattr(machine_code, "SOURCES", "others")
    other = toy()
    assert other(21) == 42
    assert not other.stats.cache_hits


# bars


class Gone(io.StringIO):
    """A terminal that has gone away."""

    def isatty(self):
        return True

    def write(self, *_):
        raise OSError(errno.EIO, "Input/output error")

    flush = write


@pytest.mark.parametrize("kernels", ["on", "off"])
@pytest.mark.parametrize("kind", ["closed", "none", "gone"])
def test_a_screen_that_cannot_be_written_to_costs_no_result(kind, kernels, monkeypatch):
    closed = io.StringIO()
    closed.close()
    screen = {"closed": closed, "none": None, "gone": Gone()}[kind]
    monkeypatch.setenv("PDRR_KERNELS", kernels)
    bar = arrays.tqdm
    monkeypatch.setattr(arrays, "tqdm", lambda *a, **more: bar(*a, **more | {"delay": 0}))
    monkeypatch.setattr(sys, "stderr", screen)
    found = pdrr.median(np.ones((3, 2)))
    monkeypatch.undo()
    assert found.tolist() == [1, 1]


LATE = """
import sys, threading, time
import numpy as np
import pdrr

x = np.arange(7 * 300.0).reshape(7, 300) % 11
expected = pdrr.median(x)

def late():
    threading.main_thread().join()
    time.sleep(0.2)
    print((pdrr.median(x) == expected).all(), pdrr.mean(x).shape)

threading.Thread(target=late).start()
"""


def test_kernels_work_after_the_main_thread_has_ended():
    run = [sys.executable, "-c", LATE]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("True (300,)\n", "")
