"""The few numbers that Figs. 1 and 3 show, taken from a trained round."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pandas as pd

from pdrr.aggregators import AGGREGATORS, trimmed_mean
from pdrr.config import Settings
from pdrr.core.arrays import blocks
from pdrr.core.order import sort_clients, trimmed_mean_of_sorted
from pdrr.data import FederatedDataset
from pdrr.experiments.provenance import provenance
from pdrr.experiments.records import Records
from pdrr.experiments.scene import attack, dataset, settings
from pdrr.federation.rounds import Federation
from pdrr.federation.store import Store
from pdrr.federation.streams import byzantine
from pdrr.types import Round

SHOWN, IMAGES, FILTERS, SIDE = 3, 4, 4, 5  # clients, images of each, 5x5 filters of the network


def round_values(
    *,
    profile: str = "quick",
    source: str = "glyphs",
    seed: int = 1,
    number: int = 1,
    rule: str = "trimmed_mean",
    store: Store | None = None,
) -> Records:
    """What Fig. 1 shows of an honest round: images and first weights of the first clients.

    Parameters
    ----------
    profile, source, seed, number, store : as in `experiments.detection`
    rule : {"mean", "krum", "trimmed_mean", "median"}
        How the server aggregates.

    Returns
    -------
    Records
        A row per value: ``part`` is "previous", "new", "update" (w_i - w_p) or "image"; ``client``
        is 0 for the server's; ``item`` numbers images and filters, ``row`` and ``column`` their
        pixels and weights. The weights are those of the network's first 5x5 filters.
    """
    started = time.perf_counter()
    chosen = settings(profile, source, seed)
    federation = Federation(chosen, dataset(chosen, store), rule, store)
    honest = next(federation.rounds([number]))
    own = {
        "krum": {"c": chosen.federation.c},
        "trimmed_mean": {"beta": chosen.defense.beta},
    }.get(rule, {})
    new = AGGREGATORS[rule](honest.clients, **own)

    parts = [
        _cells("previous", 0, _filters(honest.previous, chosen)),
        _cells("new", 0, _filters(new, chosen) - _filters(honest.previous, chosen)),
    ]
    for i, client in enumerate(federation.clients(number)[:SHOWN]):
        images, _ = federation.dataset.train(int(client))
        parts.append(_cells("image", i + 1, images[:IMAGES, :, :, 0]))
        change = _filters(honest.clients[i], chosen) - _filters(honest.previous, chosen)
        parts.append(_cells("update", i + 1, change))
    run = {"seed": seed, "round": number, "rule": rule, "k": honest.k, **own}
    return _records(
        pd.concat(parts, ignore_index=True), run, chosen, federation.dataset, started, honest.d
    )


def attacked_coordinate(
    *,
    profile: str = "quick",
    source: str = "glyphs",
    seed: int = 1,
    number: int = 1,
    knowledge: str = "full",
    c: int | None = None,
    beta: int | None = None,
    store: Store | None = None,
) -> Records:
    """One coordinate of all models before and after the attack on the trimmed mean (Fig. 3).

    The coordinate is typical, not the worst: of those with s_j = +1 in which no two honest values
    are equal, the one whose aggregate falls by the median amount.

    Parameters
    ----------
    profile, source, seed, number, knowledge, c, beta, store : as in `experiments.detection`

    Returns
    -------
    Records
        A row per model, ``stage`` ("before", "after") and value, with its ``rank`` among the k and
        whether it was ``trimmed``. One run: w_p,j, the aggregates, how many coordinates fall.
    """
    started = time.perf_counter()
    chosen = settings(profile, source, seed, c=c, beta=beta)
    federation = Federation(chosen, dataset(chosen, store), "trimmed_mean", store)
    honest = next(federation.rounds([number]))
    observed = attack(chosen, "trimmed_mean", honest, knowledge).observed
    width = chosen.defense.beta
    rise, fall = _changes(honest, observed, width)
    if not np.isfinite(fall).any():
        raise ValueError("no coordinate rises with all honest values different: try another seed")
    # nanargmedian: the lower middle one, which exists in the data
    j = int(np.argsort(fall)[(np.isfinite(fall).sum() - 1) // 2])

    tables = []
    for stage, values in (("before", honest.clients[:, j]), ("after", observed.clients[:, j])):
        order = np.argsort(values, kind="stable")
        rank = np.empty(honest.k, int)
        rank[order] = np.arange(1, honest.k + 1)
        tables.append(
            pd.DataFrame(
                {
                    "stage": stage,
                    "client": np.arange(1, honest.k + 1),
                    "byzantine": byzantine(chosen),
                    "value": np.asarray(values, float),
                    "rank": rank,
                    "trimmed": (rank <= width) | (rank > honest.k - width),
                }
            )
        )
    run = {
        "seed": seed,
        "round": number,
        "knowledge": knowledge,
        "c": chosen.federation.c,
        "beta": width,
        "k": honest.k,
        "coordinate": j,
        "previous": float(honest.previous[j]),
        "aggregate_before": float(trimmed_mean(honest.clients[:, j : j + 1], beta=width)[0]),
        "aggregate_after": float(trimmed_mean(observed.clients[:, j : j + 1], beta=width)[0]),
        "rising": int((rise > 0).sum()),
        "candidates": int(np.isfinite(fall).sum()),
    }
    return _records(
        pd.concat(tables, ignore_index=True), run, chosen, federation.dataset, started, honest.d
    )


def _filters(model: np.ndarray, chosen: Settings) -> np.ndarray:
    """The first filters [n, 5, 5] of a flat model: its first weights are [5, 5, 1, channels]."""
    channels = chosen.model.filters[0]
    kernel = np.asarray(model[: SIDE * SIDE * channels], float).reshape(SIDE, SIDE, channels)
    return np.moveaxis(kernel, 2, 0)[:FILTERS]


def _cells(part: str, client: int, items: np.ndarray) -> pd.DataFrame:
    """The tidy form of items [n, rows, columns]."""
    item, row, column = np.indices(items.shape).reshape(3, -1)
    cells = {"item": item, "row": row, "column": column, "value": items.ravel()}
    return pd.DataFrame({"part": part, "client": client, **cells})


def _changes(honest: Round, observed: Round, beta: int) -> tuple[np.ndarray, np.ndarray]:
    """How far each aggregate [d] rises without attack, and falls by it (NaN: not to be shown)."""
    rise, fall = np.empty(honest.d), np.empty(honest.d)
    for cols in blocks(honest.d, honest.k):
        before = sort_clients(honest.clients[:, cols])
        after = sort_clients(observed.clients[:, cols])
        middle = trimmed_mean_of_sorted(before, beta)
        rise[cols] = middle - honest.previous[cols]
        different = (np.diff(before, axis=0) > 0).all(axis=0) & (rise[cols] > 0)
        drop = middle - trimmed_mean_of_sorted(after, beta)
        fall[cols] = np.where(different, drop, np.nan)
    return rise, fall


def _records(
    table: pd.DataFrame,
    run: dict[str, Any],
    chosen: Settings,
    data: FederatedDataset,
    started: float,
    d: int,
) -> Records:
    seconds = time.perf_counter() - started
    return Records(table, pd.DataFrame([run]), provenance(chosen, data, d, seconds))
