"""One attacked round and everything behind it: settings, data, federation, attack, clock.

Every experiment begins with a `scene` and ends with its `records`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pdrr import config, data
from pdrr.attacks import KNOWLEDGE
from pdrr.config import Settings
from pdrr.core.rules import own_setting
from pdrr.data import FederatedDataset, glyphs
from pdrr.data.npz import read_npz
from pdrr.defenses import PDRR
from pdrr.experiments.attacking import NOBODY, Known, attacked, attacks
from pdrr.experiments.provenance import provenance
from pdrr.experiments.records import Records
from pdrr.federation.rounds import Federation
from pdrr.federation.store import Store
from pdrr.federation.streams import byzantine
from pdrr.metrics import far, mar, q_range
from pdrr.types import Crafted, Detection, Round

GLYPH_SEED = 0  # the embedded writers are one data set: other seeds re-run the federation on it


def settings(
    profile: str,
    source: str,
    seed: int,
    *,
    c: int | None = None,
    beta: int | None = None,
    epsilon: float | None = None,
    noise: str | None = None,
    learning_rate: float | None = None,
    k: int | None = None,
) -> Settings:
    """A profile's settings with the few values that notebooks vary; None keeps the profile's.

    Errors are those of `pdrr.config.load`.

    Examples
    --------
    >>> from pdrr import experiments
    >>> experiments.settings("paper", "glyphs", seed=1, c=10).federation.c
    10
    """
    given = {
        "federation.c": c,
        "defense.beta": beta,
        "attack.epsilon": epsilon,
        "attack.noise": noise,
        "training.learning_rate": learning_rate,
        "federation.k": k,
    }
    overrides = {path: value for path, value in given.items() if value is not None}
    return config.load(profile, {"data.source": source, "seed": seed, **overrides})


def dataset(settings: Settings, store: Store | None = None) -> FederatedDataset:
    """The federation's data; see `pdrr.data.load` for what may go wrong.

    Examples
    --------
    >>> from pdrr import experiments
    >>> len(experiments.dataset(experiments.settings("smoke", "glyphs", seed=1)))
    60
    """
    return _dataset(settings.data, (store or Store()).root)


@lru_cache(maxsize=2)
def _dataset(wanted: config.Data, root: Path) -> FederatedDataset:
    def load() -> FederatedDataset:
        return data.load(
            wanted.source, writers=wanted.writers, seed=GLYPH_SEED, deduplicate=wanted.deduplicate
        )

    if wanted.source != "glyphs":
        return load()
    # drawing the synthetic writers takes seconds: draw them once
    store = Store(root)
    made_by = [Path(glyphs.__file__), *sorted(glyphs.ATLAS.glob("*.*"))]
    code = {path.name: sha256(path.read_bytes()).hexdigest() for path in made_by if path.is_file()}
    key = {"writers": wanted.writers, "seed": GLYPH_SEED, "code": code}
    path = store.folder("glyphs", key) / "writers.npz"
    if not store.has(path):
        drawn = load()
        with store.writing(path) as file:
            np.savez_compressed(
                file,
                images=drawn.images,
                labels=drawn.labels,
                writer=drawn.writer,
                writer_ids=np.array(drawn.writer_ids),
                split=drawn.test.astype(np.uint8),
            )
    return replace(read_npz(path), name=glyphs.NAME, synthetic=True)


# the defence as the settings have it


def defense(
    settings: Settings, rule: str, q: float | None = None, zero_change: bool = False
) -> PDRR:
    """PDRR for `rule` as the settings have it, with another q if one is given."""
    own = own_setting(rule, c=settings.federation.c, beta=settings.defense.beta)
    q = settings.defense.q[rule] if q is None else q
    return PDRR(rule, q=q, zero_change=zero_change, **own)


# the scene


@dataclass(frozen=True, eq=False)
class Scene:
    """One round as the server receives it.

    Attributes
    ----------
    settings : Settings
    federation : Federation
        Trained the round; has the rule and the data set.
    attack : str
        Name of the attack, or `NOBODY`.
    knowledge : {"full", "partial"}
    honest : Round
        All k models as trained.
    crafted : Crafted
        The round under attack.
    attack_s : float
        Seconds that the attack took.
    started : float
        When all of this began, by `time.perf_counter`.
    """

    settings: Settings
    federation: Federation
    attack: str
    knowledge: str
    honest: Round
    crafted: Crafted
    attack_s: float
    started: float

    @property
    def observed(self) -> Round:
        """What the server receives."""
        return self.crafted.observed

    @property
    def byzantine(self) -> np.ndarray:
        """bool [k]: who is compromised; nobody without an attack."""
        return byzantine(self.settings) & (self.attack != NOBODY)

    @property
    def place(self) -> dict[str, Any]:
        """Attack, rule, seed and round."""
        return {
            "attack": self.attack,
            "rule": self.federation.rule,
            "seed": self.settings.seed,
            "round": self.honest.number,
        }

    @property
    def key(self) -> dict[str, Any]:
        """What tells this scene from others, in the words of the records' columns."""
        rule, settings = self.federation.rule, self.settings
        own = own_setting(rule, c=0, beta=settings.defense.beta)
        entry = attacks().get(self.attack)
        return {
            **self.place,
            "knowledge": self.knowledge,
            "c": settings.federation.c,
            "beta": own.get("beta", np.nan),
            "noise": settings.attack.noise if entry and "noise" in entry.takes else "",
        }

    def outcome(self, pre_aggregate: np.ndarray) -> dict[str, Any]:
        """What came of the attack; `selected`: whose model the rule took over, if it did."""
        chosen = ""
        for model, bad in zip(self.observed.clients, self.byzantine, strict=True):
            if (model == pre_aggregate).all():  # of any array library
                chosen = "malicious" if bad else "benign"
                break
        return {
            "succeeded": self.crafted.succeeded,
            "lambda": self.crafted.detail.get("lambda", np.nan),
            "selected": chosen,
        }

    @property
    def training_s(self) -> float:
        """Seconds of the round's local training, when it was run."""
        return self.federation.training_seconds(self.honest)

    def clients(self, detection: Detection, **key: Any) -> pd.DataFrame:
        """A row for each client: the key, who it is, and what the detection says of it."""
        columns = {
            "client": np.arange(1, self.honest.k + 1),
            "byzantine": self.byzantine,
            "statistic": detection.statistic,
            "score": detection.scores,
            "flagged": detection.flagged,
        }
        return pd.DataFrame({**key, **columns})

    def rates(self, detection: Detection, *, threshold: bool = True) -> dict[str, float]:
        """FAR and MAR, and the suitable q of a scheme with a threshold; NaN where there is none."""
        asked = threshold and self.byzantine.any()
        separate = q_range(detection.scores, self.byzantine) if asked else None
        low, high = separate or (np.nan, np.nan)
        return {
            "far": far(detection.flagged, self.byzantine),
            "mar": mar(detection.flagged, self.byzantine),
            "q_low": low,
            "q_high": high,
        }

    def accuracies(self, *models: Any) -> list[float]:
        """Of each model [d], on the evaluation half of the test images."""
        x, y = self.federation.dataset.evaluation()
        trainer = self.federation.trainer
        return [1 - trainer.error(model, x, y) for model in models]

    def records(self, table: pd.DataFrame, runs: Sequence[dict[str, Any]]) -> Records:
        """Results with their origin, and the seconds since the scene began."""
        seconds = time.perf_counter() - self.started
        data = self.federation.dataset
        origin = provenance(self.settings, data, self.honest.d, seconds)
        return Records(table, pd.DataFrame(runs), origin)


