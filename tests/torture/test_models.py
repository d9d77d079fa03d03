"""Whatever models arrive: each public function keeps its word, or says in a line why it will not.

PDRR_TORTURE is how many cases of each property are tried: `make torture` takes many.
"""

import os
import warnings
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pdrr
import pdrr.core.arrays
from helpers import oracles
from helpers.hostile_models import (
    AGGREGATORS,
    DETECTORS,
    JUDGES,
    LEFT_OUT,
    SERVING,
    answer,
    at_home,
    attack,
    c_of,
    counted,
    homes,
    left_out,
    own,
    rejected,
    sent,
    torture,
    whole,
)  # fmt: skip
from pdrr import PDRR, Round
from pdrr.core.arrays import to_host
from pdrr.core.checks import ROOM
from pdrr.core.distances import bulyan_picks
from pdrr.core.kernels import pieces
from pdrr.experiments import attacking

RULES = ("krum", "trimmed_mean", "median")


@pytest.fixture(autouse=True, params=["on", "off"])
def kernels(request, monkeypatch):
    """With the compiled loops and without."""
    monkeypatch.setenv("PDRR_KERNELS", request.param)


def bits(case):
    return case.clients.tobytes(), case.previous.tobytes()


def between(model, clients):
    """Whether an aggregate lies between its models, and is finite: up to the last digits."""
    low, high = clients.min(0).astype(np.float64) / 2, clients.max(0).astype(np.float64) / 2
    slack = 4 * np.finfo(model.dtype).eps * np.maximum(np.abs(low), np.abs(high))
    x = model.astype(np.float64) / 2
    return bool(((x >= low - slack) & (x <= high + slack)).all())


def few(case):
    """Whether hardly any model is left that everybody can work with."""
    with np.errstate(invalid="ignore"):
        return (np.abs(case.clients) < ROOM).all(axis=1).sum() < 4


def check_detection(case, found):
    """A verdict is complete: every model has a score, those that are not finite are flagged."""
    k, d = case.clients.shape
    statistic, scores, flagged = map(to_host, (found.statistic, found.scores, found.flagged))
    assert scores.shape == flagged.shape == statistic.shape == (k,)
    assert not np.isnan(scores).any()
    assert flagged[~case.finite].all()
    if not case.finite.all():
        assert any("finite" in note for note in found.notes)
        assert (scores[~case.finite] == scores.max()).all()
    assert found.pre_aggregate.shape == (d,)
    assert np.isfinite(found.pre_aggregate).all()


# every function works or refuses; what it gives is finite


@pytest.mark.parametrize("name", AGGREGATORS)
@torture
@given(case=sent())
def test_an_aggregate_is_finite_or_the_rows_that_are_not_are_named(name, case):
    counted(name)
    before = bits(case)
    model = answer(AGGREGATORS[name], case.clients)
    assert bits(case) == before
    if model is None:  # k too small for it, or models that are not finite
        assert not case.finite.all() or len(case.clients) < 3
        return
    assert case.finite.all()
    assert model.shape == case.previous.shape
    assert model.dtype == case.clients.dtype
    assert between(model, case.clients)


@pytest.mark.parametrize("name", DETECTORS)
@torture
@given(case=sent())
def test_a_detector_judges_every_model_and_leaves_a_finite_aggregate(name, case):
    counted(name)
    before, observed = bits(case), case.round
    found = answer(lambda: DETECTORS[name](observed).detect(observed))
    if found is None:
        assert few(case) or (name in JUDGES and np.abs(case.previous).max() >= ROOM)
    else:
        check_detection(case, found)
    both = answer(lambda: DETECTORS[name](observed).aggregate(observed))
    if both is not None:
        check_detection(case, both[1])
        assert both[0].shape == case.previous.shape
        assert both[0].dtype == case.previous.dtype
        assert np.isfinite(both[0]).all()
    assert bits(case) == before


@pytest.mark.parametrize("name", SERVING)
@torture
@given(case=sent())
def test_a_server_always_has_a_next_model(name, case):
    counted(name)
    model, judged = SERVING[name](None).aggregate(case.round)
    assert np.isfinite(model).all()
    assert judged.flagged[~case.finite].all()


