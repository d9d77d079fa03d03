"""All schemes on one attacked round: every number follows from the others, or from brute force."""

import time
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from helpers import miniature
from pdrr import config
from pdrr.aggregators import AGGREGATORS
from pdrr.baselines.rejection import Rejection
from pdrr.core.rules import DEFENDED
from pdrr.experiments import alone, clock, comparison, scene, schemes
from pdrr.experiments.server import Server, find
from pdrr.federation import rounds
from pdrr.federation.rounds import Federation
from pdrr.federation.store import Store
from pdrr.federation.streams import byzantine
from pdrr.methods import Scheme
from pdrr.metrics import far, mar, q_range
from pdrr.types import Detection

pytestmark = pytest.mark.usefixtures("small")

SMOKE = config.load("smoke")
K, C = SMOKE.federation.k, SMOKE.federation.c
OWN = {"krum": {"c": C}, "trimmed_mean": {"beta": SMOKE.defense.beta}, "median": {}}
SCHEMES = schemes.usual()
READINGS = {reading for entry in schemes.IN_THE_PAPER for reading in entry.readings}
WHICH = {"profile": "smoke", "source": "glyphs", "seed": 1}


@pytest.fixture(params=DEFENDED)
def rule(request):
    return request.param


def one_round(rule, store, **options):
    return comparison.one_round(rule, profile="smoke", store=store, **options)


def attacked(rule, store, number=1, knowledge="partial"):
    chosen = scene.settings(**WHICH)
    federation = Federation(chosen, scene.dataset(chosen, store), rule, store)
    honest = next(federation.rounds([number]))
    return federation, miniature.observed(chosen, rule, honest, knowledge)


def test_every_scheme_judges_every_client_and_the_rates_follow(rule, store):
    found = one_round(rule, store)
    assert found.runs["scheme"].tolist() == list(SCHEMES)
    assert (found.runs["reading"] == "default").all()
    assert len(found.table) == len(SCHEMES) * K
    for _, run in found.runs.iterrows():
        clients = found.table[found.table["scheme"] == run["scheme"]]
        assert clients["client"].tolist() == list(range(1, K + 1))
        assert clients["byzantine"].tolist() == [client <= C for client in clients["client"]]
        flagged, bad = clients["flagged"].to_numpy(), clients["byzantine"].to_numpy()
        assert run["far"] == pytest.approx(far(flagged, bad))
        assert run["mar"] == pytest.approx(mar(flagged, bad))
        assert run["detection_s"] > 0
        assert (run["setup_s"] > 0) == (run["scheme"] in ("VAE", "DAGMM"))
        if run["scheme"] == "PDRR":
            separate = q_range(clients["score"].to_numpy(), bad) or (np.nan, np.nan)
            np.testing.assert_allclose([run["q_low"], run["q_high"]], separate)
            assert run["q"] == SMOKE.defense.q[rule]
            assert (flagged == (clients["score"] >= run["q"])).all()
        else:
            assert np.isnan([run["q"], run["q_low"], run["q_high"]]).all()
        if run["scheme"] not in ("PDRR", "Union"):  # exactly the c largest scores
            assert flagged.sum() == C
            score = clients["score"]
            assert score[flagged].min() >= score[~flagged].max()


def test_union_is_what_err_or_lfr_flag(store):
    table = one_round("median", store).table
    err, lfr, either = (table[table["scheme"] == s]["flagged"].to_numpy() for s in SCHEMES[2:5])
    assert (either == (err | lfr)).all()
    assert (err != lfr).any()
    votes = table[table["scheme"] == "Union"]["statistic"]
    assert (votes.to_numpy() == err.astype(int) + lfr).all()


def test_pdrr_is_the_same_as_in_its_own_figures(rule, store):
    own = alone.detection(rule, profile="smoke", knowledge="partial", store=store).table
    table = one_round(rule, store, schemes=("PDRR",)).table
    assert set(table["scheme"]) == {"PDRR"}
    for column in ("statistic", "score", "flagged"):
        assert table[column].tolist() == pytest.approx(own[column].tolist())


