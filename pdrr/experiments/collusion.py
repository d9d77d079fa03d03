"""Co-trimming, frozen, on rounds that nobody tuned it to: with many attackers and with few."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from pdrr import beyond
from pdrr.aggregators import AGGREGATORS
from pdrr.beyond import cotrim
from pdrr.config import Settings
from pdrr.core.arrays import to_host
from pdrr.core.rules import DEFENDED, own_setting
from pdrr.experiments.attacking import NOBODY, Known
from pdrr.experiments.matrix import CHAIN, Way, craft, rates, ways
from pdrr.experiments.provenance import provenance
from pdrr.experiments.records import Records
from pdrr.experiments.scene import dataset, defense, settings
from pdrr.federation.rounds import Federation
from pdrr.federation.store import Store
from pdrr.federation.streams import byzantine
from pdrr.metrics import auc
from pdrr.types import Round

ROUNDS_OF = ((50, 3), (50, 5), (50, 10), (50, 20), (35, 8), (20, 4))
"""k clients, of whom c attack; with beta = k / 5, as the paper has it for k = 50."""
TRIED = (
    "krum",
    "trimmed_mean",
    "median",
    "alie",
    "alie_noise",
    "ipm",
    "min_max",
    "min_sum",
    "shift",
    "mimic",
    "sign_flip",
)


def colluders(
    *,
    number: int = 1,
    rounds_of: Sequence[tuple[int, int]] = ROUNDS_OF,
    tried: Sequence[str] = TRIED,
    profile: str = "quick",
    source: str = "glyphs",
    seed: int = 1,
    store: Store | None = None,
) -> Records:
    """Attack one honest round with more or fewer clients, and let Co-trimming judge it.

    Parameters
    ----------
    number : int
        Communication round of the trimmed mean's oracle-defended chain.
    rounds_of : sequence of (k, c)
        The first k clients of the round, of whom the first c attack.
    tried : sequence of str
        Names of attacks.
    profile, source, seed, store
        As in `pdrr.experiments.scene.scene`.

    Returns
    -------
    Records
        A row per k, c, attack and knowledge: FAR, MAR, AUC, flagged, and how far the attack moved
        the trimmed mean that is not defended (`moved`) and the one that is (`moved_defended`), in
        steps of the round that nobody attacks. Rows of attack "none" have false alarms only.

    Examples
    --------
    >>> from pdrr import experiments
    >>> which = {"rounds_of": [(50, 20)], "tried": ["ipm"], "profile": "smoke"}
    >>> found = experiments.colluders(**which).table
    >>> found[["attack", "flagged"]].to_dict("records")
    [{'attack': 'none', 'flagged': 0}, {'attack': 'ipm', 'flagged': 20}]
    """
    started = time.perf_counter()
    store = store or Store()
    chosen = settings(profile, source, seed)
    data = dataset(chosen, store)
    chain = Federation(chosen, data, CHAIN, store)
    whole = next(chain.rounds([number]))
    todo = [
        (k, c, way)
        for k, c in rounds_of
        for way in (Way(NOBODY, "full", CHAIN), *(way for way in ways() if way.attack in tried))
    ]
    rows: list[dict[str, Any]] = []
    with tqdm(todo, unit="attack", desc=f"{profile}, round {number}", disable=None) as bar:
        for k, c, way in bar:
            bar.set_postfix_str(f"k={k}, c={c}, {way.words}")
            if way.attack == NOBODY and any(
                row["k"] == k and row["attack"] == NOBODY for row in rows
            ):
                continue
            rows += _judged(_of(chosen, k, c), first(whole, k), way)
    table = pd.DataFrame(rows).assign(seed=seed, round=number)
    origin = provenance(chosen, data, whole.d, time.perf_counter() - started)
    return Records(table, summary(table), origin)


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """A row per seed, round and k: attacks, those with an error, alarms if unattacked."""
    quiet = table["attack"] == NOBODY
    counted = table.assign(
        tried=~quiet,
        wrong=~quiet & ((table["far"] > 0) | (table["mar"] > 0)),
        alarms=table["flagged"].where(quiet, 0),
    )
    keys = ["seed", "round", "k"]
    return counted.groupby(keys, sort=False)[["tried", "wrong", "alarms"]].sum().reset_index()


def first(whole: Round, k: int) -> Round:
    """The round of its first k clients."""
    ids = None if whole.ids is None else whole.ids[:k]
    return replace(whole, clients=whole.clients[:k], ids=ids)


def _of(chosen: Settings, k: int, c: int) -> Settings:
    beta = k // 5
    return replace(
        chosen,
        federation=replace(chosen.federation, k=k, c=c),
        defense=replace(chosen.defense, beta=beta),
    )


def _judged(chosen: Settings, honest: Round, way: Way) -> Iterator[dict[str, Any]]:
    crafted = craft(chosen, way, honest, Known())
    observed, bad = crafted.observed, byzantine(chosen) & (way.attack != NOBODY)
    own = own_setting(CHAIN, c=None, beta=chosen.defense.beta)
    model, found = beyond.improved(CHAIN, **own).aggregate(observed)
    spared, undefended = (
        to_host(AGGREGATORS[CHAIN](seen.clients, **own)).astype(float)
        for seen in (honest, observed)
    )
    step = np.linalg.norm(spared - to_host(honest.previous))
    flagged, scores = to_host(found.flagged), to_host(found.scores)
    yield {
        "k": honest.k,
        "c": chosen.federation.c if way.attack != NOBODY else 0,
        "attack": way.attack,
        "knowledge": way.knowledge,
        "noise": way.noise,
        "succeeded": crafted.succeeded,
        **rates(flagged, scores, bad, crafted.detail.get("target")),
        "flagged": int(flagged.sum()),
        "moved": np.linalg.norm(undefended - spared) / step if step else np.nan,
        "moved_defended": np.linalg.norm(to_host(model) - spared) / step if step else np.nan,
    }


def sided(
    *,
    tried: Sequence[str] = (NOBODY, "trimmed_mean", "alie"),
    number: int = 1,
    profile: str = "quick",
    source: str = "glyphs",
    seed: int = 1,
    store: Store | None = None,
) -> Records:
    """How alike the sides of each two models are, where nobody attacks and under some attacks.

    Parameters as in `colluders`; c and k are the profile's.

    Returns
    -------
    Records
        A row per attack and two clients: ``client``, ``other`` (from 1), ``likeness``. A run per
        attack: how many Co-trimming flags, FAR, MAR, the gap and the critical gap, and the AUC of
        the counts of PDRR on the trimmed mean.

    Examples
    --------
    >>> from pdrr import experiments
    >>> runs = experiments.sided(tried=["none", "alie"], profile="smoke").runs
    >>> runs[["attack", "flagged"]].to_dict("records")
    [{'attack': 'none', 'flagged': 0}, {'attack': 'alie', 'flagged': 20}]
    """
    started = time.perf_counter()
    chosen = settings(profile, source, seed)
    data = dataset(chosen, store)
    honest = next(Federation(chosen, data, CHAIN, store).rounds([number]))
    tables, runs = [], []
    for attack in tried:
        knowledge = "partial" if attack in DEFENDED else "full"
        crafted = craft(chosen, Way(attack, knowledge, CHAIN), honest, Known())
        bad = byzantine(chosen) & (attack != NOBODY)
        alike = cotrim.likeness(crafted.observed)
        own = own_setting(CHAIN, c=None, beta=chosen.defense.beta)
        found = beyond.improved(CHAIN, **own).detect(crafted.observed)
        counts = to_host(defense(chosen, CHAIN).detect(crafted.observed).scores)
        client, other = np.indices(alike.shape) + 1
        columns = {"client": client.ravel(), "other": other.ravel(), "likeness": alike.ravel()}
        tables.append(pd.DataFrame({"attack": attack, "knowledge": knowledge, **columns}))
        flagged, scores = to_host(found.flagged), to_host(found.scores)
        runs.append(
            {
                "attack": attack,
                "knowledge": knowledge,
                "seed": seed,
                "round": number,
                "c": chosen.federation.c,
                "flagged": int(flagged.sum()),
                **rates(flagged, scores, bad, crafted.detail.get("target")),
                "gap": cotrim.split(alike).gap,
                "critical": cotrim.critical_gap(honest.k, cotrim.LEVEL),
                "auc_counts": auc(counts, bad) if bad.any() else np.nan,
            }
        )
    origin = provenance(chosen, data, honest.d, time.perf_counter() - started)
    return Records(pd.concat(tables, ignore_index=True), pd.DataFrame(runs), origin)
