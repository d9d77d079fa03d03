"""PDRR's score of each client under every attack beyond the paper, one honest round for all."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from pdrr import beyond
from pdrr.core.rules import DEFENDED, own_setting
from pdrr.experiments.attacking import NOBODY, Known, attacked
from pdrr.experiments.matrix import CHAIN
from pdrr.experiments.records import Records
from pdrr.experiments.scene import defense, scene
from pdrr.federation.store import Store


def client_scores(*, number: int = 1, store: Store | None = None, **options: Any) -> Records:
    """Let PDRR of each rule judge one honest round under every attack that is not the paper's.

    An attack that is made for a rule is made for the one that judges; the others send all three the
    same models.

    Parameters
    ----------
    number : int
        Communication round of the trimmed mean's oracle-defended chain, as in the matrix.
    store, options : as in `pdrr.experiments.scene.scene`

    Returns
    -------
    Records
        A row per attack, rule and client: score and flag. A run per attack and rule: q, FAR, MAR
        and the range of suitable q. All attackers have full knowledge.

    Examples
    --------
    >>> from pdrr import experiments
    >>> found = experiments.client_scores(profile="smoke")
    >>> found.runs.groupby("rule").size().nunique(), len(found.table) // len(found.runs)
    (1, 50)
    """
    options |= {"attack": NOBODY, "knowledge": "full"}
    here = scene(CHAIN, number=number, store=store, **options)
    chosen, chain, honest = here.settings, here.federation, here.honest
    before = None if number == 1 else np.array(chain.start(number - 1))
    known = Known(before=before, flipped=lambda: chain.flipped(honest))
    tables, runs = [], []
    with tqdm(beyond.all_attacks().items(), unit="attack", disable=None) as bar:
        for attack, entry in bar:
            bar.set_postfix_str(entry.words)
            crafted = None
            for rule in DEFENDED:
                if crafted is None or "rule" in entry.takes:
                    crafted = attacked(chosen, attack, rule, honest, "full", known)
                there = replace(here, attack=attack, crafted=crafted)
                own = own_setting(rule, c=0, beta=chosen.defense.beta)
                key = {**there.key, "rule": rule, "beta": own.get("beta", np.nan)}
                del key["noise"]  # the paper's attack on Krum alone has one
                found = defense(chosen, rule).detect(crafted.observed)
                tables.append(there.clients(found, **key).drop(columns="statistic"))
                runs.append({**key, "q": chosen.defense.q[rule], **there.rates(found)})
    return here.records(pd.concat(tables, ignore_index=True), runs)
