"""Figures and tables show what is in the records, and nothing else."""

import numpy as np
import pandas as pd
import pytest

from pdrr import figures
from pdrr.records import Records


def run(seed, **changes):
    values = {
        "rule": "median", "noise": "", "seed": seed, "round": 1, "knowledge": "full", "c": 1,
        "beta": np.nan, "q": 0.7, "succeeded": True, "selected": "", "lambda": np.nan,
        "far": 0.0, "mar": 0.0, "q_low": 0.25, "q_high": 0.75, "attack_s": 1.0, "detection_s": 2.0,
    }  # fmt: skip
    return values | changes


def records(*runs):
    clients = pd.DataFrame(
        {
            "client": [1, 2, 3],
            "byzantine": [True, False, False],
            "statistic": [10.0, 30.0, 40.0],
            "score": [0.75, 0.25, 0.0],
        }
    )
    return Records(clients, pd.DataFrame(list(runs)), {})


def lines(figure):
    """Heights of the horizontal lines."""
    return [line.get_ydata()[0] for line in figure.axes[0].lines]


def bands(figure):
    return [
        (patch.get_y(), patch.get_y() + patch.get_height())
        for patch in figure.axes[0].patches
        if patch.get_width() == 1  # of the axes; bars are 0.8 wide
    ]


def test_bars_are_the_statistic_with_the_malicious_models_in_orange():
    bars = figures.fig07(records(run(1))).axes[0].containers[0]
    assert [bar.get_height() for bar in bars] == [10, 30, 40]
    assert [bar.get_facecolor()[:3] == figures.MALICIOUS for bar in bars] == [True, False, False]


def test_the_line_is_q_times_the_largest_statistic_where_much_is_suspicious():
    assert lines(figures.fig06(records(run(1)))) == pytest.approx([0.7 * 40])


def test_the_line_is_1_minus_q_times_the_largest_where_few_is_suspicious():
    figure = figures.fig07(records(run(1)))
    assert lines(figure) == pytest.approx([(1 - 0.7) * 40])
    assert bands(figure) == [pytest.approx((30, 10))]  # from q_low = .25 to q_high = .75


def test_no_band_where_no_q_is_suitable():
    assert bands(figures.fig07(records(run(1, q_low=np.nan, q_high=np.nan)))) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"succeeded": False}, "no λ found, so honest models were sent"),
        ({"selected": "benign"}, "Krum selects a benign model all the same"),
    ],
)
def test_the_title_says_when_there_was_no_attack(changes, words):
    title = figures.fig04(records(run(1, **changes))).axes[0].get_title(loc="left")
    assert words in title
    assert words not in figures.fig04(records(run(1))).axes[0].get_title(loc="left")


def test_a_bar_figure_refuses_several_runs():
    with pytest.raises(ValueError, match="shows one run, got 2"):
        figures.fig07(records(run(1), run(2)))


def test_over_seeds_the_worst_rates_and_the_thresholds_that_suit_all():
    table = figures.seeds_table(
        records(run(1), run(2, far=0.5, q_low=0.5, q_high=0.9), run(3, mar=0.25), run(1, c=2))
    ).data
    assert table["FAR"].tolist() == ["0.50", "0.00"]
    assert table["MAR"].tolist() == ["0.25", "0.00"]
    assert table["suitable q"].tolist() == ["(0.500, 0.750]", "(0.250, 0.750]"]


@pytest.mark.parametrize("other", [{"q_low": 0.8, "q_high": 0.9}, {"q_low": np.nan}])
def test_no_threshold_suits_all_seeds_where_they_disagree(other):
    table = figures.seeds_table(records(run(1), run(2, **other))).data
    assert table["suitable q"].tolist() == ["none"]


def test_the_verdicts_link_to_the_pages_and_escape_the_text():
    row = {"verdict": "partly", "claim": "a < b", "paper": "<1", "ours": "2", "figure": "fig04"}
    html = figures.verdicts_html(pd.DataFrame([row]))
    assert 'href="./fig04.html">a &lt; b</a>' in html
    assert "&lt;1" in html
    assert "partly</span>" in html
