"""The sketches of the paper, drawn from data."""

import pandas as pd

from helpers.made_up import ORIGIN, axes, seen
from pdrr.book import sketches
from pdrr.experiments.records import Records


def test_the_key_of_fig03_has_the_colours_that_are_drawn():
    places = [
        {"stage": stage, "rank": rank, "value": rank / 10, "byzantine": rank == 1}
        for stage in ("before", "after")
        for rank in (1, 2, 3, 4)
    ]
    run = {"k": 4, "beta": 1, "coordinate": 7, "previous": 0.2}
    run |= {"aggregate_before": 0.25, "aggregate_after": 0.3}
    drawing = sketches.fig03(Records(pd.DataFrame(places), pd.DataFrame([run]), ORIGIN))
    assert {colour for _, colour, _ in drawing.key} <= seen(drawing)
    before, after = axes(drawing)
    assert len(after.texts) == len(before.texts) + 1  # the aggregate under attack


def test_the_table_of_fig03_has_a_column_for_each_run():
    run = {"coordinate": 1234, "previous": 0.2, "candidates": 5678, "round": 1, "c": 10}
    run |= {"knowledge": "full", "beta": 10}
    run |= {"aggregate_before": 0.25, "aggregate_after": -0.3}
    runs = pd.DataFrame([{**run, "seed": 1}, {**run, "seed": 2, "aggregate_after": 0.1}])
    table = sketches.coordinate_table(Records(pd.DataFrame(), runs, ORIGIN)).data
    setting = "round 1, full knowledge, c = 10, β = 10, seed"
    assert table.columns.tolist() == [f"{setting} 1", f"{setting} 2"]
    assert table[f"{setting} 1"].tolist() == ["1,234", "0.200000", "0.250000", "-0.300000", "5,678"]
    assert table.loc["aggregate under attack"].tolist() == ["-0.300000", "0.100000"]
