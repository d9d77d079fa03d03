"""Attackers that know PDRR: who is extreme where, how strongly, and with which sign."""

import numpy as np
import pytest

from helpers.attacked_rounds import SCATTERED, C, K, honest_round, own_settings, run, sent
from pdrr import PDRR, median_attack, trimmed_mean_attack
from pdrr.aggregators import krum_index

both_kinds_of_knowledge = pytest.mark.parametrize("knowledge", ["full", "partial"])
LONG = 20_000
MOVING = slice(LONG // 5, None)


def extreme(honest, rule="trimmed_mean", knowledge="full"):
    """What the attack on the rule sends with the same draws."""
    rng = np.random.default_rng(100)
    if rule == "median":
        crafted = median_attack(honest, SCATTERED, knowledge=knowledge, rng=rng)
    else:
        crafted = trimmed_mean_attack(honest, SCATTERED, knowledge=knowledge, rng=rng, beta=4)
    return sent(crafted)


def shares(rows, other):
    return (rows == other)[:, MOVING].mean(axis=1)


@both_kinds_of_knowledge
@pytest.mark.parametrize("rule", ["trimmed_mean", "median"])
def test_a_decoy_is_extreme_everywhere_and_the_others_nearly(rule, knowledge):
    honest = honest_round(d=LONG)
    crafted = run("decoy", honest, knowledge=knowledge, own=own_settings(honest, rule=rule))
    rows, own, far = sent(crafted), honest.clients[SCATTERED], extreme(honest, rule, knowledge)
    is_decoy = np.flatnonzero(SCATTERED) == crafted.detail["decoy"]
    np.testing.assert_allclose(shares(rows, own), np.where(is_decoy, 0, 0.05), atol=0.008)
    assert ((rows == own) | (rows == far)).all()
    assert rows[is_decoy].tobytes() == far[is_decoy].tobytes()


def test_anybody_may_be_the_decoy_and_it_alone_has_the_largest_count():
    honest = honest_round(d=LONG)
    decoys = {run("decoy", honest, seed=s).detail["decoy"] for s in range(20)}
    assert decoys == set(np.flatnonzero(SCATTERED).tolist())
    crafted = run("decoy", honest, share=0.2)
    counts = PDRR("trimmed_mean", q=0.9, beta=4).detect(crafted.observed).statistic
    assert int(np.argmax(counts)) == crafted.detail["decoy"]
    assert np.sort(counts)[-2] < 0.9 * counts.max()


@both_kinds_of_knowledge
def test_rotating_attackers_are_extreme_in_coordinates_of_their_own(knowledge):
    honest = honest_round(d=LONG)
    rows, own = sent(run("rotating", honest, knowledge=knowledge)), honest.clients[SCATTERED]
    far = extreme(honest, knowledge=knowledge)
    there = (rows == far)[:, MOVING]
    np.testing.assert_allclose(there.mean(axis=1), 0.5, atol=0.02)
    assert ((rows == own) | (rows == far)).all()
    assert np.abs(np.corrcoef(there) - np.eye(C)).max() < 0.04


@pytest.mark.parametrize("name", ["decoy", "rotating", "mixed"])
def test_at_the_far_end_of_its_setting_each_is_the_attack_on_the_rule_or_no_attack(name):
    honest = honest_round()
    full, none = {
        "decoy": ({"share": 0.0}, {"share": 1.0}),
        "rotating": ({"share": 1.0}, {"share": 0.0}),
        "mixed": ({"weakest": 1.0}, {}),
    }[name]
    np.testing.assert_allclose(sent(run(name, honest, **full)), extreme(honest), rtol=1e-12)
    rows = sent(run(name, honest, **none))
    honest_rows = (rows == honest.clients[SCATTERED]).all(axis=1).sum()
    assert honest_rows == {"decoy": C - 1, "rotating": C, "mixed": 0}[name]


@both_kinds_of_knowledge
@pytest.mark.parametrize(("weakest", "expected"), [(0, [0.25, 0.5, 0.75, 1]), (0.6, None)])
def test_mixed_strengths_are_evenly_spread(knowledge, weakest, expected):
    honest = honest_round()
    crafted = run("mixed", honest, knowledge=knowledge, weakest=weakest)
    strengths = crafted.detail["strengths"]
    assert sorted(strengths) == pytest.approx(expected or [0.7, 0.8, 0.9, 1.0])
    own, far = honest.clients[SCATTERED], extreme(honest, knowledge=knowledge)
    moving = slice(honest.d // 5, None)
    reached = ((sent(crafted) - own) / np.where(far == own, 1, far - own))[:, moving]
    np.testing.assert_allclose(reached, np.tile(strengths, (reached.shape[1], 1)).T, rtol=1e-7)


def test_anybody_may_be_the_strongest():
    honest = honest_round()
    strongest = {
        int(np.argmax(run("mixed", honest, seed=s).detail["strengths"])) for s in range(20)
    }
    assert strongest == set(range(C))


# Krum


@both_kinds_of_knowledge
@pytest.mark.parametrize("share", [0.1, 0.4])
def test_copies_have_flipped_signs_here_and_there_and_differ_by_little_elsewhere(knowledge, share):
    honest = honest_round(d=LONG, dtype=np.float32)
    crafted = run("krum_flip", honest, knowledge=knowledge, share=share)
    assert crafted.succeeded
    signs = np.sign(sent(crafted).astype(float) - honest.previous)[:, MOVING]
    assert (signs != 0).all()
    flipped = signs[1:] != signs[0]
    np.testing.assert_allclose(flipped.mean(axis=1), share, atol=0.02)
    assert np.abs(np.corrcoef(flipped) - np.eye(C - 1)).max() < 0.04
    far = np.abs(sent(crafted).astype(float) - honest.previous)[1:, MOVING]
    close = 3e-7 * np.abs(honest.previous[MOVING]) + 1e-30
    assert (far[flipped] <= np.broadcast_to(close, far.shape)[flipped]).all()
    np.testing.assert_allclose(far[~flipped], crafted.detail["lambda"], rtol=1e-2)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.4])
