"""Pages of feedback: drawn from whatever people type and show, and never at the cost of marks."""

import io
import json
import multiprocessing

import nbformat
import pytest
from bs4 import BeautifulSoup

from helpers.tiny_assignment import FULL, hidden_lines
from pdrr.grading import classes, drawing, marking, reading, restoring
from pdrr.grading.assignments import MARKERS
from pdrr.grading.handed_in import File
from pdrr.grading.results import Mark, Result
from pdrr.grading.sandbox import Limits
from pdrr.grading.submissions import Submission

PICTURE = "iVBORw0KGgo="
MARKS = tuple(Mark(cell, float(most), float(most), "") for cell, most in FULL.items())


def markdown(source, **more):
    return {"cell_type": "markdown", "metadata": {}, "source": source, **more}


def attached(name, written):
    pictures = {name: {"image/png": PICTURE}}
    return markdown(f"![it](attachment:{written})", attachments=pictures)


def shown(**data):
    return {"output_type": "display_data", "data": data, "metadata": {}}


PICTURES = {  # cells whose picture is on the page
    "a name": attached("a.png", "a.png"),
    "a space, as JupyterLab writes it": attached("a b.png", "a%20b.png"),
    "a space as it is": attached("a b.png", "a b.png"),
    "letters": attached("Übung.png", "%C3%9Cbung.png"),
    "brackets": attached("a(1).png", "a%281%29.png"),
    "half an emoji": attached("\ud83d.png", "\ud83d.png"),
}
CELLS = {  # cells that are hard to draw
    "an attachment that is not there": markdown("![it](attachment:no.png)"),
    "an attachment of nothing": markdown("![it](attachment:a)", attachments={"a": {}}),
    "attachments of text": markdown("![it](attachment:a)", attachments={"a": "b"}),
    "a link without an end": markdown("[" * 3000),
    "mathematics without an end": markdown("$$ \\frac{" * 500),
    "deep quotations": markdown("> " * 400 + "a"),
    "deep lists": markdown("\n".join(" " * 2 * i + "- a" for i in range(200))),
    "scripts": markdown("<script>alert(1)</script><img src=x onerror=alert(1)>"),
    "markup without an end": markdown("<![CDATA[ <!-- <!DOCTYPE <a b='"),
    "templates": markdown("{{ 1/0 }} {% raise %}"),
    "zeros and controls": markdown("a\0b\x08\x1b[31m"),
    "halves and marks": markdown("\ud83d\u0301\u202e" * 20),
    "a long line": markdown("x" * 10**5),
    "raw text of a kind": {"cell_type": "raw", "metadata": {"format": 3}, "source": "<b>"},
}
OUTPUTS = {
    "a picture that is none": shown(**{"image/png": "no picture"}),
    "no data": shown(),
    "other kinds": shown(**{"text/html": "<script>", "application/x-none": "a"}),
    "much text": {"output_type": "stream", "name": "stdout", "text": "x\n" * 10**5},
    "controls": {"output_type": "stream", "name": "stdout", "text": "\x1b[99m\x1b[\0\ud83d"},
    "an error without lines": {
        "output_type": "error", "ename": "", "evalue": "", "traceback": []
    },
}  # fmt: skip


def drawn(work, *cells):
    """The page of a submission with all answers and some more cells."""
    notebook = json.loads(nbformat.writes(work.filled(work.solutions)))
    notebook["cells"][1:1] = cells
    read, _ = reading.notebook(json.dumps(notebook).encode())
    restoring.restore(work, read)
    for cell, made in zip(read.cells[1:], cells, strict=False):
        if "outputs" in made:
            cell.outputs = nbformat.from_dict(made["outputs"])
    return drawing.page(work, read, MARKS, ["a remark"])


def test_attached_pictures_are_shown_whatever_their_names(tiny):
    page = drawn(tiny, *PICTURES.values())
    assert page.count(f'src="data:image/png;base64,{PICTURE}"') == len(PICTURES)


CODE = [
    {"cell_type": "code", "metadata": {}, "source": "1", "outputs": [output]}
    for output in OUTPUTS.values()
]


