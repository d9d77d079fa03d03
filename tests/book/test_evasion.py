"""The page of attackers that hide, on cells that can be checked by eye."""

import numpy as np
import pandas as pd
import pytest

from helpers.made_up import ORIGIN, axes, seen
from pdrr.book import evasion
from pdrr.experiments.evasion import ALONE, PLAIN
from pdrr.experiments.records import Records

PLACE = {"rule": "trimmed_mean", "seed": 1, "round": 1, "knowledge": "partial", "c": 2, "beta": 1}


def rows(family, parameter, value, alone, pdrr, ours, **place):
    """Three rows of one attack; each defence: (damage, MAR)."""
    key = {**PLACE, **place, "family": family, "parameter": parameter, "value": value}
    key |= {"attack": "some", "succeeded": True}
    yield {**key, "defence": ALONE, "damage": alone, "moved": 3 * abs(alone), "accuracy": 0.25}
    for defence, (damage, mar) in (("PDRR", pdrr), ("Co-trimming", ours)):
        said = {"far": 0.5, "mar": mar, "auc": 0.5, "flagged": 2}
        there = {"damage": damage, "moved": 3 * abs(damage), "accuracy": 0.75}
        yield {**key, "defence": defence, **there, **said}


def made(*cells):
    table = pd.DataFrame([row for cell in cells for row in cell])
    runs = table[["rule", "seed", "round", "knowledge", "c", "beta"]].drop_duplicates()
    return Records(table, runs.reset_index(drop=True), ORIGIN)


@pytest.fixture
def records():
    return made(
        rows(PLAIN, "", np.nan, 1.0, (0.125, 0.0), (0.0, 0.0)),
        rows("decoy", "share", 0.0, 1.0, (0.125, 0.0), (0.0, 0.0)),
        rows("decoy", "share", 0.2, 0.75, (0.75, 1.0), (0.0, 0.0)),
        rows("shift", "z", 0.5, 0.25, (0.25, 1.0), (0.25, 1.0)),
        rows("camps", "count", 2, 0.125, (0.125, 1.0), (0.125, 1.0)),
        rows("sacrifice", "share", 0.5, 0.0625, (-4000.0, 0.5), (0.0, 0.5)),
        rows(PLAIN, "", np.nan, 0.5, (0.5, 0.0), (0.5, 0.0), knowledge="full"),
    )


def test_what_is_left_stands_beside_what_the_attack_does_alone(records):
    cells = evasion.left_over(records)
    assert len(cells) == 14
    assert set(cells["defence"]) == {"PDRR", "Co-trimming"}
    decoy = cells[(cells["family"] == "decoy") & (cells["value"] == 0.2)]
    assert decoy["alone_damage"].tolist() == [0.75, 0.75]
    assert decoy["harm"].tolist() == [0.75, 0.0]
    assert decoy["alone_accuracy"].tolist() == [0.25, 0.25]


def test_huge_values_are_told_by_the_length_of_the_damage(records):
    cells = evasion.left_over(records)
    huge = cells[cells["family"] == "sacrifice"]
    assert huge["harm"].tolist() == [12_000, 0]
    assert huge["alone_harm"].tolist() == [0.1875, 0.1875]


def test_saved_and_read_again_they_are_the_same(records, tmp_path):
    records.save(tmp_path, "evasion")
    again = Records.load(tmp_path, "evasion")
    assert evasion.findings(again) == evasion.findings(records)
    assert evasion.left_over(again)["harm"].tolist() == evasion.left_over(records)["harm"].tolist()


def test_krum_and_the_median_have_no_beta(tmp_path):
    cells = [
        rows("shift", "z", 1, 1, (1, 1), (1, 1), rule=r, beta=np.nan) for r in ("krum", "median")
    ]
    made(*cells).save(tmp_path, "evasion")
    again = Records.load(tmp_path, "evasion")
    assert [table.caption for table in evasion.worst_tables(again)] == ["Krum.", "Median."]


def test_a_rule_s_table_has_the_worst_of_each_family_with_partial_knowledge(records):
    (styled,) = evasion.worst_tables(records)
    assert styled.caption == "Trimmed mean (β = 1)."
    table = styled.data
    assert list(table.index) == [PLAIN, "decoy", "shift", "camps", "sacrifice, in steps"]
    assert table.loc["decoy"].tolist() == [
        *("share 0.2", "0.75", "0.75", "1"),
        *("share 0", "1.00", "<b>0.00</b>", "0"),
    ]
    sacrifice = table.loc["sacrifice, in steps", "PDRR"]
    assert sacrifice.tolist() == ["share 0.5", "0.19", "12,000", "0.50"]
    assert table.loc[PLAIN, ("PDRR", "at")] == "–"


