"""Note what a result depends on besides the sources: python scripts/inputs.py FILE VARIABLE...

FILE gets the values of the environment variables and, where one names a file or folder, the names,
sizes and times of all files in it. It is written only if that has changed, so that make sees from
its age whether what was made before still holds.
"""

import os
import sys
from pathlib import Path


def described(value: str) -> list[str]:
    """A value, and the files behind it."""
    path = Path(value)
    if not value or not path.exists():
        return [value]
    inside = sorted(path.rglob("*")) if path.is_dir() else [path]
    told = [(each, each.stat()) for each in inside if each.is_file()]
    return [value, *(f"{each} {stat.st_size} {stat.st_mtime_ns}" for each, stat in told)]


target = Path(sys.argv[1])
lines = [line for name in sys.argv[2:] for line in (name, *described(os.environ.get(name, "")))]
text = "\n".join(lines) + "\n"
if not target.exists() or target.read_bytes() != os.fsencode(text):
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(os.fsencode(text))
