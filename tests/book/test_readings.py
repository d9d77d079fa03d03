"""What the other readings give: tables of recorded runs, and small rounds tried in other ways."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from helpers import miniature
from helpers.made_up import evaluation_records
from pdrr.attacks import krum_attack
from pdrr.book import readings, trials
from pdrr.book.cells import LOT
from pdrr.claims import table4
from pdrr.claims.expected import expected
from pdrr.experiments import scene
from pdrr.experiments.records import Records
from pdrr.types import Crafted, Round

# recorded runs


def pdrr(**changes):
    """PDRR's part of made-up records; two of five clients are malicious, with scores 1 and 0.75."""
    made = evaluation_records(schemes=["PDRR"], **changes)
    return Records(made.table.copy(), made.runs.copy(), made.provenance)


def test_readings_stand_below_each_other_for_each_setting():
    near, far = pdrr(knowledge=("full", "partial")), pdrr(knowledge=("full", "partial"))
    far.table.loc[far.table["byzantine"], "score"] = 0.25
    table = readings.separation_table({"near": near, "far": far}, by=["c", "knowledge"]).data
    assert table.index.tolist() == [
        "c = 2, full: near", "c = 2, full: far", "c = 2, partial: near", "c = 2, partial: far",
    ]  # fmt: skip
    assert table["malicious"].tolist() == ["0.75 to 1.00", "0.25"] * 2
    assert table["benign up to"].tolist() == ["0.50"] * 4  # the third client's
    assert table.loc["c = 2, full: near", "MAR"] == "0.20"  # that of round 2


def test_the_statistic_can_be_shown_in_place_of_the_score():
    table = readings.separation_table({"": pdrr()}, by=["round"], value="statistic").data
    assert table.index.tolist() == ["round 1", "round 2"]
    assert table["malicious"].tolist() == ["3.00 to 4.00"] * 2


def test_a_suitable_q_suits_all_runs_of_its_row():
    made = pdrr(seeds=(1, 2), rounds=[1])
    made.runs["q_low"], made.runs["q_high"] = [0.2, 0.3], [0.9, 0.8]
    assert readings.separation_table({"": made}).data["suitable q"].tolist() == ["0.300–0.800"]
    for low, high in (([0.2, 0.85], [0.8, 0.9]), ([0.2, np.nan], [0.8, np.nan])):
        made.runs["q_low"], made.runs["q_high"] = low, high
        assert readings.separation_table({"": made}).data["suitable q"].tolist() == ["none"]


def test_each_row_has_its_own_clients():
    both = pdrr(knowledge=("full", "partial"))
    full = both.table["knowledge"] == "full"
    both.table.loc[full & both.table["byzantine"], "score"] = 0.9
    table = readings.separation_table({"x": both}).data
    assert table["malicious"].tolist() == ["0.90", "0.75 to 1.00"]


def paper_cell(text):
    return f'<small class="paper">{text}</small>'


def test_misses_of_all_readings_beside_the_paper_s():
    # MAR of made-up records is round / 10
    krum = Records.concat(
        [
            evaluation_records(rounds=(1, 5), schemes=["LFR", "PDRR"]),
            evaluation_records(rounds=(5,), schemes=["LFR"], readings=["mean"]),
        ]
    )
    median = evaluation_records("median", rounds=(1,), schemes=["LFR", "PDRR"])
    paper = {"Krum": {"LFR": {"FAR": [0.9, 0, 0, 0], "MAR": [0.45, 0.15, 0.2, 0.3]}}}
    styled = readings.missed_table({"Krum": krum, "median": median}, paper)
    table = styled.data
    assert table.columns.tolist() == [("Krum", "1"), ("Krum", "5"), ("median", "1")]
    assert table.T.to_dict("list") == {
        "LFR, as decided": ["0.10", "0.50", "0.10"],
        "LFR, mean": ["–", "0.50", "–"],
        "LFR, the paper": [paper_cell("0.45"), "", ""],  # the paper has no round 5, no median
        "PDRR, FAR": ["0.51", "0.51", "0.51"],
        "PDRR, MAR": ["0.10", "0.50", "0.10"],
    }
    assert readings.missed_table({"Krum": krum}, paper, ["PDRR"]).data.shape == (2, 2)


