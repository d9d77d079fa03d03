"""Print the built book as one PDF: ``make pdf``. TeX is not needed, Chromium prints it.

The pages are put one after the other in the order of the table of contents, and the links between
them become links inside the document. `book/_static/print.css` says how it looks on paper.
"""

from __future__ import annotations

import json
import os
import posixpath
import re
import shutil
import sys
from html import escape
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import yaml
from bs4 import BeautifulSoup, Tag

from pdrr import __version__

NEEDS = (
    "make pdf needs Chromium 131 or newer: install the package 'chromium' (Debian, Ubuntu), "
    "or name the program you have: make pdf CHROMIUM=/path/to/chromium"
)
SITE, TARGET = Path("build/site/_build/html"), Path("build/site/pdrr.pdf")
HOST = "http://book/"  # answered from the site's folder: no network is asked
SCALE, WIDTH = 0.78, 785  # of A4 without its margins, in CSS pixels at this scale
# for the screen only: buttons, folded code, links to the sources
SCREEN = "a.headerlink, .viewcode-link, details.hide, script, .toctree-wrapper, button"

# Waits until all is there, makes smaller what no line break makes narrow, and lists what is wrong.
SETTLE = """async () => {
  await window.MathJax?.startup?.promise;
  await document.fonts.ready;
  await Promise.all([...document.images].map(i => i.decode().catch(() => 0)));
  const all = selector => [...document.querySelectorAll(selector)];
  const right = document.querySelector("article").getBoundingClientRect().right + 1;
  const past = e => e.getBoundingClientRect().right > right || e.scrollWidth > e.clientWidth + 1;
  for (const e of all("table, pre, div.math mjx-container")) {
    const room = e.parentElement.clientWidth, width = Math.max(e.scrollWidth, e.offsetWidth);
    if (width > room) e.style.zoom = Math.floor(1000 * room / width) / 1000;
  }
  const name = e => (e.alt ?? e.textContent).trim().slice(0, 60);
  const fault = (what, list) => list.map(e => `${what}: ${name(e)}`);
  return [
    ...fault("no picture", all("img").filter(e => !e.naturalWidth)),
    ...fault("not typeset", all(".math").filter(e => !e.querySelector("mjx-container"))),
    ...fault("not typeset", all("mjx-merror, [data-mjx-error], .problematic")),
    ...fault("too wide", all("article :is(img, table, pre, p, dt, li)").filter(past)),
    ...fault("leads nowhere", all("a[href]").filter(e => e.host === location.host
      && !document.getElementById(decodeURIComponent(e.hash.slice(1))))),
  ];
}"""
LEAF = rb"(\d+) 0 obj\n<</Type /Page\n"  # a page in the PDF
NUMBER = """numbers => document.querySelectorAll(".contents a").forEach(
  a => a.lastChild.textContent = numbers[a.hash.slice(1)])"""


class Chapter(NamedTuple):
    """A page of the book: its name without ending, the part it opens ("" if none), its depth."""

    page: str
    part: str
    depth: int

    @property
    def anchor(self) -> str:
        return "page-" + self.page.replace("/", "-")


def chapters(toc: dict[str, Any]) -> list[Chapter]:
    """The pages in reading order, the landing page first."""
    found = [Chapter(toc["root"], "", 0)]
    for part in toc["parts"]:
        captions = [part["caption"]] + [""] * len(part["chapters"])
        for caption, entry in zip(captions, part["chapters"], strict=False):
            found.append(Chapter(entry["file"], caption, 0))
            found += [Chapter(section["file"], "", 1) for section in entry.get("sections", [])]
    return found


def article(site: Path, chapter: Chapter, known: dict[str, str]) -> Tag:
    """The text of one page; `known` maps pages to their anchors in the document."""
    page = BeautifulSoup((site / f"{chapter.page}.html").read_text("utf-8"), "html.parser")
    text = page.select("article.bd-article")[0]
    for unwanted in text.select(SCREEN):
        unwanted.decompose()
    for fold in text.select("details"):
        fold["open"] = ""
    # an id may occur on several pages, but not those of a table's style sheet or inside a figure
    for named in text.select("[id]:not([id^=T_], svg [id])"):
        named["id"] = f"{chapter.anchor}--{named['id']}"
    here = posixpath.dirname(chapter.page)
    for picture in text.select("[src]"):
        picture["src"] = posixpath.normpath(posixpath.join(here, str(picture["src"])))
    for link in text.select("a[href]"):
        path, _, fragment = str(link["href"]).partition("#")
        if ":" in path:
            continue
        there = posixpath.normpath(posixpath.join(here, unquote(path))).removesuffix(".html")
        anchor = known.get(there) if path else chapter.anchor
        if anchor is None:  # a page for the screen only
            link.unwrap()
        else:
            link["href"] = f"#{anchor}--{fragment}" if fragment else f"#{anchor}"
    for heading in text.find_all(re.compile("^h[1-5]$")):  # they make the PDF's outline
        heading.name = f"h{int(heading.name[1]) + chapter.depth}"
    text.name = "div"
    text.attrs = {
        "id": chapter.anchor,
        "class": f"chapter depth-{chapter.depth}",
        "style": f"page: {chapter.anchor}",
    }
    return text


