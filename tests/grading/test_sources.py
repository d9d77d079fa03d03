"""The coursework's sources: whole, explained, and worth what the pages say; marks without nbgrader.

Here the cells run in this process, one after the other. That nbgrader's own steps and a class of
submissions come to the same marks is tested with the machinery.
"""

import ast
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest

from helpers.classic_mistakes import MISTAKES
from pdrr import PDRR
from pdrr.classroom import contest
from pdrr.core.directions import middle_direction

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "notebooks" / "coursework"
NAMES = ("robust_aggregation", "poison_it", "find_the_poisoner")  # in the order of the course
PAGE = (ROOT / "book" / "instructors.md").read_text("utf-8")
BLANK = "# YOUR CODE HERE\nraise NotImplementedError()"
SOLUTION = re.compile(r"^( *)### BEGIN SOLUTION\n.*?### END SOLUTION", re.S | re.M)
HIDDEN = re.compile(r"^ *### BEGIN HIDDEN TESTS\n.*?### END HIDDEN TESTS", re.S | re.M)


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


def read(name):
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def code(name):
    return [cell for cell in read(name).cells if cell.cell_type == "code"]


def grade_id(cell):
    return cell.metadata.nbgrader.grade_id


def answers(name):
    return [cell for cell in code(name) if cell.metadata.nbgrader.solution]


def checks(name):
    return [cell for cell in code(name) if cell.metadata.nbgrader.grade]


def points(name):
    return {grade_id(cell): cell.metadata.nbgrader.points for cell in checks(name)}


def student(source):
    """A cell as it is handed out."""

    def blank(found):
        return "\n".join(found[1] + line for line in BLANK.split("\n"))

    return HIDDEN.sub("", SOLUTION.sub(blank, source))


# as they lie in the repository


def test_sources_are_valid_and_hold_no_results(name):
    notebook = read(name)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    assert notebook.cells[0].source.startswith("# Assignment")
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)
    for cell in code(name):
        assert cell.outputs == []
        assert cell.execution_count is None


def test_there_are_no_other_sources():
    assert {path.stem for path in FOLDER.glob("*.ipynb")} == set(NAMES)


def test_cells_say_what_they_are(name):
    ids = [grade_id(cell) for cell in code(name)]
    assert len(set(ids)) == len(ids)
    assert not any("nbgrader" in c.metadata for c in read(name).cells if c.cell_type == "markdown")
    for cell in code(name):
        mark = cell.metadata.nbgrader
        kind = (mark.grade, mark.solution, mark.locked)
        assert kind in {(True, False, True), (False, True, False), (False, False, True)}
        assert (mark.schema_version, mark.task) == (3, False)
        assert ("points" in mark) == mark.grade
        assert grade_id(cell).startswith("test-") == mark.grade


def test_points_add_up(name):
    assert sum(points(name).values()) == 20
    assert all(value >= 1 for value in points(name).values())
    assert "**20 points" in read(name).cells[0].source


def test_markers_are_balanced(name):
    for cell in read(name).cells:
        for marker in ("SOLUTION", "HIDDEN TESTS"):
            begins, ends = (cell.source.count(f"### {w} {marker}") for w in ("BEGIN", "END"))
            assert begins == ends <= 1
        if cell.cell_type == "code":
            assert ("BEGIN SOLUTION" in cell.source) == cell.metadata.nbgrader.solution
            assert "HIDDEN TESTS" not in cell.source or cell.metadata.nbgrader.grade


def test_the_student_s_version_has_no_answer_and_says_where_a_check_is(name):
    handed_out = "\n".join(student(cell.source) for cell in read(name).cells)
    assert not re.findall(r"### (BEGIN|END)", handed_out)
    for cell in answers(name):
        for line in SOLUTION.search(cell.source)[0].split("\n")[1:-1]:
            assert len(line) < 30 or line not in handed_out, line
    for cell in checks(name):
        assert student(cell.source).strip(), "a check that is hidden says that it is there"


def held_out():
    """Seeds of the classrooms that count."""
    (cell,) = [cell for cell in checks("find_the_poisoner") if grade_id(cell) == "test-contest"]
    listed = re.search(r"seeds=\(([\d, ]+)\)", HIDDEN.search(cell.source)[0])[1]
    return [int(seed) for seed in listed.split(", ")]