def test_misses_are_means_over_seeds():
    made = evaluation_records(seeds=(1, 2), rounds=[1], schemes=["VAE"])
    made.runs["mar"] = [0.0, 0.5]
    assert readings.missed_table({"x": made}).data.T.to_dict("list") == {"VAE": ["0.25"]}


def test_misses_that_lots_decide_are_marked_and_shown_by_their_expectation():
    made = evaluation_records(rounds=[1], schemes=["ERR"])
    table = made.table.assign(score=0.0)  # c = 2 of 5 clients are flagged by lot
    styled = readings.missed_table({"x": Records(table, made.runs, made.provenance)})
    assert styled.data.loc["ERR"].tolist() == [f"0.60{LOT}"]
    assert "drawn between equal scores" in styled.caption


def test_all_of_the_paper_s_misses_find_a_cell():
    paper = expected().tables
    krum = evaluation_records(rounds=paper.rounds)
    html = readings.missed_table({"Krum": krum}, {"Krum": paper.table1}).to_html()
    assert html.count('class="paper"') == 5 * 4


def impacts(values, flagged):
    made = evaluation_records(rounds=[1], schemes=["ERR"])
    made.table["statistic"], made.table["flagged"] = values, flagged
    return readings.order_table(made).data.loc["ERR, round 1"].tolist()


def test_the_order_of_clients_decides_among_equal_impacts():
    # c = 2 of 5: clients 1 and 2 are malicious
    lot = [True, False, False, False, True]
    assert impacts([0.0] * 5, lot) == ["5 of 5", "1 of 2", "2 of 2", "0 of 2"]
    assert impacts([0.0, 0.0, 0.3, 0.0, 0.0], lot) == ["4 of 5", "1 of 2", "1 of 2", "0 of 2"]
    without_ties = [0.4, 0.5, 0.3, -0.1, 0.2]
    assert impacts(without_ties, lot) == ["0 of 5", "1 of 2", "2 of 2", "2 of 2"]


def test_the_order_is_shown_for_err_and_lfr_as_decided():
    made = Records.concat([evaluation_records(), evaluation_records(readings=["alone"])])
    table = readings.order_table(made).data
    assert table.index.tolist() == ["ERR, round 1", "ERR, round 2", "LFR, round 1", "LFR, round 2"]


def test_the_paper_s_own_numbers_go_through_our_rules():
    evaluations, timing = readings.printed_records()
    measured = table4.measured(evaluations, timing)
    # DAGMM by hand: mean of FAR and MAR over four rounds, Krum once and trimmed mean twice
    krum = np.mean([0, 0.33, 0.5, 0.5, 0, 0.5, 0.75, 0.75])
    trimmed = np.mean([0.27, 0.3, 0.2, 0.37, 0.4, 0.45, 0.3, 0.55])
    assert measured.loc["DAGMM", "error"] == pytest.approx((krum + 2 * trimmed) / 3)
    assert measured.loc["DAGMM", "spread"] == pytest.approx(abs(krum - trimmed))
    assert measured.loc["LFR", "detection seconds"] == pytest.approx(32.2 + 32.7 + 35.8)  # ERR's
    words = table4.derive(evaluations, timing)
    assert words.loc["PDRR"].tolist() == ["undesired", "lowest", "strongest", "stable"]


# rounds run on the page


def test_honest_rounds_come_with_their_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("PDRR_CACHE", str(tmp_path))
    miniature.use(monkeypatch)
    found = trials.honest_rounds("median", seeds=(1, 2), numbers=[1])
    assert [(chosen.seed, each.number) for chosen, each in found] == [(1, 1), (2, 1)]
    assert found[0][1].k == found[0][0].federation.k == 50
    assert not np.array_equal(found[0][1].clients, found[1][1].clients)


@pytest.fixture(scope="module")
def honest():
    """Two rounds of 50 clients that drift into one direction; some coordinates do not move."""
    rng = np.random.default_rng(5)
    drift = 0.5 * rng.choice([-1.0, 0.0, 1.0], 60)
    rounds, previous = [], np.zeros(60, np.float32)
    for number in (1, 2):
        moves = drift + rng.normal(0, 0.3, (50, 60)) * (drift != 0)
        rounds.append(Round((previous + moves).astype(np.float32), previous, number))
        previous = rounds[-1].clients[20:].mean(axis=0)
    return [(scene.settings("smoke", "glyphs", 1), each) for each in rounds]


