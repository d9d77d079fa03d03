"""Methods that are not in the paper: attacks and rival schemes, one file each.

A file in `attacks/` or `rivals/`, or in a folder that ``$PDRR_METHODS`` names, defines an entry
``ATTACK = pdrr.methods.Attack(...)`` or ``SCHEME = pdrr.methods.Scheme(...)``, or both; a tuple of
entries where one method has variants. Nothing else has to be told of it. Those in the reader's own
folder take part in every comparison.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from pdrr.methods import Attack, Scheme

HERE = Path(__file__).parent
ENTRIES = {"ATTACK": Attack, "SCHEME": Scheme}

for folder in ("attacks", "rivals"):  # imported later, they would take the names of functions below
    import_module(f"{__name__}.{folder}")


def attacks() -> dict[str, Attack]:
    """The attacks that are not in the paper, by name."""
    return {entry.name: entry for entry in _entries(files()) if isinstance(entry, Attack)}


def rivals() -> dict[str, Scheme]:
    """The schemes that are not in the paper, by name."""
    return {entry.name: entry for entry in _entries(files()) if isinstance(entry, Scheme)}


def own_rivals() -> tuple[str, ...]:
    """The names of the schemes in the reader's own folder."""
    return tuple(entry.name for entry in _entries(own_files()) if isinstance(entry, Scheme))


def files() -> list[Path]:
    """All files of methods, the package's first."""
    shipped = [*HERE.glob("attacks/*.py"), *HERE.glob("rivals/*.py")]
    return [*sorted(path for path in shipped if path.stem != "__init__"), *own_files()]


def own_files() -> list[Path]:
    """Those in the folder that ``$PDRR_METHODS`` names; ValueError if it is none."""
    folder = os.environ.get("PDRR_METHODS")
    if not folder:
        return []
    if not Path(folder).is_dir():
        raise ValueError(f"PDRR_METHODS needs to be a folder, got {folder!r}")
    return sorted(path.absolute() for path in Path(folder).glob("*.py"))


def _entries(paths: list[Path]) -> Iterator[Attack | Scheme]:
    for path in paths:
        yield from _loaded(path, path.stat().st_mtime_ns)


@cache
def _loaded(path: Path, _changed: int) -> tuple[Attack | Scheme, ...]:
    """The entries of a file; ValueError if it has none, or something else in their place."""
    shipped = HERE in path.parents
    name = f"pdrr.beyond.{path.parent.name}.{path.stem}" if shipped else f"pdrr_own.{path.stem}"
    spec = spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    found = {word: getattr(module, word) for word in ENTRIES if hasattr(module, word)}
    if not found:
        raise ValueError(f"{path} needs to define {' or '.join(ENTRIES)}, got neither")
    entries: list[Any] = []
    for word, value in found.items():
        for entry in value if isinstance(value, tuple) else (value,):
            if not isinstance(entry, ENTRIES[word]):
                raise ValueError(
                    f"{path} needs {word} to be a pdrr.methods.{ENTRIES[word].__name__},"
                    f" got {type(entry).__name__}"
                )
            entries.append(entry)
    return tuple(entries)