def test_held_out_rounds_stay_hidden():
    seeds = held_out()
    assert len(set(seeds)) == 3
    assert min(seeds) > 10_000, "too small: found by trying"
    handed_out = "\n".join(student(cell.source) for cell in read("find_the_poisoner").cells)
    shown = {int(number) for number in re.findall(r"\d+", handed_out)} | set(contest.SEEDS)
    assert not set(seeds) & shown


def test_the_text_states_the_steps_of_the_contest():
    text = "\n".join(cell.source for cell in read("find_the_poisoner").cells)
    for letter, steps in (("E", contest.EVASION_STEPS), ("D", contest.DETECTION_STEPS)):
        assert f"| ${letter}$ at least | " + " | ".join(map(str, steps)) + " |" in text
    assert max(points("find_the_poisoner").values()) == len(contest.EVASION_STEPS)


def test_no_cell_needs_more_than_numpy_and_this_package(name):
    for cell in code(name):
        imported = re.findall(r"^(?:from|import) (\w+)", cell.source, re.M)
        assert set(imported) <= {"os", "numpy", "pdrr"}


def test_what_is_only_looked_at_is_named_so(name):
    """Grading leaves cells named plot-... out, so nothing else may need them."""
    rest = [
        c for c in code(name) if not (c.metadata.nbgrader.solution or c.metadata.nbgrader.grade)
    ]
    ids = list(map(grade_id, rest))
    assert [i for i in ids if not i.startswith("plot-")] == ["setup"]


def test_instructors_find_every_check_with_its_points(name):
    (section,) = re.findall(rf"^### [^\n]*/{name}\.ipynb.*?(?=^##)", PAGE, re.S | re.M)
    rows = dict(re.findall(r"^\| `(test-[\w-]+)` \| (\d+) \|", section, re.M))
    assert {cell: int(value) for cell, value in rows.items()} == points(name)
    for cell in checks(name):
        hidden = student(cell.source).lstrip().startswith("#")
        assert hidden == (
            f"| `{grade_id(cell)}` | {points(name)[grade_id(cell)]} | hidden:" in section
        )


def test_the_students_page_has_the_points_and_the_minutes():
    page = (ROOT / "book" / "coursework.md").read_text("utf-8")
    for name in NAMES:
        (row,) = re.findall(rf"^\| \d \| .*/{name}\.ipynb.*$", page, re.M)
        *_, most, minutes, _ = [part.strip() for part in row.split("|")]
        assert int(most) == sum(points(name).values())
        assert minutes in PAGE


# marks


def last_value(source, space):
    """Run a cell; the value of its last expression, or None."""
    tree = ast.parse("\n".join(line for line in source.split("\n") if line[:1] != "%"))
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), space)
    if last is None:
        return None
    return eval(compile(ast.Expression(last.value), "cell", "eval"), space)


def graded(name, typed):
    """(points, message) by check, with some answers typed in: source by grade_id."""
    space, result = {"__name__": "__main__"}, {}
    for cell in code(name):
        if grade_id(cell).startswith("plot-"):
            continue
        source = typed.get(grade_id(cell), cell.source)
        most = cell.metadata.nbgrader.get("points", 0)
        try:
            value = last_value(source, space)
        except (AssertionError, NotImplementedError, TypeError, ValueError) as error:
            if not cell.metadata.nbgrader.grade:
                raise
            result[grade_id(cell)] = (0, str(error))
        else:
            if cell.metadata.nbgrader.grade:
                result[grade_id(cell)] = (most if value is None else value, "")
    return result


def lost(name, result):
    short = {cell: most - result[cell][0] for cell, most in points(name).items()}
    return {cell: cost for cell, cost in short.items() if cost}


@pytest.fixture
def won(monkeypatch):
    """The contest counts as won: it has tests of its own."""
    monkeypatch.setattr(contest, "report", lambda *_, **__: 5)


def test_the_reference_gets_full_marks(name):
    assert lost(name, graded(name, {})) == {}


