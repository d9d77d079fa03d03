"""Tables hold the numbers of the records, their means, and the paper's in the right cells."""

import re

import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup

from helpers.made_up import ORIGIN, evaluation_records, run, timing_records
from pdrr.book import alignment, cells, tables
from pdrr.book.provenance import provenance_table
from pdrr.claims.expected import expected
from pdrr.core.files import RECORDED
from pdrr.experiments.records import Records, recorded


def grey(text):
    return f'<br><small class="paper"><span>paper </span>{text}</small>'


def below(text, more):
    return f"{text}<br><small>{more}</small>"


# rates


def test_a_cell_is_the_rate_of_its_scheme_and_round():
    table = tables.rates_table(evaluation_records(rounds=(1, 20))).data
    assert table.index.tolist() == ["DAGMM", "VAE", "ERR", "LFR", "Union", "PDRR"]
    assert table.columns.tolist() == [("FAR", "1"), ("FAR", "20"), ("MAR", "1"), ("MAR", "20")]
    assert table.columns.names == [None, "round (one seed)"]
    assert table["FAR", "20"].tolist() == ["0.01", "0.11", "0.21", "0.31", "0.41", "0.51"]
    assert table.loc["ERR"].tolist() == ["0.21", "0.21", "0.10", "2.00"]


def test_the_paper_s_numbers_stand_where_it_has_that_scheme_and_round():
    paper = {"ERR": {"FAR": [0.43, 0], "MAR": [0.65, 0.75]}}
    made = evaluation_records(rounds=(1, 5, 100))
    table = tables.rates_table(made, paper, rounds=(1, 100)).data
    assert table.loc["ERR"].tolist() == [
        "0.21" + grey("0.43"), "0.21", "0.21" + grey("0.00"),
        "0.10" + grey("0.65"), "0.50", "10.00" + grey("0.75"),
    ]  # fmt: skip
    assert not table.drop(index="ERR").map(lambda cell: "paper" in cell).any(axis=None)


@pytest.mark.parametrize("stem", ["table1", "table2"])
def test_all_numbers_that_the_paper_prints_find_a_cell(stem):
    printed = expected().tables
    made = evaluation_records(rounds=printed.rounds)
    table = tables.rates_table(made, getattr(printed, stem), printed.rounds)
    assert table.to_html().count('class="paper"') == 5 * 8


def test_a_cell_that_is_not_recorded_is_a_dash_which_the_caption_explains():
    early = evaluation_records(rounds=(1, 5))
    late = evaluation_records(rounds=[20], schemes=["PDRR"])
    styled = tables.rates_table(Records.concat([early, late]))
    assert styled.data.loc["ERR"].tolist() == ["0.21", "0.21", "–", "0.10", "0.50", "–"]
    assert "–" not in styled.data.loc["PDRR"].tolist()
    assert styled.caption == "One seed. Bold: the smallest of a column. –: not recorded."
    assert "–" not in tables.rates_table(early).caption


def test_over_a_few_seeds_the_mean_with_the_smallest_and_the_largest():
    made = evaluation_records(seeds=(1, 2, 6), schemes=["VAE"], rounds=[1])
    styled = tables.rates_table(made)
    assert styled.data.loc["VAE", ("FAR", "1")] == below("0.13", "0.11–0.16")
    assert styled.data.loc["VAE", ("MAR", "1")] == below("0.10", "0.10–0.10")
    assert styled.data.columns.names == [None, "round (3 seeds)"]
    assert styled.caption == "Mean over 3 seeds, below it the smallest and the largest."  # no bold


def test_over_five_seeds_the_mean_with_its_95_percent_interval():
    made = evaluation_records(seeds=(1, 2, 3, 4, 5), schemes=["VAE"], rounds=[1])
    styled = tables.rates_table(made)
    # by hand: t(0.975, 4) = 2.776, s = 0.01581, s / sqrt 5 = 0.00707
    assert styled.data.loc["VAE", ("FAR", "1")] == below("0.13", "0.11–0.15")
    assert styled.caption == "Mean over 5 seeds, below it its 95% t interval, cut at 0 and 1."


def test_the_interval_is_that_of_the_t_distribution():
    values = pd.Series([0.1, 0.2, 0.4, 0.8, 1.0])
    half = 2.7764451 * np.sqrt(((values - 0.5) ** 2).sum() / 4) / np.sqrt(5)
    assert cells.mean(values) == below("0.50", f"{0.5 - half:.2f}–{0.5 + half:.2f}")


