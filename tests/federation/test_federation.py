"""The round loop: seeded clients, rounds shared and cached, and a kill that costs nothing."""

import signal
import subprocess
import sys
import time
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from helpers import miniature
from pdrr.config import Federation as Participants
from pdrr.federation.graph import GraphTrainer
from pdrr.federation.rounds import Federation
from pdrr.federation.store import SEALED, Store
from pdrr.federation.streams import byzantine, detection, stream

TESTS = Path(__file__).parents[1]
K, C = 10, 4  # of miniature.settings


@pytest.fixture(autouse=True)
def _compiled_once(monkeypatch):
    monkeypatch.setattr("pdrr.federation.graph.GraphTrainer", miniature.trainer)


@pytest.fixture
def trainings(monkeypatch):
    """How many clients have been trained, in a list that grows."""
    done, train = [], GraphTrainer.train

    def counted(self, *arguments):
        done.append(len(done))
        return train(self, *arguments)

    monkeypatch.setattr(GraphTrainer, "train", counted)
    return done


@pytest.fixture
def new_store(tmp_path):
    """A function that makes an empty cache."""
    numbers = count()
    return lambda: Store(tmp_path / str(next(numbers)))


def federation(store, rule="krum", **changes):
    return Federation(miniature.settings(**changes), miniature.dataset(), rule, store)


def bits(rounds):
    """What must not change: number, models and previous model of each round."""
    return {r.number: (r.clients.tobytes(), r.previous.tobytes()) for r in rounds}


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """Rounds 1 to 6 of the federation under Krum, all measured in one go."""
    store = Store(tmp_path_factory.mktemp("uninterrupted"))
    return bits(federation(store).rounds(range(1, 7)))


# who takes part


def test_clients_are_drawn_without_replacement_and_seeded(new_store):
    one, same, other = (federation(new_store(), seed=seed) for seed in (1, 1, 2))
    drawn = [one.clients(number) for number in range(1, 31)]
    for clients in drawn:
        assert len(set(clients.tolist())) == K
        assert set(clients.tolist()) <= set(range(12))
    assert set(np.concatenate(drawn).tolist()) == set(range(12))
    np.testing.assert_array_equal(drawn, [same.clients(number) for number in range(1, 31)])
    assert len({tuple(clients) for clients in drawn}) == 30
    assert any((other.clients(r) != one.clients(r)).any() for r in (1, 2, 3))


def test_the_compromised_are_the_first_c():
    assert byzantine(miniature.settings(federation_c=3)).tolist() == [True] * 3 + [False] * 7


def test_streams_do_not_share_numbers():
    keys = [(1, 1, 1), (1, 1, 2), (1, 2, 1), (2, 1, 1), (1, 2, 1, 1), (1, 2, 1, 2)]
    drawn = [stream(*key).integers(2**62) for key in keys]
    assert len(set(drawn)) == len(keys)
    assert drawn == [stream(*key).integers(2**62) for key in keys]


# what a round is


def test_each_rule_draws_its_own_lots_and_the_same_ones_again():
    def drawn(*which):
        return tuple(detection(*which).integers(2**32, size=4))

    which = [(s, n, r) for s in (1, 2) for n in (1, 2) for r in ("krum", "trimmed_mean", "median")]
    assert len({drawn(*each) for each in which}) == len(which)
    assert drawn(*which[0]) == drawn(*which[0])
    with pytest.raises(ValueError, match="rule needs to be one of .*, got 'mode'"):
        detection(1, 1, "mode")


def test_a_round_holds_what_each_drawn_client_trained_from_the_global_model(new_store):
    chosen = federation(new_store())
    first = next(chosen.rounds([1]))
    assert (first.number, first.clients.shape, first.clients.dtype) == (1, (K, 1947), np.float32)
    assert first.previous.tobytes() == chosen.trainer.initial.tobytes()
    for row, client in enumerate(chosen.clients(1)):
        rng = stream(1, 2, 1, int(client))
        alone = chosen.trainer.train(first.previous, *miniature.dataset().train(client), rng)
        assert first.clients[row].tobytes() == alone.tobytes()


def test_rounds_come_memory_mapped_and_in_order(new_store):
    found = list(federation(new_store()).rounds([3, 1, 3]))
    assert [r.number for r in found] == [1, 3]
    assert all(isinstance(r.clients, np.memmap) for r in found)


@pytest.mark.parametrize(
    ("rule", "reduced"),
    [
        ("mean", lambda models: models.mean(0)),
        ("krum", lambda models: models[miniature.krum_choice(models, c=0)]),
        ("trimmed_mean", lambda models: np.sort(models, 0)[2:-2].mean(0)),  # beta 4 less c 2
        ("median", lambda models: np.median(models, 0)),
    ],
)
def test_the_next_global_model_is_the_rule_over_the_benign(new_store, rule, reduced):
    first, second = federation(new_store(), rule, federation_c=2).rounds([1, 2])
    expected = reduced(first.clients[2:].astype(np.float64))
    np.testing.assert_allclose(second.previous, expected, rtol=1e-6, atol=1e-7)


