"""Numbers as a reader sees them: one place for every form of a number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pdrr.core.rules import RULES


def short(rate: float) -> str:
    """A rate in two digits without the zero before the point: ".33"; 0 and 1 as they are."""
    return f"{rate:.0f}" if rate in (0, 1) else f"{rate:.2f}".removeprefix("0")


def span(values: Any, form: str = "{:.2f}") -> str:
    """Smallest to largest, or one number if they look the same."""
    low, high = form.format(np.min(values)), form.format(np.max(values))
    return low if low == high else f"{low} to {high}"


def wide_span(values: Any) -> str:
    """The same for numbers of any size, small or large: two digits, or all before the point."""
    low, high = _of_any_size(np.min(values)), _of_any_size(np.max(values))
    return low if low == high else f"{low} to {high}"


def digits(value: float, significant: int = 3) -> str:
    """As many digits as count, none behind the point where they are not needed."""
    if value >= 10 ** (significant - 1):
        return f"{value:,.0f}"
    return f"{value:.{significant}g}"


def seconds(value: float) -> str:
    """Seconds in a unit in which they can be read; a dash where there are none."""
    if np.isnan(value):
        return "–"
    return f"{digits(value)} s" if value >= 1 else f"{digits(1000 * value)} ms"


def bounds(low: float, high: float, places: int = 2) -> str:
    """The ends of an interval, in the one form that tables have: "0.05–0.20"."""
    return f"{low:.{places}f}–{high:.{places}f}".replace("-", "−")


def interval(low: float, high: float) -> str:
    """A range of thresholds, the first end not included; "none" if it is empty or there is none."""
    return bounds(low, high, 3) if low < high else "none"


def row(cells: Mapping[str, Any]) -> str:
    """Numbers in groups by their labels' first words: "FAR 0 0.33, MAR 0 0.5".

    Several numbers of one label are the seeds': their mean, and their span if they differ.
    """
    groups: dict[str, list[str]] = {}
    for label, values in cells.items():
        name, _, last = label.rpartition(" ")
        rule = RULES[label].words if label in RULES else label
        low, high = _printed(np.min(values)), _printed(np.max(values))
        mean = _printed(float(np.mean(values)))
        groups.setdefault(name if last.isdigit() else rule, []).append(
            mean if low == high else f"{mean} ({low}–{high})"
        )
    return ", ".join(f"{name} {' '.join(numbers)}" for name, numbers in groups.items())


def some(labels: Sequence[str], most: int = 5) -> str:
    """A list that is not too long: "a, b and 7 more"."""
    shown = ", ".join(labels[:most])
    return shown if len(labels) <= most else f"{shown} and {len(labels) - most} more"


def apart(labels: Sequence[str]) -> list[str]:
    """Labels of runs without what all of them say: "seed 1, round 2" is "round 2" if all are of 1.

    Without the attack, which the rule tells, and a beta where there is none.
    """
    parts = [label.split(", ") for label in labels]
    common = set(parts[0]).intersection(*parts) if len(parts) > 1 else set()
    said = [
        [p for p in own if p not in common and p != "beta -1" and not p.startswith("attack ")]
        for own in parts
    ]
    return [" ".join(own) or label for own, label in zip(said, labels, strict=True)]


def probability(value: float) -> str:
    """To two digits, never 0 and never 1."""
    return "<0.01" if value < 0.005 else ">0.99" if value >= 0.995 else f"{value:.2f}"


def _printed(value: float) -> str:
    """As the paper prints its numbers."""
    return f"{value:.3g}" if abs(value) >= 1 else f"{value:.2f}".rstrip("0").rstrip(".")


def _of_any_size(value: float) -> str:
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1g}" if 0 < abs(value) < 0.005 else f"{value:.2f}"
