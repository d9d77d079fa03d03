"""The built book in a headless browser: whole, from one host only, and readable by everybody.

Skipped where the book, playwright or Chromium is missing. Environment variables:
BOOK (folder of the pages), CHROMIUM (its program), AXE_JS (axe-core's axe.min.js, optional).
"""

from __future__ import annotations

import functools
import http.server
import os
import re
import threading
from pathlib import Path
from urllib.parse import unquote

import pytest

from helpers.browsing import CHROMIUM

ROOT = Path(os.environ.get("BOOK", "build/site/_build/html"))
AXE = os.environ.get("AXE_JS")
if not (ROOT / "index.html").is_file():
    pytest.skip(f"no built book in {ROOT}: make book", allow_module_level=True)
playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
if CHROMIUM is None:
    pytest.skip("needs Chromium, or its path in CHROMIUM", allow_module_level=True)

PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in ROOT.rglob("*.html")
    if "_static" not in path.parts and path.name != "genindex.html"
)
READ = [page for page in PAGES if page != "search.html" and not page.startswith("_modules")]
VIEWS = [(width, theme) for width in (1400, 390) for theme in ("light", "dark")]

FAULTS = r"""() => {
  const shown = e => e.checkVisibility ? e.checkVisibility() : true;
  const numbers = colour => colour.match(/[\d.]+/g).map(Number);
  const light = colour => numbers(colour).slice(0, 3).map(v => v / 255)
    .map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const solid = e => (numbers(getComputedStyle(e).backgroundColor)[3] ?? 1) > .9;
  const ground = e => !e || solid(e)
    ? getComputedStyle(e ?? document.documentElement).backgroundColor : ground(e.parentElement);
  const contrast = e => {
    const [low, high] = [light(getComputedStyle(e).color), light(ground(e))].sort((a, b) => a - b);
    return (high + .05) / (low + .05);
  };
  const words = e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim().length > 1);
  const count = {};
  for (const e of document.querySelectorAll("[id]")) count[e.id] = (count[e.id] ?? 0) + 1;
  return {
    unreadable: [...document.querySelectorAll(".bd-article *:not(svg *, option)")]
      .filter(e => words(e) && shown(e) && contrast(e) < 3).map(e => e.textContent.slice(0, 40)),
    twice: Object.keys(count).filter(id => count[id] > 1),
    cut: [...document.querySelectorAll(".prev-next-area a")]
      .filter(e => e.scrollWidth > e.clientWidth).map(e => e.textContent.trim()),
    formulas: innerWidth < 1000 ? [] : [...document.querySelectorAll("div.math")]
      .filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.textContent.slice(0, 60)),
    // at the left edge of a table its first values are seen, not the names of the rows alone
    values: [...document.querySelectorAll(".cell_output tbody tr:first-child > :nth-child(2)")]
      .filter(e => shown(e) && e.getBoundingClientRect().left > innerWidth - 30)
      .map(e => e.closest("table").textContent.trim().slice(0, 40)),
    overflow: Math.max(0, document.documentElement.scrollWidth - innerWidth),
    alt: [...document.querySelectorAll(".bd-article img")]
      .filter(i => !i.alt.trim() || /_images|\.(png|svg)$/.test(i.alt)).map(i => i.src),
    broken: [...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src),
    maths: [...document.querySelectorAll(".math")].filter(e => !e.querySelector("mjx-container"))
      .map(e => e.textContent.slice(0, 60)),
    wrong: [...document.querySelectorAll("mjx-merror, [data-mjx-error], .problematic, .error")]
      .map(e => e.textContent.slice(0, 60)),
    stderr: [...document.querySelectorAll(".output.stderr")]
      .map(e => e.textContent.slice(0, 60)),
    raw: [...document.querySelectorAll(".bd-article p, .bd-article li, .bd-article td")]
      .filter(e => shown(e) && /\{(cite|ref|doc|eq)[:\w]*\}`|\$[^$]+\$/.test(e.innerText))
      .map(e => e.innerText.slice(0, 60)),
  };
}"""


