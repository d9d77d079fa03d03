"""A class in which much goes wrong, from the command line: one remark each, marks for others."""

import json
import os
import zipfile

import nbformat
import pandas as pd
import pytest
from nbgrader.api import Gradebook

from helpers import tiny_assignment
from helpers.tiny_assignment import FULL
from pdrr.cli.main import main

SPEAKS = "def double(x):\n    print('\\ud83d')\n    raise ValueError('\\ud83d')"
EXPECTED = {  # student: points lost, words of the remark
    "Jörg": ({}, ""),
    "half": ({}, "halves of characters in cell 1"),
    "picture": ({}, ""),
    "wide": ({}, ""),
    "pipe": (FULL, "the file cannot be read: it is no file"),
    "speaks": ({"test-double": 3}, ""),
}


@pytest.fixture(scope="module")
def graded(tiny, tmp_path_factory):
    """The table of marks, what the command said, and nbgrader's gradebook."""
    top = tmp_path_factory.mktemp("trifles")
    (top / "sources").mkdir()
    nbformat.write(tiny_assignment.source(), top / "sources/tiny.ipynb")

    def notebook(first="# Sums", double=tiny.solutions["double"], **more):
        made = json.loads(nbformat.writes(tiny.filled(tiny.solutions | {"double": double})))
        made["cells"][0] |= {"source": first, **more}
        return json.dumps(made)

    attached = {"a b.png": {"image/png": "iVBORw0KGgo="}}
    files = {
        b"J\xf6rg": notebook().encode(),
        b"half": notebook("# Sums \ud83d").encode(),
        b"picture": notebook("![a](attachment:a%20b.png)", attachments=attached).encode(),
        b"wide": notebook().encode("utf-16"),
        b"speaks": notebook(double=SPEAKS).encode(),
    }
    for student, content in files.items():
        folder = os.path.join(os.fsencode(top / "in"), student)
        os.makedirs(folder)
        with open(os.path.join(folder, b"tiny.ipynb"), "wb") as file:
            file.write(content)
    (top / "in/pipe").mkdir()
    os.mkfifo(top / "in/pipe/tiny.ipynb")
    (top / "in/roster.csv").write_bytes("name;Student\n1;Jörg\n2;gus\n".encode("cp1252"))
    options = ["--sources", top / "sources", "--out", top / "out", "--gradebook", top / "book.db"]
    limits = ["--cell-seconds", "10", "--total-seconds", "100", "--jobs", "2"]
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in ("grade", top / "in", *options, *limits)])
    assert end.value.code == 0
    marks = pd.read_csv(top / "out/marks.csv", keep_default_na=False)
    return marks.set_index(["student", "cell"]), top


@pytest.mark.parametrize("student", EXPECTED)
def test_one_fault_costs_its_own_points(graded, student):
    marks, _ = graded
    lost, words = EXPECTED[student]
    given = marks.loc[student]["points"].to_dict()
    assert given == {cell: most - lost.get(cell, 0) for cell, most in FULL.items()}
    if lost is FULL:
        assert set(marks.loc[student]["message"]) == {words}


def test_everybody_has_a_page(graded):
    _, top = graded
    assert {path.name for path in (top / "out/feedback").iterdir()} == set(EXPECTED)
    assert "data:image/png;base64,iVBORw0KGgo=" in (
        top / "out/feedback/picture/tiny.html"
    ).read_text("utf-8")


def test_the_gradebook_has_the_same_points(graded):
    marks, top = graded
    with Gradebook(f"sqlite:///{top / 'book.db'}") as book:
        assert {student.id for student in book.students} == {*EXPECTED, "gus"}
        for student in EXPECTED:
            expected = marks.loc[student]["points"].sum()
            assert book.find_submission("tiny", student).score == expected


def test_a_second_run_from_a_zip_file_grades_nothing_again(graded, tmp_path, capsys):
    """Of the same files: what is known of a submission does not depend on how it was handed in."""
    _, top = graded
    with zipfile.ZipFile(tmp_path / "class.zip", "w") as archive:
        for student in ("half", "wide"):
            content = (top / "in" / student / "tiny.ipynb").read_bytes()
            archive.writestr(f"{student}_1_2_tiny-1.ipynb", content)
    options = ["--sources", str(top / "sources"), "--out", str(top / "out")]
    limits = ["--cell-seconds", "10", "--total-seconds", "100"]
    with pytest.raises(SystemExit) as end:
        main(["grade", str(tmp_path / "class.zip"), *options, *limits])
    assert end.value.code == 0
    said = capsys.readouterr().out.splitlines()
    assert said[-1] == "0 graded, 2 unchanged since they were graded, 1 remark"
    assert any(f"half, tiny: {EXPECTED['half'][1]}" in line for line in said)
