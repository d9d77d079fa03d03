"""Coursework, from source to marks: nothing leaks, no submission stops the others."""

import os
import re
import time
from copy import deepcopy
from dataclasses import replace

import nbformat
import pytest
from bs4 import BeautifulSoup

from helpers import tiny_assignment
from helpers.tiny_assignment import hidden_lines
from pdrr.cli.main import main
from pdrr.grading import assignments, classes, marking, reports, results, sandbox, submissions
from pdrr.grading.assignments import mark
from pdrr.grading.sandbox import Limits

LIMITS = Limits(cell=3, total=60, memory=4)
FULL = {"test-add": 2, "test-double": 3, "test-name": 1}


@pytest.fixture(scope="module")
def tiny():
    return assignments.assignment("tiny", tiny_assignment.source())


def hand_in(folder, student, notebook, name="tiny.ipynb"):
    path = folder / student / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(notebook if isinstance(notebook, str) else nbformat.writes(notebook), "utf-8")
    return path


# student versions


def test_the_student_s_version_is_what_nbgrader_itself_makes(tiny, tmp_path):
    from nbgrader.converters import GenerateAssignment
    from nbgrader.coursedir import CourseDirectory
    from nbgrader.preprocessors import SaveCells

    hand_in(tmp_path / "source", "tiny", tiny_assignment.source())
    course = CourseDirectory(root=str(tmp_path), assignment_id="tiny")
    theirs = GenerateAssignment(coursedir=course, no_database=True)
    theirs.preprocessors = [step for step in theirs.preprocessors if step is not SaveCells]
    theirs.start()
    made = nbformat.read(tmp_path / "release/tiny/tiny.ipynb", as_version=4)
    seen = [(cell.cell_type, cell.source, cell.metadata) for cell in made.cells]
    assert seen == [(c.cell_type, c.source, c.metadata) for c in tiny.student.cells]


def test_nothing_hidden_is_handed_out(tiny, tmp_path):
    (path,) = assignments.release({"tiny": tiny}, tmp_path)
    text = "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells)
    hidden = hidden_lines(tiny.source)
    assert {"return math.fsum([a, b])", "name = 'Ada'"} < hidden
    assert not [line for line in hidden if line in text]
    assert "add(1, 2) is 3" in text


@pytest.mark.parametrize("marker", ["### END SOLUTION", "### END HIDDEN TESTS"])
def test_a_source_with_a_lost_marker_is_refused(marker):
    source = tiny_assignment.source()
    for cell in source.cells:
        cell.source = cell.source.replace(marker, "")
    with pytest.raises(ValueError, match=r"^tiny: (?i:no end (solution|hidden tests) statement)"):
        assignments.assignment("tiny", source)


def test_answers_go_where_answers_belong(tiny):
    with pytest.raises(ValueError, match=r"needs an answer's grade_id \(add, .*got 'setup'"):
        tiny.filled({"setup": "BASE = 2"})


