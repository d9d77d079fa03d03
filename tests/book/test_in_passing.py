"""What the paper says in passing: tables and the figure, on numbers that can be checked by eye."""

import numpy as np
import pandas as pd
import pytest
from IPython.display import Markdown

from helpers.made_up import ORIGIN, axes
from pdrr.book import in_passing, style
from pdrr.experiments.records import Records

KEY = {"attack": "krum", "rule": "krum", "seed": 1, "round": 1, "c": 20, "beta": np.nan}


def records(*runs):
    table = pd.DataFrame([{**KEY, **run} for run in runs])
    return Records(table, table, ORIGIN)


# what is recorded


def test_what_is_not_recorded_is_said(monkeypatch):
    shown = []
    monkeypatch.setattr(in_passing, "display", shown.append)
    in_passing.show("nothing", pytest.fail)
    assert [each.data for each in shown] == ["*Nothing is recorded yet.*"]


def test_each_profile_stands_under_its_caption(monkeypatch):
    shown = []
    monkeypatch.setattr(in_passing, "display", shown.append)
    monkeypatch.setattr(
        in_passing.captions, "caption", lambda kept: f"{kept.caption}\nof many writers"
    )
    monkeypatch.setattr(in_passing, "kept", {"some": {"quick": records({"far": 0.5})}}.get)
    in_passing.show("some", lambda kept: kept.runs["far"][0], lambda kept: len(kept.table))
    caption, *drawn = shown
    assert isinstance(caption, Markdown)
    told = "*quick profile: letters (synthetic data), d = 1,947, seed 1, round 1"
    assert caption.data == f"{told}; of many writers.*"
    assert drawn == [0.5, 1]
    shown.clear()
    in_passing.show("some", again=True)
    assert [each.data for each in shown] == [f"{told}.*"]


def test_the_committed_records_are_found_by_profile():
    found = in_passing.kept("anatomy")
    assert found["paper"].provenance["d"] == 6_603_710


# tables


def test_an_aspect_shows_its_columns_and_leaves_out_what_has_no_value():
    runs = [
        {"knowledge": "full", "trimmed_malicious": 0.5, "trimmed_benign": 0.25},
        {"knowledge": "full", "trimmed_malicious": 0.75, "trimmed_benign": 0.25, "round": 20},
        {"knowledge": "partial", "trimmed_malicious": np.nan, "trimmed_benign": np.nan},
    ]
    table = in_passing.anatomy_table("counts")(records(*runs)).data
    assert table.to_dict("index") == {
        "Krum, full": {"malicious trimmed": "0.50 to 0.75", "benign trimmed": "0.25"}
    }


EPSILONS = [
    {"noise": "coordinate", "knowledge": "partial", "epsilon": e, "selected": who, "q": 0.5,
     "rho_malicious": rho, "rho_benign": 0.1, "far": 0.0, "mar": mar}
    for e, who, rho, mar in (
        (1e-7, "malicious", 0.9, 0.0), (1e-4, "malicious", 0.2, 0.95), (1e-2, "benign", 0.0, 1.0)
    )
]  # fmt: skip
BALL = [
    {**EPSILONS[0], "noise": noise, "knowledge": known}
    for noise, known in (("ball", "partial"), ("ball", "full"), ("coordinate", "full"))
]


def test_the_noise_at_which_the_attack_wins_unseen_is_named():
    table = in_passing.epsilon_table(records(*EPSILONS, *BALL)).data
    cells = table.loc["per coordinate, partial"].tolist()
    assert cells == ["3", "0.0001", "0.0001", "0.00 to 0.95", "1.00"]
    assert table.loc["L2 ball, full"].tolist()[1:3] == ["1e-07", "–"]