# address and words of every figure and table, and what it offers to keep
PARTS = r"""() => [...document.querySelectorAll(".pdrr-figure, .pdrr-table")].map(e => ({
  id: e.id,
  words: (e.querySelector(".panels")?.ariaLabel ?? e.querySelector("caption")?.textContent ?? ""),
  own: !!e.id && e.querySelector(".pdrr-links a")?.hash === "#" + e.id,
  files: [...e.querySelectorAll(".pdrr-links a[download]")].map(a => a.href),
}))"""


# of each table, unfolded if need be: its words, whether it has a caption, its width and its box's
TABLES = r"""() => {
  for (const fold of document.querySelectorAll(".bd-article details")) fold.open = true;
  return [...document.querySelectorAll(".bd-article table")]
    .filter(e => e.getClientRects().length)
    .map(e => [
      e.innerText.trim().slice(0, 40).replaceAll("\n", " "), !!e.caption,
      Math.max(e.scrollWidth, Math.ceil(e.getBoundingClientRect().width)),
      Math.ceil(e.parentElement.getBoundingClientRect().width),
    ]);
}"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serve files without a line for each request."""

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def base():
    handler = functools.partial(Quiet, directory=ROOT)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module", params=VIEWS, ids=lambda view: f"{view[0]}-{view[1]}")
def view(request, base, browser):
    """A page of one width and theme, with the list of what went wrong on it."""
    width, theme = request.param
    context = browser.new_context(viewport={"width": width, "height": 850}, color_scheme=theme)
    page, faults = context.new_page(), []

    def elsewhere(request):
        if not request.url.startswith((base, "data:", "blob:")):
            faults.append("other host " + request.url)

    def failed(request):
        if request.failure != "net::ERR_ABORTED":  # the test went on to the next page
            faults.append(f"failed {request.url}: {request.failure}")

    page.on("request", elsewhere)
    page.on("requestfailed", failed)
    page.on("pageerror", lambda error: faults.append(f"error {error}"))
    page.on("console", lambda m: faults.append(m.text) if m.type in ("error", "warning") else None)
    page.on("response", lambda r: faults.append(f"{r.status} {r.url}") if r.status >= 400 else None)
    yield page, faults
    context.close()


@pytest.mark.parametrize("name", [*READ, "search.html"])
def test_page(view, base, name):
    page, faults = view
    faults.clear()
    page.goto(base + name, wait_until="load")
    page.evaluate("() => window.MathJax?.startup?.promise.then(() => 1)")
    found = {key: value for key, value in page.evaluate(FAULTS).items() if value}
    if AXE is not None:
        page.evaluate(Path(AXE).read_text("utf-8"))
        # the theme's switch has a label that a script writes, later, for the chosen mode
        violations = page.evaluate("() => axe.run({exclude: [['.theme-switch-button']]})")
        for violation in violations["violations"]:
            found[violation["id"]] = [node["target"] for node in violation["nodes"]][:5]
    assert (faults, found) == ([], {})


def test_the_theme_follows_the_reader(view, base):
    page, _ = view
    page.goto(base + "index.html")
    dark = page.evaluate("() => matchMedia('(prefers-color-scheme: dark)').matches")
    assert page.evaluate("() => document.documentElement.dataset.theme") == (
        "dark" if dark else "light"
    )


def test_a_page_s_box_has_the_colour_of_its_text(view, base):
    page, _ = view
    page.goto(base + "notebooks/table1.html")
    colour = "e => getComputedStyle(document.querySelector(e)).color"
    box, text = (page.evaluate(colour, e) for e in (".pdrr-box dd", ".bd-article > section > p"))
    assert box == text


def test_every_figure_and_table_has_its_address_words_and_files(browser, base):
    page, count, wrong = browser.new_page(), 0, []
    for name in (each for each in READ if each.startswith("notebooks/") and "course" not in each):
        page.goto(base + name, wait_until="domcontentloaded")
        found = page.evaluate(PARTS)
        count += len(found)
        for part in found:
            missing = [url for url in part["files"] if not (ROOT / url[len(base) :]).is_file()]
            if not (part["words"] and part["own"] and part["files"]) or missing:
                wrong.append((name, part["id"], missing))
    page.close()
    assert wrong == []
    assert count > 50


