"""Records of evaluation and timing with numbers that can be checked by eye."""

from itertools import product

import numpy as np
import pandas as pd

from pdrr.experiments.records import Records

SCHEMES = ("DAGMM", "VAE", "ERR", "LFR", "Union", "PDRR")
RULES = ("krum", "trimmed_mean", "median")
STATISTIC = np.array([4.0, 3.0, 2.0, -1.0, 0.0])  # of five clients; the first two are malicious
FLAGGED = np.array([True, False, True, False, False])
ORIGIN = {
    "profile": "smoke",
    "data": "letters",
    "synthetic": True,
    "sha256": "0123456789abcdef0123",
    "d": 1947,
    "settings": {
        "data": {"source": "letters.npz", "writers": 5, "deduplicate": False},
        "training": {"batch": 10, "epochs": 1, "learning_rate": 0.06},
        "federation": {"k": 5, "c": 2},
        "attack": {"epsilon": 1e-7, "noise": "coordinate", "b": 1.05},
        "defense": {"beta": 1, "q": {"krum": 0.25, "trimmed_mean": 0.99, "median": 0.71}},
        "baselines": {"snapshots": 10, "coordinates": 500, "epochs": 20, "samples": 2},
    },
    "versions": {"python": "3.11", "pdrr": "0.1"},
    "device": "a processor, 2 cores",
    "seconds": 1.5,
    "peak_memory_gib": 0.5,
    "commit": "abc",
    "date": "2026-01-02",
}


def evaluation_records(
    rule="krum",
    seeds=(1,),
    rounds=(1, 2),
    knowledge=("partial",),
    schemes=SCHEMES,
    readings=("default",),
):
    """FAR = scheme's place / 10 + seed / 100, MAR = round / 10, whatever is flagged."""
    tables, runs = [], []
    for seed, number, known, scheme, reading in product(
        seeds, rounds, knowledge, schemes, readings
    ):
        key = {
            "scheme": scheme,
            "reading": reading,
            "attack": rule,
            "rule": rule,
            "seed": seed,
            "round": number,
            "knowledge": known,
            "c": 2,
            "beta": 1.0 if rule == "trimmed_mean" else np.nan,
            "noise": "coordinate" if rule == "krum" else "",
        }
        ours = scheme == "PDRR"
        runs.append(
            {
                **key,
                "q": 0.5 if ours else np.nan,
                "succeeded": True,
                "lambda": 0.1,
                "selected": "malicious" if rule == "krum" else "",
                "far": SCHEMES.index(scheme) / 10 + seed / 100,
                "mar": number / 10,
                "q_low": 0.25 if ours else np.nan,
                "q_high": 0.25 + number / 10 if ours else np.nan,
                "accuracy": 0.6 + seed / 100,
                "accuracy_attacked": 0.1,
                "accuracy_defended": 0.5 if known == "partial" else 0.4,
                "setup_s": 3.0 if scheme in ("DAGMM", "VAE") else 0.0,
                "detection_s": 0.5,
                "attack_s": 1.0,
                "training_s": 2.0,
            }
        )
        tables.append(
            pd.DataFrame(
                {
                    **key,
                    "client": np.arange(1, 6),
                    "byzantine": [True, True, False, False, False],
                    "statistic": STATISTIC,
                    "score": STATISTIC / 4,
                    "flagged": FLAGGED,
                }
            )
        )
    return Records(pd.concat(tables, ignore_index=True), pd.DataFrame(runs), ORIGIN)


def timing_records():
    """Median seconds: 10 for DAGMM, 8 VAE, 6 ERR, 4 LFR, 2 PDRR, under each attack."""
    schemes = [scheme for scheme in SCHEMES if scheme != "Union"]
    runs = [
        {
            "scheme": scheme,
            "attack": rule,
            "rule": rule,
            "seed": 1,
            "c": 2,
            "beta": 1.0 if rule == "trimmed_mean" else np.nan,
            "repeats": 3,
            "median_s": 2.0 * (5 - place),
            "low_s": 1.0 * (5 - place),
            "high_s": 3.0 * (5 - place),
            "warmup_s": 9.0,
            "setup_s": 3.0 if scheme in ("DAGMM", "VAE") else 0.0,
        }
        for rule in RULES
        for place, scheme in enumerate(schemes)
    ]
    table = [
        {
            **{name: run[name] for name in ("scheme", "attack", "rule", "seed")},
            "repeat": 1,
            "seconds": 1.0,
        }
        for run in runs
    ]
    return Records(pd.DataFrame(table), pd.DataFrame(runs), ORIGIN)


def run(seed, **changes):
    """A row of the runs of PDRR alone."""
    values = {
        "attack": "median", "rule": "median", "noise": "",
        "seed": seed, "round": 1, "knowledge": "full", "c": 1,
        "beta": np.nan, "q": 0.7, "succeeded": True, "selected": "", "lambda": np.nan,
        "far": 0.0, "mar": 0.0, "q_low": 0.25, "q_high": 0.75, "attack_s": 1.0, "detection_s": 2.0,
    }  # fmt: skip
    return values | changes
