"""A federation small enough to be trained in a test: clients with a handful of real images."""

import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from pdrr import config
from pdrr.data import FederatedDataset
from pdrr.data.glyphs import glyphs
from pdrr.experiments import attacking, scene
from pdrr.federation.graph import GraphTrainer
from pdrr.federation.rounds import Federation
from pdrr.federation.store import Store
from pdrr.types import Round

SUITE = os.environ["PDRR_CACHE"]  # of all tests, as conftest.py sets it
TRAINED = 13  # images of each client: a batch of 10, and one of 3 that has to be filled up

trainer = cache(GraphTrainer)
"""`GraphTrainer`, compiled once for all tests that train the same network."""


@cache
def dataset(writers: int = 12) -> FederatedDataset:
    """`writers` clients with 13 training images and 1 test image each."""
    drawn, each = glyphs(8), TRAINED + 1
    n = writers * each
    return FederatedDataset(
        name="miniature",
        synthetic=True,
        images=drawn.images[:n],
        labels=drawn.labels[:n],
        writer=np.arange(n) // each,
        writer_ids=tuple(f"writer {i}" for i in range(writers)),
        test=np.arange(n) % each == TRAINED,
    )


def settings(**changes: object) -> config.Settings:
    """12 clients, 10 of them in a round, 4 of these compromised; or so, with ``federation_c=2``."""
    small = {"data_writers": 12, "federation_k": 10, "federation_c": 4, "defense_beta": 4}
    named = {key.replace("_", ".", 1): value for key, value in (small | changes).items()}
    return config.load("smoke", named)


def krum_choice(models: np.ndarray, c: int) -> int:
    """The row that Krum selects, by its definition."""
    exact = models.astype(np.float64)
    distances = ((exact[:, np.newaxis] - exact) ** 2).sum(-1)
    nearest = np.sort(distances, axis=1)[:, 1 : len(models) - c - 1]  # column 0 is the model itself
    return int(nearest.sum(1).argmin())


def write_npz(path: Path, writers: int = 12) -> Path:
    """The data set as a file, for another process to read."""
    data = dataset(writers)
    parts = {name: getattr(data, name) for name in ("images", "labels", "writer", "writer_ids")}
    np.savez(path, **parts, split=data.test)
    return path


def use(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the package train on the miniature, whichever data set and writers it asks for.

    Its rounds have the keys of those that they stand for, so they are kept apart.
    """
    if os.environ["PDRR_CACHE"] == SUITE:
        monkeypatch.setenv("PDRR_CACHE", f"{SUITE}/miniature")
    monkeypatch.setattr("pdrr.data.load", lambda _source, *, writers, **_options: dataset(writers))
    monkeypatch.setattr("pdrr.federation.graph.GraphTrainer", trainer)


def honest_round(chosen: config.Settings, rule: str, number: int, store: Store) -> Round:
    """The round as all devices train it honestly."""
    data = scene.dataset(chosen, store)
    return next(Federation(chosen, data, rule, store).rounds([number]))


def observed(chosen: config.Settings, rule: str, honest: Round, knowledge: str) -> Round:
    """The round under the rule's own attack."""
    return attacking.attacked(chosen, rule, rule, honest, knowledge).observed
