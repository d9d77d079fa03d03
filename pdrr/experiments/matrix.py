"""Every attack against every detector, on one honest round (the matrix of Part II)."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from pdrr.aggregators import AGGREGATORS
from pdrr.config import Settings
from pdrr.core.arrays import Array, to_host
from pdrr.core.files import digest
from pdrr.core.rules import DEFENDED, in_words, own_setting
from pdrr.core.shared import forget
from pdrr.experiments import schemes as entries
from pdrr.experiments.attacking import NOBODY, Known, attacked, attacks
from pdrr.experiments.provenance import provenance
from pdrr.experiments.records import Records
from pdrr.experiments.scene import dataset, settings
from pdrr.experiments.server import Server, find
from pdrr.federation.rounds import Federation
from pdrr.federation.store import Store
from pdrr.federation.streams import byzantine
from pdrr.metrics import auc, far, mar
from pdrr.types import Crafted, Round

CHAIN = "trimmed_mean"  # whose oracle-defended rounds all attacks are crafted on
ADAPTIVE = (  # have a page of their own
    *("decoy", "krum_flip", "mixed", "rotating", "sparse"),
    *("camps", "sacrifice", "strangers"),
)
RIVALS = (
    "Co-trimming",
    "MANDERA",
    "SignGuard",
    "SignGuard-Sim",
    "AlignIns",
    "LASA",
    "FLAME",
    "FoolsGold",
    "FLTrust",
    "FLTrust biased",
    "Multi-Krum",
    "DnC",
    "NNM",
    "RFA",
)
"""The schemes that see one round; FLDetector, which follows clients, has runs of its own."""


@dataclass(frozen=True)
class Way:
    """An attack as it is tried: with what knowledge, against which rule, with which noise."""

    attack: str
    knowledge: str
    rule: str
    noise: str = ""

    @property
    def words(self) -> str:
        """As rows and panels call it."""
        entry = attacks().get(self.attack)
        name = entry.words if entry else "nobody attacks"
        return f"{name}{', noise per coordinate' if self.noise == 'coordinate' else ''}"


def ways() -> list[Way]:
    """The paper's attacks with both knowledges, the others as their authors have them."""
    paper = [Way(rule, known, rule) for rule in DEFENDED for known in ("full", "partial")]
    paper.insert(2, Way("krum", "partial", "krum", "coordinate"))
    others = [name for name in attacks() if name not in (*DEFENDED, *ADAPTIVE)]
    rest = [Way(name, "full", CHAIN) for name in others]
    return [*paper, Way("alie", "partial", CHAIN), *rest]


def against(
    *,
    number: int = 1,
    tried: Sequence[str] | None = None,
    schemes: Sequence[str] = RIVALS,
    profile: str = "quick",
    source: str = "glyphs",
    seed: int = 1,
    c: int | None = None,
    store: Store | None = None,
) -> Records:
    """Let every detector judge the same round under every attack, and under none.

    Parameters
    ----------
    number : int
        Communication round of the trimmed mean's oracle-defended chain.
    tried : sequence of str, optional
        Names of attacks; all but the adaptive ones by default.
    schemes : sequence of str
        Names of schemes, beside PDRR for each of its three rules.
    profile, source, seed, c, store
        As in `pdrr.experiments.scene.scene`.

    Returns
    -------
    Records
        A row per attack, knowledge and scheme: FAR, MAR, AUC, how many are flagged, seconds.
        For Mimic ``far`` is without the copied client and ``far_target`` with it. A run per attack
        and rule: how far it moves the rule's aggregate, in lengths of the step that the rule would
        have taken (`moved`), and the accuracies of both aggregates.

    Examples
    --------
    >>> from pdrr import experiments
    >>> found = experiments.against(tried=["ipm"], schemes=["Co-trimming"], profile="smoke").table
    >>> sorted(found["scheme"].unique())
    ['Co-trimming', 'PDRR (Krum)', 'PDRR (median)', 'PDRR (trimmed mean)']
    """
    started = time.perf_counter()
    store = store or Store()
    chosen = settings(profile, source, seed, c=c)
    data = dataset(chosen, store)
    servers = {rule: Federation(chosen, data, rule, store) for rule in DEFENDED}
    chain = servers[CHAIN]
    before = None if number == 1 else np.array(chain.start(number - 1))
    honest = next(chain.rounds([number]))
    known = Known(before=before, flipped=lambda: chain.flipped(honest))
    todo = [Way(NOBODY, "full", CHAIN), *(w for w in ways() if tried is None or w.attack in tried)]
    place = {"seed": seed, "round": number, "c": chosen.federation.c, "k": honest.k}
    spared = {rule: aggregate_of(chosen, rule, honest) for rule in DEFENDED}
    accuracy: dict[str, float] = {}
    rows, runs = [], []
    with tqdm(todo, unit="attack", desc=f"{profile}, round {number}", disable=None) as bar:
        for way in bar:
            bar.set_postfix_str(way.words)
            crafted = craft(chosen, way, honest, known)
            at = {**place, "attack": way.attack, "knowledge": way.knowledge, "noise": way.noise}
            rows += [{**at, **cell} for cell in _judged(servers, crafted, way, schemes)]
            for rule in DEFENDED:
                moved = aggregate_of(chosen, rule, crafted.observed)
                away = np.linalg.norm(moved.astype(float) - spared[rule])
                step = np.linalg.norm(spared[rule].astype(float) - to_host(honest.previous))
                runs.append({**at, "rule": rule, "moved": away / step if step else np.nan})
                runs[-1] |= {"succeeded": crafted.succeeded}
                for name, model in (("accuracy", moved), ("accuracy_spared", spared[rule])):
                    runs[-1][name] = accuracy_of(chain, model, accuracy)
            forget(crafted.observed)
    origin = provenance(chosen, data, honest.d, time.perf_counter() - started)
    return Records(pd.DataFrame(rows), pd.DataFrame(runs), origin)


