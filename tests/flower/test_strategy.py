"""`PDRR` in a strategy's place, in a federation without processes."""

import json

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, MetricRecord, RecordDict
from flwr.serverapp.strategy import (
    DifferentialPrivacyServerSideFixedClipping,
    FedAvg,
    FedMedian,
    FedTrimmedAvg,
    Krum,
)

import pdrr
from benchmarks.fake_grid import FakeGrid, Silent, arrays_of, honest, reply, rounds
from pdrr import beyond
from pdrr.flower import PDRR

MODEL = {
    "weight": np.linspace(-1, 1, 300, dtype=np.float32).reshape(20, 15),
    "bias": np.zeros(15, np.float64),
    "batches": np.array(5),
}
FLOATS = {"weight": MODEL["weight"], "scale": np.float32(1)}
RULES = {"krum": {"c": 3}, "trimmed_mean": {"beta": 3}, "median": {}}
Q = {"krum": 0.5, "trimmed_mean": 0.9, "median": 0.7}


def lying(model, seed):
    """A client that moves all weights down, far."""
    return honest(model, seed, scale=-1.0)


def federation(k=10, bad=(2, 5, 7), model=MODEL, seed=0):
    """k clients, those of `bad` lie; ids are not in the order of the rows."""
    ids = {i: int(n) for i, n in enumerate(np.random.default_rng(seed).permutation(k * 10)[:k] + 1)}
    clients = {ids[i]: (lying if i in bad else honest)(model, i) for i in range(k)}
    return FakeGrid(clients), {ids[i] for i in bad}


def failing(_):
    raise RuntimeError("out of memory")


def silent(_):
    raise Silent


def sent(model):
    return ArrayRecord({name: Array(np.asarray(array)) for name, array in model.items()})


def one_round(strategy, grid, model=MODEL):
    """The replies of round 1, and what a strategy makes of them."""
    messages = strategy.configure_train(1, sent(model), ConfigRecord(), grid)
    replies = grid.send_and_receive(messages)
    return strategy.aggregate_train(1, replies)


def models(grid, model=MODEL):
    """The models of round 1 by node id."""
    strategy = FedAvg()
    messages = strategy.configure_train(1, sent(model), ConfigRecord(), grid)
    found = {
        reply.metadata.src_node_id: arrays_of(reply.content["arrays"])
        for reply in grid.send_and_receive(messages)
        if reply.has_content()
    }
    return dict(sorted(found.items()))


@pytest.mark.parametrize("rule", ["trimmed_mean", "median"])
def test_it_finds_those_who_lie_in_every_round_and_the_model_moves_on(rule):
    grid, bad = federation()
    strategy = PDRR(rule, q=Q[rule], **RULES[rule])
    result = rounds(strategy, grid, MODEL, 3)
    assert [set(verdict.flagged) for verdict in strategy.verdicts] == [bad] * 3
    got = arrays_of(result.arrays)
    assert (got["weight"] - MODEL["weight"]).mean() > 0.03  # as the honest ones move it
    assert {name: (v.dtype, v.shape) for name, v in got.items()} == {
        name: (v.dtype, v.shape) for name, v in MODEL.items()
    }
    assert got["batches"] == 8
    metrics = result.train_metrics_clientapp[2]
    assert (metrics["pdrr-replies"], metrics["pdrr-num-flagged"]) == (10, 3)
    assert set(metrics["pdrr-flagged"]) == bad
    assert metrics["pdrr-q"] == Q[rule]
    assert metrics["pdrr-failed"] == metrics["pdrr-missing"] == metrics["pdrr-refused"] == 0


@pytest.mark.parametrize("rule", RULES)
def test_a_round_is_what_pdrr_makes_of_the_stack(rule):
    grid, _ = federation(model=FLOATS)
    strategy = PDRR(rule, q=Q[rule], **RULES[rule])
    arrays, _ = one_round(strategy, grid, FLOATS)
    rows = [
        np.concatenate([m["weight"].ravel(), [m["scale"]]]) for m in models(grid, FLOATS).values()
    ]
    previous = np.concatenate([FLOATS["weight"].ravel(), [1]]).astype(np.float32)
    observed = pdrr.Round(np.stack(rows).astype(np.float32), previous)
    expected, detection = pdrr.PDRR(rule, q=Q[rule], **RULES[rule]).aggregate(observed)
    got = arrays_of(arrays)
    if 2 * detection.flagged.sum() <= 10:
        assert (np.concatenate([got["weight"].ravel(), [got["scale"]]]) == expected).all()
    assert strategy.verdicts[0].scores == tuple(detection.scores.tolist())
    assert strategy.verdicts[0].nodes == tuple(models(grid, FLOATS))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (lambda: PDRR("median", q=1.0), FedMedian),
        (lambda: PDRR("krum", c=2, q=1.0), lambda: Krum(num_malicious_nodes=2)),
        (lambda: PDRR("trimmed_mean", beta=2, q=1.0), lambda: FedTrimmedAvg(beta=0.2)),
    ],
    ids=["median", "krum", "trimmed_mean"],
)
def test_the_plain_rule_agrees_with_flower_s(ours, theirs):
    """On models that are far apart, where nothing is lost in float32."""
    model = {"weight": np.zeros((30, 4), np.float32)}
    grid = FakeGrid({i: honest(model, i) for i in range(1, 11)})
    strategy = ours()
    strategy._server.defence.detector = Nobody()
    got = arrays_of(one_round(strategy, grid, model)[0])["weight"]
    expected = arrays_of(one_round(theirs(), grid, model)[0])["weight"]
    assert np.allclose(got, expected, rtol=0, atol=2e-8)