def test_panels_stand_one_below_the_other_where_there_is_no_room(view, base):
    page, _ = view
    page.goto(base + "notebooks/fig08.html")
    lefts = page.eval_on_selector_all(
        ".pdrr-figure:first-of-type .panels > svg",
        "es => es.map(e => Math.round(e.getBoundingClientRect().left))",
    )
    columns = 1 if page.viewport_size["width"] < 600 else 2
    assert len(set(lefts)) == columns


NARROW = ("matrix", "silence", "how_many", "survival", "cotrimming", "evasion")
NARROW += ("every_round", "learning_rate", "thresholds", "performance", "in_passing")
DESKTOP = 1280  # a laptop's window: both side bars leave the text its narrowest column


def test_no_table_is_wider_than_its_column_and_those_of_notebooks_have_captions(browser, base):
    page = browser.new_page(viewport={"width": DESKTOP, "height": 850})
    wide, bare, count = [], [], 0
    for name in READ:
        page.goto(base + name, wait_until="load")
        page.evaluate("() => window.MathJax?.startup?.promise.then(() => 1)")
        for words, captioned, width, room in page.evaluate(TABLES):
            count += 1
            if width > room:
                wide.append((name, words, width, room))
            if name.startswith("notebooks/") and "coursework" not in name and not captioned:
                bare.append((name, words))
    page.close()
    assert (wide, bare) == ([], [])
    assert count > 100


def test_figures_need_no_scrolling_on_a_phone(browser, base):
    page = browser.new_page(viewport={"width": 390, "height": 850})
    for stem in NARROW:
        page.goto(f"{base}notebooks/{stem}.html", wait_until="load")
        panels = page.eval_on_selector_all(
            ".pdrr-figure .panels", "all => all.map(e => [e.scrollWidth, e.clientWidth])"
        )
        assert panels, stem
        assert all(width <= room for width, room in panels), (stem, panels)
    page.close()


FIRST = (  # page, the number of a table on it, and the heads that it is for
    *((f"notebooks/fig0{i}", 0, ("FAR", "MAR")) for i in (4, 5, 6, 7)),
    ("notebooks/learning_rate", 0, ("FAR", "MAR")),
    ("notebooks/table3", 1, ("DAGMM", "VAE", "PDRR")),
    ("status", 0, ("seconds",)),
    ("status", 1, ("seconds", "memory")),
)
RIGHTS = """all => all.map(table => Object.fromEntries(
  [...table.querySelectorAll("thead th")].map(e =>
    [e.textContent.trim(), e.getBoundingClientRect().right])))"""
LETTERS = """all => all.map(e => {
  const {a, b} = e.getScreenCTM();
  return [parseFloat(getComputedStyle(e).fontSize) * Math.hypot(a, b), e.textContent];
})"""


def test_what_a_table_is_for_is_seen_on_a_phone_without_moving_it(browser, base):
    page = browser.new_page(viewport={"width": 390, "height": 850})
    for name, number, heads in FIRST:
        page.goto(f"{base}{name}.html", wait_until="load")
        tables = page.eval_on_selector_all(".bd-article table:not(details *)", RIGHTS)
        for head in heads:
            assert tables[number][head] <= 390, (name, head)
    page.close()


def test_letters_of_figures_are_read_on_a_phone(browser, base):
    page = browser.new_page(viewport={"width": 390, "height": 850})
    for stem in NARROW:
        page.goto(f"{base}notebooks/{stem}.html", wait_until="load")
        letters = page.eval_on_selector_all(".pdrr-drawing svg text", LETTERS)
        assert letters, stem
        assert [(stem, *each) for each in letters if each[0] < 8] == []
    page.close()


def test_links_lead_somewhere(browser, base):
    page = browser.new_page()
    links, anchors = set(), {}
    for name in PAGES:
        page.goto(base + name, wait_until="domcontentloaded")
        anchors[name] = set(page.eval_on_selector_all("[id]", "es => es.map(e => e.id)"))
        hrefs = page.eval_on_selector_all("a[href]", "es => es.map(e => e.href)")
        links |= {(name, url[len(base) :]) for url in hrefs if url.startswith(base)}
    page.close()
    gone = []
    for name, link in sorted(links):
        path, _, fragment = link.partition("#")
        path = unquote(path.partition("?")[0]) or "index.html"
        if path not in anchors:
            gone += [] if (ROOT / path).is_file() else [(name, link)]
        elif fragment and unquote(fragment) not in anchors[path]:
            gone.append((name, link))
    assert gone == []


