"""Settings for any number of replies, and rounds in which nobody can be told from anybody."""

import numpy as np
import pytest

import pdrr
from pdrr import beyond
from pdrr.serving.defence import Defence

RULES = {"krum": {"c": 3}, "trimmed_mean": {"beta": 3}, "median": {}}


def attacked(k=10, d=400, bad=3, seed=0):
    rng = np.random.default_rng(seed)
    clients = rng.normal(size=(k, d)).astype(np.float32)
    clients[:bad] = -4 + 0.01 * rng.normal(size=(bad, d))
    return pdrr.Round(clients, np.zeros(d, np.float32))


@pytest.mark.parametrize("rule", ["trimmed_mean", "median"])
def test_it_is_pdrr_where_nothing_is_special(rule):
    observed = attacked()
    model, judgement = Defence(rule, q=0.9, **RULES[rule]).aggregate(observed)
    theirs, detection = pdrr.PDRR(rule, q=0.9, **RULES[rule]).aggregate(observed)
    assert (model == theirs).all()
    assert (judgement.flagged == detection.flagged).all()
    assert np.flatnonzero(judgement.flagged).tolist() == [0, 1, 2]
    assert (judgement.scores == detection.scores).all()


@pytest.mark.parametrize(
    ("share", "k", "expected"),
    [(0.3, 10, 3), (0.3, 11, 4), (0.07, 100, 7), (0.0, 5, 0), (0.45, 10, 4), (0.4, 5, 2)],
)
def test_a_share_is_rounded_up_where_the_rule_allows(share, k, expected):
    assert Defence("trimmed_mean", beta=share, q=0.9).own(k) == {"beta": expected}


def test_a_share_for_krum_leaves_it_three_models():
    defence = Defence("krum", c=0.5, q=0.9)
    assert [defence.own(k) for k in (2, 5, 6, 7)] == [None, {"c": 2}, {"c": 3}, {"c": 4}]


def test_a_number_does_not_change_with_the_replies():
    defence = Defence("krum", c=3, q=0.9)
    assert [defence.own(k) for k in (5, 6, 60)] == [None, {"c": 3}, {"c": 3}]


@pytest.mark.parametrize("rule", RULES)
def test_with_too_few_replies_the_previous_model_stays_and_nobody_is_accused(rule):
    settings = {**RULES[rule], **({"c": 8} if rule == "krum" else {})}
    if rule == "trimmed_mean":
        settings = {"beta": 5}
    observed = attacked(k=10)
    if rule == "median":
        observed.clients[:] = np.nan
        observed.clients[0] = 1
    model, judgement = Defence(rule, q=0.9, **settings).aggregate(observed)
    if rule == "median":  # one reply is enough for a median
        assert (model == 1).all()
        return
    assert (model == observed.previous).all()
    assert not judgement.flagged.any()
    assert not judgement.judged
    assert "too few" in judgement.notes[0]


def test_refused_replies_lower_beta_and_stay_out():
    observed = attacked(k=10, bad=2)
    observed.clients[9] = np.nan
    model, judgement = Defence("trimmed_mean", beta=3, q=0.9).aggregate(observed)
    assert np.flatnonzero(judgement.flagged).tolist() == [0, 1, 9]
    rest = np.ascontiguousarray(observed.clients[2:9])
    assert np.allclose(model, pdrr.trimmed_mean(rest, beta=0))


@pytest.mark.parametrize("rule", RULES)
def test_where_more_than_half_would_be_flagged_nobody_is_and_the_plain_rule_decides(rule):
    rng = np.random.default_rng(0)
    observed = pdrr.Round(rng.normal(size=(9, 60)), np.full(60, -9.0))
    model, judgement = Defence(rule, q=0.0, **RULES[rule]).aggregate(observed)
    assert not judgement.flagged.any()
    assert judgement.judged
    assert "9 of 9 models would be flagged" in judgement.notes[-1]
    plain = {"krum": pdrr.krum, "trimmed_mean": pdrr.trimmed_mean, "median": pdrr.median}[rule]
    assert np.allclose(model, plain(observed.clients, **RULES[rule]))