def test_without_nbgrader_a_line_says_how_to_get_it(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(assignments, "find_spec", lambda _name: None)
    for words in (["assignments"], ["grade", str(tmp_path)]):
        with pytest.raises(SystemExit) as end:
            main(words)
        assert end.value.code == 2
        assert re.search(r"needs nbgrader.*: pip install '.*coursework\]'", capsys.readouterr().err)


# what a class hands in


def test_submissions_are_found_in_several_layouts(tiny, tmp_path):
    for student, name in {
        "ada": "tiny.ipynb",
        "bob": "tiny/tiny.ipynb",
        "cyd": "Tiny (1).ipynb",
        "dan": "tiny-Copy2.ipynb",
        "eve": "huge.ipynb",
    }.items():
        hand_in(tmp_path, student, "{}", name)
    hand_in(tmp_path, "ada", "{}", ".ipynb_checkpoints/tiny-checkpoint.ipynb")
    newer = hand_in(tmp_path, "bob", "{}", "late/tiny.ipynb")
    os.utime(newer, (time.time() + 60,) * 2)
    (tmp_path / "notes.txt").touch()
    (tmp_path / "fay").mkdir()
    (tmp_path / "roster.csv").write_text("\ufeffname,student\nA,ada\nB,bob\nG,gus\n", "utf-8")
    found = submissions.find(tmp_path, {"tiny": tiny, "other": replace(tiny, name="other")})
    assert {s.student: s.file.where for s in found.submissions} == {
        "ada": "ada/tiny.ipynb",
        "bob": "bob/late/tiny.ipynb",
        "cyd": "cyd/Tiny (1).ipynb",
        "dan": "dan/tiny-Copy2.ipynb",
    }
    assert found.students == ("ada", "bob", "cyd", "dan", "eve", "fay", "gus")
    assert found.missing(["tiny"]) == {"eve": ["tiny"], "fay": ["tiny"], "gus": ["tiny"]}
    assert set(found.remarks) == {
        "bob: 2 notebooks for tiny, graded the newest, bob/late/tiny.ipynb",
        "eve/huge.ipynb: no assignment has this name, there are tiny, other",
        "fay/: holds no notebook",
        "notes.txt: not in the folder of a student, not graded",
        *(f"{who}: not in roster.csv, graded all the same" for who in ("cyd", "dan", "eve", "fay")),
    }


def test_a_class_that_handed_in_nothing_is_refused(tiny, tmp_path):
    hand_in(tmp_path, "eve", "{}", "huge.ipynb")
    with pytest.raises(ValueError, match=r"got none in .*\n  eve/huge.ipynb: no assignment"):
        classes.grade_class(tmp_path, {"tiny": tiny}, tmp_path / "out", LIMITS, 1)


def without(notebook, *grade_ids):
    notebook.cells = [cell for cell in notebook.cells if mark(cell, "grade_id") not in grade_ids]
    return notebook


def ids(notebook):
    return [mark(cell, "grade_id") for cell in notebook.cells]


def test_locked_cells_come_back_as_they_were_made(tiny):
    notebook = tiny.filled(tiny.solutions)
    places = {mark(cell, "grade_id"): cell for cell in notebook.cells}
    places["test-add"].source = "pass"
    places["test-double"].metadata.nbgrader.update(points=100, grade=False)
    places["test-double"].cell_type = "markdown"
    places["setup"].source = "BASE = 11"
    before = ids(notebook)
    assert marking.restore(tiny, notebook) == []
    assert ids(notebook) == before
    made = {mark(cell, "grade_id"): cell for cell in tiny.complete.cells}
    for cell in notebook.cells:
        name = mark(cell, "grade_id")
        if name and not mark(cell, "solution"):
            assert (cell.cell_type, cell.source) == (made[name].cell_type, made[name].source)
            assert cell.metadata == made[name].metadata
        elif name:
            assert cell.source == tiny.solutions[name]


def test_deleted_locked_cells_come_back_to_their_places(tiny):
    notebook = without(tiny.filled(tiny.solutions), "setup", "test-double")
    assert marking.restore(tiny, notebook) == ["missing, put back: setup, test-double"]
    assert [i for i in ids(notebook) if i] == list(filter(None, ids(tiny.student)))


def test_a_deleted_answer_does_not_come_back_over_its_copy(tiny):
    notebook = without(tiny.filled(tiny.solutions), "add", "test-add")
    notebook.cells.append(nbformat.v4.new_code_cell(tiny.solutions["add"]))
    assert marking.restore(tiny, notebook) == [
        "answers without a cell: add",
        "missing, put back: test-add",
    ]
    assert ids(notebook)[-2:] == ["", "test-add"]


def test_of_repeated_cells_the_last_counts(tiny):
    notebook = tiny.filled(tiny.solutions)
    first = deepcopy(notebook.cells[2])
    first.source = "def add(a, b): return 0"
    notebook.cells.insert(2, first)
    assert marking.restore(tiny, notebook) == ["cell add is there 2 times: the last one counts"]
    assert ids(notebook).count("add") == 1
    assert notebook.cells[2].source == first.source


@pytest.mark.parametrize(
    "metadata", [{"nbgrader": 3}, {"nbgrader": {"grade_id": {}}}, {"nbgrader": {"grade_id": "?"}}]
)
def test_nonsense_in_the_metadata_is_dropped(tiny, metadata):
    notebook = tiny.filled(tiny.solutions)
    notebook.cells.append(nbformat.v4.new_code_cell("1", metadata=metadata))
    assert marking.restore(tiny, notebook) == []
    assert notebook.cells[-1].metadata == {}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[1]",
        b"\xff\xfe",
        b"{}",
        b'{"cells": 3}',
        b'{"cells": [3], "nbformat": 4}',
        b"[" * 100_000,
    ],
)
def test_a_file_that_is_no_notebook_gets_nothing_and_is_told_so(tiny, content):
    result = marking.grade(tiny, content, LIMITS)
    assert {item.cell: item.max for item in result.marks} == FULL
    for item in result.marks:
        assert item.points == 0
        assert item.message.startswith("the file is not a notebook that can be read: ")
    assert "not a notebook" in result.feedback


def test_a_huge_file_is_not_read(tiny, monkeypatch):
    monkeypatch.setattr(marking, "LARGEST", 10)
    result = marking.grade(tiny, b" " * 11, LIMITS)
    assert "bytes, over" in result.marks[0].message


# a class that misbehaves

