"""`PDRRFilter` in front of Flower's own strategies, in a federation without processes."""

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord
from flwr.serverapp import strategy as flower
from flwr.serverapp.strategy import FedAvg

from benchmarks.fake_grid import FakeGrid, arrays_of, honest, reply, rounds
from pdrr.flower import PDRR, PDRRFilter

MODEL = {"weight": np.linspace(-1, 1, 300, dtype=np.float32).reshape(20, 15), "n": np.array(5)}
INNER = {
    "FedAvg": flower.FedAvg,
    "FedAdam": flower.FedAdam,
    "FedAvgM": flower.FedAvgM,
    "FedMedian": flower.FedMedian,
    "FedTrimmedAvg": flower.FedTrimmedAvg,
    "Krum": lambda: flower.Krum(num_malicious_nodes=1),
    "Bulyan": lambda: flower.Bulyan(num_malicious_nodes=1),
    "FedProx": lambda: flower.FedProx(proximal_mu=0.1),
}


def federation(bad=(2, 5, 7), k=10):
    clients = {
        node: honest(MODEL, node, scale=-1.0 if node in bad else 0.1) for node in range(1, k + 1)
    }
    return FakeGrid(clients)


def filtered(inner, **more):
    return PDRRFilter(inner, "trimmed_mean", beta=3, q=0.9, **more)


@pytest.mark.parametrize("name", INNER)
def test_whatever_strategy_stands_behind_it_gets_the_honest_and_gives_back_the_types(name):
    strategy = filtered(INNER[name]())
    result = rounds(strategy, federation(), MODEL, 3)
    assert [verdict.flagged for verdict in strategy.verdicts] == [(2, 5, 7)] * 3
    got = arrays_of(result.arrays)
    assert got["weight"].dtype == np.float32
    assert got["n"].dtype == np.int64
    assert got["n"] == 8
    assert (got["weight"] - MODEL["weight"]).mean() > 0.02


def test_it_is_the_strategy_itself_on_the_honest_replies():
    strategy = filtered(FedAvg())
    got = arrays_of(rounds(strategy, federation(), MODEL).arrays)
    only = federation()
    for node in (2, 5, 7):
        del only.clients[node]
    expected = arrays_of(rounds(FedAvg(), only, MODEL).arrays)
    assert np.allclose(got["weight"], expected["weight"], rtol=0, atol=1e-6)


def test_replies_stay_whole_also_before_strategies_that_empty_theirs():
    grid = federation()
    strategy = filtered(flower.FedMedian())
    record = ArrayRecord({name: Array(np.asarray(a)) for name, a in MODEL.items()})
    replies = grid.send_and_receive(strategy.configure_train(1, record, ConfigRecord(), grid))
    before = {r.metadata.src_node_id: arrays_of(r.content["arrays"]) for r in replies}
    strategy.aggregate_train(1, replies)
    for message in replies:
        after = arrays_of(message.content["arrays"])
        for name, array in before[message.metadata.src_node_id].items():
            assert (after[name] == array).all()


def heavy(client, weight):
    def train(message):
        content = client(message)
        content["metrics"]["num-examples"] = weight
        return content

    return train


def test_without_a_cap_weights_are_the_clients_word_and_who_dominates_is_named():
    grid = federation(bad=())
    grid.clients[4] = heavy(grid.clients[4], 2**50)
    strategy = PDRRFilter(FedAvg(), "median", q=1.0)
    got = arrays_of(rounds(strategy, grid, MODEL).arrays)["weight"]
    own = arrays_of(
        rounds(FedAvg(), FakeGrid({4: grid.clients[4], 5: grid.clients[4]}), MODEL).arrays
    )
    assert own["weight"].shape == got.shape
    assert any("node 4 holds 100% of all weight" in note for note in strategy.verdicts[0].notes)


def test_a_cap_holds_weights_at_a_multiple_of_the_median():
    seen = {}

    class Watching(FedAvg):
        def aggregate_train(self, server_round, replies):
            replies = list(replies)
            seen.update(
                {r.metadata.src_node_id: r.content["metrics"]["num-examples"] for r in replies}
            )
            return super().aggregate_train(server_round, replies)

    grid = federation(bad=())
    grid.clients[4] = heavy(grid.clients[4], 2**50)
    strategy = PDRRFilter(Watching(), "median", q=1.0, weight_cap=3)
    rounds(strategy, grid, MODEL)
    assert seen[4] == 30
    assert set(seen.values()) == {10, 30}
    assert any("weights capped at 30: nodes 4" in note for note in strategy.verdicts[0].notes)


def test_a_counter_set_high_reaches_neither_the_model_nor_the_strategy():
    """Stock Krum measures distances over counters too: 2^62 would decide whom it picks."""
    grid = federation(bad=())
    innocent = grid.clients[4]

    def counting(message):
        content = innocent(message)
        if message.metadata.message_type == "train":
            content["arrays"]["n"] = Array(np.array(2**62))
        return content

    grid.clients[4] = counting
    strategy = PDRRFilter(flower.Krum(num_malicious_nodes=1), "median", q=1.0)
    clean = PDRRFilter(flower.Krum(num_malicious_nodes=1), "median", q=1.0)
    got = arrays_of(rounds(strategy, grid, MODEL).arrays)
    expected = arrays_of(rounds(clean, federation(bad=()), MODEL).arrays)
    assert got["n"] == 6
    assert (got["weight"] == expected["weight"]).all()