@pytest.mark.parametrize("seed", range(3))
def test_krum_selects_an_attacker_with_flipped_signs_and_none_farther_out(share, seed):
    honest = honest_round(seed, d=LONG)
    crafted = run("krum_flip", honest, share=share)
    assert SCATTERED[krum_index(crafted.observed.clients, c=C, previous=honest.previous)]
    rows = sent(crafted)
    far = honest.previous + 1.02 * (rows - honest.previous)  # what is next to w_p stays there
    honest.clients[SCATTERED] = far
    assert not SCATTERED[krum_index(honest.clients, c=C, previous=honest.previous)]
    if not share:
        plain = run("krum", honest_round(seed, d=LONG), own={"epsilon": 0.0, "noise": "ball"})
        assert crafted.detail["lambda"] == pytest.approx(plain.detail["lambda"], rel=2e-3)
        assert len(np.unique(rows, axis=0)) == 1


def test_partial_knowledge_of_krum_needs_three_attackers():
    with pytest.raises(ValueError, match="krum_flip with partial knowledge needs c >= 3, got c=2"):
        run("krum_flip", honest_round(), np.arange(K) < 2, "partial")


def test_krum_cannot_be_attacked_where_nothing_moved():
    honest = honest_round(scale=0.0)
    crafted = run("krum_flip", honest)
    assert not crafted.succeeded
    assert crafted.observed is honest


# sparse


def test_one_attacker_is_huge_in_few_coordinates_and_the_others_are_honest():
    honest = honest_round(d=LONG)
    crafted = run("sparse", honest)
    row = crafted.detail["row"]
    changed = crafted.observed.clients != honest.clients
    assert SCATTERED[row]
    assert changed.any(axis=1).tolist() == (np.arange(K) == row).tolist()
    assert changed[row].sum() == LONG // 1000
    assert (crafted.observed.clients[row, changed[row]] == 1e6).all()
    rows = {run("sparse", honest_round(), seed=s).detail["row"] for s in range(20)}
    assert rows == set(np.flatnonzero(SCATTERED).tolist())