STOPPED = "stopped after 3 s"
DIED = r"the cell ended its Python process: it took too much memory, crashed or called os\._exit"
ENDED = r"\(the answer's cell ended with: "
STUBBORN = """
import time
while True:
    try:
        while True:
            time.sleep(0.01)
    except KeyboardInterrupt:
        pass
"""
ADD = "def add(a, b):\n    return a + b\n"
HOSTILE = {  # student: answers beside the reference's; cells without points, and their messages
    "reference": (
        {"add": "import sys\ndef add(a, b):\n    print('hm', file=sys.stderr)\n    return a + b"},
        {},
    ),
    "loops": ({"add": "def add(a, b):\n    while True: pass"}, {"test-add": STOPPED}),
    "stubborn": (
        {"add": STUBBORN + ADD},
        {"test-add": f"NameError: .*'add'.* {ENDED}{STOPPED}; it did not stop\\)"},
    ),
    "leaves": ({"double": "def double(x):\n    import os; os._exit(0)"}, {"test-double": DIED}),
    "exits-floods-asks": (
        {
            "double": "def double(x):\n    exit()",
            "add": "def add(a, b):\n    for _ in range(10**6): print('x' * 1000)",
            "name": "name = input()",
        },
        {
            "test-double": "SystemExit: the cell called exit",
            "test-add": "the cell printed more than 100,000 characters",
            "test-name": "NameError.*StdinNotImplementedError",
        },
    ),
    "exits-forgets": (
        {"add": "import sys\nsys.exit()\n" + ADD, "name": "name = 'x' +"},
        {
            "test-add": f"NameError: .*{ENDED}SystemExit\\)",
            "test-name": rf"NameError: .*{ENDED}SyntaxError: invalid syntax \(line 1\)\)",
        },
    ),
    "hoards-shows": (
        {
            "double": "def double(x):\n    return bytearray(2**33)",
            "add": "for _ in range(600): display({'text/html': 'q' * 10000}, raw=True)",
        },
        {
            "test-double": "MemoryError",
            "test-add": f"NameError: .*{ENDED}stopped: its output was over .* characters\\)",
        },
    ),
    "deletes": (
        {"double": "globals().clear()\ndef double(x):\n    return 2 * x"},
        {"test-name": "NameError: name 'BASE' is not defined"},
    ),
    "writes": (
        {"add": "open('here', 'w').write('x')\nopen('big', 'wb').write(bytes(70 * 2**20))\n" + ADD},
        {"test-add": f"NameError: .*{ENDED}OSError: .*File too large\\)"},
    ),
}


@pytest.fixture(scope="module")
def graded(tiny, tmp_path_factory):
    """The folder of a class, its report, and what the command said."""
    top = tmp_path_factory.mktemp("class")
    for student, (answers, _) in HOSTILE.items():
        hand_in(top / "in", student, tiny.filled(tiny.solutions | answers))
    hand_in(top / "in", "blank", tiny.student)
    hand_in(top / "in", "broken", "{")
    other = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1")])
    hand_in(top / "in", "wrong", other)
    (top / "in" / "roster.csv").write_text(
        "student\n" + "\n".join([*HOSTILE, "blank", "broken", "wrong", "absent"]), "utf-8"
    )
    report = classes.grade_class(top / "in", {"tiny": tiny}, top / "out", LIMITS, 2)
    return top, report


def points(report, student):
    of = report.marks[report.marks["student"] == student]
    return dict(zip(of["cell"], of["points"], strict=True))


@pytest.mark.parametrize("student", HOSTILE)
def test_what_goes_wrong_costs_its_own_points_and_no_others(graded, student):
    _, report = graded
    lost = HOSTILE[student][1]
    expected = {cell: 0 if cell in lost else most for cell, most in FULL.items()}
    assert points(report, student) == expected
    of = report.marks[report.marks["student"] == student].set_index("cell")["message"]
    for cell, message in of.items():
        assert re.match(lost.get(cell, "$"), message, re.S), message


def test_a_blank_submission_gets_nothing(graded):
    _, report = graded
    blank = report.marks[report.marks["student"] == "blank"]
    assert set(blank["points"]) == {0}
    assert set(blank["message"]) == {marking.UNANSWERED}


def test_what_is_no_answer_gets_nothing_and_a_remark(graded):
    _, report = graded
    assert set(points(report, "wrong").values()) == {0}
    assert set(points(report, "broken").values()) == {0}
    assert "wrong, tiny: the notebook has no cell of tiny: is it another one?" in report.remarks
    assert any(remark.startswith("broken, tiny: the file is not a") for remark in report.remarks)
    assert "absent: nothing handed in for tiny" in report.remarks


