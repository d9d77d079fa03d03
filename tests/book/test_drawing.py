"""Figures on pages: SVG with its own names and the page's colours, seen on light and on dark."""

import base64
import itertools
import re
from io import BytesIO
from xml.dom import minidom

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from matplotlib.figure import Figure
from PIL import Image

from pdrr.book import drawing, figures, style
from pdrr.core.files import RECORDED
from pdrr.experiments import recorded

WORDS = 4.5  # contrast that WCAG 1.4.3 asks of words
NON_TEXT = 3  # contrast that WCAG 1.4.11 asks of graphics
BADGES = {  # the theme's colours of verdicts: reproduced, partly, not, no verdict, ...
    "light": ("#00843f", "#f66a0a", "#d72d47", "#276be9", "#57606a"),
    "dark": ("#5fb488", "#ff9245", "#e78894", "#79a3f2", "#57606a"),
}
KINDS = {
    "light": (style.MALICIOUS, style.BENIGN),
    "dark": (style.DARK[style.MALICIOUS], style.DARK[style.BENIGN]),
}


def linear(colour):
    c = np.array(mpl.colors.to_rgb(colour))
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def luminance(colour):
    return float(linear(colour) @ [0.2126, 0.7152, 0.0722])


def contrast(one, other):
    """Of two colours, as WCAG 2 defines it."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def lab(colour):
    """CIE L*, a*, b*."""
    matrix = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    x = np.array(matrix) @ linear(colour) / [0.9505, 1, 1.089]
    f = np.where(x > 0.008856, np.cbrt(x), 7.787 * x + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def test_the_contrast_is_that_of_the_definition():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
    assert lab("#ffffff") == pytest.approx([100, 0, 0], abs=0.1)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_malicious_and_benign_can_be_seen_and_told_apart_without_hue(theme):
    malicious, benign = KINDS[theme]
    for colour in (malicious, benign):
        assert contrast(colour, style.PAGES[theme]) >= NON_TEXT
    assert abs(lab(malicious)[0] - lab(benign)[0]) > 10
    assert contrast(malicious, style.PAGES[theme]) > contrast(benign, style.PAGES[theme])
    assert style.MARKS[True]["marker"] != style.MARKS[False]["marker"]


def test_a_picture_that_cannot_follow_the_page_is_seen_on_both():
    for colour, page in itertools.product(KINDS["light"], style.PAGES.values()):
        assert contrast(colour, page) >= NON_TEXT


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_badge_has_the_colour_of_a_kind(theme):
    for colour, badge in itertools.product(KINDS[theme][:1], BADGES[theme]):
        assert np.linalg.norm(lab(colour) - lab(badge)) > 20, (colour, badge)


@pytest.mark.parametrize("colour", ["#010203", style.GREY])
def test_a_scale_fades_into_the_page(colour):
    scale = style.fading(colour, style.WARM)
    assert mpl.colors.to_hex(scale(0.0)) == colour
    assert mpl.colors.to_hex(scale(1.0)) == style.WARM
    assert [scale(at)[3] for at in (0.0, 1.0)] == [1, 1]
    assert max(scale(0.499)[3], scale(0.501)[3]) < 0.02


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("end", [style.COOL, style.WARM, style.PURPLE, style.AMBER])
def test_a_cell_of_any_strength_is_under_words_that_can_be_read(theme, end):
    page, words = style.PAGES[theme], style.ON_CELL
    words = style.DARK[words] if theme == "dark" else words
    assert contrast(end, page) >= NON_TEXT
    strong, ground = (np.array(mpl.colors.to_rgb(colour)) for colour in (end, page))
    for alpha in np.linspace(0, 1, 11):
        assert contrast(alpha * strong + (1 - alpha) * ground, words) >= WORDS


METHODS = (style.RUST, style.SAND, style.SKY, style.PINK, style.OLIVE)


@pytest.mark.parametrize(
    "colour",
    [style.INK, style.RED, style.GREEN, style.GREY, "#555555", "#777777", "#929292", *METHODS],
)
def test_lines_and_words_can_be_read_on_both_pages(colour):
    assert contrast(colour, style.PAGES["light"]) >= NON_TEXT
    assert contrast(style.DARK.get(colour, colour), style.PAGES["dark"]) >= NON_TEXT


def test_the_style_sheet_has_the_dark_colours():
    sheet = (RECORDED.parents[0] / "_static" / "figures.css").read_text("utf-8")
    words, page = re.match(r"(?s)(.*?)\n/\* words in a mark's colour .*?\n(.*?)\n", sheet).groups()[
        ::-1
    ]
    for part, wanted in ((page, style.DARK), (words, style.WORDS)):
        written = dict(re.findall(r"--c-(\w{6}): (#\w{6});", part))
        assert written == {light[1:]: other for light, other in wanted.items()}


@pytest.mark.parametrize("colour", style.WORDS)
def test_words_in_the_colour_of_a_mark_can_be_read(colour):
    assert contrast(style.WORDS[colour], style.PAGES["light"]) >= WORDS


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_one_place_in_the_style_sheets_has_the_colours_of_both_kinds(theme):
    where = r"html" if theme == "light" else r'html\[data-theme="dark"\]'
    sheets = [path.read_text("utf-8") for path in (RECORDED.parents[0] / "_static").glob("*.css")]
    for name, colour in zip(("malicious", "benign"), KINDS[theme], strict=True):
        rule = rf"^{where} {{[^}}]*--pdrr-{name}: (#\w{{6}});"
        assert re.findall(rule, "\n".join(sheets), re.M) == [colour]


def test_the_pages_blue_can_be_read_as_text():
    sheet = (RECORDED.parents[0] / "_static" / "custom.css").read_text("utf-8")
    colours = re.findall(r"^html.* { --pdrr-blue: (#\w{6}); }", sheet, re.M)
    for colour, page in zip(colours, style.PAGES.values(), strict=True):
        assert contrast(colour, page) >= 4.5  # WCAG 1.4.3


# what a drawing becomes


def figure(words="score", colour=style.MALICIOUS):
    with mpl.rc_context(style.STYLE):
        made = Figure(figsize=(3, 2))
        ax = made.subplots()
        ax.plot([0, 1], [0, 1], color=colour, marker="s")
        ax.set_title(words)
    return made


@pytest.fixture(scope="module")
def made():
    panels = {"one": figure("first"), "two & three": figure("second", style.BENIGN)}
    data = pd.DataFrame({"client": [1, 2], "score": [0.5, 1 / 3]})
    return drawing.Drawing(panels, data, "<common>", style.KEY)


def test_every_panel_is_a_picture_of_its_own_in_order(made):
    found = BeautifulSoup(made.html(), "html.parser")
    titles = [[text.string for text in svg.select("text")][-1] for svg in found.select("svg")]
    assert titles == ["first", "second"]
    (panels,) = found.select(".panels[role=img]")
    assert panels["aria-label"] == "<common>; one, two & three"
    assert found.select_one("p.head").string == "<common>"
    assert [mark.get_text() for mark in found.select("p.key > span")] == [
        f"{glyph} {words}" for glyph, _, words in style.KEY
    ]


def test_colours_follow_the_page_and_the_font_is_its(made):
    html = made.html()
    assert f"var(--c-{style.MALICIOUS[1:]}, {style.MALICIOUS})" in html
    bare = re.sub(r"var\(--c-(\w{6}), #\1\)", "", html)
    assert not [colour for colour in style.DARK if colour in bare]
    assert "DejaVu" not in html
    assert "<style" not in html  # it would hold for the whole page


def test_a_title_of_several_lines_has_the_font_of_the_page():
    words = BeautifulSoup(drawing.of(figure("first\nsecond")).html(), "html.parser")
    styles = {text.string: text["style"] for text in words.select("text")}
    assert "font-size" in styles["second"]
    assert "family" not in styles["first"] + styles["second"]


def test_no_two_panels_share_a_name_and_every_reference_is_met(made):
    html = made.html() + drawing.of(figure("third")).html()
    names = re.findall(r'\bid="([^"]*)"', html)
    assert len(names) == len(set(names)) > 0
    assert set(re.findall(r'(?:url\(#|href="#)([^")]*)', html)) == set(names)


def test_the_file_is_one_svg_that_knows_the_dark_with_title_and_key(made):
    parsed = minidom.parseString(made.svg())
    assert len(parsed.getElementsByTagName("svg")) == 3
    assert "prefers-color-scheme: dark" in made.svg()
    for words in ("&lt;common&gt;", "malicious", "hollow: not flagged"):
        assert words in made.svg()
    inner = parsed.getElementsByTagName("svg")[1:]
    assert [svg.getAttribute("width") for svg in inner] == ["216", "216"]  # points, as the outer


def test_the_bundle_has_a_picture_and_the_numbers(made):
    bundle = made._repr_mimebundle_()
    assert bundle["text/csv"] == "client,score\n1,0.5\n2,0.333333333\n"
    picture = Image.open(BytesIO(base64.b64decode(bundle["image/png"])))
    assert picture.width > 2 * 3 * style.STYLE["figure.dpi"]
    assert "text/csv" not in drawing.of(figure())._repr_mimebundle_()


def test_only_a_wide_panel_is_moved_sideways():
    wide = Figure(figsize=(9, 2))
    assert 'tabindex="0"' in drawing.of(wide).html()
    assert "tabindex" not in drawing.of(figure()).html()


def test_the_same_figure_gives_the_same_text():
    assert drawing.of(figure()).html() == drawing.of(figure()).html()


def test_a_prime_is_a_prime():
    """In matplotlib's mathematics it is the digit 0 of a font that pages lack."""
    drawn = figures.fig02(recorded("fig02").where(seed=1)).html()
    assert "w′₁" in drawn
    assert "cmsy" not in drawn.lower()
