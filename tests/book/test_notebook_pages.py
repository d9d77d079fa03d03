"""Notebooks as pages: code in one fold, figures and tables with address, words and files."""

import csv
import json
from io import StringIO
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from matplotlib.figure import Figure
from sphinx.errors import SphinxError

from helpers import extensions
from pdrr.book import drawing, tables

ROOT = Path(__file__).parents[2]
new = nbformat.v4


@pytest.fixture(scope="module")
def extension():
    return extensions.load("notebook_pages")


def shown(name, source, *bundles, tags=(), **metadata):
    outputs = [new.new_output("display_data", data=bundle) for bundle in bundles]
    cell = new.new_code_cell(source, outputs=outputs, metadata={"tags": list(tags), **metadata})
    cell["id"] = name
    return cell


def figure(name="drawn", alt="a picture of nothing", data=None):
    bundle = drawing.of(Figure(figsize=(2, 2)), data)._repr_mimebundle_()
    return shown(name, "draw()", bundle, mystnb={"image": {"alt": alt}})


def table(name="listed", caption="The numbers", own=None, cell="1<br>2"):
    made = tables.styled(pd.DataFrame({"a": [cell]}, ["row"]), "runs")
    made = made if own is None else made.set_caption(own)
    metadata = {"pdrr": {"caption": caption}} if caption else {}
    return shown(name, "list_them()", {"text/html": made.to_html()}, **metadata)


def page(extension, folder, *cells):
    cells = [new.new_markdown_cell("# A title: so it is <!-- holds: so -->"), *cells]
    text = json.dumps(new.new_notebook(cells=cells))
    read = json.loads(extension.as_page(text, "fig04", folder))["cells"]
    html = "".join(
        "".join(output["data"].get("text/html", ""))
        for cell in read
        for output in cell.get("outputs", [])
    )
    return read, BeautifulSoup(html, "html.parser")


def test_a_figure_has_its_address_its_words_and_its_files(extension, tmp_path):
    _, found = page(extension, tmp_path, figure(data=pd.DataFrame({"score": [0.5]})))
    (drawn,) = found.select(".pdrr-figure#drawn")
    assert drawn.select_one("[role=img]")["aria-label"] == "a picture of nothing"
    links = {link.string: link["href"] for link in drawn.select(".pdrr-links a")}
    assert links == {
        "link to this figure": "#drawn",
        "SVG": "../_files/fig04/drawn.svg",
        "CSV": "../_files/fig04/drawn.csv",
        "notebook": "../_files/fig04/fig04.ipynb",
    }
    assert (tmp_path / "drawn.csv").read_text("utf-8") == "score\n0.5\n"
    assert (tmp_path / "drawn.svg").read_text("utf-8").startswith("<svg ")


def test_two_figures_of_a_cell_have_two_addresses(extension, tmp_path):
    cell = figure()
    cell.outputs.append(cell.outputs[0].copy())
    _, found = page(extension, tmp_path, cell)
    assert [each["id"] for each in found.select(".pdrr-figure")] == ["drawn", "drawn-1"]


def test_a_figure_without_words_ends_the_build(extension, tmp_path):
    with pytest.raises(SphinxError, match="fig04, cell drawn: a figure needs a description"):
        page(extension, tmp_path, figure(alt=""))


@pytest.mark.parametrize(
    ("caption", "own", "words"),
    [
        ("The numbers", None, "The numbers."),
        ("The numbers", "One seed.", "The numbers. One seed."),
        ("", "One seed.", "One seed."),
    ],
)
def test_a_table_has_its_caption_and_its_cells_as_csv(extension, tmp_path, caption, own, words):
    _, found = page(extension, tmp_path, table(caption=caption, own=own))
    assert found.select_one(".pdrr-table#listed caption").get_text() == words
    rows = list(csv.reader(StringIO((tmp_path / "listed.csv").read_text("utf-8"))))
    assert rows == [["", "a"], ["row", "1 | 2"]]


def test_numbers_are_typeset_on_the_page_and_plain_in_its_csv(extension, tmp_path):
    _, found = page(extension, tmp_path, table(cell="-0.5<br>3.5e-05"))
    assert found.select_one(".pdrr-table td").get_text("|") == "−0.5|3.5\u00a0×\u00a010⁻⁵"
    assert (tmp_path / "listed.csv").read_text("utf-8") == ",a\nrow,-0.5 | 3.5e-5\n"