def test_the_interval_of_a_rate_ends_where_rates_do():
    """Student's t alone would begin below 0, or end above 1."""
    values = pd.Series([0.0, 0.0, 0.0, 0.1, 0.3])
    assert cells.mean(values) == below("0.08", "0.00–0.24")
    assert cells.mean(1 - values) == below("0.92", "0.76–1.00")


def test_rounds_of_one_seed_among_several_are_named():
    both = Records.concat(
        [evaluation_records(seeds=(1, 3), rounds=[1]), evaluation_records(seeds=[1], rounds=[10])]
    )
    styled = tables.rates_table(both)
    assert styled.data.loc["PDRR"].tolist() == [
        below("0.52", "0.51–0.53"), "0.51", below("0.10", "0.10–0.10"), "1.00",
    ]  # fmt: skip
    assert styled.data.columns.tolist() == [
        (rate, number, n)
        for rate in ("FAR", "MAR")
        for number, n in (("1", "n = 2"), ("10", "n = 1"))
    ]
    assert "largest; one seed where there is nothing below. " in styled.caption


def equal_scores(made, *schemes):
    """All five scores of some schemes are 0: of five places, two are drawn."""
    table = made.table.copy()
    table.loc[table["scheme"].isin(schemes), ["statistic", "score"]] = 0.0
    return Records(table, made.runs, made.provenance)


def test_what_lots_decide_is_marked_and_shown_by_its_expectation():
    styled = tables.rates_table(equal_scores(evaluation_records(seeds=(1, 2, 6)), "ERR"))
    # 2 of 5 flagged, 2 malicious: 2/5 of the benign, 3/5 of the malicious are missed
    assert styled.data.loc["ERR"].tolist() == [
        below(f"{rate}{cells.LOT}", f"{rate}–{rate}") for rate in ("0.40", "0.40", "0.60", "0.60")
    ]
    assert cells.LOT in styled.data.loc["Union", ("FAR", "1")]
    assert not styled.data.drop(index=["ERR", "Union"]).map(lambda x: cells.LOT in x).any(axis=None)
    assert f"{cells.LOT}: in a run of this cell more than half" in styled.caption
    assert "of Union, the draw that was made" in styled.caption


def test_half_of_the_places_drawn_is_an_expectation_without_a_mark():
    made = evaluation_records(schemes=["LFR"], rounds=[1])
    made.table["score"] = [0.5, 0.1, 0.9, 0.5, 0.1]  # one place between a malicious and a benign
    styled = tables.rates_table(made)
    assert styled.data.loc["LFR"].tolist() == ["0.50", "0.75"]  # (1 + 1/2) / 3, 1 - (1/2) / 2
    assert "lot" not in styled.caption


def test_readings_that_lots_decide_are_marked():
    both = evaluation_records(readings=("default", "mean"), schemes=["LFR"], rounds=[1])
    both.table.loc[both.table["reading"] == "mean", "score"] = 0.0
    table = tables.readings_table(both).data
    assert table.loc["LFR, mean"].tolist() == [f"0.40{cells.LOT}", f"0.60{cells.LOT}"]
    assert table.loc["LFR, as decided"].tolist() == ["0.31", "0.10"]


def test_several_settings_in_one_table_are_refused():
    both = evaluation_records(knowledge=("partial", "full"))
    with pytest.raises(ValueError, match="shows one setting, got several"):
        tables.rates_table(both)
    assert tables.rates_table(both.where(knowledge="full"))


# how numbers stand


def classes(styled):
    """Class -> (row, column) of the cells that have it, by number."""
    found = {}
    for y, row in enumerate(BeautifulSoup(styled.to_html(), "html.parser").tbody.find_all("tr")):
        for x, cell in enumerate(row.find_all("td")):
            for name in cell["class"]:
                found.setdefault(name, set()).add((y, x))
    return found


