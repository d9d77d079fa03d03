"""Files of notebooks as tools write them: the same answers get the same marks from all of them."""

import json
from copy import deepcopy

import nbformat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.tiny_assignment import FULL
from pdrr.grading import drawing, marking, reading
from pdrr.grading.sandbox import Limits

LIMITS = Limits()


@pytest.fixture(autouse=True)
def _not_drawn(here, monkeypatch):  # noqa: ARG001
    monkeypatch.setattr(drawing, "page", drawing.plain)


@pytest.fixture
def answered(tiny):
    """The reference's notebook as JSON."""
    return json.loads(nbformat.writes(tiny.filled(tiny.solutions)))


def points(result):
    return {item.cell: item.points for item in result.marks}


def by_id(notebook, grade_id):
    (cell,) = (
        cell
        for cell in notebook["cells"]
        if cell["metadata"].get("nbgrader", {}).get("grade_id") == grade_id
    )
    return cell


def each(change):
    """A change of every cell."""

    def changed(notebook):
        for cell in notebook["cells"]:
            change(cell)

    return changed


def code(change):
    """A change of every code cell."""
    return each(lambda cell: change(cell) if cell["cell_type"] == "code" else None)


def version_3(notebook):
    cells = notebook.pop("cells")
    for cell in cells:
        if cell["cell_type"] == "code":
            cell["input"] = cell.pop("source")
            cell |= {"language": "python", "prompt_number": 1, "collapsed": False}
    cells.append({"cell_type": "heading", "level": 2, "metadata": {}, "source": "End"})
    notebook |= {"nbformat": 3, "nbformat_minor": 0, "worksheets": [{"cells": cells}]}


def outputs(*found):
    return code(lambda cell: cell.update(outputs=list(found)))


def more(**cell):
    return lambda notebook: notebook["cells"].insert(3, cell)


def deep(levels):
    inner = []
    for _ in range(levels):
        inner = [inner]
    return {"output_type": "display_data", "data": {"application/json": inner}}


TRIFLES = {  # what a tool has made of the notebook, each worth full marks without a remark
    "as it is": lambda _: None,
    "nbformat 4.2 with cell ids": lambda n: n.update(nbformat_minor=2),
    "nbformat 4.5 without cell ids": each(lambda cell: cell.pop("id")),
    "equal ids": each(lambda cell: cell.update(id="same")),
    "an id with spaces": each(lambda cell: cell.update(id="no id " * 40)),
    "ids that are numbers": each(lambda cell: cell.update(id=7)),
    "nbformat 3": version_3,
    "nbformat as text": lambda n: n.update(nbformat="4"),
    "nbformat of the future": lambda n: n.update(nbformat=9),
    "no nbformat": lambda n: [n.pop("nbformat"), n.pop("nbformat_minor")],
    "no metadata": lambda n: n.pop("metadata"),
    "metadata null": lambda n: n.update(metadata=None),
    "another kernel": lambda n: n["metadata"].update(kernelspec={"name": "ir"}),
    "a kernel without a name": lambda n: n["metadata"].update(kernelspec={}),
    "a stream without a name": outputs({"output_type": "stream", "text": ["hm"]}),
    "an output without a type": outputs({"text": "hm"}),
    "outputs null": code(lambda cell: cell.update(outputs=None)),
    "outputs an object": code(lambda cell: cell.update(outputs={"a": 1})),
    "no outputs": code(lambda cell: cell.pop("outputs")),
    "an error of old": outputs({"output_type": "error", "ename": "E", "traceback": None}),
    "a broken picture": outputs({"output_type": "display_data", "data": {"image/png": 5}}),
    "a huge output": outputs({"output_type": "stream", "name": "stdout", "text": "x" * 10**6}),
    "a deep output": outputs(deep(300)),
    "no execution count": code(lambda cell: cell.pop("execution_count")),
    "an execution count in words": code(lambda cell: cell.update(execution_count="one")),
    "sources as lists": each(
        lambda cell: cell.update(source="".join(cell["source"]).splitlines(keepends=True))
    ),
    "sources as text": each(lambda cell: cell.update(source="".join(cell["source"]))),
    "sources with carriage returns": each(
        lambda cell: cell.update(source="".join(cell["source"]).replace("\n", "\r\n"))
    ),
    "a cell without a source": more(cell_type="markdown", metadata={}),
    "a source null": more(cell_type="markdown", metadata={}, source=None),
    "a cell without metadata": more(cell_type="code", source="1", outputs=[]),
    "metadata as a list": more(cell_type="code", source="1", metadata=[1]),
    "an unknown type": more(cell_type="sql", source="select 1", metadata={}),
    "no type": more(source="select 1", metadata={}),
    "a type in capitals": code(lambda cell: cell.update(cell_type="Code")),
    "answers as Markdown": code(lambda cell: cell.update(cell_type="markdown")),
    "a heading": more(cell_type="heading", level=1, source="Sums", metadata={}),
    "attachments null": more(cell_type="markdown", source="a", metadata={}, attachments=None),
    "attachments of text": more(
        cell_type="markdown", source="a", metadata={}, attachments={"a": "b", "c": {"d": 3}}
    ),
    "Colab": lambda n: [
        n["metadata"].update(colab={"provenance": [], "toc_visible": True}, accelerator="GPU"),
        each(lambda cell: cell["metadata"].update(id="xY", colab={"base_uri": "h"}))(n),
    ],
    "VS Code": each(lambda cell: cell["metadata"].update(vscode={"languageId": "python"})),
    "Azure": lambda n: n["metadata"].update(
        {"nteract": {"version": "nteract-front-end@1.0.0"}, "microsoft": {"host": {}}}
    ),
    "Databricks": each(
        lambda cell: cell["metadata"].update({"application/vnd.databricks.v1+cell": {"nuid": "1"}})
    ),
    "Kaggle": each(lambda cell: cell["metadata"].update(trusted=True, _cell_guid="b1", _uuid="8")),
    "nbgrader's older schema": code(lambda cell: cell["metadata"]["nbgrader"].update(points="2")),
    "nbgrader's flags lost": code(
        lambda cell: cell["metadata"].update(
            nbgrader={"grade_id": cell["metadata"]["nbgrader"]["grade_id"]}
        )
    ),
    "lists in nbgrader's metadata": code(
        lambda cell: cell["metadata"]["nbgrader"].update(points=[1], checksum={"a": 1})
    ),
    "not a number": lambda n: n["metadata"].update(a=float("nan"), b=float("inf")),
}


