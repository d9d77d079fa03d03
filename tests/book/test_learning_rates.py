"""The page of learning rates, on rounds that can be checked by eye."""

import pytest

from helpers.made_up import axes
from helpers.made_up_rounds import nobody, rounds, row
from pdrr.book import learning_rates
from pdrr.experiments.chains import LOOP


@pytest.fixture
def records():
    """Krum at two rates, two rounds each; the loop would count twice."""
    krum = {"attack": "krum", "rule": "krum", "beta": float("nan"), "noise": "ball"}
    won = {**krum, "selected": "malicious"}
    lost = {**krum, "selected": "benign", "learning_rate": 0.004, "succeeded": False}
    quiet = {"rule": "krum", "beta": float("nan"), "succeeded": False, "selected": "benign"}
    return rounds(
        row(1, **won),
        row(2, **won, accuracy_unattacked=0.7),
        row(2, **won, chain=LOOP, missed=2),
        row(1, **lost, false_alarms=3, missed=2),
        row(2, **{**lost, "succeeded": True}, missed=1),
        nobody(1, **quiet, learning_rate=0.004, false_alarms=5),
        nobody(1, **quiet, false_alarms=1),
    )


def test_errors_are_counted_by_rate_over_the_oracle_defended_chain(records):
    found = learning_rates.errors(records).set_index(["knowledge", "learning_rate"])
    slow, fast = found.loc[("partial", 0.004)], found.loc[("partial", 0.06)]
    counted = ["rounds", "succeeded", "malicious_won", "false_alarms", "missed"]
    assert slow[counted].tolist() == [2, 1, 0, 3, 3]
    assert fast[counted].tolist() == [2, 2, 2, 0, 0]
    assert fast[["last_round", "accuracy"]].tolist() == [2, 0.7]


def test_the_table_says_whether_the_attack_and_pdrr_succeed(records):
    table = learning_rates.rates_table(records).data
    assert table.columns.tolist()[:3] == ["FAR", "MAR", "accuracy"]  # what a phone shows
    attacked = [float(cell) for cell in table.loc["Krum, partial, 0.004"]]
    assert attacked == [0.5, 0.75, 0.5, 2, 1, 0]
    assert table.loc["Krum, nobody, 0.004", ["FAR", "MAR"]].tolist() == ["1", "–"]
    assert table.loc["Krum, nobody, 0.004"].tolist()[3:] == ["1", "–", "–"]


def test_the_figure_has_a_panel_for_each_attack_and_says_how_often_it_won(records):
    partial, full, quiet = axes(learning_rates.by_rate(records))
    assert [text.get_text() for text in partial.texts] == ["0/2", "2/2"]
    drawn = {line.get_marker(): line.get_ydata().tolist() for line in partial.lines}
    assert drawn == {"^": [0.5, 0], "x": [0.75, 0]}
    assert [len(line.get_xdata()) for line in full.lines] == [0]
    assert [line.get_ydata().tolist() for line in quiet.lines] == [[1, 0.2]]
    assert [tick.get_text() for tick in quiet.get_xticklabels()] == ["0.004", "0.06"]


def test_the_findings_name_the_rates_without_an_error(records):
    text = learning_rates.findings(records)
    assert text.startswith("- **Krum**: no error, attacked with either knowledge, at 0.06.")
    assert "it flags 20% to 100% of the models: 100% at 0.004, 20% at 0.06." in text


def test_a_rule_that_errs_at_every_rate_and_flags_alike_says_so():
    mean = {"attack": "trimmed_mean", "rule": "trimmed_mean", "beta": 10}
    quiet = {"rule": "trimmed_mean", "beta": 10, "succeeded": False, "false_alarms": 1}
    text = learning_rates.findings(
        rounds(
            row(1, **mean, missed=1),
            row(1, **mean, learning_rate=0.004, missed=2),
            nobody(1, **quiet),
            nobody(1, **quiet, learning_rate=0.004),
        )
    )
    assert "attacked, it errs at each of these rates, with full or partial knowledge." in text
    assert "models at each of them." in text
