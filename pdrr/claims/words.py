"""Numbers as a reader sees them: one place for every form of a number."""

from __future__ import annotations

from collections.abc import Mapping
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


def interval(low: float, high: float) -> str:
    """A range of thresholds, (low, high]; "none" if it is empty or there is none."""
    return f"({low:.3f}, {high:.3f}]" if low < high else "none"


def row(cells: Mapping[str, float]) -> str:
    """Numbers in groups by their labels' first words: "FAR 0 0.33, MAR 0 0.5"."""
    groups: dict[str, list[str]] = {}
    for label, value in cells.items():
        name, _, last = label.rpartition(" ")
        rule = RULES[label].words if label in RULES else label
        groups.setdefault(name if last.isdigit() else rule, []).append(_printed(value))
    return ", ".join(f"{name} {' '.join(numbers)}" for name, numbers in groups.items())


def _printed(value: float) -> str:
    """As the paper prints its numbers."""
    return f"{value:.3g}" if abs(value) >= 1 else f"{value:.2f}".rstrip("0").rstrip(".")


def _of_any_size(value: float) -> str:
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1g}" if 0 < abs(value) < 0.005 else f"{value:.2f}"
