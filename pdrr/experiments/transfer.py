"""Attacks made for one rule, tried on every rule; and the lone client that the mean cannot bear."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from pdrr.aggregators import AGGREGATORS
from pdrr.core.rules import DEFENDED, RULES, own_setting
from pdrr.experiments.attacking import NOBODY
from pdrr.experiments.records import Records
from pdrr.experiments.scene import Scene, defense, scene
from pdrr.experiments.variations import varied
from pdrr.federation.store import Store
from pdrr.types import Crafted, Detection, Round

ONE_CLIENT = "one client"
"""Name of the attack by a single client: its own update, turned round and scaled."""

SCALE = 1e6


def crossed(
    *,
    attacks: Sequence[str] = DEFENDED,
    attackers: int | None = None,
    chain: str = "trimmed_mean",
    store: Store | None = None,
    **options: Any,
) -> Records:
    """Try each attack on each rule, in one honest round, and PDRR of each rule on each attack.

    - "Even if a single client is manipulated and its model parameters are modified deliberately,
      the entire FL may fail" (section 2.2): `attacks=["one client"]` on the mean.
    - "Generally, the effect of non-specific attack is weaker than specific attack" (2.3).
    - "Compared with Krum, Bulyan is less affected by abnormal model parameters" (2.2.2), "attack on
      Krum can transfer to Bulyan" (3): needs k >= 4c + 3, so c <= 11 of 50.
    - "Our defense scheme (PDRR) is also transferable in these two attack models" (5.3).

    Parameters
    ----------
    attacks : sequence of str
        Of {"krum", "trimmed_mean", "median", "one client"}; others by the names they have.
    attackers : int, optional
        How many of the round's clients attack, in place of the settings' c. The server knows the
        number: Krum and Bulyan tolerate it. The trimmed mean keeps the settings' beta.
    chain : str
        Rule of the federation that trained the round. At round 1 it does not matter.
    store, options : as in `pdrr.experiments.scene.scene`

    Returns
    -------
    Records
        A row per attack, rule that has a PDRR, and client. A run per attack and rule, Bulyan only
        where it is defined: accuracy of w_p, of the aggregate without and with the attack; `harm`,
        their difference; `moved`, how far the attack moves the aggregate, over the length of its
        step without; of PDRR for that rule FAR, MAR, and the range of suitable q.

    Examples
    --------
    >>> from pdrr import experiments
    >>> found = experiments.crossed(attacks=["one client"], attackers=1, profile="smoke")
    >>> moved = found.runs.set_index("rule")["moved"]
    >>> bool(moved["mean"] > 1000 > 10 > moved["median"])
    True
    """
    quiet = scene(chain, attack=NOBODY, store=store, **options)
    c = quiet.settings.federation.c if attackers is None else attackers
    quiet = varied(quiet, NOBODY, c=c)
    rules = [rule for rule in RULES if rule != "bulyan" or quiet.honest.k >= 4 * c + 3]
    plain = {rule: aggregate(quiet, rule, quiet.honest) for rule in rules}
    accuracy = dict(zip(rules, quiet.accuracies(*plain.values()), strict=True))
    before = quiet.accuracies(quiet.honest.previous)[0]
    tables, runs = [], []
    for attack in attacks:
        here = one_client(quiet) if attack == ONE_CLIENT else varied(quiet, attack)
        for rule in rules:
            key = {**here.key, **_of(here, rule)}
            run: dict[str, Any] = {**key}
            if rule in DEFENDED:
                found = defense(here.settings, rule).detect(here.observed)
                now = found.pre_aggregate
                run |= {"q": here.settings.defense.q[rule], **here.rates(found)}
            else:
                now = aggregate(here, rule, here.observed)
                found = _nobody_judges(here, now)
                run |= dict.fromkeys(("q", "far", "mar", "q_low", "q_high"), float("nan"))
            tables.append(here.clients(found, **key))
            attacked = here.accuracies(now)[0]
            runs.append(
                {
                    **run,
                    **here.outcome(now),
                    "accuracy": before,
                    "accuracy_unattacked": accuracy[rule],
                    "accuracy_attacked": attacked,
                    "harm": accuracy[rule] - attacked,
                    "moved": _length(now, plain[rule]) / _length(plain[rule], here.honest.previous),
                }
            )
    return quiet.records(pd.concat(tables, ignore_index=True), runs)


def one_client(here: Scene) -> Scene:
    """The scene's honest round, in which the first client sends its update a million times back."""
    honest = here.honest
    clients = np.array(honest.clients)
    base = honest.previous.astype(np.float64)
    clients[0] = base - SCALE * (clients[0] - base)
    crafted = Crafted(replace(honest, clients=clients), succeeded=True)
    federation = replace(here.settings.federation, c=1)
    return replace(
        here,
        settings=replace(here.settings, federation=federation),
        attack=ONE_CLIENT,
        crafted=crafted,
    )


def _nobody_judges(here: Scene, aggregate: np.ndarray) -> Detection:
    """Of a rule that PDRR has no scheme for: no score, nobody flagged."""
    none = np.full(here.honest.k, np.nan)
    return Detection(none, none, np.zeros(here.honest.k, dtype=bool), aggregate)


def aggregate(here: Scene, rule: str, received: Round) -> np.ndarray:
    """What a server with that rule makes of a round, w [d]."""
    settings = here.settings
    own = own_setting(rule, c=settings.federation.c, beta=settings.defense.beta)
    near = {"previous": received.previous} if rule in ("krum", "bulyan") else {}
    return np.asarray(AGGREGATORS[rule](received.clients, **own, **near))


def _of(here: Scene, rule: str) -> dict[str, Any]:
    beta = own_setting(rule, c=0, beta=here.settings.defense.beta).get("beta", np.nan)
    return {"rule": rule, "beta": beta}


def _length(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.linalg.norm(a.astype(np.float64) - b))
