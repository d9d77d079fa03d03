"""A checkout whose book has a page of each kind, for trials of what a machine may do to it."""

import hashlib
import os
import shutil
import subprocess
import sys
import uuid
from collections import Counter
from pathlib import Path

import nbformat

from pdrr.core.files import listed

ROOT = Path(__file__).parents[2]
STEMS = ("fig01",)
TOC = (
    "format: jb-book\nroot: index\nparts:\n  - caption: The paper, re-run\n    chapters:\n"
    + "".join(f"      - file: notebooks/{stem}\n" for stem in STEMS)
)
TRIALS: Counter[str] = Counter()
"""Trials by what was done to a machine, for whoever counts."""
MARK = "PDRR_TRIAL"
"""A variable that everything started for a trial inherits."""


class Checkout:
    """A checkout, and what runs in it."""

    def __init__(self, top: Path, cache: Path | None = None) -> None:
        self.top, self.mark, self.cache = top, uuid.uuid4().hex, cache or top / "build/cache"
        unwanted = shutil.ignore_patterns("__pycache__")
        for folder in ("pdrr", "scripts", "book/_ext", "book/_static", "book/records"):
            shutil.copytree(ROOT / folder, top / folder, ignore=unwanted)
        (top / "notebooks/coursework").mkdir(parents=True)
        names = [f"notebooks/{stem}.ipynb" for stem in STEMS]
        names += ["notebooks/coursework/poison_it.ipynb", "book/references.bib"]
        names += [
            "_config.yml",
            "CHANGELOG.md",
            "Makefile",
            "requirements.lock",
            "pyproject.toml",
            "CITATION.cff",
        ]
        for name in names:
            shutil.copy(ROOT / name, top / name)
        page = "# A book\n\n```{include} _outputs/seconds.md\n```\n"
        (top / "book/index.md").write_text(page, "utf-8")
        (top / "book/_extra").mkdir()
        (top / "book/_toc.yml").write_text(TOC, "utf-8")
        (top / ".venv").mkdir()
        for part in Path(sys.prefix).iterdir():
            if part.name != ".ready":
                (top / ".venv" / part.name).symlink_to(part)
        (top / ".venv/.ready").write_text(f"{top.resolve()}\n", "utf-8")

    def environment(self, **more: str) -> dict[str, str]:
        """What a run sees: nothing of the tests' own, and the mark of the trial."""
        taken = ("PDRR_", "MAKE", "MFLAGS", "PYTEST", "KERAS", "PROFILE", "DATA", "ARGS")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(taken)}
        own = {MARK: self.mark, "PYTHONPATH": str(self.top), "PDRR_CACHE": str(self.cache)}
        own["PDRR_KERNELS"] = "off"  # each checkout would compile its own
        return {**kept, **own, **more}

    def start(self, *words: str, **more: str) -> subprocess.Popen:
        """Start a command in a process group of its own."""
        return subprocess.Popen(
            words or ("make", "book", "PROFILE=smoke"),
            cwd=self.top,
            env=self.environment(**more),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *words: str, **more: str) -> tuple[int, str]:
        """Run a command (`make book` of the smoke profile): its exit code, and what it said."""
        with self.start(*words, **more) as process:
            said = process.communicate(timeout=900)[0]
        return process.returncode, said

    def alive(self) -> list[int]:
        """The processes of this trial that are at work."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                own = f"{MARK}={self.mark}".encode() in (folder / "environ").read_bytes()
                if (
                    own
                    and (folder / "stat").read_text("utf-8").rpartition(")")[2].split()[0] != "Z"
                ):
                    found.append(int(folder.name))
            except OSError:  # it has just ended
                continue
        return found

    def made(self) -> dict[str, str]:
        """What a run leaves, by name: numbers and pictures of the pages, arrays, the site's files.

        Seconds and dates are left out.
        """
        found = {}
        for path in listed(self.top / "build/pages/smoke", "*.ipynb"):
            for i, cell in enumerate(nbformat.read(path, as_version=4).cells):
                if cell.cell_type == "code" and "provenance" not in cell.source:
                    found[f"{path.stem} {i}"] = _hash(repr(shown(cell)).encode())
        for path in sorted(self.cache.rglob("*.npy")):
            found[str(path.relative_to(self.cache))] = _hash(path.read_bytes())
        site = self.top / "build/site/_build/html"
        pages = sorted(site.rglob("*.html"))
        return found | {str(path.relative_to(site)): "whole" for path in pages if _whole(path)}


def shown(cell: nbformat.NotebookNode) -> list[str]:
    """The outputs of a cell."""
    data = [out.get("data", {"text/plain": out.get("text", "")}) for out in cell.outputs]
    return [f"{kind}: {value}" for each in data for kind, value in sorted(each.items())]


def _whole(path: Path) -> bool:
    return path.read_text("utf-8").rstrip().endswith("</html>")


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
