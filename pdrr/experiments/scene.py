"""From settings to an attacked round: data, federation, honest round, attack, defence."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from pdrr import config, data
from pdrr.attacks import ATTACKS
from pdrr.config import Settings
from pdrr.core.files import atomic
from pdrr.data import FederatedDataset, glyphs
from pdrr.data.npz import read_npz
from pdrr.defenses import PDRR
from pdrr.federation.rounds import Federation
from pdrr.federation.store import Store
from pdrr.federation.streams import ATTACK, byzantine, stream
from pdrr.types import Crafted, Round

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
) -> Settings:
    """A profile's settings with the few values that notebooks vary; None keeps the profile's."""
    given = {
        "federation.c": c,
        "defense.beta": beta,
        "attack.epsilon": epsilon,
        "attack.noise": noise,
    }
    overrides = {path: value for path, value in given.items() if value is not None}
    return config.load(profile, {"data.source": source, "seed": seed, **overrides})


def dataset(settings: Settings, store: Store | None = None) -> FederatedDataset:
    """The federation's data; see `pdrr.data.load` for what may go wrong."""
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
    if not path.exists():
        drawn = load()
        with atomic(path) as temporary:
            np.savez_compressed(
                temporary,
                images=drawn.images,
                labels=drawn.labels,
                writer=drawn.writer,
                writer_ids=np.array(drawn.writer_ids),
                split=drawn.test.astype(np.uint8),
            )
    return replace(read_npz(path), name=glyphs.NAME, synthetic=True)


def honest_round(settings: Settings, rule: str, number: int, store: Store | None = None) -> Round:
    """The round as all k devices train it honestly, from the cache or run now."""
    return next(Federation(settings, dataset(settings, store), rule, store).rounds([number]))


def attack(settings: Settings, rule: str, honest: Round, knowledge: str) -> Crafted:
    """The round under the attack made for `rule`."""
    chosen = settings.attack
    own: dict[str, dict[str, Any]] = {
        "krum": {"epsilon": chosen.epsilon, "noise": chosen.noise},
        "trimmed_mean": {"beta": settings.defense.beta, "b": chosen.b},
        "median": {"b": chosen.b},
    }
    if rule not in own:
        raise ValueError(f"attack needs a rule of {', '.join(own)}, got {rule!r}")
    rng = stream(settings.seed, ATTACK, honest.number)
    return ATTACKS[rule](honest, byzantine(settings), knowledge=knowledge, rng=rng, **own[rule])


def defense(
    settings: Settings, rule: str, q: float | None = None, zero_change: bool = False
) -> PDRR:
    """PDRR for `rule` as the settings have it, with another q if one is given."""
    return PDRR(
        rule,
        q=settings.defense.q[rule] if q is None else q,
        c=settings.federation.c if rule == "krum" else None,
        beta=settings.defense.beta if rule == "trimmed_mean" else None,
        zero_change=zero_change,
    )


def selected(observed: Round, pre_aggregate: np.ndarray, compromised: np.ndarray) -> str:
    """Whose model the rule selected: "malicious", "benign", or "" for a rule that averages."""
    for model, bad in zip(observed.clients, compromised, strict=True):
        if np.array_equal(model, pre_aggregate):
            return "malicious" if bad else "benign"
    return ""
