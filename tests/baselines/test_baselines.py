"""VAE, DAGMM, ERR and LFR: leave-one-out against brute force, scores against plain NumPy."""

import subprocess
import sys
from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from scipy.stats import multivariate_normal, norm

import pdrr.core.arrays
from helpers import miniature, oracles
from pdrr import Round, baselines, krum, mean, median, trimmed_mean
from pdrr.baselines.dagmm import DAGMM, mixture_energy
from pdrr.baselines.flagging import flag_largest
from pdrr.baselines.jackknife import equal, first_equal, leave_one_out
from pdrr.baselines.rejection import ERR, LFR, err_and_lfr, union
from pdrr.baselines.surrogate import snapshots
from pdrr.baselines.vae import VAE
from pdrr.core.keras import keras
from pdrr.federation.network import set_flat

AGGREGATE = {"mean": mean, "krum": krum, "trimmed_mean": trimmed_mean, "median": median}
RULES = {"mean": {}, "krum": {"c": 2}, "trimmed_mean": {"beta": 2}, "median": {}}  # for k = 7
every_rule = pytest.mark.parametrize("rule", RULES)


def brute_force(rule, clients, **settings):
    """The rule, run again on every stack that lacks one model."""
    return [AGGREGATE[rule](np.delete(clients, i, axis=0), **settings) for i in range(len(clients))]


def still(clients):
    """A round from zero."""
    return Round(clients, np.zeros_like(clients[0]))


# ------------------------------------------------------------------------------ the largest scores


def test_the_largest_scores_are_flagged():
    flagged = flag_largest(np.array([0.5, -1.0, 3.0, 0.7, np.inf]), 3, np.random.default_rng(0))
    np.testing.assert_array_equal(flagged, [False, False, True, True, True])
    assert flagged.dtype == bool


def test_ties_are_broken_uniformly():
    scores = np.array([1.0, 0.0, 1.0, 1.0, 2.0, 1.0])  # three of the four ones
    times = sum(flag_largest(scores, 4, np.random.default_rng(seed)) for seed in range(2000))
    assert times[4] == 2000
    assert times[1] == 0
    # 1500 each; five standard deviations of a binomial are 97
    assert np.abs(times[scores == 1] - 1500).max() < 97


def test_every_set_of_tied_clients_is_equally_likely():
    drawn = [flag_largest(np.zeros(4), 2, np.random.default_rng(seed)) for seed in range(1200)]
    seen = [tuple(np.flatnonzero(flagged)) for flagged in drawn]
    for pair in combinations(range(4), 2):
        assert abs(seen.count(pair) - 200) < 65


@pytest.mark.parametrize(("c", "scores"), [(-1, [0.0]), (2, [0.0]), (1, [0.0, np.nan])])
def test_what_cannot_be_flagged_is_refused(c, scores):
    with pytest.raises(ValueError, match="flag_largest needs"):
        flag_largest(np.array(scores), c, np.random.default_rng(0))


# ----------------------------------------------------------------------------------- leave one out


@pytest.fixture(params=["on", "off"])
def kernels(request, monkeypatch):
    """Compiled loops, where Numba is installed, and the plain definitions."""
    monkeypatch.setenv("PDRR_KERNELS", request.param)


# the fixture sets what is the same for all examples
both_ways = examples(suppress_health_check=[HealthCheck.function_scoped_fixture])


