"""The detection schemes, an entry each: PDRR, those that the paper compares, and the rivals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from pdrr import beyond
from pdrr.baselines import err_and_lfr, flag_largest, union
from pdrr.core.rules import own_setting
from pdrr.experiments import scene
from pdrr.experiments.server import Server
from pdrr.experiments.spectral import Trained, trained
from pdrr.methods import Make, Scheme
from pdrr.types import Detection, Round

FANG = "Fang et al., USENIX Security 2020"


@dataclass(frozen=True, eq=False)
class Rejected:
    """ERR, LFR or their union: all three need the same trials of aggregates.

    `leave_out` is that of `pdrr.baselines.Rejection`.
    """

    server: Server
    name: str
    leave_out: str

    def detect(self, observed: Round) -> Detection:
        """As the scheme of that name does."""
        err, lfr = self.server.once(f"trials, {self.leave_out}", partial(self._try, observed))
        if self.name == "Union":
            votes = err.flagged.astype(float) + lfr.flagged
            return Detection(
                statistic=votes,
                scores=votes,
                flagged=union(err, lfr),
                pre_aggregate=err.pre_aggregate,
            )
        return err if self.name == "ERR" else lfr

    def _try(self, observed: Round) -> tuple[Detection, Detection]:
        server = self.server
        own = own_setting(server.rule, c=server.c, beta=server.beta)
        return err_and_lfr(
            observed,
            server.rule,
            network=server.network,
            auxiliary=server.auxiliary(),
            c=server.c,
            rng=server.rng(),
            leave_out=self.leave_out,
            beta=own.get("beta"),
        )


@dataclass(frozen=True, eq=False)
class Kept:
    """A trained detector whose verdict of the round another reading needs as well."""

    server: Server
    trained: Trained
    upside_down: bool = False

    @property
    def setup_s(self) -> float:
        """Seconds of training."""
        return self.trained.setup_s

    def detect(self, observed: Round) -> Detection:
        """As it does, or with the smallest scores flagged."""
        found = self.server.once("VAE", partial(self.trained.detect, observed))
        if not self.upside_down:
            return found
        scores = -np.asarray(found.scores)
        flagged = flag_largest(scores, self.server.c, self.server.rng())
        return Detection(
            statistic=scores, scores=scores, flagged=flagged, pre_aggregate=found.pre_aggregate
        )


def _rejection(name: str, axis: str, **more: Any) -> Scheme:
    def leaving(out_of: str) -> Make:
        return lambda server: Rejected(server, name, out_of)

    readings = {"mean": leaving("mean"), "alone": leaving("others")}
    return Scheme(
        name,
        leaving("rule"),
        axis,
        FANG,
        needs=frozenset({"auxiliary"}),
        readings=readings,
        **more,
    )


def _spectral(name: str, axis: str, reference: str, make: Make, **readings: Make) -> Scheme:
    return Scheme(
        name,
        make,
        axis,
        reference,
        needs=frozenset({"auxiliary"}),
        readings={
            **readings,
            "output layer": lambda server: trained(server, name, output_layer=True),
            "from w_p": lambda server: trained(server, name, here=True),
        },
        paper=True,
    )


IN_THE_PAPER = (
    _spectral("DAGMM", "energy", "Zong et al., ICLR 2018", lambda server: trained(server, "DAGMM")),
    _spectral(
        "VAE",
        "$-\\log p$ of reconstruction",
        "An and Cho, 2015",
        lambda server: Kept(server, trained(server, "VAE")),
        high=lambda server: Kept(server, trained(server, "VAE"), upside_down=True),
    ),
    _rejection("ERR", "error rate impact", paper=True),
    _rejection("LFR", "loss impact", paper=True),
    _rejection("Union", "votes", flags="votes"),
    Scheme(
        "PDRR",
        lambda server: scene.defense(server.settings, server.rule),
        axis={
            "krum": "correlation $\\rho_i$",
            "trimmed_mean": "trimmed values $n_i^c$",
            "median": "remained values $n_i^r$",
        },
        reference="Lu, Li, Chen, Ma, 2022",
        flags="threshold",
        low=frozenset({"median"}),
        paper=True,
    ),
)
OURS = "PDRR"
"""The paper's defence: what the others are measured by."""


def known() -> dict[str, Scheme]:
    """Every scheme by its name, in the order of the paper's tables, rivals last."""
    return {scheme.name: scheme for scheme in IN_THE_PAPER} | beyond.all_rivals()


def usual() -> tuple[str, ...]:
    """The schemes of a comparison that names none: those here, and the reader's own."""
    return (*(scheme.name for scheme in IN_THE_PAPER), *beyond.own_rivals())


def papers() -> tuple[str, ...]:
    """Those that the paper compares."""
    return tuple(scheme.name for scheme in IN_THE_PAPER if scheme.paper)


def in_order(names: Iterable[str]) -> list[str]:
    """Names of schemes in the order of `known`; unknown ones follow as they come."""
    given = list(dict.fromkeys(names))
    return [name for name in known() if name in given] + [n for n in given if n not in known()]


def chosen(names: Sequence[str], readings: Sequence[str] = ()) -> list[Scheme]:
    """The entries of some schemes; ValueError for a name, or a reading, that nobody has."""
    every = known()
    all_readings = dict.fromkeys(r for scheme in every.values() for r in scheme.readings)
    for what, given, there in (("schemes", names, every), ("readings", readings, all_readings)):
        if not set(given) <= set(there):
            raise ValueError(f"{what} need to be of {', '.join(there)}, got {', '.join(given)}")
    return [every[name] for name in in_order(names)]
