"""Measures of columns of the runs and of every round, on records that can be checked by hand."""

from math import sqrt

import numpy as np
import pandas as pd
import pytest

from helpers.made_up import ORIGIN, attacked, every_round_records, of_runs
from pdrr.claims import chance, column_measures, expected, verdicts
from pdrr.claims.measures import MEASURES
from pdrr.experiments.records import Records


def test_a_column_and_a_difference_of_two_are_told_by_what_tells_the_runs_apart():
    made = of_runs(
        [
            attacked(rule, known, a=i + 1.0, b=0.5)
            for i, (rule, known) in enumerate(
                [("krum", "full"), ("trimmed_mean", "full"), ("krum", "partial")]
            )
        ]
    )
    # neither the attack nor beta nor the noise: they follow from the rule
    labels = ["Krum full", "trimmed mean full", "Krum partial"]
    assert column_measures.column(made, of="a").to_dict() == dict(
        zip(labels, [1, 2, 3], strict=True)
    )
    assert column_measures.difference(made, of="a", over="b").tolist() == [0.5, 1.5, 2.5]


def test_a_single_run_is_told_by_its_rule_or_its_seed():
    assert column_measures.column(of_runs([attacked("median", a=7)]), of="a").index[0] == "median"
    assert column_measures.column(of_runs([{"seed": 3, "a": 7}]), of="a").index[0] == "seed 3"


def pairs():
    """Harm of two attacks on one rule at two knowledges and one c; the rows are mixed."""
    values = [("krum", "full", 1.0), ("median", "partial", 6.0), ("krum", "partial", 2.0)]
    values.append(("median", "full", 4.0))
    return [attacked("median", known, attack=attack, harm=x) for attack, known, x in values]


def test_pairs_differ_in_one_key_and_in_those_that_follow_from_it():
    made = of_runs(pairs())
    found = {"column": "harm", "by": "attack", "of": "krum", "over": "median"}
    cells = column_measures.paired(made, **found, ignore=["noise"])
    assert cells.to_dict() == {"full": -3.0, "partial": -4.0}
    lone = of_runs([*pairs(), attacked("median", "full", attack="krum", c=11, harm=9.0)])
    cells = column_measures.paired(lone, **found, ignore=["noise"])  # it has no partner
    assert sorted(cells) == [-4.0, -3.0]


def test_a_value_that_is_not_there_is_not_recorded():
    found = {"column": "harm", "by": "attack", "over": "median", "ignore": ["noise"]}
    with pytest.raises(KeyError, match="attack trimmed_mean"):
        column_measures.paired(of_runs(pairs()), of="trimmed_mean", **found)


def test_the_worst_run_of_each_value_counts():
    rates = [(0, 0.0, 0.1), (0, 0.0, 0.0), (1, 0.3, 0.0), (1, 0.0, 0.5), (5, 0.0, 0.0)]
    made = of_runs([{"pairs": n, "far": far, "mar": mar} for n, far, mar in rates])
    found = column_measures.worst_gap(made, by="pairs", over=0)
    assert found.to_dict() == pytest.approx({"pairs 1": 0.4, "pairs 5": -0.1})


def test_success_is_compared_between_few_and_many():
    won = {5: "benign", 10: "malicious", 15: "malicious", 20: "malicious"}
    made = of_runs([attacked("krum", c=c, selected=who) for c, who in won.items()])
    assert column_measures.won_gap(made, by="c", above=10).to_dict() == {"partial": 0.5}


@pytest.mark.parametrize(
    ("first", "last", "lost"),
    [
        ("malicious", "benign", True),
        ("malicious", "malicious", False),
        ("benign", "benign", False),
    ],
)
def test_success_is_lost_if_it_was_there_at_the_smallest_and_is_not_at_the_largest(
    first, last, lost
):
    tried = [(1e-2, last), (1e-4, "benign"), (1e-7, first)]
    made = of_runs([attacked("krum", epsilon=x, selected=who) for x, who in tried])
    assert column_measures.lost_along(made, by="epsilon").tolist() == [lost]


def test_the_place_of_a_benign_model_is_one_more_than_the_malicious_above_it():
    key = {"scheme": "ERR", "rule": "median", "seed": 1, "round": 1}
    table = pd.DataFrame(
        [
            {**key, "byzantine": bad, "score": score}
            for bad, score in [(True, 0.9), (True, 0.8), (False, 0.7), (True, 0.1), (False, 0.0)]
        ]
    )
    runs = pd.DataFrame([{**key, "by_lot": False}])
    made = Records(table, runs, ORIGIN)
    assert column_measures.benign_place(made).tolist() == [3]
    with pytest.raises(KeyError, match="by lot"):
        column_measures.benign_place(Records(table, runs.assign(by_lot=True), ORIGIN))


def test_draws_by_lot_and_lone_draws_say_nothing_of_the_choice():
    drawn = [
        ("median", 1, 0.2, False), ("median", 2, 0.5, False), ("median", 3, 0.9, True),
        ("krum", 1, 0.6, True), ("krum", 2, 0.6, True), ("trimmed_mean", 1, 0.3, False),
    ]  # fmt: skip
    made = of_runs(
        [
            attacked(rule, scheme="LFR", draw=draw, mar=mar, by_lot=lot)
            for rule, draw, mar, lot in drawn
        ]
    )
    found = column_measures.draws_apart(made)
    assert found.to_dict() == pytest.approx({"LFR median seed 1 round 1": 0.3})


# every round