@pytest.mark.parametrize(
    "column",
    [
        ["0.21", "10.00"],
        ["0.21<br><small>0.20–0.22</small>", "–"],
        ["0.250–0.750", "none"],
        ["−0.01–0.03", "0.1"],
        ["3 of 1,240", "12 of 50"],
        ["0.02 / 0.40", ""],
        ["1,234", "5e-08"],
        ["12 ms", "1.2 s"],
        [f"0.40{cells.LOT}", "≈ 3%"],
    ],
)
def test_a_column_of_numbers_stands_to_the_right_with_its_head(column):
    styled = alignment.styled(pd.DataFrame({"words": ["a", "b"], "numbers": column}), "any")
    assert classes(styled)["num"] == {(0, 1), (1, 1)}
    assert re.search(r"th\.level0\.col1 \{\s*text-align: right !important", styled.to_html())


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("-0.25<br><small>-1 to .5</small>", "−0.25|−1 to .5"),
        ("-0.00", "0.00"),
        ("+0.000 to -0.010", "0.000 to −0.010"),
        ("1e-07", "10⁻⁷"),
        ("-3.5e+06", "−3.5\u00a0×\u00a010⁶"),
        ("<code>-p epsilon 1e-07 -p c -1</code>", "-p epsilon 1e-07 -p c -1"),
        ("2026-01-31, 5e123 e1e-1, Co-2", "2026-01-31, 5e123 e1e-1, Co-2"),
    ],
)
def test_numbers_are_typeset_in_cells_and_heads_and_code_is_not(text, shown):
    table = alignment.styled(pd.DataFrame({text: [text]}, [text]), "any").to_html()
    seen = BeautifulSoup(table, "html.parser").table
    cells_and_heads = [cell.get_text("|") for cell in seen.find_all(["th", "td"])]
    assert [cell for cell in cells_and_heads if cell.strip()] == [shown] * 3


@pytest.mark.parametrize(
    "column", [["0.21", "no"], ["–", "none"], ["round 1", "2"], ["seed 1, 2"] * 2]
)
def test_a_column_of_words_does_not(column):
    styled = alignment.styled(pd.DataFrame({"words": column}), "any")
    assert "num" not in classes(styled)
    assert "text-align" not in styled.to_html()


def test_pdrr_s_row_and_the_smallest_of_each_column_stand_out():
    made = evaluation_records(rounds=(1, 20))  # FAR grows from scheme to scheme, MAR does not
    found = classes(tables.rates_table(made))
    assert found["best"] == {(0, 0), (0, 1)}
    assert found["ours"] == {(5, x) for x in range(4)}
    frame = pd.DataFrame({"a": ["10.5", "9.5", "–"], "b": ["1", "2", "3"]}, ["x", "PDRR", "y"])
    assert classes(alignment.styled(frame, "any", best=["a"]))["best"] == {(1, 0)}


# readings and accuracy


def test_other_readings_stand_below_ours_over_the_same_runs():
    ours = evaluation_records(seeds=(1, 2), rounds=(1, 20))
    mean = evaluation_records(rounds=(1, 20), schemes=["ERR", "LFR"], readings=["mean"])
    late = evaluation_records(rounds=[20], schemes=["VAE"], readings=["from w_p"])
    table = tables.readings_table(Records.concat([late, mean, ours])).data
    assert table.index.tolist() == [
        "VAE, as decided", "VAE, from w_p",
        "ERR, as decided", "ERR, mean",
        "LFR, as decided", "LFR, mean",
    ]  # fmt: skip
    assert table.loc["ERR, as decided", ("FAR", "1")] == "0.21"  # seed 1 alone
    assert table.loc["VAE, from w_p"].tolist() == ["–", "0.11", "–", "2.00"]


def test_without_other_readings_there_is_no_such_table():
    with pytest.raises(ValueError, match="no other reading"):
        tables.readings_table(evaluation_records())


def test_accuracy_is_counted_once_for_each_round():
    made = evaluation_records(seeds=(1, 3), knowledge=("partial", "full"))
    made.runs.loc[made.runs["knowledge"] == "full", "succeeded"] = False
    made.runs.loc[made.runs["seed"] == 3, "selected"] = "benign"
    table = tables.accuracy_table(made).data
    assert table.index.tolist() == ["round 1, n = 2", "round 2, n = 2"]
    assert table["before the round", ""].tolist() == [below("0.62", "0.61–0.63")] * 2
    assert table["with PDRR", "full"].tolist() == [below("0.40", "0.40–0.40")] * 2
    assert table["with PDRR", "partial"].tolist() == [below("0.50", "0.50–0.50")] * 2
    assert table["Krum selects", "partial"].tolist() == ["benign or malicious"] * 2
    assert table["Krum selects", "full"].tolist() == ["no attack"] * 2
    median = tables.accuracy_table(evaluation_records("median")).data
    assert ("Krum selects", "partial") not in median.columns


# time and words


def test_times_stand_beside_those_of_pdrr():
    table = tables.time_table(timing_records(), expected().tables.table3).data
    assert table.index.tolist() == ["DAGMM", "VAE", "ERR", "LFR", "PDRR"]
    assert table.loc["DAGMM", ("Krum", "seconds")] == below("10.00", "5.00–15.00") + grey("6.30")
    assert table.loc["DAGMM", ("Krum", "× PDRR")] == "5.00" + grey("15.00")  # 6.3 / 0.42
    assert table.loc["ERR", ("median", "× PDRR")] == "3.00" + grey("56.83")  # 35.8 / 0.63
    # the paper has none
    assert table.loc["LFR", ("trimmed mean", "seconds")] == below("4.00", "2.00–6.00")
    assert table["set-up", "seconds"].tolist() == ["3.00", "3.00", "–", "–", "–"]
    assert table.columns.names[1].startswith("n = ")


