"""Running cells one does not trust: in a process of their own, with limits on all they take.

The process may still read what its user may read: this is a fence against accidents and coarse
mischief, not a prison. Use a container where that is not enough.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from queue import Empty
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
import psutil
import zmq
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager
from nbformat import NotebookNode

import pdrr
from pdrr.grading.family import computed, end_family
from pdrr.grading.reading import whole

SLICE = 0.2  # seconds between two looks at the clock
PATIENCE = 4  # times its seconds that a cell may take where others keep it from computing
IDLE = 0.1  # of the time: a cell that computes less only waits
GRACE = 3  # seconds an interrupted cell has to stop
REPLY = 5  # seconds that the word on how a cell ended may take after its outputs
START = 60  # seconds a new process has to answer
MESSAGE = 16 << 20  # bytes of the largest message taken from the process
OUTPUT = 4 << 20  # characters of a cell's outputs, pictures included, that are kept
FILE = 64 << 20  # bytes of the largest file it may write
PASSED_ON = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
ALONE = ("unshare", "--user", "--map-current-user", "--net", "--pid", "--fork", "--kill-child")
SUBREAPER = 36  # of Linux's prctl


@dataclass(frozen=True)
class Limits:
    """What one submission may take.

    Attributes
    ----------
    cell : float
        Seconds for a cell; then it is interrupted, and its process ended if it goes on. On a busy
        machine those that it computes are counted, and it may take `PATIENCE` times as long.
    total : float
        Seconds for all cells together, repetitions after a lost process included.
    memory : float
        GiB of address space for each of its processes.
    printed : int
        Characters a cell may print.
    """

    cell: float = 30
    total: float = 300
    memory: float = 4
    printed: int = 100_000

    def __post_init__(self) -> None:
        """Refuse what no cell can live with."""
        if not (0 < self.cell <= self.total and self.memory >= 1 and self.printed >= 0):
            raise ValueError(
                "limits need 0 < cell <= total, memory >= 1 and printed >= 0, "
                f"got cell={self.cell:g}, total={self.total:g}, memory={self.memory:g}, "
                f"printed={self.printed}"
            )


@cache
def alone() -> tuple[str, ...]:
    """The command that takes network and sight of other processes away; () where it cannot."""
    try:
        done = subprocess.run(
            [*ALONE, "true"], stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=20
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return ()
    return () if done.returncode else ALONE


def confine(limits: Limits) -> None:
    """Put the limits on this process and all it will start; adopt what outlives its parent."""
    amounts = {resource.RLIMIT_FSIZE: FILE, resource.RLIMIT_CORE: 0}
    if sys.platform != "darwin":  # which refuses it
        amounts[resource.RLIMIT_AS] = int(limits.memory * 2**30)
    for kind, amount in amounts.items():
        _, hard = resource.getrlimit(kind)
        amount = amount if hard == resource.RLIM_INFINITY else min(amount, hard)
        resource.setrlimit(kind, (amount, amount))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)


def failure(name: str, message: str) -> NotebookNode:
    """An output that says why a cell failed."""
    output: NotebookNode = nbformat.v4.new_output(
        "error", ename=name, evalue=message, traceback=[f"{name}: {message}"]
    )
    return output


def run(cells: Sequence[NotebookNode], limits: Limits) -> None:
    """Execute code cells in order and set their outputs.

    A cell that fails leaves the next ones to run. A cell that takes too long is interrupted and
    ends with an error; its process is kept. If it does not stop, or ends the process, a new process
    repeats the cells that had come to their end, without touching their outputs, and goes on after
    the one that did not.
    """
    deadline = time.monotonic() + limits.total
    with TemporaryDirectory(prefix="pdrr-") as room:
        kernel = Kernel(Path(room), limits, deadline)
        try:
            finished: list[NotebookNode] = []
            for cell in cells:
                if not kernel.running:
                    finished = _repeat(kernel, finished)
                cell.outputs, completed = kernel.execute(cell.source)
                if completed:
                    finished.append(cell)
        finally:
            kernel.end()
            end_family(psutil.Process(), itself=False)  # also what did not come to run
            kernel.context.destroy(linger=0)


def _repeat(kernel: Kernel, cells: Sequence[NotebookNode]) -> list[NotebookNode]:
    """Start a process and run cells in it; those that it survives are returned."""
    kernel.start()
    kept: list[NotebookNode] = []
    for cell in cells:
        _, completed = kernel.execute(cell.source)
        if completed:
            kept.append(cell)
        elif not kernel.running:
            return _repeat(kernel, [*kept, *cells[len(kept) + 1 :]])
    return kept


class Kernel:
    """A Python process that executes cells, in a folder of its own.

    Parameters
    ----------
    room : path
        An empty folder: its working folder, home and place for temporary files lie there.
    limits : Limits
    deadline : float
        Of `time.monotonic`; afterwards nothing is executed any more.
    """

    def __init__(self, room: Path, limits: Limits, deadline: float) -> None:
        self.room = room
        self.limits = limits
        self.deadline = deadline
        self.running = False
        self.context = zmq.Context()
        self.context.setsockopt(zmq.MAXMSGSIZE, MESSAGE)  # a longer one is refused unread

    def start(self) -> None:
        """Start the process; it begins with the brakes of `pdrr.grading.guard`."""
        if time.monotonic() > self.deadline:
            return
        spec, home = self.room / "kernels" / "submission", self.room / "home"
        for folder in (spec, home):
            folder.mkdir(parents=True, exist_ok=True)
        argv = [sys.executable, "-m", "pdrr.grading.guard", str(self.limits.printed)]
        argv += ["-f", "{connection_file}"]
        content = {"argv": [*alone(), *argv], "display_name": "Python 3", "language": "python"}
        (spec / "kernel.json").write_text(json.dumps(content), "utf-8")
        self._manager = KernelManager(
            kernel_name="submission",
            kernel_spec_manager=KernelSpecManager(kernel_dirs=[str(spec.parent)]),
            transport="ipc",  # no port that others could reach or take
            ip=str(self.room / "socket"),
            connection_file=str(self.room / "connection.json"),
            context=self.context,
        )
        environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        importable = [str(Path(pdrr.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, importable))
        own = dict.fromkeys(("HOME", "TMPDIR", "IPYTHONDIR", "PDRR_CACHE"), str(home))
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        self._manager.start_kernel(
            cwd=str(home),
            env={**environment, **own, **threads, "PDRR_KERNELS": "off"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._client: BlockingKernelClient = self._manager.client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=START)
        self.running = True

    def execute(self, source: str) -> tuple[list[NotebookNode], bool]:
        """Run one cell: its outputs, and whether it came to its end in time.

        An error of its own is an end. Otherwise the last output says what happened, and `running`
        whether the process is still there.
        """
        if not self.running:
            return [failure("TimeOut", f"not run: {self.limits.total:g} s were over")], False
        sent = self._client.execute(source, allow_stdin=False, stop_on_error=False)
        outputs: list[NotebookNode] = []
        size = 0
        late = ""
        seconds = self.limits.cell
        began, before = time.monotonic(), computed()
        end = min(began + seconds, self.deadline)
        while True:
            try:
                message = self._client.get_iopub_msg(timeout=SLICE)
            except Empty:
                if not self._manager.is_alive():
                    self.end()
                    return [*outputs, failure("ProcessDied", DIED)], False
            else:
                if message["parent_header"].get("msg_id") == sent:
                    if _is_end(message):
                        break
                    size += _collect(message, outputs, size)
            if not late and size > OUTPUT:
                late, end = f"stopped: its output was over {OUTPUT:,} characters", 0.0
            now = time.monotonic()
            if not late and end < now < self.deadline:
                more = _owed(seconds, now - began, computed() - before)
                end = min(end + more, self.deadline)
            if now > end:
                if late and end:
                    self.end()
                    return [*outputs, failure("TimeOut", f"{late}; it did not stop")], False
                late = late or f"stopped after {seconds:g} s"
                self._manager.interrupt_kernel()
                end = now + GRACE
        if not late and not any(out.output_type == "error" for out in outputs):
            outputs += self._unsaid(sent)
        if late:
            outputs = [out for out in outputs if out.get("ename") != "KeyboardInterrupt"]
            outputs.append(failure("TimeOut", late))
        return outputs, not late

    def _unsaid(self, sent: str) -> list[NotebookNode]:
        """The error of a cell that ended in one without saying so among its outputs."""
        end = time.monotonic() + REPLY
        while (left := end - time.monotonic()) > 0:
            try:
                message = self._client.get_shell_msg(timeout=left)
            except Empty:
                break
            if message["parent_header"].get("msg_id") == sent:
                content = message["content"]
                if content.get("status") == "ok":
                    return []
                return [failure(_text(content.get("ename")), _text(content.get("evalue")))]
        return [failure("RuntimeError", "its process did not say how the cell ended")]

    def end(self) -> None:
        """End the process and all it has started."""
        if not self.running:
            return
        self.running = False
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)
        end_family(psutil.Process(), itself=False)


def _owed(seconds: float, waited: float, computed: float) -> float:
    """Seconds more for a cell that has computed less than its `seconds`; 0 if it is to blame."""
    if computed < IDLE * waited:
        return 0
    return max(min(seconds - computed, PATIENCE * seconds - waited), 0)


DIED = "the cell ended its Python process: it took too much memory, crashed or called os._exit"


def _is_end(message: dict[str, Any]) -> bool:
    state = message["content"].get("execution_state")
    return message["msg_type"] == "status" and bool(state == "idle")


def _collect(message: dict[str, Any], outputs: list[NotebookNode], size: int) -> int:
    """Append a message's output unless the outputs are full already; its characters."""
    if message["msg_type"] not in ("stream", "error", "display_data", "execute_result"):
        return 0
    length = len(json.dumps(message["content"]))
    if size + length <= OUTPUT:
        new = _as_output(message)
        if new is None:
            return length
        last = outputs[-1] if outputs else {}
        if new.output_type == "stream" and new.name == last.get("name"):
            outputs[-1].text += new.text
        else:
            outputs.append(new)
    return length


def _as_output(message: dict[str, Any]) -> NotebookNode | None:
    """A message as an output of text and pictures; None if it is malformed."""
    content = message["content"]
    kept: NotebookNode
    if message["msg_type"] == "stream":
        name = "stderr" if content.get("name") == "stderr" else "stdout"
        kept = nbformat.v4.new_output("stream", name=name, text=_text(content.get("text")))
    elif message["msg_type"] == "error":
        name, said = _text(content.get("ename")), _text(content.get("evalue"))
        kept = nbformat.v4.new_output("error", ename=name, evalue=said, traceback=[])
        lines = content.get("traceback")
        kept.traceback = [_text(line) for line in lines] if isinstance(lines, list) else []
    else:
        data = content.get("data")
        if not isinstance(data, dict):
            return None
        shown = {kind: whole(text) for kind, text in data.items() if isinstance(text, str)}
        kept = nbformat.v4.new_output(message["msg_type"], data=shown)
    return kept


def _text(found: object) -> str:
    return whole(found) if isinstance(found, str) else ""
