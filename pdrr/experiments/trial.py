"""Whether an experiment's parameters fit together, tried before anything is trained or loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pdrr.attacks import KNOWLEDGE
from pdrr.core.checks import check_int
from pdrr.core.rules import DEFENDED
from pdrr.data.formats import formats
from pdrr.experiments.attacking import NOBODY, Known, attacked, attacks
from pdrr.experiments.scene import defense, settings
from pdrr.types import Round

COORDINATES = 8  # of the models of a trial
OWN = ("c", "beta", "epsilon", "noise", "learning_rate", "k")  # in place of the profile's
COUNTED = ("number", "last", "repeats")  # whole numbers from 1


def refuse_wrong(values: Mapping[str, Any], rules: Sequence[str] = ()) -> None:
    """Refuse parameters with which an experiment would end in an error.

    The attack and the defence of each rule run once on made-up models of a few coordinates, with
    the k, c, beta, epsilon, noise, knowledge and q that are asked for: what the functions
    themselves refuse is refused here, before hours of training.

    Parameters
    ----------
    values : mapping
        By name, as notebooks have them: profile, data, seed, and what else there is.
    rules : sequence of str
        Rules that are attacked and defended, "rule" among the values aside.

    Raises
    ------
    ValueError, TypeError
        Those of the functions, or of the profile's settings.
    FileNotFoundError
        For data that are not there.

    Examples
    --------
    >>> from pdrr.experiments.trial import refuse_wrong
    >>> which = {"profile": "smoke", "data": "glyphs", "seed": 1}
    >>> refuse_wrong({**which, "c": 10, "knowledge": "full"}, ["krum"])
    >>> refuse_wrong({**which, "c": 48}, ["krum"])
    Traceback (most recent call last):
    ValueError: PDRR('krum', c=48, q=0.48) needs c >= 0 and k >= c + 3, got c=48 for k=50
    """
    for name in COUNTED:
        if name in values and check_int("a run", name, values[name]) < 1:
            raise ValueError(f"a run needs {name} >= 1, got {values[name]}")
    _one_of("knowledge", values, KNOWLEDGE)
    _one_of("attack", values, (NOBODY, *attacks()))
    if "profile" not in values:
        return
    _source(values["data"])
    own = {name: values[name] for name in OWN if name in values}
    chosen = settings(values["profile"], values["data"], values["seed"], **own)
    rng = np.random.default_rng(0)
    previous = rng.standard_normal(COORDINATES)
    honest = Round(previous + rng.standard_normal((chosen.federation.k, COORDINATES)), previous)
    for rule in dict.fromkeys([*rules, *([values["rule"]] if "rule" in values else [])]):
        if rule not in DEFENDED:
            continue  # one that nobody attacks: the experiment itself says which it takes
        defense(chosen, rule, values.get("q")).detect(honest)
        c = chosen.federation.c
        known = Known(flipped=lambda: np.zeros((c, COORDINATES)))  # noqa: B023 - called here
        for knowledge in [values["knowledge"]] if "knowledge" in values else KNOWLEDGE:
            attacked(chosen, values.get("attack", rule), rule, honest, knowledge, known)


def _source(source: str) -> None:
    """Refuse what no format takes, and a file or folder that is not there; reads nothing."""
    known = formats()
    if source != "glyphs" and not Path(source).exists():
        raise FileNotFoundError(f"{source}: no such file or folder")
    if not any(each.takes(source) for each in known):
        *others, last = (each.words for each in known)
        raise ValueError(f"data needs {', '.join(others)} or {last}, got {source!r}")


def _one_of(name: str, values: Mapping[str, Any], allowed: Sequence[str]) -> None:
    if name in values and values[name] not in allowed:
        raise ValueError(f"{name} needs to be of {', '.join(allowed)}, got {values[name]!r}")
