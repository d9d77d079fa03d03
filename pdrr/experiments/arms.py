"""Does the federation survive? What each server leaves becomes its next global model.

Every arm is a server with one defence and a chain of rounds of its own, attacked in every round.
Arms whose global models are the same bits share the training of a round: all of them in the first,
later those whose defences decided alike.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from pdrr.aggregators import AGGREGATORS
from pdrr.attacks import KNOWLEDGE
from pdrr.core.arrays import Array, accelerator, to_host
from pdrr.core.checks import finite_rows
from pdrr.core.files import digest
from pdrr.core.rules import DEFENDED, own_setting
from pdrr.core.shared import forget
from pdrr.experiments import schemes
from pdrr.experiments.attacking import NOBODY, Known, attacked, attacks
from pdrr.experiments.cache import code_digest
from pdrr.experiments.provenance import provenance
from pdrr.experiments.records import Records
from pdrr.experiments.scene import dataset, defense, settings
from pdrr.experiments.server import Server
from pdrr.federation.rounds import Federation
from pdrr.federation.store import Store
from pdrr.federation.streams import byzantine
from pdrr.metrics import far, mar
from pdrr.types import Round

PEACE, UNDEFENDED, ORACLE = "nobody attacks", "undefended", "oracle removal"
ARMS = (
    *(PEACE, UNDEFENDED, "PDRR", "Co-trimming", "NNM", "Multi-Krum"),
    *("ERR", "LFR", "Union", ORACLE),
)
STATE = "state.npz"
SAVED = 5  # rounds after which the arms are written
LATE = 5  # last rounds whose mean is the final error
DECILE = 0.1  # of the writers, those with the lowest accuracy


@dataclass
class Arm:
    """One server over the rounds, and all that a killed run needs to go on with the same bits."""

    name: str
    path: Path
    previous: np.ndarray  # the global model [d] that starts the next round
    rows: list[dict[str, Any]] = field(default_factory=list)

    @property
    def done(self) -> int:
        """Rounds behind it."""
        return len(self.rows)


def survival(
    rule: str,
    *,
    arms: Sequence[str] = ARMS,
    last: int | None = None,
    attack: str | None = None,
    knowledge: str = "partial",
    profile: str = "quick",
    source: str = "glyphs",
    seed: int = 1,
    store: Store | None = None,
) -> Records:
    """Let every arm run its federation under attack.

    Parameters
    ----------
    rule : {"krum", "trimmed_mean", "median"}
        What the servers aggregate with. A scheme that only flags has the rest aggregated with it,
        c and beta reduced by the number flagged, as PDRR does.
    arms : sequence of str
        "nobody attacks", "undefended", "oracle removal" (attackers left out by label), or names of
        schemes that see one round.
    last : int, optional
        The last round; the profile's last one by default.
    attack : str, optional
        Name of an attack that sees one round; the one made against the rule by default.
    knowledge : {"full", "partial"}
    profile, source, seed, store
        As in `pdrr.experiments.scene.scene`.

    Returns
    -------
    Records
        A row per arm and round: accuracy of the new global model on the evaluation half, of all
        images and of the tenth of the writers that it serves worst (`worst_decile`); FAR, MAR, how
        many are flagged; whether the model is another than that of oracle removal (`apart`; NaN
        without that arm); whether honest training diverged, so that the model stays (`diverged`);
        the server's seconds. A run per arm: errors as means over its last five rounds. An arm that
        is killed goes on where it was; a GPU is used where CuPy and JAX find one.

    Raises
    ------
    ValueError
        For arms, attacks or a knowledge that nobody has, before anything is trained.

    Examples
    --------
    >>> from pdrr import experiments
    >>> arms = ("undefended", "Co-trimming", "oracle removal")
    >>> found = experiments.survival("median", arms=arms, last=2, profile="smoke").table
    >>> found.groupby("arm")["flagged"].max().to_dict()
    {'Co-trimming': 20, 'oracle removal': 20, 'undefended': 0}
    """
    started = time.perf_counter()
    attack = rule if attack is None else attack
    _check(rule, arms, attack, knowledge)
    store = store or Store()
    chosen = settings(profile, source, seed)
    last = last or max(chosen.evaluation.rounds)
    data = dataset(chosen, store)
    federation = Federation(chosen, data, rule, store)
    key = {**federation.training_key, "settings": chosen.as_dict(), "rule": rule}
    key |= {"attack": attack, "knowledge": knowledge, "code": code_digest()}
    running = [
        _begun(name, store.folder("survival", {**key, "arm": name}) / STATE, federation)
        for name in arms
    ]
    _advance(running, last, federation, attack, knowledge)
    table = pd.DataFrame([row for arm in running for row in arm.rows[:last]])
    if ORACLE in arms:
        spared = table[table["arm"] == ORACLE].set_index("round")["model"]
        table["apart"] = (table["model"] != table["round"].map(spared)).astype(float)
    else:
        table["apart"] = np.nan
    origin = provenance(chosen, data, len(federation.start(1)), time.perf_counter() - started)
    return Records(table.drop(columns="model"), summary(table), origin)


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """A row per arm of `survival`: errors, all and of the worst decile, over its last rounds.

    `wrong` counts rounds with a false or a missing alarm, `apart_from` is the first round whose
    model is another than that of oracle removal, NaN if there is none.
    """
    rows = []
    where = ["arm", "attack", "rule", "seed", "knowledge", "c", "beta"]
    for values, part in table.groupby(where, sort=False, dropna=False):
        late = part.sort_values("round").tail(LATE)
        wrong = (part["far"] > 0) | (part["mar"] > 0)
        rows.append(
            {
                **dict(zip(where, values, strict=True)),
                "rounds": len(part),
                "final_error": 1 - late["accuracy"].mean(),
                "final_worst": 1 - late["worst_decile"].mean(),
                "wrong": int(wrong.sum()),
                "diverged": int(part["diverged"].sum()),
                "apart_from": part.loc[part["apart"] == 1, "round"].min(),
            }
        )
    return pd.DataFrame(rows)


def worst_decile(correct: np.ndarray, writer: np.ndarray) -> float:
    """Mean accuracy of the tenth of the writers with the lowest one, rounded up to whole writers.

    Parameters
    ----------
    correct : bool array [n]
        Which images were recognised.
    writer : int array [n]
        Who wrote them; writers without an image do not count.

    Examples
    --------
    >>> from pdrr.experiments.arms import worst_decile
    >>> worst_decile(np.array([True, False, True, True]), np.array([0, 0, 7, 7]))
    0.5
    """
    images = np.bincount(writer)
    some = images > 0
    each = np.sort(np.bincount(writer, weights=correct)[some] / images[some])
    return float(each[: int(np.ceil(DECILE * len(each)))].mean())


def _check(rule: str, arms: Sequence[str], attack: str, knowledge: str) -> None:
    every = schemes.known()
    there = [PEACE, UNDEFENDED, ORACLE, *(n for n in every if "history" not in every[n].needs)]
    one_round = [n for n, known in attacks().items() if not {"before", "memory"} & {*known.takes}]
    for what, given, allowed in (
        ("rule", [rule], DEFENDED),
        ("arms", arms, there),
        ("attack", [attack], one_round),
        ("knowledge", [knowledge], KNOWLEDGE),
    ):
        if not given or not set(given) <= set(allowed) or len(set(given)) < len(given):
            got = ", ".join(given) or "none"
            raise ValueError(f"survival needs {what} of {', '.join(allowed)}, got {got}")


def _advance(
    arms: list[Arm], last: int, federation: Federation, attack: str, knowledge: str
) -> None:
    """Run the rounds that are still to do, up to `last`; arms with the same model share them."""
    home, first = accelerator(), min(arm.done for arm in arms)
    known: dict[str, tuple[float, float]] = {}  # accuracies, by the model's digest
    with tqdm(
        total=last, initial=min(first, last), unit="round", desc=str(federation), disable=None
    ) as bar:
        for number in range(first + 1, last + 1):
            groups: dict[str, list[Arm]] = {}
            for arm in arms:
                if arm.done < number:
                    groups.setdefault(digest(arm.previous), []).append(arm)
            bar.set_postfix_str(f"{len(groups)} trained")
            for same in groups.values():
                honest = federation.trained(number, same[0].previous, home)
                for arm, model, row in _round(federation, honest, same, attack, knowledge):
                    arm.previous, key = model, digest(model)
                    if key not in known:
                        known[key] = _accuracies(federation, model)
                    row |= dict(zip(("accuracy", "worst_decile"), known[key], strict=True))
                    arm.rows.append({**row, "model": key})
            if number % SAVED == 0 or number == last:
                for arm in arms:
                    federation.store.save_state(arm.path, arm.rows, previous=arm.previous)
            bar.update()


def _round(
    federation: Federation, honest: Round, arms: Sequence[Arm], attack: str, knowledge: str
) -> Iterator[tuple[Arm, np.ndarray, dict[str, Any]]]:
    """Each arm's new global model [d] and its row, where all arms sent the same model out."""
    chosen, rule, observed = federation.settings, federation.rule, honest
    diverged = not to_host(finite_rows(honest.clients)).all()
    if not diverged and any(arm.name != PEACE for arm in arms):
        more = Known(flipped=lambda: federation.flipped(honest))
        observed = attacked(chosen, attack, rule, honest, knowledge, more).observed
    server, nobody = Server(federation, observed), np.zeros(honest.k, dtype=bool)
    for arm in arms:
        forget(observed)  # so that each pays for its own passes
        bad = byzantine(chosen) & (arm.name != PEACE)
        started, borrowed = time.perf_counter(), server.borrowed
        model, flagged = honest.previous, nobody
        if not diverged:
            seen = honest if arm.name == PEACE else observed
            model, flagged = _decided(federation, server, arm.name, seen)
        model = np.array(to_host(model))
        own = own_setting(rule, c=0, beta=chosen.defense.beta)
        row = {
            "arm": arm.name,
            "attack": attack if bad.any() else NOBODY,
            "rule": rule,
            "seed": chosen.seed,
            "round": honest.number,
            "knowledge": knowledge if bad.any() else NOBODY,
            "c": chosen.federation.c,
            "beta": own.get("beta", np.nan),
            "far": far(flagged, bad),
            "mar": mar(flagged, bad),
            "flagged": int(flagged.sum()),
            "diverged": diverged,
            "seconds": time.perf_counter() - started + server.borrowed - borrowed,
        }
        yield arm, model, row


