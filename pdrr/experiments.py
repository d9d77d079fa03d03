"""From settings to a tidy table: honest round -> attack -> detection -> records.

Each notebook makes one call here and one in `figures`.
"""

from __future__ import annotations

import ast
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache, lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pdrr import config, data
from pdrr.aggregators import krum
from pdrr.attacks import ATTACKS
from pdrr.config import Settings
from pdrr.data import FederatedDataset, glyphs
from pdrr.data.npz import read_npz
from pdrr.defenses import PDRR
from pdrr.federation import ATTACK, Federation, byzantine, stream
from pdrr.metrics import far, mar, q_range
from pdrr.records import Records, provenance
from pdrr.store import Store, atomic
from pdrr.types import Crafted, Round

CODE = (  # what the numbers depend on
    "arrays",
    "aggregators",
    "attacks",
    "baselines",
    "defenses",
    "distances",
    "evaluation",
    "experiments",
    "federation",
    "kernels/*",
    "knowledge",
    "leave_one_out",
    "metrics",
    "models",
    "schemes",
    "spectral",
    "training",
)
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


def cached(
    experiment: Callable[..., Records], options: Mapping[str, Any], store: Store | None = None
) -> Records:
    """The records of one experiment, run only if the cache does not have them.

    `options` name at least profile, source and seed. The key holds the code as well: a change of
    the package runs everything again.
    """
    store = store or Store()
    chosen = settings(options["profile"], options["source"], options["seed"])
    key = {
        "experiment": experiment.__name__,
        "options": {name: value for name, value in options.items() if name != "source"},
        "settings": {**chosen.as_dict(), "data": dataset(chosen, store).sha256},
        "code": code_digest(),
    }
    folder = store.folder("records", key)
    if not (folder / "run.json").exists():
        experiment(**options, store=store).save(folder, "run")
    return Records.load(folder, "run")


@cache
def code_digest() -> str:
    """SHA-256 of the code that the numbers depend on, as it was when first asked for.

    Read once: an edit while a recording runs must not file results under code that did not make
    them. Comments, docstrings and layout do not count.
    """
    here = Path(__file__).parent
    files = [path for name in CODE for path in sorted(here.glob(f"{name}.py"))]
    sources = [path.read_text("utf-8") for path in files]
    return sha256("\n".join(map(_statements, sources)).encode()).hexdigest()


