"""Figures and tables show what is in the records, and nothing else."""

import numpy as np
import pandas as pd
import pytest

from helpers.made_up import evaluation_records, run
from pdrr.book import figures, style, verdicts_html
from pdrr.experiments.records import Records


def records(*runs):
    clients = pd.DataFrame(
        {
            "client": [1, 2, 3],
            "byzantine": [True, False, False],
            "statistic": [10.0, 30.0, 40.0],
            "score": [0.75, 0.25, 0.0],
        }
    )
    return Records(clients, pd.DataFrame(list(runs)), {})


def lines(figure):
    """Heights of the horizontal lines."""
    return [line.get_ydata()[0] for line in figure.axes[0].lines]


def bands(figure):
    return [
        (patch.get_y(), patch.get_y() + patch.get_height())
        for patch in figure.axes[0].patches
        if patch.get_width() == 1  # of the axes; bars are 0.8 wide
    ]


def test_bars_are_the_statistic_with_the_malicious_models_in_orange():
    bars = figures.fig07(records(run(1))).axes[0].containers[0]
    assert [bar.get_height() for bar in bars] == [10, 30, 40]
    assert [bar.get_facecolor()[:3] == style.MALICIOUS for bar in bars] == [True, False, False]


def test_the_line_is_q_times_the_largest_statistic_where_much_is_suspicious():
    assert lines(figures.fig06(records(run(1)))) == pytest.approx([0.7 * 40])


def test_the_line_is_1_minus_q_times_the_largest_where_few_is_suspicious():
    figure = figures.fig07(records(run(1)))
    assert lines(figure) == pytest.approx([(1 - 0.7) * 40])
    assert bands(figure) == [pytest.approx((30, 10))]  # from q_low = .25 to q_high = .75


def test_no_band_where_no_q_is_suitable():
    assert bands(figures.fig07(records(run(1, q_low=np.nan, q_high=np.nan)))) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"succeeded": False}, "no λ found, so honest models were sent"),
        ({"selected": "benign"}, "Krum selects a benign model all the same"),
    ],
)
def test_the_title_says_when_there_was_no_attack(changes, words):
    title = figures.fig04(records(run(1, **changes))).axes[0].get_title(loc="left")
    assert words in title
    assert words not in figures.fig04(records(run(1))).axes[0].get_title(loc="left")


def test_a_bar_figure_refuses_several_runs():
    with pytest.raises(ValueError, match="shows one run, got 2"):
        figures.fig07(records(run(1), run(2)))


# the landing page's picture


def test_the_overview_says_the_setting_and_how_far_q_lies_from_both_ends():
    ours = records(run(4, round=2, beta=7.0))  # q = .7 between .25 and .75
    drawn = figures.overview({"trimmed mean": ours})
    assert drawn.get_suptitle() == (
        "c = 1 of k = 3 clients compromised, full knowledge, round 2, seed 4"
    )
    rule, rates, margin = drawn.axes[0].get_title(loc="left").splitlines()
    assert rule == "trimmed mean (β = 7)"
    assert rates.endswith("q = 0.7")
    assert margin == "suitable from q − 0.450 to q + 0.050"


def test_the_overview_says_where_no_q_separates():
    none = records(run(1, q_low=np.nan, q_high=np.nan))
    title = figures.overview({"median": none}).axes[0].get_title(loc="left")
    assert title.splitlines()[0] == "median"
    assert title.endswith("no q separates")


def test_the_overview_refuses_rules_in_different_settings():
    with pytest.raises(ValueError, match="needs one setting for all rules"):
        figures.overview({"Krum": records(run(1)), "median": records(run(2))})


# the schemes beside each other


@pytest.mark.parametrize(
    ("draw", "rule"),
    [(figures.fig08, "krum"), (figures.fig09, "trimmed_mean"), (figures.fig10, "median")],
)
def test_five_panels_show_what_each_scheme_measures_and_whom_it_flags(draw, rule):
    made = evaluation_records(rule, rounds=[1])
    of_vae = made.table["scheme"] == "VAE"
    made.table.loc[of_vae, "statistic"] = [9.0, 8.0, 7.0, 6.0, 5.0]
    made.table.loc[of_vae, "flagged"] = [False, False, False, True, True]
    *panels, legend = draw(made).axes
    assert [ax.get_title(loc="left") for ax in panels] == [
        "DAGMM: FAR 0.01, MAR 0.10",
        "VAE: FAR 0.11, MAR 0.10",
        "ERR: FAR 0.21, MAR 0.10",
        "LFR: FAR 0.31, MAR 0.10",
        "PDRR: FAR 0.51, MAR 0.10",
    ]
    for ax in panels:
        vae = ax.get_title(loc="left").startswith("VAE")
        bars = ax.containers[0]
        heights = [9, 8, 7, 6, 5] if vae else [4, 3, 2, -1, 0]
        assert [bar.get_height() for bar in bars] == heights
        colours = [bar.get_facecolor()[:3] for bar in bars]
        assert colours == [style.MALICIOUS] * 2 + [style.BENIGN] * 3
        (marks,) = [line for line in ax.lines if line.get_marker() == "v"]
        assert marks.get_xdata().tolist() == ([4, 5] if vae else [1, 3])
        dashed = [line.get_ydata()[0] for line in ax.lines if line.get_linestyle() == "--"]
        assert dashed == ([2.0] if ax is panels[-1] else [])  # q = .5 of the largest, 4
    words = [text.get_text() for text in legend.get_legend().get_texts()]
    assert words == ["malicious", "benign", "flagged by the scheme", "PDRR: q = 0.5"]


