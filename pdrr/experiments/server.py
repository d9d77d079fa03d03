"""The server of one round, as a scheme is set up for it, and what a scheme finds."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from pdrr.federation import layers, streams
from pdrr.federation.rounds import Federation
from pdrr.methods import Scheme
from pdrr.types import Detection, Round

if TYPE_CHECKING:
    from pdrr.config import Settings
    from pdrr.federation.training import LocalTrainer

T = TypeVar("T")


class Server:
    """What a server has at hand when it judges a round.

    Parameters
    ----------
    federation : Federation
        Settings, data set, network and rule.
    observed : Round
        What it received.
    settings : Settings, optional
        What it takes for true, such as another number of attackers; the federation's by default.
    """

    def __init__(
        self, federation: Federation, observed: Round, settings: Settings | None = None
    ) -> None:
        self.federation, self.observed = federation, observed
        self.settings, self.rule = settings or federation.settings, federation.rule
        self.c, self.beta = self.settings.federation.c, self.settings.defense.beta
        self.borrowed = 0.0  # seconds of parts that were there already
        self._parts: dict[str, tuple[Any, float]] = {}

    def rng(self) -> np.random.Generator:
        """The random numbers of round and rule for detection: for every scheme from the start."""
        return streams.detection(self.settings.seed, self.observed.number, self.rule)

    def auxiliary(self) -> tuple[np.ndarray, np.ndarray]:
        """Images [n, 28, 28, 1] and labels [n] of the server's own."""
        return self.federation.dataset.auxiliary()

    @property
    def layers(self) -> tuple[tuple[int, int, int], ...]:
        """(start, stop, dimensions) of each layer in a model [d]."""
        model = self.settings.model
        return layers.layers(model.filters, model.units)

    @property
    def network(self) -> LocalTrainer:
        """Trains and tries models."""
        return self.federation.trainer

    def once(self, name: str, compute: Callable[[], T]) -> T:
        """A part that several schemes need of this round: computed once, charged to each."""
        if name in self._parts:
            part, seconds = self._parts[name]
            self.borrowed += seconds
            return part  # type: ignore[no-any-return]
        started = time.perf_counter()
        part = compute()
        self._parts[name] = part, time.perf_counter() - started
        return part

    def forget(self) -> None:
        """Let the next scheme compute all parts itself."""
        self._parts.clear()


@dataclass(frozen=True, eq=False)
class Found:
    """What one scheme says of a round, and how long it took."""

    scheme: Scheme
    reading: str
    detection: Detection
    seconds: float
    setup: float = 0.0  # training before any round, seconds


def find(server: Server, scheme: Scheme, reading: str = "default") -> Found:
    """Set a scheme up and let it judge the round."""
    detector = (scheme.make if reading == "default" else scheme.readings[reading])(server)
    started, borrowed = time.perf_counter(), server.borrowed
    detection = detector.detect(server.observed)
    seconds = time.perf_counter() - started + server.borrowed - borrowed
    return Found(scheme, reading, detection, seconds, getattr(detector, "setup_s", 0.0))
