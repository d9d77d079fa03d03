"""Attackers that know Co-trimming, or how PDRR re-aggregates: who pushes where, and who hides."""

import numpy as np
import pytest

from helpers.attacked_rounds import SCATTERED, C, K, honest_round, own_settings, run, sent
from pdrr import PDRR, Round, median_attack, trimmed_mean_attack
from pdrr.beyond.cotrim import CoTrimming, likeness

both_kinds_of_knowledge = pytest.mark.parametrize("knowledge", ["full", "partial"])
LONG = 20_000
MOVING = slice(LONG // 5, None)


def pushes(crafted, honest, knowledge):
    """By how many deviations each attacker is off its honest model, against s: [c, d]."""
    known = honest.clients[~SCATTERED if knowledge == "full" else SCATTERED]
    s = np.sign(known.mean(axis=0) - honest.previous)
    away = sent(crafted) - honest.clients[SCATTERED]
    return (away / np.where(s, -s * known.std(axis=0), 1))[:, MOVING]


# strangers


@both_kinds_of_knowledge
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_strangers_push_in_coordinates_of_their_own_and_by_z_deviations(knowledge, share):
    honest = honest_round(d=LONG)
    crafted = run("strangers", honest, knowledge=knowledge, share=share, z=2.5, noise=0.0)
    found = pushes(crafted, honest, knowledge)
    there = np.isclose(found, 2.5, rtol=1e-6)
    assert (there | (found == 0)).all()
    np.testing.assert_allclose(there.mean(axis=1), share, atol=0.02)
    if 0 < share < 1:
        assert np.abs(np.corrcoef(there) - np.eye(C)).max() < 0.04


@both_kinds_of_knowledge
def test_strangers_add_noise_of_their_own_everywhere(knowledge):
    honest = honest_round(d=LONG)
    crafted = run("strangers", honest, knowledge=knowledge, share=0.0, noise=0.5)
    found = pushes(crafted, honest, knowledge)
    np.testing.assert_allclose(found.std(axis=1), 0.5, rtol=0.05)
    np.testing.assert_allclose(found.mean(axis=1), 0, atol=0.02)
    assert np.abs(np.corrcoef(found) - np.eye(C)).max() < 0.04


def test_strangers_that_push_everywhere_without_noise_are_a_shift():
    honest = honest_round()
    strangers = run("strangers", honest, share=1.0, noise=0.0, z=0.7)
    np.testing.assert_allclose(sent(strangers), sent(run("shift", honest, z=0.7)), rtol=1e-12)


def independent(k=30, d=LONG):
    """Models around a common direction, of which no two are more alike than others."""
    updates = 0.1 + 0.1 * np.random.default_rng(0).normal(size=(k, d))
    return Round(updates, np.zeros(d)), np.arange(k) < k // 3


def test_the_fewer_coordinates_strangers_share_the_less_alike_they_look():
    honest, bad = independent()
    alike = []
    for share in (1.0, 0.5, 0.2, 0.0):
        seen = run("strangers", honest, bad, share=share).observed
        among = likeness(seen)[np.ix_(bad, bad)]
        alike.append(float(among[~np.eye(len(among), dtype=bool)].mean()))
    assert alike == sorted(alike, reverse=True)
    benign = likeness(honest)[np.ix_(~bad, ~bad)]
    assert alike[0] > 0.2
    assert alike[-1] == pytest.approx(benign[~np.eye(len(benign), dtype=bool)].mean(), abs=0.01)


def test_co_trimming_finds_those_that_push_everywhere_and_not_those_that_hardly_push():
    honest, bad = independent()
    flagged = [
        CoTrimming("median").detect(run("strangers", honest, bad, share=share).observed).flagged
        for share in (1.0, 0.0)
    ]
    assert (flagged[0] == bad).all()
    assert not flagged[1].any()


# camps


@both_kinds_of_knowledge
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_each_coordinate_is_pushed_by_one_camp(knowledge, count):
    honest = honest_round(d=LONG)
    crafted = run("camps", honest, knowledge=knowledge, count=count, z=0.5)
    found = pushes(crafted, honest, knowledge)
    there = np.isclose(found, 0.5, rtol=1e-6)
    assert (there | (found == 0)).all()
    np.testing.assert_allclose(there.mean(axis=1), 1 / count, atol=0.02)
    camp = np.array(crafted.detail["camps"])
    assert sorted(np.bincount(camp, minlength=count)) == sorted(
        len(part) for part in np.array_split(np.arange(C), count)
    )
    for one in range(C):
        for other in range(C):
            together = (there[one] & there[other]).sum()
            assert together == (there[one].sum() if camp[one] == camp[other] else 0)


def test_one_camp_is_a_shift_and_with_many_some_coordinates_are_left_alone():
    honest = honest_round(d=LONG)
    np.testing.assert_allclose(
        sent(run("camps", honest, count=1)), sent(run("shift", honest)), rtol=1e-12
    )
    many = pushes(run("camps", honest, count=8), honest, "full")
    assert (many != 0).any(axis=0).mean() == pytest.approx(0.5, abs=0.02)
    assert {tuple(run("camps", honest, seed=s).detail["camps"]) for s in range(20)} > {(0, 1, 0, 1)}


# sacrifice


@both_kinds_of_knowledge
@pytest.mark.parametrize("rule", ["trimmed_mean", "median"])
def test_some_send_extreme_values_and_the_others_hide_but_for_few_coordinates(rule, knowledge):
    honest = honest_round(d=LONG)
    own = own_settings(honest, rule=rule)
    crafted = run("sacrifice", honest, knowledge=knowledge, own=own, share=0.5)
    rows, hidden = sent(crafted), np.isin(np.flatnonzero(SCATTERED), crafted.detail["hidden"])
    assert hidden.sum() == C // 2
    more = {"beta": 4} if rule == "trimmed_mean" else {}
    attack = trimmed_mean_attack if rule == "trimmed_mean" else median_attack
    rng = np.random.default_rng(100)
    far = sent(attack(honest, SCATTERED, knowledge=knowledge, rng=rng, **more))
    np.testing.assert_array_equal(rows[~hidden], far[~hidden])
    changed = rows[hidden] != honest.clients[SCATTERED][hidden]
    assert (changed.sum(axis=1) == LONG // 1000).all()
    assert (rows[hidden][changed] == 1e6).all()


@pytest.mark.parametrize(("share", "hidden"), [(0.0, C), (0.74, 2), (0.75, 1), (1.0, 0)])
def test_the_share_that_lets_itself_be_found_is_rounded_down(share, hidden):
    found = [run("sacrifice", honest_round(), seed=s, share=share).detail["hidden"] for s in (1, 2)]
    assert [len(rows) for rows in found] == [hidden, hidden]
    assert {*found[0], *found[1]} <= set(np.flatnonzero(SCATTERED).tolist())


def test_anybody_may_hide():
    hidden = {run("sacrifice", honest_round(), seed=s, share=0.75).detail["hidden"][0]
              for s in range(30)}  # fmt: skip
    assert hidden == set(np.flatnonzero(SCATTERED).tolist())


def test_pdrr_with_a_small_beta_ends_with_a_mean_and_a_kept_share_does_not():
    """Three are found and removed: beta falls from 3 to 0 where it shrinks by their number."""
    honest = honest_round(d=LONG)
    seen = run("sacrifice", honest, own=own_settings(honest, beta=3), share=0.75).observed
    pdrr = PDRR("trimmed_mean", q=0.9, beta=3)
    detection = pdrr.detect(seen)
    assert detection.flagged.sum() == 3
    left = seen.clients[~detection.flagged]
    np.testing.assert_allclose(pdrr.aggregate(seen)[0], left.mean(axis=0), rtol=1e-9)
    assert np.abs(pdrr.aggregate(seen)[0]).max() > 1e6 / K
    assert np.abs(CoTrimming("trimmed_mean", beta=3).aggregate(seen)[0]).max() < 10


# what is refused


@pytest.mark.parametrize(
    ("name", "wrong", "message"),
    [
        ("strangers", {"share": 1.5}, "strangers needs 0 <= share <= 1, got 1.5"),
        ("strangers", {"z": np.inf}, "strangers needs a finite z, got inf"),
        ("strangers", {"noise": -1.0}, "strangers needs a finite noise >= 0, got -1.0"),
        ("camps", {"count": 0}, "camps needs count >= 1, got 0"),
        ("camps", {"z": np.nan}, "camps needs a finite z, got nan"),
        ("sacrifice", {"share": -0.1}, "sacrifice needs 0 <= share <= 1, got -0.1"),
        ("sacrifice", {"value": np.inf}, "sacrifice needs a finite value, got inf"),
    ],
)
def test_what_they_cannot_work_with_is_said(name, wrong, message):
    with pytest.raises(ValueError, match=message):
        run(name, honest_round(), **wrong)


def test_a_number_of_camps_is_whole():
    with pytest.raises(TypeError, match="camps needs an integer count, got 2.0"):
        run("camps", honest_round(), count=2.0)
