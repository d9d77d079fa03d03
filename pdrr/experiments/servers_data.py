"""The data: how many there are, and what ERR and LFR make of other auxiliary sets."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pdrr.aggregators import AGGREGATORS
from pdrr.baselines import leave_one_out
from pdrr.core.files import digest
from pdrr.core.rules import own_setting
from pdrr.data import FederatedDataset
from pdrr.experiments.provenance import provenance
from pdrr.experiments.records import Records
from pdrr.experiments.scene import Scene, dataset, scene, settings
from pdrr.federation.rounds import Federation
from pdrr.federation.store import Store
from pdrr.federation.streams import SAMPLE, stream
from pdrr.metrics import auc

DIGITS, CAPITALS = 10, 36  # the first label that is none
MANY = 300


def by_auxiliary(
    rule: str,
    *,
    portions: Sequence[float] = (1.0, 0.25, 0.0625),
    draws: int = 3,
    store: Store | None = None,
    **options: Any,
) -> Records:
    """Let ERR and LFR judge one attacked round by auxiliary sets of other sizes and choice.

    "The validation dataset is required [...]. If the validation set in the master device is not
    effective to verify all local models, then it leads to poor defense effect" (introduction).

    Parameters
    ----------
    rule : {"krum", "trimmed_mean", "median"}
        Aggregation rule, with the attack made for it.
    portions : sequence of float in (0, 1]
        Sizes, as parts of the half of all test images that the paper's server has.
    draws : int
        Random sets of each size, out of all test images.
    store, options : as in `pdrr.experiments.scene.scene`

    Returns
    -------
    Records
        A row per scheme and auxiliary set, and a run with the same values. `choice`: "the half" of
        all other experiments, "drawn", or "digits" (those of that half). `images`, and the share of
        `digits` among them. The c largest impacts are flagged; where several models share the last
        place, FAR and MAR are what a draw among them gives on average, and `tied` is how many they
        are. `benign_rank`: place of the benign model with the largest impact, from 1; `auc`.

    Raises
    ------
    ValueError
        If a portion has no image, or is no portion.

    Examples
    --------
    >>> from pdrr import experiments
    >>> found = experiments.by_auxiliary("median", portions=[0.5], draws=2, profile="smoke")
    >>> found.runs.groupby("choice", sort=False).size().to_dict()
    {'the half': 2, 'drawn': 4, 'digits': 2}
    """
    for portion in portions:
        if not 0 < portion <= 1:
            raise ValueError(f"portions need to be in (0, 1], got {portion}")
    here = scene(rule, store=store, **options)
    data = here.federation.dataset
    images, labels = data.auxiliary()
    half = len(labels)
    more_images, more_labels = data.evaluation()
    labels = np.concatenate([labels, more_labels])
    harm = _impacts(here, np.concatenate([images, more_images]), labels)
    byzantine, c = here.byzantine, here.settings.federation.c
    rows = []
    for key, chosen in _auxiliary_sets(here, labels, half, portions, draws):
        if not len(chosen):
            raise ValueError(f"an auxiliary set needs at least one image, got none of {key}")
        for scheme, impacts in harm.items():
            scores = impacts[:, chosen].mean(axis=1)
            kept, tied = by_lot(scores, c)
            rows.append(
                {
                    "scheme": scheme,
                    **here.key,
                    **key,
                    "images": len(chosen),
                    "digits": float((labels[chosen] < DIGITS).mean()),
                    "far": float(kept[~byzantine].mean()),
                    "mar": float(1 - kept[byzantine].mean()),
                    "tied": tied,
                    "benign_rank": int(1 + (scores > scores[~byzantine].max()).sum()),
                    "auc": auc(scores, byzantine),
                }
            )
    return here.records(pd.DataFrame(rows), rows)


def _auxiliary_sets(
    here: Scene, labels: np.ndarray, half: int, portions: Sequence[float], draws: int
) -> Iterator[tuple[dict[str, Any], np.ndarray]]:
    """What each set is called, and which of the test images it holds; the half comes first."""
    own = np.arange(half)
    yield {"choice": "the half", "portion": 1.0, "draw": 0}, own
    for portion in portions:
        for draw in range(1, draws + 1):
            rng = stream(here.settings.seed, SAMPLE, here.honest.number, draw)
            chosen = rng.permutation(len(labels))[: round(portion * half)]
            yield {"choice": "drawn", "portion": portion, "draw": draw}, chosen
    digits = own[labels[:half] < DIGITS]
    yield {"choice": "digits", "portion": len(digits) / half, "draw": 0}, digits


def _impacts(here: Scene, x: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    """By scheme the impact [k, n] of each model on each image: once with all, minus without it."""
    rule, observed, settings = here.federation.rule, here.observed, here.settings
    own = own_setting(rule, c=settings.federation.c, beta=settings.defense.beta)
    near = {"previous": observed.previous} if rule == "krum" else {}
    known: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    def tried(model: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Error and cross-entropy of a model for each image."""
        key = digest(model)
        if key not in known:
            logits = here.federation.trainer.logits(model, x).astype(np.float64)
            loss = np.logaddexp.reduce(logits, axis=1) - logits[np.arange(len(y)), y]
            known[key] = (np.argmax(logits, axis=1) != y).astype(float), loss
        return known[key]

    everyone = tried(np.asarray(AGGREGATORS[rule](observed.clients, **own, **near)))
    without = [tried(np.asarray(model)) for model in leave_one_out(observed, rule, **own)]
    return {
        scheme: everyone[i] - np.array([harm[i] for harm in without])
        for i, scheme in enumerate(("ERR", "LFR"))
    }


