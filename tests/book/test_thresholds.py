"""The figure of errors against q shows the counts, the q in use and the calibrated plateau."""

import numpy as np
import pandas as pd
import pytest

from helpers.made_up import axes, seen
from pdrr.book import style
from pdrr.book.thresholds import error_by_q

Q = {"krum": 0.5, "trimmed_mean": 0.75}
ERRORS = pd.DataFrame(
    {
        "rule": ["krum"] * 3 + ["trimmed_mean"] * 6,
        "beta": [np.nan] * 3 + [10.0] * 3 + [20.0] * 3,
        "q": [0.0, 0.5, 1.0] * 3,
        "benign": [30] * 3 + [1200] * 6,
        "false_alarms": [30, 15, 0, 1200, 600, 0, 300, 0, 0],
        "malicious": [20] * 9,
        "missed": [0, 0, 20, 0, 5, 10, 0, 0, 0],
    }
)
PLATEAUS = pd.DataFrame(
    {
        "rule": ["krum", "trimmed_mean"],
        "beta": [np.nan, 10.0],
        "low": [0.25, 0.5],
        "high": [0.75, 1.0],
    }
)


def test_each_rule_and_each_beta_has_a_panel_with_its_rates():
    drawing = error_by_q(ERRORS, PLATEAUS, Q)
    assert {colour for _, colour, _ in drawing.key} <= seen(drawing)
    panels = axes(drawing)
    titles = ["Krum", "trimmed mean (β = 10)", "trimmed mean (β = 20)"]
    assert [ax.get_title(loc="left") for ax in panels] == titles
    rates = [
        ([1, 0.5, 0], [0, 0, 1]),
        ([1, 0.5, 0], [0, 0.25, 0.5]),
        ([0.25, 0, 0], [0, 0, 0]),
    ]
    for ax, expected in zip(panels, rates, strict=True):
        drawn = [line for line in ax.lines if line.get_linestyle() == "-"]
        assert [line.get_ydata().tolist() for line in drawn] == [list(each) for each in expected]
        assert all(line.get_xdata().tolist() == [0, 0.5, 1] for line in drawn)
        assert [line.get_color() for line in drawn] == [style.BENIGN, style.MALICIOUS]


def test_the_lines_are_named_above_them_with_the_number_of_clients():
    texts = axes(error_by_q(ERRORS, PLATEAUS, Q))[1].texts
    assert [text.get_text() for text in texts] == ["FAR (of 1,200)", "MAR (of 20)"]
    assert [text.get_color() for text in texts] == [style.BENIGN, style.MALICIOUS]
    assert [text.get_ha() for text in texts] == ["left", "right"]
    assert all(text.get_position()[1] > 1 for text in texts)  # a rate is 1 at most


def test_the_band_is_the_plateau_of_this_beta_and_the_line_the_q_of_the_rule():
    panels = axes(error_by_q(ERRORS, PLATEAUS, Q))
    bands = [[(b.get_x(), b.get_x() + b.get_width()) for b in ax.patches] for ax in panels]
    assert bands == [[(0.25, 0.75)], [(0.5, 1.0)], []]  # beta = 20 was not calibrated
    dashed = [
        [line.get_xdata()[0] for line in ax.lines if line.get_linestyle() == "--"] for ax in panels
    ]
    assert dashed == [[0.5], [0.75], [0.75]]


def test_two_plateaus_for_one_panel_are_refused():
    with pytest.raises(ValueError, match="one plateau for each rule and beta"):
        error_by_q(ERRORS, pd.concat([PLATEAUS, PLATEAUS]), Q)
