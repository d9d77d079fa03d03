"""Attacks against detectors on single rounds, and what is recorded of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pdrr.experiments.against import against
from pdrr.experiments.how_many import how_many
from pdrr.experiments.records import Records

Job = tuple[Callable[..., Records], dict[str, Any]]

STEMS = ("matrix", "how_many")
"""Recordings of rates: no single client's score is kept."""

ROUNDS = {"smoke": (1, 2), "quick": (1, 5, 20), "paper": (1, 20)}
FEWER = (20, 35)  # models in a round of half the size or so


def jobs(stem: str, profile: str, first: bool) -> list[Job]:
    """The experiments of a recording with their options, but for profile, data and seed.

    How many attackers can be borne is tried on rounds of fewer models too, and, for all seeds but
    the `first`, in round 1 alone.
    """
    numbers = ROUNDS[profile]
    if stem == "matrix":
        return [(against, {"number": number}) for number in numbers]
    fewer: list[dict[str, Any]] = [{"k": k, "expected": ()} for k in FEWER]
    return [
        (how_many, {"number": number, **sizes})
        for number in (numbers if first else numbers[:1])
        for sizes in ({}, *fewer)
    ]
