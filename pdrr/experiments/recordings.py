"""The committed results of full runs: what is run, and how a killed recording resumes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from pdrr import config
from pdrr.experiments import alone, cache, chains, clock, comparison, outside, sketches, tries
from pdrr.experiments.records import Records
from pdrr.experiments.schemes import OURS
from pdrr.federation.store import Store

Job = tuple[Callable[..., Records], dict[str, Any]]

KNOWLEDGE = ("partial", "full")
SEEDS = {"smoke": (1,), "quick": (1, 2, 3, 4, 5), "paper": (1, 2, 3, 4, 5)}
LAST = {"smoke": 2, "quick": 100, "paper": 100}  # of the chains in which every round is attacked
RATES = (0.0003, 0.004, 0.02, 0.06)  # learning rates: LEAF's three, and one between
SETTING: dict[str, list[dict[str, Any]]] = {
    # c and beta of the paper: Figs. 4-7 have c = 10 and beta = 5, the rest c = 20 and beta = 10;
    # beta = 20 is what the paper says one must choose for c = 20
    "krum": [
        {"c": 10},
        {"c": 20},
        {"c": 10, "noise": "coordinate"},
        {"c": 20, "noise": "coordinate"},
    ],
    "trimmed_mean": [{"c": 10, "beta": 5}, {"c": 20, "beta": 10}, {"c": 20, "beta": 20}],
    "median": [{"c": 10}, {"c": 20}],
}


def _detections(rule: str, settings: Sequence[dict[str, Any]], **more: Any) -> list[Job]:
    return [
        (alone.detection, {"rule": rule, "knowledge": knowledge, **own, **more})
        for own in settings
        for knowledge in ("full", "partial")
    ]


FIXED: dict[str, list[Job]] = {  # the same for every profile and seed
    "fig02": [(alone.first_parameters, {"knowledge": "full", "c": 20, "epsilon": 1e-6})],
    "fig03": [(sketches.attacked_coordinate, {"knowledge": "full", "c": 10, "beta": 10})],
    "fig04": _detections("krum", SETTING["krum"]),
    "fig05": _detections("trimmed_mean", SETTING["trimmed_mean"], zero_change=True),
    "fig06": _detections("trimmed_mean", SETTING["trimmed_mean"]),
    "fig07": _detections("median", SETTING["median"]),
    # where the thresholds q of the profiles come from: synthetic data, seeds used nowhere else
    "calibration": [
        *_detections("krum", [{"c": 20}, {"c": 20, "noise": "coordinate"}]),
        *_detections("trimmed_mean", [{"c": 20, "beta": 10}, {"c": 20, "beta": 20}]),
        *_detections("median", [{"c": 20}]),
    ],
}
TABLES = {"table1": "krum", "table2": "trimmed_mean", "table2b": "median"}
TIMES: dict[str, Job] = {  # wants a quiet machine, is never cached
    "table3": (clock.timing, {}),
    "coordinates": (clock.by_coordinates, {}),
}
EVERY = {"every_round": chains.every_round, "errors_by_q": chains.errors_by_q}
LONG = (*EVERY, "learning_rate", *tries.STEMS, *outside.STEMS)  # hours, unless a GPU is at hand
STEMS = (*FIXED, *TABLES, "unattacked", *TIMES, *LONG)
USUAL = tuple(stem for stem in STEMS if stem not in ("calibration", *TIMES, *LONG))


def jobs(stem: str, profile: str, seed: int) -> list[Job]:
    """The experiments of a recording with their options, but for profile, data and seed."""
    if stem not in STEMS:
        raise ValueError(f"no recording of {stem!r}, only of {', '.join(STEMS)}")
    if stem in TIMES:
        return [TIMES[stem]]
    if stem in outside.STEMS:
        return outside.jobs(stem, profile, first=seed == SEEDS[profile][0])
    if stem in tries.STEMS:
        return tries.jobs(stem, _measured(profile, seed), first=seed == SEEDS[profile][0])
    if stem in LONG:
        return list(_long(stem, profile, seed))
    if stem == "unattacked":
        which = product(TABLES.values(), _measured(profile, seed))
        return [(comparison.unattacked, {"rule": rule, "number": n}) for rule, n in which]
    return list(_comparisons(TABLES[stem], profile, seed)) if stem in TABLES else FIXED[stem]


def _long(stem: str, profile: str, seed: int) -> Iterator[Job]:
    """Every round of both chains, by rule; for other learning rates the first ten rounds."""
    for rule in TABLES.values():
        if stem == "learning_rate":
            last = min(10, LAST[profile])
            for rate in RATES:
                options = {"rule": rule, "last": last, "betas": (10,), "learning_rate": rate}
                yield chains.every_round, options
        else:
            last = LAST[profile] if _in_full(profile, seed) else 20
            yield EVERY[stem], {"rule": rule, "last": last}


def _in_full(profile: str, seed: int) -> bool:
    """At the paper's size three seeds run to the last round, the others to round 20."""
    return profile != "paper" or seed <= 3