def test_every_point_that_was_tried_has_a_row(records):
    only = Records(records.table[records.table["family"] == "decoy"], records.runs, ORIGIN)
    table = evasion.points_table(only).data
    assert list(table.index) == ["share 0", "share 0.2"]
    assert table.loc["share 0.2"].tolist() == [
        "0.75",
        "0.75",
        "0.50 / 1",
        "0.75",
        "0.00",
        "0.50 / 0",
        "0.75",
    ]
    named = list(evasion.points_table(records).data.index)
    assert named[:2] == ["the paper's attack", "decoy, share 0"]


def test_the_figure_sets_damage_left_against_damage_without(records):
    drawing = evasion.curves(records)
    assert {colour for _, colour, _ in drawing.key} <= seen(drawing)
    pdrr, ours = axes(drawing)
    assert [ax.get_title(loc="left") for ax in (pdrr, ours)] == [
        "PDRR, trimmed mean (β = 1)\nat most 0.75 left: decoy (share 0.2)",
        "Co-trimming, trimmed mean (β = 1)\nat most 0.25 left: shift (z 0.5)",
    ]
    drawn = {line.get_marker(): line.get_xydata().tolist() for line in pdrr.lines}
    assert drawn["v"] == [[1, 0.125], [0.75, 0.75]]
    assert drawn["D"] == [[0.25, 0.25]]
    assert drawn["*"] == [[1, 0.125]]
    texts = [[text.get_text() for text in ax.texts] for ax in (pdrr, ours)]
    assert texts == [["0", "0.2"], ["0.5"]]
    for ax in (pdrr, ours):
        assert ax.get_xlim() == ax.get_ylim()
        assert ax.get_xlim()[1] > 1  # without the huge values, and without full knowledge
        assert ax.get_xlim()[1] < 2
    words = [words for _, _, words in drawing.key]
    assert words == ["decoy", "shift", "camps", "the paper's attack", "no defence at all"]
    assert [glyph for glyph, _, _ in drawing.key] == ["▼", "◆", "▲", "★", "─"]


def test_the_findings_say_what_hiding_buys_and_what_it_costs(records):
    lines = evasion.findings(records).splitlines()
    assert lines[0] == (
        "- **trimmed mean (β = 1), partial knowledge**: the paper's attack undoes 1.00 of the step,"
        " 0.12 behind PDRR and 0.00 behind Co-trimming. Behind PDRR, decoy (share 0.2) leaves most:"
        " 0.75 of 0.75 (MAR 1, accuracy 0.75). The strongest attack that is found whole, decoy"
        " (share 0), would undo 1.00 and leaves 0.12: hiding buys 0.62, and what is left is 75% of"
        " what that attack would do undefended. Behind Co-trimming, shift (z 0.5) leaves most: 0.25"
        " of 0.25 (MAR 1, accuracy 0.75). The strongest attack that is found whole, decoy (share"
        " 0), would undo 1.00 and leaves 0.00: hiding buys 0.25, and what is left is 25% of what"
        " that attack would do undefended."
    )
    assert lines[1].startswith("- **trimmed mean (β = 1), full knowledge**: the paper's attack")


def test_the_findings_tell_what_attackers_of_this_detector_achieve(records):
    lines = evasion.findings(records).splitlines()
    assert lines[2] == (
        "- **Made against Co-trimming**: of all rules, camps and strangers leave at most 0.12"
        " behind it (camps (count 2), trimmed mean (β = 1), partial knowledge, MAR 1), the other"
        " attacks that hide at most 0.25 (shift (z 0.5)). The strongest of these that stay unseen"
        " altogether (camps (count 2), trimmed mean (β = 1)) undo 0.12."
    )


def test_the_findings_tell_what_a_shrinking_beta_costs(records):
    lines = evasion.findings(records).splitlines()
    assert lines[3] == (
        "- **Huge values in few coordinates, trimmed mean (β = 1), partial knowledge**: behind"
        " PDRR, which flags 2 models, sacrifice (share 0.5) moves the aggregate by at most 12,000"
        " steps (accuracy 0.75; 0.19 steps without a defence); behind Co-trimming, which flags 2"
        " models, sacrifice (share 0.5) moves the aggregate by at most 0 steps (accuracy 0.75;"
        " 0.19 steps without a defence)."
    )


def test_hiding_may_buy_nothing_and_a_whole_find_may_be_missing():
    loud = made(
        rows("shift", "z", 3, 0.5, (0.25, 0.0), (0.5, 0.5)),
        rows("shift", "z", 0.1, 0.125, (0.125, 1.0), (0.125, 1.0)),
    )
    text = evasion.findings(loud)
    assert "leaves 0.25: hiding buys nothing, and what is left is 50% of" in text
    assert text.count("No attack has all its attackers found.") == 1
    assert "Made against" not in text
