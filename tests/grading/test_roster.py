"""Rosters as spreadsheets save them: read with the right value, or refused with the file's name."""

import codecs
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdrr.grading import names, roster, submissions

THREE = ["Jörg", "Zoë", "Ada"]
TABLE = "name,student\r\nA,Jörg\r\nB,Zoë\r\nC,Ada\r\n"
SAVED = {  # by what, with which settings
    "UTF-8": TABLE.encode(),
    "Excel, CSV UTF-8": TABLE.encode("utf-8-sig"),
    "Excel, CSV in Western Europe": TABLE.replace(",", ";").encode("cp1252"),
    "Excel, CSV": TABLE.encode("cp1252"),
    "Excel, Unicode text": codecs.BOM_UTF16_LE + TABLE.replace(",", "\t").encode("utf-16-le"),
    "UTF-16, big end first": codecs.BOM_UTF16_BE + TABLE.encode("utf-16-be"),
    "UTF-16 without a mark": TABLE.encode("utf-16-le"),
    "Excel, CSV (Macintosh)": TABLE.replace("\r\n", "\r").encode("mac_roman"),
    "tabs": TABLE.replace(",", "\t").encode(),
    "bars": TABLE.replace(",", "|").encode(),
    "decomposed letters": TABLE.replace("ö", "o\u0308").replace("ë", "e\u0308").encode(),
    "quoted": b'"name","student"\n"A, B","J\xc3\xb6rg"\n"B","Zo\xc3\xab"\n"C","Ada"',
    "quoted, semicolons": 'name;"student"\n"A;B";"Jörg"\n"B";Zoë\n"C, D";Ada'.encode(),
    "a comma in the header": '"name, first";student\nA;Jörg\nB;Zoë\nC;Ada'.encode(),
    "a separator's line": ("sep=;\r\n" + TABLE.replace(",", ";")).encode(),
    "empty lines": TABLE.replace("\r\n", "\r\n\r\n  \r\n").encode(),
    "empty lines at the start": b"\r\n\r\n" + TABLE.encode(),
    "empty rows": (TABLE + ",\r\n,,,\r\n").encode(),
    "another case": TABLE.replace("student", " STUDENT ").encode(),
    "one column": "Student\nJörg\nZoë\nAda".encode(),
    "spaces around": "student , x\n Jörg ,1\n\u00a0Zoë\u00a0,2\nAda,3".encode(),
    "short and long rows": "student,a,b\nJörg\nZoë,1,2,3,4\nAda,1,2".encode(),
    "a text of two lines elsewhere": 'student,note\nJörg,"a\nb"\nZoë,\nAda,'.encode(),
}


@pytest.mark.parametrize("kind", SAVED)
def test_a_roster_is_read_as_it_was_saved(kind, tmp_path):
    path = tmp_path / "roster.csv"
    path.write_bytes(SAVED[kind])
    assert roster.of_path(path) == (THREE, [])


REFUSED = {
    b"": "needs a column 'student', got an empty file",
    b"\n \n": "needs a column 'student', got an empty file",
    b"name\nAda\n": "needs a column 'student', got name",
    b"id;name\n1;Ada\n": "needs a column 'student', got id, name",
    b"student,Student\na,b\n": "needs a column 'student', got student, Student",
    b"PK\x03\x04\x14": "got an Excel workbook",
    b"\xd0\xcf\x11\xe0": "got an old Excel workbook",
    b"student\nJ\x81rg\n": "needs text in UTF-8, UTF-16 or Windows-1252",
    b"student\na\0b\n": "needs text, got a file with zero bytes",
    b'student\n"Ada\nBob\n': "needs to be a table, got unexpected end of data",
    b'student\n"Ada\nBob"\n': "needs a name on one line, got more from 'Ada'",
    b'student\n"Ada"x\n': "needs to be a table, got",
    b"student,x\nAda," + b"x" * 200_000: "needs to be a table, got field larger than",
}


@pytest.mark.parametrize("content", REFUSED, ids=range(len(REFUSED)))
def test_what_is_no_roster_is_refused_on_one_line_with_its_name(content, tiny, tmp_path):
    (tmp_path / "roster.csv").write_bytes(content)
    (tmp_path / "ada").mkdir()
    with pytest.raises(ValueError, match="needs") as refusal:
        submissions.find(tmp_path, {"tiny": tiny})
    assert str(tmp_path / "roster.csv") in str(refusal.value)
    assert REFUSED[content] in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: os.symlink("nowhere", path)])
def test_a_roster_that_is_no_file_is_refused(make, tiny, tmp_path):
    make(tmp_path / "roster.csv")
    for listed in (None, tmp_path / "roster.csv"):
        with pytest.raises(ValueError, match=r"roster\.csv"):
            submissions.find(tmp_path, {"tiny": tiny}, listed)


def test_a_roster_that_is_too_large_is_not_read():
    with pytest.raises(ValueError, match="big.csv needs at most"):
        roster.read(bytes(roster.LARGEST + 1), "big.csv")


def test_who_is_there_twice_counts_once(tmp_path):
    path = tmp_path / "roster.csv"
    path.write_text("student\nada\nbob\nada\nAda\n ada\n", "utf-8")
    listed, remarks = roster.of_path(path)
    assert listed == ["ada", "bob", "Ada"]
    assert remarks == [f"{path}: ada is there 3 times"]


def test_a_roster_knows_students_whatever_case_and_spaces(tiny, tmp_path):
    for name in ("ada", "Jo\u0308rg  Müller", "bob", "BOB", "eve"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "tiny.ipynb").write_text("{}", "utf-8")
    (tmp_path / "Roster.CSV").write_text("student\nADA\nJÖRG MÜLLER\nBob\ncyd\n", "utf-8")
    whole = submissions.find(tmp_path, {"tiny": tiny})
    strangers = [line for line in whole.remarks if "not in" in line]
    assert strangers == [
        f"{name}: not in roster.csv, graded all the same" for name in ("BOB", "bob", "eve")
    ], "which of both is Bob cannot be told"
    assert whole.missing(["tiny"]) == {"Bob": ["tiny"], "cyd": ["tiny"]}


def test_a_roster_may_lie_elsewhere(tiny, tmp_path):
    (tmp_path / "in/ada").mkdir(parents=True)
    (tmp_path / "in/ada/tiny.ipynb").write_text("{}", "utf-8")
    (tmp_path / "list.csv").write_text("student\nada\ngus\n", "utf-8")
    whole = submissions.find(tmp_path / "in", {"tiny": tiny}, tmp_path / "list.csv")
    assert whole.students == ("ada", "gus")


plain = st.text(st.characters(categories=("L", "N")), min_size=1, max_size=12)


@given(st.lists(plain, min_size=1, max_size=5, unique_by=names.printed),
       st.sampled_from([",", ";", "\t"]),
       st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]), st.booleans())  # fmt: skip
def test_any_names_come_back(listed, sign, encoding, quoted):
    cell = '"{}"' if quoted else "{}"
    lines = [f"student{sign}n", *(f"{cell.format(name)}{sign}1" for name in listed)]
    found, remarks = roster.read("\r\n".join(lines).encode(encoding), "roster.csv")
    assert found == [names.printed(name) for name in listed]
    assert remarks == []


@given(st.binary(max_size=300))
def test_any_bytes_are_a_roster_or_refused(content):
    reason = "r.csv"
    try:
        roster.read(b"student\n" + content, "r.csv")
    except ValueError as error:
        reason = str(error)
    assert "r.csv" in reason
