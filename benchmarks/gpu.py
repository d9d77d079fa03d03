"""What a machine with a GPU tells, section by section: one JSON line a result.

python -m benchmarks.gpu OUT [--dry] [--only SECTION ...]

`benchmarks/gpu.sh` calls it on a bare machine. Each section is a process of its own with its own
time: what fails or hangs is a line that says so, and the others go on. Lines lie in OUT/gpu.jsonl
as soon as they are known; `python -m benchmarks.gpu_record` takes them to the book's records.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

LIMITS = {  # seconds of each section: together under five minutes
    "machine": 15,
    "tests": 75,
    "kernels": 75,
    "attacks": 25,
    "training": 50,
    "federation": 50,
}
DRY_LIMIT = 600  # where what is tried is the script, on whatever machine
STEM = "gpu.jsonl"
ROOT = Path(__file__).parents[1]


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="benchmarks/gpu.sh", description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder for gpu.jsonl")
    parser.add_argument("--dry", action="store_true", help="small sizes, without a GPU")
    parser.add_argument("--only", nargs="+", choices=LIMITS, default=list(LIMITS))
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> int:
    """Run the sections; 1 if one of them failed."""
    given = arguments(words)
    origin = {"commit": commit(), "device": "unknown"}
    failed = []
    given.out.mkdir(parents=True, exist_ok=True)
    with (
        open(given.out / STEM, "w", encoding="utf-8") as file,
        tempfile.TemporaryDirectory() as cache,  # for this run alone: nothing is found there
    ):
        for section in dict.fromkeys(["machine", *given.only]):
            started, wrong = time.monotonic(), ""
            limit = DRY_LIMIT if given.dry else LIMITS[section]
            for found in results(section, limit, Path(cache), dry=given.dry):
                wrong = found.get("failed", wrong)
                if section == "machine":
                    origin["device"] = found.get("device", "unknown")
                write(file, {"section": section, **found, **origin})
            seconds = round(time.monotonic() - started, 1)
            write(file, {"section": section, "done": not wrong, "s": seconds, **origin})
            if wrong:
                failed.append(section)
    print(f"wrote {given.out / STEM}", file=sys.stderr)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return bool(failed)


def write(file: TextIO, values: dict[str, Any]) -> None:
    """One line, on disk and on standard output at once."""
    line = json.dumps(values)
    print(line, flush=True)
    file.write(line + "\n")
    file.flush()


def results(
    section: str, limit: float, cache: Path, *, dry: bool = False
) -> Iterator[dict[str, Any]]:
    """What a section says, line by line; the last is ``{"failed": why}`` if it did not end well."""
    words = [sys.executable, "-m", "benchmarks.gpu_sections", section, *(["--dry"] * dry)]
    with subprocess.Popen(
        words,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PDRR_CACHE": str(cache)},
        start_new_session=True,  # so that its own children end with it
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        said: list[str] = []
        errors = threading.Thread(target=_relay, args=(child.stderr, said), daemon=True)
        errors.start()
        late = threading.Event()
        timer = threading.Timer(limit, _end, (child, late))
        timer.start()
        try:
            for line in child.stdout:
                if line.startswith("{"):
                    yield json.loads(line)
                else:
                    sys.stderr.write(line)
            code = child.wait()
        finally:
            timer.cancel()
            _end(child, threading.Event())
        errors.join(timeout=5)
    if late.is_set():
        yield {"failed": f"stopped after {limit:g} s"}
    elif code:
        last = next((line.strip() for line in reversed(said) if line.strip()), "no word")
        yield {"failed": f"exit code {code}: {last}"}


def _relay(stream: TextIO, said: list[str]) -> None:
    for line in stream:
        said.append(line)
        sys.stderr.write(line)


def _end(child: subprocess.Popen[str], late: threading.Event) -> None:
    """End a section and all that it started, if it still runs."""
    if child.poll() is None:
        late.set()
        os.killpg(child.pid, signal.SIGKILL)


def commit() -> str:
    """The commit that is measured: ``PDRR_COMMIT``, or git's word, or "unknown"."""
    if said := os.environ.get("PDRR_COMMIT"):
        return said
    words = ["git", "-C", str(ROOT), "rev-parse", "--short=12", "HEAD"]
    try:
        done = subprocess.run(words, capture_output=True, text=True)
    except FileNotFoundError:
        return "unknown"
    return done.stdout.strip() or "unknown"


if __name__ == "__main__":
    sys.exit(main())
