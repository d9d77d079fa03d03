"""Parameters that end in an error are refused before anything is trained or loaded."""

from pathlib import Path

import papermill
import pytest

from pdrr import data
from pdrr.book import contents, notebooks
from pdrr.cli.main import main
from pdrr.experiments.trial import refuse_wrong
from pdrr.federation.graph import GraphTrainer

ROOT = Path(__file__).parents[2]

WHICH = {"profile": "quick", "data": "glyphs", "seed": 1}
DEFENDED = ["krum", "trimmed_mean", "median"]
WRONG = [
    ({"knowledge": "Full"}, "knowledge needs to be of full, partial, got 'Full'"),
    ({"q": float("nan")}, "needs q in"),
    ({"q": 2.0}, "needs q in"),
    ({"c": 49}, "needs c >= 0 and k >= c"),
    ({"c": 0}, "greater than or equal to 1"),
    ({"c": 60}, "below federation.k=50"),
    ({"k": 2}, "greater than or equal to 3"),
    ({"noise": "gauss"}, "'ball' or 'coordinate'"),
    ({"epsilon": -1.0}, "attack.epsilon"),
    ({"epsilon": float("inf")}, "attack.epsilon"),
    ({"beta": 30}, "needs 0 <= 2"),
    ({"beta": -1}, "defense.beta"),
    ({"number": 0}, "a run needs number >= 1, got 0"),
    ({"last": -3}, "a run needs last >= 1"),
    ({"repeats": 0}, "a run needs repeats >= 1"),
    ({"seed": -1}, "seed"),
    ({"learning_rate": 0.0}, "training.learning_rate"),
    ({"attack": "poison"}, "attack needs to be of none, krum"),
    ({"profile": "huge"}, "profile needs to be one of smoke, quick, paper"),
    ({"data": "nowhere.npz"}, "nowhere.npz: no such file or folder"),
    ({"data": __file__}, "data needs"),
]


pytestmark = pytest.mark.usefixtures("nothing_is_done")


@pytest.fixture
def nothing_is_done(monkeypatch):
    """Training and loading are errors."""

    def refuse(*_arguments, **_options):
        raise AssertionError("something was trained or loaded")

    monkeypatch.setattr(GraphTrainer, "train", refuse)
    monkeypatch.setattr(data, "load", refuse)


@pytest.mark.parametrize(("wrong", "words"), WRONG, ids=lambda value: str(value)[:30])
def test_what_the_functions_refuse_is_refused_at_once(wrong, words):
    with pytest.raises((ValueError, FileNotFoundError), match=words):
        refuse_wrong({**WHICH, **wrong}, DEFENDED)


@pytest.mark.parametrize("more", [{}, {"c": 10, "beta": 5, "q": 0.5, "knowledge": "full"}])
def test_what_they_take_is_taken(more):
    refuse_wrong({**WHICH, **more}, DEFENDED)
    refuse_wrong({**WHICH, **more, "rule": "mean", "attack": "none"})


@pytest.mark.parametrize("attack", ["alie", "label_flip", "none", "min_max"])
def test_every_attack_can_be_asked_for(attack):
    refuse_wrong({**WHICH, "attack": attack, "rule": "median", "number": 3})


@pytest.mark.parametrize("stem", contents.stems("sec4", ROOT / contents.TOC))
@pytest.mark.parametrize(
    "wrong", [("knowledge", "Full"), ("c", "49"), ("q", "nan"), ("number", "0")]
)
def test_no_notebook_of_the_paper_begins_with_a_wrong_parameter(
    monkeypatch, tmp_path, capsys, stem, wrong
):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("PDRR_CACHE", str(tmp_path / "cache"))
    name, _ = wrong
    known = papermill.inspect_notebook(str(notebooks.find(ROOT / "notebooks", stem)))
    if name not in known or (name == "c" and stem != "fig04"):  # only Krum needs more benign models
        pytest.skip("takes it")
    with pytest.raises(SystemExit) as ended:
        main(["run", stem, "--profile", "quick", "-p", *wrong, "--out", str(tmp_path / "out")])
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert told.startswith("pdrr: ")
    assert told.count("\n") == 1
    assert list((tmp_path / "out").iterdir()) == []


def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_computed(
    monkeypatch, tmp_path, capsys
):
    monkeypatch.chdir(ROOT)
    (tmp_path / "file").write_text("", "utf-8")
    with pytest.raises(SystemExit) as ended:
        main(["run", "fig04", "--out", str(tmp_path / "file")])
    assert ended.value.code == 2
    assert str(tmp_path / "file") in capsys.readouterr().err
