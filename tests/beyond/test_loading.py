"""Files of methods: found in their folders, and refused in one line if they are none."""

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
    (folder / "both.py").write_text(METHOD)
    assert list(beyond.attacks())[-1] == "one"
    assert list(beyond.rivals())[-1] == "Two"
    assert beyond.own_rivals() == ("Two",)


def test_a_file_that_changes_is_read_again(folder):
    file = folder / "both.py"
    for name in ("Two", "Three"):
        file.write_text(METHOD.replace("Two", name))
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
    (folder / "toy.py").write_text(text)
    with pytest.raises(ValueError, match=re.escape(message)):
        beyond.attacks()


def test_a_folder_that_is_none_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("PDRR_METHODS", str(tmp_path / "nowhere"))
    with pytest.raises(ValueError, match="PDRR_METHODS needs to be a folder, got .*nowhere"):
        beyond.rivals()


def test_who_imports_a_method_first_finds_the_others_all_the_same():
    code = """
from pdrr.beyond.attacks.alie import alie
from pdrr.beyond.rivals.multi_krum import MultiKrum
from pdrr import beyond
assert "alie" in beyond.attacks() and "Multi-Krum" in beyond.rivals()
"""
    subprocess.run([sys.executable, "-c", code], check=True)
