"""The page of the matrix, on cells that can be checked by eye."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from helpers.made_up import ORIGIN, axes
from pdrr.book import matrix
from pdrr.experiments.records import Records

PLACE = {"seed": 1, "round": 1, "c": 2, "k": 10, "knowledge": "full", "noise": np.nan}
NEVER = {"far": 0.0, "far_target": 0.0, "mar": 1.0, "auc": 0.5, "flagged": 0, "seconds": 2.0}


def cell(attack, scheme, far, mar, auc, **other):
    flagged = int(far * 8 + (1 - mar) * 2 * (attack != "none"))
    judged = {"far": far, "mar": mar, "auc": auc, "flagged": flagged, "seconds": 0.5}
    return {**PLACE, "attack": attack, "scheme": scheme, "far_target": far, **judged, **other}


def run(attack, lost=0.0, **other):
    spared = {"accuracy": 0.8 - lost, "accuracy_spared": 0.8, "moved": lost, "rule": "krum"}
    return {**PLACE, "attack": attack, "succeeded": attack != "none", **spared, **other}


@pytest.fixture
def records():
    """Three attacks in two rounds: one fails once, one is harmless; NNM never flags."""
    table = [
        cell("none", "PDRR (median)", 0.5, 0, np.nan),
        cell("none", "DnC", 0.25, 0, np.nan),
        cell("none", "Co-trimming", 0, 0, np.nan),
        {**cell("none", "NNM", 0, 0, np.nan), **NEVER, "auc": np.nan},
        cell("krum", "PDRR (median)", 0, 0, 1.0),
        cell("krum", "DnC", 0.25, 0, 0.75),
        cell("krum", "Co-trimming", 0, 0.5, 0.9, seconds=1.5),
        {**cell("krum", "NNM", 0, 0, 0), **NEVER},
        cell("krum", "PDRR (median)", 1, 1, 0.0, round=2),
        cell("alie", "PDRR (median)", 1, 1, 0.05),
        cell("alie", "DnC", 0, 0, 1.0),
        cell("alie", "Co-trimming", 0, 0, 1.0),
        {**cell("alie", "NNM", 0, 0, 0), **NEVER, "auc": 0.6},
        cell("shift", "PDRR (median)", 0, 1, 0.0),
        cell("shift", "DnC", 0, 0, 0.0),
        cell("shift", "Co-trimming", 0, 1, 0.0),
        {**cell("shift", "NNM", 0, 0, 0), **NEVER, "auc": 0.0},
    ]
    runs = [
        run("none"),
        run("krum", 0.3),
        run("krum", round=2, succeeded=False),
        run("alie", 0.02),
        run("alie", 0.0, rule="median"),
        run("shift", 0.005),
        run("shift", -0.02, rule="median"),
    ]
    return Records(pd.DataFrame(table), pd.DataFrame(runs), ORIGIN)


def test_rounds_in_which_an_attack_found_nothing_do_not_count(records):
    found = matrix.cells(records).set_index(["row", "scheme"])
    krum = found.loc[("Krum (full)", "PDRR (median)")]
    assert krum[["n", "far", "mar", "auc", "faultless"]].tolist() == [1, 0, 0, 1, True]


def test_cells_are_means_and_one_error_is_an_error(records):
    second = pd.DataFrame([cell("alie", "DnC", 0.5, 0, 0.5, round=2)])
    made = pd.DataFrame([run("alie", 0.02, round=2)])
    both = Records(
        pd.concat([records.table, second]), pd.concat([records.runs, made]), records.provenance
    )
    found = matrix.cells(both).set_index(["row", "scheme"]).loc[("ALIE (full)", "DnC")]
    assert found[["n", "far", "auc", "faultless"]].tolist() == [2, 0.25, 0.75, False]


def test_harm_is_that_of_the_rule_that_suffers_most(records):
    lost = matrix.harm(records)["most"].round(6)
    assert lost.to_dict() == {"Krum (full)": 0.3, "ALIE (full)": 0.02, "honest-shape shift": 0.005}


def test_the_worst_case_is_over_attacks_that_do_damage(records):
    last = matrix.worst(records)
    assert list(last.index) == ["Co-trimming", "DnC", "NNM", "PDRR (median)"]
    assert last["auc"].tolist() == [0.9, 0.75, 0.5, 0.05]
    assert last.loc["DnC", "row"] == "Krum (full)"


def test_where_nothing_does_damage_the_worst_case_is_over_all(records):
    runs = records.runs.assign(accuracy=0.8)
    assert matrix.worst(Records(records.table, runs, ORIGIN))["auc"].tolist() == [0, 0, 0, 0]


def test_the_figure_has_a_panel_for_each_group_and_marks_errors(records):
    drawing = matrix.matrix(records)
    assert list(drawing.panels) == [matrix.WORST, *matrix.GROUPS]
    last, paper, clones, others = axes(drawing)
    assert [tick.get_text() for tick in paper.get_xticklabels()] == ["Krum (full)"]
    assert [tick.get_text() for tick in clones.get_xticklabels()] == ["ALIE (full)"]
    assert [tick.get_text() for tick in others.get_xticklabels()] == ["honest-shape shift"]
    assert [label.get_color() for label in others.get_xticklabels()] == [matrix.GREY]
    assert {to_hex(paper.images[0].cmap(end)) for end in (0.0, 1.0)} == {
        colour for glyph, colour, _ in drawing.key if glyph == "■"
    }
    np.testing.assert_allclose(paper.images[0].get_array(), [[0.9], [0.75], [0.5], [1]])
    marks = {(line.get_marker(), round(line.get_ydata()[0])) for line in paper.lines}
    assert {m for m in marks if m[0] in "o^x"} == {("x", 0), ("^", 1), ("o", 3)}
    numbers, attacks = ([text.get_text() for text in last.texts[i::2]] for i in (0, 1))
    assert numbers == ["0.90", "0.75", "0.50", "0.05"]
    assert attacks[:2] == ["Krum (full)", "Krum (full)"]


def test_each_group_has_a_table_with_the_rates_of_those_that_flag(records):
    paper, clones, others = matrix.rates_tables(records)
    captions = [table.caption for table in (paper, clones, others)]
    assert captions == ["The paper's attacks.", "Clones inside the cloud.", "Others."]
    assert list(paper.data.index) == ["Co-trimming", "DnC", "PDRR (median)"]
    assert list(paper.data) == ["nobody attacks", "Krum (full)"]
    assert paper.data["nobody attacks"].tolist() == ["<b>0<br>–</b>", "0.25<br>–", "0.50<br>–"]
    assert paper.data["Krum (full)"].tolist() == ["0<br>0.50", "0.25<br>0", "<b>0<br>0</b>"]
    assert list(clones.data) == ["ALIE (full)"]
    assert "ours" in paper.to_html().split("PDRR (median)")[1]
    assert "ours" not in paper.to_html().split("PDRR (median)")[0].split("<table")[1]


def test_seconds_are_the_median_and_the_longest(records):
    table = matrix.seconds_table(records).data
    assert table.loc["Co-trimming"].tolist() == ["500 ms", "1.50 s"]
    assert table.loc["NNM"].tolist() == ["2.00 s", "2.00 s"]


def test_the_findings_name_whoever_wins(records):
    text = matrix.findings(records)
    first = (
        "over the 2 of 3 attacks that do damage: Co-trimming has the best, AUC 0.90 (Krum (full))"
    )
    assert first in text
    assert "then DnC, 0.75. Worst of PDRR: PDRR (median) 0.05." in text
    upside = (
        "**PDRR (median)** is inverted, AUC below 0.10, under 2 of 3 attacks: ALIE (full), honest"
    )
    assert upside in text
    assert "PDRR (Krum)" not in text  # nobody judged with it
    assert "Co-trimming flag nobody in any round. The others flag 25% to 50%" in text
    assert "for any rule: honest-shape shift." in text
    swapped = records.table.assign(
        scheme=records.table["scheme"].replace({"DnC": "Co-trimming", "Co-trimming": "DnC"})
    )
    assert "DnC has the best" in matrix.findings(Records(swapped, records.runs, ORIGIN))
