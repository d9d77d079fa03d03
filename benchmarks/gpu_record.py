"""Take what `benchmarks/gpu.sh` wrote to the records that the performance page shows.

python -m benchmarks.gpu_record OUT/gpu.jsonl

Lines of the same device and commit are replaced, those of others stay.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from pdrr.book import gpu
from pdrr.core.files import atomic


def main(words: Sequence[str] | None = None) -> None:
    """Read the new lines, put them behind the recorded ones, write all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, help="gpu.jsonl as benchmarks/gpu.sh wrote it")
    parser.add_argument("--folder", type=Path, default=gpu.RECORDED, help="book/records/bench")
    given = parser.parse_args(words)
    try:
        count = keep(given.file, given.folder)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    print(f"{count} lines in {given.folder / gpu.FILE}")


def keep(file: Path, folder: Path) -> int:
    """Merge a run into the records of a folder; the number of lines that there are then.

    Raises
    ------
    ValueError
        For a file that is no such run, or a dry one.
    """
    new = gpu.read(file)
    if not any("ms" in line for line in new):
        raise ValueError(f"{file} needs at least one time, got none")
    runs = {gpu.run_of(line) for line in new}
    if any(device == gpu.DRY for _, device in runs):
        raise ValueError(f"{file} needs to come from a GPU, got a dry run")
    there = folder / gpu.FILE
    kept = gpu.read(there) if there.exists() else []
    lines = [line for line in kept if gpu.run_of(line) not in runs] + new
    with atomic(there) as path:
        path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    return len(lines)


if __name__ == "__main__":
    main()