def test_the_figure_draws_both_correlations_while_the_attack_wins():
    ax = axes(in_passing.by_epsilon(records(*EPSILONS, *BALL)))[2]
    assert ax.get_title(loc="left") == "per coordinate, partial knowledge"
    drawn = {
        line.get_color(): line.get_ydata().tolist()
        for line in ax.lines
        if line.get_marker() != "None"
    }
    assert drawn == {style.MALICIOUS: [0.9, 0.2], style.BENIGN: [0.1, 0.1]}
    (lost,) = [points.get_offsets() for points in ax.collections]
    assert lost[:, 0].tolist() == [1e-2]
    assert ax.get_xscale() == "log"


def test_similarities_stand_below_each_other_with_the_q_that_suits_all_runs():
    two = {"reading": "cosine", "knowledge": "full", "far": 0.0, "mar": 0.0}
    runs = [{**two, "q_low": 0.1, "q_high": 0.9}, {**two, "q_low": 0.2, "q_high": 0.95, "seed": 2}]
    table = in_passing.similarities_table(records(*runs)).data
    assert table.loc["cosine"].tolist() == ["0", "0", "0.200–0.900"]


def test_a_rule_without_pdrr_has_the_harm_alone():
    common = {"knowledge": "full", "harm": 0.25}
    runs = [
        {**common, "rule": "krum", "far": 0.1, "mar": 1.0},
        {**common, "rule": "mean", "far": np.nan, "mar": np.nan, "harm": -0.001},
    ]
    (cells,) = in_passing.transfer_table(records(*runs)).data.to_dict("index").items()
    assert cells[0] == "c = 20, attack on Krum, full"
    assert cells[1] == {"mean": "0.00", "Krum": "+0.25<br><small>0.10 / 1</small>"}


def test_attackers_are_counted_across():
    won = {"knowledge": "full", "selected": "malicious", "harm": 0.5, "far": 0.0, "mar": 0.0}
    runs = [{**won, "c": 20}, {**won, "c": 3, "selected": "benign", "harm": 0.0}]
    table = in_passing.count_table(records(*runs)).data
    assert list(table.columns) == ["c = 3", "c = 20"]
    assert table.loc["Krum, full"].tolist() == [
        "0 of 1<br>0.00<br><small>0 / 0</small>",
        "1 of 1<br>+0.50<br><small>0 / 0</small>",
    ]


def test_auxiliary_sets_are_named_by_size_and_choice():
    run = {"scheme": "ERR", "portion": 1.0, "by_lot": False}
    runs = [
        {**run, "choice": "the half", "images": 100, "mar": 0.5},
        {**run, "choice": "drawn", "images": 25, "portion": 0.25, "mar": 0.25, "by_lot": True},
        {**run, "choice": "drawn", "images": 25, "portion": 0.25, "mar": 1.0, "by_lot": True},
    ]
    table = in_passing.auxiliary_table(records(*runs)).data
    assert table["ERR, Krum"].to_dict() == {
        "the half, 100 images": "0.50",
        "25 images drawn": "0.25–1 by lot",
    }


def test_alike_clients_are_named_by_what_is_alike():
    run = {"knowledge": "full", "selected": "malicious", "alike_benign": 0.2, "closest_benign": 0.3}
    run |= {"rho_malicious": 0.9, "rho_benign": 0.1, "far": 0.5, "mar": 0.0}
    runs = [{**run, "share": 0.5, "pairs": 0}, {**run, "share": 0.0, "pairs": 15}]
    table = in_passing.alike_table(records(*runs)).data
    assert list(table.index) == ["50% of the images mixed, full", "15 pairs of clones, full"]
    assert table["FAR / MAR"].tolist() == ["0.50 / 0"] * 2


def test_the_data_stand_beside_the_paper_s():
    counts = {"clients": 192, "images": 9000, "training": 8000, "test": 1000, "auxiliary": 500}
    shares = {"digits": 0.7, "capitals": 0.2, "small": 0.1}
    run = {**counts, **shares, "classes": 62, "over_300": 2, "d": 1947}
    table = in_passing.data_table(records(run)).data
    assert table.loc["test"].tolist() == ["1,000", "4,004"]
    assert table.loc["share of digits"].tolist() == ["70%", "–"]