@pytest.mark.parametrize(
    ("bound", "best", "halving"),
    [(1.0, 0.7, 0.5), (1.0, 0.5, 0.5), (1.0, 1.0, 1.0), (3.0, 0.4, 0.375), (1.0, 0.13, 0.125)],
)
def test_halving_stops_at_the_last_power_of_two_below(bound, best, halving):
    crafted = Crafted(observed=None, succeeded=True, detail={"bound": bound, "lambda": best})
    assert trials.halved(crafted) == halving


def test_halving_is_accepted_and_its_double_is_not(honest):
    _, first = honest[0]
    rng = np.random.default_rng(0)
    byzantine = np.arange(50) < 20
    crafted = krum_attack(first, byzantine, knowledge="full", rng=rng)
    assert crafted.succeeded
    found, best = trials.halved(crafted), crafted.detail["lambda"]
    assert best / 2 < found <= best
    assert np.log2(crafted.detail["bound"] / found) % 1 == 0


def test_needed_attackers_are_those_krum_cannot_spare():
    # on a line: attackers at 0, 0, 0.1 and benign clients at 2, 2.2, 2.5, 3; c = 3, k = 7
    line = np.array([[0.0], [0.0], [0.1], [2.0], [2.2], [2.5], [3.0]], np.float32)
    observed = Round(line, np.zeros(1, np.float32))
    # one left out, each is judged by its 6 - c - 2 = 1 nearest other: any two attackers are nearer
    assert trials._needed(observed, 3) == 0
    apart = line.copy()
    apart[2] = 0.5  # now the other two need each other
    assert trials._needed(replace(observed, clients=apart), 3) == 2


def test_the_table_of_lambda_says_where_the_attack_failed(honest):
    table = trials.lambda_table(honest).data
    assert table.index.tolist() == [
        "c = 10, full", "c = 10, partial", "c = 20, full", "c = 20, partial",
    ]  # fmt: skip
    assert table.loc["c = 20, full", "attack succeeds"] == "2 of 2"
    assert table.loc["c = 20, full", "needed"] == "20"  # the largest lambda: none to spare
    low, high = map(float, table.loc["c = 20, full", "λ halving / λ"].split(" to "))
    assert 0.5 <= low <= high <= 1
    flat = [(x, replace(each, clients=np.tile(each.previous, (50, 1)))) for x, each in honest]
    nothing = trials.lambda_table(flat, cs=[20]).data  # nobody moves: there is no direction
    assert nothing["attack succeeds"].tolist() == ["0 of 2"] * 2
    assert (nothing.drop(columns="attack succeeds") == "–").all(axis=None)


def test_three_ways_to_count_trimmed_values():
    # one coordinate, one trimmed per side: 0 0 0 1 2, so the lowest is one of clients 1, 2, 3
    observed = Round(np.array([[0.0], [0], [0], [1], [2]], np.float32), -np.ones(1, np.float32))
    counts = trials.trimmed_counts(observed, 1)
    assert counts.index.tolist() == [1, 2, 3, 4, 5]
    assert counts["expectation"].tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0, 1])
    assert counts["stable sort"].tolist() == [1, 0, 0, 0, 1]
    assert counts["strict inequality"].tolist() == [0, 0, 0, 0, 1]


def test_coordinates_that_do_not_move_are_not_counted():
    clients = np.array([[0.0, 5], [0, 5], [1, 6], [2, 7], [2, 8]], np.float32)
    previous = np.array([1.0, 0], np.float32)  # the trimmed mean of the first coordinate is 1
    alone = trials.trimmed_counts(Round(clients[:, 1:], previous[1:]), 1)
    pd.testing.assert_frame_equal(trials.trimmed_counts(Round(clients, previous), 1), alone)


def test_without_ties_all_three_ways_count_alike():
    rng = np.random.default_rng(3)
    observed = Round(rng.normal(size=(9, 40)), np.zeros(40))
    counts = trials.trimmed_counts(observed, 2)
    assert counts.sum().tolist() == [2 * 2 * 40] * 3
    assert (counts.max(axis=1) == counts.min(axis=1)).all()


