"""Attackers that know the defence: what hiding from it costs them, and what it buys.

Each family of attacks has one parameter that trades damage for being seen. Damage is compared with
damage: what the attack would do to the rule alone, and what is left of it behind a defence.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from pdrr.aggregators import AGGREGATORS
from pdrr.core.arrays import Array, accelerator, array_namespace, blocks, float64, moved, to_host
from pdrr.core.directions import mean_direction
from pdrr.core.files import digest
from pdrr.core.rules import DEFENDED, own_setting
from pdrr.core.shared import forget
from pdrr.experiments import schemes
from pdrr.experiments.attacking import NOBODY, attacked
from pdrr.experiments.cache import code_digest
from pdrr.experiments.matrix import rates
from pdrr.experiments.records import Records
from pdrr.experiments.scene import Scene, scene
from pdrr.experiments.server import Server
from pdrr.federation.store import Store
from pdrr.federation.streams import byzantine
from pdrr.types import Crafted, Round

ALONE = "none"
"""The name of no defence at all."""

DEFENCES = (schemes.OURS, "Co-trimming")
STRENGTHS = (0.1, 0.25, 0.5, 0.84, 1.5, 3.0)  # standard deviations
SHARES = (1.0, 0.75, 0.5, 0.3, 0.2, 0.1, 0.05)
KRUM, COORDINATES = ("krum",), ("trimmed_mean", "median")


@dataclass(frozen=True)
class Family:
    """An attack with one parameter, from loud to quiet or the other way.

    Attributes
    ----------
    attack : str
        Its name.
    parameter : str
        The keyword that is varied; "" if none is.
    grid : tuple
        Values of it.
    rules : tuple of str
        Against which it is tried.
    fixed : dict
        Its other keywords, where they are not the attack's own defaults.
    """

    attack: str
    parameter: str
    grid: tuple[Any, ...]
    rules: tuple[str, ...] = DEFENDED
    fixed: dict[str, Any] = field(default_factory=dict)


PLAIN = "the paper's attack"
FAMILIES = {
    PLAIN: Family("", "", (np.nan,)),
    "flipped signs": Family("krum_flip", "share", (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5), KRUM),
    "copies apart": Family("krum", "epsilon", (1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2), KRUM),
    "decoy": Family("decoy", "share", (0.0, 0.02, 0.05, 0.1, 0.2, 0.3), COORDINATES),
    "rotating": Family("rotating", "share", SHARES, COORDINATES),
    "mixed strengths": Family("mixed", "weakest", (1.0, 0.75, 0.5, 0.25, 0.0), COORDINATES),
    "shift": Family("shift", "z", STRENGTHS),
    "camps": Family("camps", "count", (1, 2, 4, 10, 20)),
    "strangers": Family("strangers", "share", SHARES),
    "strangers, z = 3": Family("strangers", "share", SHARES, fixed={"z": 3.0}),
    "strangers, 30%": Family("strangers", "z", (0.5, 1.0, 2.0, 4.0, 8.0), fixed={"share": 0.3}),
    "sparse": Family("sparse", "share", (0.0001, 0.001, 0.01), COORDINATES),
    "sacrifice": Family("sacrifice", "share", (0.0, 0.25, 0.5, 0.75, 0.95), COORDINATES),
}


def evading(
    rule: str,
    *,
    families: Sequence[str] | None = None,
    knowledge: str = "partial",
    store: Store | None = None,
    **options: Any,
) -> Records:
    """Let attackers hide from PDRR and from Co-trimming in one honest round, more and less.

    Parameters
    ----------
    rule : {"krum", "trimmed_mean", "median"}
        What the server aggregates with.
    families : sequence of str, optional
        Of `FAMILIES`; all that are made for the rule by default.
    knowledge : {"full", "partial"}
    store, options : as in `pdrr.experiments.scene.scene`

    Returns
    -------
    Records
        A row per family, value of its parameter and defence ("none", "PDRR", "Co-trimming"):
        `damage`, the share of the rule's step that is undone (1: the aggregate stands still, 2: it
        goes as far back), measured along Sgn(mean update) of all honest models; `moved`, the
        distance to the un-attacked aggregate in lengths of its step; `accuracy`; FAR, MAR, AUC and
        how many are flagged. The step is that of the rule over all honest models. One run, with the
        accuracies of w_p and of the un-attacked aggregate. A run that is killed goes on where it
        was.

    Raises
    ------
    ValueError
        For an unknown family, or one that is not made for the rule.

    Examples
    --------
    >>> from pdrr import experiments
    >>> found = experiments.evading("median", families=["shift"], profile="smoke").table
    >>> found[["defence", "damage"]].groupby("defence").size().to_dict()
    {'Co-trimming': 6, 'PDRR': 6, 'none': 6}
    """
    chosen = _families(rule, families)
    here = at_home(scene(rule, attack=NOBODY, knowledge=knowledge, store=store, **options))
    judge = Judging(here)
    todo = [(name, value) for name, family in chosen.items() for value in family.grid]
    store = store or Store()
    path = _state(here, store, todo)
    rows: list[dict[str, Any]] = store.load_json(path) if store.has(path) else []
    done = len(rows) // (1 + len(DEFENCES))
    with tqdm(total=len(todo), initial=done, unit="attack", desc=rule, disable=None) as bar:
        for name, value in todo[done:]:
            bar.set_postfix_str(f"{name} {value:g}")
            rows += judge.cells(name, chosen[name], value)
            store.save_json(path, rows)
            bar.update()
    run = {
        **_place(here),
        "q": here.settings.defense.q[rule],
        "attackers": int(byzantine(here.settings).sum()),
        "k": here.honest.k,
        "accuracy": judge.accuracy(here.honest.previous),
        "accuracy_spared": judge.accuracy(judge.spared),
    }
    return here.records(pd.DataFrame(rows), [run])


class Judging:
    """One honest round, and what attacks and defences make of it.

    Parameters
    ----------
    here : Scene
        With nobody attacking.
    """

    def __init__(self, here: Scene) -> None:
        self.here, honest = here, here.honest
        self.accuracies: dict[str, float] = {}
        self.along = mean_direction(honest, np.arange(honest.k))
        self.spared = self.plain(honest)
        self.step = progress(self.spared, honest.previous, self.along)
        self.length = distance(self.spared, honest.previous)

    def cells(self, name: str, family: Family, value: Any) -> Iterator[dict[str, Any]]:
        """A row for no defence and for each: what is left of the damage, and who is flagged."""
        here, rule = self.here, self.here.federation.rule
        crafted = craft(here, family, value)
        observed, bad = crafted.observed, byzantine(here.settings)
        key = {**_place(here), "family": name, "attack": family.attack or rule}
        key |= {"parameter": family.parameter, "value": float(value)}
        key |= {"succeeded": crafted.succeeded}
        yield {**key, "defence": ALONE, **self.damage(self.plain(observed))}
        for defence in DEFENCES:
            forget(observed)
            make: Any = schemes.known()[defence].make
            model, found = make(Server(here.federation, observed)).aggregate(observed)
            flagged, scores = to_host(found.flagged), to_host(found.scores)
            said = rates(flagged, scores, bad)
            del said["far_target"]
            key["defence"] = defence
            yield {**key, **self.damage(model), **said, "flagged": int(flagged.sum())}
        forget(observed)

    def damage(self, model: Array) -> dict[str, float]:
        """How far an aggregate is from the un-attacked one."""
        previous = self.here.honest.previous
        return {
            "damage": 1 - progress(model, previous, self.along) / self.step,
            "moved": distance(model, self.spared) / self.length,
            "accuracy": self.accuracy(model),
        }

    def plain(self, observed: Round) -> Array:
        """The rule over all models [d]."""
        settings, rule = self.here.settings, self.here.federation.rule
        own: dict[str, Any] = own_setting(rule, c=settings.federation.c, beta=settings.defense.beta)
        if rule == "krum":
            own["previous"] = observed.previous
        return AGGREGATORS[rule](observed.clients, **own)

    def accuracy(self, model: Array) -> float:
        """Of a model [d]; each is tried once."""
        host = np.array(to_host(model))
        key = digest(host)
        if key not in self.accuracies:
            self.accuracies[key] = self.here.accuracies(host)[0]
        return self.accuracies[key]


def craft(here: Scene, family: Family, value: Any) -> Crafted:
    """The scene's honest round under an attack of the family."""
    rule = here.federation.rule
    given = family.fixed | ({family.parameter: value} if family.parameter else {})
    attack = family.attack or rule
    return attacked(here.settings, attack, rule, here.honest, here.knowledge, **given)


