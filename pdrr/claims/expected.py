"""The paper's claims and numbers, and the conditions they are judged by: ``expected.yaml``."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Annotated, Any

import yaml
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from pdrr.claims import column_measures, cost_measures  # noqa: F401, the claims call their measures
from pdrr.claims.measures import MEASURES

PAPER = "paper"  # the profile of the claims that name none
ARITHMETIC = ("increases", "quotients")  # measures of the paper's own numbers, of no records
STRICT = ConfigDict(extra="forbid", strict=True)
Text = Annotated[str, Field(min_length=1)]
Row = dict[str, float | list[float]]


@dataclass(frozen=True, config=STRICT)
class Tables:
    """The numbers and words that the paper prints in its tables."""

    rounds: list[int]  # of tables 1 and 2
    table1: dict[str, dict[str, list[float]]]  # scheme: FAR and MAR at the rounds
    table2: dict[str, dict[str, list[float]]]
    table3: dict[str, dict[str, float]]  # scheme: seconds under the attack on each rule
    table4: dict[str, dict[str, str]]  # scheme: words


@dataclass(frozen=True, config=STRICT)
class Condition:
    """What every cell has to meet: all that is given here."""

    equals: float | None = None
    below: float | None = None
    above: float | None = None
    at_most: float | None = None
    at_least: float | None = None
    within: float | None = None  # of the paper's value, absolute
    factor: float | None = None  # of the paper's value, either way
    holds: bool = False  # the measure itself says whether the cell meets the claim

    def met(self, value: float, expected: float | None) -> bool:
        """Whether a cell meets it; `expected` is the paper's value. NaN meets nothing."""
        near = value == value
        if self.within is not None:
            near = abs(value - float(expected or 0)) <= self.within + 1e-9
        if self.factor is not None and expected:
            near = 1 / self.factor <= value / expected <= self.factor
        return bool(
            near
            and (self.equals is None or value == self.equals)
            and (self.below is None or value < self.below)
            and (self.above is None or value > self.above)
            and (self.at_most is None or value <= self.at_most)
            and (self.at_least is None or value >= self.at_least)
            and (not self.holds or value)
        )

    def __str__(self) -> str:
        words = {
            "equals": "exactly {}",
            "below": "below {}",
            "above": "above {}",
            "at_most": "at most {}",
            "at_least": "at least {}",
            "within": "within {} of the paper's",
            "factor": "within a factor of {} of the paper's",
        }
        given = [(text, getattr(self, name)) for name, text in words.items()]
        return ", ".join(text.format(_plain(value)) for text, value in given if value is not None)


def _plain(value: float) -> str:
    """Whole numbers with all their digits: "6,603,710"."""
    return f"{value:,.0f}" if abs(value) >= 1000 and value == int(value) else f"{value:g}"


@dataclass(frozen=True, config=STRICT, kw_only=True)
class Check:
    """What is measured of which records, and what has to come out.

    Attributes
    ----------
    records : mapping
        Which records it speaks of, and of each, which part: values of columns.
    where : mapping
        The same, for all of them. A list asks for all its values.
    measure, arguments : str, mapping
        A function of `pdrr.claims.measures`: the records -> one value per cell.
    condition : Condition
    expected : mapping
        The paper's values of the cells, in their order.
    profile : str
        Whose records.
    """

    records: dict[str, dict[str, Any]] = Field(default_factory=dict)
    where: dict[str, Any] = Field(default_factory=dict)
    measure: str | None = None
    arguments: dict[str, Any] = Field(default_factory=dict)
    condition: Condition = Field(default_factory=Condition)
    expected: Row = Field(default_factory=dict)
    profile: str = PAPER