def with_errors(*, beta, rounds, hopeless=0):
    """Records of every round in which the given rounds of one beta, partial, have an error."""
    made = every_round_records(rounds=40).where(chain="oracle-defended", rule="trimmed_mean")
    table, runs = made.table.copy(), made.runs.copy()
    chosen = (table["beta"] == beta) & (table["knowledge"] == "partial")
    table.loc[chosen & table["round"].isin(rounds), "missed"] = 20
    own = (runs["beta"] == beta) & (runs["knowledge"] == "partial")
    runs.loc[own, "wrong"], runs.loc[own, "no_q"] = len(rounds), hopeless
    return Records(table, runs, ORIGIN)


def test_rounds_with_an_error_are_counted_with_their_exact_interval():
    made = with_errors(beta=10, rounds=[3, 5, 8], hopeless=2).where(beta=10)
    found = column_measures.wrong_rounds(made)
    # of 0 of 40 the upper end is 1 - .025^(1/40) = .088; of 3 of 40 .016 to .204, from tables
    assert found.to_dict() == {
        "full: 0 of 40 (0–0.09)": 0,
        "partial: 3 of 40 (0.02–0.20), in 2 no q would do": 3,
    }


def test_only_rounds_of_both_settings_are_compared():
    made = with_errors(beta=10, rounds=[3, 5, 8])
    longer = made.table[made.table["beta"] == 20].assign(seed=2, missed=1)  # of beta 20 alone
    both = Records(pd.concat([made.table, longer], ignore_index=True), made.runs, ORIGIN)
    assert column_measures.discordant(both, by="beta", of=10, over=20) == (3, 0, 80)
    found = column_measures.more_wrong_rounds(both, by="beta", of=10, over=20)
    assert found.to_dict() == {"3 only with β = 10, 0 only with β = 20, of 80": 3}


def test_a_coin_falls_three_times_of_three_with_one_eighth():
    assert chance.sign_test(3, 0) == pytest.approx(1 / 8)
    assert chance.sign_test(4, 1) == pytest.approx((5 + 1) / 32)  # five or four heads of five
    assert chance.sign_test(0, 0) == 1


@pytest.mark.parametrize(
    ("rounds", "verdict"),
    [(range(1, 4), "not distinguishable from chance"), (range(1, 6), "reproduced"), ([], "not")],
)
def test_few_rounds_with_an_error_do_not_tell_a_setting_from_chance(tmp_path, rounds, verdict):
    with_errors(beta=10, rounds=list(rounds)).save(tmp_path / "paper", "every_round")
    claim = next(x for x in expected.expected().claims if x.id == "beta-rates-paper")
    assert verdicts.judge(claim, tmp_path / "paper")["verdict"] == verdict


def test_the_interval_of_a_mean_is_students():
    # by hand: mean 2, standard deviation 1, t of 2 degrees of freedom 4.3027
    mean, low, high = column_measures.mean_interval([1.0, 2.0, 3.0])
    assert (mean, high - mean, mean - low) == pytest.approx((2, *[4.3027 / sqrt(3)] * 2), rel=1e-4)
    with pytest.raises(KeyError, match="only 1"):
        column_measures.mean_interval([1.0])


def shifts(values, **given):
    made = every_round_records(rounds=len(values)).where(
        chain="oracle-defended", rule="median", knowledge="full"
    )
    table = made.table.assign(accuracy_attacked=np.array(values), accuracy=0.0)
    return column_measures.shift(
        Records(table, made.runs, ORIGIN), of="accuracy_attacked", over="accuracy", **given
    )


def test_a_mean_is_on_one_side_if_its_whole_interval_is():
    sure, unsure = [-0.1, -0.2, -0.3], [-0.1, 0.1, -0.3]
    assert shifts(sure, side="below").to_dict() == {
        "full: −0.200 (−0.448 to +0.048; lower in 3 of 3 rounds)": False
    }  # three rounds are too few: .1 * 4.3027 / sqrt(3) = .248
    assert shifts(sure * 3, side="below").all()
    assert not shifts(sure * 3, side="above").any()
    assert not shifts(unsure, side="below").any()
    assert not shifts(unsure, side="above", margin=-0.01).any()
    assert shifts(np.array(sure * 3) + 0.195, side="above", margin=-0.1).all()


def test_equal_rounds_are_at_most_and_not_below():
    assert shifts([0.0] * 4, side="at most").all()
    assert not shifts([0.0] * 4, side="below").any()


def test_rounds_are_paired_between_two_knowledges_and_rules_stand_apart():
    made = every_round_records(rounds=6).where(chain="oracle-defended")
    made.table.loc[made.table["rule"] == "krum", "accuracy_attacked"] *= -1
    found = column_measures.shift_between(
        made, column="accuracy_attacked", by="knowledge", of="full", over="partial", side="below"
    )
    names = {label.split(": ")[0]: met for label, met in found.items()}
    assert names == {
        "Krum": False, "median": True,
        "trimmed mean β 10": True, "trimmed mean β 15": True, "trimmed mean β 20": True,
    }  # fmt: skip
    assert "median: −0.100 (−0.100 to −0.100; lower in 6 of 6 rounds)" in found


# the paper's own numbers


def test_the_papers_arithmetic_is_done_again():
    found = MEASURES["increases"](None, pairs={"x": [0.12, 0.25]})
    assert found["x"] == pytest.approx(13 / 12 * 100)
    found = MEASURES["quotients"](None, of={"days": [1.5e6, 1e-4, 3000]}, over=86400)
    assert found["days"] == pytest.approx(450000 / 86400)


@pytest.mark.parametrize(
    "name", ["increase-lfr", "increase-specific", "increase-other", "five-days"]
)
def test_arithmetic_needs_no_records_and_is_not_counted(name, tmp_path):
    claim = next(x for x in expected.expected().claims if x.id == name)
    row = verdicts.judge(claim, tmp_path)
    assert (row["verdict"], row["counted"], row["part_of"]) == ("reproduced", False, "arithmetic")
