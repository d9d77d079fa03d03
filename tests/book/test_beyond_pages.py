"""The door, silence and Co-trimming: figures, tables and sentences, on records checked by eye."""

import numpy as np
import pandas as pd
import pytest

from helpers.made_up import ORIGIN, axes
from pdrr.book import cotrimming, door, silence
from pdrr.experiments.records import Records

NAN = float("nan")


def records(rows, runs=None):
    table = pd.DataFrame(rows)
    return Records(table, pd.DataFrame(runs) if runs else table[["seed", "round"]], ORIGIN)


# the door


def cell(attack, scheme, far=0.0, mar=0.0, auc=1.0, number=1, **more):
    usual = {"seed": 1, "round": number, "c": 20, "k": 50, "knowledge": "full", "noise": NAN}
    return {**usual, "attack": attack, "scheme": scheme, "far": far, "mar": mar, "auc": auc, **more}


def damage(attack, moved, succeeded=True):
    place = {"seed": 1, "round": 1, "knowledge": "full", "noise": NAN, "rule": "median"}
    harm = {"moved": moved, "accuracy": 0.5, "accuracy_spared": 0.6, "succeeded": succeeded}
    return {**place, "attack": attack, **harm}


@pytest.fixture
def matrix():
    rows = [
        cell("none", "PDRR (median)", far=0.3, mar=NAN, auc=NAN),
        cell("ipm", "PDRR (median)", far=0.6, mar=1, auc=0.01),
        cell("ipm", "Co-trimming"),
        cell("ipm", "NNM", mar=1, auc=0.95),
        cell("sign_flip", "PDRR (median)", far=0.005, mar=0.0),
        cell("sign_flip", "Co-trimming", mar=1, auc=0.5),
        cell("sign_flip", "NNM", mar=1, auc=0.5),
        cell("min_max", "PDRR (median)"),
        cell("min_max", "Co-trimming"),
        cell("min_max", "NNM"),
    ]
    runs = [damage("ipm", 0.4), damage("sign_flip", 0.1), damage("min_max", 0.0, succeeded=False)]
    return records(rows, [damage("none", 0.0, succeeded=False), *runs])


def test_the_door_has_a_mark_for_each_attack_and_scheme_that_leads_to_rounds(matrix):
    marks = door.cells(matrix).set_index(["attack", "scheme"])["mark"].to_dict()
    assert marks == {
        ("ipm", "PDRR (median)"): "inverted",
        ("ipm", "Co-trimming"): "sees",
        ("ipm", "NNM"): "ranks",
        ("sign_flip", "PDRR (median)"): "sees",
        ("sign_flip", "Co-trimming"): "blind",
        ("sign_flip", "NNM"): "blind",
    }  # min_max found nothing to send
    html, behind = door.door(matrix), door.rounds_behind(matrix)
    for attack in ("ipm", "sign_flip"):
        assert f"href='#rounds-{attack}-full'" in html
        assert f"id='rounds-{attack}-full'" in behind
    assert "min_max" not in html + behind
    assert "title='Co-trimming: FAR 0, MAR 1, AUC 0.50, 1 rounds'" in html
    assert "median by 0.40 steps (accuracy −0.100)" in behind


def test_the_worst_of_all_attacks_stands_at_the_foot(matrix):
    foot = door.door(matrix).split("the worst of these")[1]
    marks = [mark for mark in door.SHOWN.values() if mark in foot.split("</tr>")[0]]
    assert foot.index(door.SHOWN["inverted"]) < foot.index(door.SHOWN["blind"])
    assert marks == [door.SHOWN["blind"], door.SHOWN["inverted"]]


def test_whoever_does_better_is_named_first(matrix):
    first, second, third = door.findings(matrix).splitlines()
    assert "PDRR (median) 1 of 2, Co-trimming 1 of 2" in first
    assert "sign flip (PDRR (median))" in second
    assert "PDRR (median) takes the honest for the attackers** under: IPM attack" in third


# silence


def look(scheme, number, flagged, lost=0.0, **more):
    usual = {"seed": 1, "k": 50, "share": 0.0, "pairs": 0, "alpha": NAN, "learning_rate": 0.06}
    seen = {"accuracy_rule": 0.5, "accuracy_left": 0.5 - lost, "seconds": 0.1}
    return {**usual, "round": number, "scheme": scheme, "flagged": flagged, **seen, **more}


@pytest.fixture
def quiet():
    return records(
        [
            look("Co-trimming", 1, 0),
            look("Co-trimming", 2, 0),
            look("PDRR (Krum)", 1, 5, lost=0.02),
            look("PDRR (Krum)", 2, 10, lost=0.04),
            look("Multi-Krum", 1, 20),
            look("Multi-Krum", 2, 20),
            look("Co-trimming", 1, 10, pairs=5),
            look("Co-trimming", 1, 0, alpha=0.1),
            look("Co-trimming", 1, 1, share=0.5),
            look("Co-trimming", 1, 0, learning_rate=0.004),
        ]
    )


def test_conditions_are_told_apart(quiet):
    kinds = silence.counted(quiet)["condition"].unique().tolist()
    assert kinds == [silence.PLAIN, "5 cloned pairs", "Dirichlet 0.1", "mixed 50%", "rate 0.004"]


