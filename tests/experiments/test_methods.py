"""Every attack and every scheme keeps one contract; a new one costs one file."""

from textwrap import dedent

import pytest

from helpers import entry_contract
from pdrr import attacks as functions
from pdrr import experiments
from pdrr.book import figures, tables
from pdrr.core.rules import DEFENDED
from pdrr.experiments import attacking, regenerate, schemes
from pdrr.experiments.records import Records
from pdrr.federation.store import Store

pytestmark = pytest.mark.usefixtures("small")


@pytest.mark.parametrize("knowledge", functions.KNOWLEDGE)
@pytest.mark.parametrize("name", attacking.attacks())
def test_an_attack_keeps_the_contract(name, knowledge):
    entry_contract.check_attack(name, knowledge)


@pytest.mark.parametrize("rule", DEFENDED)
@pytest.mark.parametrize("name", schemes.known())
def test_a_scheme_keeps_the_contract(name, rule, store, tmp_path):
    entry_contract.check_scheme(schemes.known()[name], rule, store, Store(tmp_path))


def test_the_paper_s_attacks_have_the_names_of_its_rules():
    assert tuple(entry.name for entry in attacking.IN_THE_PAPER) == DEFENDED
    assert [entry.function for entry in attacking.IN_THE_PAPER] == list(functions.ATTACKS.values())


# a method in a file of its own

ATTACK = '''
    """Doubling: every compromised client sends twice its own update."""

    from dataclasses import replace

    import numpy as np

    from pdrr.attacks import compromised
    from pdrr.methods import Attack
    from pdrr.types import Crafted


    def doubling(honest, byzantine, *, knowledge, rng):
        rows, _ = compromised("doubling", honest, byzantine, knowledge)
        clients = np.array(honest.clients)
        clients[rows] += clients[rows] - honest.previous
        return Crafted(replace(honest, clients=clients), succeeded=True)


    ATTACK = Attack("doubling", "doubling attack", doubling, "nobody")
'''
RIVAL = '''
    """Farthest: the distance of each model to the coordinate-wise median."""

    import numpy as np

    from pdrr import median
    from pdrr.baselines import flag_largest
    from pdrr.methods import Scheme
    from pdrr.types import Detection


    class Farthest:
        def __init__(self, *, c, rng):
            self.c, self.rng = c, rng

        def detect(self, observed):
            middle = median(observed.clients)
            far = np.linalg.norm(observed.clients.astype(float) - middle, axis=1)
            flagged = flag_largest(far, self.c, self.rng)
            return Detection(statistic=far, scores=far, flagged=flagged, pre_aggregate=middle)


    SCHEME = Scheme(
        "Farthest",
        lambda server: Farthest(c=server.c, rng=server.rng()),
        axis="distance to the median",
        reference="nobody",
    )
'''


@pytest.fixture
def toys(tmp_path, monkeypatch):
    """A folder of the reader's own with an attack and a rival, one file each."""
    folder = tmp_path / "methods"
    folder.mkdir()
    (folder / "doubling.py").write_text(dedent(ATTACK), "utf-8")
    (folder / "farthest.py").write_text(dedent(RIVAL), "utf-8")
    monkeypatch.setenv("PDRR_METHODS", str(folder))
    return folder


@pytest.mark.usefixtures("toys")
@pytest.mark.parametrize("knowledge", functions.KNOWLEDGE)
def test_a_toy_attack_keeps_the_contract(knowledge):
    entry_contract.check_attack("doubling", knowledge)


@pytest.mark.usefixtures("toys")
@pytest.mark.parametrize("rule", DEFENDED)
def test_a_toy_rival_keeps_the_contract(rule, store, tmp_path):
    entry_contract.check_scheme(schemes.known()["Farthest"], rule, store, Store(tmp_path))


@pytest.mark.usefixtures("toys")
def test_toys_stand_in_records_tables_and_figures_without_further_ado(store, tmp_path):
    made = experiments.one_round("median", attack="doubling", profile="smoke", store=store)
    made.save(tmp_path / "smoke", "table2b")
    records = Records.load(tmp_path / "smoke", "table2b")
    assert set(records.runs["attack"]) == {"doubling"}
    assert set(records.runs["rule"]) == {"median"}
    assert records.runs["scheme"].tolist() == [*schemes.usual()]
    assert schemes.usual()[-1] == "Farthest"
    assert list(tables.rates_table(records).data.index) == [*schemes.usual()]
    drawn = figures.scheme_panels(records)
    (ax,) = drawn.panels["Farthest"].axes
    assert ax.get_ylabel().startswith("distance to the median")
    assert "median under the doubling attack" in drawn.title
    (outcome,) = regenerate.recomputed(tmp_path)
    assert outcome.differences == []


@pytest.mark.usefixtures("toys")
def test_a_comparison_is_run_again_where_a_toy_has_changed(store, toys):
    options = {"attack": "doubling", "profile": "smoke", "schemes": ("Farthest",), "store": store}
    first = experiments.one_round("median", **options)
    file = toys / "doubling.py"
    file.write_text(
        file.read_text("utf-8").replace("honest.previous", "honest.previous * 2"), "utf-8"
    )
    second = experiments.one_round("median", **options)
    assert first.table["score"].tolist() != second.table["score"].tolist()


def test_without_a_folder_there_are_no_toys():
    assert "Farthest" not in schemes.known()
    with pytest.raises(ValueError, match="attack needs to be of none, krum, .*, got 'doubling'"):
        experiments.one_round("median", attack="doubling", profile="smoke")
