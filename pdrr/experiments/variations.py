"""The same honest round under other attacks: more or fewer attackers, more or less noise.

Nothing is trained again: the round is that of the settings, whoever attacks it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from pdrr.aggregators import AGGREGATORS
from pdrr.core.rules import own_setting
from pdrr.experiments.attacking import NOBODY, attacked
from pdrr.experiments.records import Records
from pdrr.experiments.scene import Scene, defense, scene
from pdrr.federation.store import Store
from pdrr.types import Detection

COUNTS = (1, 3, 5, 8, 10, 12, 15, 18, 20, 22)
EPSILONS = (1e-7, 1e-6, 1e-5, 1e-4, 3e-4, 1e-3, 1e-2)
LEAST = 3  # attackers on Krum that know only their own models: they need a distance between them


def varied(
    here: Scene,
    attack: str,
    *,
    c: int | None = None,
    beta: int | None = None,
    epsilon: float | None = None,
    noise: str | None = None,
) -> Scene:
    """The scene's honest round under another attack; None keeps what the settings have.

    The first c clients of the round attack. The federation that trained it stays as it was.
    """
    given: dict[str, dict[str, Any]] = {
        "federation": {"c": c},
        "defense": {"beta": beta},
        "attack": {"epsilon": epsilon, "noise": noise},
    }
    chosen = here.settings
    for part, values in given.items():
        changed = {name: value for name, value in values.items() if value is not None}
        chosen = replace(chosen, **{part: replace(getattr(chosen, part), **changed)})
    crafted = attacked(chosen, attack, here.federation.rule, here.honest, here.knowledge)
    return replace(here, settings=chosen, attack=attack, crafted=crafted)


def by_count(
    rule: str,
    *,
    counts: Sequence[int] = COUNTS,
    knowledge: str = "partial",
    store: Store | None = None,
    **options: Any,
) -> Records:
    """Attack one round with more and more compromised clients.

    "Large c brings a high rate of success of Krum attack" (section 5.1). The server knows c: Krum
    tolerates it, and the trimmed mean drops as many values per side, as the paper demands in 4.2.

    Parameters
    ----------
    rule : {"krum", "trimmed_mean", "median"}
        Aggregation rule, with the attack made for it.
    counts : sequence of int
        Numbers of compromised clients; below 3, Krum is not attacked under partial knowledge.
    knowledge, store, options : as in `pdrr.experiments.scene.scene`

    Returns
    -------
    Records
        A row per c and client: what PDRR says of it. A run per c: whether the attack succeeded and
        whose model Krum selects, accuracy of w_p, of the aggregate without and with the attack,
        `harm` (their difference), FAR, MAR, and the range of suitable q.

    Examples
    --------
    >>> from pdrr import experiments
    >>> which = {"profile": "smoke", "seed": 3, "knowledge": "full"}
    >>> found = experiments.by_count("krum", counts=[1, 20], **which)
    >>> found.runs[["c", "selected"]].to_dict("records")
    [{'c': 1, 'selected': 'benign'}, {'c': 20, 'selected': 'malicious'}]
    """
    here = scene(rule, attack=NOBODY, knowledge=knowledge, store=store, **options)
    barred = rule == "krum" and knowledge == "partial"
    possible = [c for c in counts if c >= LEAST or not barred]
    widest = (here.honest.k - 1) // 2  # beta beyond which nothing is left

    def settings() -> Iterable[Scene]:
        for c in possible:
            beta = min(c, widest) if rule == "trimmed_mean" else None
            yield varied(here, rule, c=c, beta=beta)

    return _judged(settings(), rule, {})


def by_epsilon(
    *,
    epsilons: Sequence[float] = EPSILONS,
    noises: Sequence[str] = ("ball", "coordinate"),
    store: Store | None = None,
    **options: Any,
) -> Records:
    """Attack Krum with copies that lie farther and farther from each other.

    "Although a relatively large epsilon can bring large disturbance to malicious models [...], it
    makes the sum square distance of w'_1 increase and reduces success rate of attack" (section
    3.1.2).

    Parameters
    ----------
    epsilons : sequence of float
    noises : sequence of {"ball", "coordinate"}
        Readings of "within the distance epsilon".
    store, options : as in `pdrr.experiments.scene.scene`

    Returns
    -------
    Records
        As in `by_count`, a run per reading and epsilon. `copies` is how many equal models the
        attacker's simulation took, `rho_malicious` the smallest correlation of a malicious model,
        `rho_benign` the largest of a benign one.

    Examples
    --------
    >>> from pdrr import experiments
    >>> tried = {"epsilons": [1e-7, 1000.0], "noises": ["ball"], "knowledge": "full"}
    >>> found = experiments.by_epsilon(profile="smoke", seed=3, **tried)
    >>> found.runs[["epsilon", "selected"]].to_dict("records")
    [{'epsilon': 1e-07, 'selected': 'malicious'}, {'epsilon': 1000.0, 'selected': 'benign'}]
    """
    here = scene("krum", attack=NOBODY, store=store, **options)
    tried = [(noise, epsilon) for noise in noises for epsilon in epsilons]
    scenes = (varied(here, "krum", noise=noise, epsilon=epsilon) for noise, epsilon in tried)
    return _judged(scenes, "krum", {"epsilon": [epsilon for _, epsilon in tried]})


def _judged(scenes: Iterable[Scene], rule: str, more: dict[str, list[Any]]) -> Records:
    """PDRR and the accuracies in each scene; `more` are columns with a value for each."""
    tables: list[pd.DataFrame] = []
    runs: list[dict[str, Any]] = []
    aggregates: dict[str, float] = {}  # accuracy of the un-attacked one, by its setting
    before = float("nan")  # of w_p, tried once
    for i, here in enumerate(scenes):
        found = defense(here.settings, rule).detect(here.observed)
        own = own_setting(rule, c=here.settings.federation.c, beta=here.settings.defense.beta)
        if str(own) not in aggregates:
            near = {"previous": here.honest.previous} if rule == "krum" else {}
            aggregate = AGGREGATORS[rule](here.honest.clients, **own, **near)
            aggregates[str(own)] = here.accuracies(aggregate)[0]
        key = {**here.key, **{name: values[i] for name, values in more.items()}}
        if not runs:
            before = here.accuracies(here.honest.previous)[0]
        attacked = here.accuracies(found.pre_aggregate)[0]
        run = {
            **key,
            **here.outcome(found.pre_aggregate),
            "copies": here.crafted.detail.get("copies", float("nan")),
            "accuracy": before,
            "accuracy_unattacked": aggregates[str(own)],
            "accuracy_attacked": attacked,
            "harm": aggregates[str(own)] - attacked,
            "q": here.settings.defense.q[rule],
            **here.rates(found),
        }
        runs.append(run | (_correlations(found, here) if rule == "krum" else {}))
        tables.append(here.clients(found, **key))
    return here.records(pd.concat(tables, ignore_index=True), runs)


def _correlations(found: Detection, here: Scene) -> dict[str, float]:
    rho, byzantine = found.statistic, here.byzantine
    return {
        "rho_malicious": float(rho[byzantine].min()),
        "rho_benign": float(rho[~byzantine].max()),
    }