def test_the_tables_are_complete(graded):
    top, report = graded
    students = [*HOSTILE, "blank", "broken", "wrong"]
    assert len(report.marks) == len(students) * len(FULL)
    assert list(report.totals["student"]) == sorted([*students, "absent"])
    totals = report.totals.set_index("student")
    assert set(totals["max"]) == {6}
    assert totals.loc["reference", ["tiny", "points"]].tolist() == [6, 6]
    assert totals.loc["absent", ["points", "missing"]].tolist() == [0, "tiny"]
    by_hand = report.marks.groupby("student")["points"].sum()
    assert by_hand.to_dict() == totals["points"].drop("absent").to_dict()
    assert (
        (top / "out/marks.csv")
        .read_text("utf-8")
        .startswith("student,assignment,cell,points,max,mess")
    )
    assert (top / "out/totals.csv").read_text("utf-8").count("\n") == len(students) + 2
    text = reports.as_text(report, top / "out")
    assert "reference" in text
    assert f"{len(students)} graded, 0 unchanged" in text


def test_feedback_explains_without_the_hidden_tests(graded):
    top, _ = graded
    for page in sorted((top / "out/feedback").glob("*/tiny.html")):
        text = page.read_text("utf-8")
        assert len(text) < 2_000_000, "a flood of output is cut"
        assert "<script" not in text
        assert not re.search(r'(src|href)="(https?:)?//', text)
        for line in ("add(1e100, 1) == 1e100", "done = 3 if double(3)", "HIDDEN TESTS"):
            assert line not in BeautifulSoup(text, "html.parser").get_text()
    loops = (top / "out/feedback/loops/tiny.html").read_text("utf-8")
    assert "(Score: 4.0 / 6.0)" in loops
    assert STOPPED in loops


def test_what_submissions_wrote_is_gone(graded):
    top, _ = graded
    left = {path.name for path in top.rglob("*")}
    assert not left & {"here", "big"}


def test_nothing_is_graded_twice_and_a_killed_run_goes_on(tiny, tmp_path, monkeypatch):
    for student in ("ada", "bob", "cyd"):
        hand_in(tmp_path / "in", student, tiny.student)
    works = {"tiny": tiny}
    patience = 1

    def each(todo, assignments, _limits, _jobs):
        for done, submission in enumerate(todo):
            if done == patience:
                raise KeyboardInterrupt
            key = results.key(submission.file.read(), assignments["tiny"], LIMITS)
            whole = submission.student != "cyd"
            yield submission, key if whole else "", marking.nothing(assignments["tiny"], "no")

    monkeypatch.setattr(classes, "_each", each)

    def grade():
        report = classes.grade_class(tmp_path / "in", works, tmp_path / "out", LIMITS, 1)
        assert set(report.marks["message"]) == {"no"}
        return report.graded, report.kept

    with pytest.raises(KeyboardInterrupt):
        grade()
    assert not (tmp_path / "out/marks.csv").exists()
    patience = None
    assert grade() == (2, 1)
    assert grade() == (1, 2), "what went wrong in grading itself is tried again"
    hand_in(tmp_path / "in", "bob", tiny.filled({"name": tiny.solutions["name"]}))
    assert grade() == (2, 1)
    changed = tiny_assignment.source()
    changed.cells[-1].metadata.nbgrader.points = 5
    works["tiny"] = assignments.assignment("tiny", changed)
    assert grade() == (3, 0)


@pytest.mark.parametrize(
    ("waited", "computed", "more"),
    [(30, 30, 0), (30, 10, 20), (50, 29, 1), (30, 2, 0), (110, 20, 10), (120, 25, 0), (30, 60, 0)],
)
def test_a_cell_that_others_keep_from_computing_may_take_longer(waited, computed, more):
    assert sandbox._owed(30, waited, computed) == more


def test_seconds_are_those_that_a_cell_computes(monkeypatch):
    all_of_it = sandbox.computed
    monkeypatch.setattr(sandbox, "computed", lambda: all_of_it() / 2)
    # in this process it would end those of other tests, too; the kernel ends without it
    monkeypatch.setattr(sandbox, "end_family", lambda *_, **_options: None)
    cells = [nbformat.v4.new_code_cell("while True: pass"), nbformat.v4.new_code_cell("1 + 1")]
    began = time.monotonic()
    sandbox.run(cells, Limits(cell=2, total=60))
    assert time.monotonic() - began > 3.5  # twice its seconds, less what it used to start
    assert cells[0].outputs[-1].evalue.startswith("stopped after 2 s")
    assert cells[1].outputs[-1].data["text/plain"] == "2"


def test_limits_that_nothing_fits_in_are_refused():
    with pytest.raises(ValueError, match=r"0 < cell <= total.*got cell=5, total=2"):
        Limits(cell=5, total=2)
