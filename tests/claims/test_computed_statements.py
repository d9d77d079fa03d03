"""What the prose says of numbers that a page computes itself, by the calls of that page."""

import re

import numpy as np
import pytest

from pdrr.book import readings, trials
from pdrr.claims import statements, table4
from pdrr.claims.expected import expected
from pdrr.federation.store import default_root
from pdrr.types import Round

COMPUTED = {name: each for name, each in statements.statements().items() if each.computed}


def ends(cell):
    """Smallest and largest number of a cell, "0.53 to 0.98"."""
    numbers = [float(text) for text in re.findall(r"\d+(?:\.\d+)?", cell.partition("<br>")[0])]
    return numbers[0], numbers[-1]


def benign(cell):
    return float(re.search(r"benign up to ([\d.]+)", cell)[1])


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    """The rounds of the page: trained in a minute, or at once where `make book` has kept them."""
    with pytest.MonkeyPatch.context() as patch:
        if not default_root().is_dir():
            patch.setenv("PDRR_CACHE", str(tmp_path_factory.mktemp("cache")))
        return {rule: trials.honest_rounds(rule) for rule in ("krum", "trimmed_mean", "median")}


@pytest.fixture(scope="module")
def lambdas(honest):
    return trials.lambda_table(honest["krum"]).data


@pytest.fixture(scope="module")
def counts(honest):
    return trials.counts_table(honest["trimmed_mean"]).data


@pytest.fixture(scope="module")
def directions(honest):
    return trials.directions_table(honest).data


@pytest.fixture(scope="module")
def six():
    """Six clients, the first three send the same, one value trimmed at each end."""
    others = [[1, 2, 3, 4], [2, 3, 4, 1], [3, 4, 1, 2]]
    clients = np.array([[-1, -1, 9, 9]] * 3 + others, np.float32)
    return trials.trimmed_counts(Round(clients, previous=np.zeros(4, np.float32)), beta=1)


@pytest.fixture(scope="module")
def printed():
    """Our rules on the paper's own numbers: words, and what they follow from."""
    evaluations, timing = readings.printed_records()
    return table4.derive(evaluations, timing), table4.measured(evaluations, timing)


def test_every_computed_statement_has_a_test_here():
    assert set(COMPUTED) == set().union(*HERE.values())


HERE = {
    "lambda_table": {"r-needed", "r-halving", "dv-bound", "dv-halving", "dv-guess"},
    "trimmed_counts": {"r-toy-expectation", "r-toy-sort", "r-toy-strict", "dv-draws"},
    "counts_table": {"r-own-draws", "r-one-draw", "dv-ties"},
    "directions_table": {"r-last", "r-denser", "dv-direction"},
    "printed_records": {"r-table4", "dv-words", "dv-stability", "dv-err-stable"},
}


@pytest.mark.parametrize("table", HERE)
def test_its_table_is_the_one_that_is_named(table):
    assert {name for name, each in COMPUTED.items() if each.computed == table} == HERE[table]


def test_the_largest_lambda_needs_all_attackers_and_that_of_halving_none(lambdas):
    row = lambdas.loc["c = 20, full"]
    assert row["attack succeeds"] != "0 of 6"
    assert row["needed"] == "20"
    assert row["needed, halving"] == "0"


def test_the_paper_s_bound_was_never_too_small(lambdas):
    found = [ends(cell)[1] for cell in lambdas["λ / bound (4) with d"] if cell != "–"]
    assert len(found) == 3
    assert max(found) < 1


def test_halving_stops_below_the_best_lambda(lambdas):
    found = [ends(cell) for cell in lambdas["λ halving / λ"] if cell != "–"]
    assert max(high for _, high in found) < 1
    assert min(low for low, _ in found) < 0.6


def test_three_equal_attackers(six):
    attackers = six.loc[1:3]
    assert attackers["expectation"].nunique() == 1
    assert attackers["expectation"].sum() == pytest.approx(4)  # one of each end and coordinate
    assert attackers["stable sort"].tolist() == [2, 0, 2]
    assert attackers["strict inequality"].tolist() == [0, 0, 0]


def test_own_draws_are_counted_nearly_alike(counts):
    for name in ("β = 10, own draws", "β = 20, own draws"):
        cells = counts.loc[name]
        assert np.ptp([benign(cell) for cell in cells]) == pytest.approx(0, abs=0.055)
        assert np.ptp([ends(cell)[0] for cell in cells]) == pytest.approx(0, abs=0.015)


def test_one_draw_is_counted_in_very_different_ways(counts, honest):
    row = counts.loc["β = 10, one draw"]
    assert ends(row["strict inequality"]) == (0, 0)
    low, high = ends(row["stable sort"])
    assert 0.15 < low < 0.25
    assert high == 1
    chosen, each = honest["trimmed_mean"][0]
    same = each.clients.copy()
    same[:20] = trials.attacking.attacked(
        chosen, "trimmed_mean", "trimmed_mean", each, "partial"
    ).observed.clients[0]
    found = trials.trimmed_counts(Round(same, each.previous), 10)["expectation"]
    assert np.ptp(found[:20]) < 1e-6 * found.max()


def test_the_last_round_s_direction_is_a_usable_guess(directions):
    assert min(ends(cell)[0] for cell in directions["last like s"]) > 2 / 3
    assert max(ends(cell)[1] for cell in directions["last like s"]) < 1
    assert min(ends(cell)[0] for cell in directions["s̃ like s"]) > 3 / 4


def test_the_guess_is_denser_than_the_direction(directions):
    for _, row in directions.iterrows():
        for guessed, own in zip(ends(row["zeros in s̃"]), ends(row["zeros in s"]), strict=True):
            assert guessed < own


def test_the_paper_s_words_do_not_follow_from_its_numbers(printed):
    words, numbers = printed
    paper = expected().tables.table4
    assert numbers.loc["LFR", "error"] > 0.25
    assert numbers["spread"].idxmax() == "LFR"
    assert paper["LFR"]["detection ability"] == "relatively strong"
    assert words.loc["LFR", "detection ability"] == "relatively weak"
    assert paper["LFR"]["detection stability"] == "relatively stable"
    assert {paper[s]["detection stability"] for s in ("DAGMM", "VAE")} == {"unstable"}
    for scheme, row in paper.items():
        for column in ("auxiliary dataset", "time cost", "detection ability"):
            same = words.loc[scheme, column] == row[column]
            assert same != (scheme == "LFR" and column == "detection ability")
    assert words.loc["ERR", "detection stability"] == "stable"
    assert numbers["error"].idxmax() == "ERR"
