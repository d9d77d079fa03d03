"""How many attackers can be borne: more and more of them, and a server that expects another number.

Nothing is trained again: the same honest round is attacked by its first c clients, c = 0, 1, 2, ...
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from tqdm import tqdm

from pdrr.aggregators import AGGREGATORS
from pdrr.config import Settings
from pdrr.core.arrays import Array, to_host
from pdrr.core.files import digest
from pdrr.core.rules import DEFENDED, RULES, in_words, own_setting
from pdrr.core.shared import forget
from pdrr.experiments import schemes as entries
from pdrr.experiments.attacking import NOBODY, attacked
from pdrr.experiments.matrix import rates
from pdrr.experiments.provenance import provenance
from pdrr.experiments.records import Records
from pdrr.experiments.scene import dataset, settings
from pdrr.experiments.server import Server, find
from pdrr.federation.rounds import Federation
from pdrr.federation.store import Store
from pdrr.federation.streams import byzantine
from pdrr.types import Crafted, Round

CHAIN = "trimmed_mean"  # whose oracle-defended rounds all attacks are crafted on
COUNTS = (0, 1, 2, 3, 4, 5, 8, 10, 12, 15, 18, 20, 22, 24)
BETAS = (1, 2, 5, 8, 10, 12, 15, 20, 24)
AT = (10, 20)  # attackers, against whom all of these are tried
EXPECTED = (5, 10, 20)
TRUTH = (0, 3, 5, 10, 15, 20, 24)  # attackers, of whom a server expects these
LEAST = 3  # attackers on Krum that know only their own models: they need a distance between them
SCHEMES = ("Co-trimming", "Multi-Krum", "DnC", "MANDERA", "SignGuard", "NNM")
BY_COUNT = ("Multi-Krum", "DnC", "NNM")  # are told how many to expect


class Tried(NamedTuple):
    """An attack, what it knows, and the rules whose aggregate it is tried on."""

    attack: str
    knowledge: str
    rules: tuple[str, ...]


def how_many(
    *,
    number: int = 1,
    k: int | None = None,
    counts: Sequence[int] = COUNTS,
    betas: Sequence[int] = BETAS,
    expected: Sequence[int] = EXPECTED,
    schemes: Sequence[str] = SCHEMES,
    profile: str = "quick",
    source: str = "glyphs",
    seed: int = 1,
    store: Store | None = None,
) -> Records:
    """Let more and more clients of one honest round attack, and the server expect c or another c.

    Each rule meets the attack made against it, with partial knowledge, and ALIE with full
    knowledge; at c = 0 nobody attacks. The server expects the true c (one attacker where there are
    none) and trims a fifth of the models per side; besides, one of the two is varied.

    Parameters
    ----------
    number : int
        Communication round of the trimmed mean's oracle-defended chain.
    k : int, optional
        Take only the first k models of the round; all by default.
    counts : sequence of int
        True numbers of attackers; those are left out of which k models have a majority. Below 3
        Krum has no attack with partial knowledge.
    betas : sequence of int
        What the trimmed mean trims per side, at c = 10 and 20.
    expected : sequence of int
        What the server expects where it is wrong, tried at the numbers `TRUTH`; for those schemes,
        and Krum, that are told.
    schemes : sequence of str
        Beside PDRR for each of its three rules.
    profile, source, seed, store
        As in `pdrr.experiments.scene.scene`.

    Returns
    -------
    Records
        A row per attack, scheme and setting: FAR, MAR, AUC, how many are flagged. `expected` and
        `beta` are NaN where a scheme does not ask for them. The attacks on the trimmed mean and on
        the median send the same models: the others' rows have the first name. A run per attack,
        aggregate and setting: `moved`, how far it ends from the same aggregate of the honest
        models, in lengths of the step that this takes; accuracies of both, for the three rules;
        and whose model Krum `selected`.

    Examples
    --------
    >>> from pdrr import experiments
    >>> few = {"counts": [0, 12], "betas": [], "expected": [], "schemes": ["Co-trimming"]}
    >>> found = experiments.how_many(**few, profile="smoke").table
    >>> found.groupby("c")["scheme"].nunique().to_dict()
    {0: 4, 12: 4}
    """
    started = time.perf_counter()
    store = store or Store()
    chosen = settings(profile, source, seed)
    data = dataset(chosen, store)
    chain = Federation(chosen, data, CHAIN, store)
    trial = _Trial(chain, next(chain.rounds([number])), k, store)
    k = trial.honest.k
    every = [c for c in counts if 2 * c < k]
    wrong = [c for c in expected if 2 * c < k and c + LEAST <= k]
    todo = [(c, tried) for c in every for tried in _attacks(c)]
    table: list[dict[str, Any]] = []
    runs: list[dict[str, Any]] = []
    with tqdm(todo, unit="attack", desc=f"{profile}, round {number}", disable=None) as bar:
        for c, tried in bar:
            bar.set_postfix_str(f"c = {c} of {k}, {tried.attack}")
            others = list(dict.fromkeys([max(1, c), *(e for e in wrong if c in TRUTH)]))
            trims = list(dict.fromkeys([k // 5, *(b for b in betas if c in AT and 2 * b < k)]))
            for row, run in trial.run(c, tried, others, trims, schemes):
                table += row
                runs += run
    origin = provenance(chosen, data, trial.honest.d, time.perf_counter() - started)
    return Records(pd.DataFrame(table), pd.DataFrame(runs), origin)


def _attacks(c: int) -> list[Tried]:
    """What is tried with c attackers."""
    if c == 0:
        return [Tried(NOBODY, "full", DEFENDED)]
    # with partial knowledge the attacks on the trimmed mean and on the median send the same models
    own = [Tried(CHAIN, "partial", ("trimmed_mean", "median")), Tried("alie", "full", DEFENDED)]
    return own if c < LEAST else [Tried("krum", "partial", ("krum",)), *own]


Part = tuple[list[dict[str, Any]], list[dict[str, Any]]]


class _Trial:
    """One honest round, and what has been computed of it."""

    def __init__(self, chain: Federation, honest: Round, k: int | None, store: Store) -> None:
        k = honest.k if k is None else k
        if not 3 <= k <= honest.k:
            raise ValueError(f"how_many needs 3 <= k <= {honest.k}, got k={k}")
        ids = None if honest.ids is None else honest.ids[:k]
        self.honest = replace(honest, clients=honest.clients[:k], ids=ids)
        self.chain = chain
        self.servers = {
            rule: Federation(chain.settings, chain.dataset, rule, store) for rule in DEFENDED
        }
        self.spared: dict[str, np.ndarray] = {}  # aggregates of the honest models
        self.accuracies: dict[str, float] = {}

    def settings(self, c: int, beta: int) -> Settings:
        """With k as it is, c attackers and beta."""
        chosen = self.chain.settings
        federation = replace(chosen.federation, k=self.honest.k, c=max(1, c))
        return replace(chosen, federation=federation, defense=replace(chosen.defense, beta=beta))

    def run(
        self,
        c: int,
        tried: Tried,
        expected: Sequence[int],
        betas: Sequence[int],
        schemes: Sequence[str],
    ) -> Iterator[Part]:
        """Rows and runs of one attack: PDRR with each rule, then the others."""
        truth = self.settings(c, betas[0])
        crafted = attacked(truth, tried.attack, tried.rules[0], self.honest, tried.knowledge)
        bad = byzantine(truth) & (c > 0)
        place: dict[str, Any] = {
            "seed": truth.seed,
            "round": self.honest.number,
            "k": self.honest.k,
            "c": c,
        }
        place |= {"attack": tried.attack, "knowledge": tried.knowledge}
        place["succeeded"] = crafted.succeeded
        for rule in tried.rules:
            asked = expected if RULES[rule].setting == "c" else expected[:1]
            trims = betas if RULES[rule].setting == "beta" else betas[:1]
            for told in asked:
                for beta in trims:
                    yield self._pdrr(place, crafted, bad, rule, told, beta)
        for name in schemes:
            # the attack on Krum is of one strength whatever a server expects: once is enough
            often = name in BY_COUNT and tried.attack != "krum"
            for told in expected if often else expected[:1]:
                yield self._rival(place, crafted, bad, name, told)
        forget(crafted.observed)

    def _pdrr(
        self,
        place: dict[str, Any],
        crafted: Crafted,
        bad: np.ndarray,
        rule: str,
        told: int,
        beta: int,
    ) -> Part:
        believed, words = self.settings(told, beta), in_words(rule)
        server = Server(self.servers[rule], crafted.observed, believed)
        found = find(server, entries.known()[entries.OURS]).detection
        own = own_setting(rule, c=told, beta=beta)
        at = {**place, "expected": own.get("c", np.nan), "beta": own.get("beta", np.nan)}
        if place["attack"] in DEFENDED:
            at["attack"] = rule
        moved = np.array(to_host(found.pre_aggregate))
        spared = self._spared(f"{rule}, {own}", lambda: self._aggregate(rule, own))
        run = {**at, "rule": words, "moved": self._away(moved, spared), "selected": ""}
        run |= {"accuracy": self._accuracy(moved), "accuracy_spared": self._accuracy(spared)}
        if rule == "krum":
            run["selected"] = self._selected(crafted.observed, moved, bad)
        row = {**at, "scheme": f"{entries.OURS} ({words})"}
        return [row | _cell(found.flagged, found.scores, bad)], [run]

    def _rival(
        self, place: dict[str, Any], crafted: Crafted, bad: np.ndarray, name: str, told: int
    ) -> Part:
        entry, counts = entries.known()[name], name in BY_COUNT
        believed = self.settings(told, self.honest.k // 5)
        server = Server(self.servers[CHAIN], crafted.observed, believed)
        at = {**place, "expected": told if counts else np.nan, "beta": np.nan}
        if not counts or place["attack"] == "krum":
            found = find(server, entry).detection
            return [{**at, "scheme": name} | _cell(found.flagged, found.scores, bad)], []
        model, found = entry.make(server).aggregate(crafted.observed)  # type: ignore[attr-defined]

        def honestly() -> Array:
            spared = entry.make(Server(self.servers[CHAIN], self.honest, believed))
            return spared.aggregate(self.honest)[0]  # type: ignore[attr-defined]

        away = self._away(np.array(to_host(model)), self._spared(f"{name}, {told}", honestly))
        run = {**at, "rule": name, "moved": away, "selected": ""}
        row = {**at, "scheme": name} | _cell(found.flagged, found.scores, bad)
        return [row], [run | {"accuracy": np.nan, "accuracy_spared": np.nan}]

    def _aggregate(self, rule: str, own: dict[str, Any]) -> Array:
        near = {"previous": self.honest.previous} if rule == "krum" else {}
        return AGGREGATORS[rule](self.honest.clients, **own, **near)

    def _spared(self, key: str, compute: Callable[[], Array]) -> np.ndarray:
        if key not in self.spared:
            self.spared[key] = np.array(to_host(compute()))
        return self.spared[key]

    def _away(self, model: np.ndarray, spared: np.ndarray) -> float:
        step = np.linalg.norm(spared.astype(float) - to_host(self.honest.previous))
        return float(np.linalg.norm(model.astype(float) - spared) / step) if step else np.nan

    def _accuracy(self, model: np.ndarray) -> float:
        key = digest(model)
        if key not in self.accuracies:
            x, y = self.chain.dataset.evaluation()
            self.accuracies[key] = 1 - self.chain.trainer.error(model, x, y)
        return self.accuracies[key]

    @staticmethod
    def _selected(observed: Round, model: np.ndarray, bad: np.ndarray) -> str:
        same = [bool((to_host(row) == model).all()) for row in observed.clients]
        return "malicious" if bad[np.flatnonzero(same)[0]] else "benign"


def _cell(flagged: Array, scores: Array, bad: np.ndarray) -> dict[str, Any]:
    flagged, scores = to_host(flagged), to_host(scores)
    found = rates(flagged, scores, bad)
    return {name: found[name] for name in ("far", "mar", "auc")} | {"flagged": int(flagged.sum())}