@pytest.mark.parametrize(("word", "expected"), [("Krum", "attacks.html"), ("LEAF", "data.html")])
def test_search_finds(browser, base, word, expected):
    page = browser.new_page()
    page.goto(f"{base}search.html?q={word}")
    page.wait_for_function(
        "() => /found|matching/.test(document.querySelector('.search-summary')?.textContent ?? '')"
    )
    found = page.eval_on_selector_all("#search-results li a", "es => es.map(e => e.href)")
    page.close()
    assert any(url.partition("?")[0].endswith(expected) for url in found)


# what a page says of itself, and what of it can be used


def test_every_page_is_described_and_no_preview_has_a_relative_address(browser, base):
    page = browser.new_page()
    found = {}
    for name in READ:
        page.goto(base + name, wait_until="domcontentloaded")
        found[name] = page.eval_on_selector_all(
            "meta[name=description], meta[property^='og:']",
            "all => Object.fromEntries("
            "  all.map(e => [e.name || e.getAttribute('property'), e.content]))",
        )
    page.close()
    for name, told in found.items():
        assert {"description", "og:title", "og:description", "og:type", "og:site_name"} <= set(told)
        assert 10 <= len(told["description"]) <= 200, name
        if picture := told.get("og:image"):  # where the configuration tells the book's address
            assert picture.startswith(told["og:url"].removesuffix(name)), name


def test_columns_of_numbers_stand_to_the_right_with_their_heads(view, base):
    page, _ = view
    page.goto(base + "notebooks/table1.html")
    sides = page.eval_on_selector_all(
        ".cell_output td.num", "all => all.map(e => getComputedStyle(e).textAlign)"
    )
    assert len(sides) > 20
    assert set(sides) == {"right"}
    assert page.locator(".cell_output tr:has(> td.ours) > th").first.inner_text() == "PDRR"


def test_a_word_tells_what_it_means_to_the_keyboard_and_goes_away(view, base):
    page, _ = view
    page.goto(base + "evaluation.html")
    shown = "e => getComputedStyle(e, '::after').content"
    word = page.locator("a.pdrr-term", has_text="FAR").first
    assert word.evaluate(shown) in ("none", "normal")
    page.keyboard.press("Tab")  # what follows counts as coming from the keyboard
    word.focus()
    assert "Flagged benign models" in word.evaluate(shown)
    assert page.evaluate("() => document.documentElement.scrollWidth - innerWidth") <= 0
    page.keyboard.press("Escape")
    assert word.evaluate(shown) in ("none", "normal")


def test_claims_are_searched_and_chosen_by_verdict(view, base):
    page, _ = view
    page.goto(base + "notebooks/verdicts.html")
    rows, shown = page.locator(".verdicts.whole tbody tr"), ".verdicts.whole tbody tr:not([hidden])"
    every = rows.count()
    assert page.locator(shown).count() == every > 50
    page.get_by_role("searchbox", name="Words in a claim").fill("krum far")
    some = page.locator(shown)
    assert 0 < some.count() < every
    for text in some.all_inner_texts():
        assert "krum" in text.lower()
    page.get_by_role("searchbox", name="Words in a claim").fill("")
    page.get_by_label("reproduced", exact=True).uncheck()
    assert page.locator(f"{shown}[data-verdict=reproduced]").count() == 0
    assert page.locator(shown).count() > 0
    width = page.viewport_size["width"]
    row = "e => getComputedStyle(e).display"
    assert page.locator(shown).first.evaluate(row) == ("block" if width < 576 else "table-row")