class Broken(FedAvg):
    """Returns what it is told to."""

    def __init__(self, result):
        super().__init__()
        self.result = result

    def aggregate_train(self, *_):
        return self.result, None


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (None, "returned no model"),
        (ArrayRecord(), "returned no model"),
        (ArrayRecord({"weight": Array(np.full((20, 15), np.nan)), "n": Array(np.array(1))}),
         "is not finite"),
        (ArrayRecord({"weight": Array(np.zeros(3)), "n": Array(np.array(1))}), "needs shape"),
        (ArrayRecord({"n": Array(np.array(1))}), "differs in 'weight'"),
    ],
)  # fmt: skip
def test_where_the_strategy_gives_no_model_the_previous_one_stays_and_it_is_said(result, words):
    strategy = filtered(Broken(result))
    got = arrays_of(rounds(strategy, federation(), MODEL).arrays)
    assert (got["weight"] == MODEL["weight"]).all()
    assert got["n"] == 5
    assert words in strategy.verdicts[0].notes[-1]


def huge(client):
    def train(message):
        content = client(message)
        if message.metadata.message_type == "train":
            content["arrays"]["weight"] = Array(np.full((20, 15), 1e6, np.float32))
        return content

    return train


@pytest.mark.parametrize(("rule", "own", "seen"), [
    ("krum", {"c": 3, "q": 0.5}, False),
    ("trimmed_mean", {"beta": 3, "q": 0.9}, True),
    ("median", {"q": 0.7}, True),
])  # fmt: skip
def test_krum_s_statistic_overlooks_huge_numbers_and_krum_itself_leaves_them_aside(rule, own, seen):
    grid = federation(bad=())
    grid.clients[4] = huge(grid.clients[4])
    strategy = PDRRFilter(FedAvg(), rule, **own)
    got = arrays_of(rounds(strategy, grid, MODEL).arrays)["weight"]
    assert (4 in strategy.verdicts[0].flagged) == seen
    assert (np.abs(got).max() < 5) == seen
    alone = PDRR(rule, **own)
    assert np.abs(arrays_of(rounds(alone, grid, MODEL).arrays)["weight"]).max() < 5


def test_too_few_replies_are_not_handed_on_unjudged():
    strategy = PDRRFilter(FedAvg(), "krum", c=3, q=0.5)
    clients = {node: honest(MODEL, node) for node in range(1, 5)}
    got = arrays_of(rounds(strategy, FakeGrid(clients), MODEL).arrays)
    assert (got["weight"] == MODEL["weight"]).all()
    assert strategy.verdicts[0].flagged == ()


def test_a_run_in_which_every_reply_is_refused_ends_with_the_reason():
    clients = dict.fromkeys(range(1, 6), lambda _: reply({"weight": np.zeros(3)}))
    with pytest.raises(ValueError, match="got 5 of 5 that are not"):
        rounds(filtered(FedAvg()), FakeGrid(clients), MODEL)


def test_differential_privacy_may_stand_behind_it():
    inner = flower.DifferentialPrivacyServerSideFixedClipping(
        FedAvg(), noise_multiplier=0.01, clipping_norm=50, num_sampled_clients=7
    )
    model = {"weight": MODEL["weight"]}
    clients = {
        node: honest(model, node, -1.0 if node in (2, 5, 7) else 0.1) for node in range(1, 11)
    }
    strategy = filtered(inner)
    result = rounds(strategy, FakeGrid(clients), model, 2)
    assert strategy.verdicts[1].flagged == (2, 5, 7)
    assert result.arrays["weight"].numpy().dtype == np.float32


def test_the_weight_is_named_as_in_the_strategy_that_is_wrapped():
    inner = FedAvg(weighted_by_key="samples")
    wrapped = flower.DifferentialPrivacyServerSideFixedClipping(inner, 0.1, 1, 10)
    assert filtered(inner).weighted_by_key == filtered(wrapped).weighted_by_key == "samples"
    assert filtered(inner, weighted_by_key="own").weighted_by_key == "own"


def test_what_cannot_work_behind_a_filter_is_refused_at_once():
    from flwr.server.strategy import FedAvg as OlderFedAvg
    from flwr.server.workflow import SecAggPlusWorkflow

    with pytest.raises(TypeError, match="secure aggregation hides them"):
        filtered(SecAggPlusWorkflow(num_shares=3, reconstruction_threshold=2))
    with pytest.raises(TypeError, match=r"a strategy of flwr.serverapp.strategy"):
        filtered(OlderFedAvg())
    with pytest.raises(ValueError, match="weight_cap >= 1, got 0.5"):
        filtered(FedAvg(), weight_cap=0.5)
    accounted = FedAvg()
    accounted.accountant = object()
    with pytest.raises(ValueError, match="without privacy accounting"):
        filtered(accounted)
