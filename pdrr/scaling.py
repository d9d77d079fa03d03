"""How the time of VAE and DAGMM grows with the number of coordinates that they look at."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from pdrr import experiments
from pdrr.federation import DETECT, Federation, stream
from pdrr.records import Records, provenance
from pdrr.schemes import timed
from pdrr.store import Store

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
    chosen = experiments.settings(profile, source, seed)
    from pdrr.spectral import DAGMM, VAE  # Keras

    federation = Federation(chosen, experiments.dataset(chosen, store), "krum", store)
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
