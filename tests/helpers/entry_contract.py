"""What every attack and every scheme keeps, whoever wrote it: checks of an entry."""

from dataclasses import replace

import numpy as np
import pytest

from helpers import miniature
from pdrr import Round
from pdrr.core.arrays import to_host
from pdrr.core.rules import DEFENDED
from pdrr.experiments import attacking
from pdrr.experiments.server import Server, find
from pdrr.federation.rounds import Federation
from pdrr.federation.streams import byzantine

SETTINGS = miniature.settings()
K, C = SETTINGS.federation.k, SETTINGS.federation.c


def frozen(honest):
    """The round with arrays that nobody can write to."""
    for array in (honest.clients, honest.previous):
        array.flags.writeable = False
    return honest


def made_up_round(d=90, seed=0):
    """Models around a previous one, a third of their coordinates standing still."""
    rng = np.random.default_rng(seed)
    previous = rng.normal(size=d).astype(np.float32)
    moves = rng.normal(0, 0.1, size=(K, d)) + rng.normal(0, 0.1, size=d)
    moves[:, ::3] = 0
    clients = (previous + moves).astype(np.float32)
    return frozen(Round(clients, previous, 3, ids=np.arange(K)[::-1]))


def rules_of(name):
    return [name] if name in DEFENDED else list(DEFENDED)


# attacks


def needed():
    """What few attackers need beside the round: the model before, and models of flipped labels."""
    d = made_up_round().d
    flipped = np.random.default_rng(8).normal(size=(C, d)).astype(np.float32)
    before = np.random.default_rng(9).normal(size=d).astype(np.float32)
    return attacking.Known(before=before, flipped=lambda: flipped)


def check_attack(name, knowledge):
    """An attack replaces the rows of the compromised clients, and does nothing else."""
    for rule in rules_of(name):
        honest, bad = made_up_round(), byzantine(SETTINGS)
        crafted = attacking.attacked(SETTINGS, name, rule, honest, knowledge, needed())
        seen = crafted.observed
        assert seen.clients.shape == honest.clients.shape
        assert seen.clients.dtype == honest.clients.dtype
        assert np.isfinite(seen.clients).all()
        np.testing.assert_array_equal(seen.clients[~bad], honest.clients[~bad])
        np.testing.assert_array_equal(seen.previous, honest.previous)
        np.testing.assert_array_equal(seen.ids, honest.ids)
        assert seen.number == honest.number
        if not crafted.succeeded:
            np.testing.assert_array_equal(seen.clients, honest.clients)
        again = attacking.attacked(SETTINGS, name, rule, honest, knowledge, needed())
        np.testing.assert_array_equal(again.observed.clients, seen.clients)
        check_refusals(name, rule, honest, knowledge)
        if knowledge == "partial":  # what others trained makes no difference to it
            others = honest.clients.copy()
            others[~bad] = made_up_round(seed=1).clients[~bad]
            elsewhere = attacking.attacked(
                SETTINGS, name, rule, frozen(replace(honest, clients=others)), knowledge, needed()
            )
            np.testing.assert_array_equal(elsewhere.observed.clients[bad], seen.clients[bad])


def check_refusals(name, rule, honest, knowledge):
    """An attack says in one line what it cannot work with."""
    entry, bad = attacking.attacks()[name], byzantine(SETTINGS)
    own = {"beta": 2, "rule": rule, "c": C, "before": needed().before, "memory": {}}
    own["flipped"] = needed().flipped()
    given = {word: own[word] for word in entry.takes if word in own}
    given |= {"rng": np.random.default_rng(0)}
    broken = honest.clients.copy()
    broken[-1, 0] = np.nan
    wrong = (
        (replace(honest, clients=broken), bad, knowledge),
        (honest, np.zeros(K, bool), knowledge),
        (honest, np.ones(K, bool), knowledge),
        (honest, bad[1:], knowledge),
        (honest, bad, "some"),
    )
    for seen, mask, known in wrong:
        with pytest.raises(ValueError, match=r"needs .*got ") as caught:
            entry.function(seen, mask, knowledge=known, **given)
        assert "\n" not in str(caught.value)


# schemes

OF_MODELS = frozenset({"AlignIns", "FLAME"})  # they compare models, not updates


