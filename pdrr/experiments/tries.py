"""What the paper says in passing, and what is run to try it; c = 20 and beta = 10 as in 5.1."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

from pdrr.core.rules import DEFENDED
from pdrr.experiments import (
    alike,
    dissection,
    likeness,
    retrained,
    servers_data,
    transfer,
    variations,
)
from pdrr.experiments.records import Records

Job = tuple[Callable[..., Records], dict[str, Any]]

KNOWLEDGE = ("partial", "full")
FEW = 11  # attackers, as many as Bulyan bears: 50 >= 4 * 11 + 3
ALIKE: tuple[dict[str, Any], ...] = (  # shares of images mixed, pairs of clones among 30 clients
    *({"share": share} for share in (0.0, 0.5, 0.9, 1.0)),
    *({"pairs": pairs} for pairs in (1, 15)),
)
OFTEN = ("anatomy", "similarities", "transfer")  # at both rounds, whatever the seed
STEMS = (*OFTEN, "by_epsilon", "by_count", "alike", "by_auxiliary", "refits", "data")


def jobs(stem: str, rounds: Sequence[int], first: bool) -> list[Job]:
    """The experiments of a recording with their options, but for profile, data and seed.

    At round 1 and the next that tells something new, the 20th of the paper; what takes long, and
    clients whose data were changed, at round 1 alone for all seeds but the `first`.
    """
    numbers = [n for n in rounds if n <= 20 and n != 10]
    if stem == "alike" or not (first or stem in OFTEN):
        numbers = numbers[:1]
    if stem == "data":
        return [(servers_data.data_facts, {})]
    return [
        (experiment, {**options, "number": number})
        for number in numbers
        for experiment, options in _of_one_round(stem)
    ]


def _of_one_round(stem: str) -> list[Job]:
    known: list[dict[str, Any]] = [{"knowledge": knowledge} for knowledge in KNOWLEDGE]
    rules: list[dict[str, Any]] = [{"rule": rule} for rule in DEFENDED]
    wanted: dict[str, tuple[Callable[..., Records], list[dict[str, Any]]]] = {
        "anatomy": (dissection.anatomy, [a | b for a, b in product(rules, known)]),
        "similarities": (likeness.similarities, known),
        "transfer": (
            transfer.crossed,
            [
                *known,
                *({"attackers": FEW} | each for each in known),
                {"attackers": 1, "attacks": (transfer.ONE_CLIENT,)},
            ],
        ),
        "by_epsilon": (variations.by_epsilon, known),
        "by_count": (variations.by_count, [a | b for a, b in product(rules, known)]),
        "alike": (alike.alike_clients, [a | b for a, b in product(ALIKE, known)]),
        "by_auxiliary": (servers_data.by_auxiliary, rules),
        "refits": (retrained.refits, rules),
    }
    experiment, settings = wanted[stem]
    return [(experiment, options) for options in settings]
