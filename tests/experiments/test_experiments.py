"""Honest round, attack, detection, tidy table: every number follows from the others."""

import numpy as np
import pytest

from helpers import miniature
from pdrr import config
from pdrr.experiments import alone, scene

pytestmark = pytest.mark.usefixtures("small")

SMOKE, D = config.load("smoke"), 1947
K, C, BETA, Q = SMOKE.federation.k, SMOKE.federation.c, SMOKE.defense.beta, SMOKE.defense.q
RULES = ("krum", "trimmed_mean", "median")
COLUMNS = ["attack", "rule", "seed", "round", "knowledge", "c", "beta", "noise"]
COLUMNS += ["client", "byzantine", "statistic", "score", "flagged"]
SECONDS = ["training_s", "attack_s", "detection_s"]


@pytest.fixture
def detection(store):
    """`experiments.detection` in the smoke profile, with its one run."""

    def detect(rule, **options):
        found = alone.detection(rule, profile="smoke", store=store, **options)
        assert len(found.runs) == 1
        return found.table, found.runs.iloc[0]

    return detect


@pytest.mark.parametrize("knowledge", ["full", "partial"])
@pytest.mark.parametrize("rule", RULES)
def test_the_rates_and_the_q_range_follow_from_the_table(detection, rule, knowledge):
    table, run = detection(rule, knowledge=knowledge)
    assert list(table.columns) == COLUMNS
    assert table["client"].tolist() == list(range(1, K + 1))
    assert table["byzantine"].tolist() == [client <= C for client in table["client"]]
    assert table["flagged"].dtype == table["byzantine"].dtype == bool
    assert (table["knowledge"] == knowledge).all()
    assert (run["rule"], run["knowledge"], run["seed"], run["round"]) == (rule, knowledge, 1, 1)

    share = table["statistic"] / table["statistic"].max()
    scores = 1 - share if rule == "median" else share
    np.testing.assert_allclose(table["score"], scores)
    assert table["flagged"].tolist() == (table["score"] >= run["q"]).tolist()

    benign, malicious = table[~table["byzantine"]], table[table["byzantine"]]
    assert run["far"] == pytest.approx(benign["flagged"].sum() / (K - C))
    assert run["mar"] == pytest.approx((~malicious["flagged"]).sum() / C)
    low, high = max(benign["score"].max(), 0), min(malicious["score"].min(), 1)
    if low < high:
        assert (run["q_low"], run["q_high"]) == (low, high)
    else:
        assert np.isnan([run["q_low"], run["q_high"]]).all()
    assert (run[SECONDS].astype(float) > 0).all()


@pytest.mark.parametrize("rule", RULES)
def test_an_attack_succeeds_and_stands_out(detection, rule):
    # a handful of images and a tiny network: still, attackers have the higher scores
    table, run = detection(rule)
    means = table.groupby("byzantine")["score"].mean()
    assert run["succeeded"]
    assert means[True] > means[False] + 0.1
    assert run["selected"] == ("malicious" if rule == "krum" else "")
    assert (run["lambda"] > 0) == (rule == "krum")


def test_counts_of_all_coordinates_add_up_and_zero_change_leaves_some_out(detection):
    # with seed 2 some of the tiny network's units are dead, and their weights never move
    every, run = detection("trimmed_mean", zero_change=True, seed=2)
    moved, plain = detection("trimmed_mean", zero_change=False, seed=2)
    assert every["statistic"].sum() == pytest.approx(2 * BETA * D)
    coordinates = moved["statistic"].sum() / (2 * BETA)
    assert coordinates == pytest.approx(round(coordinates))
    assert 0 < coordinates < D
    assert (run["zero_change"], plain["zero_change"]) == (True, False)
    every, _ = detection("median", zero_change=True, seed=2)
    assert every["statistic"].sum() == pytest.approx(2 * D)  # k is even: two middle values


def test_without_options_the_profile_decides(detection):
    for rule in RULES:
        _, run = detection(rule)
        assert (run["c"], run["q"]) == (C, Q[rule])
        assert run["beta"] == BETA if rule == "trimmed_mean" else np.isnan(run["beta"])


def test_options_take_the_place_of_the_profile_s_values(detection):
    table, run = detection("trimmed_mean", c=2, beta=3, q=0.25, seed=2, number=2)
    assert (run["c"], run["beta"], run["q"], run["seed"], run["round"]) == (2, 3, 0.25, 2, 2)
    assert table["byzantine"].sum() == 2
    assert table["statistic"].sum() / 6 <= D
    for column in ("c", "beta", "seed", "round"):
        assert (table[column] == run[column]).all()
    low, _ = detection("median", q=0.01)
    high, _ = detection("median", q=1.0)
    assert low["flagged"].sum() > high["flagged"].sum() >= 1


