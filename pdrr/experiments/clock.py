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

from pdrr.core.rules import DEFENDED
from pdrr.experiments import schemes as entries
from pdrr.experiments.attacking import NOBODY
from pdrr.experiments.records import Records
from pdrr.experiments.scene import defense, scene
from pdrr.experiments.schemes import OURS
from pdrr.experiments.server import Server, find
from pdrr.federation.streams import DETECT, stream

NUMBERS = (1_000, 10_000, 100_000, 300_000)  # a million needs over 24 GB for VAE


def timing(*, repeats: int = 3, **options: Any) -> Records:
    """Time one detection of each scheme under each attack, side by side (Table 3).

    Round 1, partial knowledge. Models lie in main memory, as mapped files that were read before:
    nothing is transferred. Each scheme detects once before it is timed; the schemes take turns,
    so that a disturbance of the machine hits all. ERR and LFR need the same trials, which are made
    once a turn: their seconds are charged to both.

    Parameters
    ----------
    repeats : int >= 1
        Timed detections of each scheme.
    options : as in `pdrr.experiments.scene.scene`

    Returns
    -------
    Records
        A row per repeat: seconds. A run per scheme and rule: median, smallest and largest, the
        warm-up's seconds, and the set-up's (training before any round).

    Examples
    --------
    >>> from pdrr import experiments
    >>> found = experiments.timing(profile="smoke", repeats=1)
    >>> len(found.table)  # five schemes, three rules
    15
    >>> sorted(set(found.runs["scheme"][found.runs["setup_s"] > 0]))  # trained before any round
    ['DAGMM', 'VAE']
    """
    _check("timing", repeats)
    timed = [each for each in entries.chosen(entries.usual()) if each.flags != "votes"]
    rows: list[dict[str, Any]] = []
    runs: list[dict[str, Any]] = []
    first = None
    with tqdm(
        total=len(DEFENDED) * len(timed) * (1 + repeats), unit="detection", disable=None
    ) as bar:
        for rule in DEFENDED:
            here = scene(rule, **options)
            first = first or here
            server = Server(here.federation, here.observed)
            found: dict[str, list[float]] = {each.name: [] for each in timed}
            setup = {}
            for _, scheme in product(range(1 + repeats), timed):
                bar.set_description(f"{rule}, {scheme.name}")
                if scheme is timed[0]:  # what a scheme borrows of those before is charged to it
                    server.forget()
                verdict = find(server, scheme)
                found[scheme.name].append(verdict.seconds)
                setup[scheme.name] = verdict.setup
                bar.update()
            key = {name: here.key[name] for name in ("attack", "rule", "seed")}
            for name, (warmup, *seconds) in found.items():
                own = {"scheme": name, **key}
                rows += _repeats(own, seconds)
                runs.append(
                    {
                        **own,
                        "c": here.key["c"],
                        "beta": here.key["beta"],
                        "repeats": repeats,
                        **_summary(seconds),
                        "warmup_s": warmup,
                        "setup_s": setup[name],
                    }
                )
    assert first is not None
    rows.sort(key=lambda row: (DEFENDED.index(row["rule"]), row["repeat"]))  # as they took turns
    return first.records(pd.DataFrame(rows), runs)


def by_coordinates(
    *, numbers: Sequence[int] = NUMBERS, repeats: int = 3, **options: Any
) -> Records:
    """Time one detection of VAE and of DAGMM on more and more coordinates, and PDRR on all.

    Round 1 as the clients trained it. The networks are as they were initialised: training does not
    change how long a detection takes. Each detects once before it is timed.

    Parameters
    ----------
    numbers : sequence of int
        Numbers of coordinates; those above d are left out.
    repeats : int >= 1
        Timed detections of each.
    options : as in `timing`

    Returns
    -------
    Records
        A row per repeat: seconds. A run per scheme and number: median, smallest and largest. PDRR
        has one for each rule, on all d.

    Examples
    --------
    >>> from pdrr import experiments
    >>> found = experiments.by_coordinates(profile="smoke", numbers=[10, 100_000], repeats=1)
    >>> networks = found.runs[found.runs["scheme"] != "PDRR"]
    >>> networks[["scheme", "coordinates"]].to_dict("records")  # d = 1947: no 100,000
    [{'scheme': 'DAGMM', 'coordinates': 10}, {'scheme': 'VAE', 'coordinates': 10}]
    """
    _check("by_coordinates", repeats)
    from pdrr.baselines import DAGMM, VAE  # Keras

    here = scene("krum", attack=NOBODY, **options)
    honest, settings = here.honest, here.settings
    rows: list[dict[str, Any]] = []
    runs: list[dict[str, Any]] = []
    samples = settings.baselines.samples
    kinds: dict[str, Any] = {"DAGMM": DAGMM, "VAE": partial(VAE, samples=samples)}

    def network(name: str, number: int) -> Any:
        rng = stream(settings.seed, DETECT, 0, number)
        more: Any = {"c": settings.federation.c, "coordinates": number, "epochs": 0}
        return kinds[name](honest.clients, rng=rng, **more)

    todo = list(product(kinds, (number for number in numbers if number <= honest.d), ("krum",)))
    todo += list(product([OURS], [honest.d], DEFENDED))
    with tqdm(todo, unit="detector", disable=None) as bar:
        for name, number, rule in bar:
            bar.set_description(f"{name}, {number:,} coordinates")
            ours = name == OURS
            detector = defense(settings, rule) if ours else network(name, number)
            detector.detect(honest)
            seconds = []
            for _ in range(repeats):
                started = time.perf_counter()
                detector.detect(honest)
                seconds.append(time.perf_counter() - started)
            key = {"scheme": name, "coordinates": number, **here.place, "rule": rule}
            del key["round"]
            rows += _repeats(key, seconds)
            runs.append({**key, "repeats": repeats, **_summary(seconds)})
    return here.records(pd.DataFrame(rows), runs)


def lines(records: Records) -> pd.DataFrame:
    """Seconds of VAE and DAGMM as a line over the coordinates they look at, carried on to all d.

    Least squares of the medians' relative errors: the largest number does not decide alone.

    Parameters
    ----------
    records : Records
        Of `by_coordinates`, one seed, two numbers or more.

    Returns
    -------
    DataFrame
        A row per scheme: `start_s`, seconds at no coordinate; `million_s`, seconds per million; and
        `all_s`, seconds at all d by the line, which nobody measured.
    """
    rows = {}
    for scheme, own in records.runs[records.runs["scheme"] != OURS].groupby("scheme"):
        n, seconds = own["coordinates"].to_numpy(float), own["median_s"].to_numpy()
        slope, start = np.polyfit(n, seconds, 1, w=1 / seconds)
        d = records.provenance["d"]
        rows[scheme] = {"start_s": start, "million_s": slope * 1e6, "all_s": start + slope * d}
    return pd.DataFrame(rows).T


def _check(who: str, repeats: int) -> None:
    if repeats < 1:
        raise ValueError(f"{who} needs repeats >= 1, got {repeats}")


def _repeats(key: dict[str, Any], seconds: Sequence[float]) -> list[dict[str, Any]]:
    return [{**key, "repeat": i, "seconds": each} for i, each in enumerate(seconds, 1)]


def _summary(seconds: Sequence[float]) -> dict[str, float]:
    return {
        "median_s": float(np.median(seconds)),
        "low_s": min(seconds),
        "high_s": max(seconds),
    }
