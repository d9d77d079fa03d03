"""VAE and DAGMM for a federation: trained once, on snapshots from its auxiliary images."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pdrr.core.files import digest
from pdrr.data.dataset import CLASSES
from pdrr.experiments.server import Server
from pdrr.federation.streams import DETECT, stream
from pdrr.types import Detection, Round

if TYPE_CHECKING:
    from pdrr.baselines import DAGMM, VAE

STREAMS = {"DAGMM": 1, "VAE": 2}  # of random numbers for the training of each


@dataclass(frozen=True, eq=False)
class Trained:
    """A detector that was trained before the round, and for how many seconds."""

    detector: VAE | DAGMM
    setup_s: float

    def detect(self, observed: Round) -> Detection:
        """As the detector does."""
        return self.detector.detect(observed)


def trained(
    server: Server, scheme: str, *, output_layer: bool = False, here: bool = False
) -> Trained:
    """VAE or DAGMM, trained when first needed.

    Parameters
    ----------
    server : Server
    scheme : {"VAE", "DAGMM"}
    output_layer : bool
        It looks at weights of the last layer only.
    here : bool
        Its snapshots start from the round's global model, not from the initial one.
    """
    settings = server.settings
    taken, seconds = _snapshots(server, server.observed if here else None)
    among: tuple[int, int] | None = None
    if output_layer:
        d = server.observed.d
        among = d - len(CLASSES) * (settings.model.units + 1), d
    detector, fitting = _fitted(
        scheme,
        taken,
        among,
        settings.baselines.coordinates,
        settings.baselines.epochs,
        settings.baselines.samples,
        settings.federation.c,
        settings.seed,
    )
    detector.rng = server.rng()
    return Trained(detector, seconds + fitting)


def _snapshots(server: Server, observed: Round | None) -> tuple[Path, float]:
    """The file [snapshots, d] of models trained on the auxiliary images, and the seconds it took.

    Training starts from the initial model, or from the global model of `observed`.
    """
    from pdrr.baselines import snapshots

    settings, store = server.settings, server.federation.store
    count, start = settings.baselines.snapshots, None if observed is None else observed.previous
    key = {
        **server.federation.training_key,
        "count": count,
        "start": None if start is None else digest(start),
    }
    path = store.folder("snapshots", key) / "models.npy"
    timing = path.with_name("seconds.json")
    if not store.has(path):
        started = time.perf_counter()
        taken = snapshots(
            server.network,
            server.auxiliary(),
            count=count,
            rng=stream(settings.seed, DETECT, 0, 0),
            start=start,
        )
        store.save_json(timing, time.perf_counter() - started)
        store.save(path, taken)
    return path, float(store.load_json(timing)) if store.has(timing) else np.nan


@lru_cache(maxsize=8)
def _fitted(
    scheme: str,
    snapshots: Path,
    among: tuple[int, int] | None,
    coordinates: int,
    epochs: int,
    samples: int,
    c: int,
    seed: int,
) -> tuple[VAE | DAGMM, float]:
    """VAE or DAGMM trained on a file of snapshots; `among` limits the coordinates to a range."""
    from pdrr.baselines import DAGMM, VAE

    started = time.perf_counter()
    rng = stream(seed, DETECT, 0, STREAMS[scheme])
    looked_at: int | np.ndarray = coordinates
    if among is not None:
        every = np.arange(*among)
        looked_at = rng.choice(every, min(len(every), coordinates), replace=False)
    models = np.load(snapshots, mmap_mode="r")
    detector: VAE | DAGMM
    if scheme == "VAE":
        detector = VAE(models, c=c, rng=rng, coordinates=looked_at, epochs=epochs, samples=samples)
    else:
        detector = DAGMM(models, c=c, rng=rng, coordinates=looked_at, epochs=epochs)
    return detector, time.perf_counter() - started
