"""The attacks by name, and what each of them is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pdrr import beyond
from pdrr.attacks import krum_attack, median_attack, trimmed_mean_attack
from pdrr.config import Settings
from pdrr.core.arrays import Array
from pdrr.federation.streams import ATTACK, byzantine, stream
from pdrr.methods import Attack
from pdrr.types import Crafted, Round

FANG = "Fang et al., USENIX Security 2020; Lu et al. 2022, section 3"
IN_THE_PAPER = (  # each has the name of the rule that it is made against
    Attack("krum", "attack on Krum", krum_attack, FANG, ("epsilon", "noise"), paper=True),
    Attack(
        "trimmed_mean",
        "attack on the trimmed mean",
        trimmed_mean_attack,
        FANG,
        ("beta", "b"),
        paper=True,
    ),
    Attack("median", "attack on the median", median_attack, FANG, ("b",), paper=True),
)
NOBODY = "none"
"""The name of no attack at all."""


def attacks() -> dict[str, Attack]:
    """Every attack by its name: the paper's, then the others."""
    return {attack.name: attack for attack in IN_THE_PAPER} | beyond.all_attacks()


@dataclass
class Known:
    """What few attackers need beside the round.

    Attributes
    ----------
    before : array [d], optional
        The global model before the previous one.
    memory : dict
        What the attack keeps from round to round.
    flipped : callable, optional
        Trains the compromised clients on flipped labels: models [c, d].
    """

    before: Array | None = None
    memory: dict[str, Any] = field(default_factory=dict)
    flipped: Callable[[], Array] | None = None


def attacked(
    settings: Settings,
    attack: str,
    rule: str,
    honest: Round,
    knowledge: str,
    known: Known | None = None,
    **given: Any,
) -> Crafted:
    """The round under an attack, if the server aggregates with `rule`.

    Keywords that are `given` take the place of what the settings and the attack itself have.
    ValueError if the attack needs models trained on flipped labels and `known` has none.
    """
    if attack == NOBODY:
        return Crafted(observed=honest, succeeded=False)
    entry, known = attacks()[attack], known or Known()
    if "flipped" in entry.takes and known.flipped is None:
        raise ValueError(f"the {entry.words} needs models trained on flipped labels, got none")
    available = {
        "before": known.before,
        "memory": known.memory,
        "flipped": known.flipped() if known.flipped and "flipped" in entry.takes else None,
        "epsilon": settings.attack.epsilon,
        "noise": settings.attack.noise,
        "b": settings.attack.b,
        "beta": settings.defense.beta,
        "c": settings.federation.c,
        "rule": rule,
    }
    own: dict[str, Any] = {name: available[name] for name in entry.takes} | given
    rng = stream(settings.seed, ATTACK, honest.number)
    return entry.function(honest, byzantine(settings), knowledge=knowledge, rng=rng, **own)
