"""The glossary's words where pages use them, and what a page tells of itself in its head."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from helpers import extensions

nodes = pytest.importorskip("docutils.nodes")
ROOT = Path(__file__).parents[2]


hovers, meta = extensions.load("glossary_hovers"), extensions.load("page_meta")
columns = extensions.load("number_columns")


# the glossary


def words_of_the_page():
    """Word -> what the glossary says of it."""
    text = (ROOT / "book" / "glossary.md").read_text("utf-8")
    (block,) = re.findall(r"```\{glossary\}\n(.*?)```", text, re.S)
    found = {}
    for entry in block.strip().split("\n\n"):
        *words, said = entry.split("\n")
        assert said.startswith("  "), entry
        found |= dict.fromkeys(words, said.strip())
    return found


def test_the_glossary_has_what_every_page_takes_for_granted():
    words = words_of_the_page()
    assert {"FAR", "MAR", "Byzantine", "q", "β", "knowledge"} <= set(words)
    assert {"full knowledge", "partial knowledge", "suitable q", "oracle-defended"} <= set(words)
    assert "$" not in "".join(words.values()), "a tip is plain text"


def test_symbols_in_math_are_words_of_the_glossary():
    assert set(hovers.MATHS.values()) <= set(words_of_the_page())


def glossary():
    """FAR (also: false alarm), β and partial knowledge, as Sphinx reads them."""
    items = [
        (["FAR", "false alarm"], "Flagged & benign."),
        (["β"], "Cut."),
        (["partial knowledge", "knowledge"], "What it sees."),
    ]
    page = nodes.document(None, None)
    listed = nodes.definition_list()
    for terms, said in items:
        item = nodes.definition_list_item()
        item += [nodes.term("", word, ids=[f"term-{word}"]) for word in terms]
        item += nodes.definition("", nodes.paragraph("", said))
        listed += item
    page += listed
    return page


class App:
    """As much of Sphinx as the extensions ask for."""

    def __init__(self):
        self.builder = SimpleNamespace(
            format="html",
            get_relative_uri=lambda _here, _there: "glossary.html",
            get_target_uri=lambda name: f"{name}.html",
            images={"one.png": "one.png", "two.svg": "two.svg"},
            imagedir="_images",
        )
        self.env = SimpleNamespace(found_docs={"glossary"}, get_doctree=lambda _name: glossary())
        self.config = SimpleNamespace(
            html_title="The book", project="", html_baseurl="", root_doc="index"
        )


def marked(*parts, name="page"):
    page = nodes.document(None, None)
    page += list(parts)
    hovers.mark(App(), page, name)
    return page


def html(page):
    """What is written: markup as it is, text without."""
    return "".join(
        node.astext() for node in page.findall(lambda node: isinstance(node, nodes.Text))
    )


def links(page):
    return re.findall(r'href="glossary.html#(.*?)".*?>(.*?)</a>', html(page))


def test_the_first_use_of_a_word_is_a_link_that_tells_what_it_means():
    page = marked(
        nodes.paragraph("", "A FAR of 0, a FAR of 1, and a false alarm."),
        nodes.paragraph("", "With partial knowledge or other knowledge."),
    )
    assert links(page) == [
        ("term-FAR", "FAR"),
        ("term-partial knowledge", "partial knowledge"),
    ]
    assert 'data-tip="Flagged &amp; benign."' in html(page)
    assert re.sub("<.*?>", "", html(page)).startswith("A FAR of 0, a FAR of 1, and")


def test_a_symbol_in_math_is_a_use():
    paragraph = nodes.paragraph("", "Here ")
    paragraph += nodes.math("", r"\beta")
    assert links(marked(paragraph)) == [("term-β", r"\beta")]


@pytest.mark.parametrize("text", ["FARE", "so-FAR", "FAR-off", "far"])
def test_a_part_of_another_word_is_no_use(text):
    assert links(marked(nodes.paragraph("", text))) == []


def in_a_link():
    return nodes.paragraph("", "", nodes.reference("", "FAR", refuri="x"))


def in_code():
    return nodes.paragraph("", "", nodes.literal("", "FAR"))


def in_a_heading():
    return nodes.section("", nodes.title("", "FAR"))


def in_a_table():
    return nodes.entry("", nodes.paragraph("", "FAR"))


@pytest.mark.parametrize("part", [in_a_link, in_code, in_a_heading, in_a_table])
def test_what_has_a_use_of_its_own_is_left_alone(part):
    assert links(marked(part())) == []


def test_the_glossary_does_not_explain_itself():
    assert links(marked(nodes.paragraph("", "FAR"), name="glossary")) == []


# heads


def head(*parts, name="chapter", title="A <em>title</em>", **config):
    page = nodes.document(None, None)
    section = nodes.section()
    section += list(parts)
    page += section
    app, context = App(), {"title": title}
    vars(app.config).update(config)
    meta.tell(app, name, "page.html", context, page)
    tags = re.findall(r'<meta (?:name|property)="(.*?)" content="(.*?)">', context["metatags"])
    assert len(tags) == context["metatags"].count("<meta ")
    return dict(tags)


def test_a_page_is_described_by_its_first_paragraph():
    told = head(nodes.title("", "T"), nodes.paragraph("", 'What "it" says, [LLCM22].'))
    assert told["description"] == told["og:description"] == "What &quot;it&quot; says."
    assert (told["og:title"], told["og:site_name"]) == ("A title", "The book")
    assert told["og:type"] == "article"
    assert head(nodes.paragraph("", "x"), name="index")["og:type"] == "website"


def test_a_long_description_ends_with_a_word():
    told = head(nodes.paragraph("", "word " * 100))["description"]
    assert len(told) <= meta.LONGEST
    assert told.endswith("word…")


def test_a_page_without_words_tells_its_title():
    assert head()["description"] == "The book: A <em>title</em>".replace("<", "&lt;").replace(
        ">", "&gt;"
    )


def test_the_first_picture_that_previews_can_show_is_the_page_s():
    pictures = [nodes.image(uri=name) for name in ("two.svg", "one.png")]
    alone = head(*pictures, name="notebooks/x")
    assert not {"og:image", "og:url"} & set(alone), "no preview can follow a relative address"
    assert alone["twitter:card"] == "summary"
    there = head(*pictures, html_baseurl="https://b.example/")
    assert there["twitter:card"] == "summary_large_image"
    assert "og:image" not in head(pictures[0], html_baseurl="https://b.example/")
    assert there["og:image"] == "https://b.example/_images/one.png"
    assert there["og:url"] == "https://b.example/chapter.html"


def test_where_the_book_is_read_is_a_whole_address():
    for given in ("https://b.example/book", "https://b.example/book/"):
        config = SimpleNamespace(html_baseurl=given)
        meta.check(None, config)
        assert config.html_baseurl == "https://b.example/book/"
    config = SimpleNamespace(html_baseurl="")
    meta.check(None, config)
    assert config.html_baseurl == ""
    for given in ("b.example", "/book/", "https:///book"):
        with pytest.raises(meta.ConfigError, match="needs a whole address like"):
            meta.check(None, SimpleNamespace(html_baseurl=given))


def test_the_configuration_has_a_place_for_each_address():
    text = (ROOT / "_config.yml").read_text("utf-8")
    for told in (False, True):
        if told:  # as somebody who publishes the book writes it
            text = re.sub(r"# (\w+: )https://\.\.\.", r"\1https://b.example/x", text)
        config = yaml.safe_load(text)
        own = config["sphinx"]["config"]
        addresses = [config["html"], "baseurl"], [own, "book_repository"], [own, "book_pdf"]
        found = [part.get(name) for part, name in addresses]
        assert found == ["https://b.example/x" if told else None] * 3


# tables of chapters


def table(head, *rows):
    group = nodes.tgroup(cols=len(head))
    for part, lines in ((nodes.thead(), [head]), (nodes.tbody(), rows)):
        for line in lines:
            row = nodes.row()
            row += [nodes.entry("", nodes.paragraph("", text)) for text in line]
            part += row
        group += part
    return nodes.table("", group)


def test_numbers_of_a_chapter_s_table_stand_to_the_right_with_their_head():
    page = nodes.document(None, None)
    page += table(("what", "seconds", "range"), ("-1", "-1e-05", "1–2"), ("b", "12", "–"))
    columns.align(None, page)
    rows = [["num" in cell["classes"] for cell in row] for row in page.findall(nodes.row)]
    assert rows == [[False, True, True]] * 3
    first = page.next_node(nodes.tbody).next_node(nodes.row)
    assert [cell.astext() for cell in first] == ["-1", "−10⁻⁵", "1–2"], "words are left alone"


# the order of pages


@pytest.fixture(scope="module")
def toc():
    return yaml.safe_load((ROOT / "book" / "_toc.yml").read_text("utf-8"))


def test_parts_stand_in_the_order_of_a_reader(toc):
    order = [part["caption"] for part in toc["parts"] if part["caption"] != "Explore"]
    assert order == [
        "Overview",
        "The paper, re-run",
        "Beyond the paper",
        "Teach with it",
        "Use it",
        "Reference",
    ]


def test_titles_fit_into_the_side_bar(toc):
    entries = [chapter for part in toc["parts"] for chapter in part["chapters"]]
    entries += [section for entry in entries for section in entry.get("sections", [])]
    for entry in entries:
        assert len(entry.get("title", entry["file"])) <= 28, entry


def test_students_are_not_led_to_the_instructors_page(toc):
    (part,) = [part for part in toc["parts"] if part["caption"] == "Teach with it"]
    (course,) = part["chapters"]
    assert course["file"] == "coursework"
    assert [Path(s["file"]).name for s in course["sections"]] == [
        "robust_aggregation",
        "poison_it",
        "find_the_poisoner",
    ]
