"""Errors by the largest benign client, counted by hand."""

import pandas as pd
import pytest

from pdrr.book import who_errs
from pdrr.claims.words import machine_readable
from pdrr.experiments.records import Records

ROWS = pd.DataFrame(
    {
        "seed": [1, 1, 1, 2, 2, 2],
        "largest": [320, 284, 160, 165, 165, 320],
        "false_alarms": [1, 0, 0, 1, 0, 0],
        "missed": [20, 0, 0, 0, 0, 3],
    }
)
MADE = Records(ROWS, ROWS, {})


def test_rounds_are_counted_by_the_largest_benign_client():
    found = who_errs.by_largest(MADE, many=200)
    assert found.loc[True].tolist() == [3, 2]
    assert found.loc[False].tolist() == [3, 1]
    assert who_errs.by_largest(MADE, many=200, seeds=[2]).loc[True].tolist() == [1, 1]


def test_the_table_tells_shares_and_the_test_between_them():
    table = who_errs.by_largest_table(MADE, many=200)
    row = table.data.loc["a benign client with over 200 images"]
    assert row.tolist() == ["3", "2", "0.67", "0.09–0.99"]
    # two margins of 3: 2 of 3 against 1 of 3 is as likely as not to be at least so uneven
    assert table.caption == "Fisher’s exact test: p = 1."


def test_an_even_split_of_ten_against_none_is_told_from_chance():
    rows = pd.DataFrame({"largest": [300] * 10 + [100] * 10, "missed": 0})
    rows["false_alarms"] = [1] * 10 + [0] * 10
    caption = who_errs.by_largest_table(Records(rows, rows, {}), many=200).caption
    p = machine_readable(caption.split("p = ")[1].rstrip("."))
    assert float(p) == pytest.approx(2 / 184_756, rel=0.05)
