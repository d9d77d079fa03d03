"""The explorer and the landing page's picture in a headless browser, from file://, by keyboard.

Skipped where playwright or Chromium is missing (its program: CHROMIUM). The page is made here from
the same files as the book's, so no built book is needed; test_pages.py looks at the built ones.
"""

from __future__ import annotations

import csv
import io
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from helpers.browsing import CHROMIUM
from pdrr.book import explorer, landing
from pdrr.claims.chance import expected_rates
from pdrr.claims.expected import expected
from pdrr.core.files import RECORDED
from pdrr.experiments.records import Records
from pdrr.metrics import by_lot, q_range

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
if CHROMIUM is None:
    pytest.skip("needs Chromium, or its path in CHROMIUM", allow_module_level=True)

BOOK = Path(__file__).parents[2] / "book"
HEAD = (
    '<!doctype html><html lang="en" data-theme="THEME"><meta charset="utf-8"><title>t</title>'
    '<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="front.css">'
    '<link rel="stylesheet" href="figures.css">'
    '<style>html[data-theme="dark"] { --pst-color-background: #14181e; background: #14181e;'
    ' color: #ced6dd }</style><body class="bd-content">'
)
VIEWS = [(width, theme) for width in (1280, 390) for theme in ("light", "dark")]


@pytest.fixture(scope="module")
def made():
    return explorer.payload()


@pytest.fixture(scope="module")
def folder(tmp_path_factory, made):
    """A folder with both pages, in both themes."""
    top = tmp_path_factory.mktemp("pages")
    shutil.copytree(BOOK / "_extra" / "explorer", top / "explorer")
    for name in ("front.css", "figures.css"):
        shutil.copy(BOOK / "_static" / name, top)
    (top / "explorer" / "runs.js").write_text(explorer.script(made), "utf-8")
    chapter = (BOOK / "explore.md").read_text("utf-8")
    scripts = "".join(line for line in chapter.splitlines() if line.startswith("<script"))
    parts = landing.parts()
    for theme in ("light", "dark"):
        head = HEAD.replace("THEME", theme)
        body = f'<h1>Explore</h1><div id="explorer">{parts["picture"]}</div>{scripts}'
        (top / f"explore-{theme}.html").write_text(head + body, "utf-8")
        script = '<script src="explorer/landing.js"></script>'
        body = f"<h1>Front</h1>{''.join(parts.values())}{script}"
        (top / f"front-{theme}.html").write_text(head + body, "utf-8")
    return top


@pytest.fixture
def opened(browser, folder):
    """Opens a page; what it asks other places for, and its errors, fail the test."""
    contexts, faults = [], []

    def open_page(name, width=1280, script=True):
        context = browser.new_context(
            viewport={"width": width, "height": 850}, java_script_enabled=script
        )
        contexts.append(context)
        page = context.new_page()
        own = (folder.as_uri(), "blob:", "data:")
        page.on("request", lambda r: None if r.url.startswith(own) else faults.append(r.url))
        page.on("requestfailed", lambda r: faults.append(f"failed {r.url}"))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda m: faults.append(m.text) if m.type == "error" else None)
        page.goto(f"{folder.as_uri()}/{name}")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert faults == []


def sentence(page):
    return page.locator("#explorer .sentence").inner_text()


def settled(page):
    """After what was asked for is drawn."""
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
    return page


# the same numbers


def test_the_browser_flags_as_was_recorded_in_every_run(opened, made):
    found = opened("explore-light.html").evaluate(
        """() => explorer.runs.map(run => ({
          rates: run.q === null ? null : explorer.rates(run, run.q),
          range: explorer.suitable(run), lots: explorer.lots(run, 20)}))"""
    )
    for row, got in zip(made["runs"], found, strict=True):
        run = dict(zip(made["columns"], row, strict=True))
        scores = np.array(run["scores"], float)
        bad = np.arange(made["k"]) < (0 if run["attacker"] == "nobody" else made["c"])
        if run["scheme"] == "PDRR":
            assert got["rates"]["far"] == pytest.approx(run["far"], abs=1e-12)
            assert got["rates"]["mar"] == pytest.approx(run["mar"], abs=1e-12)
        lots = by_lot(scores, bad, 20)
        assert (got["lots"]["tied"], got["lots"]["byLot"]) == (lots.tied, lots.by_lot)
        assert got["lots"]["far"] == pytest.approx(lots.far, abs=1e-12)
        if bad.any():
            assert got["lots"]["mar"] == pytest.approx(lots.mar, abs=1e-12)
            wanted = q_range(scores, bad)
            assert got["range"] == (None if wanted is None else list(wanted))


