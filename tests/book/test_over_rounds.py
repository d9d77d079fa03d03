"""Every round: what the figures draw and the tables count, on rounds that can be checked by eye."""

import numpy as np
import pytest
from matplotlib.colors import same_color
from scipy import stats

from helpers import made_up_rounds
from helpers.made_up import axes, seen
from pdrr.book import over_rounds, style
from pdrr.experiments.records import Records


@pytest.fixture
def records():
    return made_up_rounds.four_rounds()


def title(ax):
    return ax.get_title(loc="left")


def marks(ax, marker):
    """Rounds at which a mark stands."""
    return [x for line in ax.lines if line.get_marker() == marker for x in line.get_xdata()]


# the ranges


def test_the_loop_has_a_panel_of_its_own_only_where_it_parted(records):
    assert [title(ax) for ax in axes(over_rounds.ranges(records))] == [
        "trimmed mean (β = 10), full\nno error in 4 rounds",
        "trimmed mean (β = 10), partial\nerrors in 2 of 4 rounds, no suitable q in 1",
        "trimmed mean (β = 10), partial, in the loop\nerrors in 1 of 4 rounds, no suitable q in 1",
    ]
    quiet = records.table[records.table["knowledge"] != "partial"]
    drawing = over_rounds.ranges(Records(quiet, records.runs, {}))
    assert list(drawing.panels) == ["trimmed mean (β = 10), full"]


def test_both_kinds_of_knowledge_have_one_scale(records):
    full, partial, _ = axes(over_rounds.ranges(records))
    assert full.get_ylim() == partial.get_ylim()


def test_a_panel_draws_both_scores_q_and_the_errors_apart(records):
    drawing = over_rounds.ranges(records)
    assert {colour for _, colour, _ in drawing.key} <= seen(drawing)
    _, partial, *_ = axes(drawing)
    drawn = {
        kind: line.get_ydata().tolist()
        for line in partial.lines
        for kind, colour in (("high", style.MALICIOUS), ("low", style.BENIGN))
        if line.get_linestyle() == "-" and same_color(line.get_color(), colour)
    }
    assert drawn == {"high": [0.95, 0.4, 0.95, 0.95], "low": [0.5, 0.5, 0.92, 0.5]}
    (q,) = [line.get_ydata()[0] for line in partial.lines if line.get_linestyle() == "--"]
    assert q == 0.9
    assert (marks(partial, "^"), marks(partial, "x")) == ([2, 3], [2])
    (band,) = (each.get_paths()[0] for each in partial.collections)
    inside = [(1.1, 0.6), (2, 0.45), (3, 0.93), (3, 0.6), (3.9, 0.6)]
    assert [bool(band.contains_point(p)) for p in inside] == [True, False, True, False, True]
    assert [(p.get_x(), p.get_x() + p.get_width()) for p in partial.patches] == [(1.5, 2.5)]


def test_the_ranges_are_of_one_seed(records):
    table = records.table.assign(seed=[1, 2] * (len(records.table) // 2))
    with pytest.raises(ValueError, match=r"one seed, got \[.*1.*2.*\]"):
        over_rounds.ranges(Records(table, records.runs, {}))


# counts


def test_the_table_counts_rounds_and_models_with_exact_intervals(records):
    table = over_rounds.errors_table(records).data
    oracle = table.loc["trimmed mean (β = 10), partial, oracle-defended"]
    ends = stats.beta.ppf([0.025, 0.975], [2, 3], [3, 2])  # Clopper and Pearson of 2 in 4
    assert oracle["95%"] == "–".join(f"{end:.2f}" for end in ends)
    assert oracle.drop("95%").tolist() == ["4", "2", "1", "2 of 12", "2 of 8"]
    loop = table.loc["trimmed mean (β = 10), partial, PDRR in the loop"]
    assert loop[["with an error", "missed"]].tolist() == ["1", "2 of 8"]
    assert table.loc["trimmed mean (β = 10), full", "with an error"] == "0"
    assert len(table) == 3  # one row where both chains are the same


def test_seeds_are_summed_and_stand_below(records):
    table = records.table
    two = Records(table.assign(seed=np.where(table["round"] < 3, 1, 2)), records.runs, {})
    cells = over_rounds.errors_table(two).data.loc[
        "trimmed mean (β = 10), partial, oracle-defended"
    ]
    assert cells["rounds"] == "4<br><small>2, 2</small>"
    assert cells["no suitable q"] == "1<br><small>1, 0</small>"


def test_the_findings_name_what_errs_and_bound_what_does_not(records):
    partial, loop, rest = over_rounds.findings(records).splitlines()
    assert "partial knowledge, oracle-defended: an error in 2 of 4 rounds" in partial
    assert "In 1 of them no q would have made none; in 1 all attackers are missed." in partial
    assert "PDRR in the loop: an error in 1 of 4 rounds" in loop
    most = 1 - 0.025 ** (1 / 4)
    assert "The 2 other combinations" in rest
    assert f"ends at {most:.2f}:" in rest


def test_where_nobody_attacks_false_alarms_are_counted(records):
    (cells,) = over_rounds.nobody_table(records).data.to_numpy().tolist()
    assert cells[:4] == ["4", "3", "6 of 20", "0 to 3 of 5"]
    assert cells[4].startswith("0.000")


# harm


def test_the_harm_is_a_paired_difference_with_its_interval(records):
    found = over_rounds.differences(records).set_index(["knowledge", "who"])
    each = np.array([-0.2, -0.4, -0.2, -0.2])
    low, high = stats.t.interval(0.95, 3, each.mean(), stats.sem(each))
    partial = found.loc[("partial", "attacked")]
    assert np.allclose([partial["mean"], partial["low"], partial["high"]], [-0.25, low, high])
    assert np.allclose(partial["each"], each)
    assert found.loc[("full", "defended"), "mean"] == 0


def test_the_harm_in_words_says_which_knowledge_costs_more(records):
    text = over_rounds.harm_in_words(records)
    assert "costs 0.200 to 0.250" in text
    assert "Partial knowledge costs more than full under trimmed mean (β = 10)." in text


def test_the_figure_of_harm_has_a_mark_and_a_line_for_each_mean(records):
    attacked, defended = axes(over_rounds.harm(records))
    assert [title(ax) for ax in (attacked, defended)] == [
        "attacked, no defence",
        "attacked, PDRR defends",
    ]
    means = {
        line.get_marker(): line.get_xdata() for line in attacked.lines if len(line.get_xdata()) == 1
    }
    assert means["o"] == pytest.approx([-0.2])
    assert means["s"] == pytest.approx([-0.25])
    assert [tick.get_text() for tick in attacked.get_yticklabels()] == ["trimmed mean\n(β = 10)"]
    assert attacked.get_xlim() == defended.get_xlim()