def progress(model: Array, previous: Array, along: Array) -> float:
    """How far a model [d] is from the previous one [d] along signs [d]: a sum over weights."""
    xp, total = array_namespace(model), 0.0
    for cols in blocks(model.shape[0]):
        away = float64(model[cols]) - float64(previous[cols])
        total += float(xp.sum(away * float64(along[cols])))
    return total


def distance(model: Array, other: Array) -> float:
    """Euclidean distance of two models [d]."""
    xp, total = array_namespace(model), 0.0
    for cols in blocks(model.shape[0]):
        away = float64(model[cols]) - float64(other[cols])
        total += float(xp.sum(away * away))
    return float(np.sqrt(total))


def at_home(here: Scene) -> Scene:
    """The scene with its honest round on a GPU, where there is one."""
    home, honest = accelerator(), here.honest
    if home is np:
        return here
    parts = {name: moved(getattr(honest, name), home) for name in ("clients", "previous")}
    return replace(here, honest=replace(honest, **parts))


def _families(rule: str, names: Sequence[str] | None) -> dict[str, Family]:
    made = {name: family for name, family in FAMILIES.items() if rule in family.rules}
    if names is None:
        return made
    if not set(names) <= set(made):
        raise ValueError(
            f"families against {rule} need to be of {'; '.join(made)}, got {'; '.join(names)}"
        )
    return {name: made[name] for name in names}


def _place(here: Scene) -> dict[str, Any]:
    key = here.key
    return {name: key[name] for name in ("rule", "seed", "round", "knowledge", "c", "beta")}


def _state(here: Scene, store: Store, todo: Sequence[tuple[str, Any]]) -> Path:
    """Where the rows are kept while the experiment runs."""
    key = {**here.federation.training_key, "settings": here.settings.as_dict()}
    key |= {name: _place(here)[name] for name in ("rule", "round", "knowledge")}
    key |= {"todo": [[name, f"{value:g}"] for name, value in todo], "code": code_digest()}
    return store.folder("evasion", key) / "rows.json"
