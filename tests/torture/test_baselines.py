"""The paper's rivals keep their word whatever models arrive, or say in a line why they will not."""

import warnings
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.hostile_models import IMAGES, Trainer, answer, counted, own, rng, sent, torture, whole
from pdrr import Round
from pdrr.baselines import DAGMM, ERR, LFR, VAE, err_and_lfr, union
from pdrr.baselines.surrogate import LIMIT, _Surrogate

RULES = ("mean", "krum", "trimmed_mean", "median")
WAYS = ("rule", "mean", "others")
WIDE = 9  # parameters of the models that VAE and DAGMM look at here


def tries(kind, observed, rule, way, c):
    """ERR or LFR with a network that cannot fail, for so many models."""
    beta = own(rule, observed.k - 1) if rule == "trimmed_mean" else {}
    made = kind(rule, network=Trainer(), auxiliary=IMAGES, c=c, rng=rng(), leave_out=way, **beta)
    return made.detect(observed)


@cache
def looking(kind):
    """VAE or DAGMM after a few steps: what they know decides nothing here."""
    snapshots = np.random.default_rng(1).normal(size=(24, WIDE)).astype(np.float32)
    return kind(snapshots, c=1, rng=rng(), epochs=2)


def repeated(case, d=WIDE):
    """The round with d parameters, as many as there are columns and then again."""
    taken = np.resize(np.arange(case.clients.shape[1]), d)
    return Round(case.clients[:, taken], case.previous[taken])


def check(found, observed, flagged):
    """Every model has a score, and as many are flagged as should be."""
    assert found.scores.shape == found.statistic.shape == found.flagged.shape == (observed.k,)
    assert found.scores.dtype == np.float64
    assert not np.isnan(found.scores).any()
    assert found.flagged.sum() == flagged
    assert found.pre_aggregate.shape == observed.previous.shape
    assert np.isfinite(found.pre_aggregate).all()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("rule", RULES)
@torture
@given(case=sent(), data=st.data())
def test_err_lfr_and_union_judge_every_model_or_refuse(rule, way, case, data):
    observed, k = case.round, len(case.clients)
    c = data.draw(st.integers(0, max(0, (k - 4) // 2)))
    before = case.clients.tobytes(), case.previous.tobytes()
    for kind in (ERR, LFR):
        counted(kind.__name__)
        found = answer(tries, kind, observed, rule, way, c)
        if found is None:  # not finite, or too few to leave one out
            assert not case.finite.all() or k < 4
        else:
            assert case.finite.all()
            check(found, observed, c)
    counted("Union")
    beta = own(rule, k - 1) if rule == "trimmed_mean" else {}
    how = {"network": Trainer(), "auxiliary": IMAGES, "c": c, "rng": rng(), "leave_out": way}
    both = answer(lambda: err_and_lfr(observed, rule, **how, **beta))
    assert (both is None) == (found is None)
    if both is not None:
        votes = union(*both)
        assert c <= votes.sum() <= 2 * c
        assert (votes >= both[0].flagged).all()
        assert (votes >= both[1].flagged).all()
    assert before == (case.clients.tobytes(), case.previous.tobytes())


@pytest.mark.parametrize("kind", [VAE, DAGMM])
@torture
@given(case=sent())
def test_vae_and_dagmm_score_every_finite_model_or_refuse(kind, case):
    counted(kind.__name__)
    observed = repeated(case)
    finite = np.isfinite(observed.clients).all()
    found = answer(looking(kind).detect, observed)
    assert (found is None) == (not finite)
    if found is not None:
        check(found, observed, 1)
        assert np.isfinite(found.scores).all()
        np.testing.assert_array_equal(found.pre_aggregate, observed.previous)


@pytest.mark.parametrize("kind", [VAE, DAGMM])
@torture
@given(case=sent(), d=st.integers(1, 2 * WIDE))
def test_vae_and_dagmm_refuse_models_of_another_length(kind, case, d):
    counted(f"{kind.__name__}, length")
    if d != WIDE:
        with pytest.raises(ValueError, match=rf"needs models \[k, {WIDE}\], got"):
            looking(kind).detect(repeated(case, d))


numbers = given(
    seed=st.integers(0, 2**32 - 1), k=st.integers(4, 12), d=st.integers(1, 40), order=st.data()
)


@pytest.mark.parametrize("rule", RULES)
@torture
@numbers
def test_the_order_of_the_clients_changes_no_score(rule, seed, k, d, order):
    counted("ERR and LFR, permutation")
    x = whole(seed, k, d)
    new = np.array(order.draw(st.permutations(range(k))))
    way = order.draw(st.sampled_from(WAYS))
    if rule == "krum" and way == "rule":  # of equal scores it takes the first
        way = "others"
    for kind in (ERR, LFR):
        here = tries(kind, Round(x[:k], x[k]), rule, way, 0).scores
        there = tries(kind, Round(x[new], x[k]), rule, way, 0).scores
        np.testing.assert_allclose(here[new], there, rtol=1e-9, atol=1e-9)


@torture
@numbers
def test_a_power_of_two_changes_no_error_rate(seed, k, d, order):
    counted("ERR, scaling")
    x = whole(seed, k, d)
    rule, way = order.draw(st.sampled_from(RULES)), order.draw(st.sampled_from(WAYS))
    y = x * 2.0 ** order.draw(st.integers(-900, 900))
    here, there = (tries(ERR, Round(z[:k], z[k]), rule, way, 0).scores for z in (x, y))
    np.testing.assert_array_equal(here, there)


@torture
@numbers
def test_neither_scale_nor_place_changes_what_vae_and_dagmm_look_at(seed, k, d, order):
    counted("VAE and DAGMM, scaling and translation")
    x = whole(seed, k, d)
    if k < 2 or not np.ptp(x[:k], axis=0).any():
        return
    scale = 2.0 ** order.draw(st.integers(-1000, 980))
    by = order.draw(st.sampled_from([0.0, 2.0**20]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        here, there = (_Surrogate("VAE", y, d, rng())(y) for y in (x, (x + by) * scale))
    np.testing.assert_allclose(here, there, rtol=1e-6, atol=1e-9)
    assert np.abs(here).max() < LIMIT