@dataclass(frozen=True, config=STRICT, kw_only=True)
class Claim(Check):
    """One statement of the paper and how it is judged.

    Attributes
    ----------
    id, section, page : str
        Its name; where the paper says it; the page of the book that shows it.
    text, paper : str
        The statement, and the paper's number or words; `expected` printed if there is no `paper`.
    why : str
        Why this condition; of a claim that is not measured, why not.
    ours : str
        What to print of the cells: {span}, {met}, {all}, {cells}, {row}, {labels};
        {device}. The profile is added if it is not the paper's.
    part_of : str
        Id of a claim that says as much or more: shown, and not counted again.
    by_construction : bool
        True of how the program is made, whatever is measured: shown, and not counted.
    comparable, reason : bool, str
        Whether ours are numbers of the same thing as the paper's; if not, why not.
    """

    id: Text
    section: Text
    page: Text
    text: Text
    why: Text
    paper: str = ""
    ours: str = "{met} of {all}"
    part_of: str = ""
    by_construction: bool = False
    comparable: bool = True
    reason: str = ""

    @property
    def counted(self) -> bool:
        """Whether its verdict counts."""
        return not self.whole

    @property
    def whole(self) -> str:
        """Why it does not count: the id of what it is part of, or a word; empty if it does."""
        arithmetic = "arithmetic" if self.measure in ARITHMETIC else ""
        return self.part_of or ("by construction" if self.by_construction else arithmetic)

    @property
    def tolerance(self) -> str:
        """The condition in words, and why it is what it is."""
        return ": ".join(filter(None, [str(self.condition), self.why]))


@dataclass(frozen=True, config=STRICT)
class Expected:
    """All of ``expected.yaml``.

    Attributes
    ----------
    noise : list of str
        The readings of epsilon: the one that the claims are judged on, then the other.
    tables : Tables
    claims : list of Claim
    """

    noise: list[str]
    tables: Tables
    claims: list[Claim]


@cache
def expected() -> Expected:
    """The paper's numbers and claims, checked."""
    return parse(resources.files("pdrr.claims").joinpath("expected.yaml").read_text("utf-8"))


def parse(text: str) -> Expected:
    """Numbers and claims from YAML; ValueError in one line, naming the claim, if they are wrong."""
    try:
        content = yaml.safe_load(text)
        found = TypeAdapter(Expected).validate_json(json.dumps(content))  # strict, but not of types
    except yaml.YAMLError as error:
        raise ValueError(f"expected.yaml: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        first = error.errors()[0]
        path = [str(part) for part in first["loc"]]
        if path[:1] == ["claims"] and len(path) > 1:
            named = content["claims"][int(path[1])]
            path[1] = str(named.get("id", path[1])) if isinstance(named, Mapping) else path[1]
        raise ValueError(f"expected.yaml: {'.'.join(path)}: {first['msg'].lower()}") from error
    seen: set[str] = set()
    for claim in found.claims:
        _check(claim, seen)
        seen.add(claim.id)
    whole = {claim.id for claim in found.claims if not claim.part_of}
    for claim in found.claims:
        if claim.part_of and claim.part_of not in whole - {claim.id}:
            raise ValueError(
                f"expected.yaml: {claim.id}: part_of needs the id of a claim that is no part"
                f" itself, got {claim.part_of!r}"
            )
    return found


def _check(claim: Claim, seen: set[str]) -> None:
    where = f"expected.yaml: {claim.id}"
    if claim.id in seen:
        raise ValueError(f"{where}: two claims have this id")
    if not (claim.paper or claim.expected):
        raise ValueError(f"{where}: needs the paper's words or numbers")
    if claim.comparable == bool(claim.reason):
        raise ValueError(f"{where}: needs a reason if, and only if, it is not comparable")
    if claim.measure is not None:
        can_be_judged(claim, where)


def can_be_judged(check: Check, where: str) -> None:
    """ValueError, beginning with `where`, if a check's measure is unknown or wrongly called."""
    if check.measure not in MEASURES:
        raise ValueError(f"{where}: no measure {check.measure!r}, only {', '.join(MEASURES)}")
    try:
        inspect.signature(MEASURES[check.measure]).bind(None, **check.arguments)
    except TypeError as error:
        raise ValueError(f"{where}: {check.measure}: {error}") from error
    records = check.records or check.measure in ARITHMETIC
    if not records or check.condition == Condition():
        raise ValueError(f"{where}: needs records and a condition")
