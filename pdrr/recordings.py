"""The committed results of full runs: what is run, and how a killed recording resumes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import click
import numpy as np
from tqdm import tqdm

from pdrr import experiments
from pdrr.records import Records
from pdrr.store import Store

CODE = (
    "arrays",
    "aggregators",
    "attacks",
    "defenses",
    "distances",
    "experiments",
    "federation",
    "metrics",
    "models",
    "training",
)
KNOWLEDGE = ("full", "partial")
SETTING: dict[str, list[dict[str, Any]]] = {
    # c and beta of the paper: Figs. 4-7 have c = 10 and beta = 5, the rest c = 20 and beta = 10;
    # beta = 20 is what the paper says one must choose for c = 20
    "krum": [{"c": 10}, {"c": 20}, {"c": 10, "noise": "ball"}, {"c": 20, "noise": "ball"}],
    "trimmed_mean": [{"c": 10, "beta": 5}, {"c": 20, "beta": 10}, {"c": 20, "beta": 20}],
    "median": [{"c": 10}, {"c": 20}],
}


def _detections(rule: str, **more: Any) -> list[tuple[Any, dict[str, Any]]]:
    return [
        (experiments.detection, {"rule": rule, "knowledge": knowledge, **own, **more})
        for own in SETTING[rule]
        for knowledge in KNOWLEDGE
    ]


EXPERIMENTS: dict[str, list[tuple[Any, dict[str, Any]]]] = {
    "fig02": [(experiments.first_parameters, {"knowledge": "full", "c": 20, "epsilon": 1e-6})],
    "fig04": _detections("krum"),
    "fig05": _detections("trimmed_mean", zero_change=True),
    "fig06": _detections("trimmed_mean"),
    "fig07": _detections("median"),
    # where the thresholds q of the profiles come from: synthetic data, seeds used nowhere else
    "calibration": [
        (experiments.detection, {"rule": rule, "knowledge": knowledge, **own})
        for rule, own in (
            ("krum", {"c": 20}),
            ("trimmed_mean", {"c": 20, "beta": 10}),
            ("trimmed_mean", {"c": 20, "beta": 20}),
            ("median", {"c": 20}),
        )
        for knowledge in KNOWLEDGE
    ],
}
FIGURES = tuple(stem for stem in EXPERIMENTS if stem != "calibration")


def run(
    stems: Sequence[str],
    profile: str,
    source: str,
    seeds: Sequence[int],
    folder: Path,
    store: Store | None = None,
) -> None:
    """Run the experiments of `stems` and write ``folder/<stem>.csv`` and .json; all if empty.

    Each single run is cached, under the code that made it: a killed recording goes on where it
    was, and a change of the package runs everything again.
    """
    store = store or Store()
    stems = stems or FIGURES
    unknown = [stem for stem in stems if stem not in EXPERIMENTS]
    if unknown:
        raise ValueError(f"no recording of {unknown[0]!r}, only of {', '.join(EXPERIMENTS)}")
    jobs = [
        (stem, experiment, {"profile": profile, "source": source, "seed": seed, **options})
        for seed in seeds  # one seed after the other: its rounds are then still in memory
        for stem in stems
        for experiment, options in EXPERIMENTS[stem]
    ]
    parts: dict[str, list[Records]] = {stem: [] for stem in stems}
    with tqdm(jobs, unit="run", disable=None) as bar:
        for stem, experiment, options in bar:
            words = [
                f"{key}={options[key]}"
                for key in ("seed", "knowledge", "c", "beta")
                if key in options
            ]
            bar.set_description(f"{stem} {' '.join(words)}")
            parts[stem].append(_cached(store, experiment, options))
    for stem, made in parts.items():
        Records.concat(made).save(folder, stem)
        click.echo(f"wrote {folder / stem}.csv and .json ({len(made)} runs)")


def thresholds(calibration: Records) -> dict[str, float]:
    """The threshold q of each rule with the fewest errors over all calibration runs.

    The error is the mean of FAR and MAR. It is the same for all q between two neighbouring scores;
    the middle of the widest best interval is taken. Runs in which Krum selected a benign model
    show no attack that succeeded, and do not count.
    """
    won = calibration.runs[
        calibration.runs["succeeded"] & (calibration.runs["selected"] != "benign")
    ]
    keys = ["rule", "seed", "knowledge", "beta"]
    table = calibration.table.merge(won[keys], on=keys)
    chosen = {}
    for rule, clients in table.groupby("rule"):
        edges = np.unique(np.clip([0.0, 1.0, *clients["score"]], 0, 1))
        errors = []
        for q in edges[1:]:  # score >= q decides alike for all q in (edge before, edge]
            flagged = clients["score"] >= q
            missed = (~flagged)[clients["byzantine"]].mean()
            errors.append(flagged[~clients["byzantine"]].mean() + missed)
        best = np.isclose(errors, min(errors))
        width = np.where(best, np.diff(edges), 0)
        i = int(np.argmax(width))
        chosen[str(rule)] = round(float(edges[i] + edges[i + 1]) / 2, 2)
    return chosen


def _cached(store: Store, experiment: Any, options: dict[str, Any]) -> Records:
    chosen = experiments.settings(options["profile"], options["source"], options["seed"])
    key = {
        "experiment": experiment.__name__,
        "options": {name: value for name, value in options.items() if name != "source"},
        "settings": {**chosen.as_dict(), "data": experiments.dataset(chosen, store).sha256},
        "code": code_digest(),
    }
    folder = store.folder("records", key)
    if not (folder / "run.json").exists():
        experiment(**options, store=store).save(folder, "run")
    return Records.load(folder, "run")


@cache
def code_digest() -> str:
    """SHA-256 of the sources that the numbers depend on, as they were when first asked for.

    Read once: an edit while a recording runs must not file results under code that did not make
    them.
    """
    here = Path(__file__)
    sources = [here.with_name(f"{name}.py").read_bytes() for name in CODE]
    return hashlib.sha256(b"\0".join(sources)).hexdigest()
