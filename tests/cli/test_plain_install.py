"""`pip install .` without extras: the command works, or names the one extra that is missing."""

import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from helpers import made_up_models
from pdrr.cli import missing
from pdrr.cli.main import cli, main

ROOT = Path(__file__).parents[2]
ONLY_THE_BASE = """
import sys
from importlib.machinery import BuiltinImporter, FrozenImporter, PathFinder

KNOWN = {"array_api_compat", "click", "numpy", "pdrr", "tqdm", *sys.stdlib_module_names}

class Finder(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        known = name.partition(".")[0] in KNOWN or name.startswith("_sysconfigdata")
        return super().find_spec(name, path, target) if known else None

sys.meta_path[:] = [BuiltinImporter, FrozenImporter, Finder]
"""
WORK = {"detect", "aggregate"}
NEEDS = {
    ("run", "fig04"): "experiments",
    ("page", "fig04", "out.ipynb"): "docs",
    ("record", "fig02", "--profile", "smoke"): "experiments",
    ("check", "--no-run"): "experiments",
    ("status", "notebooks"): "docs",
    ("settings",): "experiments",
    ("data", "--profile", "smoke"): "experiments",
    ("assignments",): "docs",
    ("reference", "poison_it", "out.ipynb"): "docs",
    ("grade", "submissions"): "docs",
}


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """Run `pdrr` where only the base dependencies can be imported."""
    folder = tmp_path_factory.mktemp("plain")
    (folder / "sitecustomize.py").write_text(ONLY_THE_BASE, "utf-8")
    paths = os.pathsep.join([str(folder), str(ROOT)])

    def call(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "pdrr", *arguments],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": paths},
            capture_output=True,
            text=True,
            check=False,
        )

    return call


@pytest.mark.parametrize(
    "words", [("--version",), ("--help",), *((c, "--help") for c in cli.commands)]
)
def test_help_needs_the_base_only(plain, words):
    done = plain(*words)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


def test_every_command_is_tried_below():
    assert {words[0] for words in NEEDS} | WORK == set(cli.commands)


@pytest.mark.parametrize("suffix", made_up_models.FORMATS)
def test_models_from_files_need_the_base_only(plain, suffix, tmp_path):
    folder, previous = map(str, made_up_models.write_round(tmp_path, suffix))
    same = ("--rule", "median", folder, "--previous", previous)
    found = plain("detect", *same, "--plot")
    assert (found.returncode, found.stderr) == (1, "")
    assert "3 of 10 flagged" in found.stdout
    target = tmp_path / f"new{suffix}"
    made = plain("aggregate", *same, "--detector", "improved", "--out", str(target))
    assert (made.returncode, made.stderr) == (0, "")
    assert made_up_models.load(target).keys() == made_up_models.load(Path(previous)).keys()


def test_a_figure_of_the_scores_names_the_extra_that_is_missing_before_anything_is_read(plain):
    done = plain("detect", "--rule", "median", "nowhere", "--previous", "median",
                 "--figure", "scores.png")  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith("pip install '.[experiments]'\n")


@pytest.mark.parametrize(("words", "extra"), NEEDS.items(), ids=map(" ".join, NEEDS))
def test_a_command_names_the_extra_that_is_missing(plain, words, extra):
    done = plain(*words)
    assert (done.returncode, done.stdout) == (2, "")
    wanted = rf"pdrr: this needs \w+, which is not here: pip install '\.\[{extra}\]'\n"
    assert re.fullmatch(wanted, done.stderr), done.stderr


@pytest.mark.parametrize(
    ("module", "extra"),
    [
        ("numba", "kernels"),
        ("llvmlite.binding", "kernels"),
        ("keras", "experiments"),
        ("yaml", "experiments"),
        ("PIL.Image", "experiments"),
        ("matplotlib.pyplot", "experiments"),
        ("bs4", "docs"),
        ("nbformat", "docs"),
        ("jupyter_client", "coursework"),
        ("zmq", "coursework"),
        ("IPython", "coursework"),
        ("cupy", "gpu"),
    ],
)
def test_a_library_is_found_under_the_name_of_its_package(module, extra):
    library = module.partition(".")[0]
    assert missing.advice(module) == (
        f"this needs {library}, which is not here: pip install '.[{extra}]'"
    )


def test_a_library_that_no_extra_brings_is_named():
    unknown = "this needs absl, which is not here and which no extra of pdrr brings"
    assert missing.advice("absl.logging") == unknown


def test_without_the_package_s_metadata_all_extras_are_named(monkeypatch):
    def gone(_name):
        raise metadata.PackageNotFoundError("pdrr")

    monkeypatch.setattr(metadata, "requires", gone)
    assert missing.advice("yaml").endswith("pip install '.[experiments,docs,coursework]'")


def test_a_missing_module_of_ours_is_a_fault_of_ours(monkeypatch):
    def broken(*_arguments, **_options):
        raise ModuleNotFoundError("No module named 'pdrr.nowhere'", name="pdrr.nowhere")

    monkeypatch.setattr(cli.commands["settings"], "callback", broken)
    with pytest.raises(ModuleNotFoundError):
        main(["settings"])
