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


def panel(drawing, name=None):
    """The axes of one panel, the first one if none is named."""
    figures = drawing.panels
    return figures[name or next(iter(figures))].axes[0]


def marks(ax):
    """Every client's mark from left to right: place, height, colour, shape, filled or not."""
    found = []
    for line in ax.lines:
        if line.get_marker() in ("o", "s"):
            filled = line.get_markerfacecolor() == line.get_color()
            look = (line.get_color(), line.get_marker(), filled)
            found += [
                (x, y, *look) for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)
            ]
    return sorted(found)


def thresholds(ax):
    """Heights of the dashed lines."""
    return [line.get_ydata()[0] for line in ax.lines if line.get_linestyle() == "--"]


def words(ax):
    return [text.get_text() for text in ax.texts]


def bands(ax):
    return [
        (patch.get_y(), patch.get_y() + patch.get_height())
        for patch in ax.patches
        if patch.get_width() == 1  # of the axes
    ]


def test_malicious_models_are_squares_and_flagged_ones_are_filled():
    drawn = marks(panel(figures.fig07(records(run(1)))))
    assert drawn == [
        (1, 10, style.MALICIOUS, "s", True),  # score .75, q = .7
        (2, 30, style.BENIGN, "o", False),
        (3, 40, style.BENIGN, "o", False),
    ]


def test_stems_begin_at_zero():
    assert [edge[1:] for edge in ranges(panel(figures.fig07(records(run(1)))))] == [
        (0, 10),
        (0, 30),
        (0, 40),
    ]


def test_the_line_is_q_times_the_largest_statistic_where_much_is_suspicious():
    ax = panel(figures.fig06(records(run(1))))
    assert thresholds(ax) == pytest.approx([0.7 * 40])
    assert "q = 0.7" in words(ax)


def test_the_line_is_1_minus_q_times_the_largest_where_few_is_suspicious():
    ax = panel(figures.fig07(records(run(1))))
    assert thresholds(ax) == pytest.approx([(1 - 0.7) * 40])
    assert bands(ax) == [pytest.approx((30, 10))]  # from q_low = .25 to q_high = .75
    assert any("suitable" in each for each in words(ax))


def test_no_band_where_no_q_is_suitable():
    ax = panel(figures.fig07(records(run(1, q_low=np.nan, q_high=np.nan))))
    assert bands(ax) == []
    assert not any("suitable" in each for each in words(ax))


def test_the_kinds_are_named_above_their_marks():
    assert words(panel(figures.fig04(records(run(1)))))[:2] == ["2 benign", "1 malicious"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"succeeded": False}, "no λ found, so honest models were sent"),
        ({"selected": "benign"}, "Krum selects a benign model all the same"),
    ],
)
def test_the_title_says_when_there_was_no_attack(changes, said):
    title = panel(figures.fig04(records(run(1, **changes)))).get_title(loc="left")
    assert said in title
    assert said not in panel(figures.fig04(records(run(1)))).get_title(loc="left")


def test_a_figure_of_clients_refuses_several_runs():
    with pytest.raises(ValueError, match="shows one run, got 2"):
        figures.fig07(records(run(1), run(2)))


# the picture of all rules


def test_the_overview_says_the_setting_and_which_q_would_have_worked():
    ours = records(run(4, round=2, beta=7.0))  # q = .7 between .25 and .75
    drawn = figures.overview({"trimmed mean": ours})
    assert drawn.title == "c = 1 of k = 3 clients compromised, full knowledge, round 2, seed 4"
    rule, rates, suitable = panel(drawn).get_title(loc="left").splitlines()
    assert rule == "trimmed mean (β = 7)"
    assert rates.endswith("q = 0.7")
    assert suitable == "suitable q: 0.250–0.750"


