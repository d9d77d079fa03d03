"""Records of evaluation and timing with numbers that can be checked by eye."""

from itertools import product

import numpy as np
import pandas as pd
from matplotlib.colors import to_hex

from pdrr.experiments.chains import summary
from pdrr.experiments.likeness import READINGS
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


# the paper's world, beyond its tables


def of_runs(runs):
    """Records whose table has only what tells the runs apart."""
    runs = pd.DataFrame(runs)
    return Records(runs.copy(), runs, ORIGIN)


def attacked(rule, knowledge="partial", *, attack=None, **more):
    attack = attack or rule
    beta = 10.0 if rule == "trimmed_mean" else np.nan
    noise = "ball" if attack == "krum" else ""
    key = {"attack": attack, "rule": rule, "seed": 1, "round": 1, "knowledge": knowledge}
    return key | {"c": 20, "beta": beta, "noise": noise} | more


BOTH = ("partial", "full")


def anatomies():
    """As sections 3 to 5 say; a dense s~ under partial knowledge."""
    measured = {
        "alike_benign": 0.1, "to_centre_malicious": 1.0, "to_centre_benign": 1.0,
        "all_one_side_malicious": 0.99, "all_one_side_malicious_unattacked": 0.99,
        "normal": 0.95, "offset": 0.1, "offset_unattacked": 0.1, "against": 0.9,
        "zero_kept_malicious": 0.6, "zero_kept_benign": 0.5,
    }  # fmt: skip
    apart = {
        "density": (0.9, 0.6), "trimmed_malicious": (0.5, 0.4), "remained_malicious": (0.01, 0.02),
        "alike_malicious": (0.98, 0.99), "objective": (1.0, 2.0),
    }  # fmt: skip
    return of_runs(
        [
            attacked(rule, knowledge, **measured, **{name: x[i] for name, x in apart.items()})
            for rule in RULES
            for i, knowledge in enumerate(BOTH)
        ]
    )


def transfers():
    """Each attack harms its own rule most, Bulyan less than Krum, and PDRR errs nowhere."""
    runs = []
    for knowledge, attack, c in product(BOTH, RULES, (20, 11)):
        for rule in (*RULES, *(["bulyan"] if c == 11 else [])):
            harm = 0.05 if rule == "bulyan" else 0.2 if attack == rule else 0.1
            runs.append(attacked(rule, knowledge, attack=attack, c=c, harm=harm, far=0.0, mar=0.0))
    return of_runs(runs)


def likenesses(shares, pairs):
    """PDRR fails where data are shared."""
    return of_runs(
        [
            attacked("krum", knowledge, share=share, pairs=n, far=0.0, mar=float(share or n > 0))
            for knowledge in BOTH
            for share, n in [*((x, 0) for x in shares), *((0, n) for n in pairs)]
        ]
    )


def every_round_records(rounds=4, seeds=(1,)):
    """No error in any round; full knowledge hurts more, and PDRR undoes it all."""
    rows = []
    settings = [("krum", np.nan), *(("trimmed_mean", x) for x in (10.0, 15.0, 20.0))]
    settings.append(("median", np.nan))
    for chain, (rule, beta), seed in product(
        ("oracle-defended", "PDRR in the loop"), settings, seeds
    ):
        for knowledge, number in product(BOTH, range(1, rounds + 1)):
            key = {"chain": chain, **attacked(rule, knowledge, beta=beta, seed=seed)}
            harm = 0.2 if knowledge == "full" else 0.1
            rows.append(
                {
                    **key, "round": number, "learning_rate": 0.06, "q": 0.5, "false_alarms": 0,
                    "missed": 0, "benign_high": 0.2, "malicious_low": 0.9,
                    "accuracy": 0.65 + number / 100, "accuracy_unattacked": 0.7 + number / 100,
                    "accuracy_attacked": 0.7 - harm + number / 100 - 0.01 * (number % 2),
                    "accuracy_defended": 0.7 + number / 100,
                }
            )  # fmt: skip
    table = pd.DataFrame(rows)
    return Records(table, summary(table), ORIGIN)


def trials():
    """Profile, stem -> records of what is no figure and no table, as the paper says."""
    similar = [
        attacked("krum", known, reading=name, q_low=0.2, q_high=0.9)
        for name, known in product(READINGS, BOTH)
    ]
    noisy = [
        attacked("krum", known, noise=noise, epsilon=epsilon, selected=who)
        for noise, known in product(("ball", "coordinate"), BOTH)
        for epsilon, who in ((1e-7, "malicious"), (1e-2, "benign"))
    ]
    data = [{"seed": 1, "clients": 192, "test": 4004, "auxiliary": 2002}]
    alone = attacked("mean", attack="one client", c=1)
    counts = [
        attacked("krum", known, c=c, selected="malicious" if c > 10 else "benign")
        for c, known in product((5, 10, 15, 20), BOTH)
    ]
    sets = [
        attacked(rule, scheme=scheme, choice="drawn", portion=portion, draw=draw, by_lot=False)
        | {"mar": 0.2 * draw + (0.1 if portion < 1 else 0)}
        for rule, scheme in product(RULES, ("ERR", "LFR"))
        for portion, draw in product((1.0, 0.0625), (1, 2))
    ]
    return {
        "paper": {
            "anatomy": anatomies(),
            "similarities": of_runs(similar),
            "by_epsilon": of_runs(noisy),
            "transfer": transfers(),
            "data": of_runs(data),
            "alike": likenesses([0, 0.5], []),
            "every_round": every_round_records(),
        },
        "quick": {
            "transfer": of_runs([{**alone, "accuracy_unattacked": 0.5, "accuracy_attacked": 0.1}]),
            "by_count": of_runs(counts),
            "by_auxiliary": of_runs(sets),
            "alike": likenesses([0, 1], [1, 5]),
            "every_round": every_round_records(seeds=(1, 2)),
        },
    }


def axes(drawing):
    """The axes of all panels of a drawing, in order."""
    return [ax for panel in drawing.panels.values() for ax in panel.axes]


def seen(drawing):
    """The colours of all marks, lines and areas of a drawing; half-transparent ones with alpha."""
    found = set()
    for ax in axes(drawing):
        for line in ax.lines:
            found |= {line.get_color(), line.get_mfc(), line.get_mec()} - {"none"}
        for area in (*ax.patches, *ax.collections):
            found |= {*map(tuple, np.atleast_2d(area.get_facecolor()))}
            found |= {*map(tuple, np.atleast_2d(area.get_edgecolor()))}
    whole = [to_hex(colour, keep_alpha=True) for colour in found if len(colour)]
    return {colour.removesuffix("ff") if len(colour) == 9 else colour for colour in whole}