def test_a_score_at_the_threshold_is_flagged(opened):
    page = opened("explore-light.html")
    rates = "score => explorer.rates({attacker: 'partial', scores: Array(50).fill(score)}, 0.5)"
    assert page.evaluate(rates, 0.5) == {"far": 1, "mar": 0}
    assert page.evaluate(rates, 0.5 - 1e-12) == {"far": 0, "mar": 1}


def test_the_paper_s_numbers_stand_beside_the_means_of_ours(opened):
    page = opened("explore-light.html#view=paper&rule=trimmed_mean&beta=10&round=20")
    rows = page.evaluate("() => explorer.beside(explorer.fit(explorer.wish()).state)")
    kept = {"reading": "default", "knowledge": "partial", "beta": 10}
    runs = expected_rates(Records.load(RECORDED / "paper", "table2").where(**kept)).runs
    means = runs.groupby(["scheme", "round"])[["far", "mar"]].mean()
    for row in rows:
        printed = expected().tables.table2[row["scheme"]][row["rate"]]
        assert row["paper"] == printed[expected().tables.rounds.index(row["round"])]
        ours = means.loc[(row["scheme"], row["round"])][row["rate"].lower()]
        assert row["ours"] == pytest.approx(ours, abs=1e-9)
    assert len(rows) == 40


def test_what_stands_beside_no_number_of_the_paper_s_is_named(opened):
    page = opened("explore-light.html#view=paper&rule=krum&noise=ball&round=50")
    assert sentence(page) == (
        "Round 50 under Krum: PDRR has FAR 0.00 and MAR 0.00 in the paper, 0.00 and 0.00 here"
        " (1 seed). Not recorded in this setting: DAGMM, VAE, ERR, LFR."
    )


# choosing


def test_everything_is_chosen_with_the_keyboard(opened):
    page = opened("explore-light.html")
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.name") == "explore-view"
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.localName") == "summary"
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    settled(page)
    assert page.locator("input[name=explore-rule]:checked").input_value() == "trimmed_mean"
    seen = []
    for _ in range(12):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("() => document.activeElement.name || document.activeElement.id"))
    groups = ["attacker", "attack", "beta", "round", "seed"]
    assert seen[:6] == [*(f"explore-{name}" for name in groups), "explore-range"]
    page.locator("#explore-attack").focus()
    page.keyboard.press("ArrowDown")
    settled(page)
    assert page.locator("#explore-attack").input_value() == "krum"
    page.keyboard.press("ArrowUp")
    settled(page)
    page.locator("#explore-range").focus()
    before = sentence(page)
    assert before.startswith("At q = 0.990 PDRR flags 20 of 50 clients: 20 of 20 attackers")
    page.keyboard.press("ArrowRight")
    settled(page)
    assert sentence(page).startswith("At q = 0.991 ")
    page.keyboard.press("Home")
    settled(page)
    assert "30 honest clients. FAR 1.00, MAR 0.00" in sentence(page)
    page.locator(".slide button").focus()
    page.keyboard.press("Enter")
    settled(page)
    assert sentence(page) == before


def test_on_a_phone_the_choice_is_folded_and_opens_with_the_keyboard(opened):
    page = opened("explore-light.html", 390)
    fold = page.locator("#explorer .setting")
    assert fold.get_attribute("open") is None
    assert fold.inner_text() == (
        "Setting: Krum · partial knowledge · its own attack · ε as radius of a ball"
        " · round 1 · seed 1"
    )
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    settled(page)
    assert page.locator("#explorer .chosen").inner_text().startswith("trimmed mean · partial")


