"""The students' pages show what the reference draws, and nothing of how it does that."""

import json
import re
from pathlib import Path

import nbformat
import pytest

from helpers import tiny_assignment
from pdrr.book import coursework
from pdrr.grading import assignments

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "notebooks" / "coursework").glob("*.ipynb"))


@pytest.fixture(params=SOURCES, ids=lambda path: path.stem)
def source(request):
    return nbformat.read(request.param, as_version=4)


def marks(cell):
    return cell.metadata.get("nbgrader", {})


# the sources


def test_a_heading_tells_the_points_of_the_checks_below_it(source):
    found, above = [], []  # headings: level, points as told, points of the checks
    for cell in source.cells:
        if cell.cell_type == "markdown":
            for level, text in re.findall(r"^(##+) (.*)$", cell.source, re.M):
                told = re.search(r"\((\d+) points?\)$", text)
                above = [heading for heading in above if heading[0] < len(level)]
                above.append([len(level), int(told[1]) if told else 0, 0])
                found.append(above[-1])
        elif marks(cell).get("grade"):
            for heading in above:
                heading[2] += cell.metadata.nbgrader.points
    assert all(told == points for _, told, points in found), found
    assert sum(points for level, _, points in found if level == 2) == 20


def test_lines_of_code_fit_into_the_page(source):
    lines = [x for c in source.cells if c.cell_type == "code" for x in c.source.splitlines()]
    assert max(map(len, lines)) <= 72


def test_a_check_says_that_it_passes_unless_it_is_empty_or_a_score(source):
    for cell in source.cells:
        if marks(cell).get("grade"):
            nothing_shown = cell.source.startswith("#")
            assert cell.source.endswith("\ncontracts.passed()") != nothing_shown, cell.source


def test_what_is_drawn_is_told_in_words(source):
    drawing = [c for c in source.cells if c.cell_type == "code" and "show." in c.source]
    assert drawing
    for cell in drawing:
        assert len(cell.metadata.mystnb.image.alt) > 40


# the pages


def made(path):
    """A source with an answer, a check that fails, and two cells to look at; executed."""
    new, notebook = nbformat.v4, tiny_assignment.source()
    notebook.cells = [cell for cell in notebook.cells if marks(cell).get("grade_id") != "plot-name"]
    for grade_id, text, tags in (
        ("plot-sum", "print(add(1, 2))", []),
        ("plot-score", "print('hidden score')", [coursework.WITHOUT]),
    ):
        told = {"grade": False, "grade_id": grade_id, "locked": True, "solution": False}
        told |= {"schema_version": 3, "task": False}
        cell = new.new_code_cell(text, metadata={"nbgrader": told, "tags": tags})
        notebook.cells.append(cell)
    for cell in notebook.cells:
        if marks(cell).get("grade"):
            cell.source += "\nraise SystemError('checks are not run')"
    nbformat.write(notebook, path / "tiny.ipynb")
    coursework.execute(path / "tiny.ipynb", path / "out" / "tiny.ipynb")
    return notebook


def test_a_page_shows_what_the_reference_shows_and_no_more(tmp_path):
    work = assignments.assignment("tiny", made(tmp_path))
    shown = coursework.shown(tmp_path / "out" / "tiny.ipynb")
    assert {name: [out.text for out in outs] for name, outs in shown.items()} == {
        "plot-sum": ["3.0\n"]
    }
    assignments.stage({"tiny": work}, tmp_path / "book", {"tiny": shown})
    page = json.loads((tmp_path / "book/notebooks/coursework/tiny.ipynb").read_text("utf-8"))
    outputs = {
        c["metadata"]["nbgrader"]["grade_id"]: c["outputs"] for c in page["cells"] if "outputs" in c
    }
    assert [name for name, outs in outputs.items() if outs] == ["plot-sum"]
    heading, text = outputs["plot-sum"]
    assert "What you should see" in "".join(heading["data"]["text/html"])
    assert "".join(text["text"]) == "3.0\n"
    assert "fsum" not in json.dumps(page)
    given = nbformat.read(tmp_path / "book/assignments/tiny/tiny.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in given.cells)


def test_a_reference_that_fails_ends_the_page(tmp_path):
    nbformat.write(tiny_assignment.source(), tmp_path / "tiny.ipynb")
    with pytest.raises(ValueError, match=r"^tiny: OSError: pictures are not drawn"):
        coursework.execute(tmp_path / "tiny.ipynb", tmp_path / "out.ipynb")
    assert not (tmp_path / "out.ipynb").exists()


def test_without_a_run_of_the_reference_the_page_shows_nothing(tmp_path):
    assert coursework.shown(tmp_path / "none.ipynb") == {}