def test_a_run_that_has_just_been_made_has_no_parameter_at_all():
    """A file has NaN there, a run None."""
    made = records([look("Co-trimming", 1, 0, alpha=None)])
    assert silence.counted(made)["condition"].tolist() == [silence.PLAIN]


def test_alarms_and_losses_are_counted(quiet):
    found = silence.counted(quiet).set_index(["condition", "scheme"])
    krum = found.loc[(silence.PLAIN, "PDRR (Krum)")]
    assert krum[["rounds", "alarms", "flagged", "models"]].tolist() == [2, 2, 15, 100]
    assert krum[["far", "lost", "most_lost"]].tolist() == pytest.approx([0.15, 0.03, 0.04])
    table = silence.alarms_table(quiet).data
    assert table.loc["Co-trimming", "rounds with an alarm"] == "0 of 2"
    assert table.loc["PDRR (Krum)", "models flagged"] == "15.0%"


def test_silent_and_loud_detectors_are_named(quiet):
    text = silence.findings(quiet)
    assert "writers as they are: Co-trimming." in text
    assert "**An alarm in every round**: PDRR (Krum)." in text
    assert "1 of 1 with 5 cloned pairs" in text
    assert "PDRR (Krum) loses most, 0.030" in text


def test_each_kind_of_clients_has_a_panel_with_all_detectors(quiet):
    panels = axes(silence.alarms(quiet))
    assert panels[0].get_title(loc="left") == silence.PLAIN
    assert len(panels) == 5
    names = [label.get_text() for label in panels[0].get_yticklabels()]
    assert names == ["Co-trimming", "PDRR (Krum)", "Multi-Krum"]
    assert [bar.get_width() for bar in panels[0].patches] == pytest.approx([0, 0.15, 0.4])


# Co-trimming


def judged(attack, k=50, c=20, far=0.0, mar=0.0, moved=0.5, flagged=20, **more):
    usual = {
        "seed": 1,
        "round": 1,
        "knowledge": "full",
        "noise": NAN,
        "succeeded": attack != "none",
    }
    rates = {"far": far, "far_target": far, "mar": mar, "auc": 1.0, "flagged": flagged}
    rates |= {"moved": moved, "moved_defended": 0.1}
    return {**usual, "attack": attack, "k": k, "c": c, **rates, **more}


@pytest.fixture
def colluders():
    return records(
        [
            judged("none", c=0, mar=NAN, flagged=0),
            judged("none", c=0, mar=NAN, flagged=2, number=2),
            judged("ipm"),
            judged("ipm", c=3, far=0.1),
            judged("min_max", c=3),
            judged("sign_flip", c=3, mar=1, moved=0.05),
            judged("alie_noise", c=3, mar=1, moved=0.4),
            judged("krum", mar=1, succeeded=False),
        ]
    )


def test_targets_are_judged_by_what_was_asked(colluders):
    found = {row["asked"].split(":")[0]: row for row in cotrimming.met(colluders)}
    assert found["IPM attack"]["met"] == "no"  # FAR .05 on average
    assert found["IPM attack"]["found"] == "MAR 0.0%, FAR 5.00%"
    assert found["sign flip"]["met"] == "no"
    assert found["ALIE attack with noise"]["met"] == "no"
    assert not any(name.startswith("attack on Krum") for name in found)
    quiet = [row for row in cotrimming.met(colluders) if row["asked"].startswith("nobody")]
    assert [row["met"] for row in quiet] == ["no", "no"]  # 1 of 2 rounds, 2 of 100 models
    assert quiet[1]["found"] == "2.00%"


def test_losses_come_first(colluders):
    first, second, third = cotrimming.findings(colluders).splitlines()
    assert first.startswith("- **Of 6 targets 1 are met.** Not met: nobody attacks")
    assert "sign flip and ALIE attack with noise" in second
    assert "(3 of 50 clients)" in second
    assert "0.05 to 0.40" in second
    assert "moves it by 0.10, attacked or not" in second
    assert "errs in 1 of 3 attacked rounds" in third


def test_errors_have_a_cell_for_each_attack_and_number(colluders):
    missed, alarms = axes(cotrimming.errors(colluders))
    assert [label.get_text() for label in missed.get_xticklabels()] == ["20\nof 50", "3\nof 50"]
    assert [label.get_text() for label in missed.get_yticklabels()] == [
        "IPM attack",
        "Min-Max attack",
        "sign flip",
        "ALIE attack with noise",
    ]
    assert [text.get_text() for text in alarms.texts] == ["0", "0.10", "", "0", "", "0", "", "0"]


def test_matrices_say_whether_the_gap_is_critical():
    client, other = np.indices((3, 3)) + 1
    pairs = {"client": client.ravel(), "other": other.ravel(), "likeness": np.eye(3).ravel()}
    table = pd.DataFrame({"attack": "none", "knowledge": "full", **pairs})
    run = {"attack": "none", "knowledge": "full", "seed": 1, "round": 1, "flagged": 0}
    runs = pd.DataFrame([{**run, "gap": 0.7, "critical": 2.3}])
    panel, _ = axes(cotrimming.matrices(Records(table, runs, ORIGIN)))
    assert panel.get_title(loc="left") == "nobody attacks"
    assert panel.get_xlabel() == "gap 0.7, critical 2.3:\nnobody is flagged"
