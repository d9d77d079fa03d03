"""Files of methods: found in their folders, and refused in one line if they are none."""

import importlib
import re
import subprocess
import sys

import pytest

from pdrr import beyond

METHOD = """
from pdrr.methods import Attack, Scheme

ATTACK = Attack("one", "one", None, "nobody")
SCHEME = Scheme("Two", lambda server: None, axis="nothing", reference="nobody")
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("PDRR_METHODS", str(tmp_path))
    return tmp_path


def test_a_file_may_hold_an_attack_and_a_scheme(folder):
    (folder / "both.py").write_text(METHOD, "utf-8")
    assert list(beyond.all_attacks())[-1] == "one"
    assert list(beyond.all_rivals())[-1] == "Two"
    assert beyond.own_rivals() == ("Two",)


def test_methods_are_found_also_after_one_of_them_was_imported():
    code = "import pdrr.beyond.attacks.alie, pdrr.beyond.rivals.multi_krum; from pdrr import beyond"
    code += "; assert beyond.all_attacks(); assert beyond.all_rivals()"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_file_that_changes_is_read_again(folder):
    file = folder / "both.py"
    for name in ("Two", "Three"):
        file.write_text(METHOD.replace("Two", name), "utf-8")
        assert beyond.own_rivals() == (name,)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1", "toy.py needs to define ATTACK or SCHEME, got neither"),
        (
            METHOD.replace("axis=", 'needs=frozenset({"luck"}), axis='),
            "Two may need auxiliary",
        ),
        ("ATTACK = 3", "toy.py needs ATTACK to be a pdrr.methods.Attack, got int"),
    ],
)
def test_a_file_that_is_no_method_is_refused(folder, text, message):
    (folder / "toy.py").write_text(text, "utf-8")
    with pytest.raises(ValueError, match=re.escape(message)):
        beyond.all_attacks()


def test_a_folder_that_is_none_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("PDRR_METHODS", str(tmp_path / "nowhere"))
    with pytest.raises(ValueError, match="PDRR_METHODS needs to be a folder, got .*nowhere"):
        beyond.all_rivals()


def test_methods_are_still_found_after_one_was_imported_by_its_name():
    importlib.import_module("pdrr.beyond.rivals.multi_krum")
    importlib.import_module("pdrr.beyond.attacks.alie")
    assert "Multi-Krum" in beyond.all_rivals()
    assert beyond.all_attacks()
