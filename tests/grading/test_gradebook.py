"""nbgrader's gradebook, filled with marks: read back by nbgrader's own interface."""

import shutil
from copy import deepcopy
from pathlib import Path

import nbformat
import pytest
from nbgrader.api import Gradebook

from helpers import tiny_assignment
from helpers.tiny_assignment import FULL
from pdrr.grading import assignments, gradebook, marking, reports
from pdrr.grading.handed_in import File
from pdrr.grading.sandbox import Limits
from pdrr.grading.submissions import Class, Submission


@pytest.fixture
def report(tiny, here):  # noqa: ARG001
    """Jörg knows all, bob nothing of `double`, and absent handed in nothing."""

    def made(answers):
        found = {}
        for student, typed in answers.items():
            content = nbformat.writes(tiny.filled(typed)).encode()
            submission = Submission(student, "tiny", File((student,), 0, 0, lambda: None))
            found[submission] = marking.grade(tiny, content, Limits())
        students = tuple(sorted([*answers, "absent"]))
        return reports.report(Class(tuple(found), students, ()), {"tiny": tiny}, found, [], 2)

    return made


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """A new gradebook, which takes nbgrader a while to make; its name is one to be careful with."""
    path = tmp_path_factory.mktemp("new") / "ä %20 #?&.db"
    gradebook.check(path)
    assert [found.name for found in path.parent.iterdir()] == [path.name]
    return path


@pytest.fixture
def path(empty, tmp_path):
    return Path(shutil.copy(empty, tmp_path / "grades.db"))


def scores(path, student):
    with Gradebook(f"sqlite:///{path}") as book:
        submission = book.find_submission("tiny", student)
        (notebook,) = submission.notebooks
        return {grade.name: grade.score for grade in notebook.grades}, submission.score


def count(path):
    with Gradebook(f"sqlite:///{path}") as book:
        (work,) = book.assignments
        (notebook,) = work.notebooks
        cells = {cell.name: cell.max_score for cell in notebook.grade_cells}
        kinds = [len(list(of)) for of in (notebook.solution_cells, notebook.source_cells)]
        people = sorted(student.id for student in book.students)
        return work.name, notebook.name, cells, kinds, people, len(work.submissions)


def test_a_gradebook_is_filled_and_brought_up_to_date(tiny, report, path):
    some = {name: text for name, text in tiny.solutions.items() if name != "double"}
    first = report({"Jörg": tiny.solutions, "bob": some})
    assert gradebook.fill(path, {"tiny": tiny}, first) == 2
    there = ("tiny", "tiny", FULL, [3, 8], ["Jörg", "absent", "bob"], 2)
    assert count(path) == there
    assert scores(path, "Jörg") == (FULL, 6)
    assert scores(path, "bob") == (FULL | {"test-double": 0}, 3)
    with Gradebook(f"sqlite:///{path}") as book:
        assert not book.find_submission("tiny", "bob").needs_manual_grade
    second = report({"Jörg": tiny.solutions, "bob": tiny.solutions})
    for _ in range(2):
        assert gradebook.fill(path, {"tiny": tiny}, second) == 2
        assert count(path) == there
        assert scores(path, "bob") == (FULL, 6)


def test_what_a_person_has_graded_stays(tiny, report, path):
    graded = report({"bob": {}})
    gradebook.fill(path, {"tiny": tiny}, graded)
    with Gradebook(f"sqlite:///{path}") as book:
        grade = book.find_grade("test-add", "tiny", "tiny", "bob")
        grade.manual_score, grade.extra_credit = 1.5, 0.5
        book.db.commit()
    gradebook.fill(path, {"tiny": tiny}, graded)
    assert scores(path, "bob")[0] == {"test-add": 2, "test-double": 0, "test-name": 0}


def test_an_answer_that_a_person_grades_waits_for_one(tiny, report, path):
    graded = report({"bob": tiny.solutions})
    graded.marks.loc[0, ["points", "message"]] = [0.0, gradebook.PERSON]
    gradebook.fill(path, {"tiny": tiny}, graded)
    with Gradebook(f"sqlite:///{path}") as book:
        grade = book.find_grade("test-add", "tiny", "tiny", "bob")
        assert (grade.auto_score, grade.needs_manual_grade) == (None, True)


def test_other_cells_under_marks_that_are_there_are_refused(tiny, report, path):
    graded = report({"bob": tiny.solutions})
    gradebook.fill(path, {"tiny": tiny}, graded)
    source = deepcopy(tiny_assignment.source())
    del source.cells[-1]
    other = assignments.assignment("tiny", source)
    with pytest.raises(ValueError, match=r"grades\.db needs the cells that tiny had"):
        gradebook.fill(path, {"tiny": other}, graded)
    assert scores(path, "bob") == (FULL, 6)


@pytest.mark.parametrize("content", [b"student,points\n" * 99, b"SQLite format 3\0" + bytes(999)])
def test_another_file_is_refused_with_its_name_and_left_alone(content, tmp_path):
    path = tmp_path / "marks.db"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"marks\.db needs to be a gradebook of nbgrader's, got"):
        gradebook.check(path)
    assert path.read_bytes() == content


def test_a_gradebook_that_cannot_lie_there_is_refused(tmp_path):
    with pytest.raises(ValueError, match="needs a folder to lie in, got"):
        gradebook.check(tmp_path / "no" / "grades.db")
    with pytest.raises(ValueError, match="needs to be a gradebook"):
        gradebook.check(tmp_path)
