"""What is timed: our rules, the defence and the attacks, and the same rules of other libraries.

Each entry takes a `Problem` and returns the work to be timed. What brings the models into the form
that a library wants happens before, outside the timing.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import pdrr
from pdrr.core.arrays import Array, to_host

FLOWER_KRUM = "flower, matrix product"


@dataclass(frozen=True, eq=False)
class Problem:
    """A stack [k, d] float32 of models near each other, the model before, and one number c.

    c models are tolerated by Krum and Bulyan, beta = c values are dropped per side, c clients
    attack: the largest number for which Bulyan is defined.
    """

    clients: Array
    previous: Array

    @classmethod
    def make(cls, k: int, d: int) -> Problem:
        """Models of the paper's kind: weights near 0, the clients' updates a fifth as large."""
        rng = np.random.default_rng(k)
        previous = 0.05 * rng.standard_normal(d, dtype=np.float32)
        clients = np.empty((k, d), np.float32)
        for row in clients:
            rng.standard_normal(out=row, dtype=np.float32)
            row *= np.float32(0.01)
            row += previous
        return cls(clients, previous)

    @property
    def k(self) -> int:
        """Number of models."""
        return int(self.clients.shape[0])

    @property
    def c(self) -> int:
        """Compromised clients, and values dropped per side."""
        return max(0, (self.k - 3) // 4)

    def few(self, k: int | None = None, d: int = 100) -> Problem:
        """The first models and coordinates, as a copy: a trial."""
        return Problem(self.clients[:k, :d].copy(), self.previous[:d].copy())

    @property
    def observed(self) -> pdrr.Round:
        """The same as the server sees it."""
        return pdrr.Round(self.clients, self.previous)

    def on_gpu(self) -> Problem:
        """The same on the current CUDA device."""
        import cupy

        return Problem(cupy.asarray(self.clients), cupy.asarray(self.previous))


Prepare = Callable[[Problem], Callable[[], Any]]


@dataclass(frozen=True)
class Implementation:
    """One implementation of one rule.

    Attributes
    ----------
    rule : str
        What is computed; rows of the same rule can be compared.
    name : str
        Whose it is.
    prepare : function
        From a problem to the work.
    needs : str
        A module without which it cannot run.
    note : str
        What a reader of the table has to know.
    other : bool
        Whether its definition is another one, so that its results need not be ours.
    """

    rule: str
    name: str
    prepare: Prepare
    needs: str = "numpy"
    note: str = ""
    other: bool = False

    @property
    def gpu(self) -> bool:
        """Whether it works on a CUDA device."""
        return self.needs == "cupy"


def ours() -> dict[str, Prepare]:
    """Work of our own public functions, by rule."""

    def attackers(p: Problem) -> np.ndarray:
        return np.arange(p.k) < p.c

    def craft(p: Problem, attack: Callable[..., pdrr.Crafted], **own: Any) -> pdrr.Crafted:
        rng = np.random.default_rng(1)
        return attack(p.observed, attackers(p), knowledge="full", rng=rng, **own)

    return {
        "mean": lambda p: lambda: pdrr.mean(p.clients),
        "trimmed_mean": lambda p: lambda: pdrr.trimmed_mean(p.clients, beta=p.c),
        "median": lambda p: lambda: pdrr.median(p.clients),
        "krum": lambda p: lambda: pdrr.krum(p.clients, c=p.c, previous=p.previous),
        "bulyan": lambda p: lambda: pdrr.bulyan(p.clients, c=p.c, previous=p.previous),
        "PDRR krum": lambda p: lambda: pdrr.PDRR("krum", c=p.c, q=0.25).detect(p.observed),
        "PDRR trimmed_mean": lambda p: (
            lambda: pdrr.PDRR("trimmed_mean", beta=p.c, q=0.99).detect(p.observed)
        ),
        "PDRR median": lambda p: lambda: pdrr.PDRR("median", q=0.71).detect(p.observed),
        "attack on krum": lambda p: lambda: craft(p, pdrr.krum_attack),
        "attack on trimmed_mean": lambda p: lambda: craft(p, pdrr.trimmed_mean_attack, beta=p.c),
    }


def _plain(prepare: Prepare) -> Prepare:
    """The same without compiled kernels; the case has a process of its own, or resets this."""

    def without(p: Problem) -> Callable[[], Any]:
        work = prepare(p)

        def run() -> Any:
            before = os.environ.get("PDRR_KERNELS")
            os.environ["PDRR_KERNELS"] = "off"
            try:
                return work()
            finally:
                if before is None:
                    del os.environ["PDRR_KERNELS"]
                else:
                    os.environ["PDRR_KERNELS"] = before

        return run

    return without


def _numpy_trimmed(p: Problem) -> Callable[[], Any]:
    return lambda: np.sort(p.clients, axis=0)[p.c : p.k - p.c].mean(axis=0)


def _scipy_trimmed(p: Problem) -> Callable[[], Any]:
    from scipy.stats import trim_mean

    return lambda: trim_mean(p.clients, share(p), axis=0)


def share(p: Problem) -> float:
    """The proportion of which int(proportion * k) is c, whatever the rounding."""
    return (p.c + 0.5) / p.k


def _flower(function: str, picks: str = "", **named: Callable[[Problem], Any]) -> Prepare:
    """A function of `flwr.server.strategy.aggregate`; one example and one layer a client.

    `picks` names the rule with which Bulyan picks.
    """

    def prepare(p: Problem) -> Callable[[], Any]:
        from flwr.server.strategy import aggregate

        results = [([row], 1) for row in p.clients]
        settings = {name: value(p) for name, value in named.items()}
        if picks:
            settings["aggregation_rule"] = getattr(aggregate, picks)
        work = getattr(aggregate, function)
        return lambda: work(list(results), **settings)[0]  # Bulyan empties its list

    return prepare


def _flower_product(p: Problem) -> Callable[[], Any]:
    from flwr.app import ArrayRecord, RecordDict
    from flwr.serverapp.strategy.multikrum import select_multikrum

    contents = [RecordDict({"arrays": ArrayRecord([row])}) for row in p.clients]

    def work() -> Any:
        (chosen,) = select_multikrum(contents, p.c, 1)
        return chosen["arrays"].to_numpy_ndarrays()[0]

    return work


def _byzfl(name: str, *, tensors: bool, robust: bool = True) -> Prepare:
    def prepare(p: Problem) -> Callable[[], Any]:
        import byzfl
        import torch

        models = torch.from_numpy(p.clients) if tensors else p.clients
        rule = getattr(byzfl, name)(**({"f": p.c} if robust else {}))
        return lambda: rule(models)

    return prepare


NEIGHBOURS = "k - c - 1 neighbours where ours has k - c - 2"
SINGLE = "distances in float32"


def implementations() -> list[Implementation]:
    """Everything there is to time: first of each rule our own, which the others are held to."""
    made = [Implementation("pass", "numpy", lambda p: lambda: p.clients.sum(0), note="X.sum(0)")]
    for rule, prepare in ours().items():
        made += [
            Implementation(rule, "pdrr", prepare),
            Implementation(rule, "pdrr, plain", _plain(prepare)),
            Implementation(rule, "pdrr on GPU", prepare, "cupy"),
            Implementation(rule, "pdrr on GPU, plain", _plain(prepare), "cupy"),
        ]
    c = {"num_malicious": lambda p: p.c}
    krum = {**c, "to_keep": lambda _: 0}
    made += [
        Implementation("mean", "numpy", lambda p: lambda: p.clients.mean(axis=0)),
        Implementation("trimmed_mean", "numpy", _numpy_trimmed, note="np.sort"),
        Implementation("median", "numpy", lambda p: lambda: np.median(p.clients, axis=0)),
        Implementation("trimmed_mean", "scipy", _scipy_trimmed, "scipy"),
        Implementation("mean", "flower", _flower("aggregate"), "flwr"),
        Implementation(
            "trimmed_mean",
            "flower",
            _flower("aggregate_trimmed_avg", proportiontocut=share),
            "flwr",
        ),
        Implementation("median", "flower", _flower("aggregate_median"), "flwr"),
        Implementation("krum", "flower", _flower("aggregate_krum", **krum), "flwr", SINGLE),
        Implementation(
            "krum", FLOWER_KRUM, _flower_product, "flwr", f"{SINGLE}, from a matrix product"
        ),
        Implementation(
            "bulyan",
            "flower",
            _flower("aggregate_bulyan", "aggregate_krum", **krum),
            "flwr",
            f"{SINGLE}, all anew for each pick",
        ),
    ]
    for home, tensors in (("byzfl, torch", True), ("byzfl, numpy", False)):
        krum_note = f"{NEIGHBOURS}; {SINGLE if tensors else 'distances in float64'}"
        made += [
            Implementation("mean", home, _byzfl("Average", tensors=tensors, robust=False), "byzfl"),
            Implementation("trimmed_mean", home, _byzfl("TrMean", tensors=tensors), "byzfl"),
            Implementation(
                "median", home, _byzfl("Median", tensors=tensors, robust=False), "byzfl"
            ),
            Implementation(
                "krum", home, _byzfl("Krum", tensors=tensors), "byzfl", krum_note, other=True
            ),
        ]
    order = ["pass", *ours()]
    return sorted(made, key=lambda one: order.index(one.rule))


def usable(chosen: Sequence[Implementation]) -> tuple[list[Implementation], dict[str, str]]:
    """Those whose module can be imported, and for each module that cannot why, in a line."""
    missing: dict[str, str] = {}
    for needed in dict.fromkeys(one.needs for one in chosen):
        try:
            importlib.import_module(needed)
        except ImportError:
            extra = {"cupy": "gpu", "scipy": "experiments"}.get(needed, "peers")
            missing[needed] = f"{needed} is not installed: pip install '.[{extra}]'"
        except (AttributeError, OSError, RuntimeError) as error:  # installed, but broken
            missing[needed] = f"{needed} cannot be imported: {str(error).splitlines()[0]}"
    return [one for one in chosen if one.needs not in missing], missing


# results


def vector(result: Any) -> tuple[np.ndarray, int]:
    """What can be compared of a result, and how many bytes of memory the result is.

    The aggregate [d]; a detection's statistic [k]; of a crafted round the first attacker's model.
    """
    if isinstance(result, pdrr.Detection):
        return to_host(result.statistic), result.pre_aggregate.nbytes
    if isinstance(result, pdrr.Crafted):
        clients = result.observed.clients
        return np.array(to_host(clients[0])), clients.nbytes
    value = result if hasattr(result, "get") else np.asarray(result)
    return to_host(value), value.nbytes


def compare(value: np.ndarray, expected: np.ndarray, other: bool) -> tuple[str, str]:
    """The word for the column `agrees`, and what has to be said.

    Two results agree if they differ by less than 1e-5 of the largest value: what is left of
    float32 sums over some hundred models.
    """
    if value.shape != expected.shape:
        return "no", f"shape {value.shape} where ours is {expected.shape}"
    if not np.isfinite(value).all():
        return "no", "not finite"
    difference = float(np.abs(value.astype(np.float64) - expected).max())
    same = difference <= 1e-5 * float(np.abs(expected).max())
    if other:
        return "other", "same result here" if same else "another result here"
    return ("yes", "") if same else ("no", f"differs by up to {difference:.2g}")