def test_accuracies_are_those_of_the_three_models(rule, store):
    run = one_round(rule, store, number=2).runs.iloc[-1]
    federation, observed = attacked(rule, store, number=2)
    x, y = federation.dataset.evaluation()

    def accuracy(model):
        return 1 - federation.trainer.error(np.asarray(model), x, y)

    near = {"previous": observed.previous} if rule == "krum" else {}
    everyone = AGGREGATORS[rule](observed.clients, **OWN[rule], **near)
    defended, _ = scene.defense(federation.settings, rule).aggregate(observed)
    assert run["accuracy"] == pytest.approx(accuracy(observed.previous))
    assert run["accuracy_attacked"] == pytest.approx(accuracy(everyone))
    assert run["accuracy_defended"] == pytest.approx(accuracy(defended))


def test_other_readings_stand_beside_the_default(store):
    found = one_round("trimmed_mean", store, number=2, readings=sorted(READINGS))
    pairs = set(zip(found.runs["scheme"], found.runs["reading"], strict=True))
    assert pairs == {
        *((scheme, "default") for scheme in SCHEMES),
        *((s, reading) for s in ("ERR", "LFR", "Union") for reading in ("mean", "alone")),
        *((s, reading) for s in ("VAE", "DAGMM") for reading in ("output layer", "from w_p")),
        ("VAE", "high"),
    }
    plain = one_round("trimmed_mean", store, number=2)
    both = found.table.merge(plain.table, on=["scheme", "client"], suffixes=("", "_plain"))
    same = (both["score"] == both["score_plain"]).groupby([both["scheme"], both["reading"]]).all()
    assert all(same[scheme, "default"] for scheme in SCHEMES)
    changed = {pair for pair in pairs if pair[1] != "default"}
    changed -= {
        (s, r) for s in ("ERR", "Union") for r in ("mean", "alone")
    }  # six images are too few to tell error rates
    assert not any(same[pair] for pair in changed)

    vae = found.table[found.table["scheme"] == "VAE"].pivot_table(
        index="client", columns="reading", values="score"
    )
    np.testing.assert_allclose(vae["high"], -vae["default"])
    high = found.table[(found.table["scheme"] == "VAE") & (found.table["reading"] == "high")]
    assert high["flagged"].sum() == C


def test_the_server_s_images_are_none_that_clients_train_on(store, monkeypatch):
    federation, observed = attacked("median", store)
    trained, tried = [], []
    train, logits = miniature.GraphTrainer.train, miniature.GraphTrainer.logits

    def watch_training(self, start, x, y, rng):
        trained.append(x)
        return train(self, start, x, y, rng)

    def watch_trials(self, model, x):
        tried.append(x)
        return logits(self, model, x)

    monkeypatch.setattr(miniature.GraphTrainer, "train", watch_training)
    monkeypatch.setattr(miniature.GraphTrainer, "logits", watch_trials)
    federation.store = Store(store.root / "fresh")  # no snapshots yet
    for entry in schemes.IN_THE_PAPER:
        find(Server(federation, observed), entry)

    def images(stacks):
        return {image.tobytes() for x in stacks for image in x}

    data = federation.dataset
    auxiliary = images([data.auxiliary()[0]])
    of_clients = images(data.train(i)[0] for i in range(len(data)))
    assert not auxiliary & of_clients
    assert images(tried) == auxiliary
    assert images(trained)
    assert images(trained) <= auxiliary


def test_rounds_are_those_of_one_round_after_another(store):
    both = comparison.rounds("krum", profile="smoke", knowledge=("partial", "full"), store=store)
    single = one_round("krum", store, number=2, knowledge="full")
    assert both.runs[["round", "knowledge"]].drop_duplicates().to_numpy().tolist() == [
        [1, "partial"],
        [1, "full"],
        [2, "partial"],
        [2, "full"],
    ]
    part = both.where(round=2, knowledge="full")
    assert part.table["score"].tolist() == single.table["score"].tolist()
    assert part.runs["far"].tolist() == single.runs["far"].tolist()


def test_a_second_comparison_runs_nothing(store, monkeypatch):
    first = one_round("median", store, number=2)
    monkeypatch.setattr(rounds.Federation, "rounds", None)
    again = one_round("median", store, number=2)
    pd.testing.assert_frame_equal(again.runs, first.runs)
    with pytest.raises(TypeError):
        one_round("median", store, number=2, c=5)


