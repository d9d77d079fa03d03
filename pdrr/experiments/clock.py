"""How long a detection takes: each scheme under each attack, VAE and DAGMM by coordinates."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from pdrr.experiments import scene
from pdrr.experiments.comparison import RULES
from pdrr.experiments.provenance import provenance
from pdrr.experiments.records import Records
from pdrr.experiments.schemes import detectors, timed
from pdrr.federation.rounds import Federation
from pdrr.federation.store import Store
from pdrr.federation.streams import DETECT, stream

# time


def timing(
    *,
    profile: str = "quick",
    source: str = "glyphs",
    seed: int = 1,
    repeats: int = 3,
    c: int | None = None,
    beta: int | None = None,
    store: Store | None = None,
) -> Records:
    """Time one detection of each scheme under each attack, side by side (Table 3).

    Round 1, partial knowledge. Models lie in main memory, as mapped files that were read before:
    nothing is transferred. Each scheme detects once before it is timed; the schemes take turns,
    so that a disturbance of the machine hits all.

    Parameters
    ----------
    profile, source, seed, c, beta, store : as in `compare`
    repeats : int >= 1
        Timed detections of each scheme.

    Returns
    -------
    Records
        A row per repeat: seconds. A run per scheme and rule: median, smallest and largest, the
        warm-up's seconds, and the set-up's (training before any round).
    """
    if repeats < 1:
        raise ValueError(f"timing needs repeats >= 1, got {repeats}")
    started = time.perf_counter()
    chosen = scene.settings(profile, source, seed, c=c, beta=beta)
    rows: list[dict[str, Any]] = []
    runs: list[dict[str, Any]] = []
    with tqdm(total=len(RULES) * 5 * (1 + repeats), unit="detection", disable=None) as bar:
        for rule in RULES:
            federation = Federation(chosen, scene.dataset(chosen, store), rule, store)
            honest = next(federation.rounds([1]))
            observed = scene.attack(chosen, rule, honest, "partial").observed
            detect, setup = detectors(federation, observed)
            warm: dict[str, float] = {}
            for turn, scheme in product(range(1 + repeats), detect):
                bar.set_description(f"{rule}, {scheme}")
                seconds = timed(scheme, "default", detect[scheme]).seconds
                bar.update()
                if turn == 0:
                    warm[scheme] = seconds
                    continue
                key = {"scheme": scheme, "rule": rule, "seed": seed}
                rows.append({**key, "repeat": turn, "seconds": seconds})
            for scheme in detect:
                mine = [r["seconds"] for r in rows if (r["scheme"], r["rule"]) == (scheme, rule)]
                runs.append(
                    {
                        "scheme": scheme,
                        "rule": rule,
                        "seed": seed,
                        "c": chosen.federation.c,
                        "beta": chosen.defense.beta if rule == "trimmed_mean" else np.nan,
                        "repeats": repeats,
                        "median_s": float(np.median(mine)),
                        "low_s": min(mine),
                        "high_s": max(mine),
                        "warmup_s": warm[scheme],
                        "setup_s": setup.get(scheme, 0.0),
                    }
                )
    seconds = time.perf_counter() - started
    return Records(
        pd.DataFrame(rows),
        pd.DataFrame(runs),
        provenance(chosen, federation.dataset, honest.d, seconds),
    )


NUMBERS = (1_000, 10_000, 100_000)


def by_coordinates(
    *,
    profile: str = "quick",
    source: str = "glyphs",
    seed: int = 1,
    numbers: Sequence[int] = NUMBERS,
    repeats: int = 3,
    store: Store | None = None,
) -> Records:
    """Time one detection of VAE and of DAGMM on more and more coordinates.

    Round 1 as the clients trained it. The networks train on these models themselves, and once
    only: neither changes how long a detection takes. Each detects once before it is timed.

    Parameters
    ----------
    profile, source, seed, store : as in `evaluation.timing`
    numbers : sequence of int
        Numbers of coordinates; those above d are left out.
    repeats : int >= 1
        Timed detections of each.

    Returns
    -------
    Records
        A row per repeat: seconds. A run per scheme and number: median, smallest and largest.
    """
    if repeats < 1:
        raise ValueError(f"by_coordinates needs repeats >= 1, got {repeats}")
    started = time.perf_counter()
    chosen = scene.settings(profile, source, seed)
    from pdrr.baselines.dagmm import DAGMM  # Keras
    from pdrr.baselines.vae import VAE  # Keras

    federation = Federation(chosen, scene.dataset(chosen, store), "krum", store)
    honest = next(federation.rounds([1]))
    rows: list[dict[str, Any]] = []
    runs: list[dict[str, Any]] = []
    kinds: dict[str, Any] = {"DAGMM": DAGMM, "VAE": partial(VAE, samples=chosen.baselines.samples)}
    todo = list(product(kinds, (number for number in numbers if number <= honest.d)))
    with tqdm(todo, unit="detector", disable=None) as bar:
        for scheme, number in bar:
            bar.set_description(f"{scheme}, {number:,} coordinates")
            rng = stream(seed, DETECT, 0, number)
            options: Any = {"c": chosen.federation.c, "coordinates": number, "epochs": 1}
            detector = kinds[scheme](honest.clients, rng=rng, **options)
            detect = partial(detector.detect, honest)
            detect()
            seconds = [timed(scheme, "default", detect).seconds for _ in range(repeats)]
            key = {"scheme": scheme, "coordinates": number, "seed": seed}
            rows += [{**key, "repeat": i + 1, "seconds": each} for i, each in enumerate(seconds)]
            found = {
                "median_s": float(np.median(seconds)),
                "low_s": min(seconds),
                "high_s": max(seconds),
            }
            runs.append({**key, "repeats": repeats, **found})
    origin = provenance(chosen, federation.dataset, honest.d, time.perf_counter() - started)
    return Records(pd.DataFrame(rows), pd.DataFrame(runs), origin)
