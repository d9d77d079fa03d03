"""The paper's claims against recorded results: reproduced, partly, or not.

A claim is judged on every recorded run it speaks of. Reproduced: all runs meet its tolerance.
Partly: some do. The tolerances stand with the claims; none was chosen to make one pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pdrr.records import Records

SUBEQUAL = 0.05  # "subequal", "almost close to": within 5 % of the largest value


@dataclass(frozen=True)
class Claim:
    """One statement of the paper and how it is judged.

    Attributes
    ----------
    stem : str
        The figure it belongs to, which names its records.
    text, paper : str
        The statement, and the paper's number or words.
    part : mapping
        Which recorded runs it speaks of.
    measure : callable
        One run's Records -> what we got, as a number or a short text.
    holds : callable
        That value -> whether the claim holds for the run.
    show : callable
        The values of all runs -> text of the table.
    """

    stem: str
    text: str
    paper: str
    part: dict[str, object]
    measure: Callable[[Records], float]
    holds: Callable[[float], bool]
    show: Callable[[Sequence[float]], str]


def _statistic(run: Records, malicious: bool) -> pd.Series:
    return run.table.loc[run.table["byzantine"] == malicious, "statistic"]


def _span(values: Sequence[float]) -> str:
    low, high = min(values), max(values)
    return f"{low:.2f}" if f"{low:.2f}" == f"{high:.2f}" else f"{low:.2f} to {high:.2f}"


def _rates(run: Records) -> float:
    """FAR and MAR as one number: 0 only if both are."""
    return float(max(run.runs["far"].iloc[0], run.runs["mar"].iloc[0]))


def _length(run: Records) -> float:
    """Length of the q range, 0 if there is none."""
    return float((run.runs["q_high"] - run.runs["q_low"]).astype(float).fillna(0).iloc[0])


def _share_of_largest(run: Records) -> float:
    return float(_statistic(run, True).max() / run.table["statistic"].max())


def _covers_the_papers_range(run: Records) -> float:
    low, high = (round(float(run.runs[end].iloc[0]), 2) for end in ("q_low", "q_high"))
    return float(low <= 0.1 and high >= 0.99)  # to the paper's two digits


FIG4 = {"c": 10, "knowledge": "full", "noise": "coordinate"}
FIG4_BALL = {**FIG4, "noise": "ball"}
FIG6 = {"c": 10, "knowledge": "full", "beta": 5}
TABLES = {"c": 20, "knowledge": "partial"}

CLAIMS = [
    Claim(
        "fig04",
        "Krum, benign models: correlation below 0.1",
        "< 0.1",
        FIG4,
        lambda run: _statistic(run, False).max(),
        lambda rho: rho < 0.1,
        lambda values: f"largest {_span(values)}",
    ),
    *(
        claim
        for reading, part in (
            ("", FIG4),
            (", if ε is the radius of a ball", FIG4_BALL),
        )
        for claim in (
            Claim(
                "fig04",
                f"Krum, malicious models: correlation close to 1{reading}",
                "≈ 1",
                part,
                lambda run: _statistic(run, True).min(),
                lambda rho: rho > 1 - SUBEQUAL,
                lambda values: f"smallest {_span(values)}",
            ),
            Claim(
                "fig04",
                f"Krum: any q in [0.1, 0.99] detects all{reading}",
                "[0.1, 0.99]",
                part,
                _covers_the_papers_range,
                bool,
                lambda values: f"{sum(map(int, values))} of {len(values)} runs",
            ),
        )
    ),
    Claim(
        "fig05",
        "Trimmed mean: counts over all coordinates do not separate",
        "no suitable q",
        FIG6,
        _length,
        lambda length: length == 0,
        lambda values: f"q range of length {_span(values)}",
    ),
    Claim(
        "fig06",
        "Trimmed mean: without zero-change coordinates they do",
        "a suitable q",
        FIG6,
        _length,
        lambda length: length > 0,
        lambda values: f"q range of length {_span(values)}",
    ),
    Claim(
        "fig06",
        "Trimmed mean: malicious counts are subequal",
        "subequal",
        FIG6,
        lambda run: float(_statistic(run, True).min() / _statistic(run, True).max()),
        lambda ratio: ratio > 1 - SUBEQUAL,
        lambda values: f"smallest / largest {_span(values)}",
    ),
    Claim(
        "fig07",
        "Median: malicious models supply almost no middle values",
        "≈ 0",
        {"c": 10, "knowledge": "full"},
        _share_of_largest,
        lambda share: share < SUBEQUAL,
        lambda values: f"{_span(values)} of the largest count",
    ),
    *(
        Claim(
            stem,
            f"PDRR on {name}, c = 20, partial knowledge, round 1: no error",
            "FAR 0, MAR 0",
            {**TABLES, **own},
            _rates,
            lambda worst: worst == 0,
            lambda values: f"{sum(v == 0 for v in values)} of {len(values)} runs without error",
        )
        for stem, name, own in (
            ("fig04", "Krum", {"noise": "coordinate"}),
            ("fig06", "trimmed mean (β = 10)", {"beta": 10}),
            ("fig07", "median", {}),
        )
    ),
]


def judge(claim: Claim, folder: Path) -> dict[str, str]:
    """One row of the table: verdict, claim, the paper's value, ours, the figure."""
    recorded = Records.load(folder, claim.stem).where(**claim.part)
    values = [claim.measure(recorded.where(seed=seed)) for seed in recorded.runs["seed"]]
    met = [claim.holds(value) for value in values]
    return {
        "verdict": "reproduced" if all(met) else "partly" if any(met) else "not",
        "claim": claim.text,
        "paper": claim.paper,
        "ours": claim.show(values),
        "figure": claim.stem,
    }


def table(folder: Path) -> pd.DataFrame:
    """All claims judged on the records in `folder`, a row each."""
    return pd.DataFrame([judge(claim, folder) for claim in CLAIMS])