def test_our_words_stand_above_the_paper_s():
    derived = pd.DataFrame({"time cost": ["highest", "lowest"]}, index=["VAE", "PDRR"])
    table = tables.functionality_table(derived, {"VAE": {"time cost": "lowest"}}).data
    assert table["time cost"].tolist() == ["highest" + grey("lowest"), "lowest"]
    assert derived["time cost"].tolist() == ["highest", "lowest"]


# PDRR alone


def seeds_table(*runs):
    return tables.seeds_table(Records(pd.DataFrame(), pd.DataFrame(list(runs)), {})).data


def test_the_setting_and_the_errors_come_first():
    of_krum, of_median = seeds_table(run(1, rule="krum", noise="ball")), seeds_table(run(1))
    assert of_krum.columns.tolist()[:5] == ["c", "noise", "FAR", "MAR", "suitable q"]
    assert of_median.columns.tolist()[:3] == ["c", "FAR", "MAR"]
    assert of_median.columns.tolist()[-2:] == ["seeds", "time [s]"]
    assert of_median["seeds"].tolist() == ["1"]


def test_over_seeds_the_worst_rates_and_the_thresholds_that_suit_all():
    table = seeds_table(
        run(1), run(2, far=0.5, q_low=0.5, q_high=0.9), run(3, mar=0.25), run(1, c=2)
    )
    assert table["FAR"].tolist() == ["0.50", "0.00"]
    assert table["MAR"].tolist() == ["0.25", "0.00"]
    assert table["suitable q"].tolist() == ["0.500–0.750", "0.250–0.750"]


@pytest.mark.parametrize("other", [{"q_low": 0.8, "q_high": 0.9}, {"q_low": np.nan}])
def test_no_threshold_suits_all_seeds_where_they_disagree(other):
    assert seeds_table(run(1), run(2, **other))["suitable q"].tolist() == ["none"]


# where numbers come from


def origin(records):
    return provenance_table(records).data.iloc[:, 0]


@pytest.fixture
def _by_hand(monkeypatch):
    monkeypatch.delenv("PDRR_COMMAND", raising=False)


@pytest.mark.usefixtures("_by_hand")
def test_parameters_are_those_that_the_attack_uses():
    krum = origin(evaluation_records(seeds=(1, 3), rounds=(1, 20)))
    assert krum["seeds"] == "1, 3"
    assert krum["parameters"] == (
        "k = 5; c = 2; ε = 1e-07; noise = coordinate; q = 0.5; round = 1, 20;"
        " knowledge = partial; reading = default"
    )
    assert krum["VAE, DAGMM"] == "snapshots 10, coordinates 500, epochs 20, samples 2"
    trimmed = origin(evaluation_records("trimmed_mean"))["parameters"]
    assert trimmed.startswith("k = 5; c = 2; β = 1; b = 1.05; q = 0.5;")
    assert "again" not in krum  # run by hand: nobody knows how


def test_a_fresh_run_tells_the_command_that_started_it(monkeypatch):
    monkeypatch.setenv("PDRR_COMMAND", 'make fig04 ARGS="-p c 15"')
    assert origin(evaluation_records())["again"] == (
        "<code>make fig04 ARGS=&quot;-p c 15&quot;</code>"
    )


def test_a_recorded_run_tells_the_command_that_records_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PDRR_COMMAND", "make table1")
    evaluation_records(seeds=(1, 2)).save(RECORDED / "paper", "table1")
    found = recorded("table1")
    assert origin(found)["again"] == (
        "<code>make record PROFILE=paper DATA=letters.npz"
        " ARGS=&quot;--seeds 1,2 table1&quot;</code>"
    )
    assert origin(found.where(seed=2))["again"] == origin(found)["again"]


@pytest.mark.usefixtures("_by_hand")
def test_records_of_several_origins_tell_all_of_them():
    parts = [
        Records(*(lambda r: (r.table, r.runs))(evaluation_records()), {**ORIGIN, **own})
        for own in ({"commit": "abc", "command": "one"}, {"commit": "def", "command": "two"})
    ]
    table = origin(Records.concat(parts))
    assert table["again"] == "<code>one; two</code>"
    assert table["commit, date"] == "abc; def, 2026-01-02"
    assert table["device"] == "a processor, 2 cores"
    assert table["seconds"].startswith("3.0")
