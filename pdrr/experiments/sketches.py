"""The few numbers that Figs. 1 and 3 show, taken from a trained round."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from pdrr.aggregators import AGGREGATORS, trimmed_mean
from pdrr.config import Settings
from pdrr.core.arrays import blocks
from pdrr.core.order import sort_clients, trimmed_mean_of_sorted
from pdrr.core.rules import own_setting
from pdrr.experiments.attacking import NOBODY
from pdrr.experiments.records import Records
from pdrr.experiments.scene import scene
from pdrr.types import Round

SHOWN, IMAGES, FILTERS, SIDE = 3, 4, 4, 5  # clients, images of each, 5x5 filters of the network


def round_values(*, rule: str = "trimmed_mean", **options: Any) -> Records:
    """What Fig. 1 shows of an honest round: images and first weights of the first clients.

    Parameters
    ----------
    rule : {"mean", "krum", "trimmed_mean", "median"}
        How the server aggregates.
    options : as in `pdrr.experiments.scene.scene`

    Returns
    -------
    Records
        A row per value: ``part`` is "previous", "new", "update" (w_i - w_p) or "image"; ``client``
        is 0 for the server's; ``item`` numbers images and filters, ``row`` and ``column`` their
        pixels and weights. The weights are those of the network's first 5x5 filters.

    Examples
    --------
    Three clients with four images of 28 x 28 pixels each, and two filters in the small network:

    >>> from pdrr import experiments
    >>> found = experiments.round_values(profile="smoke")
    >>> found.table.groupby("part").size().to_dict()
    {'image': 9408, 'new': 50, 'previous': 50, 'update': 150}
    """
    here = scene(rule, attack=NOBODY, **options)
    honest, chosen, federation = here.honest, here.settings, here.federation
    own = own_setting(rule, c=chosen.federation.c, beta=chosen.defense.beta)
    new = AGGREGATORS[rule](honest.clients, **own)

    parts = [
        _cells("previous", 0, _filters(honest.previous, chosen)),
        _cells("new", 0, _filters(new, chosen) - _filters(honest.previous, chosen)),
    ]
    for i, client in enumerate(federation.clients(honest.number)[:SHOWN]):
        images, _ = federation.dataset.train(int(client))
        parts.append(_cells("image", i + 1, images[:IMAGES, :, :, 0]))
        change = _filters(honest.clients[i], chosen) - _filters(honest.previous, chosen)
        parts.append(_cells("update", i + 1, change))
    run = {**here.place, "k": honest.k, **own}
    return here.records(pd.concat(parts, ignore_index=True), [run])


def attacked_coordinate(*, knowledge: str = "full", **options: Any) -> Records:
    """One coordinate of all models before and after the attack on the trimmed mean (Fig. 3).

    The coordinate is typical, not the worst: of those with s_j = +1 in which no two honest values
    are equal, the one whose aggregate falls by the median amount.

    Parameters
    ----------
    knowledge, options : as in `pdrr.experiments.scene.scene`

    Returns
    -------
    Records
        A row per ``seed``, ``stage`` ("before", "after") and model: ``value``, ``rank`` among the k
        and whether that is ``trimmed``. One run: w_p,j, the aggregates, how many coordinates fall.

    Examples
    --------
    >>> from pdrr import experiments
    >>> run = experiments.attacked_coordinate(profile="smoke").runs.iloc[0]
    >>> bool(run["aggregate_before"] > run["previous"])  # it would rise
    True
    >>> bool(run["aggregate_after"] < run["aggregate_before"])
    True
    """
    here = scene("trimmed_mean", knowledge=knowledge, **options)
    honest, observed, chosen = here.honest, here.observed, here.settings
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
                    "seed": chosen.seed,
                    "stage": stage,
                    "client": np.arange(1, honest.k + 1),
                    "byzantine": here.byzantine,
                    "value": np.asarray(values, float),
                    "rank": rank,
                    "trimmed": (rank <= width) | (rank > honest.k - width),
                }
            )
        )
    run = {
        **here.place,
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
    return here.records(pd.concat(tables, ignore_index=True), [run])


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