def test_equal_attackers_fare_alike_in_expectation_only(honest):
    table = trials.counts_table(honest).data
    assert table.index.tolist() == [
        "β = 10, own draws", "β = 10, one draw", "β = 20, own draws", "β = 20, one draw",
    ]  # fmt: skip
    one = table.loc["β = 10, one draw"]
    assert one["strict inequality"].startswith("0.00<br>")
    assert one["strict inequality"].endswith("benign up to 1.00</small>")
    assert " to " in one["stable sort"].split("<br>")[0]


def test_directions_are_compared_over_successive_rounds():
    chosen = scene.settings("smoke", "glyphs", 1)
    before = Round(np.zeros((50, 4), np.float32), np.array([0, 0, 0, 0], np.float32), 1)
    # the server moved + + 0 -; now all benign ones move + - + 0, the attackers' own mean + - 0 0
    previous = np.array([1, 1, 0, -1], np.float32)
    moves = np.tile(np.array([1, -1, 1, 0], np.float32), (50, 1))
    moves[:20, 2] = 0
    now = Round(previous + moves, previous, 2)
    later = replace(now, number=4)  # follows no round: not looked at
    table = trials.directions_table({"median": [(chosen, r) for r in (before, now, later)]}).data
    assert table.loc["median"].to_dict() == {
        "zeros in s": "0.25",
        "zeros in s̃": "0.50",
        "zeros in the last": "0.25",
        "s̃ like s": "0.67",
        "last like s": "0.33",
    }


def test_what_pdrr_costs_when_nobody_attacks():
    flagged = {(1, 1): [True, False, False], (2, 1): [True, True, False], (1, 20): [False] * 3}
    rows = [
        {"rule": "trimmed_mean", "seed": seed, "round": number, "client": i + 1, "flagged": each}
        for (seed, number), flags in flagged.items()
        for i, each in enumerate(flags)
    ]
    runs = pd.DataFrame(rows).drop_duplicates(["seed", "round"])
    runs = runs.assign(q=0.9, accuracy_rule=[0.2, 0.4, 0.7], accuracy_defended=[0.1, 0.2, 0.6])
    table = readings.unattacked_table(Records(pd.DataFrame(rows), runs, {})).data
    assert table.loc["trimmed mean, round 1"].to_dict() == {
        "q": "0.9",
        "seeds": "2",
        "flagged": "1 to 2 of 3",
        "accuracy of the rule": "0.30",
        "of PDRR": "0.15",
    }
    assert table.loc["trimmed mean, round 20", "flagged"] == "0 of 3"


def test_seconds_go_on_along_a_line_to_all_coordinates():
    rows = [("DAGMM", 10, 0.6), ("DAGMM", 100, 1.5), ("VAE", 10, 0.2), ("VAE", 100, 2.0)]
    rows += [("PDRR", 1000, 1.7), ("PDRR", 1000, 4.3)]
    runs = pd.DataFrame(rows, columns=["scheme", "coordinates", "median_s"])
    table = readings.coordinates_table(Records(pd.DataFrame(), runs, {"d": 1000})).data
    assert table.columns.tolist() == ["DAGMM", "VAE", "PDRR"]
    # 0.5 + 0.01 n, and 0.02 n
    assert table["DAGMM"].to_dict() == {
        "10": "0.60 s",
        "100": "1.50 s",
        "line, its start": "0.50 s",
        "line, per million": "10000.0 s",
        "all 1,000, by the line": "10 s",
        "all 1,000, measured": "–",
    }
    assert table.loc["all 1,000, by the line"].tolist() == ["10 s", "20 s", "–"]
    assert table.loc["all 1,000, measured"].tolist() == ["–", "–", "1.7 to 4.3 s"]


def test_trainings_stand_side_by_side_with_their_span():
    rows = [("VAE", 1, 0.5, 0.75), ("VAE", 0, 0.2, 1.0), ("DAGMM", 0, 0.0, 0.0), ("DAGMM", 1, 0, 0)]
    runs = pd.DataFrame(rows, columns=["scheme", "draw", "far", "mar"])
    table = readings.refits_table(Records(pd.DataFrame(), runs, {})).data
    assert table.columns.tolist() == ["training 1", "training 2", "span"]
    assert table.loc["VAE, FAR"].tolist() == ["0.20", "0.50", "0.20 to 0.50"]
    assert table.loc["VAE, MAR"].tolist() == ["1.00", "0.75", "0.75 to 1.00"]
    assert table.loc["DAGMM, MAR"].tolist() == ["0.00", "0.00", "0.00"]