def scene(
    rule: str,
    *,
    attack: str | None = None,
    profile: str = "quick",
    source: str = "glyphs",
    seed: int = 1,
    number: int = 1,
    knowledge: str = "partial",
    c: int | None = None,
    beta: int | None = None,
    epsilon: float | None = None,
    noise: str | None = None,
    learning_rate: float | None = None,
    k: int | None = None,
    store: Store | None = None,
) -> Scene:
    """Train a round, or take it from the cache, and attack it.

    Parameters
    ----------
    rule : {"mean", "krum", "trimmed_mean", "median"}
        How the server aggregates.
    attack : str, optional
        Name of an attack, or "none"; the one made against the rule by default.
    profile, source, seed : str, str, int
        What to run: see `pdrr.config`; `source` is "glyphs", an .npz file or a LEAF folder.
    number : int
        Communication round.
    knowledge : {"full", "partial"}
    c, beta, epsilon, noise, learning_rate, k : optional
        In place of the profile's.
    store : Store, optional
        Cache of trained rounds.

    Raises
    ------
    ValueError
        For an unknown attack or knowledge, before anything is trained.

    Examples
    --------
    >>> from pdrr.experiments.scene import scene
    >>> here = scene("median", profile="smoke", knowledge="full")
    >>> here.attack, here.observed.k, int(here.byzantine.sum())
    ('median', 50, 20)
    """
    started = time.perf_counter()
    attack = rule if attack is None else attack
    if attack != NOBODY and attack not in attacks():
        raise ValueError(f"attack needs to be of {', '.join((NOBODY, *attacks()))}, got {attack!r}")
    if knowledge not in KNOWLEDGE:
        raise ValueError(f"knowledge needs to be of {', '.join(KNOWLEDGE)}, got {knowledge!r}")
    varied: dict[str, Any] = {"c": c, "beta": beta, "epsilon": epsilon, "noise": noise, "k": k}
    chosen = settings(profile, source, seed, learning_rate=learning_rate, **varied)
    federation = Federation(chosen, dataset(chosen, store), rule, store)
    honest = next(federation.rounds([number]))
    attacking = time.perf_counter()
    known = Known(flipped=lambda: federation.flipped(honest))
    crafted = attacked(chosen, attack, rule, honest, knowledge, known)
    seconds = time.perf_counter() - attacking
    return Scene(chosen, federation, attack, knowledge, honest, crafted, seconds, started)