def craft(chosen: Settings, way: Way, honest: Round, known: Known) -> Crafted:
    """The round under an attack as it is tried."""
    if way.noise == "coordinate":
        chosen = replace(chosen, attack=replace(chosen.attack, noise="coordinate"))
    return attacked(chosen, way.attack, way.rule, honest, way.knowledge, known)


def aggregate_of(chosen: Settings, rule: str, observed: Round) -> np.ndarray:
    """What the rule makes of a round without a defence: [d] on the host."""
    own: dict[str, Any] = own_setting(rule, c=chosen.federation.c, beta=chosen.defense.beta)
    if rule == "krum":
        own["previous"] = observed.previous
    return np.array(to_host(AGGREGATORS[rule](observed.clients, **own)))


def accuracy_of(federation: Federation, model: Array, known: dict[str, float]) -> float:
    """Accuracy on the evaluation images; `known` has those of models tried before, by digest."""
    key = digest(model)
    if key not in known:
        x, y = federation.dataset.evaluation()
        known[key] = 1 - federation.trainer.error(model, x, y)
    return known[key]


def _judged(
    servers: dict[str, Federation], crafted: Crafted, way: Way, schemes: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """A cell for each scheme: PDRR as the server of each rule has it, and the others."""
    observed, every = crafted.observed, entries.known()
    attacked_by = byzantine(servers[CHAIN].settings) & (way.attack != NOBODY)
    target = crafted.detail.get("target")
    for rule, name in [
        *((rule, entries.OURS) for rule in DEFENDED),
        *((CHAIN, n) for n in schemes),
    ]:
        forget(observed)  # so that each pays for its own passes
        found = find(Server(servers[rule], observed), every[name])
        flagged, scores = to_host(found.detection.flagged), to_host(found.detection.scores)
        word = f"{name} ({in_words(rule)})" if name == entries.OURS else name
        yield {
            "scheme": word,
            **rates(flagged, scores, attacked_by, target),
            "flagged": int(flagged.sum()),
            "seconds": found.seconds,
        }


def rates(
    flagged: np.ndarray, scores: np.ndarray, bad: np.ndarray, target: int | None = None
) -> dict[str, float]:
    """FAR, MAR and AUC; a client that attackers copy is left out of all but `far_target`."""
    judged = np.ones(len(bad), dtype=bool)
    if target is not None and not bad[target]:
        judged[target] = False
    mixed = bad.any() and not bad.all()
    return {
        "far": far(flagged[judged], bad[judged]),
        "far_target": far(flagged, bad),
        "mar": mar(flagged, bad),
        "auc": auc(scores[judged], bad[judged]) if mixed else np.nan,
    }
