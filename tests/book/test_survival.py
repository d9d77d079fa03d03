"""The page of survival, on arms that can be checked by eye."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from helpers.made_up import ORIGIN, axes
from helpers.made_up_survival import FINAL, rows, survived
from pdrr.book import survival
from pdrr.experiments.arms import ORACLE, PEACE, UNDEFENDED
from pdrr.experiments.records import Records


def two_seeds():
    """Co-trimming is .125 above oracle removal in the first seed and equal to it in the second."""
    return survived(
        rows("Co-trimming", 0.375),
        rows(ORACLE, 0.25),
        rows("Co-trimming", 0.5, seed=2),
        rows(ORACLE, 0.5, seed=2),
    )


# the figure


def test_each_rule_has_a_panel_of_all_images_and_one_of_the_worst_decile():
    both = survived(
        *(rows(arm, error) for arm, error in FINAL.items()),
        *(rows(arm, error, rule="trimmed_mean") for arm, error in FINAL.items()),
    )
    titles = [ax.get_title(loc="left") for ax in axes(survival.lives(both))]
    assert titles == [
        "Krum\nall images",
        "Krum\nworst decile of writers",
        "trimmed mean (β = 10)\nall images",
        "trimmed mean (β = 10)\nworst decile of writers",
    ]


def test_lines_are_means_of_five_rounds_and_carry_their_names_at_the_end():
    everyone, worst = axes(survival.lives(survived()))
    names = [text.get_text() for text in everyone.texts]
    assert names == list(FINAL)
    for ax, more in ((everyone, 0), (worst, 0.1)):
        for line, text, error in zip(ax.lines, ax.texts, FINAL.values(), strict=True):
            expected = pd.Series([1, *[error + more] * 7]).rolling(5, min_periods=1).mean()
            np.testing.assert_allclose(line.get_ydata(), expected)
            assert text.xy == (8, pytest.approx(error + more))
    colours = dict(zip(names, (line.get_color() for line in everyone.lines), strict=True))
    assert colours["NNM"] == colours["Multi-Krum"] == colours[PEACE]
    assert len({str(colours[name]) for name in ("PDRR", "Co-trimming", ORACLE, "NNM")}) == 4


def test_no_two_names_overlap_and_none_leaves_its_panel():
    for ax in axes(survival.lives(survived(errors=dict.fromkeys(FINAL, 0.5)))):
        ax.figure.draw_without_rendering()
        # of the names alone, without their lines
        boxes = sorted((Text.get_window_extent(text) for text in ax.texts), key=lambda b: b.y0)
        whole = ax.get_window_extent()
        assert all(whole.y0 - 2 < box.y0 and box.y1 < whole.y1 + 2 for box in boxes)
        assert all(box.x1 < whole.x1 + 2 for box in boxes)
        for below, above in pairwise(boxes):
            assert above.y0 > below.y0 + 0.8 * below.height


def test_a_shorter_seed_has_its_line_but_no_say_in_where_a_name_stands():
    shorter = survived(rows("PDRR", 0.5, rounds=9), rows("PDRR", 0.25, seed=2, rounds=7))
    ax, _ = axes(survival.lives(shorter))
    assert [len(line.get_xdata()) for line in ax.lines] == [9, 7]
    assert [text.xy for text in ax.texts] == [(9, 0.5)]


@pytest.mark.parametrize("seed", range(5))
def test_labels_keep_their_order_and_their_distance(seed):
    heights = np.random.default_rng(seed).random(10).tolist()
    placed = survival.spread(heights, 0.07)
    order = np.argsort(heights)
    assert (np.diff(np.array(placed)[order]) > 0.07 - 1e-9).all()
    far = survival.spread(heights, 1e-9)
    np.testing.assert_allclose(far, heights, atol=1e-7)
    assert np.mean(placed) == pytest.approx(np.mean(heights))


# the table


def test_the_table_has_final_errors_and_what_they_are_above_oracle_removal():
    table = survival.final_table(survived()).data
    assert table.columns.nlevels == 2
    assert list(table) == [("Krum, round 8", "error"), ("Krum, round 8", "above oracle")]
    assert table.loc["NNM"].tolist() == ["0.281", "−0.031"]
    assert table.loc["Co-trimming"].tolist() == ["0.312", "0.000"]
    assert table.loc[ORACLE].tolist() == ["0.312", "–"]


def test_several_seeds_are_spans_and_each_has_its_own_oracle():
    table = survival.final_table(two_seeds()).data
    assert table.loc["Co-trimming"].tolist() == ["0.375 to 0.500", "0.000 to +0.125"]


def test_only_the_longest_runs_count():
    kept = survived(rows("PDRR", 0.5, rounds=9), rows("PDRR", 0.25, seed=2, rounds=7))
    found = survival.ends(kept)
    assert found["seed"].tolist() == [1]
    assert found["to_oracle"].isna().all()


def test_an_arm_that_a_rule_lacks_has_a_dash():
    kept = survived(rows("PDRR", 0.5), rows("NNM", 0.5, rule="median"))
    assert survival.final_table(kept).data.loc["NNM"].tolist() == ["–", "–", "0.500", "–"]


# the sentences


def test_the_findings_begin_with_rivals_that_end_lower():
    (text,) = survival.findings(survived()).splitlines()
    assert text == (
        "- **Krum**, round 8, one seed. Lower than Co-trimming: NNM by 0.031."
        " Undefended the error is 0.750, where nobody attacks 0.250: the attack costs 0.500."
        " PDRR ends at 0.375, not within 0.01 of oracle removal (+0.062);"
        " it errs in none of 8 rounds."
        " Co-trimming ends at 0.312, within 0.01 of oracle removal (0.000);"
        " it errs in none of 8 rounds."
        " Worse than undefended: Multi-Krum by 0.125."
        " Error of the worst decile of writers: 0.850 (undefended), 0.475 (PDRR),"
        " 0.412 (Co-trimming), 0.412 (oracle removal)."
    )


def test_the_findings_say_where_no_rival_wins_and_nobody_is_worse_than_undefended():
    errors = {UNDEFENDED: 0.75, "Co-trimming": 0.25, "LFR": 0.25, ORACLE: 0.125}
    text = survival.findings(survived(errors=errors))
    assert "No rival ends with a lower error than Co-trimming." in text
    assert "No arm ends worse than undefended." in text
    assert "Co-trimming ends at 0.250, not within 0.01 of oracle removal (+0.125)" in text


def test_the_findings_count_errors_over_all_seeds_and_average_the_rest():
    kept = two_seeds()
    table = kept.table.copy()
    table.loc[(table["arm"] == "Co-trimming") & (table["round"] == 3), "far"] = 0.1
    text = survival.findings(survived(table))
    assert "round 8, mean of 2 seeds." in text
    assert "Co-trimming ends at 0.438, not within 0.01 of oracle removal (+0.062)" in text
    assert "it errs in 2 of 16 rounds" in text


def test_diverged_training_is_said():
    kept = survived(rows(UNDEFENDED, 0.75, diverged=[False] * 5 + [True] * 3))
    assert "Honest training diverges: undefended in 3 rounds." in survival.findings(kept)


def test_records_that_were_written_and_read_give_the_same_page(tmp_path):
    survived().save(tmp_path, "survival")
    again = Records.load(tmp_path, "survival")
    assert survival.findings(again) == survival.findings(survived())
    assert again.provenance == ORIGIN
