"""Results that are kept: none that is damaged, stale or in the way costs anybody a point."""

import io
import json
import os
import sys
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import nbformat
import pandas as pd
import pytest

import pdrr
from helpers import tiny_assignment
from helpers.tiny_assignment import FULL
from pdrr.grading import assignments, classes, drawing, marking, names, reading, reports, results
from pdrr.grading.handed_in import File
from pdrr.grading.sandbox import Limits
from pdrr.grading.submissions import Class, Submission

LIMITS = Limits()


@pytest.fixture
def regrade(tiny, here, monkeypatch, tmp_path):  # noqa: ARG001
    """Grades the class in this process: (graded, kept), after seeing that all marks are whole."""
    monkeypatch.setattr(drawing, "page", drawing.plain)
    (tmp_path / "in/ada").mkdir(parents=True)
    nbformat.write(tiny.filled(tiny.solutions), tmp_path / "in/ada/tiny.ipynb")
    monkeypatch.setattr(classes, "_each", each)

    def grade():
        report = classes.grade_class(tmp_path / "in", {"tiny": tiny}, tmp_path / "out", LIMITS, 1)
        assert dict(zip(report.marks["cell"], report.marks["points"], strict=True)) == FULL
        return report.graded, report.kept

    assert grade() == (1, 0)
    return grade


def each(todo, works, limits, _jobs):
    for submission in todo:
        work, content = works[submission.assignment], submission.file.read()
        yield submission, results.key(content, work, limits), marking.grade(work, content, limits)


def changed(path, old, new):
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


def digits(path):
    """A flipped bit in each place in turn would be too slow; in these it changes a mark."""
    content = bytearray(path.read_bytes())
    content[content.index(b'"points": 3.0') + 10] ^= 1
    path.write_bytes(content)


DAMAGE = {
    "other points": lambda path, _: changed(path, '"points": 3.0', '"points": 1.0'),
    "a flipped bit": lambda path, _: digits(path),
    "a lost mark": lambda path, _: path.write_text(
        json.dumps(json.loads(path.read_text("utf-8")) | {"marks": []}), "utf-8"
    ),
    "cut": lambda path, _: path.write_bytes(path.read_bytes()[:99]),
    "empty": lambda path, _: path.write_bytes(b""),
    "no JSON": lambda path, _: path.write_text("{", "utf-8"),
    "not UTF-8": lambda path, _: path.write_bytes(b"\xff\xfe\xfd"),
    "a list": lambda path, _: path.write_text("[]", "utf-8"),
    "null": lambda path, _: path.write_text("null", "utf-8"),
    "deep": lambda path, _: path.write_text("[" * 100_000, "utf-8"),
    "an older form": lambda path, _: path.write_text(
        '{"key": "a", "marks": [], "remarks": []}', "utf-8"
    ),
    "gone": lambda path, _: path.unlink(),
    "a pipe": lambda path, _: [path.unlink(), path.symlink_to("/dev/null")],
    "another page": lambda _, page: page.write_text("half a page", "utf-8"),
    "no page": lambda _, page: page.unlink(),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_means_grading_again(regrade, tmp_path, kind):
    DAMAGE[kind](tmp_path / "out/results/ada/tiny.json", tmp_path / "out/feedback/ada/tiny.html")
    assert regrade() == (1, 0)
    assert regrade() == (0, 1)


def test_what_cannot_be_written_is_a_remark(tiny, regrade, tmp_path):
    page = tmp_path / "out/feedback/ada/tiny.html"
    page.unlink()
    page.mkdir()
    assert regrade() == (1, 0)
    works = {"tiny": tiny}
    report = classes.grade_class(tmp_path / "in", works, tmp_path / "out", LIMITS, 1)
    assert report.remarks == ("ada, tiny: its page cannot be written: Is a directory",)
    assert (tmp_path / "out/marks.csv").is_file()


@pytest.mark.parametrize("key", ["grade_id", "points", "locked"])
def test_a_result_depends_on_all_that_nbgrader_knows_of_a_cell(tiny, key):
    source = tiny_assignment.source()
    entries = source.cells[-1].metadata.nbgrader
    entries[key] = {"grade_id": "test-other", "points": 9, "locked": False}[key]
    assert replace(tiny, source=source).digest != tiny.digest
    assert replace(tiny, source=deepcopy(tiny.source)).digest == tiny.digest


def test_a_result_depends_on_the_code_that_hidden_tests_call():
    read = []

    def noted(self):
        read.append(self)
        return b""

    results._code.cache_clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "read_bytes", noted)
        results._code()
    results._code.cache_clear()
    top = Path(pdrr.__file__).parent
    assert {path.relative_to(top).parts[0] for path in read} >= {
        "grading",
        "contracts",
        "classroom",
    }