def test_the_overview_says_where_no_q_would_have_worked():
    none = records(run(1, q_low=np.nan, q_high=np.nan))
    title = panel(figures.overview({"median": none})).get_title(loc="left")
    assert title.splitlines()[0] == "median"
    assert title.endswith("suitable q: none")


def test_the_overview_refuses_rules_in_different_settings():
    with pytest.raises(ValueError, match="needs one setting for all rules"):
        figures.overview({"Krum": records(run(1)), "median": records(run(2))})


# the schemes beside each other


@pytest.mark.parametrize(
    ("draw", "rule"),
    [(figures.fig08, "krum"), (figures.fig09, "trimmed_mean"), (figures.fig10, "median")],
)
def test_five_panels_pdrr_s_first_show_what_each_scheme_measures_and_whom_it_flags(draw, rule):
    made = evaluation_records(rule, rounds=[1])
    of_vae = made.table["scheme"] == "VAE"
    made.table.loc[of_vae, "statistic"] = [9.0, 8.0, 7.0, 6.0, 5.0]
    made.table.loc[of_vae, "flagged"] = [False, False, False, True, True]
    drawn = draw(made)
    assert list(drawn.panels) == ["PDRR", "DAGMM", "VAE", "ERR", "LFR"]
    assert [panel(drawn, name).get_title(loc="left") for name in drawn.panels] == [
        "PDRR: FAR 0.51, MAR 0.10",
        "DAGMM: FAR 0.01, MAR 0.10",
        "VAE: FAR 0.11, MAR 0.10",
        "ERR: FAR 0.21, MAR 0.10",
        "LFR: FAR 0.31, MAR 0.10",
    ]
    for name in drawn.panels:
        ax, vae = panel(drawn, name), name == "VAE"
        _, heights, colours, shapes, filled = zip(*marks(ax), strict=True)
        assert list(heights) == ([9, 8, 7, 6, 5] if vae else [4, 3, 2, -1, 0])
        assert list(colours) == [style.MALICIOUS] * 2 + [style.BENIGN] * 3
        assert list(shapes) == ["s"] * 2 + ["o"] * 3
        assert [i for i, yes in enumerate(filled, 1) if yes] == ([4, 5] if vae else [1, 3])
        assert thresholds(ax) == ([2.0] if name == "PDRR" else [])  # q = .5 of the largest, 4
    assert [text for _, _, text in drawn.key] == [
        "malicious",
        "benign",
        "filled: flagged",
        "hollow: not flagged",
    ]


def test_the_median_s_threshold_is_1_minus_q_in_the_panels_too():
    made = evaluation_records("median", rounds=[1])
    made.runs["q"] = 0.75
    assert thresholds(panel(figures.fig10(made), "PDRR")) == [1.0]


def test_the_panels_refuse_other_rules_and_several_runs():
    with pytest.raises(ValueError, match="one round under the attack on median"):
        figures.fig10(evaluation_records("krum", rounds=[1]))
    with pytest.raises(ValueError, match="one round under the attack on krum"):
        figures.fig08(evaluation_records("krum", rounds=(1, 2)))


@pytest.mark.parametrize(
    ("statistic", "scale", "said"),
    [
        ([1.0, 2.0, 3.0, -4.0, 5.0], "linear", "energy"),
        ([1.0, 2.0, 3.0, 4.0, 1e6], "symlog", "energy\n(log scale)"),
        ([100.0, 101.0, 102.0, 103.0, 104.0], "linear", "energy\n(axis not from 0)"),
        ([0.0, 0.0, 0.0, 0.0, 3e-8], "linear", "energy ($10^{-8}$)"),
        ([0.0, 0.0, 0.0, 0.0, 0.0], "linear", "energy\n(0 for every client)"),
    ],
)
def test_a_panel_says_when_its_axis_is_no_plain_one_and_has_stems_from_zero_only(
    statistic, scale, said
):
    made = evaluation_records(rounds=[1])
    made.table.loc[made.table["scheme"] == "DAGMM", "statistic"] = statistic
    ax = panel(figures.fig08(made), "DAGMM")
    assert (ax.get_yscale(), ax.get_ylabel()) == (scale, said)
    low, high = ax.get_ylim()
    assert low <= min(statistic) <= max(statistic) < high
    assert low <= 0 or "not from 0" in said
    assert bool(ax.collections) == ("not from 0" not in said)


