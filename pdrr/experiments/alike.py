"""Clients whose data are alike: what the paper's defence of Krum assumes they are not."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np

from pdrr.data import FederatedDataset
from pdrr.experiments.attacking import attacked
from pdrr.experiments.likeness import Products, mean_among
from pdrr.experiments.records import Records
from pdrr.experiments.scene import Scene, dataset, defense, settings
from pdrr.federation.rounds import Federation
from pdrr.federation.store import Store
from pdrr.federation.streams import SAMPLE, stream


def alike_clients(
    *,
    share: float = 0.0,
    pairs: int = 0,
    profile: str = "quick",
    source: str = "glyphs",
    seed: int = 1,
    number: int = 1,
    knowledge: str = "partial",
    store: Store | None = None,
    **options: Any,
) -> Records:
    """Attack Krum, and let PDRR detect, in a round of clients whose data are alike.

    "PDRR is based on the assumption that all client datasets are heterogeneous [...]. If any two
    benign devices have similar datasets, their local models may be highly relevant, which may cause
    PDRR failure to defend against Krum attack" (section 6).

    Parameters
    ----------
    share : float in [0, 1]
        Of each client's training images, how many are replaced by images of all writers: at 1 the
        clients' data are drawn from one distribution.
    pairs : int
        So many benign clients of the round get the training images of another benign one.
    profile, source, seed, number, knowledge, store, options
        As in `pdrr.experiments.scene.scene`.

    Returns
    -------
    Records
        A row per client: correlation, score, flagged. One run: FAR, MAR, the range of suitable q;
        of the benign models the mean and the largest correlation between two (`alike_benign`,
        `closest_benign`).

    Raises
    ------
    ValueError
        For a share outside [0, 1], or more pairs than there are.

    Examples
    --------
    >>> from pdrr import experiments
    >>> found = experiments.alike_clients(pairs=1, profile="smoke")
    >>> float(found.runs["closest_benign"][0]) > float(found.runs["alike_benign"][0])
    True
    """
    started = time.perf_counter()
    chosen = settings(profile, source, seed, **options)
    plain = dataset(chosen, store)
    benign = Federation(chosen, plain, "krum", store).clients(number)[chosen.federation.c :]
    if not 0 <= pairs <= len(benign) // 2:
        raise ValueError(f"pairs need 0 <= pairs <= {len(benign) // 2}, got {pairs}")
    data = mixed(plain, share, stream(seed, SAMPLE)) if share else plain
    for first, second in zip(benign[0 : 2 * pairs : 2], benign[1 : 2 * pairs : 2], strict=True):
        data = cloned(data, int(first), int(second))
    federation = Federation(chosen, data, "krum", store)
    honest = next(federation.rounds([number]))
    attacking = time.perf_counter()
    crafted = attacked(chosen, "krum", "krum", honest, knowledge)
    seconds = time.perf_counter() - attacking
    here = Scene(chosen, federation, "krum", knowledge, honest, crafted, seconds, started)

    found = defense(chosen, "krum").detect(here.observed)
    key = {**here.key, "share": share, "pairs": pairs}
    similarity, rows = Products.of(here.observed).sign_pearson, np.flatnonzero(~here.byzantine)
    among = similarity[np.ix_(rows, rows)]
    run = {
        **key,
        **here.outcome(found.pre_aggregate),
        "q": chosen.defense.q["krum"],
        **here.rates(found),
        "alike_benign": mean_among(similarity, rows),
        "closest_benign": float(among[np.triu_indices(len(rows), 1)].max()),
        "rho_malicious": float(found.statistic[here.byzantine].min()),
        "rho_benign": float(found.statistic[~here.byzantine].max()),
    }
    return here.records(here.clients(found, **key), [run])


def mixed(data: FederatedDataset, share: float, rng: np.random.Generator) -> FederatedDataset:
    """The data with that share of each writer's training images replaced by those of anybody.

    As many images as before; drawn with replacement from the training images of all writers.
    ValueError for a share outside [0, 1].
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share needs to be in [0, 1], got {share}")
    training = np.flatnonzero(~data.test)
    source = np.arange(len(data.labels))
    for writer in range(len(data)):
        own = training[data.writer[training] == writer]
        given_up = rng.permutation(own)[: round(share * len(own))]
        source[given_up] = rng.choice(training, len(given_up))
    # only training images are exchanged for others: `test` and `writer` stay as they are
    return replace(data, images=data.images[source], labels=data.labels[source])


def cloned(data: FederatedDataset, original: int, copy: int) -> FederatedDataset:
    """The data in which writer `copy` has the training images of writer `original`."""
    kept = np.flatnonzero((data.writer != copy) | data.test)
    again = np.flatnonzero((data.writer == original) & ~data.test)
    writer = np.concatenate([data.writer[kept], np.full(len(again), copy, data.writer.dtype)])
    rows = np.concatenate([kept, again])
    return replace(
        data,
        images=data.images[rows],
        labels=data.labels[rows],
        writer=writer,
        test=data.test[rows],
    )
