"""What an attacked round looks like from inside: directions, distances, sides, shapes.

The paper's sections 3, 4 and 5.2 say much about it in passing. Each such sentence is measured here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import stats

from pdrr.aggregators import AGGREGATORS, krum_index
from pdrr.core.arrays import blocks
from pdrr.core.directions import mean_direction, middle_direction, row_direction
from pdrr.core.order import kept_fraction, median_beta
from pdrr.core.rules import own_setting
from pdrr.defenses import checked_count
from pdrr.experiments.likeness import Products, mean_among
from pdrr.experiments.records import Records
from pdrr.experiments.scene import Scene, defense, scene
from pdrr.federation.store import Store
from pdrr.federation.streams import SAMPLE, stream

SAMPLED = 2_000  # coordinates at which the benign values are tested for normality
LEVEL = 0.05  # of that test


def anatomy(rule: str, *, store: Store | None = None, **options: Any) -> Records:
    """Measure what the paper says of an attacked round and its models.

    - "it usually makes s~ denser than actual change direction s" (5.2), "malicious models are more
      similarly in full-knowledge attack" (5.2): `density`, `alike_malicious`.
    - "dense s~ makes more malicious model parameters removed in Trimmed-mean attack and less
      malicious model parameters remained in Median attack" (5.2): `trimmed_malicious`,
      `remained_malicious`.
    - "malicious models [...] are very similar to benign models" (1): `to_...`.
    - "benign model parameters are normally distributed around the corresponding aggregated model
      parameters, but malicious model parameters are crafted on the same side of aggregate model
      parameters" (4): `one_side_...`, `normal`, `skewness`, `kurtosis`, `offset`. With
      `_unattacked`: around the aggregate that there would be without the attack.
    - "parameters in malicious models with zero change direction are probably distributed near the
      median" (4.3): `zero_...`.
    - "the value of jth aggregated parameter under attack decreases" where s_j = 1 (3.2.2, Fig. 3),
      and full knowledge as "the upper bound of threats" (2.3): `against`, `objective`.

    Parameters
    ----------
    rule : {"krum", "trimmed_mean", "median"}
        Aggregation rule, with the attack made for it.
    store, options : as in `pdrr.experiments.scene.scene`

    Returns
    -------
    Records
        A row per client: what PDRR says of it, and its distances to w_p (`to_previous`), to the
        mean of the (other) benign models (`to_centre`), to the nearest (other) benign model
        (`to_nearest`). One run, whose columns are those of the functions of this module.

    Examples
    --------
    >>> from pdrr import experiments
    >>> found = experiments.anatomy("median", profile="smoke", knowledge="full")
    >>> run = found.runs.iloc[0]
    >>> bool(run["one_side_malicious"] > run["one_side_benign"])
    True
    """
    here = scene(rule, store=store, **options)
    c, beta = here.settings.federation.c, here.settings.defense.beta
    own = own_setting(rule, c=c, beta=beta)
    found = defense(here.settings, rule).detect(here.observed)
    near = {"previous": here.honest.previous} if rule == "krum" else {}
    unattacked = AGGREGATORS[rule](here.honest.clients, **own, **near)
    products = Products.of(here.observed)
    table = here.clients(found, **here.key).assign(**distances(products, here.byzantine))
    run: dict[str, Any] = {
        **here.key,
        **here.outcome(found.pre_aggregate),
        "q": here.settings.defense.q[here.federation.rule],
        **here.rates(found),
        "density": float(np.count_nonzero(direction(here)) / here.honest.d),
        "density_w_pag": float(np.mean(found.pre_aggregate != here.honest.previous)),
        **likeness(products, here.byzantine),
        **sides(here, found.pre_aggregate),
        **_renamed(sides(here, unattacked)),
        **shape(here, found.pre_aggregate, unattacked),
        **effect(here, unattacked, found.pre_aggregate),
    }
    if rule != "krum":
        run |= counts(here, own.get("beta", median_beta(here.honest.k)))
    for who, rows in (("malicious", table["byzantine"]), ("benign", ~table["byzantine"])):
        for name in ("to_previous", "to_centre", "to_nearest"):
            run[f"{name}_{who}"] = float(table.loc[rows, name].mean())
    return here.records(table, [run])


def direction(here: Scene) -> np.ndarray:
    """The direction [d] in {-1, 0, 1} that the paper's attack on the scene's rule works with."""
    honest, rule, settings = here.honest, here.federation.rule, here.settings
    if here.knowledge == "partial":
        return np.asarray(mean_direction(honest, np.flatnonzero(here.byzantine)))
    if rule == "krum":
        c = settings.federation.c
        row = krum_index(honest.clients, c=c, previous=honest.previous)
        return np.asarray(row_direction(honest, row))
    own = own_setting(rule, c=None, beta=settings.defense.beta)
    return np.asarray(middle_direction(honest, own.get("beta", median_beta(honest.k))))


def distances(products: Products, byzantine: np.ndarray) -> dict[str, np.ndarray]:
    """Euclidean distances [k] of each model; a benign one is not compared with itself."""
    squared, k = products.squared_distances, len(byzantine)
    centre, nearest = np.zeros(k), np.zeros(k)
    for i in range(k):
        others = np.flatnonzero(~byzantine & (np.arange(k) != i))
        among = squared[np.ix_(others, others)]
        centre[i] = max(0.0, squared[i, others].mean() - among.mean() / 2)
        nearest[i] = squared[i, others].min()
    return {
        "to_previous": np.sqrt(np.diag(products.raw)),
        "to_centre": np.sqrt(centre),
        "to_nearest": np.sqrt(nearest),
    }


def likeness(products: Products, byzantine: np.ndarray) -> dict[str, float]:
    """Mean over the pairs of one kind: Pearson of the signs (`alike`), cosine of the updates."""
    measured: Mapping[str, np.ndarray] = {
        "alike": products.sign_pearson,
        "cosine": products.raw_cosine,
    }
    return {
        f"{name}_{who}": mean_among(similarity, np.flatnonzero(rows))
        for name, similarity in measured.items()
        for who, rows in (("malicious", byzantine), ("benign", ~byzantine))
    }


def sides(here: Scene, centre: np.ndarray) -> dict[str, float]:
    """On which side of an aggregate [d] the models lie, over the coordinates where it is not w_p.

    `one_side`: share of the models on the side with more of them, mean over the coordinates.
    `all_one_side`: share of the coordinates at which every model lies on one side, none on it.
    """
    observed, byzantine = here.observed, here.byzantine
    kinds = {"malicious": byzantine, "benign": ~byzantine}
    one_side, together, moved = dict.fromkeys(kinds, 0.0), dict.fromkeys(kinds, 0), 0
    for cols in blocks(observed.d, observed.k):
        at = centre[cols]
        counted = at != observed.previous[cols]
        x, at = np.asarray(observed.clients[:, cols])[:, counted], at[counted]
        moved += len(at)
        for who, rows in kinds.items():
            larger = np.maximum((x[rows] > at).sum(axis=0), (x[rows] < at).sum(axis=0))
            one_side[who] += float(larger.sum()) / rows.sum()
            together[who] += int((larger == rows.sum()).sum())
    return {
        **{f"one_side_{who}": total / max(1, moved) for who, total in one_side.items()},
        **{f"all_one_side_{who}": total / max(1, moved) for who, total in together.items()},
    }


def _renamed(found: dict[str, float]) -> dict[str, float]:
    return {f"{name}_unattacked": value for name, value in found.items()}


def shape(here: Scene, pre_aggregate: np.ndarray, unattacked: np.ndarray) -> dict[str, float]:
    """Whether the benign values of a coordinate look normal, over a seeded sample of coordinates.

    `unmoved`, `tied`: share of the sampled coordinates at which all benign values are equal, or
    some are; these are left out. Over the others: `skewness` and `kurtosis` (excess), medians;
    `normal`, the share at which Shapiro and Wilk's test does not reject at 5%: .95 if all were;
    `offset`, the median distance of w_pag from the benign mean in benign standard deviations;
    `offset_unattacked`, that of the aggregate without the attack.
    """
    rng = stream(here.settings.seed, SAMPLE, here.honest.number)
    some = np.sort(rng.choice(here.honest.d, min(SAMPLED, here.honest.d), replace=False))
    values = np.asarray(here.observed.clients[~here.byzantine][:, some], np.float64)
    ordered = np.sort(values, axis=0)
    unmoved = ordered[0] == ordered[-1]
    tied = (np.diff(ordered, axis=0) == 0).any(axis=0)
    found = {"unmoved": float(unmoved.mean()), "tied": float((tied & ~unmoved).mean())}
    x = values[:, ~tied]
    if x.shape[0] < 3 or not x.shape[1]:  # the test needs three values
        names = ("skewness", "kurtosis", "normal", "offset", "offset_unattacked")
        return found | dict.fromkeys(names, float("nan"))
    mean, deviation = x.mean(axis=0), x.std(axis=0)
    x = (x - mean) / deviation
    kept = [stats.shapiro(column).pvalue >= LEVEL for column in x.T]

    def offset(centre: np.ndarray) -> float:
        return float(np.median(np.abs(centre[some][~tied] - mean) / deviation))

    return found | {
        "skewness": float(np.median(stats.skew(x, axis=0))),
        "kurtosis": float(np.median(stats.kurtosis(x, axis=0))),
        "normal": float(np.mean(kept)),
        "offset": offset(pre_aggregate),
        "offset_unattacked": offset(unattacked),
    }


def effect(here: Scene, unattacked: np.ndarray, attacked: np.ndarray) -> dict[str, float]:
    """What the attack does to the aggregate, over the coordinates with s = Sgn(w - w_p) != 0.

    `against`: share at which the aggregate w' under attack lies against s from w, the one
    without; `reversed`: share at which it lies against s from w_p. `pushed`: median of how far, as
    a multiple of |w - w_p|. `objective`: the attacker's s.(w - w') of eq. (2) over s.(w - w_p).
    """
    step = unattacked.astype(np.float64) - here.honest.previous
    change = attacked.astype(np.float64) - unattacked
    moved = step != 0
    step, change = step[moved], change[moved]
    if not step.size:
        return dict.fromkeys(("against", "reversed", "pushed", "objective"), float("nan"))
    back = -change * np.sign(step)
    length = np.abs(step)
    return {
        "against": float((back > 0).mean()),
        "reversed": float((back > length).mean()),
        "pushed": float(np.median(back / length)),
        "objective": float(back.sum() / length.sum()),
    }


def counts(here: Scene, beta: int) -> dict[str, float]:
    """How often a model is trimmed and kept, on average over the models of each kind.

    `trimmed`, `remained`: coordinates with w_pag != w_p, over d. `zero`: share of the others, the
    zero-change coordinates; `zero_kept`: how often a model of this kind is kept at one of them;
    `zero_any`: share of them at which some malicious model is.
    """
    observed, byzantine = here.observed, here.byzantine
    rows, d = np.arange(observed.k), observed.d
    pre_aggregate, trimmed, remained, _ = checked_count(observed, rows, beta, False)
    unchanged = np.asarray(pre_aggregate) == observed.previous
    kept, some = np.zeros(observed.k), 0
    for cols in blocks(d, observed.k):
        zero = unchanged[cols]
        fraction = kept_fraction(np.asarray(observed.clients[:, cols])[:, zero], beta)
        kept += fraction.sum(axis=1)
        some += int((fraction[byzantine] > 0).any(axis=0).sum())
    zeros = int(unchanged.sum())
    found = {"zero": zeros / d, "zero_any": some / zeros if zeros else float("nan")}
    for who, chosen in (("malicious", byzantine), ("benign", ~byzantine)):
        found[f"trimmed_{who}"] = float(trimmed[chosen].mean() / d)
        found[f"remained_{who}"] = float(remained[chosen].mean() / d)
        found[f"zero_kept_{who}"] = float(kept[chosen].mean() / zeros) if zeros else float("nan")
    return found