@both_ways
@given(stack=oracles.stacks(2, 8), data=st.data(), dtype=st.sampled_from([np.float32, np.float64]))
@pytest.mark.usefixtures("kernels")
def test_leave_one_out_is_the_rule_without_the_model(stack, data, dtype):
    clients = stack.astype(dtype)
    k = len(clients)
    cases = [("mean", {}), ("median", {})]
    cases.append(("trimmed_mean", {"beta": data.draw(st.integers(0, (k - 2) // 2))}))
    if k >= 4:
        cases.append(("krum", {"c": data.draw(st.integers(0, k - 4))}))
    for rule, settings in cases:
        without = list(leave_one_out(still(clients), rule, **settings))
        assert all(model.dtype == dtype for model in without)
        for ours, theirs in zip(without, brute_force(rule, clients, **settings), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-6 if dtype == np.float32 else 1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("k", [7, 8])
@pytest.mark.usefixtures("kernels")
def test_leave_one_out_crosses_blocks(k, dtype, monkeypatch):
    monkeypatch.setattr(pdrr.core.arrays, "BLOCK", 16)
    clients = oracles.distinct_values(k, 50, seed=k, dtype=dtype)
    tolerance = 1e-6 if dtype == np.float32 else 1e-14
    for rule, settings in RULES.items():
        without = list(leave_one_out(still(clients), rule, **settings))
        expected = brute_force(rule, clients, **settings)
        np.testing.assert_allclose(without, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.usefixtures("kernels")
def test_leave_one_out_of_equal_values_is_exactly_that_value():
    clients = np.full((5, 3), 0.1)
    clients[0] = 7.3  # trimmed, or left out
    for rule, settings in (("median", {}), ("trimmed_mean", {"beta": 1})):
        for model in leave_one_out(still(clients), rule, **settings):
            np.testing.assert_array_equal(model, np.full(3, 0.1))


@pytest.mark.usefixtures("kernels")
def test_leave_one_out_needs_little_memory_beside_the_models(monkeypatch):
    tracemalloc = pytest.importorskip("tracemalloc")
    monkeypatch.setattr(pdrr.core.arrays, "BLOCK", 1024)
    clients = oracles.distinct_values(40, 50_000, seed=1, dtype=np.float32)
    observed = still(clients)
    list(leave_one_out(still(clients[:, :5000]), "trimmed_mean", beta=10))  # loads, compiles
    tracemalloc.start()
    for _ in leave_one_out(observed, "trimmed_mean", beta=10):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < clients.nbytes / 2


def test_leave_one_out_works_on_every_array_library(xp):
    clients = oracles.distinct_values(7, 12, seed=4)
    observed = Round(xp.asarray(clients), xp.zeros(12, dtype=xp.float64))
    for rule, settings in RULES.items():
        without = [np.asarray(m) for m in leave_one_out(observed, rule, **settings)]
        np.testing.assert_allclose(without, brute_force(rule, clients, **settings), atol=1e-14)


def test_leave_one_out_refuses_at_the_call():
    clients = oracles.distinct_values(5, 4, seed=1)
    for rule, settings, words in (
        ("bulyan", {"c": 1}, "needs a rule of mean, krum, trimmed_mean, median, got 'bulyan'"),
        ("trimmed_mean", {"beta": 2}, "2\\*beta < k, got beta=2 for k=4"),
        ("krum", {"c": 2}, "got c=2 for k=4"),
    ):
        with pytest.raises(ValueError, match=words):
            leave_one_out(still(clients), rule, **settings)
    clients[3, 1] = np.inf
    with pytest.raises(ValueError, match=r"rows \[3\]"):
        leave_one_out(still(clients), "mean")


# -------------------------------------------------------------------------------------- ERR and LFR


class Linear:
    """Stands for a trainer and its network: a flat model [6] is a linear classifier 2 -> 3."""

    def __init__(self):
        self.tried = 0

    def logits(self, model, x):
        self.tried += 1
        with np.errstate(over="ignore", invalid="ignore"):
            return x @ model.reshape(2, 3)

    def error(self, model, x, y):
        return float(np.mean(np.argmax(x @ model.reshape(2, 3), axis=1) != y))

    def loss(self, model, x, y):
        logits = x.astype(np.float64) @ model.reshape(2, 3)
        chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        return float(-np.log(chances[np.arange(len(y)), y]).mean())


@pytest.fixture(scope="module")
def linear():
    return Linear()


@pytest.fixture(scope="module")
def auxiliary():
    rng = np.random.default_rng(5)
    x = rng.normal(size=(40, 2)).astype(np.float32)
    return x, np.argmax(x @ rng.normal(size=(2, 3)), axis=1)


def rejection(kind, rule, linear, auxiliary, seed=0, **changes):
    settings = {"c": 2, "rng": np.random.default_rng(seed), **changes}
    if rule == "trimmed_mean":
        settings.setdefault("beta", 2)
    return kind(rule, network=linear, auxiliary=auxiliary, **settings)


@every_rule
@pytest.mark.parametrize("leave_out", ["rule", "mean"])
@pytest.mark.parametrize("kind", [ERR, LFR])
def test_impacts_are_those_of_brute_force(kind, leave_out, rule, linear, auxiliary):
    clients = oracles.distinct_values(7, 6, seed=8, dtype=np.float32)
    found = rejection(kind, rule, linear, auxiliary, leave_out=leave_out).detect(still(clients))
    used = rule if leave_out == "rule" else "mean"
    measure = linear.error if kind is ERR else linear.loss
    everyone = AGGREGATE[used](clients, **RULES[used])
    without = brute_force(used, clients, **RULES[used])
    expected = [measure(everyone, *auxiliary) - measure(model, *auxiliary) for model in without]
    np.testing.assert_allclose(found.statistic, expected, atol=1e-6)
    np.testing.assert_array_equal(found.scores, found.statistic)
    np.testing.assert_array_equal(found.pre_aggregate, everyone)
    assert found.scores.dtype == np.float64
    assert found.flagged.sum() == 2
    assert found.scores[found.flagged].min() >= found.scores[~found.flagged].max()


@pytest.mark.parametrize("kind", [ERR, LFR])
def test_a_model_that_does_harm_is_found(kind, linear, auxiliary):
    rng = np.random.default_rng(5)
    rng.normal(size=(40, 2))
    truth = rng.normal(size=(2, 3)).ravel()  # the classifier that made the labels
    clients = truth + 0.1 * rng.normal(size=(7, 6))
    clients[4] = -20 * truth
    found = rejection(kind, "mean", linear, auxiliary, c=1).detect(still(clients))
    np.testing.assert_array_equal(np.flatnonzero(found.flagged), [4])


def test_krum_leaves_ties_that_are_broken_uniformly(linear, auxiliary):
    clients = oracles.distinct_values(9, 6, seed=2, dtype=np.float32)
    models = [krum(clients, c=2), *brute_force("krum", clients, c=2)]
    distinct = len({model.tobytes() for model in models})
    before, flagged, scores = linear.tried, np.zeros(9), []
    for seed in range(300):
        found = rejection(ERR, "krum", linear, auxiliary, seed).detect(still(clients))
        flagged += found.flagged
        scores.append(found.scores)
    assert (
        linear.tried - before == 300 * distinct
    )  # a row that is selected again is not tried again
    assert (np.ptp(scores, axis=0) == 0).all()
    tied, above = scores[0] == 0, int((scores[0] > 0).sum())
    assert tied.sum() >= 6
    assert above < 2
    each = 300 * (2 - above) / tied.sum()
    assert np.abs(flagged[tied] - each).max() < 4 * np.sqrt(each)


@pytest.mark.parametrize("d", [1, 5, 300, 1000])
def test_of_equal_models_the_first_stands_for_all(d):
    models = np.random.default_rng(d).integers(0, 2, (9, d)).astype(np.float32)
    models[[4, 7]] = models[2]
    models[5] = models[3]
    models[5, -1] += 1  # so that only one coordinate, perhaps not a sampled one, differs
    found = first_equal(models)
    assert found == [min(j for j in range(9) if (models[j] == models[i]).all()) for i in range(9)]
    assert [equal(models[i], models[3]) for i in range(9)] == [
        bool((model == models[3]).all()) for model in models
    ]


@every_rule
def test_the_same_aggregate_is_tried_once(rule, linear, auxiliary):
    clients = oracles.distinct_values(9, 6, seed=2, dtype=np.float32)
    clients[[4, 7]] = clients[2]
    before = linear.tried
    found = rejection(ERR, rule, linear, auxiliary).detect(still(clients))
    models = [AGGREGATE[rule](clients, **RULES[rule]), *brute_force(rule, clients, **RULES[rule])]
    assert linear.tried - before <= 8  # that of all, and without each of seven distinct models
    if rule == "krum":
        assert linear.tried - before == len({model.tobytes() for model in models})
    assert found.scores[4] == found.scores[7] == found.scores[2]


def test_a_model_that_did_not_move_has_no_impact_alone(linear, auxiliary):
    observed = still(oracles.distinct_values(7, 6, seed=8, dtype=np.float32))
    observed.clients[3] = observed.previous
    before = linear.tried
    found = rejection(LFR, "median", linear, auxiliary, leave_out="others").detect(observed)
    assert found.scores[3] == 0
    assert linear.tried - before == 7  # w_p, and the six that moved


@every_rule
@pytest.mark.parametrize("kind", [ERR, LFR])
def test_permuting_clients_permutes_impacts(kind, rule, linear, auxiliary):
    clients = oracles.distinct_values(7, 6, seed=3, dtype=np.float32)
    order = np.random.default_rng(1).permutation(7)
    scores = rejection(kind, rule, linear, auxiliary).detect(still(clients)).scores
    permuted = rejection(kind, rule, linear, auxiliary).detect(still(clients[order])).scores
    np.testing.assert_allclose(permuted, scores[order], atol=1e-6)


def test_a_loss_that_overflows_is_the_largest_loss(linear, auxiliary):
    clients = np.ones((5, 6), np.float32)
    clients[2] = np.float32(3e38) * np.array([1, -1, 1, -1, 1, -1])
    found = rejection(LFR, "mean", linear, auxiliary, c=1).detect(still(clients))
    assert not np.isnan(found.scores).any()
    assert found.flagged[2]


def test_lfr_on_the_network_itself():
    trainer = miniature.trainer(
        filters=(2, 3), units=8, batch=10, epochs=1, learning_rate=0.5, seed=3
    )
    x, y = miniature.dataset().auxiliary()
    clients = trainer.initial + 0.1 * oracles.distinct_values(4, len(trainer.initial), 1)
    clients = clients.astype(np.float32)
    found = LFR(
        "median", network=trainer, auxiliary=(x, y), c=1, rng=np.random.default_rng(0)
    ).detect(still(clients))
    loss = []
    for model in [median(clients), *brute_force("median", clients)]:
        set_flat(trainer.network, model)
        loss.append(trainer.network.evaluate(x, y, verbose=0))
    np.testing.assert_allclose(found.scores, loss[0] - np.array(loss[1:]), atol=1e-5)


@pytest.mark.parametrize("kind", [ERR, LFR])
def test_models_tried_alone_have_the_harm_that_they_do(kind, linear, auxiliary):
    observed = still(oracles.distinct_values(7, 6, seed=8, dtype=np.float32))
    found = rejection(kind, "median", linear, auxiliary, leave_out="others").detect(observed)
    measure = linear.error if kind is ERR else linear.loss
    harm = [measure(model, *auxiliary) for model in observed.clients]
    expected = np.array(harm) - measure(observed.previous, *auxiliary)
    np.testing.assert_allclose(found.scores, expected, atol=1e-6)
    np.testing.assert_array_equal(found.pre_aggregate, median(observed.clients))


@every_rule
def test_both_rejections_from_one_set_of_trials_are_those_of_each(rule, linear, auxiliary):
    observed = still(oracles.distinct_values(7, 6, seed=8, dtype=np.float32))
    own = {"beta": 2} if rule == "trimmed_mean" else {}
    settings = {"network": linear, "auxiliary": auxiliary, "c": 2, **own}
    found = err_and_lfr(observed, rule, rng=np.random.default_rng(0), **settings)
    for kind, both in zip((ERR, LFR), found, strict=True):
        alone = kind(rule, rng=np.random.default_rng(0), **settings).detect(observed)
        np.testing.assert_array_equal(both.scores, alone.scores)
    assert not np.array_equal(found[0].scores, found[1].scores)


def test_union_flags_what_either_flags():
    err = SimpleNamespace(flagged=np.array([True, True, False, False]))
    lfr = SimpleNamespace(flagged=np.array([True, False, True, False]))
    np.testing.assert_array_equal(union(err, lfr), [True, True, True, False])


def test_err_and_lfr_refuse(linear, auxiliary):
    for words, rule, changes in (
        ("ERR needs a rule of .*, got 'bulyan'", "bulyan", {}),
        ("leave_out rule, mean or others, got 'all'", "mean", {"leave_out": "all"}),
        ("ERR needs c >= 0, got -1", "mean", {"c": -1}),
        ("got 40 images and 3 labels", "mean", {"auxiliary": (auxiliary[0], auxiliary[1][:3])}),
    ):
        with pytest.raises(ValueError, match=words):
            ERR(
                rule,
                **{
                    "network": linear,
                    "auxiliary": auxiliary,
                    "c": 1,
                    "rng": np.random.default_rng(0),
                    **changes,
                },
            )
    for rule, beta in (("mean", 2), ("trimmed_mean", None)):
        with pytest.raises(TypeError, match="beta for the trimmed mean only"):
            rejection(ERR, rule, linear, auxiliary, beta=beta)
    clients = oracles.distinct_values(7, 6, seed=3)
    clients[[1, 5], 2] = np.nan
    with pytest.raises(ValueError, match=r"LFR needs finite models, .* rows \[1, 5\]"):
        rejection(LFR, "mean", linear, auxiliary).detect(still(clients))


# ------------------------------------------------------------------------------------ VAE and DAGMM

D, OUTLIER = 200, 7
both = pytest.mark.parametrize("kind", [VAE, DAGMM])


def drawn(n, rng):
    """Models around a circle."""
    basis = np.random.default_rng(0).normal(size=(2, D))
    angle = rng.uniform(0, 2 * np.pi, size=(n, 1))
    models = (
        5 + 2 * np.hstack([np.cos(angle), np.sin(angle)]) @ basis + 0.3 * rng.normal(size=(n, D))
    )
    return models.astype(np.float32)


def build(kind, seed=1, **changes):
    return kind(
        drawn(128, np.random.default_rng(1)),
        **{"c": 1, "rng": np.random.default_rng(seed), "epochs": 50, **changes},
    )


@pytest.fixture(scope="module")
def built():
    return {kind: build(kind) for kind in (VAE, DAGMM)}


@pytest.fixture(scope="module")
def observed():
    """Twenty models, one of them off the circle."""
    rng = np.random.default_rng(2)
    clients = drawn(20, rng)
    clients[OUTLIER] = 5 + rng.normal(size=D) * 2
    return still(clients)


@both
def test_a_planted_outlier_is_found(kind, built, observed):
    found = built[kind].detect(observed)
    np.testing.assert_array_equal(np.flatnonzero(found.flagged), [OUTLIER])
    np.testing.assert_array_equal(found.scores, found.statistic)
    np.testing.assert_array_equal(found.pre_aggregate, observed.previous)
    assert found.scores.dtype == np.float64


@both
def test_scoring_twice_gives_the_same_scores(kind, built, observed):
    first, second = (built[kind].detect(observed).scores for _ in range(2))
    np.testing.assert_array_equal(first, second)


@both
def test_equal_models_get_equal_scores(kind, built, observed):
    """No noise of a model's own: neither dropout nor another sample of z."""
    clients = np.repeat(observed.clients[:1], 8, axis=0)
    scores = built[kind].detect(still(clients)).scores
    np.testing.assert_allclose(scores, scores[0], rtol=1e-5)


@both
def test_scores_do_not_depend_on_the_order_of_clients(kind, built, observed):
    order = np.random.default_rng(3).permutation(20)
    scores = built[kind].detect(observed).scores
    permuted = built[kind].detect(still(observed.clients[order])).scores
    np.testing.assert_allclose(permuted, scores[order], rtol=1e-4, atol=1e-4)


@both
def test_seeds_and_chosen_coordinates_decide_everything(kind, observed):
    once, again, other = (build(kind, seed, epochs=1, coordinates=50) for seed in (4, 4, 5))
    scores = once.detect(observed).scores
    np.testing.assert_array_equal(again.detect(observed).scores, scores)
    assert (other.detect(observed).scores != scores).any()
    chosen = once.surrogate.chosen
    assert len(set(chosen)) == 50
    assert set(chosen) != set(other.surrogate.chosen)
    clients = observed.clients.copy()
    clients[:, np.delete(np.arange(D), chosen)] = 9  # nobody looks there
    np.testing.assert_array_equal(once.detect(still(clients)).scores, scores)


@both
def test_any_finite_model_has_a_score(kind, built, observed):
    clients = observed.clients.copy()
    clients[3], clients[4] = 1e30, -1e30 * np.sign(clients[4])
    assert np.isfinite(built[kind].detect(still(clients)).scores).all()


def test_coordinates_that_never_moved_are_standardised_with_a_floor():
    models = drawn(32, np.random.default_rng(1))
    models[:, :100] = 0.1
    detector = VAE(models, c=1, rng=np.random.default_rng(0), epochs=1)
    assert np.isfinite(detector.detect(still(models)).scores).all()
    assert detector.surrogate.scale.min() > 0.05 * detector.surrogate.scale.mean()


@both
def test_scores_work_on_every_array_library(kind, built, observed, xp):
    elsewhere = Round(xp.asarray(observed.clients), xp.asarray(observed.previous))
    found = built[kind].detect(elsewhere)
    assert all(type(part) is type(elsewhere.clients) for part in (found.scores, found.flagged))
    np.testing.assert_array_equal(np.asarray(found.scores), built[kind].detect(observed).scores)


@both
def test_vae_and_dagmm_refuse(kind, built, observed):
    name = kind.__name__
    models, rng = drawn(8, np.random.default_rng(1)), np.random.default_rng(0)
    own = {"samples": 0} if kind is VAE else {"components": 0}
    for stack, changes in (
        (models[:1], {}),
        (models[[0, 0, 0]], {}),
        (models * np.nan, {}),
        (models, {"c": -1}),
        (models, {"coordinates": 0}),
        (models, own),
    ):
        with pytest.raises(ValueError, match=f"{name} needs"):
            kind(stack, **{"c": 1, "rng": rng, **changes})
    for changes in ({"epochs": -1}, {"batch": 1}):
        with pytest.raises(ValueError, match="training needs"):
            kind(models, **{"c": 1, "rng": rng, **changes})
    clients = observed.clients.copy()
    clients[5, 0] = np.inf
    with pytest.raises(ValueError, match=rf"{name} needs finite models, .* rows \[5\]"):
        built[kind].detect(still(clients))
    with pytest.raises(ValueError, match=rf"{name} needs models \[k, 200\], got \(20, 9\)"):
        built[kind].detect(still(observed.clients[:, :9]))


def test_the_reconstruction_probability_is_that_of_its_definition(built, observed):
    vae = built[VAE]
    x = vae.surrogate(observed.clients)
    mean_, deviation = (keras.ops.convert_to_numpy(part) for part in vae.network.encode(x))
    expected = np.zeros(20)
    for noise in vae.noise:
        z = mean_ + deviation * noise
        centre, sigma = (keras.ops.convert_to_numpy(part) for part in vae.network.decode(z))
        expected -= norm.logpdf(x, centre, sigma).sum(1) / len(vae.noise)
    np.testing.assert_allclose(vae.detect(observed).scores, expected, rtol=1e-3)
    assert vae.noise.shape == (10, 100)


def direct_energy(z, phi, mu, sigma):
    """Minus the log of a sum of densities, each by SciPy."""
    parts = zip(phi, mu, sigma, strict=True)
    jitter = 1e-6 * np.eye(z.shape[1])
    return -np.log(sum(p * multivariate_normal.pdf(z, m, s + jitter) for p, m, s in parts))


def test_energy_is_the_log_density_of_a_gaussian_mixture():
    rng = np.random.default_rng(0)
    factors = rng.normal(size=(3, 4, 4))
    sigma = factors @ factors.transpose(0, 2, 1)
    z, mu, phi = rng.normal(size=(10, 4)), rng.normal(size=(3, 4)), np.array([0.2, 0.5, 0.3])
    energy = keras.ops.convert_to_numpy(mixture_energy(z, phi, mu, sigma))
    exact = energy.dtype == np.float64  # some backends have single precision only
    np.testing.assert_allclose(
        energy, direct_energy(z, phi, mu, sigma), rtol=1e-10 if exact else 1e-3
    )


def test_energy_of_a_singular_covariance_and_a_far_point_is_finite():
    z = np.array([[0.0, 0.0], [1e4, -1e4]])
    sigma = np.array([[[1.0, 1.0], [1.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]]])
    energy = keras.ops.convert_to_numpy(mixture_energy(z, np.array([1.0, 0.0]), z, sigma))
    assert np.isfinite(energy).all()
    assert energy[1] > energy[0]


def test_the_mixture_is_fitted_to_all_snapshots_without_dropout(built, observed):
    dagmm = built[DAGMM]
    z, _ = dagmm.network.encode(dagmm.surrogate(drawn(128, np.random.default_rng(1))))
    gamma = dagmm.network.estimator(z, training=False)
    z, gamma = (keras.ops.convert_to_numpy(part).astype(float) for part in (z, gamma))
    for m, (phi, mu, sigma) in enumerate(zip(*dagmm.mixture, strict=True)):
        assert phi == pytest.approx(gamma[:, m].mean(), rel=1e-4)
        np.testing.assert_allclose(mu, np.average(z, axis=0, weights=gamma[:, m]), atol=1e-5)
        covariance = np.cov(z.T, aweights=gamma[:, m], ddof=0)
        np.testing.assert_allclose(sigma, covariance, atol=1e-5)
    codes, _ = dagmm.network.encode(dagmm.surrogate(observed.clients))
    codes = keras.ops.convert_to_numpy(codes).astype(float)
    np.testing.assert_allclose(
        np.delete(dagmm.detect(observed).scores, OUTLIER),
        np.delete(direct_energy(codes, *dagmm.mixture), OUTLIER),
        rtol=1e-2,
        atol=1e-2,
    )


# --------------------------------------------------------------------------------- auxiliary images


def test_auxiliary_images_are_no_clients_training_images():
    data = miniature.dataset()
    auxiliary, _ = data.auxiliary()
    held = {image.tobytes() for i in range(len(data)) for image in data.train(i)[0]}
    assert len(auxiliary) > 0
    assert not held & {image.tobytes() for image in auxiliary}


def test_snapshots_are_a_seeded_way_through_training():
    trainer = miniature.trainer(
        filters=(2, 3), units=8, batch=10, epochs=1, learning_rate=0.5, seed=3
    )
    images = miniature.dataset().train(0)

    def take(seed):
        return snapshots(trainer, images, count=4, rng=np.random.default_rng(seed))

    taken = take(1)
    assert taken.shape == (4, len(trainer.initial))
    assert taken.dtype == np.float32
    way = np.diff([trainer.initial, *taken], axis=0)
    assert (np.abs(way).max(1) > 0).all()  # each goes on from the one before
    np.testing.assert_array_equal(take(1), taken)
    assert (take(2)[0] != taken[0]).any()
    further = snapshots(trainer, images, count=1, rng=np.random.default_rng(1), start=taken[3])
    assert (np.abs(further[0] - taken[3]) < np.abs(further[0] - trainer.initial)).mean() > 0.5
    few = DAGMM(taken, c=1, rng=np.random.default_rng(0), epochs=1)  # fewer than values in a code
    assert few.detect(still(taken)).flagged.sum() == 1
    with pytest.raises(ValueError, match="count >= 1 and two images, got 0 and 13"):
        snapshots(trainer, images, count=0, rng=np.random.default_rng(0))


@both
def test_named_coordinates_are_those_looked_at(kind):
    models = drawn(40, np.random.default_rng(1)).astype(np.float32)
    named = np.array([150, 3, 77, 3])
    found = kind(models, c=1, rng=np.random.default_rng(0), epochs=1, coordinates=named)
    np.testing.assert_array_equal(found.surrogate.chosen, [3, 77, 150])
    for wrong in (np.array([0, D]), np.array([-1]), np.array([], int)):
        with pytest.raises(ValueError, match=f"coordinates from 0 to {D - 1}"):
            kind(models, c=1, rng=np.random.default_rng(0), coordinates=wrong)


WITHOUT_KERAS = """
import sys
sys.modules["keras"] = None
import subprocess
import sys

import numpy as np
from pdrr import baselines
print(baselines.flag_largest(np.array([0.0, 2.0, 1.0]), 1, np.random.default_rng(0)).tolist())
try:
    baselines.VAE
except ImportError as error:
    print(error.name)
"""


def test_keras_is_needed_only_where_vae_or_dagmm_is_asked_for():
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_KERAS], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["[False, True, False]", "keras"]


def test_names_that_the_package_does_not_have_are_refused():
    with pytest.raises(AttributeError, match="has no attribute 'GAN'"):
        _ = baselines.GAN
