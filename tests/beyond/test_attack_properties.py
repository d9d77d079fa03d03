"""What all attacks beyond the paper have in common, whatever they send."""

from dataclasses import replace

import numpy as np
import pytest

from helpers.attacked_rounds import SCATTERED, D, K, honest_round, own_settings, run, sent
from pdrr import Round, beyond

ATTACKS = tuple(beyond.all_attacks())
every_attack = pytest.mark.parametrize("name", ATTACKS)
both_kinds_of_knowledge = pytest.mark.parametrize("knowledge", ["full", "partial"])
FIXED_SIZE = ("free_rider", "sparse", "sacrifice")  # they have a size in units of the weights
CLONES = (
    *("alie", "ipm", "ipm_10", "min_max", "min_max_std", "min_max_sign", "min_sum", "min_sum_std"),
    *("min_sum_sign", "mimic", "poisoned_fl", "agr_tailored"),
)
AGAINST_SIGNS = (  # others go down everywhere, wherever the honest models go
    *("ipm", "ipm_10", "min_max", "min_max_sign", "min_sum", "min_sum_sign", "sign_flip"),
    *("sign_flip_4", "shift", "agr_tailored", "decoy", "rotating", "mixed", "krum_flip"),
    *("camps", "strangers"),
)


@every_attack
@both_kinds_of_knowledge
def test_only_the_compromised_rows_change_and_nothing_given_is_written_to(name, knowledge):
    honest = honest_round(dtype=np.float32)
    before = honest.clients.tobytes(), honest.previous.tobytes()
    observed = run(name, honest, knowledge=knowledge).observed
    assert observed.clients[~SCATTERED].tobytes() == honest.clients[~SCATTERED].tobytes()
    assert observed.clients.tobytes() != before[0]
    assert (honest.clients.tobytes(), honest.previous.tobytes()) == before


@every_attack
@both_kinds_of_knowledge
def test_updates_twice_as_long_are_answered_by_updates_twice_as_long(name, knowledge):
    rows = {}
    for scale in (1.0, 4.0):
        honest = honest_round(previous=np.zeros(D), scale=scale)
        own = own_settings(honest, scale=scale)
        rows[scale] = sent(run(name, honest, knowledge=knowledge, own=own))
    same = np.allclose(rows[4.0], 4 * rows[1.0], rtol=1e-9, atol=1e-12)
    assert same == (name not in FIXED_SIZE)


@every_attack
def test_the_order_of_the_benign_clients_makes_no_difference(name):
    honest = honest_round()
    order = np.arange(K)
    order[~SCATTERED] = np.random.default_rng(1).permutation(order[~SCATTERED])
    mixed = replace(honest, clients=honest.clients[order])
    here, there = (sent(run(name, one)) for one in (honest, mixed))
    np.testing.assert_allclose(there, here, rtol=1e-9, atol=1e-12)


@every_attack
@both_kinds_of_knowledge
def test_float32_and_float64_agree(name, knowledge):
    single = honest_round(dtype=np.float32)
    double = Round(single.clients.astype(float), single.previous.astype(float), single.number)
    own = own_settings(single)
    one = sent(run(name, single, knowledge=knowledge, own=own | {"memory": {}}))
    other = sent(run(name, double, knowledge=knowledge, own=own | {"memory": {}}))
    assert one.dtype == np.float32
    np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


@every_attack
@both_kinds_of_knowledge
def test_array_libraries_see_the_same_attack(name, knowledge, xp):
    honest = honest_round(dtype=np.float32)
    home = Round(xp.asarray(honest.clients), xp.asarray(honest.previous), honest.number)
    observed = run(name, home, knowledge=knowledge).observed
    assert isinstance(observed.clients, type(home.clients))
    assert observed.clients.dtype == xp.float32
    expected = run(name, honest, knowledge=knowledge).observed.clients
    np.testing.assert_allclose(np.asarray(observed.clients), expected, rtol=1e-5, atol=1e-6)


@every_attack
@both_kinds_of_knowledge
def test_memory_maps_are_enough_and_blocks_make_no_difference(
    name, knowledge, tmp_path, monkeypatch
):
    honest = honest_round(dtype=np.float32)
    expected = sent(run(name, honest, knowledge=knowledge))
    honest.clients.tofile(tmp_path / "stack")
    mapped = np.memmap(tmp_path / "stack", dtype=np.float32, mode="r", shape=(K, D))
    there = Round(mapped, honest.previous, honest.number)
    assert sent(run(name, there, knowledge=knowledge)).tobytes() == expected.tobytes()
    monkeypatch.setattr("pdrr.core.arrays.BLOCK", 7)
    again = sent(run(name, honest, knowledge=knowledge))
    np.testing.assert_allclose(again, expected, rtol=1e-5, atol=1e-6)


@every_attack
@both_kinds_of_knowledge
def test_copies_are_copies_bit_for_bit_and_others_differ(name, knowledge):
    rows = sent(run(name, honest_round(dtype=np.float32), knowledge=knowledge))
    assert (len(np.unique(rows, axis=0)) == 1) == (name in CLONES)


@pytest.mark.parametrize("name", AGAINST_SIGNS)
@both_kinds_of_knowledge
def test_the_attackers_move_against_the_honest_direction(name, knowledge):
    honest = honest_round(d=2000)
    away = np.sign(honest.updates[~SCATTERED].mean(axis=0))
    own = honest.clients[SCATTERED].mean(axis=0)
    assert away @ (own - sent(run(name, honest, knowledge=knowledge)).mean(axis=0)) > 0


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("alie", {"noise": -1.0}),
        ("ipm", {"epsilon": 0.0}),
        ("min_max", {"direction": "up"}),
        ("min_sum", {"direction": "up"}),
        ("min_sum", {"bound": "mean"}),
        ("sign_flip", {"strength": -1.0}),
        ("gaussian", {"scale": np.inf}),
        ("free_rider", {"noise": np.nan}),
        ("shift", {"z": np.nan}),
        ("agr_tailored", {"reach": 0.0}),
        ("agr_tailored", {"direction": "up"}),
        ("decoy", {"share": 1.5}),
        ("rotating", {"share": -0.1}),
        ("mixed", {"weakest": np.nan}),
        ("krum_flip", {"share": 2.0}),
        ("sparse", {"share": -1.0}),
        ("sparse", {"value": np.inf}),
    ],
)
def test_a_setting_out_of_range_is_refused(name, settings):
    with pytest.raises(ValueError, match=r"needs .*got "):
        run(name, honest_round(), **settings)
