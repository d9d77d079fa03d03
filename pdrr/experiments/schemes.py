"""The five schemes set up for one federation, as section 5.1 has them, and what each finds."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pdrr.config import Settings
from pdrr.core.files import atomic, digest
from pdrr.data.dataset import CLASSES
from pdrr.experiments import scene
from pdrr.federation.rounds import Federation
from pdrr.federation.streams import DETECT, stream
from pdrr.types import Detection, Round

if TYPE_CHECKING:
    from pdrr.baselines.dagmm import DAGMM
    from pdrr.baselines.vae import VAE


SCHEMES = ("DAGMM", "VAE", "ERR", "LFR", "Union", "PDRR")
READINGS = ("mean", "alone", "high", "output layer", "from w_p")
LEAVE_OUT = {"default": "rule", "mean": "mean", "alone": "others"}


@dataclass(frozen=True, eq=False)
class Found:
    """What one scheme says of a round, and how long it took."""

    scheme: str
    reading: str
    detection: Detection
    seconds: float
    setup: float = 0.0  # training before any round, seconds


def timed(scheme: str, reading: str, detect: Callable[[], Detection], setup: float = 0.0) -> Found:
    """What `detect` finds, with the seconds that it takes."""
    started = time.perf_counter()
    detection = detect()
    return Found(scheme, reading, detection, time.perf_counter() - started, setup)


# ERR and LFR


def rejections(
    federation: Federation, observed: Round, schemes: Sequence[str], readings: Sequence[str]
) -> list[Found]:
    """ERR, LFR and Union; each is charged the trials of aggregates that all of them need."""
    if not {"ERR", "LFR", "Union"} & set(schemes):
        return []
    from pdrr.baselines.rejection import err_and_lfr, union

    found = []
    for reading, leave_out in LEAVE_OUT.items():
        if reading != "default" and reading not in readings:
            continue
        settings = _rejection_settings(federation, observed.number)
        started = time.perf_counter()
        err, lfr = err_and_lfr(observed, leave_out=leave_out, **settings)
        seconds = time.perf_counter() - started
        votes = err.flagged.astype(float) + lfr.flagged
        either = Detection(votes, votes, union(err, lfr), err.pre_aggregate)
        for scheme, detection in (("ERR", err), ("LFR", lfr), ("Union", either)):
            if scheme in schemes:
                found.append(Found(scheme, reading, detection, seconds))
    return found


def _rejection_settings(federation: Federation, number: int) -> dict[str, Any]:
    settings, rule = federation.settings, federation.rule
    return {
        "rule": rule,
        "network": federation.trainer,
        "auxiliary": federation.dataset.auxiliary(),
        "c": settings.federation.c,
        "beta": settings.defense.beta if rule == "trimmed_mean" else None,
        "rng": stream(settings.seed, DETECT, number),
    }


# VAE and DAGMM


def spectral(
    federation: Federation, observed: Round, schemes: Sequence[str], readings: Sequence[str]
) -> list[Found]:
    """VAE and DAGMM, trained when first needed."""
    found = []
    for scheme in (scheme for scheme in ("DAGMM", "VAE") if scheme in schemes):
        for reading in ("default", "output layer", "from w_p"):
            if reading != "default" and reading not in readings:
                continue
            detector, setup = _detector(federation, scheme, reading, observed)
            detector.rng = stream(federation.settings.seed, DETECT, observed.number)
            found.append(timed(scheme, reading, partial(detector.detect, observed), setup))
            if scheme == "VAE" and reading == "default" and "high" in readings:
                found.append(_upside_down(found[-1], federation.settings, observed.number))
    return found


def _upside_down(found: Found, settings: Settings, number: int) -> Found:
    """The same scores, but the smallest are flagged."""
    from pdrr.baselines.flagging import flag_largest

    scores = -np.asarray(found.detection.scores)
    flagged = flag_largest(scores, settings.federation.c, stream(settings.seed, DETECT, number))
    detection = Detection(scores, scores, flagged, found.detection.pre_aggregate)
    return Found(found.scheme, "high", detection, found.seconds, found.setup)


def _detector(
    federation: Federation, scheme: str, reading: str, observed: Round
) -> tuple[VAE | DAGMM, float]:
    """The trained detector, and the seconds it took to make."""
    settings = federation.settings
    taken, seconds = _snapshots(federation, observed if reading == "from w_p" else None)
    coordinates: int | tuple[int, int] = settings.baselines.coordinates
    if reading == "output layer":
        coordinates = (observed.d - len(CLASSES) * (settings.model.units + 1), observed.d)
    detector, fitting = _fitted(
        scheme,
        taken,
        coordinates,
        settings.baselines.coordinates,
        settings.baselines.epochs,
        settings.baselines.samples,
        settings.federation.c,
        settings.seed,
    )
    return detector, seconds + fitting


def _snapshots(federation: Federation, observed: Round | None) -> tuple[Path, float]:
    """The file [snapshots, d] of models trained on the auxiliary images, and the seconds it took.

    Training starts from the initial model, or from the global model of `observed`.
    """
    from pdrr.baselines.surrogate import snapshots

    settings, store = federation.settings, federation.store
    count, start = settings.baselines.snapshots, None if observed is None else observed.previous
    key = {
        **federation.training_key,
        "count": count,
        "start": None if start is None else digest(start),
    }
    path = store.folder("snapshots", key) / "models.npy"
    timing = path.with_name("seconds.json")
    if not path.exists():
        started = time.perf_counter()
        taken = snapshots(
            federation.trainer,
            federation.dataset.auxiliary(),
            count=count,
            rng=stream(settings.seed, DETECT, 0, 0),
            start=start,
        )
        with atomic(timing) as file:
            file.write_text(json.dumps(time.perf_counter() - started))
        store.save(path, taken)
    return path, float(json.loads(timing.read_text()))


@lru_cache(maxsize=8)
def _fitted(
    scheme: str,
    snapshots: Path,
    among: int | tuple[int, int],
    coordinates: int,
    epochs: int,
    samples: int,
    c: int,
    seed: int,
) -> tuple[VAE | DAGMM, float]:
    """VAE or DAGMM trained on a file of snapshots; `among` limits the coordinates to a range."""
    from pdrr.baselines.dagmm import DAGMM
    from pdrr.baselines.vae import VAE

    started = time.perf_counter()
    rng = stream(seed, DETECT, 0, 1 + SCHEMES.index(scheme))
    looked_at: int | np.ndarray = coordinates
    if isinstance(among, tuple):
        every = np.arange(*among)
        looked_at = rng.choice(every, min(len(every), coordinates), replace=False)
    models = np.load(snapshots, mmap_mode="r")
    detector: VAE | DAGMM
    if scheme == "VAE":
        detector = VAE(models, c=c, rng=rng, coordinates=looked_at, epochs=epochs, samples=samples)
    else:
        detector = DAGMM(models, c=c, rng=rng, coordinates=looked_at, epochs=epochs)
    return detector, time.perf_counter() - started


# all of them


def detectors(
    federation: Federation, observed: Round
) -> tuple[dict[str, Callable[[], Detection]], dict[str, float]]:
    """The detection of each scheme to be called, and the set-up seconds of those that have any."""
    from pdrr.baselines.rejection import ERR, LFR

    detect: dict[str, Callable[[], Detection]] = {}
    setup = {}
    for scheme in ("DAGMM", "VAE"):
        detector, setup[scheme] = _detector(federation, scheme, "default", observed)
        detect[scheme] = partial(detector.detect, observed)
    for kind in (ERR, LFR):
        rejection = kind(**_rejection_settings(federation, 1))
        detect[kind.__name__] = partial(rejection.detect, observed)
    defense = scene.defense(federation.settings, federation.rule)
    detect["PDRR"] = partial(defense.detect, observed)
    return detect, setup