def test_a_blank_notebook_gets_nothing(name):
    blank = {grade_id(cell): student(cell.source) for cell in answers(name)}
    assert lost(name, graded(name, blank)) == points(name)


@pytest.mark.usefixtures("won")
@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda m: f"{m.assignment}: {m.name}")
def test_a_classic_mistake_costs_what_it_should_and_is_named(mistake):
    result = graded(mistake.assignment, {mistake.cell: mistake.code})
    assert lost(mistake.assignment, result) == mistake.lost
    assert mistake.message in " ".join(result[cell][1] for cell in mistake.lost)


def within(honest, byzantine, _):
    benign = honest.clients[~byzantine].astype(float)
    model = benign.mean(axis=0) - 0.8 * middle_direction(honest, 12) * benign.std(axis=0)
    return np.tile(model, (12, 1))


def flagged(rule, **settings):
    return lambda observed: PDRR(rule, **settings).detect(observed).flagged


KRUM = flagged("krum", c=12, q=0.25)
EVADE = {  # what they score, and the points for that
    "nothing": (0, 0, lambda honest, byzantine, _: honest.clients[byzantine]),
    "noise": (
        *(0.01, 0),
        lambda honest, byzantine, rng: (
            honest.previous + rng.normal(0, honest.updates.std(), (byzantine.sum(), honest.d))
        ),
    ),
    "the attack of assignment 2": (0.01, 0, contest.plain_attack),
    "turning the updates round": (
        *(0.11, 1),
        lambda honest, byzantine, _: honest.previous - honest.updates[byzantine],
    ),
    "the patient attack": (0.16, 3, contest.patient_attack),
    "0.8 standard deviations from the benign mean": (0.23, 4, within),
}
DETECT = {
    "flagging nobody": (0, 0, lambda observed: np.zeros(observed.k, dtype=bool)),
    "flagging everybody": (0, 0, lambda observed: np.ones(observed.k, dtype=bool)),
    "by a coin": (
        *(0.02, 0),
        lambda observed: np.random.default_rng(int(observed.clients.sum() * 100)).random(30) < 0.5,
    ),
    "PDRR for the trimmed mean": (0.36, 0, contest.pdrr_detector),
    "PDRR for the median": (0.42, 0, flagged("median", q=0.71)),
    "PDRR for Krum": (0.46, 0, KRUM),
    "flagged by PDRR for Krum or for the trimmed mean": (
        *(0.56, 1),
        lambda observed: KRUM(observed) | contest.pdrr_detector(observed),
    ),
}


@pytest.mark.parametrize("entry", [*EVADE, *DETECT])
def test_entries_earn_what_they_are_worth(entry):
    expected, earned, play = {**EVADE, **DETECT}[entry]
    score = contest.evasion if entry in EVADE else contest.detection
    steps = contest.EVASION_STEPS if entry in EVADE else contest.DETECTION_STEPS
    found = score(play, held_out())
    assert found == pytest.approx(expected, abs=0.03)
    assert contest.points(found, steps) == earned


def test_the_instructors_page_has_the_bands_of_the_contest_and_no_way_to_them():
    rows = re.findall(r"^\| (\d)(?: to (\d))? \| (\w.*?) \| (\w.*?) \| .* \|$", PAGE, re.M)
    assert len(rows) == 4
    for fewest, most, *said in rows:
        for text, steps in zip(said, (contest.EVASION_STEPS, contest.DETECTION_STEPS), strict=True):
            ends = [float(number) for number in re.findall(r"[\d.]+", text)]
            low = 0 if text.startswith("below") else ends[0]
            high = 1 if text.startswith("from") else ends[-1] - 1e-9
            assert contest.points(low, steps) == int(fewest)
            assert contest.points(high, steps) == int(most or fewest)
    told = PAGE[PAGE.index("## The contest") : PAGE.index("## Change it")].lower()
    for hint in ("deviation", "group", "alike", "resemble", "patient", "turn"):
        assert hint not in told


def test_mistakes_are_spread_over_the_course():
    assert len(MISTAKES) >= 10
    assert {mistake.assignment for mistake in MISTAKES} == set(NAMES)
    for mistake in MISTAKES:
        assert mistake.cell in set(map(grade_id, answers(mistake.assignment)))
