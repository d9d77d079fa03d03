"""What both strategies keep: what was sent and to whom, the stack, the verdicts."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from flwr.app import Array, ArrayRecord, Message, MetricRecord

from pdrr.flower.screen import Reply, Screened, in_configs, screen
from pdrr.serving.defence import Defence, Judgement
from pdrr.serving.layout import Layout
from pdrr.serving.verdict import Ledger, Verdict
from pdrr.types import Round

LOG = logging.getLogger("flwr.pdrr")
PARTITION = "partition-id"
NOT_FINITE = "holds NaN or infinite values"


class Sent(NamedTuple):
    """The model of a round as it was sent: the record, its arrays, and its vector [d]."""

    record: ArrayRecord
    arrays: dict[str, np.ndarray]
    vector: np.ndarray
    layout: Layout


@dataclass
class Heard:
    """The replies of a round, screened and stacked.

    Attributes
    ----------
    screened : Screened
    nodes : list of int
        Who is judged, one row each: the well-formed replies and the refused ones.
    counters : dict from int to dict
        The whole-number arrays of the well-formed replies.
    began : float
        When the aggregation began.
    """

    screened: Screened
    nodes: list[int]
    counters: dict[int, dict[str, np.ndarray]]
    began: float


class Server:
    """The state of a strategy over the rounds of a run.

    Parameters
    ----------
    defence : Defence
    weighted_by : str
        The metric that holds a reply's weight.
    truth_key : str, optional
        In experiments: where in a ConfigRecord clients say whether they are malicious.
    path : str or path, optional
        Where verdicts are written.

    Notes
    -----
    Keep one for a run: the stack is allocated in the first round and used again.
    """

    def __init__(
        self, defence: Defence, weighted_by: str, truth_key: str | None, path: str | Path | None
    ) -> None:
        self.defence, self.weighted_by, self.truth_key = defence, weighted_by, truth_key
        self.ledger = Ledger(path)
        self._sent: Sent | None = None
        self._asked: dict[str, list[int]] = {}
        self._stack: np.ndarray | None = None

    @property
    def sent(self) -> Sent:
        """What was sent last; RuntimeError before anything was."""
        if self._sent is None:
            raise RuntimeError("PDRR needs configure_train before it aggregates")
        return self._sent

    def asks(self, arrays: ArrayRecord, messages: Iterable[Message]) -> list[Message]:
        """Note the model of a round and who is asked to train it.

        ValueError or TypeError if it is no model that replies could be compared with.
        """
        model = {name: array.numpy() for name, array in arrays.items()}
        layout = Layout(model)
        if self._sent is not None and self._sent.layout.key == layout.key:
            layout = self._sent.layout
        vector = np.empty(layout.d, layout.dtype)
        layout.fill(vector, model)
        if not np.isfinite(vector).all():
            raise ValueError("PDRR needs a finite model to send, got NaN or infinite values")
        self._sent = Sent(arrays, model, vector, layout)
        return self.notes("train", messages)

    def notes(self, kind: str, messages: Iterable[Message]) -> list[Message]:
        """Note who is asked to train or to evaluate."""
        listed = list(messages)
        self._asked[kind] = [message.metadata.dst_node_id for message in listed]
        return listed

    def evaluations(self, replies: Iterable[Message]) -> list[Message]:
        """The replies that may be averaged, and the error replies."""
        found = screen(replies, self._asked.get("evaluate", ()), self.weighted_by, None)
        for node, why in {**found.refused, **found.strangers}.items():
            LOG.warning("\t> evaluation of node %d not counted: %s", node, why)
        return [*found.errors, *(reply.message for reply in found.replies)]

    def hears(
        self, number: int, replies: Iterable[Message], empty: bool
    ) -> tuple[Heard, Round | None]:
        """Screen the replies and stack them, NaN for the refused; None if there are none.

        Parameters
        ----------
        number : int
            The round.
        replies : iterable of Message
        empty : bool
            Whether to empty each reply's arrays once they are stacked.

        Raises
        ------
        ValueError
            If every reply was refused, and these are most of the clients that were asked.
        """
        began, sent = time.perf_counter(), self.sent
        asked = self._asked.get("train", [])
        found = screen(replies, asked, self.weighted_by, sent.layout)
        if not found.replies and 2 * len(found.refused) > len(asked):
            node, why = next(iter(found.refused.items()))
            raise ValueError(
                f"PDRR needs replies that are models as they were sent, got {len(found.refused)}"
                f" of {len(asked)} that are not: that of node {node} {why}"
            )
        counters = {reply.node: sent.layout.counters(reply.arrays) for reply in found.replies}
        nodes = sorted([*counters, *found.refused])
        heard = Heard(found, nodes, counters, began)
        if not nodes:
            return heard, None
        stack = self._rows(len(nodes), len(asked))
        for node in found.refused:
            stack[nodes.index(node)] = np.nan
        self._fill(stack, nodes, found.replies, empty)
        return heard, Round(stack, sent.vector, number, np.array(nodes, np.uint64))

    def _rows(self, k: int, asked: int) -> np.ndarray:
        """k rows of the stack, which is as long as replies can come."""
        layout, old = self.sent.layout, self._stack
        if old is None or len(old) < k or old.shape[1] != layout.d or old.dtype != layout.dtype:
            self._stack = old = None  # the old one is gone before the new one is made
            self._stack = old = np.empty((max(k, asked), layout.d), layout.dtype)
        return old[:k]

    def _fill(self, stack: np.ndarray, nodes: list[int], replies: list[Reply], empty: bool) -> None:
        records = [next(iter(reply.message.content.array_records.values())) for reply in replies]
        times = Counter(map(id, [self.sent.record, *records]))
        for reply, record in zip(replies, records, strict=True):
            self.sent.layout.fill(stack[nodes.index(reply.node)], reply.arrays)
            reply.arrays.clear()
            if empty and times[id(record)] == 1:  # what others hold too is left alone
                record.clear()

    def kept(self, heard: Heard, judgement: Judgement) -> list[Reply]:
        """The well-formed replies that are not flagged."""
        out = {node for node, flag in zip(heard.nodes, judgement.flagged, strict=True) if flag}
        return [reply for reply in heard.screened.replies if reply.node not in out]

    def settled(self, heard: Heard, kept: Iterable[Reply]) -> dict[str, np.ndarray]:
        """The whole-number arrays of the next model."""
        counters = [heard.counters[reply.node] for reply in kept]
        return self.sent.layout.settle(counters, self.sent.arrays)

    def record(self, model: Mapping[str, np.ndarray]) -> ArrayRecord:
        """The model as Flower sends it."""
        return ArrayRecord({name: Array(np.asarray(array)) for name, array in model.items()})

    def closes(
        self, number: int, heard: Heard, judgement: Judgement | None, notes: Iterable[str] = ()
    ) -> MetricRecord:
        """Keep and log the verdict of a round, and put it into numbers."""
        found = heard.screened
        scores, flagged = tuple[float, ...](), tuple[int, ...]()
        refused = dict(found.refused)
        if judgement is not None:
            scores = tuple(float(score) for score in judgement.scores)
            flagged = tuple(n for n, f in zip(heard.nodes, judgement.flagged, strict=True) if f)
            for node, finite in zip(heard.nodes, judgement.finite, strict=True):
                if not finite:
                    refused.setdefault(node, NOT_FINITE)
            notes = (*judgement.notes, *notes)
        messages = {reply.node: reply.message for reply in found.replies}
        partitions = {n: in_configs(m, PARTITION, _is_index) for n, m in messages.items()}
        key = self.truth_key
        truth = {n: in_configs(m, key, _is_truth) for n, m in messages.items()} if key else {}
        verdict = Verdict(
            number=number,
            nodes=tuple(heard.nodes),
            scores=scores,
            flagged=flagged,
            refused={**refused, **found.strangers},
            failed=found.failed,
            missing=tuple(found.missing),
            notes=tuple(notes),
            seconds=time.perf_counter() - heard.began,
            partitions={node: part for node, part in partitions.items() if part is not None},
            truth={node: bad for node, bad in truth.items() if bad is not None},
        )
        self.ledger.add(verdict)
        _log(verdict)
        return _metrics(verdict, self.defence)


def _is_index(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_truth(value: object) -> bool:
    return isinstance(value, bool)


def _log(verdict: Verdict) -> None:
    LOG.info(
        "PDRR: %d replies judged, %d failed, %d missing; flagged: %s",
        len(verdict.nodes),
        len(verdict.failed),
        len(verdict.missing),
        ", ".join(map(str, verdict.flagged)) or "nobody",
    )
    for node, why in verdict.refused.items():
        LOG.warning("\t> reply of node %d refused: %s", node, why)
    for note in verdict.notes:
        LOG.warning("\t> %s", note)


def _metrics(verdict: Verdict, defence: Defence) -> MetricRecord:
    """The verdict in numbers, for the history of a run; scores stay in the verdicts."""
    metrics = MetricRecord(
        {
            "pdrr-replies": len(verdict.nodes),
            "pdrr-num-flagged": len(verdict.flagged),
            "pdrr-refused": len(verdict.refused),
            "pdrr-failed": len(verdict.failed),
            "pdrr-missing": len(verdict.missing),
            "pdrr-flagged": list(verdict.flagged),
            "pdrr-seconds": verdict.seconds,
        }
    )
    if defence.detector is None:
        metrics["pdrr-q"] = float(defence.q)
    for name in ("far", "mar"):
        rate = getattr(verdict, name)
        if rate == rate:  # not NaN
            metrics[f"pdrr-{name}"] = rate
    return metrics
