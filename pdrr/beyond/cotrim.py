"""Co-trimming: who is trimmed together with whom? A detector beside the paper's, not in its place.

PDRR asks of each model how often it is trimmed. Copies that hide among the benign models are
trimmed rarely, and a count for each model cannot tell. But attackers that push the same way stand
on the same side of the same coordinates, and benign models, each trained on data of its own, do so
hardly more often than by chance. That is seen in pairs:

1. sides: in each coordinate a model is among the lowest, among the highest, or neither;
2. the correlation of these sides for every two models, [k, k];
3. its leading direction orders the models, and the widest gap in that order splits them;
4. if the gap is wider than a random direction would have it, the smaller group is flagged, and the
   server looks again at what is left.

No threshold is set by hand and no data of the server's own is needed. Where no group stands out
nobody is flagged. A look is one pass over the stack; a round without attackers takes one look.
"""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from functools import cache
from typing import NamedTuple, Self

import numpy as np

from pdrr.aggregators import AGGREGATORS
from pdrr.beyond.judging import Judge, Judgement
from pdrr.core.arrays import Array, array_namespace, select
from pdrr.core.checks import check_int
from pdrr.core.order import median_beta
from pdrr.core.round_passes import sides
from pdrr.core.rules import DEFENDED, RULES, own_setting
from pdrr.methods import Scheme
from pdrr.types import Round

LEVEL = 0.005
"""How often a random direction may have so wide a gap; frozen before real writers were seen."""

LEAST = 8  # models, below which no group stands out
GROUP = 2  # models in a group: one alone is with nobody
DRAWS = 40_000  # random directions behind a critical gap
REFERENCE = "this project"


class Split(NamedTuple):
    """Two groups of models.

    Attributes
    ----------
    gap : float
        The widest gap between neighbours, in deviations of the larger group (`spread`).
    flagged : bool array [n]
        The smaller group; nobody where both have one size.
    scores : array [n]
        Distance from the middle of the larger group towards the smaller one, in its deviations.
    """

    gap: float
    flagged: np.ndarray
    scores: np.ndarray


