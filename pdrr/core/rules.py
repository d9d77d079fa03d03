"""The aggregation rules by name: their words, and the one setting that each has of its own."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes
    ----------
    words : str
        How a sentence calls it.
    setting : str
        Its own keyword: "c", "beta", or "" if it has none.
    least : int
        Models without which it is not defined.
    """

    words: str
    setting: str = ""
    least: int = 1


RULES = {
    "mean": Rule("mean"),
    "krum": Rule("Krum", "c", least=3),
    "trimmed_mean": Rule("trimmed mean", "beta"),
    "median": Rule("median"),
    "bulyan": Rule("Bulyan", "c", least=3),
}
DEFENDED = ("krum", "trimmed_mean", "median")
"""The rules for which the paper has an attack and a defence, in its order."""


def own_setting(rule: str, *, c: int | None, beta: int | None) -> dict[str, int]:
    """What `rule` takes of c and beta, as keywords: {"c": c}, {"beta": beta} or {}.

    ValueError for an unknown rule; TypeError if the one it needs is None.
    """
    if rule not in RULES:
        raise ValueError(f"rule needs to be one of {', '.join(RULES)}, got {rule!r}")
    name = RULES[rule].setting
    if not name:
        return {}
    value = {"c": c, "beta": beta}[name]
    if value is None:
        raise TypeError(f"{rule} needs {name}, got none")
    return {name: value}


def in_words(rule: str, beta: float | None = None) -> str:
    """The rule in a sentence, with beta if it has one: "Krum", "trimmed mean (β = 10)".

    Whatever else is not the name of a rule comes back as it is.
    """
    words = RULES[rule].words if rule in RULES else rule
    return f"{words} (β = {beta:g})" if beta is not None and rule == "trimmed_mean" else words
