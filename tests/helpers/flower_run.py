"""Flower run for real: processes with a home and ports of their own, all ended at the end."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
APP = ROOT / "examples" / "flower"
BIN = Path(sys.executable).parent
TRIES = 4
PATIENCE = 420  # seconds for one run on a machine that is busy


def free_port():
    """A port that nobody listened on a moment ago."""
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return asked.getsockname()[1]


class Flower:
    """One home for a SuperLink, its nodes and its runs; Linux only, for its /proc.

    Every process that is started, by us or by those, has FLWR_HOME in its environment: by that, and
    by nothing else, they are found and ended.
    """

    def __init__(self):
        self.home = Path(tempfile.mkdtemp(prefix="flwr"))  # Ray's sockets want a short path
        self.started = []
        hidden = self.home / "hidden"
        hidden.mkdir()
        # Flower's simulation loads TensorFlow where it is installed, for ten seconds a process
        error = "raise ModuleNotFoundError('hidden from this test', name='tensorflow')\n"
        (hidden / "tensorflow.py").write_text(error, encoding="utf-8")
        (self.home / "t").mkdir()
        self.env = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("FLWR_", "PYTEST_"))},
            "FLWR_HOME": str(self.home / "flwr"),
            "FLWR_TELEMETRY_ENABLED": "0",
            "FLWR_DISABLE_UPDATE_CHECK": "1",
            "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
            "FLWR_LOCAL_SUPERLINK_HTTP_API_PORT": str(free_port()),
            "NO_COLOR": "1",
            "COLUMNS": "200",
            "PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}",
            "PYTHONPATH": f"{hidden}{os.pathsep}{ROOT}",
            "RAY_USAGE_STATS_ENABLED": "0",
            "TMPDIR": str(self.home / "t"),
        }

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for sign in (signal.SIGCONT, signal.SIGTERM, signal.SIGKILL):
            self._signal(sign)
            deadline = time.monotonic() + 10
            while sign != signal.SIGCONT and self.processes() and time.monotonic() < deadline:
                time.sleep(0.2)
        assert not self.processes()
        for process in self.started:
            process.wait(10)
        shutil.rmtree(self.home)

    def processes(self):
        """The processes of this home that still run."""
        mark, found = f"FLWR_HOME={self.env['FLWR_HOME']}".encode(), []
        for folder in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if folder.name.isdigit() and mark in (folder / "environ").read_bytes().split(b"\0"):
                    found.append(int(folder.name))
        return found

    def _signal(self, sign):
        for process in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, sign)

    def start(self, name, *words):
        """A command in a group of its own; what it prints goes to a file."""
        with (self.home / f"{name}.log").open("wb") as log:
            started = subprocess.Popen(
                words, env=self.env, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
                cwd=self.home,
            )  # fmt: skip
        self.started.append(started)
        return started

    def log(self, name):
        """What a command has printed."""
        text = (self.home / f"{name}.log").read_text("utf-8", errors="replace")
        return re.sub(r"\x1b\[\d*m", "", text)

    def run(self, name, where=(), supernodes=None, **config):
        """Start `flwr run` with some of the app's settings."""
        told = " ".join(
            f'{key.replace("_", "-")}="{value}"' if isinstance(value, str | Path)
            else f"{key.replace('_', '-')}={value}"
            for key, value in config.items()
        )  # fmt: skip
        simulated = ["--federation-config", f"num-supernodes={supernodes}"] if supernodes else []
        words = ["flwr", "run", str(APP), *where, "--stream", *simulated, "--run-config", told]
        return self.start(name, *words)

    def simulate(self, name, **config):
        """A whole simulation: its status. Again where Ray did not start within its 30 seconds."""
        for _ in range(TRIES):
            self.ended(self.run(name, **config), name)
            if "timed out during startup" not in self.log(name):
                break
        return self.runs()[0]["status"]

    def runs(self, *where):
        """What `flwr list` says, newest first; None where nobody answers."""
        done = subprocess.run(
            ["flwr", "list", *where, "--format", "json"],
            env=self.env, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        return json.loads(done.stdout).get("runs")

    def ended(self, process, name):
        """Wait for a command; its exit code, or an error with what it printed."""
        try:
            return process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(self.log(name)[-3000:]) from None


def lines(path):
    """The verdicts that a file holds so far."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def until(condition, seconds, why):
    """Wait until something is so; AssertionError with `why()` otherwise."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.2)
    raise AssertionError(why())