def _decided(
    federation: Federation, server: Server, name: str, observed: Round
) -> tuple[Array, np.ndarray]:
    """What an arm makes of a round: the new global model [d], and whom it left out, bool [k]."""
    chosen, rule, k = federation.settings, federation.rule, observed.k
    if name == ORACLE:
        return federation.oracle(observed), byzantine(chosen)
    if name in (PEACE, UNDEFENDED):
        own: dict[str, Any] = own_setting(rule, c=chosen.federation.c, beta=chosen.defense.beta)
        if rule == "krum":
            own["previous"] = observed.previous
        return AGGREGATORS[rule](observed.clients, **own), np.zeros(k, dtype=bool)
    detector: Any = schemes.known()[name].make(server)
    if hasattr(detector, "aggregate"):
        model, found = detector.aggregate(observed)
    else:
        found = detector.detect(observed)
        model, _ = defense(chosen, rule).reaggregate(observed, found)
    return model, to_host(found.flagged)


def _accuracies(federation: Federation, model: np.ndarray) -> tuple[float, float]:
    """Of all images of the evaluation half, and of the worst decile of their writers."""
    x, y = federation.dataset.evaluation()
    correct = federation.trainer.logits(model, x).argmax(axis=1) == y
    return float(correct.mean()), worst_decile(correct, federation.dataset.evaluation_writers())


# the state on disk


def _begun(name: str, path: Path, federation: Federation) -> Arm:
    """An arm as it was left, or at its first round."""
    if not federation.store.has(path):
        return Arm(name, path, np.array(federation.start(1)))
    rows, kept = federation.store.load_state(path)
    return Arm(name, path, kept["previous"], rows)
