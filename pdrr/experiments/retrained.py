"""How much VAE and DAGMM depend on one training: the same round, judged after several."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd

from pdrr.experiments.records import Records
from pdrr.experiments.scene import defense, scene
from pdrr.experiments.schemes import known
from pdrr.experiments.server import Server, find
from pdrr.federation.store import Store

LEARNED = ("DAGMM", "VAE")
APART = 1000  # seeds of the trainings: far from those of federations


def refits(rule: str, *, times: int = 5, store: Store | None = None, **options: Any) -> Records:
    """Train VAE and DAGMM several times on the same snapshots, and let each judge one round.

    A training has its own coordinates, initial weights and order of snapshots; the first is that
    of all other experiments. The round, the attack and the snapshots stay as they are.

    Parameters
    ----------
    rule : {"krum", "trimmed_mean", "median"}
        Aggregation rule, with the attack made for it.
    times : int >= 1
        Trainings of each.
    store, options : as in `pdrr.experiments.scene.scene`

    Returns
    -------
    Records
        A row per scheme, training (`draw`) and client: statistic, score, flagged. A run per scheme
        and training: FAR and MAR.

    Raises
    ------
    ValueError
        If `times` is not positive.

    Examples
    --------
    >>> from pdrr import experiments
    >>> found = experiments.refits("median", times=2, profile="smoke")
    >>> found.runs[["scheme", "draw"]].to_dict("list")
    {'scheme': ['DAGMM', 'DAGMM', 'VAE', 'VAE'], 'draw': [0, 1, 0, 1]}
    """
    if times < 1:
        raise ValueError(f"refits needs times >= 1, got {times}")
    here = scene(rule, store=store, **options)
    outcome = here.outcome(defense(here.settings, rule).detect(here.observed).pre_aggregate)
    tables, runs = [], []
    for name in LEARNED:
        for draw in range(times):
            server = Server(here.federation, here.observed)
            if draw:
                server.settings = replace(here.settings, seed=here.settings.seed + APART * draw)
            found = find(server, known()[name]).detection
            key = {"scheme": name, **here.key, "draw": draw}
            rates = here.rates(found, threshold=False)
            runs.append({**key, **outcome, "far": rates["far"], "mar": rates["mar"]})
            tables.append(here.clients(found, **key))
    return here.records(pd.concat(tables, ignore_index=True), runs)