# which thresholds would have worked


def ranges(ax):
    """Place, bottom and top of each line, from left to right."""
    segments = [each for lines in ax.collections for each in getattr(lines, "get_segments", list)()]
    return sorted((start[0], start[1], end[1]) for start, end in segments)


def test_the_ranges_of_q_are_those_of_the_runs():
    rules = ("krum", "trimmed_mean", "median")
    made = [
        evaluation_records(rule, rounds=(1, 5), knowledge=("partial", "full")) for rule in rules
    ]
    made[0].runs["noise"] = "ball"
    drawn = figures.fig11(Records.concat(made))
    assert list(drawn.panels) == ["Krum", "trimmed mean (β = 1)", "median"]
    for name in drawn.panels:
        ax = panel(drawn, name)
        found = ranges(ax)
        assert [edge[1:] for edge in found] == [
            pytest.approx((0.25, high)) for high in (0.35, 0.35, 0.75, 0.75)
        ]
        assert [x < tick for (x, *_), tick in zip(found, (0, 0, 1, 1), strict=True)] == [
            True,
            False,
        ] * 2
        assert [label.get_text() for label in ax.get_xticklabels()] == ["1", "5"]
        faces = {
            line.get_markerfacecolor(): np.mean(line.get_xdata() % 1 > 0.5)
            for line in ax.lines
            if line.get_marker() == "o"
        }
        assert faces == {style.GREEN: 1, style.PAPER: 0}  # full knowledge left of its round
        assert thresholds(ax) == [0.5]


def test_a_margin_that_is_small_has_a_panel_that_magnifies_it():
    made = evaluation_records(rounds=(1, 5))
    made.runs["q"], made.runs["noise"] = 0.34, "ball"  # .35 is the end of a range
    drawn = figures.fig11(made)
    assert list(drawn.panels) == ["Krum", "Krum, magnified"]
    low, high = panel(drawn, "Krum, magnified").get_ylim()
    assert 0.3 < low < 0.34 < 0.35 < high < 0.4


def test_a_cross_stands_where_no_q_separates():
    made = evaluation_records(rounds=(1, 5), seeds=(1, 2), knowledge=("partial", "full"))
    gone = (made.runs["round"] == 5) & (made.runs["knowledge"] == "full") & (made.runs["seed"] == 2)
    made.runs.loc[gone, ["q_low", "q_high"]] = np.nan
    ax = panel(figures.fig11(made))
    assert len(ranges(ax)) == 7
    points = [each.get_offsets() for each in ax.collections if not hasattr(each, "get_segments")]
    crosses = np.vstack(points)
    assert crosses.shape == (1, 2)
    assert 0.5 < crosses[0, 0] < 1
    assert crosses[0, 1] == 0


def test_each_noise_and_each_beta_has_its_panel():
    ball, other = evaluation_records(rounds=[1]), evaluation_records(rounds=[1])
    ball.runs["noise"], other.runs["noise"] = "ball", "coordinate"
    drawn = figures.fig11(Records.concat([ball, other]))
    assert list(drawn.panels) == ["Krum", "Krum, noise per coordinate"]


def test_the_verdicts_link_to_the_pages_and_escape_the_text():
    row = {"verdict": "partly", "claim": "a < b", "paper": "<1", "ours": "2", "figure": "fig04"}
    html = verdicts_html.verdicts_html(pd.DataFrame([{**row, "section": "4"}]))
    assert 'href="./fig04.html">a &lt; b</a>' in html
    assert "&lt;1" in html
    assert "partly</span>" in html