def test_the_key_is_of_what_was_graded_not_of_what_lies_there_now(tiny, monkeypatch, tmp_path):
    """A student who saves while the class is graded is graded again by the next run."""
    path = tmp_path / "in/ada/tiny.ipynb"
    path.parent.mkdir(parents=True)
    nbformat.write(tiny.student, path)

    def saving(todo, works, limits, jobs):
        for found in each(todo, works, limits, jobs):
            nbformat.write(tiny.filled(tiny.solutions), path)
            yield found

    monkeypatch.setattr(drawing, "page", drawing.plain)
    monkeypatch.setattr(classes.sandbox, "run", tiny_assignment.run_here)
    for way, total in ((saving, 0), (each, 6)):
        monkeypatch.setattr(classes, "_each", way)
        report = classes.grade_class(tmp_path / "in", {"tiny": tiny}, tmp_path / "out", LIMITS, 1)
        assert report.totals["points"].tolist() == [total]


def test_a_standard_error_that_is_closed_costs_no_marks(regrade, tmp_path, monkeypatch):
    closed = io.StringIO()
    closed.close()
    for stream in (closed, None):
        (tmp_path / "out/results/ada/tiny.json").unlink()
        monkeypatch.setattr(sys, "stderr", stream)
        assert regrade() == (1, 0)


# tables


def report_of(tiny, student, message, remarks=()):
    marks = tuple(results.Mark(c, 0.0, float(m), message) for c, m in tiny.points.items())
    submission = Submission(student, "tiny", File((student,), 0, 0, io.BytesIO))
    found = {submission: results.Result(marks, remarks, "")}
    return reports.report(Class((submission,), (student,), ()), {"tiny": tiny}, found, [], 1)


@pytest.mark.parametrize(
    "text", ["=1+1", "a\nb", "a\rb", 'a,"b', "\ud83d", "007", "NaN", "-x", "😀"]
)
def test_any_name_and_message_come_through_the_tables(tiny, tmp_path, text):
    report = report_of(tiny, names.printed(text), text)
    report.write(tmp_path)
    table = pd.read_csv(tmp_path / "marks.csv", dtype=str, keep_default_na=False)
    assert len(table) == len(FULL)
    sign = "'" * (text[0] in "=-")
    assert set(table["student"]) == {sign + names.printed(text)}
    assert set(table["message"]) == {sign + reading.clean(text)}
    reports.as_text(report, tmp_path)


def test_the_summary_ends_in_one_line_of_counts(tiny, tmp_path):
    said = reports.as_text(report_of(tiny, "007", "no", ("a\nb",)), tmp_path).splitlines()
    assert said[-1] == "1 graded, 0 unchanged since they were graded, 1 remark"
    assert "  007, tiny: a b" in said
    assert any(line.startswith("007 ") for line in said), "no zero of a student's number is lost"


def test_an_assignment_without_points_is_no_trouble(tmp_path):
    source = tiny_assignment.source()
    source.cells = [cell for cell in source.cells if not assignments.mark(cell, "grade")]
    work = assignments.assignment("tiny", source)
    report = report_of(work, "ada", "")
    report.write(tmp_path)
    assert report.totals["points"].tolist() == [0]
    assert "ada" in reports.as_text(report, tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_cannot_be_written_is_refused_before_grading(tiny, tmp_path):
    (tmp_path / "in/ada").mkdir(parents=True)
    nbformat.write(tiny.student, tmp_path / "in/ada/tiny.ipynb")
    (tmp_path / "out").mkdir(mode=0o500)
    with pytest.raises(OSError, match="out"):
        classes.grade_class(tmp_path / "in", {"tiny": tiny}, tmp_path / "out", LIMITS, 1)