class Names:
    """Flags the first n."""

    def __init__(self, n):
        self.n = n

    def detect(self, observed):
        flagged = np.arange(observed.k) < self.n
        return pdrr.Detection(flagged * 1.0, flagged * 1.0, flagged, observed.previous)


@pytest.mark.parametrize(("flags", "expected"), [(3, 3), (4, 0)])
def test_refused_replies_do_not_count_towards_the_half(flags, expected):
    """Of 10 replies 4 are refused: three more are half of the others, four more than half."""
    observed = attacked(k=10)
    observed.clients[6:] = np.nan
    judgement = Defence("median", detector=Names(flags)).detect(observed)
    assert judgement.flagged[6:].all()
    assert judgement.flagged[:6].sum() == expected


def test_the_rest_may_be_averaged():
    observed = attacked()
    model, judgement = Defence("median", q=0.9, reaggregate="mean").aggregate(observed)
    assert np.flatnonzero(judgement.flagged).tolist() == [0, 1, 2]
    assert np.allclose(model, observed.clients[3:].mean(axis=0), atol=1e-6)


def test_another_detector_judges_in_its_place():
    observed = attacked(k=12)
    defence = Defence("trimmed_mean", beta=3, detector=beyond.improved("median"))
    model, judgement = defence.aggregate(observed)
    assert np.flatnonzero(judgement.flagged).tolist() == [0, 1, 2]
    rest = np.ascontiguousarray(observed.clients[3:])
    assert np.allclose(model, pdrr.trimmed_mean(rest, beta=0))


class Fussy:
    def detect(self, observed):
        raise ValueError(f"Fussy needs 99 models, got {observed.k}")


class Blind:
    """Flags nobody, not even NaN."""

    def detect(self, observed):
        nobody = np.zeros(observed.k)
        return pdrr.Detection(nobody, nobody, nobody > 0, observed.previous)


def test_a_detector_that_wants_more_models_ends_no_run():
    observed = attacked()
    model, judgement = Defence("median", detector=Fussy()).aggregate(observed)
    assert (model == observed.previous).all()
    assert judgement.notes == ("Fussy needs 99 models, got 10: previous model kept",)
    assert not judgement.flagged.any()


def test_nan_never_passes_a_detector_that_overlooks_it():
    observed = attacked(bad=1)
    observed.clients[4, 7] = np.nan
    model, judgement = Defence("median", detector=Blind()).aggregate(observed)
    assert np.flatnonzero(judgement.flagged).tolist() == [4]
    assert np.isfinite(model).all()


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"rule": "mean", "q": 0.5}, ValueError, "needs a rule of"),
        ({"rule": "median"}, TypeError, "needs q, or a detector in its place, got neither"),
        ({"rule": "median", "q": 0.5, "detector": Fussy()}, TypeError, "got both"),
        ({"rule": "median", "q": 1.5}, ValueError, "needs q in"),
        ({"rule": "krum", "q": 0.5}, TypeError, "needs c, got none"),
        ({"rule": "krum", "q": 0.5, "c": 1.0}, ValueError, "a share below 1, got 1.0"),
        ({"rule": "krum", "q": 0.5, "c": float("nan")}, ValueError, "a share below 1, got nan"),
        ({"rule": "krum", "q": 0.5, "c": -1}, ValueError, "c >= 0"),
        ({"rule": "krum", "q": 0.5, "c": "3"}, TypeError, "an integer c"),
        ({"rule": "krum", "q": 0.5, "c": True}, TypeError, "an integer c"),
        ({"rule": "trimmed_mean", "q": 0.5, "beta": 0.5}, ValueError, "below a half"),
        ({"rule": "trimmed_mean", "q": 0.5, "c": 1}, TypeError, "takes no c"),
        ({"rule": "median", "q": 0.5, "beta": 0.1}, TypeError, "takes no beta"),
        ({"rule": "median", "detector": 3}, TypeError, "with detect"),
        ({"rule": "median", "q": 0.5, "reaggregate": "sum"}, ValueError, "same or mean, got 'sum'"),
    ],
)
def test_settings_that_never_work_are_refused_at_once(settings, error, words):
    with pytest.raises(error, match=words):
        Defence(**settings)