def test_attacks_beyond_the_paper_are_told_to_be_of_a_smaller_network(opened, made):
    page = opened("explore-light.html#attacker=beyond&attack=alie&rule=median&round=5")
    assert sentence(page).startswith("In the smaller network: at q = 0.710 PDRR flags ")
    small = f"Smaller network (quick profile): {made['data']['quick']}"
    assert page.locator("#explorer .size").inner_text() == small
    page.locator("summary", has_text="Table").click()
    assert small in page.locator("#explorer caption").inner_text()
    href = "() => fetch(document.querySelector('a[download]').href).then(r => r.text())"
    rows = list(csv.DictReader(io.StringIO(page.evaluate(href))))
    assert {row["profile"] for row in rows} == {"quick"}
    (run,) = (
        run
        for run in (dict(zip(made["columns"], row, strict=True)) for row in made["runs"])
        if (run["attack"], run["rule"], run["round"]) == ("alie", "median", 5)
    )
    assert [float(row["score"]) for row in rows] == run["scores"]
    assert "the paper's attacks" in page.locator("#why-attack").inner_text()
    assert page.locator("#explore-attack option[value=own]").is_disabled()
    late = page.locator("input[name=explore-round][value='20']")
    assert late.is_disabled()
    assert "not recorded" in late.locator("xpath=..").get_attribute("title")
    page = opened("explore-light.html")
    assert page.locator("#explorer .size").inner_text().startswith("The paper’s size: ")
    assert page.locator("#explore-attack option[value=alie]").is_disabled()
    assert "belong to the attacker" in page.locator("#why-attack").inner_text()


def test_what_changes_is_said_to_screen_readers(opened):
    page = opened("explore-light.html")
    said = page.locator("#explorer [aria-live=polite]")
    assert said.count() == 1
    assert said.get_attribute("role") == "status"
    for figure in page.locator("#explorer svg[role=img]").all():
        assert len(figure.get_attribute("aria-label")) > 30
    for group in page.locator("#explorer fieldset").all():
        assert group.locator("legend").inner_text() or group.is_hidden()


def test_what_was_not_recorded_is_greyed_with_the_reason(opened):
    page = opened("explore-light.html")
    assert page.locator("#why-beta").inner_text() == "Only the trimmed mean has a β."
    assert page.locator("input[name=explore-beta]:disabled").count() == 2
    page = opened("explore-light.html#rule=krum&attack=1e-03&noise=coordinate")
    assert page.locator("input[name=explore-round]:not(:disabled)").count() == 1
    why = page.locator("#why-round").inner_text()
    assert why.startswith(
        "Greyed: not recorded under Krum, under partial knowledge, with ε = 10⁻³,"
    )
    late = page.locator("input[name=explore-round][value='50']")
    assert late.is_disabled()
    assert late.locator("xpath=..").get_attribute("title") == why
    page = opened("explore-light.html#attacker=nobody")
    assert page.locator("#why-attack").inner_text() == "Nobody attacks."
    assert page.locator("#explore-attack").is_disabled()
    assert page.locator("#explore-attack").input_value() == ""


def test_every_choice_that_can_be_made_shows_a_recorded_run(opened):
    """From the start each open choice, alone: what is then chosen was recorded."""
    page = opened("explore-light.html")
    wrong = page.evaluate(
        """async () => {
          const drawn = () => new Promise(f => requestAnimationFrame(() => setTimeout(f)));
          const open = () => [...document.querySelectorAll(
            "#explorer input:enabled[type=radio], #explorer option:enabled")];
          const views = ["pdrr", "others", "paper"], rules = ["krum", "trimmed_mean"], wrong = [];
          for (const view of views) for (const rule of rules)
            for (const attacker of ["partial", "beyond"]) for (let i = 0; i < 60; i++) {
              location.hash = `#view=${view}&rule=${rule}&attacker=${attacker}`;
              await drawn(); await drawn();
              const choice = open()[i];
              if (!choice) break;
              if (choice.localName === "option") {
                choice.selected = true;
                choice.closest("select").dispatchEvent(new Event("change"));
              } else choice.click();
              await drawn();
              if (!(choice.checked ?? choice.selected)
                  || !document.querySelector("#explorer .sentence").textContent)
                wrong.push([view, rule, choice.name, choice.value]);
            }
          return wrong;
        }"""
    )
    assert wrong == []


