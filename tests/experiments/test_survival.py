"""Arms that live on what their defence leaves, against the same rounds run by hand."""

import importlib
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from helpers import miniature
from pdrr import AGGREGATORS, Round
from pdrr.core.files import digest
from pdrr.experiments import survival
from pdrr.experiments.attacking import attacked
from pdrr.experiments.records import each_run
from pdrr.experiments.scene import dataset, defense, settings
from pdrr.experiments.schemes import known
from pdrr.experiments.server import Server, find
from pdrr.federation.rounds import Federation
from pdrr.federation.store import Store

module = importlib.import_module("pdrr.experiments.arms")
SMOKE = {"profile": "smoke", "seed": 3}
SOME = ("nobody attacks", "undefended", "PDRR", "Co-trimming", "NNM", "LFR", "oracle removal")
LAST = 3
BAD = np.arange(50) < 20


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        miniature.use(patch)
        yield Store(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def trimmed(kept):
    return survival("trimmed_mean", arms=SOME, last=LAST, store=kept, **SMOKE)


@pytest.fixture(scope="module")
def federation(kept):
    chosen = settings("smoke", "glyphs", 3)
    return Federation(chosen, dataset(chosen, kept), "trimmed_mean", kept)


def models(store):
    """The digest of each global model that an arm made, by arm and round."""
    rows = []
    for path in store.root.glob("survival/*/state.npz"):
        rows += store.load_state(path)[0]
    return {(row["arm"], row["round"]): row["model"] for row in rows}


def by_hand(federation, decide):
    """The models of a chain that goes on with what `decide` makes of a crafted round."""
    previous, made = federation.start(1), []
    for number in range(1, LAST + 1):
        honest = federation.trained(number, previous)
        crafted = attacked(federation.settings, "trimmed_mean", "trimmed_mean", honest, "partial")
        previous = np.array(decide(honest, crafted.observed))
        made.append(digest(previous))
    return made


def lfr(federation, observed):
    flagged = find(Server(federation, observed), known()["LFR"]).detection.flagged
    assert flagged.sum() == 20
    return AGGREGATORS["mean"](observed.clients[~flagged])  # beta = 10 - 20, never below 0


ALONE = {
    "nobody attacks": lambda _, honest, __: AGGREGATORS["trimmed_mean"](honest.clients, beta=10),
    "undefended": lambda _, __, seen: AGGREGATORS["trimmed_mean"](seen.clients, beta=10),
    "PDRR": lambda f, _, seen: defense(f.settings, f.rule).aggregate(seen)[0],
    "NNM": lambda f, _, seen: known()["NNM"].make(Server(f, seen)).aggregate(seen)[0],
    "LFR": lambda f, _, seen: lfr(f, seen),
    "oracle removal": lambda _, honest, __: AGGREGATORS["mean"](honest.clients[20:]),
}


@pytest.mark.usefixtures("trimmed")
@pytest.mark.parametrize("arm", ALONE)
def test_each_arm_is_a_chain_of_its_own(arm, federation, kept):
    made = by_hand(federation, lambda honest, seen: ALONE[arm](federation, honest, seen))
    assert [models(kept)[arm, number] for number in (1, 2, 3)] == made
    assert len(set(made)) == LAST


@pytest.mark.usefixtures("trimmed")
def test_oracle_removal_is_the_chain_of_all_other_pages(federation, kept):
    for number in (1, 2):
        assert models(kept)["oracle removal", number] == digest(federation.start(number + 1))


def test_a_row_says_who_was_left_out(trimmed):
    rows = trimmed.table.set_index(["arm", "round"])
    oracle, undefended = rows.loc["oracle removal"], rows.loc["undefended"]
    assert (oracle[["far", "mar", "flagged"]] == [0, 0, 20]).all(axis=None)
    assert (undefended[["far", "mar", "flagged"]] == [0, 1, 0]).all(axis=None)
    peace = rows.loc["nobody attacks"]
    assert (peace["attack"] == "none").all()
    assert peace["mar"].isna().all()
    for arm in ("PDRR", "Co-trimming", "LFR"):
        counted = 30 * rows.loc[arm]["far"] + 20 * (1 - rows.loc[arm]["mar"])
        np.testing.assert_allclose(counted, rows.loc[arm]["flagged"])
    assert not trimmed.table["diverged"].any()
    assert (trimmed.table["seconds"] > 0).all()


def test_an_arm_is_apart_where_its_model_is_another_than_that_of_oracle_removal(trimmed, kept):
    made = models(kept)
    for row in trimmed.table.to_dict("records"):
        at = row["round"]
        assert row["apart"] == (made[row["arm"], at] != made["oracle removal", at])
    assert not trimmed.table.query("arm == 'oracle removal'")["apart"].any()
    assert trimmed.table.query("arm == 'undefended'")["apart"].all()


def test_accuracy_is_that_of_the_new_model_on_the_evaluation_half(trimmed, federation):
    data, model = federation.dataset, federation.start(3)
    x, y = data.evaluation()
    right = federation.trainer.logits(model, x).argmax(axis=1) == y
    row = trimmed.table.query("arm == 'oracle removal' and round == 2").iloc[0]
    assert row["accuracy"] == right.mean()
    each = pd.Series(right).groupby(data.evaluation_writers()).mean().sort_values()
    assert row["worst_decile"] == each[: -(-len(each) // 10)].mean()


def test_a_run_sums_its_rounds_up(trimmed):
    assert len(trimmed.runs) == len(SOME)
    for _, rows, run in each_run(trimmed):
        assert run["rounds"] == len(rows) == LAST
        assert run["final_error"] == pytest.approx(1 - rows["accuracy"].mean())
        assert run["wrong"] == ((rows["far"] > 0) | (rows["mar"] > 0)).sum()
        apart = rows.loc[rows["apart"] == 1, "round"]
        np.testing.assert_equal(run["apart_from"], apart.min() if len(apart) else np.nan)


def test_the_final_error_is_that_of_the_last_five_rounds():
    where = {"arm": "PDRR", "attack": "krum", "rule": "krum", "seed": 1, "knowledge": "partial"}
    table = pd.DataFrame({**where, "c": 20, "beta": np.nan, "round": np.arange(7, 0, -1)})
    table["accuracy"] = table["round"] / 10
    table["worst_decile"] = table["round"] / 100
    table = table.assign(far=0.0, mar=[0, 0, 0.5, 0, 0, 0, 0], diverged=False, apart=0.0)
    table.loc[table["round"] > 4, "apart"] = 1.0
    run = module.summary(table).iloc[0]
    assert run["final_error"] == pytest.approx(1 - 0.5)
    assert run["final_worst"] == pytest.approx(1 - 0.05)
    assert (run["rounds"], run["wrong"], run["apart_from"]) == (7, 1, 5)


def test_the_worst_decile_is_the_mean_of_the_writers_that_are_served_worst():
    writer = np.repeat(np.arange(0, 50, 2), 4)  # 25 of them: the worst three count
    correct = np.ones(100, dtype=bool)
    correct[[8, 9, 10, 20, 21, 40]] = False  # the third writer 1/4, the sixth 2/4, another 3/4
    mixed = np.random.default_rng(0).permutation(100)
    assert module.worst_decile(correct[mixed], writer[mixed]) == pytest.approx(0.5)


# arms with one model share its round


class Counting:
    """Rounds of made-up models; who trained from which model."""

    rule = "median"
    settings = settings("smoke", "glyphs", 3)

    def __init__(self):
        self.trained_from = []

    def trained(self, number, previous, _home):
        self.trained_from.append((number, float(previous[0])))
        return Round(np.tile(previous, (50, 1)), previous, number)


def test_arms_train_once_as_long_as_they_have_one_model(monkeypatch, tmp_path):
    steps = {"a": (1, 2, 3), "b": (1, 2, 4), "c": (5, 2, 3), "d": (5, 6, 6)}

    def decided(_, __, name, observed):
        model = np.full(2, steps[name][observed.number - 1], dtype=np.float32)
        return model, np.zeros(50, dtype=bool)

    monkeypatch.setattr(module, "_decided", decided)
    monkeypatch.setattr(module, "attacked", lambda *args: replace_observed(args[3]))
    monkeypatch.setattr(module, "_accuracies", lambda _, model: (float(model[0]) / 10, 0.0))
    federation, start = Counting(), np.zeros(2, dtype=np.float32)
    federation.store = Store(tmp_path)
    arms = [module.Arm(name, tmp_path / name / "state.npz", start) for name in steps]
    module._advance(arms, 3, federation, "median", "partial")
    assert federation.trained_from == [(1, 0), (2, 1), (2, 5), (3, 2), (3, 6)]
    for arm in arms:
        assert [row["accuracy"] * 10 for row in arm.rows] == list(steps[arm.name])


def replace_observed(honest):
    return type("Crafted", (), {"observed": replace(honest)})


def test_where_honest_training_diverges_the_model_stays(monkeypatch, tmp_path):
    class Diverging(Counting):
        def trained(self, number, previous, home):
            honest = super().trained(number, previous, home)
            honest.clients[7, 1] = np.nan
            return honest

    monkeypatch.setattr(module, "_accuracies", lambda *_: (0.25, 0.0))
    start = np.ones(2, dtype=np.float32)
    arm = module.Arm("undefended", tmp_path / "state.npz", start)
    federation = Diverging()
    federation.store = Store(tmp_path)
    module._advance([arm], 2, federation, "median", "partial")
    np.testing.assert_array_equal(arm.previous, start)
    assert [(row["diverged"], row["flagged"], row["accuracy"]) for row in arm.rows] == [
        (True, 0, 0.25)
    ] * 2


# runs that are killed, and longer ones


def test_a_killed_run_goes_on_with_the_same_bits(trimmed, kept, tmp_path, monkeypatch):
    class KilledError(Exception):
        pass

    def killed(self, path, rows, **arrays):
        if len(rows) == 2 and rows[-1]["arm"] == "LFR":  # some arms are written, others are not
            raise KilledError
        write(self, path, rows, **arrays)

    write, store = Store.save_state, Store(tmp_path)
    monkeypatch.setattr(module, "SAVED", 1)
    monkeypatch.setattr(Store, "save_state", killed)
    with pytest.raises(KilledError):
        survival("trimmed_mean", arms=SOME, last=LAST, store=store, **SMOKE)
    monkeypatch.setattr(Store, "save_state", write)
    trained, train = [], Federation.trained
    monkeypatch.setattr(
        Federation, "trained", lambda self, n, *rest: trained.append(n) or train(self, n, *rest)
    )
    again = survival("trimmed_mean", arms=SOME, last=LAST, store=store, **SMOKE)
    without_time = trimmed.table.drop(columns="seconds")
    pd.testing.assert_frame_equal(again.table.drop(columns="seconds"), without_time)
    assert models(store) == models(kept)
    assert min(trained) == 2
    assert max(trained) == 3


def test_a_shorter_run_and_one_of_fewer_arms_are_taken_from_what_is_there(
    trimmed, kept, monkeypatch
):
    monkeypatch.setattr(Federation, "trained", lambda *_: pytest.fail("trained anew"))
    shorter = survival("trimmed_mean", arms=SOME, last=2, store=kept, **SMOKE).table
    expected = trimmed.table[trimmed.table["round"] <= 2].reset_index(drop=True)
    pd.testing.assert_frame_equal(shorter, expected)
    fewer = survival("trimmed_mean", arms=SOME[:2], last=LAST, store=kept, **SMOKE).table
    assert fewer["apart"].isna().all()  # nothing to compare with
    assert len(fewer) == 2 * LAST


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rule": "mean"}, "survival needs rule of krum, trimmed_mean, median, got mean"),
        ({"arms": ("Nobody",)}, "got Nobody"),
        ({"arms": ("FLDetector",)}, "got FLDetector"),  # follows clients over rounds
        ({"arms": ()}, "got none"),
        ({"arms": ("PDRR", "PDRR")}, "got PDRR, PDRR"),
        ({"attack": "poisoned_fl"}, "got poisoned_fl"),  # remembers
        ({"attack": "none"}, "survival needs attack of"),
        ({"knowledge": "some"}, "survival needs knowledge of full, partial, got some"),
    ],
)
def test_what_nobody_has_is_refused_before_anything_is_trained(change, message, monkeypatch):
    monkeypatch.setattr(Federation, "trained", lambda *_: pytest.fail("trained"))
    options = {"rule": "median", "arms": ("PDRR",), "profile": "smoke"} | change
    with pytest.raises(ValueError) as caught:  # noqa: PT011, the message is compared below
        survival(options.pop("rule"), **options)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
