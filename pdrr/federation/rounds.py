"""The round loop: clients train, the rule aggregates, measured rounds are kept.

The federation between measured rounds is oracle-defended: its next global model is the rule over
the benign clients' models, chosen by label, which is what PDRR leaves only when it finds every
attacker and nobody else. At a measured round all k honest models are kept, so that any attack can
be crafted on them afterwards.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from pdrr.aggregators import AGGREGATORS
from pdrr.config import Settings
from pdrr.core.arrays import Array, moved, to_host
from pdrr.core.backend import backend
from pdrr.core.files import digest
from pdrr.core.rules import own_setting
from pdrr.data import FederatedDataset
from pdrr.data.dataset import CLASSES
from pdrr.federation.precision import precision
from pdrr.federation.store import Store
from pdrr.federation.streams import SELECT, TRAIN, stream
from pdrr.types import Round

if TYPE_CHECKING:
    from pdrr.federation.training import LocalTrainer


VERSION = 2  # of what this file and training.py compute: older cached rounds are not reused


class Federation:
    """One federation: a data set, settings and a rule; its rounds come from the cache or are run.

    Parameters
    ----------
    settings : Settings
    dataset : FederatedDataset
        One client per writer.
    rule : {"mean", "krum", "trimmed_mean", "median"}
        Aggregates the benign models of every round. The c compromised ones are gone by then, so
        that c and beta of the rule shrink by c, as in PDRR's re-aggregation.
    store : Store, optional
    """

    def __init__(
        self,
        settings: Settings,
        dataset: FederatedDataset,
        rule: str,
        store: Store | None = None,
    ) -> None:
        if rule not in ("mean", "krum", "trimmed_mean", "median"):
            raise ValueError(
                f"Federation needs rule mean, krum, trimmed_mean or median, got {rule!r}"
            )
        if len(dataset) != settings.data.writers:
            raise ValueError(
                f"Federation needs {settings.data.writers} writers, got {len(dataset)}"
            )
        self.settings, self.dataset, self.rule = settings, dataset, rule
        self.store = store or Store()
        c, beta = settings.federation.c, settings.defense.beta
        self.rule_settings = own_setting(rule, c=0, beta=max(0, beta - c))
        self.training_key = {
            "version": VERSION,
            "backend": backend(),
            "data": dataset.sha256,
            "seed": settings.seed,
            "model": asdict(settings.model),
            "training": asdict(settings.training),
            **({"precision": precision()} if precision() != "float32" else {}),
        }
        first = {name: self.training_key[name] for name in ("version", "backend", "model", "seed")}
        self.initial = self.store.folder("initial", first) / "sent-0001.npy"
        self.chain = self.store.folder(
            "federation",
            {
                **self.training_key,
                "federation": asdict(settings.federation),
                "rule": {rule: self.rule_settings},
            },
        )

    def clients(self, number: int) -> np.ndarray:
        """int [k]: the clients drawn for a round, without replacement."""
        rng = stream(self.settings.seed, SELECT, number)
        return rng.choice(len(self.dataset), self.settings.federation.k, replace=False)

    def rounds(self, measured: Collection[int]) -> Iterator[Round]:
        """The honest rounds with the given numbers, in order.

        Rounds that the cache holds are not run again; a killed run goes on after the last round
        that it finished, with the same bits.

        Yields
        ------
        Round
            All k honest models of the round, memory-mapped [k, d] float32, and w_p.
        """
        if not measured or min(measured) < 1:
            raise ValueError(f"rounds needs round numbers >= 1, got {sorted(measured)}")
        left = self._trainings_left(measured)
        with tqdm(total=left, unit="client", desc=str(self), disable=None if left else True) as bar:
            for number in sorted(set(measured)):
                previous = self._advance(number, bar)
                stack, ids = self._stack(number, previous, bar), self.clients(number)
                yield Round(stack, previous, number, ids)

    def start(self, number: int) -> np.ndarray:
        """The global model w_p [d] that starts a round of the oracle-defended chain."""
        with tqdm(unit="client", disable=True) as bar:
            return self._advance(number, bar)

    def trained(self, number: int, previous: Array, home: Any = np) -> Round:
        """One round of all k clients from any global model [d], as trained; nothing is kept.

        With `home` CuPy and Keras on JAX neither models nor stack leave the GPU.
        """
        k = self.settings.federation.k
        with tqdm(total=k, unit="client", leave=False, disable=None) as bar:
            models = self._train(number, previous, slice(None), bar, home)
        return Round(models, moved(previous, home), number, self.clients(number))

    def flipped(self, honest: Round) -> np.ndarray:
        """Models [c, d] of the compromised clients, trained on labels turned upside down: 61 - y.

        Images, shuffling and start are those of the round, so that nothing else differs.
        """
        seed, number, c = self.settings.seed, honest.number, self.settings.federation.c
        work = []
        for client in self.clients(number)[:c].tolist():
            x, y = self.dataset.train(client)
            work.append((x, len(CLASSES) - 1 - y, stream(seed, TRAIN, number, client)))
        models = np.empty((c, honest.d), dtype=np.float32)
        for some, trained in self.trainer.groups(honest.previous, work):
            models[some] = to_host(trained)
        return models

    def oracle(self, honest: Round) -> Array:
        """The rule over the benign clients' models alone [d]: the attackers left out by label."""
        benign = honest.clients[self.settings.federation.c :]
        return AGGREGATORS[self.rule](benign, **self.rule_settings)

    def keep(self, number: int, previous: np.ndarray) -> None:
        """Let a round be measured later without running those before it again."""
        if not self.store.has(self._sent(number)):
            self.store.save(self._sent(number), previous)

    def __str__(self) -> str:
        return f"{self.settings.profile} federation ({self.rule}, seed {self.settings.seed})"

    def _sent(self, number: int) -> Path:
        """Where the global model that starts a round is kept; the first is shared by all rules."""
        return self.initial if number == 1 else self.chain / f"sent-{number:04d}.npy"

    def _latest(self, number: int) -> int:
        """The last round up to `number` whose global model is known; 0 if there is none."""
        return next((r for r in range(number, 0, -1) if self.store.has(self._sent(r))), 0)

    def _advance(self, number: int, bar: tqdm[Any]) -> np.ndarray:
        """The global model w_p [d] that starts a round; runs the rounds before it if need be."""
        known, previous = self._known(number)
        for now in range(known, number):
            benign = slice(self.settings.federation.c, None)
            stack_path = self._stack_path(now, previous)
            if self.store.has(stack_path):
                models = self.store.load(stack_path)[benign]
            else:
                models = self._train(now, previous, benign, bar)
            previous = self.store.save(
                self._sent(now + 1), AGGREGATORS[self.rule](models, **self.rule_settings)
            )
            if now > 1 and not self.store.has(stack_path):
                # needed no more, unless the round was measured; another run may have removed it
                self._sent(now).unlink(missing_ok=True)
        return previous

    def _known(self, number: int) -> tuple[int, np.ndarray]:
        """The last round up to `number` whose global model is known, and that model [d]."""
        while known := self._latest(number):
            try:
                return known, self.store.load(self._sent(known))
            except FileNotFoundError:
                continue  # another run on this chain has just removed it: it knows a later one
        return 1, self.store.save(self._sent(1), self.trainer.initial)

    def _stack_path(self, number: int, previous: np.ndarray) -> Path:
        # the rule and c are no part of the key: round 1 is shared by all federations of a seed
        key = {
            **self.training_key,
            "number": number,
            "previous": digest(previous),
            "clients": self.clients(number).tolist(),
        }
        return self.store.folder("stack", key) / "clients.npy"

    def _stack(self, number: int, previous: np.ndarray, bar: tqdm[Any]) -> np.ndarray:
        """All k honest models [k, d] of a round."""
        path = self._stack_path(number, previous)
        if self.store.has(path):
            return self.store.load(path)
        started = time.perf_counter()
        models = self._train(number, previous, slice(None), bar)
        self.store.save_json(path.with_name("seconds.json"), time.perf_counter() - started)
        return self.store.save(path, models)

    def training_seconds(self, honest: Round) -> float:
        """How long the local training of a measured round took; nan if that is not known."""
        path = self._stack_path(honest.number, honest.previous).with_name("seconds.json")
        return float(self.store.load_json(path)) if self.store.has(path) else np.nan

    def _train(
        self, number: int, previous: Array, rows: slice, bar: tqdm[Any], home: Any = np
    ) -> Array:
        chosen = self.clients(number)[rows]
        seed = self.settings.seed
        work = [
            (*self.dataset.train(client), stream(seed, TRAIN, number, client))
            for client in chosen.tolist()
        ]
        models = home.empty((len(chosen), len(previous)), dtype=np.float32)
        bar.set_postfix_str(f"round {number}")
        for some, trained in self.trainer.groups(previous, work):
            models[some] = moved(trained, home)
            bar.update(len(some))
        return models

    def _trainings_left(self, measured: Collection[int]) -> int:
        """How many clients are still to be trained."""
        k, c = self.settings.federation.k, self.settings.federation.c
        left = 0
        for number in measured:
            previous = self._sent(number)
            known = self.store.has(previous) and self.store.has(
                self._stack_path(number, self.store.load(previous))
            )
            left += 0 if known else k
        on_the_way = range(max(1, self._latest(max(measured))), max(measured))
        return left + (k - c) * sum(number not in measured for number in on_the_way)

    @property
    def trainer(self) -> LocalTrainer:
        """Loaded when first needed: rounds from the cache need no deep-learning library."""
        model, training = self.settings.model, self.settings.training
        return _trainer(
            filters=(model.filters[0], model.filters[1]),
            units=model.units,
            batch=training.batch,
            epochs=training.epochs,
            learning_rate=training.learning_rate,
            seed=self.settings.seed,
        )


@lru_cache(maxsize=4)
def _trainer(**options: Any) -> LocalTrainer:
    """One compiled network for all federations that train the same: it keeps no state."""
    if backend() == "jax":
        from pdrr.federation.scan import ScanTrainer

        return ScanTrainer(**options)
    if backend() == "tensorflow":
        from pdrr.federation.graph import GraphTrainer

        return GraphTrainer(**options)
    from pdrr.federation.training import LocalTrainer

    return LocalTrainer(**options)
