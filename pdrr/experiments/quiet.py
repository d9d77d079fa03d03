"""Nobody attacks: whom do the detectors flag, and what does the global model lose by it?"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from pdrr.core.arrays import to_host
from pdrr.core.rules import DEFENDED, in_words
from pdrr.core.shared import forget
from pdrr.data import FederatedDataset
from pdrr.experiments import schemes as entries
from pdrr.experiments.alike import cloned, mixed
from pdrr.experiments.cache import code_digest
from pdrr.experiments.matrix import CHAIN, RIVALS, accuracy_of, aggregate_of
from pdrr.experiments.provenance import provenance
from pdrr.experiments.records import Records
from pdrr.experiments.scene import dataset, defense, settings
from pdrr.experiments.server import Server, find
from pdrr.federation.rounds import Federation
from pdrr.federation.store import Store
from pdrr.federation.streams import SAMPLE, stream
from pdrr.types import Round

SAVED = 5  # rounds after which the state is written


def silence(
    *,
    last: int = 5,
    every: int = 1,
    schemes: Sequence[str] = RIVALS,
    share: float = 0.0,
    pairs: int = 0,
    alpha: float | None = None,
    profile: str = "quick",
    source: str = "glyphs",
    seed: int = 1,
    learning_rate: float | None = None,
    k: int | None = None,
    store: Store | None = None,
) -> Records:
    """Let every detector look at rounds in which all k clients are honest.

    The global model is the trimmed mean of all of them, as if there were no detector; what one
    would have cost is measured on the side.

    Parameters
    ----------
    last, every : int
        Rounds 1 to `last`; detectors look at round 1 and at every so many.
    schemes : sequence of str
        Beside PDRR for each of its rules.
    share, pairs
        Alike clients: see `pdrr.experiments.alike_clients`; pairs among the clients of round 1.
    alpha : float, optional
        The training images dealt out anew, the labels of each client drawn from a Dirichlet
        distribution with this parameter: the smaller, the more different are the clients.
    profile, source, seed, learning_rate, k, store
        As in `pdrr.experiments.scene.scene`.

    Returns
    -------
    Records
        A row per round and scheme: ``flagged`` of ``k``, ``accuracy_rule`` of the aggregate of
        everybody, ``accuracy_left`` of what the scheme leaves (the rule over whoever it does not
        flag), seconds. A run per scheme: rounds, rounds with an alarm, models flagged.

    Examples
    --------
    >>> from pdrr import experiments
    >>> found = experiments.silence(last=1, schemes=["Co-trimming"], profile="smoke")
    >>> found.table[["scheme", "k"]].to_dict("records")[-1]
    {'scheme': 'Co-trimming', 'k': 50}
    """
    started = time.perf_counter()
    store = store or Store()
    chosen = settings(profile, source, seed, learning_rate=learning_rate, k=k)
    data = dataset(chosen, store)
    if alpha is not None:
        data = dealt(data, alpha, stream(seed, SAMPLE))
    if share:
        data = mixed(data, share, stream(seed, SAMPLE))
    drawn = Federation(chosen, data, CHAIN, store).clients(1)
    for first, second in drawn[: 2 * pairs].reshape(-1, 2).tolist():
        data = cloned(data, first, second)
    servers = {rule: Federation(chosen, data, rule, store) for rule in DEFENDED}
    chain = servers[CHAIN]
    key = {**chain.training_key, "settings": chosen.as_dict(), "schemes": list(schemes)}
    key |= {"every": every, "code": code_digest()}
    path = store.folder("silence", key) / "state.npz"
    rows: list[dict[str, Any]] = []
    previous = np.array(chain.start(1))
    if store.has(path):
        rows, arrays = store.load_state(path)
        previous = arrays["previous"]
    done = rows[-1]["round"] if rows else 0
    with tqdm(total=last, initial=done, unit="round", desc=str(chain), disable=None) as bar:
        for number in range(done + 1, last + 1):
            honest = chain.trained(number, previous)
            following = aggregate_of(chosen, CHAIN, honest)
            if number == 1 or number % every == 0:
                rows += _looks(servers, honest, following, schemes)
            else:
                rows.append({"round": number})
            previous = following
            if number % SAVED == 0 or number == last:
                store.save_state(path, rows, previous=previous)
            bar.update()
    table = pd.DataFrame([row for row in rows if len(row) > 1 and row["round"] <= last])
    rate = chosen.training.learning_rate
    where = {"seed": seed, "share": share, "pairs": pairs, "alpha": alpha, "learning_rate": rate}
    table = table.assign(**where)
    origin = provenance(chosen, data, len(previous), time.perf_counter() - started)
    return Records(table, summary(table), origin)


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """A row per scheme and setting: rounds, rounds with an alarm (`alarms`), models flagged."""
    judged = table.assign(rounds=1, alarms=table["flagged"] > 0, models=table["k"])
    keys = ["scheme", "seed", "share", "pairs", "alpha", "learning_rate", "k"]
    counts = judged.groupby(keys, sort=False, dropna=False)
    return counts[["rounds", "alarms", "flagged", "models"]].sum().reset_index()


def dealt(data: FederatedDataset, alpha: float, rng: np.random.Generator) -> FederatedDataset:
    """The training images dealt out anew: each writer has as many as before, of labels of its own.

    The labels of a writer are drawn from a Dirichlet distribution, its images with replacement
    from all training images of the label. ValueError unless alpha > 0.

    References
    ----------
    Hsu, Qi, Brown, 2019 (arXiv:1909.06335).
    """
    if not alpha > 0:
        raise ValueError(f"alpha needs to be positive, got {alpha}")
    training = np.flatnonzero(~data.test)
    there = np.unique(data.labels[training])
    of_label = {int(label): training[data.labels[training] == label] for label in there}
    source = np.arange(len(data.labels))
    for writer in range(len(data)):
        own = training[data.writer[training] == writer]
        shares = rng.dirichlet(np.full(len(there), alpha))
        labels = rng.choice(there, len(own), p=shares)
        source[own] = [rng.choice(of_label[int(label)]) for label in labels]
    return replace(data, images=data.images[source], labels=data.labels[source])


def _looks(
    servers: dict[str, Federation], honest: Round, everybody: np.ndarray, schemes: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """What each scheme makes of one honest round."""
    every, known = entries.known(), dict[str, float]()
    whole = {CHAIN: everybody}
    for rule, name in [
        *((rule, entries.OURS) for rule in DEFENDED),
        *((CHAIN, n) for n in schemes),
    ]:
        federation = servers[rule]
        if rule not in whole:
            whole[rule] = aggregate_of(federation.settings, rule, honest)
        forget(honest)
        found = find(Server(federation, honest), every[name])
        flagged = to_host(found.detection.flagged)
        left, _ = defense(federation.settings, rule).reaggregate(honest, found.detection)
        yield {
            "round": honest.number,
            "scheme": f"{name} ({in_words(rule)})" if name == entries.OURS else name,
            "flagged": int(flagged.sum()),
            "k": honest.k,
            "accuracy_rule": accuracy_of(federation, whole[rule], known),
            "accuracy_left": accuracy_of(federation, to_host(left), known),
            "seconds": round(found.seconds, 4),
        }
