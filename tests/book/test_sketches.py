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
