"""`PDRR` in a strategy's place."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAvg

from pdrr.flower.screen import shared_metrics
from pdrr.flower.server import LOG, Server
from pdrr.serving.defence import Defence
from pdrr.serving.verdict import Verdict
from pdrr.types import Detector


class PDRR(FedAvg):
    """A strategy that aggregates robustly and throws out who attacks: the paper's defence.

    Parameters
    ----------
    rule : {"krum", "trimmed_mean", "median"}
        What the server aggregates with. All models count the same.
    q : float in [0, 1]
        Detection threshold: who scores at least q is flagged.
    c : int, or float below 1
        For Krum: how many malicious replies it tolerates, or which share of the replies.
    beta : int, or float below 0.5
        For the trimmed mean: values trimmed on either side, as a number or a share.
    detector : object with ``detect(Round) -> Detection``, optional
        Who judges in place of the paper's defence, such as ``pdrr.beyond.improved(rule)``; then
        without q.
    reaggregate : {"same", "mean"}
        What aggregates the models that are left: the same rule, or their mean.
    truth_key : str, optional
        In experiments, the entry of a ConfigRecord in which clients tell whether they are
        malicious. It is compared with the verdict, and never seen by it.
    verdicts_path : str or path, optional
        A file for one line of JSON a round.
    **fedavg
        As `flwr.serverapp.strategy.FedAvg` has them: fractions, minima, keys.

    Attributes
    ----------
    verdicts : list of Verdict
        One a round.

    Raises
    ------
    ValueError, TypeError
        When made, for settings that do not go together. During a run only if the model to send is
        not finite or not numeric, or if most clients were refused and nobody was not.

    Notes
    -----
    A reply is refused unless it is what was asked for: once, from somebody who was asked, with
    exactly the arrays sent and a positive weight. A refused reply is flagged, and lowers c and beta
    by one. A failed or missing reply is no evidence. Where too few replies are left to judge, the
    previous model stays; where more than half would be flagged, nobody is. Replies are emptied as
    they are read, and the stack is reused from round to round.

    Arrays of whole numbers take, element by element, the lower median of the replies that are kept.

    References
    ----------
    Lu et al. 2022, section 4.

    Examples
    --------
    >>> from pdrr.flower import PDRR
    >>> strategy = PDRR("trimmed_mean", beta=0.3, q=0.95, min_train_nodes=10)
    >>> strategy.verdicts
    []
    """

    def __init__(
        self,
        rule: str,
        *,
        q: float | None = None,
        c: float | None = None,
        beta: float | None = None,
        detector: Detector | None = None,
        reaggregate: str = "same",
        truth_key: str | None = None,
        verdicts_path: str | Path | None = None,
        **fedavg: Any,
    ) -> None:
        defence = Defence(rule, q=q, c=c, beta=beta, detector=detector, reaggregate=reaggregate)
        super().__init__(**fedavg)
        self._server = Server(defence, self.weighted_by_key, truth_key, verdicts_path)

    @property
    def verdicts(self) -> list[Verdict]:
        """One verdict a round."""
        return self._server.ledger.verdicts

    def summary(self) -> None:
        """Log the settings."""
        LOG.info("\t├──> PDRR: %s", self._server.defence)
        super().summary()

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """As FedAvg does it; what is sent and to whom is noted."""
        messages = super().configure_train(server_round, arrays, config, grid)
        return self._server.asks(arrays, messages)

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord, MetricRecord | None]:
        """The next model, or the one that was sent if it has to stay; never none."""
        server = self._server
        heard, observed = server.hears(server_round, replies, empty=True)
        if observed is None:
            note = "no reply to judge: previous model kept"
            return server.sent.record, server.closes(server_round, heard, None, [note])
        model, judgement = server.defence.aggregate(observed)
        kept = server.kept(heard, judgement) if judgement.judged else []
        notes, arrays = [], server.sent.record
        if not np.isfinite(model).all():
            notes.append("the aggregate is not finite: previous model kept")
        elif judgement.judged:
            layout, counters = server.sent.layout, server.settled(heard, kept)
            arrays = server.record(layout.unpack(model, counters))
        own = server.closes(server_round, heard, judgement, notes)
        if not kept:
            return arrays, own
        contents = shared_metrics([reply.message for reply in kept], self.weighted_by_key)
        metrics = self.train_metrics_aggr_fn(contents, self.weighted_by_key)
        return arrays, MetricRecord({**metrics, **own})

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """As FedAvg does it; who is asked is noted."""
        messages = super().configure_evaluate(server_round, arrays, config, grid)
        return self._server.notes("evaluate", messages)

    def aggregate_evaluate(
        self, server_round: int, replies: Iterable[Message]
    ) -> MetricRecord | None:
        """As FedAvg does it, without malformed replies."""
        return super().aggregate_evaluate(server_round, self._server.evaluations(replies))