@pytest.mark.parametrize("rule", LEFT_OUT)
@torture
@given(case=sent(min_k=2))
def test_the_rule_without_each_model_is_finite(rule, case):
    counted(f"leave_one_out, {rule}")
    models = answer(left_out, case.round, rule)
    if models is None:
        assert not case.finite.all() or len(case.clients) < 4
        return
    assert len(models) == len(case.clients)
    for i, model in enumerate(models):
        rest = np.delete(case.clients, i, axis=0)
        assert between(model, rest)
    counted(f"LFR, {rule}")
    found = answer(rejected, case.round, rule)
    assert found is None or not np.isnan(found.scores).any()


@pytest.mark.parametrize("knowledge", ["full", "partial"])
@pytest.mark.parametrize("name", attacking.attacks())
@torture
@given(case=sent(min_k=2, spoiled=("nan", "large", "tiny", "tiny")), share=st.floats(0, 1))
def test_an_attack_sends_finite_models_and_touches_no_others(name, knowledge, case, share):
    counted(f"attack {name}")
    k = len(case.clients)
    byzantine = np.arange(k) < np.clip(round(share * k), 1, k - 1)
    before = bits(case)
    crafted = answer(attack, name, case.round, byzantine, knowledge)
    assert bits(case) == before
    if crafted is None:
        return
    assert case.finite.all()
    seen = crafted.observed.clients
    assert np.isfinite(seen).all()
    assert (seen[~byzantine] == case.clients[~byzantine]).all()


