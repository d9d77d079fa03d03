"""The PDF of the book: links inside it, nothing cut off, an outline of its chapters.

What needs Chromium, playwright or the built book is skipped where that is missing. CHROMIUM names
the program, BOOK the folder of the pages.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import sys
from pathlib import Path

import pytest

from helpers.browsing import CHROMIUM

ROOT = Path(__file__).parents[2]
pytest.importorskip("bs4", reason="needs beautifulsoup4")
sys.path.insert(0, str(ROOT / "scripts"))
make_pdf = importlib.import_module("make_pdf")

SITE = Path(os.environ.get("BOOK", ROOT / make_pdf.SITE))
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None or importlib.util.find_spec("playwright") is None,
    reason="needs Chromium, or its path in CHROMIUM, and playwright",
)

PAGE = """<html><body><nav>side bar</nav><article class="bd-article"><section id="top">
<h1>Title<a class="headerlink" href="#top">#</a></h1>
<h2 id="same">Part</h2>
<a href="#same">here</a> <a href="../two.html">page</a> <a href="../two.html#same">place</a>
<a href="../_modules/pdrr.html">source</a> <a href="https://doi.org/10">paper</a>
<img src="../_images/a.png" alt="a">
<details class="hide">folded</details><details><summary>more</summary>told</details>
<table id="T_1"></table>
</section></article></body></html>"""


@pytest.fixture
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as p:
        chromium = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


def document(body):
    """A document of one chapter with the print rules of the book."""
    return (
        '<!doctype html><html data-theme="light"><head><meta charset="utf-8">'
        '<link rel="stylesheet" href="custom.css"><link rel="stylesheet" href="print.css"></head>'
        '<body class="bd-main whole-book" style="margin: 0"><div class="bd-content"><article>'
        f'<div id="page-a" class="chapter">{body}</div></article></div></body></html>'
    )


def titles(pdf):
    """The titles in the outline of a PDF."""
    found = []
    for plain, wide in re.findall(rb"/Title (?:\(((?:\\.|[^\\)])*)\)|<FEFF([0-9A-F]*)>)", pdf):
        if wide:
            found.append(bytes.fromhex(wide.decode()).decode("utf-16-be"))
        else:
            found.append(re.sub(rb"\\(.)", rb"\1", plain).decode("latin-1"))
    return found


# without a browser


def test_without_chromium_the_script_says_what_it_needs(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("CHROMIUM", str(tmp_path / "none"))
    target = tmp_path / "book.pdf"
    target.write_bytes(b"the last one")
    assert make_pdf.main(tmp_path, target) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "install the package 'chromium'" in said
    assert "CHROMIUM=" in said
    assert [p.name for p in tmp_path.iterdir()] == ["book.pdf"]
    assert target.read_bytes() == b"the last one"


def test_without_a_book_the_script_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("CHROMIUM", sys.executable)
    assert make_pdf.main(tmp_path, tmp_path / "book.pdf") == 2
    assert "make book" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_links_lead_into_the_document(tmp_path):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "one.html").write_text(PAGE, "utf-8")
    known = {"notebooks/one": "page-notebooks-one", "two": "page-two"}
    text = make_pdf.article(tmp_path, make_pdf.Chapter("notebooks/one", "", 1), known)
    assert {a.get_text(): a["href"] for a in text.select("a")} == {
        "here": "#page-notebooks-one--same",
        "page": "#page-two",
        "place": "#page-two--same",
        "paper": "https://doi.org/10",
    }
    assert "source" in text.get_text()
    assert not {"side bar", "folded", "#"} & set(text.get_text().split())
    assert text.details.has_attr("open")  # what is folded on the screen is read on paper
    assert text["id"] == "page-notebooks-one"
    assert [h.name for h in text.select("h1, h2, h3")] == ["h2", "h3"]  # below its chapter
    assert text.select_one("h3")["id"] == "page-notebooks-one--same"
    assert text.select_one("table")["id"] == "T_1"
    assert text.select_one("img")["src"] == "_images/a.png"


def test_chapters_are_in_reading_order():
    section = {"file": "notebooks/a", "sections": []}
    toc = {
        "root": "index",
        "parts": [
            {"caption": "One", "chapters": [{"file": "x", "sections": [section]}, {"file": "y"}]},
            {"caption": "Two", "chapters": [{"file": "z"}]},
        ],
    }
    assert make_pdf.chapters(toc) == [
        ("index", "", 0),
        ("x", "One", 0),
        ("notebooks/a", "", 1),
        ("y", "", 0),
        ("z", "Two", 0),
    ]


def test_titles_written_twice_are_mended_in_place():
    wide = "’s".encode("utf-16-be").hex().upper().encode()
    pdf = b"/Title (Run \\(a\\)Run \\(a\\))/Title (bookkeeper)/Title <FEFF%b>" % (wide + wide)
    mended = make_pdf.mend_outline(pdf, {"Run (a)", "bookkeeper"})
    assert len(mended) == len(pdf)
    assert titles(mended) == ["Run (a)", "bookkeeper", "’s’s"]


# with a browser


@needs_chromium
def test_wide_tables_code_and_pictures_stay_on_the_paper(browser):
    cells = "".join(f"<td style='white-space: nowrap'>column {i}</td>" for i in range(25))
    picture = "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' width='3000' height='9'/>"
    body = (
        f"<div class='cell'><div class='cell_output'><table><tr>{cells}</tr></table></div></div>"
        f'<pre>{"x" * 500}</pre><img alt="wide" src="{picture}">'
        "<div class='sd-tab-set'><input type='radio'><label class='sd-tab-label'>first</label>"
        "<div class='sd-tab-content'>one</div><input type='radio'>"
        "<label class='sd-tab-label'>second</label><div class='sd-tab-content'>two</div></div>"
    )
    page = make_pdf.settled(browser, ROOT / "book" / "_static", document(body))
    assert page.evaluate("() => document.documentElement.scrollWidth") <= make_pdf.WIDTH
    assert page.evaluate("() => +getComputedStyle(document.querySelector('table')).zoom") < 1
    shown = page.eval_on_selector_all(
        ".sd-tab-label, .sd-tab-content", "all => all.map(e => [e.innerText, e.offsetTop])"
    )
    assert [word for word, _ in sorted(shown, key=lambda e: e[1])] == [
        "first",
        "one",
        "second",
        "two",
    ]


@needs_chromium
@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("<img alt='of a cat' src='none.png'>", "no picture: of a cat"),
        ("<span class='math'>x^2</span>", "not typeset: x^2"),
        ("<a href='#gone'>there</a>", "leads nowhere: there"),
        ("<p style='width: 3000px'>long</p>", "too wide: long"),
    ],
)
def test_faults_end_the_printing(browser, body, fault):
    with pytest.raises(SystemExit, match=re.escape(fault)):
        make_pdf.settled(browser, ROOT / "book" / "_static", document(body))


@needs_chromium
@pytest.mark.skipif(not (SITE / "index.html").is_file(), reason=f"no built book: {SITE}")
def test_the_book_is_printed(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    target = tmp_path / "book.pdf"
    assert make_pdf.main(SITE, target) == 0
    assert [p.name for p in tmp_path.iterdir()] == ["book.pdf"]
    pdf = target.read_bytes()
    assert pdf.startswith(b"%PDF")
    toc = make_pdf.yaml.safe_load((ROOT / "book" / "_toc.yml").read_text("utf-8"))
    listed = make_pdf.chapters(toc)
    known = {chapter.page: chapter.anchor for chapter in listed}
    names = [
        make_pdf.article(SITE, chapter, known).find(["h1", "h2"]).get_text() for chapter in listed
    ]
    assert set(names) <= set(titles(pdf))
    numbers = make_pdf.page_numbers(pdf)
    begins = [numbers[chapter.anchor] for chapter in listed[1:]]
    assert begins == sorted(set(begins))  # each on a page of its own, in order
    assert begins[0] >= 3
    assert b"127.0.0.1" not in pdf
    assert make_pdf.HOST.encode() not in pdf