def test_the_address_holds_what_is_chosen(opened):
    chosen = "view=pdrr&rule=trimmed_mean&attacker=full&attack=own&beta=20&round=20&seed=2&q=0.42"
    page = opened(f"explore-light.html#{chosen}")
    assert sentence(page).startswith("At q = 0.420 PDRR flags")
    assert page.url.endswith(f"#{chosen}")
    page.locator("input[name=explore-round][value='1']").check()
    settled(page)
    assert page.url.endswith("#" + chosen.replace("round=20", "round=1"))
    again = opened(page.url.rpartition("/")[2])
    assert sentence(again) == sentence(page)


def test_an_address_that_makes_no_sense_shows_the_start(opened):
    page = opened("explore-light.html#view=what&rule=mean&round=7&q=9&m=-1&toString=1")
    assert sentence(page).startswith("At q = 0.480 PDRR flags 20 of 50 clients")


@pytest.mark.parametrize("view", ["pdrr", "others", "paper"])
def test_each_view_has_its_table_and_its_csv(opened, view):
    page = opened(f"explore-light.html#view={view}&rule=trimmed_mean&beta=10")
    text = page.evaluate(
        "() => fetch(document.querySelector('a[download]').href).then(r => r.text())"
    )
    head, *rows = csv.reader(io.StringIO(text))
    page.locator("summary", has_text="Table").click()
    shown = [
        row.locator("td, th").all_inner_texts() for row in page.locator("#explorer tbody tr").all()
    ]
    columns = page.locator("#explorer thead th").all_inner_texts()
    assert len(rows) == len(shown) == (40 if view == "paper" else 50)
    assert head[-len(columns) :] == columns
    assert {len(row) for row in rows} == {len(head)}
    assert rows[0][head.index("rule")] == "trimmed_mean"
    first = columns[0]
    assert [row[head.index(first)] for row in rows] == [row[0] for row in shown]
    assert view in page.locator("a[download]").get_attribute("download")


def test_ties_are_drawn_by_lot(opened):
    page = opened("explore-light.html#view=others&rule=krum&scheme=ERR")
    assert "20 of the 20 places are drawn by lot among 50 clients" in sentence(page)
    assert "FAR 0.40, MAR 0.60 to expect" in sentence(page)
    page.locator("summary", has_text="Table").click()
    assert page.locator("#explorer tbody td", has_text="by lot").count() == 50
    page.locator("#explore-range").focus()
    page.keyboard.press("Home")
    settled(page)
    assert "Flagging the 0 most suspicious by ERR: FAR 0.00, MAR 1.00." in sentence(page)


# seen


@pytest.mark.parametrize(("width", "theme"), VIEWS)
@pytest.mark.parametrize("name", ["explore", "front"])
def test_nothing_is_wider_than_the_page(opened, name, width, theme):
    page = opened(f"{name}-{theme}.html", width)
    for view in ("pdrr", "others", "paper") if name == "explore" else [""]:
        if view:
            page.goto(f"{page.url.partition('#')[0]}#view={view}&rule=trimmed_mean")
            settled(page)
        room = "() => document.documentElement.scrollWidth - innerWidth"
        assert page.evaluate(room) <= 0


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_malicious_are_squares_and_honest_circles_filled_when_flagged(opened, theme):
    page = opened(f"explore-{theme}.html")
    colours = page.evaluate(
        """() => ["malicious", "benign"].map(kind => getComputedStyle(document.documentElement)
          .getPropertyValue(`--pdrr-${kind}`).trim())"""
    )
    assert len(set(colours)) == 2
    groups = page.locator("#explorer .chart").first.locator("g[data-mark=dot]")
    paths = [group.locator("path, circle").count() for group in groups.all()]
    assert paths == [20, 30, 20]  # all squares, all circles, and over them the flagged squares


