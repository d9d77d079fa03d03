"""The page of how many attackers are borne, on counts that can be checked by eye."""

from dataclasses import replace

import pandas as pd
import pytest

from helpers.made_up import ORIGIN, axes, seen
from pdrr.book import how_many
from pdrr.experiments.records import Records

KEY = {"seed": 1, "round": 1, "k": 50, "knowledge": "partial", "succeeded": True}
NAN = float("nan")


def cell(attack, scheme, c, far, mar, *, expected=NAN, beta=NAN, auc=0.5, **other):
    rates = {"far": far, "mar": mar, "auc": auc, "flagged": 0}
    place = {"attack": attack, "c": c, "expected": expected, "beta": beta, "scheme": scheme}
    return {**KEY, **place, **rates, **other}


def run(attack, rule, c, moved, *, expected=NAN, beta=NAN, selected="", **other):
    place = {"attack": attack, "c": c, "expected": expected, "beta": beta, "rule": rule}
    return {**KEY, **place, "moved": moved, "selected": selected, **other}


@pytest.fixture
def records():
    trimmed, krum = "PDRR (trimmed mean)", "PDRR (Krum)"
    table = [
        cell("none", "MANDERA", 0, 0.5, 0),
        cell("krum", "MANDERA", 10, 0, 0),
        cell("trimmed_mean", "MANDERA", 10, 0.25, 0),
        cell("trimmed_mean", "MANDERA", 20, 0, 0),
        cell("trimmed_mean", "MANDERA", 24, 0, 0),
        cell("alie", "MANDERA", 10, 0, 0.5),
        cell("alie", "MANDERA", 10, 0, 0, round=2),
        cell("trimmed_mean", trimmed, 20, 0, 1, beta=5, auc=0.2),
        cell("trimmed_mean", trimmed, 20, 0, 0, beta=10, auc=0.9),
        cell("trimmed_mean", trimmed, 20, 0, 0, beta=20, auc=1.0),
        cell("krum", krum, 4, 0.25, 1, expected=4, k=20),
        cell("krum", krum, 4, 0.5, 0, expected=8, k=20),
        cell("krum", krum, 20, 0, 0, expected=20),
    ]
    runs = [
        run("trimmed_mean", "trimmed mean", 20, 2.0, beta=5),
        run("trimmed_mean", "trimmed mean", 20, 1.5, beta=10),
        run("trimmed_mean", "trimmed mean", 20, 0.5, beta=20),
        run("krum", "Krum", 4, 0.0, expected=4, k=20, selected="benign"),
        run("krum", "Krum", 4, 0.0, expected=8, k=20, selected="benign"),
        run("krum", "Krum", 20, 1.0, expected=20, selected="malicious"),
        run("trimmed_mean", "DnC", 10, 1.25, expected=5),
        run("trimmed_mean", "DnC", 10, 0.25, expected=10),
        run("trimmed_mean", "DnC", 20, 0.75, expected=5),
        run("alie", "DnC", 20, 9.0, expected=5),
        run("trimmed_mean", "DnC", 4, 9.0, expected=5, k=20),
    ]
    return Records(pd.DataFrame(table), pd.DataFrame(runs), ORIGIN)


def test_rates_are_the_largest_of_attacks_and_rounds(records):
    found = how_many.by_count(records).set_index(["scheme", "k", "kind", "c"]).sort_index()
    paper = found.loc[("MANDERA", 50, "paper's")]
    assert paper["far"].to_dict() == {0: 0.5, 10: 0.25, 20: 0, 24: 0}
    assert paper["wrong"].tolist() == [True, True, False, False]
    alie = found.loc[("MANDERA", 50, "alie")]
    assert alie["mar"].to_dict() == {0: 0, 10: 0.5}


def test_only_what_the_server_knows_and_the_usual_beta_count(records):
    found = how_many.by_count(records).set_index(["scheme", "k", "kind", "c"])
    assert found.loc[("PDRR (Krum)", 20, "paper's", 4), "mar"] == 1  # not that of 8 expected
    assert found.loc[("PDRR (trimmed mean)", 50, "paper's", 20), "mar"] == 0  # that of beta = 10


def test_stretches_without_an_error_are_named():
    assert how_many._stretches([0, 1, 3, 5, 8], [True, False, True, True, False]) == "0, 3–5"
    assert how_many._stretches([1], [False]) == "nowhere"


def test_the_figure_has_a_panel_for_each_detector_and_says_where_it_is_right(records):
    drawing = how_many.counts(records)
    assert {colour for _, colour, _ in drawing.key} <= seen(drawing)
    titles = [ax.get_title("left") for ax in axes(drawing)]
    assert list(drawing.panels) == ["MANDERA", "PDRR (trimmed mean)", "PDRR (Krum)"]
    assert titles[:2] == ["the paper's attacks\nno error: 20–24", "ALIE\nno error: nowhere"]
    far, mar = axes(drawing)[0].lines
    assert far.get_ydata().tolist() == [0.5, 0.25, 0, 0]
    assert mar.get_xdata().tolist() == [10, 20, 24]  # where nobody attacks nobody is missed


def test_the_tables_have_a_row_for_each_detector_and_setting(records):
    sizes = how_many.sizes_table(records).data
    assert sizes.loc["PDRR (Krum), the paper's attacks"].tolist() == ["nowhere", "20"]
    trims = how_many.trims_table(records).data
    assert trims.loc["c = 20, the rule's own attack"].tolist() == [
        "2.00<br><small>0 / 1</small>",
        "1.50<br><small>0 / 0</small>",
        "0.50<br><small>0 / 0</small>",
    ]
    told = how_many.expected_table(records).data
    assert told.loc["DnC, 5 expected"].tolist() == ["1.25", "0.75"]


def test_the_findings_are_computed(records):
    text = how_many.findings(records)
    quoted = (
        "**MANDERA**, 50 models: no error at c = 20–24 under the paper's attacks, an error at every"
    )
    assert quoted in text
    assert "finds a model in 2 rounds; in 1 of them Krum takes a benign one (k = 20, c = 4)" in text
    assert "In 1 of these PDRR flags benign models only." in text
    assert "moved by the attack on it with β < c by 1.50 to 2.00 lengths of its step" in text
    assert "(PDRR's AUC 0.20 to 0.90), with β ≥ c by 0.50 lengths" in text
    assert "**DnC** that expects" not in text  # nowhere enough while c varies, as in the table
    few = records.runs[(records.runs["rule"] == "DnC") & (records.runs["expected"] == 5)]
    runs = pd.concat([records.runs, few.assign(expected=30, moved=0.25)], ignore_index=True)
    text = how_many.findings(replace(records, runs=runs))
    told = "**DnC** that expects too few attackers is moved by 0.75 to 1.25 lengths of its step"
    assert f"{told}; if it expects enough, or more, 0.25." in text
