"""Records kept on disk, keyed by settings, data and code."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from pdrr import beyond
from pdrr.core.backend import backend
from pdrr.core.files import listed
from pdrr.experiments.records import Records
from pdrr.experiments.scene import dataset, settings
from pdrr.federation.precision import precision
from pdrr.federation.store import Store

PACKAGE = Path(__file__).parents[1]
SHOWN = ("claims", "book", "classroom", "grading", "contracts", "cli")  # what only looks at numbers


def cached(
    experiment: Callable[..., Records], options: Mapping[str, Any], store: Store | None = None
) -> Records:
    """The records of one experiment, run only if the cache does not have them.

    `options` name at least profile, source and seed. The key holds the code as well: a change of
    the package runs everything again.
    """
    store = store or Store()
    chosen = settings(options["profile"], options["source"], options["seed"])
    key = {
        "experiment": f"{experiment.__module__}.{experiment.__qualname__}",
        "options": {name: value for name, value in options.items() if name != "source"},
        "settings": {**chosen.as_dict(), "data": dataset(chosen, store).sha256},
        "backend": backend(),
        "code": code_digest(),
        **({"precision": precision()} if precision() != "float32" else {}),
    }
    folder = store.folder("records", key)
    seal = folder / "sha256.json"  # of the files of a run that is whole
    if not (store.has(seal) and store.load_json(seal) == _sums(folder)):
        experiment(**options, store=store).save(folder, "run")
        store.save_json(seal, _sums(folder))
    return Records.load(folder, "run")


def _sums(folder: Path) -> dict[str, str]:
    """SHA-256 of a cached run's files, those that are there."""
    paths = listed(folder, "run.*")
    return {path.name: sha256(path.read_bytes()).hexdigest() for path in paths}


def code_digest() -> str:
    """SHA-256 of the code that the numbers depend on.

    The package's is read once: an edit while a recording runs must not file results under code
    that did not make them. Comments, docstrings and layout do not count.
    """
    own = [path.read_text("utf-8") for path in beyond.own_files()]
    return sha256("\n".join([_package_digest(), *map(_statements, own)]).encode()).hexdigest()


@cache
def _package_digest() -> str:
    texts = [(path.suffix, path.read_text("utf-8")) for path in code_files()]
    sources = [_statements(text) if kind == ".py" else text for kind, text in texts]
    return sha256("\n".join(sources).encode()).hexdigest()


def code_files() -> list[Path]:
    """All code of the package but that in the folders that only look at numbers.

    Folders are named that are left out, not those that count: a new file is never forgotten.
    """
    return [
        path
        for path in sorted(PACKAGE.rglob("*"))
        if path.suffix in (".py", ".cu", ".cuh") and path.relative_to(PACKAGE).parts[0] not in SHOWN
    ]


def _statements(source: str) -> str:
    """What a module does, in one form however it is laid out and described."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(
            node
        ):
            node.body = node.body[1:]
    return ast.dump(tree)
