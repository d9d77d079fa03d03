"""Cells of the assignment deleted, doubled or in another order: what was answered still counts."""

import json
from copy import deepcopy

import nbformat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.tiny_assignment import FULL, run_here
from pdrr.grading import assignments, drawing, marking, restoring, sandbox
from pdrr.grading.assignments import mark
from pdrr.grading.sandbox import Limits

WRONG = "def add(a, b):\n    return 0"


@pytest.fixture(autouse=True)
def _not_drawn(here, monkeypatch):  # noqa: ARG001
    monkeypatch.setattr(drawing, "page", drawing.plain)


def place(notebook, grade_id):
    return [mark(cell, "grade_id") for cell in notebook.cells].index(grade_id)


def graded(work, notebook):
    result = marking.grade(work, json.dumps(notebook).encode(), Limits())
    return {item.cell: item.points for item in result.marks}, list(result.remarks)


def move(notebook, grade_id, to):
    cell = notebook.cells.pop(place(notebook, grade_id))
    notebook.cells.insert(len(notebook.cells) if to is None else to, cell)


def double(notebook, grade_id, source, *, below):
    first = place(notebook, grade_id)
    other = deepcopy(notebook.cells[first])
    other.source = source
    notebook.cells.insert(first + below, other)


def without_marks(notebook):
    for cell in notebook.cells:
        cell.metadata = {}


def split(notebook):
    """As Jupyter splits a cell: both halves have the metadata."""
    first = place(notebook, "add")
    notebook.cells[first].source = "def helper(a, b):\n    return a + b"
    double(notebook, "add", "def add(a, b):\n    return helper(a, b)", below=True)


CHANGES = {  # what a student did to a notebook with all answers, what is lost, the remarks
    "nothing": (lambda _: None, {}, []),
    "an untouched copy below the answer": (
        lambda n: double(n, "add", "def add(a, b):\n    # YOUR CODE HERE\n"
                         "    raise NotImplementedError()", below=True),
        {},
        ["cell add is there 2 times: the last answer counts"],
    ),
    "an empty copy below the answer": (
        lambda n: double(n, "add", "", below=True),
        {},
        ["cell add is there 2 times: the last answer counts"],
    ),
    "a wrong answer above": (
        lambda n: double(n, "add", WRONG, below=False),
        {},
        ["cell add is there 2 times: the last one counts"],
    ),
    "a wrong answer below": (
        lambda n: double(n, "add", WRONG, below=True),
        {"test-add": 2},
        ["cell add is there 2 times: the last one counts"],
    ),
    "a cell split in two": (split, {}, ["cell add is there 2 times: the last one counts"]),
    "checks twice": (
        lambda n: double(n, "test-add", "assert False", below=False),
        {},
        ["cell test-add is there 2 times: the last one counts"],
    ),
    "a check above its answer": (
        lambda n: move(n, "test-add", 1), {}, ["moved back: test-add"]
    ),
    "the answers at the end": (
        lambda n: [move(n, name, None) for name in ("add", "double", "name")],
        {},
        ["moved back: test-add, test-double, plot-name, test-name"],
    ),
    "the first cell at the end": (
        lambda n: move(n, "setup", None), {}, ["moved back: setup"]
    ),
    "all cells upside down": (
        lambda n: n.cells.reverse(),
        {},
        ["moved back: setup, test-add, test-double, plot-name, test-name"],
    ),
    "all checks deleted": (
        lambda n: n.update(cells=[c for c in n.cells if not mark(c, "grade")]),
        {},
        ["missing, put back: test-add, test-double, test-name"],
    ),
    "all locked cells deleted": (
        lambda n: n.update(cells=[c for c in n.cells if mark(c, "solution")]),
        {},
        ["missing, put back: setup, test-add, test-double, plot-name, test-name"],
    ),
    "an answer deleted": (
        lambda n: n.cells.pop(place(n, "double")),
        {"test-double": 3},
        ["answers without a cell: double"],
    ),
    "all metadata lost": (
        without_marks, {}, ["the notebook has no cell of tiny: is it another one?"]
    ),
    "no cells": (
        lambda n: n.update(cells=[]),
        FULL,
        ["the notebook has no cell of tiny: is it another one?"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", CHANGES)
def test_what_was_answered_counts(tiny, kind):
    change, lost, remarks = CHANGES[kind]
    notebook = tiny.filled(tiny.solutions)
    change(notebook)
    points, said = graded(tiny, notebook)
    assert points == {cell: most - lost.get(cell, 0) for cell, most in FULL.items()}
    assert said == remarks


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_no_order_of_the_cells_and_no_lost_check_costs_anything(tiny, data):
    notebook = tiny.filled(tiny.solutions)
    cells = data.draw(st.permutations(notebook.cells))
    kept = data.draw(st.lists(st.booleans(), min_size=len(cells), max_size=len(cells)))
    notebook.cells = [c for c, keep in zip(cells, kept, strict=True) if keep or mark(c, "solution")]
    restoring.restore(tiny, notebook)
    run_here([c for c in notebook.cells if c.cell_type == "code"], None)
    failed = [
        mark(c, "grade_id")
        for c in notebook.cells
        if mark(c, "grade") and any(out.output_type == "error" for out in c.outputs)
    ]
    assert failed == []


def test_answers_are_counted(tiny):
    count = lambda notebook: restoring.answered(tiny, json.dumps(notebook).encode())  # noqa: E731
    assert count(tiny.filled(tiny.solutions)) == 3
    assert count(tiny.filled({"add": WRONG})) == 1
    assert count(tiny.filled({"add": " "})) == 0
    assert count(tiny.student) == 0
    assert restoring.answered(tiny, b"{") == -1


def test_a_cell_of_text_waits_for_a_person(tiny):
    source = deepcopy(tiny.source)
    essay = nbformat.v4.new_markdown_cell(
        "Why?",
        metadata={
            "nbgrader": {
                "grade": True,
                "grade_id": "why",
                "locked": False,
                "points": 4,
                "schema_version": 3,
                "solution": True,
                "task": False,
            }
        },
    )
    source.cells.append(essay)
    work = assignments.assignment("tiny", source)
    points, _ = graded(work, work.filled(tiny.solutions | {"why": "Because."}))
    assert points == FULL | {"why": 0}


def test_a_value_without_text_counts_as_none(tiny, monkeypatch):
    def run(cells, _):
        for cell in cells:
            cell.outputs = [nbformat.v4.new_output("execute_result", data={"image/png": "x"})]

    monkeypatch.setattr(sandbox, "run", run)
    assert graded(tiny, tiny.student)[0] == FULL