def test_what_it_does_not_know_is_refused(store):
    with pytest.raises(ValueError, match="schemes need to be of DAGMM, .*, got Oracle"):
        one_round("median", store, schemes=("Oracle",))
    with pytest.raises(ValueError, match="readings need to be of .*alone.*, got low"):
        one_round("median", store, readings=("low",))


def test_times_are_taken_side_by_side(store, monkeypatch):
    trials, both = [], Rejection.detect_both
    monkeypatch.setattr(Rejection, "detect_both", lambda *a: trials.append(a) or both(*a))
    found = clock.timing(profile="smoke", repeats=2, store=store)
    assert len(trials) == 3 * (1 + 2)  # once a turn, for ERR and LFR
    assert len(found.table) == 2 * 5 * 3
    assert (found.table["seconds"] > 0).all()
    for _, run in found.runs.iterrows():
        mine = found.table[
            (found.table["scheme"] == run["scheme"]) & (found.table["rule"] == run["rule"])
        ]["seconds"]
        assert (run["low_s"], run["high_s"]) == (mine.min(), mine.max())
        assert run["median_s"] == pytest.approx(mine.mean())
        assert (run["setup_s"] > 0) == (run["scheme"] in ("VAE", "DAGMM"))
    turns = found.table[found.table["rule"] == "krum"]["scheme"].tolist()
    assert turns == ["DAGMM", "VAE", "ERR", "LFR", "PDRR"] * 2
    with pytest.raises(ValueError, match="timing needs repeats >= 1, got 0"):
        clock.timing(profile="smoke", repeats=0, store=store)


def test_the_detectors_are_timed_on_more_and_more_coordinates(store):
    found = clock.by_coordinates(profile="smoke", numbers=(10, 100, 10**7), repeats=2, store=store)
    runs = found.runs
    assert list(zip(runs["scheme"], runs["coordinates"], runs["rule"], strict=True)) == [
        ("DAGMM", 10, "krum"), ("DAGMM", 100, "krum"), ("VAE", 10, "krum"), ("VAE", 100, "krum"),
        ("PDRR", 1947, "krum"), ("PDRR", 1947, "trimmed_mean"), ("PDRR", 1947, "median"),
    ]  # fmt: skip
    by = ["scheme", "coordinates", "rule"]
    medians = found.table.groupby(by, sort=False)["seconds"].median()
    assert runs["median_s"].tolist() == pytest.approx(medians.tolist())
    with pytest.raises(ValueError, match="by_coordinates needs repeats >= 1, got 0"):
        clock.by_coordinates(profile="smoke", repeats=0, store=store)


def test_compromised_clients_come_first():
    assert byzantine(SMOKE).tolist() == [True] * C + [False] * (K - C)


def test_without_an_attack_every_flagged_client_is_a_false_alarm(rule, store):
    found = comparison.unattacked(rule=rule, **WHICH, store=store)
    chosen = scene.settings(**WHICH)
    honest = miniature.honest_round(chosen, rule, 1, store)
    model, detection = scene.defense(chosen, rule).aggregate(honest)
    (run,) = found.runs.to_dict("records")
    assert not found.table["byzantine"].any()
    np.testing.assert_array_equal(found.table["flagged"], detection.flagged)
    assert run["far"] == detection.flagged.mean()
    federation = Federation(chosen, scene.dataset(chosen, store), rule, store)
    x, y = federation.dataset.evaluation()
    for name, judged in (
        ("accuracy", honest.previous),
        ("accuracy_rule", detection.pre_aggregate),
        ("accuracy_defended", model),
    ):
        assert run[name] == 1 - federation.trainer.error(judged, x, y)


def test_a_part_that_several_schemes_need_is_computed_once_and_charged_to_each(store):
    federation, observed = attacked("median", store)
    server, computed = Server(federation, observed), []

    def part():
        computed.append(time.sleep(0.05))
        return "part"

    def needing(name):
        def detect(_observed):
            assert server.once("the part", part) == "part"
            scores = np.zeros(K)
            return Detection(
                statistic=scores, scores=scores, flagged=scores > 1, pre_aggregate=observed.previous
            )

        return Scheme(name, lambda _: SimpleNamespace(detect=detect), "nothing", "nobody")

    first, second = (find(server, needing(name)) for name in ("one", "other"))
    assert len(computed) == 1
    assert first.seconds >= 0.05
    assert second.seconds >= 0.05
    server.forget()
    find(server, needing("third"))
    assert len(computed) == 2