def _statements(source: str) -> str:
    """What a module does, in one form however it is laid out and described."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(
            node
        ):
            node.body = node.body[1:]
    return ast.dump(tree)


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


def detection(
    rule: str,
    *,
    profile: str = "quick",
    source: str = "glyphs",
    seed: int = 1,
    number: int = 1,
    knowledge: str = "full",
    c: int | None = None,
    beta: int | None = None,
    q: float | None = None,
    noise: str | None = None,
    zero_change: bool = False,
    store: Store | None = None,
) -> Records:
    """Attack one round and let PDRR detect (Figs. 4-7).

    Parameters
    ----------
    rule : {"krum", "trimmed_mean", "median"}
        Aggregation rule, with the attack and the defence made for it.
    profile, source, seed : str, str, int
        What to run: see `pdrr.config`; `source` is "glyphs", an .npz file or a LEAF folder.
    number : int
        Communication round.
    knowledge : {"full", "partial"}
    c, beta, q, noise : optional
        In place of the profile's; `noise` ("coordinate" or "ball") only matters for Krum.
    zero_change : bool
        Count coordinates that did not move as well (Fig. 5).
    store : Store, optional
        Cache of trained rounds.

    Returns
    -------
    Records
        A row per client: statistic, score, flagged, byzantine. One run: FAR, MAR, q range.
    """
    started = time.perf_counter()
    chosen = settings(profile, source, seed, c=c, beta=beta, noise=noise)
    detector = defense(chosen, rule, q, zero_change=zero_change)
    federation = Federation(chosen, dataset(chosen, store), rule, store)
    honest = next(federation.rounds([number]))

    attacking = time.perf_counter()
    crafted = attack(chosen, rule, honest, knowledge)
    detecting = time.perf_counter()
    found = detector.detect(crafted.observed)
    done = time.perf_counter()

    compromised = byzantine(chosen)
    low, high = q_range(found.scores, compromised) or (np.nan, np.nan)
    run = {
        "seed": seed,
        "round": number,
        "rule": rule,
        "knowledge": knowledge,
        "c": chosen.federation.c,
        "beta": chosen.defense.beta if rule == "trimmed_mean" else np.nan,
        "noise": chosen.attack.noise if rule == "krum" else "",
        "zero_change": zero_change,
        "q": detector.q,
        "succeeded": crafted.succeeded,
        "lambda": crafted.detail.get("lambda", np.nan),
        "selected": selected(crafted.observed, found.pre_aggregate, compromised),
        "far": far(found.flagged, compromised),
        "mar": mar(found.flagged, compromised),
        "q_low": low,
        "q_high": high,
        "training_s": federation.training_seconds(honest),
        "attack_s": detecting - attacking,
        "detection_s": done - detecting,
    }
    keys = ("rule", "seed", "round", "knowledge", "c", "beta", "noise")
    table = pd.DataFrame(
        {
            **{key: run[key] for key in keys},
            "client": np.arange(1, honest.k + 1),
            "byzantine": compromised,
            "statistic": found.statistic,
            "score": found.scores,
            "flagged": found.flagged,
        }
    )
    seconds = time.perf_counter() - started
    return Records(
        table, pd.DataFrame([run]), provenance(chosen, federation.dataset, honest.d, seconds)
    )


def selected(observed: Round, pre_aggregate: np.ndarray, compromised: np.ndarray) -> str:
    """Whose model the rule selected: "malicious", "benign", or "" for a rule that averages."""
    for model, bad in zip(observed.clients, compromised, strict=True):
        if np.array_equal(model, pre_aggregate):
            return "malicious" if bad else "benign"
    return ""


def first_parameters(
    *,
    profile: str = "quick",
    source: str = "glyphs",
    seed: int = 1,
    number: int = 2,
    knowledge: str = "full",
    c: int | None = None,
    epsilon: float = 1e-6,
    store: Store | None = None,
) -> Records:
    """First and second parameter of every model under the attack on Krum (Fig. 2).

    Parameters
    ----------
    profile, source, seed, number, knowledge, c, store : as in `detection`
    epsilon : float
        Distance of the malicious models from each other.

    Returns
    -------
    Records
        A row per point; `model` is "benign", "malicious", "previous global", "next global" (Krum
        without the attack) or "next global, attacked".
    """
    started = time.perf_counter()
    chosen = settings(profile, source, seed, c=c, epsilon=epsilon)
    federation = Federation(chosen, dataset(chosen, store), "krum", store)
    honest = next(federation.rounds([number]))
    crafted = attack(chosen, "krum", honest, knowledge)
    observed, compromised = crafted.observed, byzantine(chosen)
    server = {"c": chosen.federation.c, "previous": honest.previous}
    points = [
        ("malicious" if bad else "benign", w)
        for bad, w in zip(compromised, observed.clients[:, :2], strict=True)
    ]
    points += [
        ("previous global", honest.previous),
        ("next global", krum(honest.clients, **server)),
        ("next global, attacked", krum(observed.clients, **server)),
    ]
    table = pd.DataFrame(
        [
            {"seed": seed, "model": model, "first": float(w[0]), "second": float(w[1])}
            for model, w in points
        ]
    )
    run = {
        "seed": seed,
        "round": number,
        "knowledge": knowledge,
        "c": chosen.federation.c,
        "epsilon": epsilon,
        "succeeded": crafted.succeeded,
        "lambda": crafted.detail["lambda"],
        "training_s": federation.training_seconds(honest),
    }
    seconds = time.perf_counter() - started
    return Records(
        table, pd.DataFrame([run]), provenance(chosen, federation.dataset, honest.d, seconds)
    )
