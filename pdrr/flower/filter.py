"""`PDRRFilter` in front of another strategy."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Strategy

from pdrr.flower.screen import Reply, replaced, shared_metrics
from pdrr.flower.server import LOG, Server
from pdrr.serving.defence import Defence
from pdrr.serving.verdict import Verdict
from pdrr.types import Detector

DOMINANT = 0.5  # share of all weight from which on one reply is named


class PDRRFilter(Strategy):
    """Takes out who attacks, and leaves the rest to another strategy.

    Parameters
    ----------
    strategy : flwr.serverapp.strategy.Strategy
        Who configures the rounds and aggregates what is kept.
    rule, q, c, beta, detector, truth_key, verdicts_path
        As in `PDRR`; the rule is the one that the detection is made of.
    weight_cap : float >= 1, optional
        No reply weighs more than this many times the median weight of those that are kept. Without
        it a client weighs what it claims, up to 2^53 examples.
    weighted_by_key : str, optional
        The metric that holds the weight; the strategy's own where it has one, or "num-examples".

    Attributes
    ----------
    verdicts : list of Verdict
        One a round.

    Raises
    ------
    ValueError, TypeError
        As `PDRR`; and for a strategy of Flower's older API, secure aggregation, or a strategy with
        privacy accounting, whose sums assume that nobody is left out.

    Notes
    -----
    The strategy receives copies of the replies that are kept, and all error replies. The arrays are
    shared, not copied; whole numbers in them are settled before, as in `PDRR`. What it returns is
    brought back to the types and shapes that were sent; where it returns nothing, or something that
    is no finite model, the previous model stays.

    Examples
    --------
    >>> from flwr.serverapp.strategy import FedAvg
    >>> from pdrr.flower import PDRRFilter
    >>> strategy = PDRRFilter(FedAvg(), "trimmed_mean", beta=0.3, q=0.95, weight_cap=3)
    >>> strategy.verdicts
    []
    """

    def __init__(
        self,
        strategy: Strategy,
        rule: str,
        *,
        q: float | None = None,
        c: float | None = None,
        beta: float | None = None,
        detector: Detector | None = None,
        weight_cap: float | None = None,
        weighted_by_key: str | None = None,
        truth_key: str | None = None,
        verdicts_path: str | Path | None = None,
    ) -> None:
        _check_strategy(strategy)
        if weight_cap is not None and not weight_cap >= 1:
            raise ValueError(f"PDRRFilter needs weight_cap >= 1, got {weight_cap}")
        defence = Defence(rule, q=q, c=c, beta=beta, detector=detector)
        self.strategy, self.weight_cap = strategy, weight_cap
        self.weighted_by_key = weighted_by_key or _weighted_by(strategy)
        self._server = Server(defence, self.weighted_by_key, truth_key, verdicts_path)

    @property
    def verdicts(self) -> list[Verdict]:
        """One verdict a round."""
        return self._server.ledger.verdicts

    def summary(self) -> None:
        """Log the settings, and the strategy's."""
        LOG.info(
            "\t├──> PDRR in front of %s: %s", type(self.strategy).__name__, self._server.defence
        )
        self.strategy.summary()

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """As the strategy does it; what is sent and to whom is noted."""
        messages = self.strategy.configure_train(server_round, arrays, config, grid)
        return self._server.asks(arrays, messages)

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord, MetricRecord | None]:
        """What the strategy makes of the replies that are kept; the previous model if nothing."""
        server = self._server
        heard, observed = server.hears(server_round, replies, empty=False)
        judgement = None if observed is None else server.defence.detect(observed)
        kept = server.kept(heard, judgement) if judgement and judgement.judged else []
        if not kept:
            notes = [] if judgement else ["no reply to judge: previous model kept"]
            return server.sent.record, server.closes(server_round, heard, judgement, notes)
        counters = server.settled(heard, kept)
        messages, notes = self._handed_on(kept, server.record(counters))
        given = [*heard.screened.errors, *messages]
        arrays, metrics = self.strategy.aggregate_train(server_round, given)
        model, trouble = self._restored(arrays, counters)
        own = server.closes(server_round, heard, judgement, [*notes, *trouble])
        return model, MetricRecord({**(metrics or {}), **own})

    def _handed_on(
        self, kept: list[Reply], counters: ArrayRecord
    ) -> tuple[list[Message], list[str]]:
        """Copies of the kept messages, weights capped and whole numbers settled; and notes."""
        weights = np.array([reply.weight for reply in kept])
        notes = []
        if self.weight_cap is not None:
            most = self.weight_cap * float(np.sort(weights)[(len(weights) - 1) // 2])
            heavy = [str(r.node) for r in kept if r.weight > most]
            if heavy:
                notes.append(f"weights capped at {most:g}: nodes {', '.join(heavy)}")
            weights = np.minimum(weights, most)
        share = weights / weights.sum()
        if len(kept) > 2 and share.max() > DOMINANT:
            node = kept[int(share.argmax())].node
            notes.append(f"node {node} holds {share.max():.0%} of all weight")
        messages = []
        contents = shared_metrics([reply.message for reply in kept], self.weighted_by_key)
        for reply, content, weight in zip(kept, contents, weights, strict=True):
            message = copy.copy(reply.message)
            message.content = self._content(content, counters, reply.weight, float(weight))
            messages.append(message)
        return messages, notes

    def _content(
        self, content: RecordDict, counters: ArrayRecord, claimed: float, weight: float
    ) -> RecordDict:
        name, record = next(iter(content.array_records.items()))
        told, metrics = next(iter(content.metric_records.items()))
        arrays = {key: counters.get(key, record[key]) for key in self._server.sent.record}
        if weight < claimed:
            metrics[self.weighted_by_key] = weight
        return replaced(content, {name: ArrayRecord(arrays), told: metrics})

    def _restored(
        self, arrays: ArrayRecord | None, counters: dict[str, np.ndarray]
    ) -> tuple[ArrayRecord, list[str]]:
        """The strategy's model in the types that were sent, or the previous one and why."""
        sent, name = self._server.sent, type(self.strategy).__name__
        if not arrays:
            return sent.record, [f"{name} returned no model: previous model kept"]
        model = {key: array.numpy() for key, array in arrays.items()}
        trouble = sent.layout.trouble({**model, **counters})
        if trouble:
            return sent.record, [f"the model of {name} {trouble}: previous model kept"]
        vector = np.empty(sent.layout.d, sent.layout.dtype)
        sent.layout.fill(vector, model)
        if not np.isfinite(vector).all():
            return sent.record, [f"the model of {name} is not finite: previous model kept"]
        return self._server.record(sent.layout.unpack(vector, counters)), []

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """As the strategy does it; who is asked is noted."""
        messages = self.strategy.configure_evaluate(server_round, arrays, config, grid)
        return self._server.notes("evaluate", messages)

    def aggregate_evaluate(
        self, server_round: int, replies: Iterable[Message]
    ) -> MetricRecord | None:
        """As the strategy does it, without malformed replies."""
        return self.strategy.aggregate_evaluate(server_round, self._server.evaluations(replies))


def _check_strategy(strategy: object) -> None:
    """Refuse what is no strategy of the Message API, or cannot work behind a filter."""
    kind = type(strategy)
    if "secure_aggregation" in kind.__module__:
        raise TypeError(
            f"PDRRFilter needs single models, got {kind.__name__}: secure aggregation hides them"
        )
    if not isinstance(strategy, Strategy):
        raise TypeError(
            "PDRRFilter needs a strategy of flwr.serverapp.strategy,"
            f" got {kind.__module__}.{kind.__name__}"
        )
    if getattr(strategy, "accountant", None) is not None:
        raise ValueError(
            f"PDRRFilter needs a strategy without privacy accounting, got {kind.__name__}:"
            " its sums assume that nobody is left out"
        )


def _weighted_by(strategy: object) -> str:
    """The weight's metric, of the strategy or of the one that it wraps."""
    while strategy is not None:
        if isinstance(name := getattr(strategy, "weighted_by_key", None), str):
            return name
        strategy = getattr(strategy, "strategy", None)
    return "num-examples"
