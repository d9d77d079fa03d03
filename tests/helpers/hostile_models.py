"""Models as an attacker, a bad disk or a careless user might send them, and who receives them."""

import importlib
import os
import warnings
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

import pdrr
from pdrr import PDRR, Round
from pdrr.baselines import LFR, leave_one_out
from pdrr.beyond import improved
from pdrr.beyond.rivals import (
    align_ins,
    dnc,
    fl_trust,
    flame,
    fldetector,
    foolsgold,
    lasa,
    mandera,
    multi_krum,
    nnm,
    rfa,
    sign_guard,
)  # fmt: skip
from pdrr.experiments import attacking
from pdrr.serving.defence import Defence

TRIED: Counter[str] = Counter()
"""Cases by the name of the function, for whoever counts."""


def counted(name: str) -> None:
    """One more case."""
    TRIED[name] += 1


torture = settings(max_examples=int(os.environ.get("PDRR_TORTURE", "5")))
"""How many cases of a property are tried."""


def answer(function, *arguments):
    """What a function gives; None if it refuses in a line of its own. Warnings are errors."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return function(*arguments)
    except ValueError as error:
        if "needs" in str(error) and "\n" not in str(error):
            return None
        raise


# models

LARGE = {np.float32: (1e30, 1e38, 3.4e38), np.float64: (1e38, 1e160, 1e200, 1e308, 1.79e308)}
TINY = {np.float32: (1e-38, 1e-45), np.float64: (1e-160, 1e-200, 1e-308, 5e-324)}
KINDS = ("normal", "ties", "zero", "equal", "clones", "still")


@dataclass
class Sent:
    """A round, and which of its models are finite."""

    clients: np.ndarray
    previous: np.ndarray
    finite: np.ndarray
    seed: int

    @property
    def round(self) -> Round:
        return Round(self.clients, self.previous)


def base(kind, rng, k, d):
    """Models [k + 1, d] as they might come; the last one stands for the previous model."""
    if kind == "zero":
        return np.zeros((k + 1, d))
    if kind == "equal":
        return np.full((k + 1, d), rng.normal())
    x = rng.normal(size=(k + 1, d))
    if kind == "ties":
        x = np.round(x)
    if kind == "still":
        x[:, ::3] = x[-1, ::3]
    if kind == "clones":
        x[: k // 2 + 1] = x[0]
    return x


@st.composite
def sent(draw, min_k=1, max_k=12, max_d=40, spoiled=("nan", "inf", "large", "tiny")):
    """A round of which some rows, columns or values are spoiled."""
    k, seed = draw(st.integers(min_k, max_k)), draw(st.integers(0, 2**32 - 1))
    d = draw(st.one_of(st.integers(1, max_d), st.sampled_from([1, 127, 128, 129])))
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    rng = np.random.default_rng(seed)
    x = base(draw(st.sampled_from(KINDS)), rng, k, d)
    shrunk = draw(st.sampled_from([0, 0, 0, -100, 90, *((-500, 500, 990) * (dtype == np.float64))]))
    x = (x * 2.0**shrunk).astype(dtype)
    for what in draw(st.lists(st.sampled_from(spoiled), max_size=3)):
        spoil(x[:k], what, rng, dtype)
    previous = x[k].copy()
    if draw(st.booleans()):
        previous[:] = 0
    clients = layout(x[:k].copy(), draw(st.sampled_from(LAYOUTS)))
    return Sent(clients, previous, np.isfinite(clients).all(axis=1), seed)


def spoil(x, what, rng, dtype):
    """Some values of some models are not as they should be."""
    values = {
        "nan": (np.nan,),
        "inf": (np.inf, -np.inf),
        "large": LARGE[dtype],
        "tiny": TINY[dtype],
    }
    value = rng.choice(values[what]) * rng.choice([-1, 1])
    rows = rng.random(len(x)) < rng.choice([0.1, 0.3, 0.6, 1.0])
    rows[rng.integers(len(x))] = True
    cols = rng.random(x.shape[1]) < rng.choice([0.01, 0.5, 1.0])
    cols[rng.integers(x.shape[1])] = True
    signs = rng.choice([-1.0, 1.0], x.shape)
    x[np.ix_(rows, cols)] = (value * signs)[np.ix_(rows, cols)].astype(dtype)


LAYOUTS = ("C", "F", "rows", "columns", "backwards", "read-only")


def layout(x, name):
    """The same values as another layout in memory has them."""
    if name == "F":
        return np.asfortranarray(x)
    if name == "rows":
        return np.repeat(x, 2, axis=0)[::2]
    if name == "columns":
        return np.repeat(x, 2, axis=1)[:, ::2]
    if name == "backwards":
        return x[::-1].copy()[::-1]
    if name == "read-only":
        x.flags.writeable = False
    return x


def whole(seed, k, d, dtype=np.float64):
    """Models of whole numbers: differences and sums are exact; the last is the previous one."""
    x = np.random.default_rng(seed).integers(-1000, 1000, (k + 1, d)).astype(dtype)
    x[:, ::3] = x[-1, ::3]
    return x


# who receives them


def c_of(k):
    """What Krum may tolerate, half of it."""
    return max(0, (k - 3) // 2)


AGGREGATORS: dict[str, Any] = {
    "mean": lambda x: pdrr.mean(x),
    "median": lambda x: pdrr.median(x),
    "trimmed_mean": lambda x: pdrr.trimmed_mean(x, beta=(len(x) - 1) // 3),
    "trimmed_mean of all": lambda x: pdrr.trimmed_mean(x, beta=0),
    "krum": lambda x: pdrr.krum(x, c=c_of(len(x))),
    "krum of all": lambda x: pdrr.krum(x, c=0),
    "bulyan": lambda x: pdrr.bulyan(x, c=max(0, (len(x) - 3) // 4)),
}


def own(rule, k):
    """The rule's setting for k models."""
    settings = {"krum": {"c": c_of(k)}, "trimmed_mean": {"beta": (k - 1) // 3}}
    return settings.get(rule, {})


class Trainer:
    """Stands for a network: training moves each weight a little."""

    def train(self, start, _x, _y, _rng):
        return (start + np.float32(0.1)).astype(np.float32)

    def logits(self, model, x):
        with np.errstate(over="ignore", invalid="ignore"):
            return np.stack([x @ model[: x.shape[1]], np.zeros(len(x))], axis=1)


IMAGES = np.random.default_rng(0).random((6, 1)), np.array([0, 1, 0, 1, 1, 0])


def rng():
    return np.random.default_rng(0)


JUDGES: dict[str, Any] = {
    "AlignIns": lambda _: align_ins.AlignIns(),
    "DnC": lambda o: dnc.DnC(c=c_of(o.k), rng=rng()),
    "FLAME": lambda _: flame.FLAME(rng=rng()),
    "FLDetector": lambda _: fldetector.FLDetector(rng=rng(), window=1),
    "FLTrust": lambda _: fl_trust.FLTrust(network=Trainer(), auxiliary=IMAGES, rng=rng()),
    "FoolsGold": lambda _: foolsgold.FoolsGold(),
    "FoolsGold, sums": lambda _: foolsgold.FoolsGold(total=True),
    "LASA": lambda o: lasa.LASA(layers=[(0, (o.d + 1) // 2, 2), ((o.d + 1) // 2, o.d, 1)]),
    "MANDERA": lambda _: mandera.Mandera(rng=rng()),
    "Multi-Krum": lambda o: multi_krum.MultiKrum(c=c_of(o.k), rng=rng()),
    "NNM": lambda o: nnm.NNM(c=(o.k - 1) // 3),
    "RFA": lambda _: rfa.RFA(),
    "SignGuard": lambda _: sign_guard.SignGuard(rng=rng()),
    "SignGuard-Sim": lambda _: sign_guard.SignGuard(rng=rng(), similar=True),
    **{
        f"co-trimming, {rule}": lambda o, rule=rule: improved(rule, **own(rule, o.k))
        for rule in ("krum", "trimmed_mean", "median")
    },
}
DETECTORS: dict[str, Any] = {
    **{
        f"PDRR, {rule}": lambda o, rule=rule: PDRR(rule, q=0.9, **own(rule, o.k))
        for rule in ("krum", "trimmed_mean", "median")
    },
    "PDRR, all coordinates": lambda _: PDRR("median", q=0.5, zero_change=True),
    **JUDGES,
}
SERVING = {
    f"serving, {rule}": lambda _, rule=rule, own=own: Defence(rule, q=0.9, **own)
    for rule, own in (("krum", {"c": 0.3}), ("trimmed_mean", {"beta": 0.3}), ("median", {}))
}
LEFT_OUT = ("mean", "krum", "trimmed_mean", "median")


def left_out(observed, rule):
    """The rule on all models but one, each in turn: [k, d]."""
    settings = own(rule, observed.k - 1)
    return list(leave_one_out(observed, rule, **settings))


def rejected(observed, rule):
    """LFR with a network that cannot fail."""
    settings = {"beta": 0} if rule == "trimmed_mean" else {}
    scheme = LFR(rule, network=Trainer(), auxiliary=IMAGES, c=0, rng=rng(), **settings)
    return scheme.detect(observed)


def attack(name, observed, byzantine, knowledge):
    """The round under an attack, by its name."""
    entry = attacking.attacks()[name]
    k, c = observed.k, int(byzantine.sum())
    given = {"rule": "median", "c": c, "beta": (k - 1) // 3, "b": 1.05, "memory": {}}
    given |= {"epsilon": 1e-7, "noise": "ball", "before": observed.previous * 0.5}
    given |= {"flipped": np.repeat(observed.previous[None, :], c, axis=0)}
    taken = {word: given[word] for word in entry.takes}
    return entry.function(observed, byzantine, knowledge=knowledge, rng=rng(), **taken)


# homes


def homes():
    """The array libraries that are installed: name -> function that brings an array there."""
    found: dict[str, Any] = {"numpy": np.asarray}
    for name in ("array_api_strict", "jax.numpy", "torch", "dask.array"):
        try:
            library = importlib.import_module(name)
        except ImportError:
            continue
        found[name] = library.asarray
    return found


def at_home(sent, bring):
    """The round in another library."""
    return replace(
        sent, clients=bring(np.ascontiguousarray(sent.clients)), previous=bring(sent.previous)
    )
