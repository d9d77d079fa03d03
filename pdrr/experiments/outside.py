"""What is recorded for the part beyond the paper: which runs each page is made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pdrr.core.rules import DEFENDED
from pdrr.experiments.arms import survival
from pdrr.experiments.client_scores import client_scores
from pdrr.experiments.collusion import colluders
from pdrr.experiments.counting import how_many
from pdrr.experiments.evasion import evading
from pdrr.experiments.matrix import against
from pdrr.experiments.quiet import silence
from pdrr.experiments.records import Records

Job = tuple[Callable[..., Records], dict[str, Any]]

RATES = ("matrix", "silence", "how_many", "colluders", "survival", "evasion")
"""Those that keep no client's score."""

STEMS = (*RATES, "client_scores")
MEASURED = {"smoke": (1,), "quick": (1, 5, 20), "paper": (1, 20, 50)}
LAST = {"smoke": 2, "quick": 100, "paper": 60}  # of the chains
KNOWLEDGE = ("partial", "full")
FEWER = (20, 35)  # models in a round of half the size or so
CLIENTS: tuple[dict[str, Any], ...] = (  # whose data are alike, or more different than people's
    *({"share": share} for share in (0.5, 1.0)),
    *({"alpha": alpha} for alpha in (0.1, 0.5, 1.0)),
    {"pairs": 5},
    *({"learning_rate": rate} for rate in (0.004, 0.0003)),
)
ATTACKED: tuple[dict[str, Any], ...] = (
    {"rule": "krum"},
    {"rule": "trimmed_mean", "beta": 10},
    {"rule": "trimmed_mean", "beta": 20},
    {"rule": "median"},
)


def jobs(stem: str, profile: str, first: bool) -> list[Job]:
    """The experiments of a recording with their options, but for profile, data and seed.

    How many attackers can be borne is tried on rounds of fewer models too, and, for all seeds but
    the `first`, in round 1 alone.
    """
    numbers = MEASURED[profile]
    if stem == "matrix":
        return [(against, {"number": number}) for number in numbers]
    if stem == "client_scores":
        return [(client_scores, {"number": number}) for number in numbers[:2]]
    if stem == "how_many":
        fewer: list[dict[str, Any]] = [{"k": k, "expected": ()} for k in FEWER]
        return [
            (how_many, {"number": number, **sizes})
            for number in (numbers if first else numbers[:1])
            for sizes in ({}, *fewer)
        ]
    if stem == "colluders":
        return [(colluders, {"number": number}) for number in numbers]
    if stem == "silence":
        few = min(3, LAST[profile])
        others = [(silence, {"last": few, **own}) for own in CLIENTS]
        return [(silence, {"last": min(20, LAST[profile])}), *others]
    if stem == "survival":
        return [(survival, {"rule": rule, "last": LAST[profile]}) for rule in DEFENDED]
    return [(evading, {**own, "knowledge": known}) for known in KNOWLEDGE for own in ATTACKED]
