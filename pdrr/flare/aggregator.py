"""The aggregator of an NVIDIA FLARE job: judges the models of a round and aggregates the rest."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import numpy as np
from nvflare.app_common.abstract.fl_model import FLModel, ParamsType
from nvflare.app_common.aggregators.model_aggregator import ModelAggregator
from nvflare.app_common.app_constant import AppConstants

from pdrr import beyond
from pdrr.serving.defence import Defence, Judgement
from pdrr.serving.layout import Layout
from pdrr.serving.verdict import Ledger, Verdict
from pdrr.types import Round

DETECTORS = ("paper", "improved")


class PDRRAggregator(ModelAggregator):  # type: ignore[misc]  # FLARE has no types
    """Aggregates with a robust rule, without the models that PDRR flags.

    Parameters
    ----------
    rule : {"krum", "trimmed_mean", "median"}
    q : float in [0, 1]
        Threshold of the paper's detector.
    c, beta : int
        What the rule takes.
    detector : {"paper", "improved"}
        PDRR, or Co-trimming, which takes no q.
    verdicts_path : str, optional
        A file on the server for one line of JSON a round.

    Attributes
    ----------
    verdicts : list of Verdict
        One a round; clients by name.

    Raises
    ------
    ValueError, TypeError
        For settings that do not belong together, when the job is made.

    Notes
    -----
    Clients may send models or differences; whoever does otherwise than most is refused, as is who
    sends other arrays than the global model has. A refused model counts as malicious. A client
    that failed is not heard of here, and no evidence of anything. Every client counts once,
    whatever number of steps it claims.

    Examples
    --------
    >>> from pdrr.flare import PDRRAggregator
    >>> aggregator = PDRRAggregator("trimmed_mean", beta=3, q=0.9)  # for FedAvgRecipe(aggregator=)
    >>> aggregator.verdicts
    []
    """

    def __init__(
        self,
        rule: str,
        q: float | None = None,
        c: int | None = None,
        beta: int | None = None,
        detector: str = "paper",
        verdicts_path: str | None = None,
    ) -> None:
        super().__init__()
        if detector not in DETECTORS:
            raise ValueError(f"needs a detector of {', '.join(DETECTORS)}, got {detector!r}")
        # under the names of the parameters: so FLARE writes them into the job
        self.rule, self.q, self.c, self.beta = rule, q, c, beta
        self.detector, self.verdicts_path = detector, verdicts_path
        own = {name: value for name, value in (("c", c), ("beta", beta)) if value is not None}
        judge = beyond.improved(rule, **own) if detector == "improved" else None
        self._defence = Defence(rule, q=q, c=c, beta=beta, detector=judge)
        self._ledger = Ledger(verdicts_path)
        self.reset_stats()

    @property
    def verdicts(self) -> list[Verdict]:
        """One verdict a round."""
        return self._ledger.verdicts

    def reset_stats(self) -> None:
        """Forget the models of the round before."""
        self._models: dict[str, FLModel] = {}
        self._refused: dict[str, str] = {}

    def accept_model(self, model: FLModel) -> None:
        """Keep a client's model; nothing is looked at before all are there."""
        name = str((model.meta or {}).get("client_name", AppConstants.CLIENT_UNKNOWN))
        if name in self._models:
            self._refused[name] = "needs to reply once, got two replies"
        self._models[name] = model

    def aggregate_model(self) -> FLModel:
        """The next global model, or the sum of differences to it, as the clients sent them."""
        began, sent = time.perf_counter(), self._sent()
        layout, names = Layout(sent), sorted(self._models)
        if not names:
            raise ValueError("PDRR needs models to aggregate, got none")
        kinds = Counter(str(self._models[name].params_type) for name in names)
        kind = kinds.most_common(1)[0][0]
        differences = kind == str(ParamsType.DIFF)
        if differences:
            sent = {name: np.zeros_like(array) for name, array in sent.items()}
        metrics = {name: self._models[name].metrics or {} for name in names}
        stack, counters = self._stacked(layout, names, kind)
        previous = np.empty(layout.d, layout.dtype)
        layout.fill(previous, sent)
        vector, judgement = self._defence.aggregate(Round(stack, previous))
        kept = [name for name, bad in zip(names, judgement.flagged, strict=True) if not bad]
        self._tell(names, judgement, time.perf_counter() - began)
        counted = layout.settle([counters[name] for name in kept], sent)
        return FLModel(
            params=layout.unpack(vector, counted),
            params_type=ParamsType.DIFF if differences else ParamsType.FULL,
            metrics=shared_means([metrics[name] for name in kept]),
        )

    def _sent(self) -> dict[str, np.ndarray]:
        """The global model of the round."""
        learnable = self.fl_ctx.get_prop(AppConstants.GLOBAL_MODEL) if self.fl_ctx else None
        if not learnable or not learnable.get("weights"):
            raise RuntimeError("PDRR needs the global model in the FL context, as FedAvg puts it")
        return {name: _array(value) for name, value in learnable["weights"].items()}

    def _stacked(
        self, layout: Layout, names: list[str], kind: str
    ) -> tuple[np.ndarray, dict[str, dict[str, np.ndarray]]]:
        """The models as rows, NaN for the refused, and the whole-number arrays of the others."""
        stack, counters = np.full((len(names), layout.d), np.nan, layout.dtype), {}
        for row, name in enumerate(names):
            model = self._models.pop(name)
            if name in self._refused:
                continue
            if str(model.params_type) != kind:
                self._refused[name] = f"needs {kind} like most, got {model.params_type}"
                continue
            try:
                arrays = {str(key): _array(value) for key, value in model.params.items()}
                trouble = layout.trouble(arrays)
            except (AttributeError, TypeError, ValueError) as fault:  # no mapping, no arrays
                trouble = str(fault)
            if trouble:
                self._refused[name] = trouble
                continue
            layout.fill(stack[row], arrays)
            counters[name] = layout.counters(arrays)
        return stack, counters

    def _tell(self, names: list[str], judgement: Judgement, seconds: float) -> None:
        """Keep and log the verdict."""
        for name, finite in zip(names, judgement.finite, strict=True):
            if not finite:
                self._refused.setdefault(name, "holds NaN or infinite values")
        flagged = tuple(n for n, bad in zip(names, judgement.flagged, strict=True) if bad)
        told: dict[str, Any] = {
            "number": len(self.verdicts) + 1,
            "nodes": tuple(names),
            "scores": tuple(map(float, judgement.scores)),
            "flagged": flagged,
            "refused": dict(self._refused),
            "notes": judgement.notes,
            "seconds": seconds,
        }
        self._ledger.add(Verdict(**told))
        self.info(f"PDRR: {len(names)} models judged; flagged: {', '.join(flagged) or 'nobody'}")
        for name, why in self._refused.items():
            self.warning(f"PDRR: the model of {name} is refused: {why}")
        for note in judgement.notes:
            self.warning(f"PDRR: {note}")


def shared_means(metrics: list[dict[str, Any]]) -> dict[str, float] | None:
    """The mean of each finite number that all kept clients tell; None if there is none."""
    shared = set.intersection(*map(set, metrics)) if metrics else set()
    means = {}
    for name in sorted(shared, key=str):
        values = [client[name] for client in metrics]
        numbers = [v for v in values if isinstance(v, int | float | np.number) and np.isfinite(v)]
        if len(numbers) == len(values):
            means[str(name)] = float(np.mean(np.array(numbers, np.float64)))
    return means or None


def _array(value: Any) -> np.ndarray:
    """An array of numbers from NumPy or PyTorch; TypeError for anything else."""
    if isinstance(value, np.ndarray | np.generic):
        return np.asarray(value)
    if hasattr(value, "detach"):  # a tensor of PyTorch
        return np.asarray(value.detach().cpu().numpy())
    raise TypeError(f"needs arrays, got {type(value).__name__}")