@torture
@given(case=sent(min_k=2), seed=st.integers(0, 99))
def test_metrics_take_any_scores_but_nan(case, seed):
    counted("metrics")
    scores = case.clients[:, 0]
    byzantine = np.random.default_rng(seed).random(len(scores)) < 0.5
    for metric in (pdrr.auc, pdrr.q_range, lambda s, b: pdrr.by_lot(s, b, len(s) // 2)):
        found = answer(metric, scores, byzantine)
        refused = np.isnan(scores).any() or byzantine.all() or not byzantine.any()
        assert refused or found is not False
    low_high = answer(pdrr.q_range, scores, byzantine)
    assert low_high is None or 0 <= low_high[0] < low_high[1] <= 1


# size decides nothing


def exact_scores(clients, neighbours):
    return oracles.krum_scores(oracles.squared_distances(clients), neighbours)


@torture
@given(case=sent(min_k=3, max_k=8, max_d=5, spoiled=("large", "tiny")), data=st.data())
def test_krum_selects_a_model_of_the_smallest_exact_score(case, data):
    counted("krum, exactly")
    clients = case.clients[:, :9]
    k, c = len(clients), data.draw(st.integers(0, len(clients) - 3))
    scores = exact_scores(clients, k - c - 2)
    for previous in (None, case.previous[:9]):
        best = pdrr.aggregators.krum_index(clients, c=c, previous=previous)
        assert scores[best] <= min(scores) * (1 + Fraction(1, 10**6))
    chosen = PDRR("krum", c=c, q=1).detect(Round(clients, case.previous[:9])).pre_aggregate
    assert (clients[best] == chosen).all()
    if k >= c + 4:
        for i, model in enumerate(pdrr.baselines.leave_one_out(case_round(case), "krum", c=c)):
            rest = np.delete(clients, i, axis=0)
            scores = exact_scores(rest, k - c - 3)
            own = [s for s, r in zip(scores, rest, strict=True) if (r == model[:9]).all()]
            assert min(own) <= min(scores) * (1 + Fraction(1, 10**6))


def case_round(case):
    return Round(np.ascontiguousarray(case.clients[:, :9]), case.previous[:9])


@torture
@given(case=sent(min_k=7, max_k=9, max_d=4, spoiled=("large", "tiny")))
def test_bulyan_picks_models_of_the_smallest_exact_scores(case):
    counted("bulyan, exactly")
    clients, picked = case.clients[:, :6], []

    def kept(*arguments):
        picked.extend(bulyan_picks(*arguments).tolist())
        return np.array(picked)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pdrr.aggregators, "bulyan_picks", kept)
        pdrr.bulyan(clients, c=1)
    left = list(range(len(clients)))
    assert len(picked) == len(clients) - 2
    for pick in picked:
        scores = exact_scores(clients[left], max(1, len(left) - 3))
        assert scores[left.index(pick)] <= min(scores) * (1 + Fraction(1, 10**6))
        left.remove(pick)


def decisions(observed, rule):
    """What PDRR decides: statistic, scores, who is flagged."""
    found = PDRR(rule, q=0.8, **own(rule, observed.k)).detect(observed)
    return [to_host(x) for x in (found.statistic, found.scores, found.flagged)]


rounds_of_whole = given(
    seed=st.integers(0, 2**32 - 1),
    k=st.integers(3, 12),
    d=st.integers(1, 300),
    rule=st.sampled_from(RULES),
    data=st.data(),
)


@torture
@rounds_of_whole
def test_a_power_of_two_changes_no_decision(seed, k, d, rule, data):
    counted("scaling")
    wide = data.draw(st.booleans())
    x = whole(seed, k, d, np.float64 if wide else np.float32)
    scale = 2.0 ** data.draw(st.integers(-1000, 990) if wide else st.integers(-120, 100))
    y = (x * scale).astype(x.dtype)
    here, there = Round(x[:k], x[k]), Round(y[:k], y[k])
    for a, b in zip(decisions(here, rule), decisions(there, rule), strict=True):
        np.testing.assert_array_equal(a, b)
    c = c_of(k)
    chosen = (
        pdrr.aggregators.krum_index(r.clients, c=c, previous=r.previous) for r in (here, there)
    )
    assert len(set(chosen)) == 1
    for name in ("median", "krum", "bulyan"):
        if name != "bulyan" or k >= 3 + 4 * max(0, (k - 3) // 4):
            one, other = AGGREGATORS[name](x[:k]), AGGREGATORS[name](y[:k])
            np.testing.assert_allclose(other / scale, one, rtol=1e-6 if not wide else 1e-14)


@torture
@rounds_of_whole
def test_a_translation_changes_no_decision(seed, k, d, rule, data):
    counted("translation")
    x = whole(seed, k, d)
    by = float(data.draw(st.integers(-(2**40), 2**40)))
    moved = Round(x[:k] + by, x[k] + by)
    for a, b in zip(decisions(Round(x[:k], x[k]), rule), decisions(moved, rule), strict=True):
        np.testing.assert_array_equal(a, b)


@torture
@rounds_of_whole
def test_the_order_of_the_clients_changes_no_decision(seed, k, d, rule, data):
    counted("permutation")
    x = whole(seed, k, d)
    order = np.random.default_rng(data.draw(st.integers(0, 99))).permutation(k)
    scores = exact_scores(x[:k, :], k - c_of(k) - 2) if d < 9 and k < 9 else None
    if rule == "krum" and (scores is None or scores.count(min(scores)) > 1):
        rule = "median"  # of equal scores Krum takes the first
    here = decisions(Round(x[:k], x[k]), rule)
    there = decisions(Round(x[order], x[k]), rule)
    for a, b in zip(here, there, strict=True):
        np.testing.assert_allclose(a[order], b, rtol=1e-12)


WAYS = ("float32", "block", "threads", "map", "kernels", *homes())


@torture
@given(case=sent(min_k=3, max_d=300), rule=st.sampled_from(RULES), way=st.sampled_from(WAYS))
def test_no_other_way_to_the_same_numbers_changes_a_decision(case, rule, way, tmp_path_factory):
    counted(f"way: {way}")
    if way == "jax.numpy" and not jax_has_float64():
        return
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        here = decisions(case.round, rule)
        with pytest.MonkeyPatch.context() as patch:
            there = decisions(elsewhere(case, way, patch, tmp_path_factory), rule)
    for a, b in zip(here, there, strict=True):
        if a.dtype == bool:
            np.testing.assert_array_equal(a, b)
        else:
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def jax_has_float64():
    import jax

    return jax.config.jax_enable_x64


def elsewhere(case, way, patch, folders):
    """The same round, or the same round looked at another way."""
    x, p = case.clients, case.previous
    if way == "float32":  # the same numbers in the wider type
        return Round(x.astype(np.float64), p.astype(np.float64))
    if way == "block":
        patch.setattr(pdrr.core.arrays, "BLOCK", 7)
    elif way == "threads":
        patch.setattr(pdrr.core.arrays, "BLOCK", 32)
        patch.setattr(pieces, "processors", lambda: 2)
    elif way == "map":
        path = folders.mktemp("map") / "x.npy"
        np.save(path, x)
        x = np.load(path, mmap_mode="r")
    elif way == "kernels":
        patch.setenv("PDRR_KERNELS", "off" if os.environ["PDRR_KERNELS"] == "on" else "on")
    elif way in homes():
        moved = at_home(case, homes()[way])
        return Round(moved.clients, moved.previous)
    return Round(x, p)


@pytest.fixture(autouse=True, scope="module")
def wide_jax():
    """JAX with float64: without it, it is refused."""
    try:
        import jax
    except ImportError:
        yield
        return
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)
