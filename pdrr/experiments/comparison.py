"""PDRR beside the schemes it is compared with: one attacked round, all of them detect (section 5).

Everything is made for one round and cached, so that a killed evaluation goes on where it was.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from pdrr.experiments import cache, scene
from pdrr.experiments.provenance import provenance
from pdrr.experiments.records import Records
from pdrr.experiments.schemes import READINGS, SCHEMES, Found, rejections, spectral, timed
from pdrr.federation.rounds import Federation
from pdrr.federation.store import Store
from pdrr.federation.streams import byzantine
from pdrr.metrics import far, mar, q_range

RULES = ("krum", "trimmed_mean", "median")
RULE_KEYS = ("rule", "seed", "round", "knowledge", "c", "beta", "noise")


def rounds(
    rule: str,
    *,
    numbers: Sequence[int] | None = None,
    knowledge: Sequence[str] = ("partial",),
    profile: str = "quick",
    source: str = "glyphs",
    seed: int = 1,
    **options: Any,
) -> Records:
    """The comparison at several rounds of one federation (Tables 1 and 2, Fig. 11).

    Parameters
    ----------
    rule : {"krum", "trimmed_mean", "median"}
    numbers : sequence of int, optional
        Communication rounds; the profile's by default.
    knowledge : sequence of {"full", "partial"}
    profile, source, seed, options : as in `one_round`

    Returns
    -------
    Records
        Those of `one_round`, one after the other.
    """
    if numbers is None:
        numbers = scene.settings(profile, source, seed).evaluation.rounds
    which = {"profile": profile, "source": source, "seed": seed, **options}
    parts = []
    with tqdm(list(product(numbers, knowledge)), unit="round", desc=rule, disable=None) as bar:
        for number, known in bar:
            bar.set_postfix_str(f"round {number}, {known} knowledge")
            parts.append(one_round(rule, number=number, knowledge=known, **which))
    return Records.concat(parts)


def one_round(rule: str, *, store: Store | None = None, **options: Any) -> Records:
    """Attack one round and let every scheme detect; from the cache if it was run before.

    Parameters
    ----------
    rule : {"krum", "trimmed_mean", "median"}
        Aggregation rule, with the attack made for it.
    store : Store, optional
        Cache.
    options
        As in `compare`.

    Returns
    -------
    Records
        A row per scheme, reading and client: statistic, score, flagged, byzantine. A run per
        scheme and reading: FAR, MAR, q range, accuracies, seconds.
    """
    given = {"profile": "quick", "source": "glyphs", "seed": 1, **options}
    return cache.cached(compare, {"rule": rule, **given}, store)


def compare(
    *,
    rule: str,
    profile: str,
    source: str,
    seed: int,
    number: int = 1,
    knowledge: str = "partial",
    c: int | None = None,
    beta: int | None = None,
    noise: str | None = None,
    schemes: Sequence[str] = SCHEMES,
    readings: Sequence[str] = (),
    store: Store | None = None,
) -> Records:
    """What `one_round` caches.

    Parameters
    ----------
    rule, profile, source, seed, number, knowledge, c, beta, noise : as in `experiments.detection`
    schemes : sequence of SCHEMES
    readings : sequence of READINGS
        Other readings of the paper, beside the default: "mean" (ERR and LFR leave out of the mean,
        whatever the rule), "alone" (they try each model alone), "high" (VAE flags what it
        reconstructs with HIGH probability, as the paper prints), "output layer" (VAE and DAGMM look
        at the last layer's weights), "from w_p" (their snapshots start from the round's global
        model).
    store : Store, optional
    """
    started = time.perf_counter()
    for what, given, known in (("schemes", schemes, SCHEMES), ("readings", readings, READINGS)):
        if not set(given) <= set(known):
            raise ValueError(f"{what} need to be of {', '.join(known)}, got {', '.join(given)}")
    chosen = scene.settings(profile, source, seed, c=c, beta=beta, noise=noise)
    federation = Federation(chosen, scene.dataset(chosen, store), rule, store)
    honest = next(federation.rounds([number]))
    attacking = time.perf_counter()
    crafted = scene.attack(chosen, rule, honest, knowledge)
    attacked = time.perf_counter() - attacking
    observed, compromised = crafted.observed, byzantine(chosen)

    defense = scene.defense(chosen, rule)
    pdrr = timed("PDRR", "default", partial(defense.detect, observed))
    defended, _ = defense.reaggregate(observed, pdrr.detection)
    found = [
        *spectral(federation, observed, schemes, readings),
        *rejections(federation, observed, schemes, readings),
        *([pdrr] if "PDRR" in schemes else []),
    ]
    accuracy = _accuracy(federation, honest.previous, pdrr.detection.pre_aggregate, defended)
    of_round = {
        "rule": rule,
        "seed": seed,
        "round": number,
        "knowledge": knowledge,
        "c": chosen.federation.c,
        "beta": chosen.defense.beta if rule == "trimmed_mean" else np.nan,
        "noise": chosen.attack.noise if rule == "krum" else "",
        "succeeded": crafted.succeeded,
        "lambda": crafted.detail.get("lambda", np.nan),
        "selected": scene.selected(observed, pdrr.detection.pre_aggregate, compromised),
        "accuracy": accuracy[0],
        "accuracy_attacked": accuracy[1],
        "accuracy_defended": accuracy[2],
        "attack_s": attacked,
        "training_s": federation.training_seconds(honest),
    }
    table = [_clients(each, of_round, compromised) for each in found]
    runs = [_run(each, of_round, compromised, defense.q) for each in found]
    seconds = time.perf_counter() - started
    return Records(
        pd.concat(table, ignore_index=True),
        pd.DataFrame(runs),
        provenance(chosen, federation.dataset, honest.d, seconds),
    )


def _clients(found: Found, of_round: dict[str, Any], compromised: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "scheme": found.scheme,
            "reading": found.reading,
            **{key: of_round[key] for key in RULE_KEYS},
            "client": np.arange(1, len(compromised) + 1),
            "byzantine": compromised,
            "statistic": found.detection.statistic,
            "score": found.detection.scores,
            "flagged": found.detection.flagged,
        }
    )


def _run(
    found: Found, of_round: dict[str, Any], compromised: np.ndarray, q: float
) -> dict[str, Any]:
    ours = found.scheme == "PDRR"
    separate = q_range(found.detection.scores, compromised) if ours else None
    low, high = separate or (np.nan, np.nan)
    return {
        "scheme": found.scheme,
        "reading": found.reading,
        **of_round,
        "q": q if ours else np.nan,
        "far": far(found.detection.flagged, compromised),
        "mar": mar(found.detection.flagged, compromised),
        "q_low": low,
        "q_high": high,
        "setup_s": found.setup,
        "detection_s": found.seconds,
    }


# without an attack


def unattacked(
    *,
    rule: str,
    profile: str = "quick",
    source: str = "glyphs",
    seed: int = 1,
    number: int = 1,
    store: Store | None = None,
) -> Records:
    """Whom PDRR flags in a round that nobody attacked, and what that costs.

    Parameters
    ----------
    rule, profile, source, seed, number, store : as in `compare`

    Returns
    -------
    Records
        A row per client: statistic, score, flagged. One run: FAR, and the accuracy of w_p, of the
        rule's aggregate of all models, and of PDRR's re-aggregate.
    """
    started = time.perf_counter()
    chosen = scene.settings(profile, source, seed)
    federation = Federation(chosen, scene.dataset(chosen, store), rule, store)
    honest = next(federation.rounds([number]))
    defense = scene.defense(chosen, rule)
    detection = defense.detect(honest)
    defended, _ = defense.reaggregate(honest, detection)
    accuracy = _accuracy(federation, honest.previous, detection.pre_aggregate, defended)
    of_round = {"rule": rule, "seed": seed, "round": number}
    nobody = np.zeros(honest.k, dtype=bool)
    run = {
        **of_round,
        "q": defense.q,
        "far": far(detection.flagged, nobody),
        "accuracy": accuracy[0],
        "accuracy_rule": accuracy[1],
        "accuracy_defended": accuracy[2],
    }
    table = {
        **of_round,
        "client": np.arange(1, honest.k + 1),
        "byzantine": nobody,
        "statistic": detection.statistic,
        "score": detection.scores,
        "flagged": detection.flagged,
    }
    seconds = time.perf_counter() - started
    origin = provenance(chosen, federation.dataset, honest.d, seconds)
    return Records(pd.DataFrame(table), pd.DataFrame([run]), origin)


def _accuracy(federation: Federation, *models: Any) -> list[float]:
    """Of each model [d], on the evaluation half of the test images."""
    x, y = federation.dataset.evaluation()
    return [1 - federation.trainer.error(np.asarray(model), x, y) for model in models]