def assemble(site: Path) -> str:
    """The whole book as one HTML document."""
    toc = yaml.safe_load(Path("book/_toc.yml").read_text("utf-8"))
    about = yaml.safe_load(Path("_config.yml").read_text("utf-8"))
    listed = chapters(toc)
    known = {chapter.page: chapter.anchor for chapter in listed}
    cover, *texts = [article(site, chapter, known) for chapter in listed]
    head = BeautifulSoup((site / f"{toc['root']}.html").read_text("utf-8"), "html.parser").head
    assert head is not None
    scripts = [script for script in head.select("script") if "mathjax" in str(script).lower()]
    # the landing page: its beginning is the title page, its sections follow the contents
    opening = [section.extract() for section in cover.select(":scope > section > section")]
    for heading in (section.find_all("h2")[0] for section in opening):
        heading.name = "h1"
    title = cover.find_all("h1")[0]
    title.insert_before(
        BeautifulSoup(f"<p class='book'>{escape(about['title'])}</p>", "html.parser")
    )
    imprint = f"<p class='imprint'>{escape(about['author'])}, version {__version__}</p>"
    cover.append(BeautifulSoup(imprint, "html.parser"))
    contents, feet = [], []
    for chapter, text in zip(listed[1:], texts, strict=True):
        name = text.find_all(re.compile("^h[12]$"))[0].get_text()
        if chapter.part:
            contents.append(f"<p>{escape(chapter.part)}</p>")
        contents.append(
            f'<a class="depth-{chapter.depth}" href="#{chapter.anchor}">'
            f"<span>{escape(name)}</span><i></i><b></b></a>"
        )
        foot = json.dumps(name, ensure_ascii=False)
        feet.append(f"@page {chapter.anchor} {{ @bottom-left {{ content: {foot}; }} }}")
    return "\n".join(
        [
            '<!doctype html><html lang="en" data-theme="light" data-mode="light"><head>',
            '<meta charset="utf-8">',
            f"<title>{escape(title.get_text())}</title>",
            *map(str, [*head.select("link[rel=stylesheet]"), *scripts]),
            f"<style>{' '.join(feet)}</style></head><body class='bd-main whole-book'>",
            "<div class='bd-content'><div class='bd-article-container'>",
            "<article class='bd-article'>",
            f"<div class='cover'>{cover}</div>",
            f"<div class='chapter contents'><h1>Contents</h1>{''.join(contents)}</div>",
            f"<div class='chapter opening'>{''.join(map(str, opening))}</div>",
            *map(str, texts),
            "</article></div></div></body></html>",
        ]
    )


def page_numbers(pdf: bytes) -> dict[str, int]:
    """Number of the page on which each chapter begins: Chromium names them, uncompressed."""
    order = {leaf: number for number, leaf in enumerate(re.findall(LEAF, pdf), start=1)}
    named = re.findall(rb"/(page-[\w-]+) \[(\d+) 0 R /XYZ", pdf)
    return {name.decode(): order[leaf] for name, leaf in named if b"--" not in name}


def mend_outline(pdf: bytes, headings: set[str]) -> bytes:
    """Chromium writes a heading near the edge of a page twice into the outline; drop one.

    A shorter title is padded, for the PDF's table of offsets to stay true.
    """

    def mended(title: re.Match[bytes]) -> bytes:
        plain, wide = title.groups()
        if wide is None:
            text = re.sub(rb"\\(.)", rb"\1", plain).decode("latin-1")
        else:
            text = bytes.fromhex(wide.decode()).decode("utf-16-be")
        once = re.sub(r"(.{3,})\1", r"\1", text, count=1)
        if text in headings or once not in headings:
            return title[0]
        if wide is None:
            word = b"(" + re.sub(r"([()\\])", r"\\\1", once).encode("latin-1") + b")"
        else:
            word = b"<FEFF" + once.encode("utf-16-be").hex().upper().encode() + b">"
        return (b"/Title " + word).ljust(len(title[0]))

    return re.sub(rb"/Title (?:\(((?:\\.|[^\\)])*)\)|<FEFF([0-9A-F]*)>)", mended, pdf)


def settled(browser: Any, site: Path, document: str) -> Any:
    """The document in a page of the browser, as it will be printed; SystemExit if it is faulty."""

    def answer(route: Any) -> None:
        path = unquote(route.request.url.removeprefix(HOST).partition("?")[0])
        if path == "":
            route.fulfill(body=document, content_type="text/html")
        else:
            route.fulfill(path=site / path) if (site / path).is_file() else route.abort()

    page = browser.new_page(viewport={"width": WIDTH, "height": 1190}, color_scheme="light")
    page.emulate_media(media="print")
    page.route("**/*", answer)
    page.goto(HOST, wait_until="load")
    if faults := page.evaluate(SETTLE):
        sys.exit("\n".join(["The book cannot be printed.", *faults]))
    return page


def main(site: Path = SITE, target: Path = TARGET) -> int:
    """Write the PDF; 2 where something is missing."""
    named = os.environ.get("CHROMIUM")
    names = [named] if named else ["chromium", "chromium-browser", "google-chrome"]
    program = next(filter(None, map(shutil.which, names)), None)
    if program is None:
        print(NEEDS, file=sys.stderr)
        return 2
    if not (site / "index.html").is_file():
        print(f"no built book in {site}: make book", file=sys.stderr)
        return 2
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        print("make pdf needs playwright: pip install -e '.[pages]'", file=sys.stderr)
        return 2

    document = assemble(site)
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = settled(browser, site, document)
        paper = {"scale": SCALE, "prefer_css_page_size": True, "print_background": True}
        numbers = page_numbers(page.pdf(**paper))
        page.evaluate(NUMBER, numbers)
        headings = page.eval_on_selector_all("h1, h2, h3, h4", "all => all.map(e => e.textContent)")
        pdf = mend_outline(page.pdf(**paper, outline=True, tagged=True), set(headings))
        browser.close()
    part = target.with_suffix(".part")
    part.write_bytes(pdf)
    part.replace(target)
    print(f"wrote {target}: {len(re.findall(LEAF, pdf))} pages, {len(pdf) / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
