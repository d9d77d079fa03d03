"""What hiding costs: damage and detection of attacks that know the defence."""

import numpy as np
import pytest

from pdrr import PDRR, config, experiments
from pdrr.aggregators import AGGREGATORS
from pdrr.beyond.cotrim import CoTrimming
from pdrr.core.rules import DEFENDED
from pdrr.experiments import evasion, recordings
from pdrr.experiments.attacking import NOBODY, attacked, attacks
from pdrr.experiments.evasion import ALONE, FAMILIES, PLAIN
from pdrr.experiments.scene import scene

pytestmark = pytest.mark.usefixtures("small")
SMOKE = config.load("smoke")
K, C = SMOKE.federation.k, SMOKE.federation.c


@pytest.fixture
def options(store):
    return {"profile": "smoke", "store": store}


def only(table, values):
    for name, value in values.items():
        table = table[table[name] == value]
    assert len(table) == 1
    return table.iloc[0]


@pytest.mark.parametrize("rule", DEFENDED)
def test_every_family_meets_no_defence_and_both(rule, options):
    found = experiments.evading(rule, **options)
    made = {name: each for name, each in FAMILIES.items() if rule in each.rules}
    assert found.table["family"].unique().tolist() == list(made)
    for (name, defence), rows in found.table.groupby(["family", "defence"]):
        assert len(rows) == len(made[name].grid), (name, defence)
    alone = found.table["defence"] == ALONE
    assert found.table.loc[alone, ["far", "mar", "auc"]].isna().all(axis=None)
    assert found.table.loc[~alone, ["far", "mar", "auc"]].notna().all(axis=None)
    assert found.table[["damage", "moved", "accuracy"]].notna().all(axis=None)
    assert found.runs[["attackers", "k"]].to_numpy().tolist() == [[C, K]]


@pytest.mark.parametrize("rule", DEFENDED)
def test_damage_is_the_share_of_the_step_that_is_undone(rule, options):
    found = experiments.evading(rule, families=["camps"], knowledge="full", beta=20, **options)
    here = scene(rule, attack=NOBODY, knowledge="full", beta=20, **options)
    honest = here.honest
    seen = attacked(here.settings, "camps", rule, honest, "full", count=4).observed
    own = {"krum": {"c": C}, "trimmed_mean": {"beta": 20}, "median": {}}[rule]
    w = AGGREGATORS[rule](honest.clients, **own).astype(float)
    models = {
        ALONE: AGGREGATORS[rule](seen.clients, **own),
        "PDRR": PDRR(rule, q=SMOKE.defense.q[rule], **own).aggregate(seen)[0],
        "Co-trimming": CoTrimming(rule, **own).aggregate(seen)[0],
    }
    s = np.sign(honest.clients.astype(float).mean(axis=0) - honest.previous)
    for defence, model in models.items():
        row = only(found.table, {"value": 4, "defence": defence})
        undone = (w - model) @ s / ((w - honest.previous) @ s)
        assert row["damage"] == pytest.approx(undone, rel=1e-4, abs=1e-5)
        away = np.linalg.norm(w - model) / np.linalg.norm(w - honest.previous)
        assert row["moved"] == pytest.approx(away, rel=1e-4, abs=1e-5)
        assert row["accuracy"] == here.accuracies(model)[0]
    assert found.runs["accuracy_spared"].tolist() == here.accuracies(w.astype(np.float32))


def test_an_aggregate_that_stands_still_is_a_damage_of_one():
    previous, along = np.array([1.0, 2.0, 3.0]), np.array([1.0, -1.0, 0.0])
    assert evasion.progress(previous, previous, along) == 0
    assert evasion.progress(previous + np.array([2, 3, 9]), previous, along) == -1
    assert evasion.distance(previous + np.array([2, 3, 6]), previous) == 7


def test_without_a_parameter_it_is_the_paper_s_attack_and_loud_ends_are_it_too(options):
    found = experiments.evading("median", families=[PLAIN, "decoy", "rotating"], **options)
    told = ["damage", "moved", "accuracy"]
    plain = only(found.table, {"family": PLAIN, "defence": ALONE})
    assert (plain["attack"], plain["parameter"]) == ("median", "")
    for name, loud in (("decoy", 0), ("rotating", 1)):
        row = only(found.table, {"family": name, "value": loud, "defence": ALONE})
        assert row[told].tolist() == pytest.approx(plain[told].tolist(), rel=1e-5)


@pytest.mark.parametrize("defence", evasion.DEFENCES)
def test_rates_and_flags_are_those_of_the_defence(defence, options):
    row = only(
        experiments.evading("trimmed_mean", families=["shift"], **options).table,
        {"value": 3.0, "defence": defence},
    )
    here = scene("trimmed_mean", attack=NOBODY, **options)
    seen = attacked(here.settings, "shift", "trimmed_mean", here.honest, "partial", z=3.0).observed
    q = SMOKE.defense.q["trimmed_mean"]
    made = {"PDRR": PDRR("trimmed_mean", beta=10, q=q), "Co-trimming": CoTrimming("median")}
    flagged = made[defence].detect(seen).flagged
    bad = np.arange(K) < C
    assert row["flagged"] == flagged.sum()
    assert row["mar"] == (~flagged[bad]).mean()
    assert row["far"] == flagged[~bad].mean()


def test_a_killed_run_goes_on_after_the_last_attack_that_it_finished(
    options, monkeypatch, tmp_path
):
    options = {**options, "store": type(options["store"])(tmp_path)}
    whole = experiments.evading("median", families=["mixed strengths"], **options).table
    for path in tmp_path.glob("evasion/*/rows.json"):
        path.unlink()
    plain, made = evasion.craft, []

    def craft(here, family, value):
        if len(made) == 3:
            raise KeyboardInterrupt
        made.append(value)
        return plain(here, family, value)

    monkeypatch.setattr(evasion, "craft", craft)
    with pytest.raises(KeyboardInterrupt):
        experiments.evading("median", families=["mixed strengths"], **options)
    made[:] = []
    again = experiments.evading("median", families=["mixed strengths"], **options).table
    assert made == [0.25, 0.0]
    assert again.equals(whole)


def test_a_family_is_made_for_its_rules(options):
    with pytest.raises(ValueError, match="families against krum need to be of .*, got decoy$"):
        experiments.evading("krum", families=["decoy"], **options)


def test_families_vary_what_their_attacks_know_and_attacks_made_here_are_in_one():
    for family in FAMILIES.values():
        for name in family.fixed | ({family.parameter: 0} if family.parameter else {}):
            code = attacks()[family.attack].function.__code__
            assert name in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    ours = {name for name, entry in attacks().items() if entry.reference == "here"}
    assert ours == {family.attack for family in FAMILIES.values()} - {"", "krum"}


def test_the_recording_has_every_rule_with_both_kinds_of_knowledge():
    jobs = recordings.jobs("evasion", "quick", 1)
    assert len(jobs) == 8
    assert {options["rule"] for _, options in jobs} == set(DEFENDED)
    assert all(experiment is experiments.evading for experiment, _ in jobs)