def test_beta_shrinks_no_further_than_to_zero(new_store):
    first, second = federation(new_store(), "trimmed_mean", federation_c=3, defense_beta=2).rounds(
        [1, 2]
    )
    np.testing.assert_allclose(second.previous, first.clients[3:].mean(0), rtol=1e-5, atol=1e-7)


# what is trained, and how often


def test_round_1_is_shared_by_all_rules_and_numbers_of_attackers(new_store, trainings):
    store = new_store()
    found = [
        bits(federation(store, rule, federation_c=c).rounds([1]))
        for rule, c in [("krum", 4), ("krum", 3), ("trimmed_mean", 4), ("median", 1), ("mean", 4)]
    ]
    assert all(each == found[0] for each in found)
    assert len(list((store.root / "stack").iterdir())) == 1
    assert len(trainings) == K


def test_later_rounds_of_two_rules_in_one_cache_do_not_mix(new_store, uninterrupted):
    store = new_store()
    by_mean = bits(federation(store, "mean").rounds([2]))
    assert bits(federation(store).rounds([2])) == {2: uninterrupted[2]}
    assert bits(federation(store, "mean").rounds([2])) == by_mean
    assert by_mean[2] != uninterrupted[2]


def test_another_seed_or_rate_or_data_set_is_another_round(new_store):
    store = new_store()
    changes = [{}, {"seed": 2}, {"training_learning_rate": 0.1}, {"training_batch": 5}]
    found = {next(federation(store, **change).rounds([1])).clients.tobytes() for change in changes}
    assert len(found) == len(changes)
    twenty = miniature.dataset(20)
    other = Federation(miniature.settings(data_writers=20), twenty, "krum", store)
    list(other.rounds([1]))
    assert len(list((store.root / "stack").iterdir())) == len(changes) + 1


def test_between_measured_rounds_only_the_benign_are_trained(new_store, trainings):
    store = new_store()
    list(federation(store).rounds([1, 4]))
    assert len(trainings) == K + 2 * (K - C) + K
    list(federation(store).rounds([4, 1]))
    assert len(trainings) == K + 2 * (K - C) + K


def test_measured_rounds_have_the_same_bits_however_they_are_asked_for(new_store, uninterrupted):
    together = bits(federation(new_store()).rounds([2, 4]))
    store = new_store()
    one_by_one = {n: bits(federation(store).rounds([n]))[n] for n in (4, 2)}
    chosen = federation(new_store())
    list(chosen.rounds([3]))
    after_another = bits(chosen.rounds([2, 4]))
    expected = {n: uninterrupted[n] for n in (2, 4)}
    assert together == expected
    assert one_by_one == expected
    assert after_another == expected


def test_unmeasured_rounds_leave_no_models_behind(new_store):
    store = new_store()
    chosen = federation(store)
    list(chosen.rounds([1, 5]))
    assert names(chosen.chain) == ["key.json", "sent-0005.npy"]  # the first one is shared
    assert len(list(store.root.glob("stack/*/clients.npy"))) == 2


# interruptions


def test_deleted_rounds_are_run_again_with_the_same_bits(new_store, trainings, uninterrupted):
    store = new_store()
    chosen = federation(store)
    list(chosen.rounds([1, 2, 3]))
    for path in (chosen.chain / "sent-0003.npy", chosen.chain / "sent-0002.npy"):
        path.unlink()
    for path in store.root.glob("stack/*/clients.npy"):
        if path.read_bytes()[-4 * 1947 * K - SEALED : -SEALED] != uninterrupted[1][0]:
            path.unlink()
    trainings.clear()
    again = bits(federation(store).rounds([1, 2, 3]))
    assert again == {n: uninterrupted[n] for n in (1, 2, 3)}
    assert len(trainings) == 2 * K


@pytest.mark.parametrize("stage", ["stack", "initial"])
def test_a_damaged_round_is_named_and_made_anew(new_store, uninterrupted, capsys, stage):
    store = new_store()
    list(federation(store).rounds([1]))
    (path,) = store.root.glob(f"{stage}/*/*.npy")
    content = bytearray(path.read_bytes())
    content[-SEALED - 9] ^= 1  # one bit of one weight
    path.write_bytes(content)
    assert bits(federation(store).rounds([1])) == {1: uninterrupted[1]}
    assert f"{path} is damaged" in capsys.readouterr().err


TOGETHER = """
import sys
from pathlib import Path
from helpers import miniature
from pdrr.federation.rounds import Federation
from pdrr.federation.store import Store

chosen = Federation(miniature.settings(), miniature.dataset(), "krum", Store(Path(sys.argv[1])))
for honest in chosen.rounds([int(number) for number in sys.argv[2:]]):
    pass
"""


def test_two_runs_on_one_chain_in_one_cache_both_end_with_the_same_bits(new_store, uninterrupted):
    store = new_store()
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", TOGETHER, str(store.root), *numbers],
            cwd=TESTS,
            stderr=subprocess.PIPE,
            text=True,
        )
        for numbers in (["6"], ["2", "6"])
    ]
    for run in runs:
        _, told = run.communicate(timeout=120)
        assert run.returncode == 0, told
    assert bits(federation(store).rounds([2, 6])) == {n: uninterrupted[n] for n in (2, 6)}