def _measured(profile: str, seed: int) -> list[int]:
    """The rounds of a seed."""
    rounds = config.load(profile).evaluation.rounds
    if not _in_full(profile, seed):
        return [number for number in rounds if number in (1, 20)]
    return list(rounds)


def _comparisons(rule: str, profile: str, seed: int) -> Iterator[Job]:
    """Tables 1 and 2 and Fig. 11.

    At the paper's size three seeds run in full and two at rounds 1 and 20. What the paper's tables
    do not ask for is recorded for PDRR alone: full knowledge on the other seeds or with beta = 20,
    noise per coordinate. Other readings of the paper are tried on the first seed, all of them at
    round 20.
    """
    paper, first = profile == "paper", seed == SEEDS[profile][0]
    settings = [own for own in SETTING[rule] if own["c"] == 20]
    often = ("alone", "high", "output layer")
    tried = {1: (*often, "mean"), 20: (*often, "mean", "from w_p")}
    for number in _measured(profile, seed):
        for knowledge in KNOWLEDGE if paper else ("partial",):
            for own in settings if paper else settings[:1]:
                options = {"rule": rule, "number": number, "knowledge": knowledge, **own}
                main = own == settings[0]
                if "noise" in own or (knowledge == "full" and not (first and main)):
                    options["schemes"] = (OURS,)
                elif paper and first and main and knowledge == "partial":
                    options["readings"] = tried.get(number, often)
                if first or "noise" not in own:
                    yield comparison.compare, options


def run(
    stems: Sequence[str],
    profile: str,
    source: str,
    seeds: Sequence[int],
    folder: Path,
    store: Store | None = None,
) -> None:
    """Run the recordings `stems` and write ``folder/<stem>.csv`` and .json.

    The usual ones if empty: all but the calibration and the times.
    Each single run is cached: a killed recording goes on where it was.
    """
    stems = stems or USUAL
    todo = [
        (stem, experiment, {"profile": profile, "source": source, "seed": seed, **options})
        for seed in seeds  # one seed after the other: its rounds are then still in memory
        for stem in stems
        for experiment, options in jobs(stem, profile, seed)
    ]
    parts: dict[str, list[Records]] = {stem: [] for stem in stems}
    with tqdm(todo, unit="run", disable=None) as bar:
        for stem, experiment, options in bar:
            words = [
                f"{key}={options[key]}"
                for key in ("seed", "number", "knowledge", "c", "beta")
                if key in options
            ]
            bar.set_description(f"{stem} {' '.join(words)}")
            if stem in TIMES:
                parts[stem].append(experiment(**options, store=store))
            else:
                parts[stem].append(cache.cached(experiment, options, store))
    for stem, made in parts.items():
        Records.concat(made).save(folder, stem)
        click.echo(f"wrote {folder / stem}.csv and .json ({len(made)} runs)")
