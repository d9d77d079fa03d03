"""Where attackers stand in the sorted values."""

import numpy as np
import pandas as pd
from matplotlib.patches import StepPatch

from helpers.made_up import ORIGIN, axes, seen
from pdrr.book import ranks
from pdrr.experiments.placement import places
from pdrr.experiments.records import Records
from pdrr.types import Round


def test_places_are_those_of_the_sorted_values():
    rng = np.random.default_rng(0)
    models = rng.permuted(np.tile(np.arange(6.0)[:, None], (1, 500)), axis=0)
    models[:, 7] = 3.0  # nobody stands anywhere here
    bad = np.arange(6) < 2
    share, counted = places(Round(models, np.zeros(500)), bad)
    assert counted == 499
    there = np.delete(models, 7, axis=1)
    expected = [(there[bad] == place).sum() / 499 for place in range(6)]
    np.testing.assert_allclose(share, expected)


def test_equal_values_share_their_places():
    models = np.array([[1.0], [1.0], [1.0], [0.0]])
    share, _ = places(Round(models, np.zeros(1)), np.array([True, False, False, False]))
    np.testing.assert_allclose(share, [0, 1 / 3, 1 / 3, 1 / 3])


def test_the_picture_has_a_panel_for_each_attack_with_what_is_trimmed():
    key = {"c": 1, "k": 4, "beta": 1, "seed": 1, "round": 1}
    quiet, loud = ({"attack": a, "knowledge": "full", **key} for a in ("none", "alie"))
    table = [{**quiet, "place": p, "malicious": 0.25} for p in range(1, 5)]
    table += [{**loud, "place": p, "malicious": float(p == 2)} for p in range(1, 5)]
    runs = [
        {**quiet, "trimmed_malicious": 0.5, "trimmed_benign": 0.5},
        {**loud, "trimmed_malicious": 0.0, "trimmed_benign": 2 / 3},
    ]
    drawing = ranks.ranks_picture(Records(pd.DataFrame(table), pd.DataFrame(runs), ORIGIN))
    first, second = axes(drawing)
    assert first.get_title("left") == "nobody attacks\n\ntrimmed: the first c 50%, others 50%"
    assert second.get_title("left") == "ALIE attack\nfull\ntrimmed: malicious 0%, benign 67%"
    malicious, rest = (part.get_data() for part in second.patches if isinstance(part, StepPatch))
    (heights, _, _), (tops, _, bottoms) = malicious, rest
    assert heights.tolist() == bottoms.tolist() == [0, 1, 0, 0]
    assert tops.tolist() == [1, 1, 1, 1]  # what is left to the benign ones
    assert {colour for _, colour, _ in drawing.key} <= seen(drawing)
