"""The landing page's parts say what the records say."""

import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import yaml
from bs4 import BeautifulSoup

from helpers import extensions
from pdrr.book import landing
from pdrr.claims import verdicts
from pdrr.core.files import RECORDED
from pdrr.experiments.records import Records

ROOT = Path(__file__).parents[2]
CITED = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))["preferred-citation"]


@pytest.fixture(scope="module")
def parts():
    return landing.parts()


@pytest.fixture(scope="module")
def judged():
    return verdicts.table(RECORDED / "paper")


def soup(html):
    return BeautifulSoup(html, "html.parser")


def test_the_paper_is_named_whole(parts):
    shown = soup(parts["paper"])
    text = shown.get_text(" ", strip=True)
    assert shown.cite.string == CITED["title"]
    for author in CITED["authors"]:
        assert f"{author['given-names']} {author['family-names']}" in text
    assert str(CITED["year"]) in text
    hrefs = [a["href"] for a in shown.find_all("a")]
    assert hrefs[0] == f"https://doi.org/{CITED['doi']}"
    assert not any(href.startswith("http") for href in hrefs[1:])
    assert shown.pre.string.startswith("@article{lu2022defense,")
    assert shown.pre.string.endswith("}")


def test_where_else_the_project_is_stands_beside_the_paper_where_it_is_told(parts):
    links = {"Repository": "https://b.example/?a=1&b=2", "PDF": "https://b.example/book.pdf"}
    bibliography = (ROOT / "book" / "references.bib").read_text("utf-8")
    told = soup(landing.paper_html(CITED, bibliography, links)).select(".paper-links a")
    assert {a.string: a["href"] for a in told[-2:]} == links
    assert not {*links} & {a.string for a in soup(parts["paper"]).find_all("a")}
    with pytest.raises(ValueError, match="PDF needs a whole address like .*, got 'book.pdf'"):
        landing.paper_html(CITED, bibliography, {"PDF": "book.pdf"})


def test_a_bibliography_without_the_paper_is_refused():
    with pytest.raises(ValueError, match="needs lu2022defense in references.bib"):
        landing.paper_html(CITED, "@article{another,\n}\n")


def test_the_picture_flags_as_recorded(parts):
    rounds = soup(parts["picture"]).select(".live-round")
    assert [each["data-rule"] for each in rounds] == ["krum", "trimmed_mean", "median"]
    for each in rounds:
        stem, own = landing.PICTURE[each["data-rule"]]
        found = Records.load(RECORDED / "paper", stem).where(**landing.ROUND, **own)
        marks = each.select("g[data-score]")
        assert [("flagged" in g["class"]) for g in marks] == found.table["flagged"].tolist()
        assert [("malicious" in g["class"]) for g in marks] == found.table["byzantine"].tolist()
        assert [float(g["data-score"]) for g in marks] == found.table["score"].tolist()
        assert float(each["data-q"]) == found.runs["q"].iloc[0]
        assert (
            "drops 20 of 20 attackers and no honest client." in each.select_one("svg")["aria-label"]
        )


@pytest.mark.parametrize(
    ("q", "words"),
    [
        (0.9, "1 of 2 attackers and no honest client."),
        (0.2, "2 of 2 attackers and 1 honest client."),
        (0.0, "2 of 2 attackers and 2 honest clients."),
    ],
)
def test_the_sentence_counts_both_kinds(q, words):
    table = pd.DataFrame({"score": [0.9, 0.5, 0.2, 0.1], "byzantine": [True, True, False, False]})
    assert landing.told(table, q) == f"At q = {q:.3f} the server drops {words}"


def test_the_tiles_are_the_abstract_s_claims_in_its_order(parts, judged):
    shown = soup(parts["tiles"]).find_all("li")
    claims = judged[judged["section"] == "The abstract"]
    assert [each.select_one(".said").string for each in shown] == claims["claim"].tolist()
    assert [each.select_one(".sd-badge").string for each in shown] == claims["verdict"].tolist()
    for each, ours in zip(shown, claims["ours"], strict=True):
        number = each.strong.find(string=True, recursive=False).strip()
        assert number in ours
        assert re.match(r"\d", number)
        assert each.strong.small.string


def test_the_harm_strip_has_the_means_of_the_recorded_rounds(parts):
    table = Records.load(RECORDED / "paper", "every_round").table
    blocks = soup(parts["harm"]).find_all("section")
    assert len(blocks) == 3
    rows = table[(table["rule"] == "trimmed_mean") & (table["beta"] == 10)]
    rows = rows[(rows["chain"] == "oracle-defended") & (rows["knowledge"] == "partial")]
    shown = [float(each.get_text(strip=True)) for each in blocks[1].find_all("dd")]
    assert shown == [round(rows[column].mean(), 2) for column in landing.ACCURACIES]
    assert f"{len(rows)} rounds" in blocks[1].h3.get_text()


def test_a_harm_strip_without_rounds_is_refused():
    records = Records.load(RECORDED / "paper", "every_round")
    other = Records(records.table[records.table["rule"] != "median"], records.runs, {})
    with pytest.raises(ValueError, match="needs attacked rounds of median"):
        landing.harm(other)


def test_the_bar_counts_every_claim_once_and_leads_to_the_verdicts(parts, judged):
    shown = soup(parts["bar"])
    counts = [int(each.string) for each in shown.select(".stack span")]
    assert sum(counts) == judged["counted"].sum()
    assert shown.a["href"] == "notebooks/verdicts.html"
    growth = [
        re.search(r"flex-grow:(\d+)", each["style"])[1] for each in shown.select(".stack span")
    ]
    assert [int(each) for each in growth] == counts


# the build


@pytest.fixture(scope="module")
def extension():
    return extensions.load("made_parts")


def test_a_build_writes_every_part_that_the_pages_show(extension, tmp_path):
    (tmp_path / "records").symlink_to(ROOT / RECORDED)
    shutil.copy(ROOT / "book" / "references.bib", tmp_path)
    config = SimpleNamespace(book_repository="", book_pdf="https://b.example/book.pdf")
    extension.make(SimpleNamespace(srcdir=tmp_path, config=config))
    paper = (tmp_path / "_outputs/landing_paper.html").read_text("utf-8")
    assert '<a href="https://b.example/book.pdf">PDF</a>' in paper
    assert "Repository" not in paper
    assert (tmp_path / "_extra/explorer/runs.js").read_text("utf-8").startswith("window.PDRR = {")
    for page in ("index.md", "explore.md"):
        text = (ROOT / "book" / page).read_text("utf-8")
        shown = re.findall(r"^:file: (_outputs/landing_\w+\.html)$", text, re.M)
        assert shown
        assert all((tmp_path / name).is_file() for name in shown)


def test_a_build_ends_where_records_are_missing(extension, tmp_path):
    shutil.copy(ROOT / "book" / "references.bib", tmp_path)
    with pytest.raises(extension.SphinxError, match="no records: "):
        config = SimpleNamespace(book_repository="", book_pdf="")
        extension.make(SimpleNamespace(srcdir=tmp_path, config=config))