def test_a_table_without_a_caption_ends_the_build(extension, tmp_path):
    with pytest.raises(SphinxError, match="fig04, cell listed: a table needs a caption"):
        page(extension, tmp_path, table(caption=""))


def test_a_box_and_a_provenance_stay_as_they_are(extension, tmp_path):
    html = '<div class="pdrr-provenance"><details><table id="T_1"></table></details></div>'
    _, found = page(extension, tmp_path, shown("box", "box()", {"text/html": html}))
    assert found.decode() == html


def test_code_is_folded_once_and_its_toggles_are_gone(extension, tmp_path):
    cells = [
        shown("imports", "import pdrr", tags=["hide-input"]),
        figure(),
        new.new_markdown_cell("## Where this comes from"),
        shown("origin", "provenance()", {"text/html": "<p>here</p>"}, tags=["hide-input"]),
    ]
    read, _ = page(extension, tmp_path, *cells)
    kinds = [cell["cell_type"] for cell in read]
    assert kinds == ["markdown", "code", "markdown", "markdown", "code"]  # the fold stands third
    assert read[2]["source"].count("<details") == 1
    for line in ("import pdrr", "draw()", "provenance()"):
        assert line in read[2]["source"]
    for cell in read:
        if cell["cell_type"] == "code":
            assert "remove-input" in cell["metadata"]["tags"]
            assert "hide-input" not in cell["metadata"]["tags"]


def test_parameters_are_in_sight_where_the_reader_is_asked_to_run_it(extension, tmp_path):
    given = shown("given", "c: int = 10", tags=["parameters", "hide-input"])
    injected = shown("injected", "c = 12", tags=["injected-parameters"])
    run = new.new_markdown_cell("## Run it yourself\n\nSo:")
    read, _ = page(extension, tmp_path, run, given, injected, figure())
    assert [cell["id"] for cell in read if cell["cell_type"] == "code"] == ["given", "drawn"]
    assert read[2]["metadata"]["tags"] == ["parameters"]
    read, _ = page(extension, tmp_path, given, injected, run, figure())
    assert [cell["id"] for cell in read if cell["cell_type"] == "code"] == ["drawn"]
    assert "c: int = 10" in read[-1]["source"]


def test_a_title_is_shown_without_its_tag(extension, tmp_path):
    read, _ = page(extension, tmp_path)
    assert read[0]["source"] == "# A title: so it is"


def test_the_notebook_to_take_home_has_no_results_and_no_parameters_of_this_run(extension):
    cells = [figure(), shown("injected", "data = '/home'", tags=["injected-parameters"])]
    notebook = new.new_notebook(cells=cells, metadata={"papermill": {"input_path": "/home"}})
    text = extension.plain(json.dumps(notebook))
    assert "/home" not in text
    (cell,) = nbformat.reads(text, as_version=4).cells
    assert (cell.outputs, cell.execution_count) == ([], None)


def test_a_chapter_is_given_the_first_drawing_with_its_words():
    first_drawing = extensions.load("notebook_outputs").first_drawing
    cells = json.loads(json.dumps([table(), figure(), figure("other", alt="another")]))
    found = BeautifulSoup(first_drawing(cells), "html.parser")
    assert found.select_one("[role=img]")["aria-label"] == "a picture of nothing"
    assert first_drawing(cells[:1]) == ""


@pytest.mark.parametrize("path", sorted(ROOT.glob("notebooks/*.ipynb")), ids=lambda path: path.stem)
def test_every_notebook_has_one_fold_and_a_title_without_tags(extension, tmp_path, path):
    read = json.loads(extension.as_page(path.read_text("utf-8"), path.stem, tmp_path))["cells"]
    title, *_ = "".join(read[0]["source"]).splitlines()
    assert title.startswith("# ")
    assert "<!--" not in title
    folds = [cell for cell in read if '<details class="pdrr-code">' in "".join(cell["source"])]
    assert len(folds) == 1
    for cell in read:  # nothing is executed: what is left of the code are parameters in sight
        assert cell["cell_type"] == "markdown" or cell["metadata"]["tags"] == ["parameters"]
