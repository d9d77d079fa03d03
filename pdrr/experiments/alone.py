"""PDRR alone: one attacked round, one detection (Figs. 2, 4-7)."""

from __future__ import annotations

import time
from typing import Any

import pandas as pd

from pdrr.aggregators import krum
from pdrr.core.rules import own_setting
from pdrr.experiments.records import Records
from pdrr.experiments.scene import defense, scene, settings
from pdrr.federation.store import Store


def detection(
    rule: str,
    *,
    q: float | None = None,
    zero_change: bool = False,
    profile: str = "quick",
    source: str = "glyphs",
    seed: int = 1,
    knowledge: str = "full",
    store: Store | None = None,
    **options: Any,
) -> Records:
    """Attack one round and let PDRR detect (Figs. 4-7).

    Parameters
    ----------
    rule : {"krum", "trimmed_mean", "median"}
        Aggregation rule, with the defence made for it.
    q : float, optional
        In place of the profile's.
    zero_change : bool
        Count coordinates that did not move as well (Fig. 5).
    profile, source, seed, knowledge, store, options
        As in `pdrr.experiments.scene.scene`: attack, number, c, beta, epsilon,
        noise, learning_rate, k.

    Returns
    -------
    Records
        A row per client: statistic, score, flagged, byzantine. One run: FAR, MAR, q range.

    Examples
    --------
    >>> from pdrr import experiments
    >>> found = experiments.detection("median", profile="smoke", q=0.9)
    >>> int(found.table["byzantine"].sum()), int(found.table["flagged"].sum())
    (20, 20)
    >>> found.runs[["far", "mar"]].to_dict("records")
    [{'far': 0.0, 'mar': 0.0}]
    """
    given = {name: options.get(name) for name in ("c", "beta", "k")}
    chosen = settings(profile, source, seed, **given)
    detector = defense(chosen, rule, q, zero_change)  # refuses q before anything is trained
    here = scene(
        rule,
        profile=profile,
        source=source,
        seed=seed,
        knowledge=knowledge,
        store=store,
        **options,
    )
    started = time.perf_counter()
    found = detector.detect(here.observed)
    seconds = time.perf_counter() - started
    run = {
        **here.key,
        "zero_change": zero_change,
        "q": detector.q,
        **here.outcome(found.pre_aggregate),
        **here.rates(found),
        "training_s": here.training_s,
        "attack_s": here.attack_s,
        "detection_s": seconds,
    }
    return here.records(here.clients(found, **here.key), [run])


def first_parameters(
    *,
    number: int = 2,
    knowledge: str = "full",
    epsilon: float = 1e-6,
    **options: Any,
) -> Records:
    """First and second parameter of every model under the attack on Krum (Fig. 2).

    Parameters
    ----------
    number, knowledge, options : as in `detection`
    epsilon : float
        Distance of the malicious models from each other.

    Returns
    -------
    Records
        A row per point; `model` is "benign", "malicious", "previous global", "next global" (Krum
        without the attack) or "next global, attacked".

    Examples
    --------
    >>> from pdrr import experiments
    >>> found = experiments.first_parameters(profile="smoke", number=1)
    >>> found.table["model"].value_counts()[["benign", "malicious", "next global"]].to_dict()
    {'benign': 30, 'malicious': 20, 'next global': 1}
    """
    here = scene("krum", number=number, knowledge=knowledge, epsilon=epsilon, **options)
    previous = here.honest.previous
    c = own_setting("krum", c=here.settings.federation.c, beta=None)
    points = [
        ("malicious" if bad else "benign", w)
        for bad, w in zip(here.byzantine, here.observed.clients[:, :2], strict=True)
    ]
    points += [
        ("previous global", previous),
        ("next global", krum(here.honest.clients, previous=previous, **c)),
        ("next global, attacked", krum(here.observed.clients, previous=previous, **c)),
    ]
    seed = here.settings.seed
    table = [
        {"seed": seed, "model": model, "first": float(w[0]), "second": float(w[1])}
        for model, w in points
    ]
    run = {
        **here.place,
        "knowledge": knowledge,
        **c,
        "epsilon": epsilon,
        "succeeded": here.crafted.succeeded,
        "lambda": here.crafted.detail["lambda"],
        "training_s": here.training_s,
    }
    return here.records(pd.DataFrame(table), [run])