class Nobody:
    """Flags nobody."""

    def detect(self, observed):
        none = np.zeros(observed.k)
        return pdrr.Detection(none, none, none > 0, observed.previous)


def test_the_order_of_arrival_changes_nothing():
    got = []
    for seed in (0, 1):
        grid, _ = federation()
        grid.rng = np.random.default_rng(seed)
        arrays, _ = one_round(PDRR("trimmed_mean", beta=3, q=0.9), grid)
        got.append({name: array.data for name, array in arrays.items()})
    assert got[0] == got[1]


def test_failed_and_missing_clients_are_no_evidence():
    grid, bad = federation()
    innocent = [node for node in grid.clients if node not in bad]
    grid.clients[innocent[0]], grid.clients[innocent[1]] = failing, silent
    strategy = PDRR("median", q=0.7)
    _, metrics = one_round(strategy, grid)
    (verdict,) = strategy.verdicts
    assert verdict.failed == {innocent[0]: "out of memory"}
    assert verdict.missing == (innocent[1],)
    assert set(verdict.flagged) == bad
    assert len(verdict.nodes) == metrics["pdrr-replies"] == 8
    assert (metrics["pdrr-failed"], metrics["pdrr-missing"]) == (1, 1)


def test_of_an_error_only_the_last_line_is_kept_without_control_characters():
    def colourful(_):
        raise ValueError("Traceback\n  many lines\n\x1b[31mValueError: why\x1b[0m\n\n")

    grid, _ = federation()
    node = next(iter(grid.clients))
    grid.clients[node] = colourful
    strategy = PDRR("median", q=0.7)
    one_round(strategy, grid)
    assert strategy.verdicts[0].failed[node] == "[31mValueError: why[0m"


@pytest.mark.parametrize("client", [failing, silent])
def test_where_nobody_answers_the_model_that_was_sent_is_the_result(client):
    grid = FakeGrid(dict.fromkeys(range(1, 6), client))
    strategy = PDRR("median", q=0.7)
    result = rounds(strategy, grid, MODEL, 2)
    for name, array in arrays_of(result.arrays).items():
        assert (array == MODEL[name]).all()
    assert [verdict.flagged for verdict in strategy.verdicts] == [(), ()]
    assert "no reply to judge" in strategy.verdicts[0].notes[0]


def test_too_few_replies_keep_the_model_and_accuse_nobody():
    grid, _ = federation(k=5, bad=())
    strategy = PDRR("krum", c=3, q=0.5)
    arrays, _ = one_round(strategy, grid)
    assert (arrays["weight"].numpy() == MODEL["weight"]).all()
    assert strategy.verdicts[0].flagged == ()
    assert "5 of 5 replies are too few" in strategy.verdicts[0].notes[0]


def test_a_run_in_which_every_reply_is_refused_ends_with_the_reason():
    clients = dict.fromkeys(range(1, 6), lambda _: reply({"weight": np.zeros(3)}))
    with pytest.raises(ValueError, match="got 5 of 5 that are not: that of node 1 needs 3 arrays"):
        rounds(PDRR("median", q=0.7), FakeGrid(clients), MODEL)


def test_one_hostile_client_whose_peers_are_down_ends_no_run():
    clients = {**dict.fromkeys(range(1, 5), failing), 5: lambda _: reply({"weight": np.zeros(3)})}
    strategy = PDRR("median", q=0.7)
    result = rounds(strategy, FakeGrid(clients), MODEL)
    assert (arrays_of(result.arrays)["weight"] == MODEL["weight"]).all()
    assert strategy.verdicts[0].flagged == (5,)


def test_partial_participation_takes_shares_of_who_is_asked():
    grid, bad = federation(k=20, bad=range(6))
    strategy = PDRR("trimmed_mean", beta=0.3, q=0.9, fraction_train=0.5)
    rounds(strategy, grid, MODEL, 4)
    for verdict in strategy.verdicts:
        assert len(verdict.nodes) == 10
        assert set(verdict.flagged) - bad == set() or verdict.notes
    assert len({verdict.nodes for verdict in strategy.verdicts}) > 1


