"""The box of a page: each claim once, what is counted in sight, whatever columns there are."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup

from pdrr.book import boxes
from pdrr.claims import verdicts

ROOT = Path(__file__).parents[2]
PAPER = ROOT / "book" / "records" / "paper"


def rows(number, **more):
    names = [f"claim {i}" for i in range(number)]
    row = {"verdict": "reproduced", "paper": "< 1", "ours": "0.5", "figure": "fig04"}
    return pd.DataFrame([{"claim": name, **row, "section": "4"} for name in names]).assign(**more)


def parsed(table):
    return BeautifulSoup(boxes.box_html(table), "html.parser")


def claims(part):
    return [item.p.get_text().partition("claim ")[2] for item in part.find_all("li")]


def test_a_claim_has_its_verdict_the_paper_s_words_and_ours():
    (item,) = parsed(rows(1)).find_all("li")
    assert item.p.get_text() == "reproduced claim 0"
    said = [(each.dt.get_text(), each.dd.get_text()) for each in item.dl.find_all("div")]
    assert said == [("paper says", "< 1"), ("we find", "0.5")]


def test_further_columns_are_shown_where_they_hold_something():
    table = rows(3, runs=["8", "", "9"], interval=["0 to 0.37", np.nan, None])
    shown = [item.dl.get_text(" ") for item in parsed(table).find_all("li")]
    assert [("runs" in text, "interval" in text) for text in shown] == [
        (True, True),
        (False, False),
        (True, False),
    ]
    assert "0 to 0.37" in shown[0]


def test_what_is_too_much_is_folded_and_nothing_is_lost():
    found = parsed(rows(boxes.SHOWN + 2))
    (fold,) = found.find_all("details")
    assert claims(found) == [str(i) for i in range(boxes.SHOWN + 2)]
    assert claims(fold) == [str(boxes.SHOWN), str(boxes.SHOWN + 1)]
    assert parsed(rows(boxes.SHOWN)).find("details") is None


def test_claims_about_the_defence_come_first_and_the_others_keep_their_order():
    table = rows(3)
    table.loc[1, "claim"] = "PDRR: claim 1"
    table.loc[2, "claim"] = "VAE: claim 2"
    assert claims(parsed(table)) == ["1", "0", "2"]


def test_a_part_of_another_claim_is_folded_and_not_counted():
    found = parsed(rows(3, part_of=["", "the whole", ""], verdict=["not", "partly", "not"]))
    assert "2 not" in found.find("p", "head").get_text()
    assert "partly" not in found.find("p", "head").get_text()
    assert claims(found.find("details")) == ["1"]


def test_a_page_that_only_has_parts_shows_them():
    (fold,) = parsed(rows(2, part_of="another")).find_all("details")
    assert fold.has_attr("open")
    assert claims(fold) == ["0", "1"]


@pytest.mark.parametrize(
    "verdict", ["by construction", "not distinguishable from chance", "not comparable", "partly"]
)
def test_every_kind_of_verdict_has_a_badge(verdict):
    found = parsed(rows(1, verdict=verdict))
    assert [each.get_text() for each in found.select(".sd-badge")] == [f"1 {verdict}", verdict]


def test_the_words_are_escaped():
    assert "<b>" not in boxes.box_html(rows(1, claim="<b>", ours="<b>"))


def test_the_box_of_a_page_has_the_claims_of_that_page():
    judged = verdicts.table(PAPER)
    shown = BeautifulSoup(boxes.box("fig06", PAPER).data, "html.parser")
    mine = judged[judged["figure"] == "fig06"]
    assert len(shown.find_all("li")) == len(mine) > 0
    for text in mine["claim"]:
        assert text in shown.get_text()
    with pytest.raises(ValueError, match="needs a page with claims, got 'fig01'"):
        boxes.box("fig01", PAPER)
