"""The built book in a headless browser: whole, from one host only, and readable by everybody.

Skipped where the book, playwright or Chromium is missing. Environment variables:
BOOK (folder of the pages), CHROMIUM (its program), AXE_JS (axe-core's axe.min.js, optional).
"""

from __future__ import annotations

import functools
import http.server
import os
import shutil
import threading
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(os.environ.get("BOOK", "build/site/_build/html"))
AXE = os.environ.get("AXE_JS")
CHROMIUM = os.environ.get("CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
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
  return {
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
  words: (e.querySelector(".panels")?.ariaLabel ?? e.querySelector("caption")?.innerText ?? ""),
  own: !!e.id && e.querySelector(".pdrr-links a")?.hash === "#" + e.id,
  files: [...e.querySelectorAll(".pdrr-links a[download]")].map(a => a.href),
}))"""


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


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as p:
        chromium = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


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