def by_lot(scores: np.ndarray, c: int) -> tuple[np.ndarray, int]:
    """Chance [k] of each model to be among the c largest, and how many share the last place."""
    edge = np.sort(scores)[-c]
    above, level = scores > edge, np.isclose(scores, edge, rtol=0, atol=1e-12)
    above &= ~level
    chance = np.where(level, (c - above.sum()) / level.sum(), above.astype(float))
    return chance, int(level.sum())


def data_facts(
    *, profile: str, source: str, seed: int = 1, store: Store | None = None, **options: Any
) -> Records:
    """Count clients and images.

    "FEMNIST dataset is allocated to 192 clients with the heterogeneous setting"; "we randomly
    sample half of the test dataset (4004 pictures and labels) of all clients to build the prepared
    dataset (2002 pictures and labels)" (section 5.1).

    Parameters
    ----------
    profile, source, seed, store, options : as in `pdrr.experiments.scene.scene`
        The data do not depend on the seed.

    Returns
    -------
    Records
        A row per client: images to train on, to test on, digits among all. One run: clients;
        images, and those of each part; shares of digits, capitals and small letters; clients with
        more than 300 images; parameters d of the network.

    Examples
    --------
    >>> from pdrr import experiments
    >>> run = experiments.data_facts(profile="smoke", source="glyphs").runs.iloc[0]
    >>> int(run["clients"]), int(run["test"]) == int(run["auxiliary"] + run["evaluation"])
    (60, True)
    """
    started = time.perf_counter()
    chosen = settings(profile, source, seed, **options)
    data = dataset(chosen, store)
    d = len(Federation(chosen, data, "mean", store).trainer.initial)
    table = pd.DataFrame({"seed": seed, "client": np.arange(1, len(data) + 1), **_each(data)})
    images = table["training"] + table["test"]
    kinds = np.bincount(np.digitize(data.labels, [DIGITS, CAPITALS]), minlength=3)
    run = {
        "seed": seed,
        "clients": len(data),
        "images": len(data.labels),
        "training": int(table["training"].sum()),
        "test": int(table["test"].sum()),
        "auxiliary": len(data.auxiliary()[1]),
        "evaluation": len(data.evaluation()[1]),
        "classes": int(np.unique(data.labels).size),
        **dict(zip(("digits", "capitals", "small"), kinds / kinds.sum(), strict=True)),
        "smallest": int(images.min()),
        "largest": int(images.max()),
        "over_300": int((images > MANY).sum()),
        "d": d,
    }
    origin = provenance(chosen, data, d, time.perf_counter() - started)
    return Records(table, pd.DataFrame([run]), origin)


def _each(data: FederatedDataset) -> dict[str, np.ndarray]:
    parts = {"training": ~data.test, "test": data.test, "digits": data.labels < DIGITS}
    return {
        name: np.bincount(data.writer[rows].astype(np.intp), minlength=len(data))
        for name, rows in parts.items()
    }