def test_on_paper_the_table_is_whole_and_nothing_lies_over_it(opened):
    page = opened("explore-light.html")
    page.locator("summary", has_text="Table").click()
    page.emulate_media(media="print")
    table = page.locator("#explorer .numbers > div")
    assert table.evaluate("e => e.scrollHeight <= e.clientHeight")
    assert page.locator("#explorer .picks").is_hidden()


def test_without_scripts_one_round_of_each_rule_is_there(opened):
    for name in ("explore-light.html", "front-light.html"):
        page = opened(name, script=False)
        assert page.locator(".live-round svg").count() == 3
        assert page.locator(".live-controls").is_hidden()
        assert page.locator(".live-name").first.is_visible() or name.startswith("explore")


# the landing page


def test_the_picture_says_what_a_threshold_would_have_done(opened):
    page = opened("front-light.html")
    page.locator(".live-controls select").select_option("median")
    found = Records.load(RECORDED / "paper", "fig07").where(**landing.ROUND)
    slider = page.locator(".live-controls input")
    said = page.locator(".live-round:not([hidden]) .live-said")
    assert said.inner_text() == landing.told(found.table, 0.71)
    slider.focus()
    page.keyboard.press("ArrowLeft")
    assert said.inner_text() == landing.told(found.table, 0.709)
    for q in (0.0, 0.2, 0.4, 0.999, 1.0):
        slider.evaluate("(e, q) => { e.value = q; e.dispatchEvent(new Event('input')); }", q)
        assert said.inner_text() == landing.told(found.table, q)
        filled = page.locator(".live-round:not([hidden]) g.flagged").count()
        assert filled == (found.table["score"] >= q).sum()


def test_cite_copies_and_shows_the_entry(opened):
    page = opened("front-light.html")
    page.evaluate(
        """() => Object.defineProperty(navigator, "clipboard",
          {value: {writeText: text => { window.copied = text; return Promise.resolve(); }}})"""
    )
    page.locator("details.cite summary").click()
    page.wait_for_function("() => window.copied")
    assert page.evaluate("() => window.copied").startswith("@article{lu2022defense")
    assert page.locator("details.cite summary").inner_text() == "Cite (copied)"
    assert page.locator("details.cite pre").is_visible()


# the built book

BUILT = Path(os.environ.get("BOOK", "build/site/_build/html"))


@pytest.mark.parametrize(("width", "height", "screens"), [(1280, 800, 1), (390, 844, 2)])
def test_the_first_screen_has_the_question_the_answer_and_the_picture(
    browser, width, height, screens
):
    if not (BUILT / "explore.html").is_file():
        pytest.skip(f"no built book in {BUILT}: make book")
    page = browser.new_page(viewport={"width": width, "height": height})
    page.goto((BUILT / "index.html").resolve().as_uri())
    tops = {
        what: page.locator(what).first.bounding_box()["y"]
        for what in (".bd-article h1", ".paper-line cite", ".bd-article strong", ".live-round svg")
    }
    page.close()
    assert sorted(tops.values()) == list(tops.values())
    assert tops[".live-round svg"] < screens * height - 100


def test_on_a_phone_sentence_and_picture_are_on_the_first_screen(browser):
    if not (BUILT / "explore.html").is_file():
        pytest.skip(f"no built book in {BUILT}: make book")
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.goto((BUILT / "explore.html").resolve().as_uri())
    ends = {
        what: page.locator(what).first.bounding_box()
        for what in ("#explorer .slide", "#explorer .sentence", "#explorer .chart svg")
    }
    page.close()
    assert max(box["y"] + box["height"] for box in ends.values()) < 844
