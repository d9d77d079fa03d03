"""Every public docstring has an example, and each example prints what it says."""

import ast
import doctest
import inspect
import pkgutil
import re
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import pdrr
import pdrr.contracts
from helpers import miniature

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "book" / "reference.md").read_text("utf-8")
DIRECTIVES = re.findall(r"^\.\. auto(\w+):: (\S+)\n((?:   :.*\n)*)", PAGE, re.M)
LONG = 8  # lines of code that an example has at most
DOCSTRINGS = [
    (path, ast.get_docstring(node) or "")
    for path in sorted((ROOT / "pdrr").rglob("*.py"))
    for node in ast.walk(ast.parse(path.read_text("utf-8")))
    if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))
]


def documented():
    """Full names of what the reference page documents, with the members that it lists."""
    names = []
    for _, name, options in DIRECTIVES:
        names.append(name)
        members = re.search(r":members:(.*)", options)
        if members:
            names += [f"{name}.{member.strip()}" for member in members[1].split(",")]
    return names


NAMES = documented()


def docstring(name):
    return inspect.getdoc(pkgutil.resolve_name(name)) or ""


def example(text, name):
    """The example of a docstring; as NumPy's own, it takes the usual imports for granted."""
    given = {"__name__": "example", "np": np, "pdrr": pdrr}
    return doctest.DocTestParser().get_doctest(text, given, name, None, 0)


def check(test):
    complaints = []
    found = doctest.DocTestRunner().run(test, out=complaints.append)
    assert found.attempted
    assert not found.failed, "".join(complaints)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def _trains_once(cache, monkeypatch):
    """One cache of trained rounds and one compiled network for all examples."""
    monkeypatch.setenv("PDRR_CACHE", str(cache))
    monkeypatch.setattr("pdrr.federation.graph.GraphTrainer", miniature.trainer)


@pytest.mark.parametrize("name", NAMES)
def test_every_public_docstring_has_a_small_example(name):
    parts = example(docstring(name), name).examples
    assert any(part.want for part in parts), f"{name} shows nothing"
    assert sum(part.source.count("\n") for part in parts) <= LONG


@pytest.mark.usefixtures("_trains_once")
@pytest.mark.parametrize("name", NAMES)
def test_examples_print_what_they_say(name):
    check(example(docstring(name), name))


@pytest.mark.usefixtures("_trains_once")
def test_examples_that_are_not_on_the_page_print_what_they_say():
    on_the_page = {docstring(name) for name in NAMES}
    for path, text in DOCSTRINGS:
        if path.parent.name == "flare" and find_spec("nvflare") is None:
            continue  # an extra that the tests do without
        if ">>>" in text and text not in on_the_page:
            check(example(text, path.name))


def test_no_example_is_skipped():
    skipped = [path.name for path, text in DOCSTRINGS if "+SKIP" in text]
    assert not skipped


# the page


def test_every_directive_of_the_page_is_understood():
    assert len(DIRECTIVES) == len(re.findall(r"^\s*\.\. auto", PAGE, re.M)) > 50
    assert {kind for kind, _, _ in DIRECTIVES} == {"class", "function"}
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize("package", [pdrr, pdrr.contracts], ids=lambda package: package.__name__)
def test_the_page_documents_every_public_name(package):
    known = [pkgutil.resolve_name(name) for name in NAMES]
    for name in package.__all__:
        full, value = f"{package.__name__}.{name}", getattr(package, name)
        if isinstance(value, dict):  # told in words, and all that it holds is documented
            assert f"`{full}`" in PAGE, full
            assert all(entry in known for entry in value.values()), full
        else:
            assert full in NAMES, full
