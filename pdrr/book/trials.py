"""What the paper's other readings give, tried on rounds small enough to be run on the page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise, product
from typing import Any

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler

from pdrr.aggregators import AGGREGATORS, krum_index
from pdrr.attacks import KNOWLEDGE
from pdrr.book.readings import shown
from pdrr.claims.words import span
from pdrr.config import Settings
from pdrr.core.rules import in_words, own_setting
from pdrr.defenses import checked_count
from pdrr.experiments import attacking, scene
from pdrr.federation.streams import byzantine
from pdrr.types import Crafted, Round

Honest = list[tuple[Settings, Round]]

COUNTED = ("expectation", "stable sort", "strict inequality")


def honest_rounds(
    rule: str,
    *,
    seeds: Sequence[int] = (1, 2, 3),
    numbers: Sequence[int] = (1, 2),
    profile: str = "smoke",
    **options: Any,
) -> Honest:
    """Rounds as the clients trained them, each with its settings; from the cache if it has them."""
    scenes = [
        scene.scene(
            rule, attack=attacking.NOBODY, seed=seed, number=number, profile=profile, **options
        )
        for seed, number in product(seeds, numbers)
    ]
    return [(each.settings, each.honest) for each in scenes]


def halved(crafted: Crafted) -> float:
    """The lambda at which the search of the attack on Krum would end if it only halved.

    The bound is halved until Krum accepts; the largest lambda lies between that and its double.
    """
    bound, best = crafted.detail["bound"], crafted.detail["lambda"]
    return float(bound * 2.0 ** -np.ceil(np.log2(bound / best)))


def lambda_table(honest: Honest, cs: Sequence[int] = (10, 20)) -> Styler:
    """The search for lambda: halving alone against the bisection that follows it.

    *Needed*: attackers without whom Krum, still set to c, selects a benign model. ERR and LFR find
    these, since leaving one of them out changes the aggregate.
    """
    rows = {}
    for c, knowledge in product(cs, KNOWLEDGE):
        ratios, tight, needed = [], [], []
        for chosen, each in honest:
            own = scene.settings(chosen.profile, chosen.data.source, chosen.seed, c=c)
            crafted = attacking.attacked(own, "krum", "krum", each, knowledge)
            if not crafted.succeeded:
                continue
            best, observed = crafted.detail["lambda"], crafted.observed
            step = observed.previous - observed.clients[0]  # lambda s
            ratios.append(halved(crafted) / best)
            literal = crafted.detail["bound"] * np.sqrt(np.count_nonzero(step) / observed.d)
            tight.append(best / literal)
            clients = observed.clients.copy()
            clients[:c] += (1 - ratios[-1]) * step
            nearer = replace(observed, clients=clients)
            needed.append([_needed(round_, c) for round_ in (nearer, observed)])
        found = bool(ratios)
        rows[f"c = {c}, {knowledge}"] = {
            "attack succeeds": f"{len(ratios)} of {len(honest)}",
            "λ halving / λ": span(ratios) if found else "–",
            "λ / bound (4) with d": span(tight) if found else "–",
            "needed, halving": span([x for x, _ in needed], "{:.0f}") if found else "–",
            "needed": span([x for _, x in needed], "{:.0f}") if found else "–",
        }
    return shown(rows)


def _needed(observed: Round, c: int) -> int:
    """Of the first c clients, those without whom Krum selects a benign model."""
    others = [np.delete(np.arange(observed.k), i) for i in range(c)]
    chosen = [krum_index(observed.clients[o], c=c, previous=observed.previous) for o in others]
    return sum(int(o[row]) >= c for o, row in zip(others, chosen, strict=True))


def trimmed_counts(observed: Round, beta: int) -> pd.DataFrame:
    """How often each client's value is trimmed, with three ways to treat equal values.

    Coordinates that do not move are left out, as in Fig. 6.

    Parameters
    ----------
    observed : Round
        [k, d], small enough to be sorted as a whole.
    beta : int

    Returns
    -------
    DataFrame [k, 3], rows 1 .. k
        *expectation*: over random tie-breaking, what PDRR counts. *stable sort*: of equal values
        the lower client number lies lower. *strict inequality*: trimmed is what lies strictly
        below or above the kept values.
    """
    k, x = observed.k, observed.clients
    merged, expectation, *_ = checked_count(observed, np.arange(k), beta, False)
    moved = merged != observed.previous
    rank = np.argsort(np.argsort(x, axis=0, kind="stable"), axis=0)
    ordered = np.sort(x, axis=0)
    by_rank = (rank < beta) | (rank >= k - beta)
    strictly = (x < ordered[beta]) | (x > ordered[k - 1 - beta])
    counts = [expectation, *((trimmed & moved).sum(axis=1) for trimmed in (by_rank, strictly))]
    return pd.DataFrame(dict(zip(COUNTED, counts, strict=True)), index=np.arange(1, k + 1))


def counts_table(honest: Honest, betas: Sequence[int] = (10, 20)) -> Styler:
    """Trimmed counts of attacked rounds under the three ways to treat equal values.

    As shares of the largest count: smallest and largest of the malicious clients, largest of the
    benign ones. *One draw*: all attackers send the first one's model.
    """
    rows = {}
    for beta, draws in product(betas, ("own draws", "one draw")):
        shares = []
        for chosen, observed in _attacked(honest, "trimmed_mean", beta):
            clients, bad = observed.clients, byzantine(chosen)
            if draws == "one draw":
                clients = np.where(bad[:, None], clients[0], clients)
            counts = trimmed_counts(replace(observed, clients=clients), beta)
            shares.append((counts / counts.max()).assign(bad=bad))
        every = pd.concat(shares)
        rows[f"β = {beta}, {draws}"] = {
            way: f"{span(every.loc[every['bad'], way])}<br><small>benign up to "
            f"{every.loc[~every['bad'], way].max():.2f}</small>"
            for way in COUNTED
        }
    return shown(rows)


def _attacked(honest: Honest, rule: str, beta: int) -> Iterator[tuple[Settings, Round]]:
    for chosen, each in honest:
        source = chosen.data.source
        own = scene.settings(chosen.profile, source, chosen.seed, beta=beta)
        yield own, attacking.attacked(own, rule, rule, each, "partial").observed


def directions_table(honest: Mapping[str, Honest]) -> Styler:
    """The direction s of a round beside two others: an attacker's guess, and the last round's.

    Parameters
    ----------
    honest : mapping
        Rule -> rounds. Looked at is each round that follows another one.

    Returns
    -------
    Styler
        Zeros in s, in the guess s~ of partial knowledge, and in the direction in which the server
        moved in the round before; share of the coordinates with s != 0 in which each is like s.
    """
    rows = {}
    for rule, found in honest.items():
        measured = []
        for (chosen, before), (_, now) in pairwise(found):
            if now.number != before.number + 1:
                continue
            c, beta = chosen.federation.c, chosen.defense.beta
            own = own_setting(rule, c=c, beta=beta)
            s = np.sign(AGGREGATORS[rule](now.clients, **own) - now.previous)
            guess = np.sign(np.mean(np.float64(now.clients[:c]) - now.previous, axis=0))
            last = np.sign(now.previous - before.previous)
            zeros = [np.mean(x == 0) for x in (s, guess, last)]
            measured.append([*zeros, *(np.mean((x == s)[s != 0]) for x in (guess, last))])
        columns = ("zeros in s", "zeros in s̃", "zeros in the last", "s̃ like s", "last like s")
        cells = map(span, zip(*measured, strict=True))
        rows[in_words(rule)] = dict(zip(columns, cells, strict=True))
    return shown(rows)