class NoData(Server):
    """A server that has no images of its own, and no network to try models with."""

    def auxiliary(self):
        raise LookupError("no data")

    @property
    def network(self):
        raise LookupError("no network")


def server_of(rule, store, kind=Server, observed=None):
    """The server of a miniature round under its rule's attack, or of another round."""
    federation = Federation(SETTINGS, miniature.dataset(), rule, store)
    if observed is None:
        honest = next(federation.rounds([2]))
        observed = miniature.observed(SETTINGS, rule, honest, "partial")
    return kind(federation, observed)


def check_scheme(entry, rule, store, empty_store):
    """A scheme judges each model by what it holds, leaves it alone, and needs what it says."""
    assert entry.label(rule)
    assert entry.reference
    server = server_of(rule, store)
    observed = frozen(replace(server.observed, clients=server.observed.clients.copy()))
    found = find(server_of(rule, store, observed=observed), entry)
    detection = found.detection
    k, d = observed.clients.shape
    scores, flagged = to_host(detection.scores), to_host(detection.flagged)
    assert detection.statistic.shape == scores.shape == flagged.shape == (k,)
    assert scores.dtype == np.float64
    assert flagged.dtype == bool
    assert detection.pre_aggregate.shape == (d,)
    assert found.seconds > 0
    check_flags(entry, scores, flagged)
    check_permutation(entry, rule, store, observed, scores)
    check_non_finite(entry, rule, store, observed)
    if "auxiliary" in entry.needs:
        with pytest.raises(LookupError):
            find(server_of(rule, empty_store, NoData, observed), entry)
    else:
        find(server_of(rule, empty_store, NoData, observed), entry)
        if entry.name not in OF_MODELS:
            check_translation(entry, rule, store, d if "layers" in entry.needs else 40)


def check_flags(entry, scores, flagged):
    """Higher is more suspicious, everywhere."""
    if entry.flags == "c":
        assert flagged.sum() == C
    elif entry.flags == "nobody":
        assert not flagged.any()
    elif entry.flags == "own":
        return  # a rule that looks at more than one number
    elif entry.flags == "votes":
        np.testing.assert_array_equal(flagged, scores >= 1)
    if flagged.any() and not flagged.all():
        lowest, highest = scores[flagged].min(), scores[~flagged].max()
        assert lowest >= highest if entry.flags == "c" else lowest > highest


def check_permutation(entry, rule, store, observed, scores):
    """Who comes first makes no difference."""
    order = np.random.default_rng(5).permutation(observed.k)
    mixed = frozen(
        replace(observed, clients=observed.clients[order].copy(), ids=observed.ids[order])
    )
    again = to_host(find(server_of(rule, store, observed=mixed), entry).detection.scores)
    if entry.flags == "votes":
        return  # of schemes that draw lots among equals
    np.testing.assert_allclose(again, scores[order], rtol=1e-5, atol=1e-9)


def check_non_finite(entry, rule, store, observed):
    """A model that is not finite is flagged first, or refused before anything is computed."""
    broken = observed.clients.copy()
    broken[-1, 5] = np.inf
    server = server_of(rule, store, observed=frozen(replace(observed, clients=broken)))
    detection, refusal = found_or_refused(server, entry)
    if detection is None:
        assert "finite" in refusal
        assert str(observed.k - 1) in refusal
        assert entry.name != "PDRR", "a server has to live with what it receives"
        return
    assert detection.flagged[-1]
    assert detection.scores[-1] == max(detection.scores)
    assert any("finite" in note for note in detection.notes)


def found_or_refused(server, entry):
    """The detection, or why there is none."""
    try:
        return find(server, entry).detection, ""
    except ValueError as error:
        return None, str(error)


def check_translation(entry, rule, store, d):
    """Only differences to the previous model count: whole numbers, so that nothing is rounded."""
    rng = np.random.default_rng(2)
    clients = rng.integers(-9, 9, (K, d)).astype(np.float32)
    here = Round(clients, np.zeros(d, np.float32), 2)
    there = Round(clients + 64, here.previous + 64, 2)
    one, other = (find(server_of(rule, store, observed=o), entry).detection for o in (here, there))
    np.testing.assert_array_equal(to_host(one.scores), to_host(other.scores))
    np.testing.assert_array_equal(to_host(one.flagged), to_host(other.flagged))
