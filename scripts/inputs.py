"""Note what a result depends on: python scripts/inputs.py FILE WORD...

A WORD with a slash is a file or folder, any other a variable of the environment. FILE gets their
values and, of files and of all files in folders, the names, sizes and times. It is written only if
that has changed, so that make sees from its age whether what was made before still holds: also
where a file was put back that is older than what was made of another one.
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
    told = [
        (each, each.stat()) for each in inside if each.is_file() and "__pycache__" not in each.parts
    ]
    return [value, *(f"{each} {stat.st_size} {stat.st_mtime_ns}" for each, stat in told)]


target = Path(sys.argv[1])
lines = []
for word in sys.argv[2:]:
    lines += described(word) if "/" in word else [word, *described(os.environ.get(word, ""))]
text = "\n".join(lines) + "\n"
if not target.exists() or target.read_bytes() != os.fsencode(text):
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(os.fsencode(text))