class CoTrimming(Judge):
    """Flags the models that stand on the same side of the others too often to be strangers.

    Parameters
    ----------
    rule : {"krum", "trimmed_mean", "median"}
        What the server aggregates with. The detection does not depend on it.
    c : int
        For Krum.
    beta : int
        For the trimmed mean.
    level : float in (0, 1)
        How often one look at a round without attackers may flag somebody, were its leading
        direction random.

    Notes
    -----
    The re-aggregation keeps the rule's share: c / k and beta / k stay what they were. An attacker
    that lets some of its models be found does not make the rule trim less of what remains.

    At most half of the models are flagged, since of two groups the smaller one is. A group that
    holds half of all models or more is taken for the honest one. One attacker alone has no
    accomplice and is left to the rule.

    Examples
    --------
    >>> from pdrr import beyond
    >>> rng = np.random.default_rng(0)
    >>> honest = pdrr.Round(rng.normal(size=(20, 400)), np.zeros(400))
    >>> beyond.improved("median").detect(honest).flagged.any()
    np.False_
    >>> byzantine = np.arange(20) < 6
    >>> crafted = beyond.ATTACKS["alie"].function(honest, byzantine, knowledge="full", rng=rng)
    >>> (beyond.improved("median").detect(crafted.observed).flagged == byzantine).all()
    np.True_
    """

    def __init__(
        self, rule: str, *, c: int | None = None, beta: int | None = None, level: float = LEVEL
    ) -> None:
        if rule not in DEFENDED:
            raise ValueError(f"CoTrimming needs a rule of {', '.join(DEFENDED)}, got {rule!r}")
        if not 0 < level < 1:
            raise ValueError(f"CoTrimming needs a level between 0 and 1, got {level}")
        given = {"c": c, "beta": beta}
        wanted = RULES[rule].setting
        for name, value in given.items():
            if (value is not None) != (name == wanted):
                need, got = ("needs", "none") if name == wanted else ("takes no", value)
                raise TypeError(f"CoTrimming({rule!r}) {need} {name}, got {got}")
        if wanted and check_int("CoTrimming", wanted, given[wanted]) < 0:
            raise ValueError(f"CoTrimming needs {wanted} >= 0, got {given[wanted]}")
        self.rule, self.setting, self.level = rule, given.get(wanted), level

    def without(self, dropped: int) -> Self:
        """As `Judge.without`: whoever sent something that is no model was an attacker."""
        left = copy(self)
        left.setting = None if self.setting is None else max(0, self.setting - dropped)
        return left

    def judge(self, observed: Round) -> Judgement:
        """As `Judge.judge`; the weights are of no use, see `combine`."""
        k = observed.k
        if k < LEAST:
            nobody = np.zeros(k, dtype=bool)
            note = f"{k} finite models are too few to see a group: nobody flagged"
            return Judgement(np.zeros(k), nobody, np.full(k, 1 / k), (note,))
        flagged, scores = groups(observed, self.level)
        return Judgement(scores, flagged, ~flagged / max(1, (~flagged).sum()))

    def combine(self, observed: Round, judgement: Judgement) -> Array:
        """The rule over the models that are left; c and beta keep their share of them."""
        rows = np.flatnonzero(~judgement.flagged)
        left = replace(observed, clients=select(observed.clients, rows), ids=None)
        own = self._own(observed.k, len(rows))
        if own is None:
            return array_namespace(observed.previous).asarray(observed.previous, copy=True)
        if self.rule == "krum":
            own["previous"] = observed.previous
        return AGGREGATORS[self.rule](left.clients, **own)

    def _own(self, k: int, n: int) -> dict[str, Array] | None:
        """The rule's own setting for n of k models; None where the rule is not defined."""
        if n < RULES[self.rule].least:
            return None
        if self.setting is None:
            return {}
        share = -(-self.setting * n // k)  # rounded up
        if self.rule == "krum":
            return {"c": max(0, min(share, n - 3))}
        return {"beta": min(share, median_beta(n))}


def groups(observed: Round, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Whoever is flagged, bool [k], and all scores [k].

    The server looks again as long as a group stands out, since attackers may work in several.
    Fewer than half of the models are flagged in all.
    """
    flagged, scores = np.zeros(observed.k, dtype=bool), np.zeros(observed.k)
    seen = observed
    while seen.k >= LEAST:
        rows = np.flatnonzero(~flagged)
        found = split(likeness(seen))
        scores[rows] = found.scores
        more = int(found.flagged.sum())
        if found.gap < critical_gap(seen.k, level) or more < GROUP:
            break
        if 2 * (flagged.sum() + more) >= observed.k:
            break
        flagged[rows[found.flagged]] = True
        seen = replace(seen, clients=select(seen.clients, np.flatnonzero(~found.flagged)), ids=None)
    return flagged, scores


def likeness(observed: Round) -> np.ndarray:
    """How alike the sides of each two models are: [k, k], 1 on the diagonal.

    The mean of two correlations: who is in the same tails (a fifth of the models at either end),
    and who is on the same side of the median. The first sees whoever pushes far, the second whoever
    hides in the middle.
    """
    tails, middle = map(_correlation, sides(observed))
    alike: np.ndarray = (tails + middle) / 2
    return alike


def _correlation(products: np.ndarray) -> np.ndarray:
    length = np.sqrt(np.diag(products))
    scale = np.outer(length, length)
    found: np.ndarray = np.divide(products, scale, out=np.zeros_like(products), where=scale > 0)
    np.fill_diagonal(found, 1)
    return found


def split(alike: np.ndarray) -> Split:
    """The two groups at either side of the widest gap along the leading direction [n, n].

    Examples
    --------
    Two pairs of a kind, and five strangers:

    >>> from pdrr.beyond.cotrim import split
    >>> alike = np.eye(7)
    >>> alike[0, 1] = alike[1, 0] = 0.9
    >>> split(alike).flagged.tolist()
    [True, True, False, False, False, False, False]
    """
    means = alike.mean(axis=0)
    centred = alike - means[None, :] - means[:, None] + means.mean()
    along = np.linalg.eigh(centred)[1][:, -1]
    return _split(along)


def _split(along: np.ndarray) -> Split:
    n = len(along)
    order = np.sort(along)
    widest = int(np.argmax(np.diff(order)))
    low = along <= order[widest]
    if 2 * low.sum() == n:
        return Split(0.0, np.zeros(n, dtype=bool), np.zeros(n))
    smaller = low if 2 * low.sum() < n else ~low
    larger = along[~smaller]
    deviation = max(float(spread(larger)), np.finfo(float).eps)
    away = (along - np.median(larger)) / deviation
    gap = float(order[widest + 1] - order[widest]) / deviation
    return Split(gap, smaller, away if away[smaller].mean() > 0 else -away)


def spread(values: np.ndarray) -> np.ndarray:
    """How far values lie from their median, half of them less than that: over the last axis.

    Not the standard deviation: a second camp of attackers on the far side would stretch it, and
    hide the first. In units of a normal distribution's deviation.
    """
    middle = np.nanmedian(values, axis=-1, keepdims=True)
    return np.asarray(1.4826 * np.nanmedian(np.abs(values - middle), axis=-1))


@cache
def critical_gap(n: int, level: float) -> float:
    """The gap that a random direction of n models exceeds with probability `level`.

    Entries of a random direction are as good as independent normal numbers.

    Examples
    --------
    >>> from pdrr.beyond.cotrim import critical_gap
    >>> critical_gap(20, 0.01) > critical_gap(50, 0.01) > critical_gap(50, 0.05)
    True
    """
    rng = np.random.default_rng(0)
    draws = np.sort(rng.standard_normal((DRAWS, n)), axis=1)
    spaces = np.diff(draws, axis=1)
    widest = spaces.argmax(axis=1)
    below = np.arange(n)[None, :] <= widest[:, None]  # the models under the gap
    larger = np.where(np.where(2 * (widest + 1)[:, None] < n, ~below, below), draws, np.nan)
    gaps = spaces[np.arange(len(draws)), widest] / np.maximum(spread(larger), np.finfo(float).eps)
    gaps[2 * (widest + 1) == n] = 0.0
    return float(np.quantile(gaps, 1 - level))


SCHEME = Scheme(
    "Co-trimming",
    lambda server: CoTrimming(
        server.rule, **own_setting(server.rule, c=server.c, beta=server.beta)
    ),
    axis="deviations from the larger group",
    reference=REFERENCE,
    flags="own",
)