@pytest.mark.parametrize("kind", TRIFLES)
def test_a_trifle_costs_nothing(tiny, answered, kind):
    notebook = deepcopy(answered)
    TRIFLES[kind](notebook)
    result = marking.grade(tiny, json.dumps(notebook).encode(), LIMITS)
    assert points(result) == FULL
    assert result.remarks == ()


FILES = {  # the same text, written by different means
    "UTF-8 with a byte order mark": lambda text: text.encode("utf-8-sig"),
    "two byte order marks": lambda text: ("\ufeff" + text).encode("utf-8-sig"),
    "UTF-16 with its mark": lambda text: text.encode("utf-16"),
    "UTF-16, little end first": lambda text: text.encode("utf-16-le"),
    "UTF-16, big end first": lambda text: text.encode("utf-16-be"),
    "UTF-32": lambda text: text.encode("utf-32"),
    "carriage returns": lambda text: text.replace("\n", "\r\n").encode(),
    "zeros at the end": lambda text: text.encode() + bytes(4096),
    "empty lines around": lambda text: f"\n\n {text} \n\n".encode(),
    "tabs in a text": lambda text: text.replace("# Sums", "# Sums\t").encode(),
    "a long number": lambda text: text.replace("{", f'{{"n": {"9" * 5000},', 1).encode(),
    "a key twice": lambda text: text.replace("{", '{"cells": 3,', 1).encode(),
    "escapes for all letters": lambda text: json.dumps(json.loads(text)).encode("ascii"),
}  # fmt: skip


@pytest.mark.parametrize("kind", FILES)
def test_a_file_is_read_however_it_is_written(tiny, answered, kind):
    answered["cells"][0]["source"] = "# Sums: Ü, 漢, 😀"
    text = json.dumps(answered, ensure_ascii=False, indent=1)
    result = marking.grade(tiny, FILES[kind](text), LIMITS)
    assert points(result) == FULL
    assert result.remarks == ()


HALF = r"\ud83d"  # of an emoji, as JSON writes it
HURT = {  # what cannot be read as it is, and the remark
    "half an emoji in Markdown": ("# Sums", f"# Sums {HALF}", "halves of characters in cell 1"),
    "half an emoji in an answer": (
        "return math",
        f"'{HALF}'; return math",
        "halves of characters in cell 3",
    ),
    "a cell null": ('"cells": [', '"cells": [null, ', "1 of 10 cells are none: left out"),
    "a source of numbers": (
        '"cells": [',
        '"cells": [{"cell_type": "markdown", "source": [1]}, ',
        "the text of cell 1 is none",
    ),
    "something at the end": ("\n}", "\n}}", "something follows the notebook"),
}