def test_claims_beyond_the_abstract_s_are_folded_until_an_address_or_a_search_asks(view, base):
    page, _ = view
    page.goto(base + "notebooks/verdicts.html")
    rows = page.locator(".verdicts.whole tbody tr")
    assert 3 <= page.locator(".verdicts.whole tbody tr:visible").count() < 10
    for last in (rows, page.locator(".verdicts.whole section")):
        place = last.last.get_attribute("id")
        page.goto(base + "index.html")
        page.goto(f"{base}notebooks/verdicts.html#{place}")
        cell = page.locator(f"[id='{place}'] td").first
        cell.wait_for(state="visible")
        assert 0 <= cell.bounding_box()["y"] < 850
    page.get_by_role("searchbox", name="Words in a claim").fill("krum")
    assert page.locator(".verdicts.whole tbody tr:not([hidden]):not(:visible)").count() == 0
    page.get_by_role("searchbox", name="Words in a claim").fill("")
    page.get_by_role("button", name="Open all").click()
    assert page.locator(".verdicts.whole tbody tr:visible").count() == rows.count()
    page.get_by_role("button", name="Close all").click()
    assert page.locator(".verdicts.whole tbody tr:visible").count() < 10


def test_an_address_opens_the_rounds_that_it_names(view, base):
    page, _ = view
    page.goto(base + "notebooks/which.html")
    first = page.locator("table.door td a").first
    first.click()
    page.wait_for_function("() => document.querySelector(':target')?.open")


def test_without_scripts_all_claims_are_there(browser, base):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(base + "notebooks/verdicts.html")
    assert page.locator(".verdicts.whole form").count() == 0
    assert page.locator(".verdicts.whole tbody tr:visible").count() > 50
    context.close()


def test_students_see_what_the_reference_draws(view, base):
    page, _ = view
    page.goto(base + "notebooks/coursework/robust_aggregation.html")
    assert page.get_by_text("What you should see:").count() >= 5
    assert page.locator(".cell_output img").count() >= 5
    wide = page.eval_on_selector_all(
        "div.cell_input pre", "all => all.filter(e => e.scrollWidth > e.clientWidth).length"
    )
    assert wide == 0


def streams(pdf):
    """How many bytes draw each page of a PDF of Chromium's."""
    places = re.findall(rb"/Type /Page\b.*?/Contents (\d+) 0 R", pdf, re.S)
    length = rb"\n%s 0 obj\n<<.*?/Length (\d+)"
    return [int(re.search(length % place, pdf, re.S)[1]) for place in places]


BLANK = 250  # bytes that draw no more than a page number


@pytest.mark.parametrize(
    "name",
    [
        "use.html",
        "federation.html",
        *(f"notebooks/{name}.html" for name in ("table1", "fig08", "verdicts")),
    ],
)
def test_on_paper_no_page_is_blank_and_nothing_is_folded(browser, base, name):
    page = browser.new_page()
    page.goto(base + name, wait_until="load")
    page.evaluate("() => window.MathJax?.startup?.promise.then(() => 1)")
    sizes = streams(page.pdf(prefer_css_page_size=True, print_background=True))
    assert min(sizes) > BLANK, sizes
    assert sizes[0] > 2500, "a heading, and all else on the next page"
    page.emulate_media(media="print")
    folded = page.eval_on_selector_all(
        ".bd-content details:not(.hide, .pdrr-code)",  # code stays on the screen
        "all => all.filter(e => e.lastElementChild.getClientRects().length == 0).length",
    )
    page.close()
    assert folded == 0


def test_on_paper_a_round_of_an_attack_is_in_one_piece(browser, base):
    page = browser.new_page(viewport={"width": 785, "height": 1190})
    page.emulate_media(media="print")
    page.goto(base + "notebooks/which.html", wait_until="load")
    found = page.eval_on_selector_all(
        "details.rounds",
        "all => all.map(e => [getComputedStyle(e).breakInside, e.offsetHeight])",
    )
    page.close()
    assert len(found) > 10
    assert {how for how, _ in found} == {"avoid"}
    assert max(height for _, height in found) < 600, "two of them fill a page"


def test_a_blank_page_would_be_seen(browser):
    page = browser.new_page()
    page.set_content(
        "<p>one</p><p style='break-before: page'></p><p style='break-before: page'>two</p>"
    )
    sizes = streams(page.pdf())
    page.close()
    assert len(sizes) == 3
    assert sizes[1] < BLANK
