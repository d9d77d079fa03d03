"""Where attackers stand in the sorted order of a coordinate, and whom a trimmed mean drops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from pdrr.core.arrays import blocks, float64
from pdrr.experiments.attacking import NOBODY
from pdrr.experiments.records import Records
from pdrr.experiments.scene import scene
from pdrr.types import Round

MOST = 100_000  # coordinates looked at, evenly spaced


def placed(
    *,
    tried: Sequence[tuple[str, str]] = (
        (NOBODY, "full"),
        ("trimmed_mean", "partial"),
        ("alie", "full"),
    ),
    **options: Any,
) -> Records:
    """Who stands at which place, over the coordinates in which two models differ.

    Parameters
    ----------
    tried : sequence of (attack, knowledge)
    options : as in `pdrr.experiments.scene.scene`

    Returns
    -------
    Records
        A row per attack and place 1..k, from the smallest value to the largest: `malicious`, the
        share of coordinates in which one of the first c clients stands there. A run per attack:
        `trimmed_malicious` and `trimmed_benign`, the mean share of their values that is trimmed,
        and `coordinates`, in how many models differ.

    Examples
    --------
    >>> from pdrr import experiments
    >>> runs = experiments.placed(tried=[("alie", "full")], profile="smoke").runs
    >>> bool((runs["trimmed_malicious"] < runs["trimmed_benign"]).all())
    True
    """
    tables, runs = [], []
    for attack, knowledge in tried:
        here = scene("trimmed_mean", attack=attack, knowledge=knowledge, **options)
        bad = np.arange(here.honest.k) < here.settings.federation.c
        beta = here.settings.defense.beta
        share, counted = places(here.observed, bad)
        order = np.arange(1, len(bad) + 1)
        trimmed = (order <= beta) | (order > len(bad) - beta)
        key = {**here.key, "c": int(bad.sum()), "beta": beta, "k": len(bad)}
        tables.append(pd.DataFrame({**key, "place": order, "malicious": share}))
        runs.append(
            {
                **key,
                "coordinates": counted,
                "trimmed_malicious": float(share[trimmed].sum() / bad.sum()),
                "trimmed_benign": float((1 - share[trimmed]).sum() / (~bad).sum()),
            }
        )
    return here.records(pd.concat(tables, ignore_index=True), runs)


def places(observed: Round, bad: np.ndarray) -> tuple[np.ndarray, int]:
    """How often one of `bad` stands at each place, [k]; and in how many coordinates models differ.

    Equal values of both kinds share their places.

    Examples
    --------
    >>> from pdrr.experiments.placement import places
    >>> models = np.array([[0.0, 5.0, 1.0], [1.0, 5.0, 1.0], [2.0, 5.0, 0.0]])
    >>> places(pdrr.Round(models, np.zeros(3)), np.array([True, False, False]))
    (array([0.5 , 0.25, 0.25]), 2)
    """
    held, counted = np.zeros(observed.k), 0
    step = -(-observed.d // MOST)
    for cols in blocks(observed.d, observed.k):
        x = float64(np.asarray(observed.clients[:, cols][:, ::step]))
        x = x[:, x.min(axis=0) < x.max(axis=0)]
        counted += x.shape[1]
        order = np.argsort(x, axis=0, kind="stable")
        values, kinds = np.take_along_axis(x, order, axis=0), bad[order].astype(float)
        held += _shared(values, kinds).sum(axis=1)
    return held / max(1, counted), counted


def _shared(values: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    """The kinds [k, n] of sorted values, with the mean of its run at each of equal values."""
    if not (values[1:] == values[:-1]).any():
        return kinds
    n = values.shape[1]
    starts = np.vstack([np.ones((1, n), dtype=bool), values[1:] != values[:-1]])
    runs = np.cumsum(starts.T.ravel()) - 1  # column after column
    sums, sizes = np.bincount(runs, kinds.T.ravel()), np.bincount(runs)
    return np.asarray((sums / sizes)[runs].reshape(n, -1).T)
