"""PDRR alone: one attacked round, one detection (Figs. 2, 4-7)."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd

from pdrr.aggregators import krum
from pdrr.experiments.provenance import provenance
from pdrr.experiments.records import Records
from pdrr.experiments.scene import attack, dataset, defense, selected, settings
from pdrr.federation.rounds import Federation
from pdrr.federation.store import Store
from pdrr.federation.streams import byzantine
from pdrr.metrics import far, mar, q_range


def detection(
    rule: str,
    *,
    profile: str = "quick",
    source: str = "glyphs",
    seed: int = 1,
    number: int = 1,
    knowledge: str = "full",
    c: int | None = None,
    beta: int | None = None,
    q: float | None = None,
    noise: str | None = None,
    zero_change: bool = False,
    store: Store | None = None,
) -> Records:
    """Attack one round and let PDRR detect (Figs. 4-7).

    Parameters
    ----------
    rule : {"krum", "trimmed_mean", "median"}
        Aggregation rule, with the attack and the defence made for it.
    profile, source, seed : str, str, int
        What to run: see `pdrr.config`; `source` is "glyphs", an .npz file or a LEAF folder.
    number : int
        Communication round.
    knowledge : {"full", "partial"}
    c, beta, q, noise : optional
        In place of the profile's; `noise` ("coordinate" or "ball") only matters for Krum.
    zero_change : bool
        Count coordinates that did not move as well (Fig. 5).
    store : Store, optional
        Cache of trained rounds.

    Returns
    -------
    Records
        A row per client: statistic, score, flagged, byzantine. One run: FAR, MAR, q range.
    """
    started = time.perf_counter()
    chosen = settings(profile, source, seed, c=c, beta=beta, noise=noise)
    detector = defense(chosen, rule, q, zero_change=zero_change)
    federation = Federation(chosen, dataset(chosen, store), rule, store)
    honest = next(federation.rounds([number]))

    attacking = time.perf_counter()
    crafted = attack(chosen, rule, honest, knowledge)
    detecting = time.perf_counter()
    found = detector.detect(crafted.observed)
    done = time.perf_counter()

    compromised = byzantine(chosen)
    low, high = q_range(found.scores, compromised) or (np.nan, np.nan)
    run = {
        "seed": seed,
        "round": number,
        "rule": rule,
        "knowledge": knowledge,
        "c": chosen.federation.c,
        "beta": chosen.defense.beta if rule == "trimmed_mean" else np.nan,
        "noise": chosen.attack.noise if rule == "krum" else "",
        "zero_change": zero_change,
        "q": detector.q,
        "succeeded": crafted.succeeded,
        "lambda": crafted.detail.get("lambda", np.nan),
        "selected": selected(crafted.observed, found.pre_aggregate, compromised),
        "far": far(found.flagged, compromised),
        "mar": mar(found.flagged, compromised),
        "q_low": low,
        "q_high": high,
        "training_s": federation.training_seconds(honest),
        "attack_s": detecting - attacking,
        "detection_s": done - detecting,
    }
    keys = ("rule", "seed", "round", "knowledge", "c", "beta", "noise")
    table = pd.DataFrame(
        {
            **{key: run[key] for key in keys},
            "client": np.arange(1, honest.k + 1),
            "byzantine": compromised,
            "statistic": found.statistic,
            "score": found.scores,
            "flagged": found.flagged,
        }
    )
    seconds = time.perf_counter() - started
    return Records(
        table, pd.DataFrame([run]), provenance(chosen, federation.dataset, honest.d, seconds)
    )


def first_parameters(
    *,
    profile: str = "quick",
    source: str = "glyphs",
    seed: int = 1,
    number: int = 2,
    knowledge: str = "full",
    c: int | None = None,
    epsilon: float = 1e-6,
    store: Store | None = None,
) -> Records:
    """First and second parameter of every model under the attack on Krum (Fig. 2).

    Parameters
    ----------
    profile, source, seed, number, knowledge, c, store : as in `detection`
    epsilon : float
        Distance of the malicious models from each other.

    Returns
    -------
    Records
        A row per point; `model` is "benign", "malicious", "previous global", "next global" (Krum
        without the attack) or "next global, attacked".
    """
    started = time.perf_counter()
    chosen = settings(profile, source, seed, c=c, epsilon=epsilon)
    federation = Federation(chosen, dataset(chosen, store), "krum", store)
    honest = next(federation.rounds([number]))
    crafted = attack(chosen, "krum", honest, knowledge)
    observed, compromised = crafted.observed, byzantine(chosen)
    server = {"c": chosen.federation.c, "previous": honest.previous}
    points = [
        ("malicious" if bad else "benign", w)
        for bad, w in zip(compromised, observed.clients[:, :2], strict=True)
    ]
    points += [
        ("previous global", honest.previous),
        ("next global", krum(honest.clients, **server)),
        ("next global, attacked", krum(observed.clients, **server)),
    ]
    table = pd.DataFrame(
        [
            {"seed": seed, "model": model, "first": float(w[0]), "second": float(w[1])}
            for model, w in points
        ]
    )
    run = {
        "seed": seed,
        "round": number,
        "knowledge": knowledge,
        "c": chosen.federation.c,
        "epsilon": epsilon,
        "succeeded": crafted.succeeded,
        "lambda": crafted.detail["lambda"],
        "training_s": federation.training_seconds(honest),
    }
    seconds = time.perf_counter() - started
    return Records(
        table, pd.DataFrame([run]), provenance(chosen, federation.dataset, honest.d, seconds)
    )