def test_the_median_s_threshold_is_1_minus_q_in_the_panels_too():
    made = evaluation_records("median", rounds=[1])
    made.runs["q"] = 0.75
    ax = figures.fig10(made).axes[4]
    assert [line.get_ydata()[0] for line in ax.lines if line.get_linestyle() == "--"] == [1.0]


def test_the_panels_refuse_other_rules_and_several_runs():
    with pytest.raises(ValueError, match="one round under the attack on median"):
        figures.fig10(evaluation_records("krum", rounds=[1]))
    with pytest.raises(ValueError, match="one round under the attack on krum"):
        figures.fig08(evaluation_records("krum", rounds=(1, 2)))


@pytest.mark.parametrize(
    ("statistic", "scale", "words"),
    [
        ([1.0, 2.0, 3.0, -4.0, 5.0], "linear", "energy"),
        ([1.0, 2.0, 3.0, 4.0, 1e6], "symlog", "energy\n(log scale)"),
        ([100.0, 101.0, 102.0, 103.0, 104.0], "linear", "energy\n(axis not from 0)"),
        ([0.0, 0.0, 0.0, 0.0, 3e-8], "linear", "energy ($10^{-8}$)"),
        ([0.0, 0.0, 0.0, 0.0, 0.0], "linear", "energy\n(0 for every client)"),
    ],
)
def test_a_panel_says_when_its_axis_is_no_plain_one(statistic, scale, words):
    made = evaluation_records(rounds=[1])
    made.table.loc[made.table["scheme"] == "DAGMM", "statistic"] = statistic
    ax = figures.fig08(made).axes[0]
    assert (ax.get_yscale(), ax.get_ylabel()) == (scale, words)
    low, high = ax.get_ylim()
    assert low <= min(statistic) <= max(statistic) < high
    assert low <= 0 or "not from 0" in words


def ranges(ax):
    """Left edge, bottom and top of each bar, from left to right."""
    bars = [bar for container in ax.containers for bar in container]
    edges = [(bar.get_x(), bar.get_y(), bar.get_y() + bar.get_height()) for bar in bars]
    return sorted(edges)


def test_the_ranges_of_q_are_those_of_the_runs():
    rules = ("krum", "trimmed_mean", "median")
    made = [
        evaluation_records(rule, rounds=(1, 5), knowledge=("partial", "full")) for rule in rules
    ]
    made[0].runs["noise"] = "ball"
    panels = figures.fig11(Records.concat(made)).axes
    titles = ["Krum", "trimmed mean (β = 1)", "median"]
    assert [ax.get_title(loc="left") for ax in panels] == titles
    for ax in panels:
        found = ranges(ax)
        assert [edge[1:] for edge in found] == [
            pytest.approx((0.25, high)) for high in (0.35, 0.35, 0.75, 0.75)
        ]
        assert [x < tick for (x, *_), tick in zip(found, (0, 0, 1, 1), strict=True)] == [
            True,
            False,
        ] * 2
        assert [label.get_text() for label in ax.get_xticklabels()] == ["1", "5"]
        hatched = [container[0].get_hatch() is not None for container in ax.containers]
        assert hatched == [False, False, True, True]  # full knowledge, then partial
        assert [line.get_ydata()[0] for line in ax.lines] == [0.5]


def test_a_cross_stands_where_no_q_separates():
    made = evaluation_records(rounds=(1, 5), seeds=(1, 2), knowledge=("partial", "full"))
    gone = (made.runs["round"] == 5) & (made.runs["knowledge"] == "full") & (made.runs["seed"] == 2)
    made.runs.loc[gone, ["q_low", "q_high"]] = np.nan
    (ax,) = figures.fig11(made).axes
    assert len(ranges(ax)) == 7
    crosses = np.vstack([points.get_offsets() for points in ax.collections])
    assert crosses.shape == (1, 2)
    assert 0.5 < crosses[0, 0] < 1
    assert crosses[0, 1] == 0


def test_each_noise_and_each_beta_has_its_panel():
    ball, other = evaluation_records(rounds=[1]), evaluation_records(rounds=[1])
    ball.runs["noise"], other.runs["noise"] = "ball", "coordinate"
    panels = figures.fig11(Records.concat([ball, other])).axes
    assert [ax.get_title(loc="left") for ax in panels] == ["Krum", "Krum, noise per coordinate"]


def test_the_verdicts_link_to_the_pages_and_escape_the_text():
    row = {"verdict": "partly", "claim": "a < b", "paper": "<1", "ours": "2", "figure": "fig04"}
    html = verdicts_html.verdicts_html(pd.DataFrame([{**row, "section": "4"}]))
    assert 'href="./fig04.html">a &lt; b</a>' in html
    assert "&lt;1" in html
    assert "partly</span>" in html