@pytest.mark.parametrize("kind", HURT)
def test_what_cannot_be_read_is_a_remark_and_costs_nothing_else(tiny, answered, kind):
    old, new, remark = HURT[kind]
    text = json.dumps(answered, indent=1)
    assert old in text
    start = text.rindex(old) if old == "\n}" else text.index(old)
    hurt = text[:start] + new + text[start + len(old) :]
    result = marking.grade(tiny, hurt.encode(), LIMITS)
    assert points(result) == FULL
    assert remark in " ".join(result.remarks)
    assert len(result.remarks) == 1


def test_halves_of_a_character_meet_where_a_text_is_in_pieces(tiny, answered):
    text = json.dumps(answered).replace('"# Sums', rf'"{HALF}", "\ude00# Sums')
    notebook, remarks = reading.notebook(text.encode())
    assert notebook.cells[0].source.startswith("😀# Sums")
    assert remarks == []
    assert points(marking.grade(tiny, text.encode(), LIMITS)) == FULL


def test_windows_letters_are_read_with_a_remark(tiny, answered):
    answered["cells"][0]["source"] = "# Jörg’s sums"
    content = json.dumps(answered, ensure_ascii=False).encode("cp1252")
    notebook, remarks = reading.notebook(content)
    assert notebook.cells[0].source == "# Jörg’s sums"
    assert remarks == ["the file is not in Unicode: letters may be wrong"]
    assert points(marking.grade(tiny, content, LIMITS)) == FULL


REFUSED = {
    b"": "it is empty",
    bytes(99): "it is empty",
    b"{": "not JSON",
    b"<<<<<<< HEAD\n{}": "not JSON",
    b"version https://git-lfs.github.com/spec/v1\n": "not JSON, Expecting value in line 1",
    b"PK\x03\x04": "not JSON",
    b"[1]": "JSON, but no notebook",
    b"3": "JSON, but no notebook",
    b"{}": "it has no cells",
    b'{"cells": 3}': "it has no cells",
    b'{"cells": [3, null]}': "none of its cells is one",
    b'{"worksheets": 3}': "it has no cells",
    b"[" * 100_000: "it is nested too deeply",
    b'{"cells": ' * 50_000: "it is nested too deeply",
}


@pytest.mark.parametrize("content", REFUSED, ids=range(len(REFUSED)))
def test_what_is_no_notebook_is_told_so(tiny, content):
    result = marking.grade(tiny, content, LIMITS)
    assert points(result) == dict.fromkeys(FULL, 0)
    assert len(result.remarks) == 1
    assert result.marks[0].message == result.remarks[0]
    assert REFUSED[content] in result.remarks[0]
    assert "\n" not in result.remarks[0]


@given(st.text(st.characters(), max_size=60))
def test_any_text_of_a_cell_comes_through(text):
    """Lone surrogates, zeros and combining marks too: what is read can be written as UTF-8."""
    content = json.dumps({"cells": [{"cell_type": "markdown", "source": text}]}).encode()
    notebook, _ = reading.notebook(content)
    read = notebook.cells[0].source
    read.encode("utf-8")
    if not any("\ud800" <= letter <= "\udfff" for letter in text):
        assert read == text


def read_or_refused(content):
    """A valid notebook, or a reason on one line."""
    reason = ""
    try:
        notebook, _ = reading.notebook(content)
    except ValueError as error:
        reason = str(error)
    else:
        nbformat.validate(notebook)
    assert "\n" not in reason


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_in_words(content):
    read_or_refused(content)


@settings(deadline=None, max_examples=40)
@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(max_size=5),
                    lambda inner: st.lists(inner, max_size=3)
                    | st.dictionaries(st.sampled_from(["cells", "source", "metadata", "cell_type",
                                                       "nbgrader", "grade_id", "attachments",
                                                       "image/png", "worksheets"]),
                                      inner, max_size=4), max_leaves=20))  # fmt: skip
def test_any_json_is_read_or_refused_in_words(found):
    for whole in (found, {"cells": [found]}, {"cells": [{"cell_type": "code", "metadata": found}]}):
        read_or_refused(json.dumps(whole).encode())