def test_nobody_asked_is_no_round():
    grid, _ = federation()
    strategy = PDRR("median", q=0.7, fraction_train=0.0, fraction_evaluate=0.0)
    arrays, _ = one_round(strategy, grid)
    assert (arrays["weight"].numpy() == MODEL["weight"]).all()


def test_ids_may_change_from_round_to_round():
    """Every simulation gives its nodes new ids; a later run has nothing to do with this one."""
    grid, _ = federation()
    strategy = PDRR("trimmed_mean", beta=3, q=0.9)
    one_round(strategy, grid)
    other, bad = federation(seed=9)
    big = {2**63 + node: client for node, client in other.clients.items()}
    one_round(strategy, FakeGrid(big))
    assert set(strategy.verdicts[1].flagged) == {2**63 + node for node in bad}


def test_the_stack_is_allocated_once_and_replies_are_emptied():
    grid, _ = federation()
    strategy = PDRR("median", q=0.7)
    stacks = []
    for _ in range(3):
        one_round(strategy, grid)
        stacks.append(strategy._server._stack)
        for message in grid.arrived:
            assert not message.content["arrays"]
    assert stacks[0] is stacks[1] is stacks[2]


def test_arrays_that_several_replies_share_are_left_alone():
    """Within one process clients may send back the very record that they were sent."""
    grid = FakeGrid(dict.fromkeys(range(1, 6), _echo))
    result = rounds(PDRR("median", q=0.7), grid, MODEL, 2)
    for name, array in arrays_of(result.arrays).items():
        assert (array == MODEL[name]).all()


def _echo(message):
    if message.metadata.message_type == "evaluate":
        return RecordDict({"metrics": MetricRecord({"num-examples": 1})})
    record = message.content["arrays"]
    return RecordDict({"arrays": record, "metrics": MetricRecord({"num-examples": 1})})


def test_truth_and_partitions_are_told_in_a_configrecord_and_compared(tmp_path):
    grid, bad = federation()
    for part, (node, client) in enumerate(grid.clients.items()):
        grid.clients[node] = _telling(client, part, node in bad)
    path = tmp_path / "verdicts.jsonl"
    strategy = PDRR("trimmed_mean", beta=3, q=0.9, truth_key="malicious", verdicts_path=path)
    _, metrics = one_round(strategy, grid)
    assert (metrics["pdrr-far"], metrics["pdrr-mar"]) == (0, 0)
    assert {node for node, lies in strategy.verdicts[0].truth.items() if lies} == bad
    assert sorted(strategy.verdicts[0].partitions.values()) == list(range(10))
    (line,) = path.read_text("utf-8").splitlines()
    assert {int(node) for node in json.loads(line)["flagged"]} == bad


def _telling(client, part, lies):
    def train(message):
        content = client(message)
        content["about"] = ConfigRecord({"partition-id": part, "malicious": lies})
        return content

    return train


def test_metrics_of_the_kept_are_averaged_and_nobody_forges_ours():
    grid, bad = federation()
    for node, client in grid.clients.items():
        grid.clients[node] = _reporting(client, 9.0 if node in bad else 1.0)
    _, metrics = one_round(PDRR("trimmed_mean", beta=3, q=0.9), grid)
    assert metrics["loss"] == pytest.approx(1)
    assert metrics["pdrr-num-flagged"] == 3


def _reporting(client, loss):
    def train(message):
        content = client(message)
        content["metrics"].update({"loss": loss, "pdrr-num-flagged": 77})
        return content

    return train


def test_the_improved_detector_takes_the_paper_s_place():
    grid, bad = federation(k=12)
    strategy = PDRR("median", detector=beyond.improved("median"))
    _, metrics = one_round(strategy, grid)
    assert set(strategy.verdicts[0].flagged) == bad
    assert "pdrr-q" not in metrics


def test_it_works_within_differential_privacy():
    model = {"weight": MODEL["weight"]}
    grid, _ = federation(model=model)
    inner = PDRR("trimmed_mean", beta=3, q=0.9)
    strategy = DifferentialPrivacyServerSideFixedClipping(
        inner, noise_multiplier=0.01, clipping_norm=50, num_sampled_clients=10
    )
    result = rounds(strategy, grid, model, 2)
    assert len(inner.verdicts) == 2
    assert result.arrays["weight"].numpy().shape == (20, 15)


def test_a_model_that_is_not_finite_is_not_sent():
    grid, _ = federation()
    broken = {**MODEL, "bias": np.full(15, np.inf)}
    with pytest.raises(ValueError, match="a finite model to send"):
        rounds(PDRR("median", q=0.7), grid, broken)