def test_learning_rate_and_number_of_clients_are_options_too(store):
    slow = scene.scene("median", profile="smoke", learning_rate=1e-3, k=8, c=3, store=store)
    usual = scene.scene("median", profile="smoke", store=store)
    assert (slow.settings.training.learning_rate, slow.honest.k) == (1e-3, 8)
    assert usual.honest.k == K
    np.testing.assert_array_equal(slow.honest.previous, usual.honest.previous)
    steps = [np.abs(r.clients - r.previous).max() for r in (slow.honest, usual.honest)]
    assert steps[0] < steps[1] / 2
    with pytest.raises(ValueError, match="learning_rate: .*greater than 0, got 0"):
        scene.settings("smoke", "glyphs", 1, learning_rate=0)


def test_the_same_call_gives_the_same_table_and_another_seed_another(detection):
    tables = [detection("krum", seed=seed)[0]["statistic"] for seed in (1, 1, 2)]
    np.testing.assert_array_equal(tables[0], tables[1])
    assert (tables[0] != tables[2]).any()


def test_more_or_less_noise_is_a_setting_of_the_attack(store):
    chosen = scene.settings("smoke", "glyphs", 1, epsilon=0.0)
    honest = miniature.honest_round(chosen, "krum", 1, store)
    observed = miniature.observed(chosen, "krum", honest, "full").clients
    assert (observed[1:C] == observed[0]).all()
    np.testing.assert_array_equal(observed[C:], honest.clients[C:])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rule": "krumm"}, "'krumm'"),
        ({"rule": "mean"}, "'mean'"),
        ({"rule": "krumm", "q": 0.5}, "'krumm'"),
        ({"rule": "krum", "knowledge": "some"}, "'some'"),
        ({"rule": "krum", "q": 1.5}, "1.5"),
        ({"rule": "krum", "q": float("nan")}, "nan"),
        ({"rule": "krum", "c": K}, f"federation.c needs to be below federation.k={K}, got {K}"),
        ({"rule": "krum", "c": K - 2}, f"c={K - 2}"),  # k >= c + 3
        ({"rule": "trimmed_mean", "beta": K // 2}, f"beta={K // 2}"),
        ({"rule": "krum", "number": 0}, "0"),
        ({"rule": "krum", "seed": -1}, "seed: .*, got -1"),
        ({"rule": "krum", "profile": "huge"}, "'huge'"),
    ],
)
def test_what_cannot_be_run_is_refused_in_one_line(store, options, message):
    with pytest.raises(ValueError, match=message) as caught:
        alone.detection(**{"profile": "smoke", **options}, store=store)
    assert "\n" not in str(caught.value)


def test_fig_2_shows_the_first_two_parameters_of_every_model(store):
    found = alone.first_parameters(profile="smoke", number=2, store=store)
    chosen = scene.settings("smoke", "glyphs", 1)
    honest = miniature.honest_round(chosen, "krum", 2, store)
    points = {
        model: part[["first", "second"]].to_numpy() for model, part in found.table.groupby("model")
    }
    run = found.runs.iloc[0]
    np.testing.assert_array_equal(points["benign"], honest.clients[C:, :2])
    np.testing.assert_array_equal(points["previous global"][0], honest.previous[:2])
    best = miniature.krum_choice(honest.clients, C)
    np.testing.assert_array_equal(points["next global"][0], honest.clients[best, :2])
    assert len(points["malicious"]) == C
    assert run["succeeded"]
    assert (points["next global, attacked"] == points["malicious"]).all(1).any()
    assert np.ptp(points["malicious"], axis=0).max() < 2 * 1e-6 + 1e-8
    away = np.abs(points["malicious"][0] - honest.previous[:2])
    moved = away > 1e-5  # where the round's direction is 0, w'_1 keeps the previous value
    assert away[moved] == pytest.approx(run["lambda"], rel=1e-2)


def test_fig_2_takes_its_parameters(store):
    found = alone.first_parameters(
        profile="smoke", c=3, epsilon=1e-3, knowledge="partial", number=1, store=store
    )
    run = found.runs.iloc[0]
    assert (run["c"], run["epsilon"], run["knowledge"], run["round"]) == (3, 1e-3, "partial", 1)
    assert (found.table["model"] == "malicious").sum() == 3
    assert found.provenance["settings"]["attack"]["epsilon"] == 1e-3


def test_epsilon_may_be_the_radius_of_a_ball(detection):
    close, ball = detection("krum", noise="ball", seed=2)
    apart, coordinate = detection("krum", noise="coordinate", seed=2)
    assert (ball["noise"], coordinate["noise"]) == ("ball", "coordinate")
    assert (close["noise"] == "ball").all()
    malicious = [table["statistic"][table["byzantine"]] for table in (close, apart)]
    # where the dead units of seed 2 stand still, copies of w'_1 carry random signs
    assert (malicious[0] != malicious[1]).any()
