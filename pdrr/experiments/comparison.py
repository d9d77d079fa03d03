"""PDRR beside the schemes it is compared with: one attacked round, all of them detect (section 5).

Everything is made for one round and cached, so that a killed evaluation goes on where it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from pdrr.experiments import schemes as entries
from pdrr.experiments.attacking import NOBODY
from pdrr.experiments.cache import cached
from pdrr.experiments.records import Records
from pdrr.experiments.scene import Scene, defense, scene, settings
from pdrr.experiments.server import Found, Server, find
from pdrr.federation.store import Store


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

    Examples
    --------
    >>> from pdrr import experiments
    >>> which = {"numbers": [1], "knowledge": ["full", "partial"], "profile": "smoke"}
    >>> found = experiments.rounds("median", schemes=["PDRR"], **which)
    >>> found.runs[["knowledge", "mar"]].to_dict("records")
    [{'knowledge': 'full', 'mar': 0.0}, {'knowledge': 'partial', 'mar': 0.0}]
    """
    if numbers is None:
        numbers = settings(profile, source, seed).evaluation.rounds
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

    Examples
    --------
    >>> from pdrr import experiments
    >>> found = experiments.one_round("median", profile="smoke", schemes=["PDRR"])
    >>> found.runs[["scheme", "mar"]].to_dict("records")
    [{'scheme': 'PDRR', 'mar': 0.0}]
    """
    given = {"profile": "quick", "source": "glyphs", "seed": 1, **options}
    return cached(compare, {"rule": rule, **given}, store)


def compare(
    *,
    rule: str,
    schemes: Sequence[str] | None = None,
    readings: Sequence[str] = (),
    store: Store | None = None,
    **options: Any,
) -> Records:
    """What `one_round` caches.

    Parameters
    ----------
    rule, store, options : as in `pdrr.experiments.scene.scene`
    schemes : sequence of str, optional
        Names of schemes; by default the paper's, Union, and those in the reader's own folder.
    readings : sequence of str
        Other readings of the paper, beside the default: "mean" (ERR and LFR leave out of the mean,
        whatever the rule), "alone" (they try each model alone), "high" (VAE flags what it
        reconstructs with HIGH probability, as the paper prints), "output layer" (VAE and DAGMM look
        at the last layer's weights), "from w_p" (their snapshots start from the round's global
        model).

    Examples
    --------
    >>> from pdrr import experiments
    >>> which = {"profile": "smoke", "source": "glyphs", "seed": 1}
    >>> found = experiments.compare(rule="median", schemes=["ERR", "PDRR"], **which)
    >>> found.table.groupby("scheme").size().to_dict()
    {'ERR': 50, 'PDRR': 50}
    """
    named = entries.usual() if schemes is None else schemes
    chosen = entries.chosen(named, readings)
    here = scene(rule, store=store, **options)
    server = Server(here.federation, here.observed)
    ours = find(server, entries.known()[entries.OURS])
    defended, _ = defense(here.settings, rule).reaggregate(here.observed, ours.detection)
    found = [
        ours if scheme is ours.scheme else find(server, scheme, reading)
        for scheme in chosen
        for reading in ("default", *scheme.readings)
        if reading in ("default", *readings)
    ]
    undefended = ours.detection.pre_aggregate
    accuracy = here.accuracies(here.honest.previous, undefended, defended)
    of_round = {
        **here.key,
        **here.outcome(undefended),
        "accuracy": accuracy[0],
        "accuracy_attacked": accuracy[1],
        "accuracy_defended": accuracy[2],
        "attack_s": here.attack_s,
        "training_s": here.training_s,
    }
    parts = [
        here.clients(each.detection, scheme=each.scheme.name, reading=each.reading, **here.key)
        for each in found
    ]
    runs = [_run(here, each, of_round) for each in found]
    return here.records(pd.concat(parts, ignore_index=True), runs)


def _run(here: Scene, found: Found, of_round: dict[str, Any]) -> dict[str, Any]:
    threshold = found.scheme.flags == "threshold"
    ours = found.scheme.name == entries.OURS
    return {
        "scheme": found.scheme.name,
        "reading": found.reading,
        **of_round,
        "q": here.settings.defense.q[here.federation.rule] if ours else np.nan,
        **here.rates(found.detection, threshold=threshold),
        "setup_s": found.setup,
        "detection_s": found.seconds,
    }


# without an attack


def unattacked(*, rule: str, store: Store | None = None, **options: Any) -> Records:
    """Whom PDRR flags in a round that nobody attacked, and what that costs.

    Parameters
    ----------
    rule, store, options : as in `pdrr.experiments.scene.scene`

    Returns
    -------
    Records
        A row per client: statistic, score, flagged. One run: FAR, and the accuracy of w_p, of the
        rule's aggregate of all models, and of PDRR's re-aggregate.

    Examples
    --------
    >>> from pdrr import experiments
    >>> found = experiments.unattacked(rule="median", profile="smoke")
    >>> bool(found.table["byzantine"].any())
    False
    >>> float(found.runs["far"][0]) == float(found.table["flagged"].mean())  # all alarms are false
    True
    """
    here = scene(rule, attack=NOBODY, store=store, **options)
    detector = defense(here.settings, rule)
    detection = detector.detect(here.honest)
    defended, _ = detector.reaggregate(here.honest, detection)
    accuracy = here.accuracies(here.honest.previous, detection.pre_aggregate, defended)
    run = {
        **here.place,
        "q": detector.q,
        "far": here.rates(detection)["far"],
        "accuracy": accuracy[0],
        "accuracy_rule": accuracy[1],
        "accuracy_defended": accuracy[2],
    }
    return here.records(here.clients(detection, **here.place), [run])
