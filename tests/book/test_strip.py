"""The strip has every cell of the tables: the paper's number, ours with its span, chance."""

import numpy as np
import pytest

from helpers.made_up import evaluation_records
from pdrr.book import strip


@pytest.fixture
def drawn():
    made = evaluation_records(rounds=(1, 5), seeds=(1, 2))
    made.runs.loc[made.runs["seed"] == 2, "mar"] += 0.5
    paper = {"VAE": {"FAR": [0.3, 0.4], "MAR": [0.6, 0.7]}}
    return strip.strip({"Table 1": made}, {"Table 1": paper}, [1, 20])


def test_a_cell_has_the_mean_over_seeds_between_the_least_and_the_most(drawn):
    cells = drawn.data.set_index(["scheme", "rate", "round"])
    mar = cells.loc["VAE", "MAR", 1]
    assert mar["most"] == pytest.approx(mar["least"] + 0.5)
    assert mar["ours"] == pytest.approx(mar["least"] + 0.25)
    assert mar["seeds"] == 2


def test_a_round_that_only_the_paper_has_has_its_number_alone(drawn):
    cells = drawn.data.set_index(["scheme", "rate", "round"])
    assert cells.loc[("VAE", "FAR", 20), "paper"] == 0.4
    assert np.isnan(cells.loc[("VAE", "FAR", 20), "ours"])
    assert np.isnan(cells.loc[("VAE", "FAR", 5), "paper"])
    assert ("PDRR", "MAR", 20) not in cells.index


def test_chance_is_that_of_the_records_clients(drawn):
    chance = drawn.data.groupby("rate")["chance"].first()
    assert (chance["FAR"], chance["MAR"]) == (2 / 5, 3 / 5)  # two of five are malicious


def test_pdrr_stands_first_and_marks_are_where_the_cells_are(drawn):
    upper, lower = drawn.panels["Table 1"].axes
    assert lower.get_xticklabels()[0].get_text() == "PDRR"
    assert (upper.get_ylabel(), lower.get_ylabel()) == ("MAR", "FAR")
    (ours,) = [line for line in upper.lines if line.get_marker() == "o"]
    (paper,) = [line for line in upper.lines if line.get_marker() == "D"]
    mar = drawn.data[drawn.data["rate"] == "MAR"]
    assert np.allclose(ours.get_ydata(), mar["ours"], equal_nan=True)
    assert np.allclose(paper.get_ydata(), mar["paper"].astype(float), equal_nan=True)
