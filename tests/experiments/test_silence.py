"""Nobody attacks: every client counts as honest, data are dealt out anew, a killed run goes on."""

import numpy as np
import pandas as pd
import pytest

from helpers import miniature
from pdrr import experiments
from pdrr.experiments.quiet import dealt, summary
from pdrr.federation.store import Store

pytestmark = pytest.mark.usefixtures("small")
SOME = {"schemes": ["Co-trimming", "Multi-Krum"], "profile": "smoke"}


def test_a_row_for_each_round_and_scheme_with_nobody_to_blame(store):
    records = experiments.silence(last=2, **SOME, store=store)
    assert records.table.groupby("round")["scheme"].apply(list).tolist() == 2 * [
        ["PDRR (Krum)", "PDRR (trimmed mean)", "PDRR (median)", "Co-trimming", "Multi-Krum"]
    ]
    runs = records.runs.set_index("scheme")
    assert (runs["rounds"] == 2).all()
    assert runs.loc["Multi-Krum", "alarms"] == 2  # it always drops c
    quiet = records.table[records.table["flagged"] == 0]
    assert (quiet["accuracy_rule"] == quiet["accuracy_left"]).all()


def test_a_longer_run_goes_on_where_a_shorter_one_ended(tmp_path, monkeypatch):
    store = Store(tmp_path)
    first = experiments.silence(last=1, **SOME, store=store)
    trained = []
    train = miniature.GraphTrainer.train

    def counted(*arguments):
        trained.append(1)
        return train(*arguments)

    monkeypatch.setattr(miniature.GraphTrainer, "train", counted)
    second = experiments.silence(last=2, **SOME, store=store)
    assert len(trained) == first.table["k"].iloc[0]  # one round of all clients
    columns = ["scheme", "flagged", "accuracy_rule", "accuracy_left", "seconds"]
    pd.testing.assert_frame_equal(
        second.table.loc[second.table["round"] == 1, columns], first.table[columns]
    )


def test_detectors_look_at_round_1_and_at_every_so_many(store):
    records = experiments.silence(last=4, every=2, **SOME, store=store)
    assert records.table["round"].unique().tolist() == [1, 2, 4]


@pytest.mark.parametrize("alpha", [0.05, 1000.0])
def test_labels_are_dealt_out_as_unlike_as_asked_and_nothing_else_changes(alpha):
    data = miniature.dataset()
    again = dealt(data, alpha, np.random.default_rng(0))
    np.testing.assert_array_equal(again.writer, data.writer)
    np.testing.assert_array_equal(again.images[data.test], data.images[data.test])
    there = np.unique(data.labels[~data.test])
    assert set(again.labels[~data.test]) <= set(there)
    most = [
        np.bincount(again.labels[(again.writer == i) & ~data.test]).max()
        / ((again.writer == i) & ~data.test).sum()
        for i in range(len(data))
    ]
    assert np.mean(most) > 0.4 if alpha < 1 else np.mean(most) < 0.4


def test_a_dirichlet_parameter_that_is_none_is_refused():
    with pytest.raises(ValueError, match="alpha needs to be positive, got 0"):
        experiments.silence(alpha=0, profile="smoke")


def test_runs_count_rounds_alarms_and_models():
    row = {"scheme": "a", "seed": 1, "share": 0.0, "pairs": 0, "alpha": None, "k": 50}
    table = pd.DataFrame(
        [
            {**row, "learning_rate": 0.06, "round": i + 1, "flagged": n}
            for i, n in enumerate([0, 3, 1])
        ]
    )
    (found,) = summary(table).to_dict("records")
    assert [found[key] for key in ("rounds", "alarms", "flagged", "models")] == [3, 2, 4, 150]