@pytest.mark.parametrize("cells", [CELLS.values(), CODE], ids=["cells", "outputs"])
def test_what_is_hard_to_draw_ends_in_a_page(tiny, cells):
    page = drawn(tiny, *cells)
    page.encode("utf-8", "replace")
    assert len(page) < 2_000_000
    assert "<script" not in page
    assert "Score: 6" in page
    text = BeautifulSoup(page, "html.parser").get_text()
    assert "return math.fsum" in text, "the student's own answer is there"
    hidden = hidden_lines(tiny.source) - solution_lines(tiny)
    assert not [line for line in hidden - set(MARKERS) if line in text]


def solution_lines(work):
    return {line.strip() for text in work.solutions.values() for line in text.splitlines()}


@pytest.mark.parametrize(
    "error", [KeyError("x"), RecursionError(), MemoryError(), OSError(28, "full")]
)
def test_a_page_that_cannot_be_drawn_is_plain(tiny, here, monkeypatch, error):  # noqa: ARG001
    def fail(*_):
        raise error

    monkeypatch.setattr(drawing, "drawn_page", fail)
    content = nbformat.writes(tiny.filled(tiny.solutions)).encode()
    result = marking.grade(tiny, content, Limits())
    assert {mark.cell: mark.points for mark in result.marks} == FULL
    assert result.remarks == ()
    for words in ("Score: 6 / 6", "test-add: 2 of 2", "return math.fsum([a, b])"):
        assert words in result.feedback
    assert "hidden: large numbers" not in result.feedback


def test_a_page_that_is_too_large_is_plain(tiny, monkeypatch):
    monkeypatch.setattr(drawing, "PAGE", 1000)
    page = drawn(tiny, markdown("a"))
    assert "cannot be shown as a page" in page
    assert "a remark" in page


def test_a_plain_page_shows_text_as_it_is(tiny):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("a < '<script>'")])
    page = drawing.plain(tiny, notebook, MARKS, ["<b>"])
    assert "a &lt; &#x27;&lt;script&gt;" in page
    assert "&lt;b&gt;" in page


# the process of a submission: what it has said before it ended counts


class Ended:
    """A process that is over."""

    def is_alive(self):
        return False

    def join(self, timeout=None):
        pass

    def close(self):
        pass


def outcome(tiny, monkeypatch, said):
    """What comes of a process that says something and ends."""
    result = marking.nothing(tiny, "x")

    def start(*_):
        here, there = multiprocessing.Pipe(duplex=False)
        for answer in said:
            there.send(Result(MARKS, (), answer) if answer[0] == "<" else answer)
        there.close()
        return here, Ended()

    monkeypatch.setattr(classes, "_start", start)
    content = File(("ada",), 0, 2, lambda: io.BytesIO(b"{}"))
    submission = Submission("ada", "tiny", content)
    ((_, key, result),) = classes._each([submission], {"tiny": tiny}, Limits(), 1)
    return bool(key), [mark.points for mark in result.marks], result.feedback, result.remarks


def test_marks_outlive_the_process_that_draws(tiny, monkeypatch):
    full = list(FULL.values())
    assert outcome(tiny, monkeypatch, ["<plain>", "<drawn>"]) == (True, full, "<drawn>", ())
    assert outcome(tiny, monkeypatch, ["<plain>"]) == (True, full, "<plain>", ())
    assert outcome(tiny, monkeypatch, ["<plain>", "MemoryError: "])[:3] == (True, full, "<plain>")
    kept, points, _, remarks = outcome(tiny, monkeypatch, [])
    assert (kept, points) == (False, [0, 0, 0])
    assert remarks == ("grading itself failed, grade it again: its process was ended",)


def test_drawing_has_its_own_time(tiny, monkeypatch):
    monkeypatch.setattr(classes, "DRAWING", 0)
    ends = []

    class Drawing(Ended):
        def close(self):
            ends.append("ended")

    here, there = multiprocessing.Pipe(duplex=False)
    there.send(Result(MARKS, (), "<plain>"))
    monkeypatch.setattr(classes, "_start", lambda *_: (here, Drawing()))
    submission = Submission("ada", "tiny", File(("ada",), 0, 2, lambda: io.BytesIO(b"{}")))
    ((_, key, result),) = classes._each([submission], {"tiny": tiny}, Limits(), 1)
    assert (bool(key), result.feedback, ends) == (True, "<plain>", ["ended"])
    there.close()
