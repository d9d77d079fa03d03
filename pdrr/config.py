"""Settings as frozen dataclasses, read from profiles: smoke, quick, paper.

One value lives in one place: `paper.yaml` states section 5.1 of the paper in full, the other
profiles name only what they do differently.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from functools import reduce
from importlib import resources
from typing import Annotated, Any, Literal

import yaml
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

STRICT = ConfigDict(extra="forbid", strict=True)
Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]

PROFILES = ("smoke", "quick", "paper")


@dataclass(frozen=True, config=STRICT)
class Data:
    """Where the clients' images come from."""

    source: str  # "glyphs", an .npz file or a LEAF folder
    writers: Count  # clients in the federation
    deduplicate: bool  # drop a writer's repeated images (LEAF writes the first one twice)


@dataclass(frozen=True, config=STRICT)
class Model:
    """The LEAF network's widths."""

    filters: Annotated[list[Count], Field(min_length=2, max_length=2)]
    units: Count


@dataclass(frozen=True, config=STRICT)
class Training:
    """Local training of one client."""

    batch: Count
    epochs: Count
    learning_rate: Positive


@dataclass(frozen=True, config=STRICT)
class Federation:
    """Who takes part."""

    k: Annotated[int, Field(ge=3)]  # clients in a round
    c: Count  # of these compromised, the first ones


@dataclass(frozen=True, config=STRICT)
class Attack:
    """What the attacker is free to choose."""

    epsilon: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    noise: Literal["ball", "coordinate"]
    b: Annotated[float, Field(gt=1, allow_inf_nan=False)]


@dataclass(frozen=True, config=STRICT)
class Thresholds:
    """The threshold q of PDRR for each rule; ``thresholds[rule]`` looks one up."""

    krum: Share
    trimmed_mean: Share
    median: Share

    def __getitem__(self, rule: str) -> float:
        values = asdict(self)
        if rule not in values:
            raise ValueError(f"q is set for {', '.join(values)}, got {rule!r}")
        return float(values[rule])


@dataclass(frozen=True, config=STRICT)
class Defense:
    """The server's choices: trimmed values per side, and the threshold q for each rule."""

    beta: Annotated[int, Field(ge=0)]
    q: Thresholds


@dataclass(frozen=True, config=STRICT)
class Baselines:
    """What VAE and DAGMM are trained on, and how long; the paper states none of it."""

    snapshots: Annotated[int, Field(ge=2)]  # each after training on half of the auxiliary images
    coordinates: Count  # weights of a model that they look at
    epochs: Count
    samples: Count  # L, draws of VAE's latent vector


@dataclass(frozen=True, config=STRICT)
class Evaluation:
    """When the schemes are compared."""

    rounds: Annotated[list[Count], Field(min_length=1)]


@dataclass(frozen=True, config=STRICT)
class Settings:
    """Everything a run depends on."""

    profile: str
    seed: Annotated[int, Field(ge=0)]
    data: Data
    model: Model
    training: Training
    federation: Federation
    attack: Attack
    defense: Defense
    baselines: Baselines
    evaluation: Evaluation

    def as_dict(self) -> dict[str, Any]:
        """Nested plain values, for keys and records."""
        return asdict(self)


def load(profile: str, overrides: Mapping[str, Any] | None = None) -> Settings:
    """Settings of a profile, changed where `overrides` says so.

    Parameters
    ----------
    profile : {"smoke", "quick", "paper"}
    overrides : mapping from dotted paths to values, such as ``{"federation.c": 10}``

    Raises
    ------
    ValueError
        In one line: an unknown profile, an unknown key with its path, or a value with what was
        needed and what was given.

    Examples
    --------
    >>> from pdrr import config
    >>> config.load("paper", {"federation.c": 10}).federation
    Federation(k=50, c=10)
    >>> config.load("paper", {"federation.d": 10})
    Traceback (most recent call last):
        ...
    ValueError: settings have no key 'federation.d'
    """
    values = _profile(profile)
    for path, value in (overrides or {}).items():
        *parents, leaf = path.split(".")
        try:
            node = reduce(lambda node, key: node[key], parents, values)
            node[leaf]  # a profile states every key
        except (KeyError, TypeError) as error:
            raise ValueError(f"settings have no key {path!r}") from error
        node[leaf] = value
    try:
        settings = TypeAdapter(Settings).validate_json(json.dumps({"profile": profile, **values}))
    except ValidationError as error:
        raise ValueError("; ".join(map(_one_line, error.errors()))) from error
    if settings.federation.k > settings.data.writers:
        raise ValueError(
            f"federation.k needs at most data.writers={settings.data.writers} clients,"
            f" got {settings.federation.k}"
        )
    if settings.federation.c >= settings.federation.k:
        raise ValueError(
            f"federation.c needs to be below federation.k={settings.federation.k},"
            f" got {settings.federation.c}"
        )
    return settings


def _profile(name: str) -> dict[str, Any]:
    if name not in PROFILES:
        raise ValueError(f"profile needs to be one of {', '.join(PROFILES)}, got {name!r}")
    text = resources.files("pdrr").joinpath("profiles", f"{name}.yaml").read_text("utf-8")
    own = yaml.safe_load(text)
    base = own.pop("base", None)
    return own if base is None else _merged(_profile(base), own)


def _merged(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    both = dict(base)
    for key, value in own.items():
        inner = base.get(key)
        both[key] = _merged(inner, value) if isinstance(inner, dict) else value
    return both


def _one_line(error: Any) -> str:
    path = ".".join(str(part) for part in error["loc"])
    if error["type"] == "unexpected_keyword_argument":
        return f"settings have no key {path!r}"
    if error["type"] == "missing":
        return f"settings need the key {path!r}"
    return f"{path}: {error['msg'].lower()}, got {error['input']!r}"