def test_a_model_that_another_run_removes_on_the_way_is_no_error(new_store, monkeypatch):
    store, load = new_store(), Store.load
    chosen = federation(store)
    list(chosen.rounds([5]))
    later = chosen.chain / "sent-0005.npy"
    chosen.keep(4, load(store, later))

    def gone(self, path):
        if path.name == "sent-0004.npy":
            path.unlink()
        return load(self, path)

    monkeypatch.setattr(Store, "load", gone)
    assert chosen._known(4)[0] == 1  # the next best


def test_rounds_of_another_backend_are_other_rounds(new_store, monkeypatch):
    store = new_store()
    of_tensorflow = federation(store)
    monkeypatch.setattr("pdrr.federation.rounds.backend", lambda: "jax")
    other = federation(store)
    assert other.initial != of_tensorflow.initial
    assert other.chain != of_tensorflow.chain


SLOW_RUN = """
import sys, time
from pathlib import Path
from helpers import miniature
from pdrr.federation.rounds import Federation
from pdrr.federation.store import Store
from pdrr.federation.graph import GraphTrainer

train = GraphTrainer.train
GraphTrainer.train = lambda *arguments: (time.sleep(0.05), train(*arguments))[1]
chosen = Federation(miniature.settings(), miniature.dataset(), "krum", Store(Path(sys.argv[1])))
list(chosen.rounds([2, 6]))
"""


def test_a_killed_run_goes_on_after_its_last_round_with_the_same_bits(
    new_store, trainings, uninterrupted
):
    store = new_store()
    command = [sys.executable, "-c", SLOW_RUN, str(store.root)]
    with subprocess.Popen(command, cwd=TESTS, stderr=subprocess.DEVNULL) as run:
        waiting_until = time.monotonic() + 60
        while not list(store.root.glob("federation/*/sent-0003.npy")):
            assert run.poll() is None, "the run ended before round 2"
            assert time.monotonic() < waiting_until
            time.sleep(0.01)
        run.send_signal(signal.SIGKILL)
    left = [path for path in store.root.rglob("*") if path.is_file()]
    whole = [path for path in left if not path.name.startswith(".")]
    assert {path.suffix for path in whole} == {".npy", ".json"}
    for path in whole:
        assert path.stat().st_size > 0
        if path.suffix == ".npy":
            assert np.isfinite(store.load(path)).all()
    finished = max(int(path.stem[-4:]) for path in whole if path.stem.startswith("sent"))
    assert 3 <= finished < 6
    assert bits(federation(store).rounds([2, 6])) == {n: uninterrupted[n] for n in (2, 6)}
    assert len(trainings) == (6 - finished) * (K - C) + K


# what is refused


def test_an_unknown_rule_is_refused(new_store):
    with pytest.raises(ValueError, match=r"needs rule mean, krum, .*, got 'bulyan'"):
        federation(new_store(), "bulyan")


def test_a_data_set_of_another_size_is_refused(new_store):
    with pytest.raises(ValueError, match="needs 12 writers, got 20"):
        Federation(miniature.settings(), miniature.dataset(20), "krum", new_store())


@pytest.mark.parametrize("numbers", [[], [0], [3, -1]])
def test_rounds_are_counted_from_one(new_store, numbers):
    with pytest.raises(ValueError, match="rounds needs round numbers >= 1, got"):
        list(federation(new_store()).rounds(numbers))


def test_the_chain_depends_on_who_takes_part(new_store):
    store = new_store()
    chains = {
        federation(store, rule, federation_c=c).chain
        for rule, c in [("krum", 4), ("krum", 3), ("mean", 4), ("median", 4)]
    }
    assert len(chains) == 4
    assert isinstance(federation(store).settings.federation, Participants)


# what is imported

HEAVY = ("tensorflow", "keras", "cupy", "numba", "pandas", "matplotlib")


def loaded_after(code, *arguments):
    """Which heavy packages a fresh interpreter has loaded after running `code`."""
    report = f"\nimport sys; print([name for name in {HEAVY} if name in sys.modules])"
    command = [sys.executable, "-c", code + report, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_importing_pdrr_loads_nothing_heavy():
    assert loaded_after("import pdrr") == "[]"


FROM_CACHE = """
import sys
from pathlib import Path
from pdrr import config, data
from pdrr.federation.rounds import Federation
from pdrr.federation.store import Store
small = {"data.writers": 12, "federation.k": 10, "federation.c": 4, "defense.beta": 4}
chosen = config.load("smoke", small)
store, source = Store(Path(sys.argv[1])), data.load(sys.argv[2], writers=12)
for found in Federation(chosen, source, "median", store).rounds([1, 3]):
    assert found.clients.shape == (10, 1947)
"""


def test_rounds_from_the_cache_need_no_deep_learning(new_store, tmp_path):
    store = new_store()
    list(federation(store, "median").rounds([1, 3]))
    data = miniature.write_npz(tmp_path / "data.npz")
    assert loaded_after(FROM_CACHE, store.root, data) == "[]"
