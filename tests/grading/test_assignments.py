"""The three assignments, graded as a class is: who knows all, who knows nothing, who errs."""

from pathlib import Path

import nbformat
import pandas as pd
import pytest

from helpers.classic_mistakes import MISTAKES
from helpers.made_up_class import erring, hand_in, honest
from helpers.tiny_assignment import hidden_lines
from pdrr.cli.main import main
from pdrr.grading import assignments
from pdrr.grading.assignments import MARKERS

ROOT = Path(__file__).parents[2]
NAMES = ("robust_aggregation", "poison_it", "find_the_poisoner")


@pytest.fixture(scope="module")
def works():
    return assignments.read(ROOT / "notebooks" / "coursework")


@pytest.fixture(scope="module")
def scripts(works):
    return [script for work in works.values() for script in [*honest(work), *erring(work)]]


@pytest.fixture(scope="module")
def marks(works, scripts, tmp_path_factory):
    """The table that grading the class writes: from the command line, with its defaults."""
    top = tmp_path_factory.mktemp("class")
    for script in scripts:
        hand_in(top / "in", script, works[script.assignment])
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as end:
        patch.chdir(ROOT)
        main(["grade", str(top / "in"), "--out", str(top / "out")])
    assert end.value.code == 0
    table = pd.read_csv(top / "out" / "marks.csv", keep_default_na=False)
    return table.set_index(["student", "assignment", "cell"])


def test_there_are_three_assignments(works):
    assert set(works) == set(NAMES)
    for work in works.values():
        assert sum(work.points.values()) > 0
        assert set(work.solutions) == {
            assignments.mark(cell, "grade_id")
            for cell in work.student.cells
            if assignments.mark(cell, "solution")
        }


@pytest.mark.parametrize("name", NAMES)
def test_nothing_hidden_is_handed_out_or_put_into_the_book(works, name, tmp_path):
    assignments.stage(works, tmp_path)
    hidden = hidden_lines(works[name].source)
    assert len(hidden) > len(MARKERS) + 10
    paths = sorted(tmp_path.rglob(f"{name}.ipynb"))
    assert [path.relative_to(tmp_path).parts[0] for path in paths] == ["assignments", "notebooks"]
    for path in paths:
        text = "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells)
        assert not [line for line in hidden if line in text]


def test_every_classic_mistake_is_made(scripts):
    made = [name for script in scripts for name in script.messages]
    assert sorted(made) == sorted(mistake.name for mistake in MISTAKES)
    assert len(made) >= 8


@pytest.mark.parametrize("name", NAMES)
def test_marks_are_exact(marks, scripts, works, name):
    for script in scripts:
        if script.assignment == name:
            given = marks.loc[(script.student, name), "points"].to_dict()
            full = works[name].points
            expected = {cell: most - script.lost.get(cell, 0) for cell, most in full.items()}
            assert given == expected, script.student


@pytest.mark.parametrize("name", [mistake.name for mistake in MISTAKES])
def test_the_message_names_the_mistake(marks, scripts, name):
    (script,) = (script for script in scripts if name in script.messages)
    cells, words = script.messages[name]
    said = [marks.loc[(script.student, script.assignment, cell), "message"] for cell in cells]
    assert any(words in message for message in said), said
