"""PDRR on every round, in two chains of rounds: how often does it err, and by what margin not?

- oracle-defended: the attackers are left out by label, and the round is attacked on the side;
- PDRR in the loop: the next round starts from what PDRR's re-aggregation left.

As long as PDRR makes no error the second chain is the first, bit for bit; it is trained apart from
the first difference on.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from pdrr.aggregators import AGGREGATORS
from pdrr.attacks import KNOWLEDGE
from pdrr.baselines.jackknife import equal
from pdrr.config import Settings
from pdrr.core.arrays import Array, accelerator, to_host
from pdrr.core.rules import own_setting
from pdrr.data import FederatedDataset
from pdrr.experiments.attacking import NOBODY, attacked
from pdrr.experiments.cache import code_digest
from pdrr.experiments.provenance import provenance
from pdrr.experiments.records import Records
from pdrr.experiments.scene import Scene, dataset, defense, settings
from pdrr.experiments.thresholds import unlabelled
from pdrr.federation.rounds import Federation
from pdrr.federation.store import Store
from pdrr.federation.streams import byzantine
from pdrr.metrics import auc
from pdrr.types import Crafted, Round

ORACLE, LOOP = "oracle-defended", "PDRR in the loop"
BETAS = (10, 15, 20)
STATE = "state.npz"
GRID = np.round(np.arange(0, 1.005, 0.01), 2)  # thresholds q at which errors are counted
RUN = ["chain", "attack", "rule", "seed", "knowledge", "c", "beta", "noise"]
SAVED = 5  # rounds after which the state is written


@dataclass
class Arm:
    """One attacker and one server over the rounds: what PDRR in the loop has of its own."""

    knowledge: str
    settings: Settings
    previous: Array | None = None  # the global model [d], once it differs from the oracle's


@dataclass
class State:
    """All that a killed run needs to go on with the same bits."""

    done: int = 0
    previous: Array | None = None
    rows: list[dict[str, Any]] = field(default_factory=list)
    scores: list[np.ndarray] = field(default_factory=list)


def every_round(
    rule: str,
    *,
    last: int | None = None,
    betas: Sequence[int] = BETAS,
    knowledge: Sequence[str] = KNOWLEDGE,
    profile: str = "quick",
    source: str = "glyphs",
    seed: int = 1,
    learning_rate: float | None = None,
    store: Store | None = None,
) -> Records:
    """Attack every round of both chains and let PDRR detect, re-aggregate, and be judged.

    Parameters
    ----------
    rule : {"krum", "trimmed_mean", "median"}
    last : int, optional
        The last round; the profile's last one by default.
    betas : sequence of int
        For the trimmed mean: what the server trims per side.
    knowledge : sequence of {"full", "partial"}
    profile, source, seed, learning_rate, store
        As in `pdrr.experiments.scene.scene`.

    Returns
    -------
    Records
        A row per round, chain, knowledge and beta: whether the chain has parted from the
        oracle-defended one, errors as counts, the smallest malicious and the largest benign score,
        `largest`, the most training images that a benign client has, and the accuracies of w_p, of
        the un-attacked, the attacked and PDRR's aggregate. Rows of attack "none" say whom PDRR
        flags where nobody attacks. A run for each chain, knowledge and beta: counts over the
        rounds. A run that is killed goes on where it was; a GPU is used where CuPy and JAX find
        one.

    Examples
    --------
    >>> from pdrr import experiments
    >>> found = experiments.every_round("median", last=2, profile="smoke").table
    >>> found[found["chain"] == "PDRR in the loop"].groupby("round").size().to_dict()
    {1: 2, 2: 2}
    """
    which: dict[str, Any] = {"profile": profile, "source": source, "seed": seed}
    which |= {"learning_rate": learning_rate, "store": store}
    return _run(rule, last=last, betas=betas, knowledge=knowledge, **which)[0]


def errors_by_q(rule: str, **options: Any) -> Records:
    """Errors of the same rounds at every threshold q from 0 to 1, counted over the rounds.

    Parameters as in `every_round`, which this shares all work with.

    Returns
    -------
    Records
        A row per chain, knowledge, beta and q: benign models and false alarms, malicious models
        and missed ones.

    Examples
    --------
    >>> from pdrr import experiments
    >>> found = experiments.errors_by_q("median", last=2, profile="smoke").table
    >>> found.groupby("q")["missed"].sum()[[0.0, 1.0]].gt(0).tolist()  # q = 0 flags everybody
    [False, True]
    """
    return _run(rule, **options)[1]


def _run(
    rule: str,
    *,
    last: int | None = None,
    betas: Sequence[int] = BETAS,
    knowledge: Sequence[str] = KNOWLEDGE,
    profile: str = "quick",
    source: str = "glyphs",
    seed: int = 1,
    learning_rate: float | None = None,
    store: Store | None = None,
) -> tuple[Records, Records]:
    started = time.perf_counter()
    store = store or Store()
    chosen = settings(profile, source, seed, learning_rate=learning_rate)
    last = last or max(chosen.evaluation.rounds)
    data = dataset(chosen, store)
    federation = Federation(chosen, data, rule, store)
    each = betas if rule == "trimmed_mean" else [chosen.defense.beta]
    arms = [
        Arm(known, replace(chosen, defense=replace(chosen.defense, beta=beta)))
        for beta, known in product(each, knowledge)
    ]
    key = {**federation.training_key, "settings": chosen.as_dict(), "rule": rule}
    key |= {"betas": list(each), "knowledge": list(knowledge), "code": code_digest()}
    folder = store.folder("every_round", key)
    state = _read(store, folder / STATE, arms)
    _advance(state, last, federation, arms, folder)
    known = [i for i, row in enumerate(state.rows) if row["round"] <= last]
    table = pd.DataFrame([state.rows[i] for i in known])
    curve = _errors_by_q(table, np.array([state.scores[i] for i in known]), chosen)
    seconds = time.perf_counter() - started
    origin = provenance(chosen, data, len(federation.start(1)), seconds)
    runs = summary(table)
    return Records(table, runs, origin), Records(curve, runs, origin)


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """A row per chain, attack, knowledge and setting of `every_round`: counts over its rounds.

    `rounds`; of these `wrong`, with an error, and `no_q`, in which no threshold would have made
    none; `false_alarms` and `missed` models.
    """
    judged = table.assign(
        rounds=1,
        wrong=(table["false_alarms"] > 0) | (table["missed"] > 0),
        no_q=table["benign_high"] >= table["malicious_low"],
    )
    counts = ["rounds", "wrong", "no_q", "false_alarms", "missed"]
    keys = [*RUN, "learning_rate", "q"]
    return judged.groupby(keys, sort=False, dropna=False)[counts].sum().reset_index()


def _advance(
    state: State, last: int, federation: Federation, arms: list[Arm], folder: Path
) -> None:
    """Run the rounds that are still to do, up to `last`."""
    home, measured = accelerator(), federation.settings.evaluation.rounds
    previous: Array = federation.start(1) if state.previous is None else state.previous
    with tqdm(
        total=last,
        initial=min(state.done, last),
        unit="round",
        desc=str(federation),
        disable=None,
    ) as bar:
        for number in range(state.done + 1, last + 1):
            honest = federation.trained(number, previous, home)
            if number in measured:
                federation.keep(number, to_host(previous))
            spared = federation.oracle(honest)
            for row, scores in _judged(federation, honest, spared, arms, home):
                state.rows.append(row)
                state.scores.append(scores)
            state.done, state.previous = number, spared
            previous = spared
            if number % SAVED == 0 or number == last:
                _write(federation.store, folder / STATE, state, arms)
            bar.update()


def _judged(
    federation: Federation, honest: Round, spared: Array, arms: list[Arm], home: Any
) -> Iterator[tuple[dict[str, Any], np.ndarray]]:
    """Rows of one round with the scores behind them: both chains, all arms, and nobody attacking.

    `spared` is the aggregate without the attackers; whoever ends with it stays with that chain.
    """
    known: list[tuple[Array, float]] = []  # models and their accuracies: many are tried twice
    crafted: dict[str, Crafted] = {}
    for arm in arms:
        if arm.knowledge == arms[0].knowledge:  # once for each beta
            row, scores, _ = _attacked(federation, honest, NOBODY, arm, crafted, known)
            yield {"chain": ORACLE, "apart": False, **row}, scores
        row, scores, defended = _attacked(federation, honest, federation.rule, arm, crafted, known)
        yield {"chain": ORACLE, "apart": False, **row}, scores
        apart = arm.previous is not None
        if arm.previous is not None:
            other = federation.trained(honest.number, arm.previous, home)
            row, scores, defended = _attacked(federation, other, federation.rule, arm, {}, known)
        yield {"chain": LOOP, "apart": apart, **row}, scores
        same = arm.previous is None and bool((defended == spared).all())
        arm.previous = None if same else defended


def _attacked(
    federation: Federation,
    honest: Round,
    attack: str,
    arm: Arm,
    crafted: dict[str, Crafted],
    known: list[tuple[Array, float]],
) -> tuple[dict[str, Any], np.ndarray, Array]:
    """A row, the scores behind it, and what PDRR leaves [d]."""
    settings, rule = arm.settings, federation.rule
    made = crafted.get(attack) if arm.knowledge == "partial" else None
    if made is None:
        made = attacked(settings, attack, rule, honest, arm.knowledge)
    if arm.knowledge == "partial":  # then it does not depend on beta: one round serves all
        crafted[attack] = made
    here = Scene(settings, federation, attack, arm.knowledge, honest, made, 0.0, 0.0)
    detector, bad = defense(settings, rule), here.byzantine
    found = detector.detect(here.observed)
    defended, _ = detector.reaggregate(here.observed, found)
    scores, flagged = to_host(found.scores), to_host(found.flagged)
    own = own_setting(rule, c=settings.federation.c, beta=settings.defense.beta)
    models = {"": honest.previous, "_defended": defended, "_attacked": found.pre_aggregate}
    models["_unattacked"] = AGGREGATORS[rule](honest.clients, **own)
    if attack == NOBODY:
        del models["_attacked"]
    by_gap = scores >= unlabelled(scores)
    row = {
        **here.key,
        "knowledge": arm.knowledge if bad.any() else NOBODY,
        "learning_rate": settings.training.learning_rate,
        **here.outcome(found.pre_aggregate),
        "largest": int(trained_images(here.federation.dataset)[here.honest.ids][~bad].max()),
        "benign": int((~bad).sum()),
        "false_alarms": int((flagged & ~bad).sum()),
        "malicious": int(bad.sum()),
        "missed": int((~flagged & bad).sum()),
        "q": detector.q,
        "benign_high": float(scores[~bad].max()),
        "malicious_low": float(scores[bad].min()) if bad.any() else np.nan,
        "auc": auc(scores, bad) if bad.any() else np.nan,
        "gap_false_alarms": int((by_gap & ~bad).sum()),
        "gap_missed": int((~by_gap & bad).sum()),
        **{f"accuracy{name}": _accuracy(here, model, known) for name, model in models.items()},
    }
    row = {
        name: float(f"{value:.6g}") if isinstance(value, float) else value
        for name, value in row.items()
    }
    return row, scores.astype(np.float32), defended


def trained_images(data: FederatedDataset) -> np.ndarray:
    """How many images each client trains on: int [clients]."""
    return np.bincount(data.writer[~data.test].astype(np.intp), minlength=len(data))


def _accuracy(here: Scene, model: Array, known: list[tuple[Array, float]]) -> float:
    for tried, accuracy in known:
        if equal(tried, model):
            return accuracy
    known.append((model, here.accuracies(model)[0]))
    return known[-1][1]


def _errors_by_q(table: pd.DataFrame, scores: np.ndarray, settings: Settings) -> pd.DataFrame:
    """Errors at each q of `GRID`, counted over the rounds; every row has the same k clients."""
    bad = byzantine(settings)
    parts = []
    for values, rows in table.reset_index(drop=True).groupby(RUN, sort=False, dropna=False):
        truth = bad & (values[1] != NOBODY)
        flagged = scores[rows.index, :, np.newaxis] >= GRID.astype(np.float32)
        part: dict[str, Any] = {
            **dict(zip(RUN, values, strict=True)),
            "q": GRID,
            "benign": len(rows) * int((~truth).sum()),
            "false_alarms": flagged[:, ~truth].sum((0, 1)),
            "malicious": len(rows) * int(truth.sum()),
            "missed": (~flagged[:, truth]).sum((0, 1)),
        }
        parts.append(pd.DataFrame(part))
    return pd.concat(parts, ignore_index=True)


# the state on disk


def _write(store: Store, path: Path, state: State, arms: list[Arm]) -> None:
    apart = {f"arm{i}": arm.previous for i, arm in enumerate(arms) if arm.previous is not None}
    own = {"previous": to_host(state.previous), "scores": np.array(state.scores)}
    store.save_state(path, state.rows, **own, **{name: to_host(x) for name, x in apart.items()})


def _read(store: Store, path: Path, arms: list[Arm]) -> State:
    if not store.has(path):
        return State()
    rows, kept = store.load_state(path)
    for i, arm in enumerate(arms):
        arm.previous = kept.get(f"arm{i}")
    return State(rows[-1]["round"], kept["previous"], rows, list(kept["scores"]))
