"""What hiding costs: damage and detection of attacks that know the defence."""

import json

import numpy as np
import pytest

from pdrr import AGGREGATORS, PDRR, config, experiments
from pdrr.beyond.cotrim import CoTrimming
from pdrr.experiments import evasion, recordings
from pdrr.experiments.attacking import NOBODY, attacks
from pdrr.experiments.scene import scene
from pdrr.federation.store import Store

pytestmark = pytest.mark.usefixtures("small")
SMOKE = config.load("smoke")
K, C = SMOKE.federation.k, SMOKE.federation.c


@pytest.fixture
def options(store):
    return {"profile": "smoke", "store": store}


def cell(records, **values):
    return records.where(**values).table.iloc[0] if False else _one(records.table, values)


def _one(table, values):
    for name, value in values.items():
        table = table[table[name] == value]
    assert len(table) == 1
    return table.iloc[0]


@pytest.mark.parametrize("rule", ["krum", "trimmed_mean", "median"])
def test_every_family_meets_no_defence_and_both(rule, options):
    found = experiments.evasion(rule, **options)
    made = {name: each for name, each in evasion.FAMILIES.items() if rule in each.rules}
    assert found.table["family"].unique().tolist() == list(made)
    for (name, defence), rows in found.table.groupby(["family", "defence"]):
        assert len(rows) == len(made[name].values), (name, defence)
    alone = found.table["defence"] == evasion.ALONE
    assert found.table.loc[alone, ["far", "mar", "auc"]].isna().all(axis=None)
    assert found.table.loc[~alone, ["far", "mar", "auc"]].notna().all(axis=None)
    assert found.table[["damage", "moved", "accuracy"]].notna().all(axis=None)
    assert found.runs[["attackers", "k"]].to_numpy().tolist() == [[C, K]]
