"""Numbers as a reader sees them: one place for every form of a number."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pdrr.core.rules import RULES

KEPT = re.compile(r"(<code.*?</code>|<[a-z/][^>]*>)", re.S)  # of HTML
POWER = re.compile(r"(?<![\w.])(?:1|(\d(?:\.\d+)?))e(?:\+|(-))0*(\d+)\b")
ALONE = r"(?<![\w.)-])"  # no hyphen of a date or a name
ZERO = re.compile(ALONE + r"[+-](?=0(?:\.0+)?(?!\.?\d))")
MINUS = re.compile(ALONE + r"-(?=\.?\d)")
APOSTROPHE = re.compile(r"(?<=[a-z])(?:'|&#x27;|&#39;)(?=[a-z\s])", re.I)
TYPESET = re.compile(r"(?:(\d(?:\.\d+)?)\u00a0×\u00a0|\b)10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)")
PLAIN, HIGH = "-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"
RAISED, LOWERED = str.maketrans(PLAIN, HIGH), str.maketrans(HIGH, PLAIN)


def typeset(text: str) -> str:
    """A text as it is printed: a true minus, no sign before 0, powers of ten, round apostrophes.

    What HTML marks, and its code, stays as it is.

    Examples
    --------
    >>> from pdrr.claims.words import typeset
    >>> typeset("-0.20 to -0.00; <code>-p epsilon 1e-07</code>")
    '−0.20 to 0.00; <code>-p epsilon 1e-07</code>'
    >>> typeset("1e-07")
    '10⁻⁷'
    """
    parts = KEPT.split(text)
    parts[::2] = [
        APOSTROPHE.sub("’", MINUS.sub("−", ZERO.sub("", POWER.sub(_power, part))))
        for part in parts[::2]
    ]
    return "".join(parts)


def _power(number: re.Match[str]) -> str:
    factor = f"{number[1]}\u00a0×\u00a0" if number[1] else ""
    return f"{factor}10{((number[2] or '') + number[3]).translate(RAISED)}"


def machine_readable(text: str) -> str:
    """The same text with its numbers as a program reads them.

    Examples
    --------
    >>> from pdrr.claims.words import machine_readable
    >>> machine_readable("−0.20 to 3\u00a0×\u00a010⁻⁵, 10⁻⁷")
    '-0.20 to 3e-5, 1e-7'
    """
    plain = TYPESET.sub(lambda x: f"{x[1] or 1}e{x[2].translate(LOWERED)}", text)
    return re.sub(r"−(?=\.?\d)", "-", plain).replace("’", "'")


def short(rate: float) -> str:
    """A rate in two digits: "0.33"; 0 and 1 as they are."""
    return f"{rate:.0f}" if rate in (0, 1) else f"{rate:.2f}"


def listed(names: Iterable[object]) -> str:
    """ "a, b and c"."""
    *first, last = map(str, names)
    return f"{', '.join(first)} and {last}" if first else last


def span(values: Any, form: str = "{:.2f}") -> str:
    """Smallest to largest, or one number if they look the same."""
    low, high = (typeset(form.format(end)) for end in (np.min(values), np.max(values)))
    return low if low == high else f"{low} to {high}"


def wide_span(values: Any) -> str:
    """The same for numbers of any size: two digits, all before the point, a count as it is."""
    low, high = _of_any_size(np.min(values)), _of_any_size(np.max(values))
    return low if low == high else f"{low} to {high}"


def digits(value: float, significant: int = 3) -> str:
    """As many digits as count, also if the last is 0; none behind the point of a large number."""
    if value == 0 or value >= 10 ** (significant - 1):
        return f"{value:,.0f}"
    return f"{value:#.{significant}g}".rstrip(".")


def seconds(value: float) -> str:
    """Seconds in a unit in which they can be read; a dash where there are none."""
    if np.isnan(value):
        return "–"
    return f"{digits(value)} s" if value >= 1 else f"{digits(1000 * value)} ms"


def bounds(low: float, high: float, places: int = 2) -> str:
    """The ends of an interval, in the one form that tables have: "0.05–0.20"."""
    return typeset(f"{low:.{places}f}–{high:.{places}f}")


def interval(low: float, high: float) -> str:
    """A range of thresholds, the first end not included; "none" if it is empty or there is none."""
    return bounds(low, high, 3) if low < high else "none"


def row(cells: Mapping[str, Any]) -> str:
    """Numbers in groups by their labels' first words: "FAR 0, 0.33; MAR 0, 0.5".

    Several numbers of one label are the seeds': their mean, and their span if they differ.
    """
    groups: dict[str, list[tuple[float, float, float]]] = {}
    for label, values in cells.items():
        name = re.sub(r"(?: at round)? \d+$", "", label)
        groups.setdefault(RULES[name].words if name in RULES else name, []).append(
            (float(np.mean(values)), float(np.min(values)), float(np.max(values)))
        )
    between = ", " if all(len(numbers) == 1 for numbers in groups.values()) else "; "
    needed = max(_places(x) for numbers in groups.values() for row in numbers for x in row)
    return between.join(f"{name} {_printed(own, needed)}" for name, own in groups.items())


def each(cells: pd.Series) -> str:
    """Every number behind its label: "Krum 0.50, median 0.25"; "share 0.5: 0.00"."""
    colon = ":" if any(str(label)[-1:].isdigit() for label in cells.index) else ""
    return ", ".join(f"{label}{colon} {value:.2f}" for label, value in cells.items())


def some(labels: Sequence[str], most: int = 5) -> str:
    """A list that is not too long: "a, b and 7 more"."""
    shown = ", ".join(labels[:most])
    return shown if len(labels) <= most else f"{shown} and {len(labels) - most} more"


def apart(labels: Sequence[str]) -> list[str]:
    """Labels of runs without what all of them say: "seed 1, round 2" is "round 2" if all are of 1.

    Without the attack, which the rule tells, and a beta where there is none; a rule and what an
    attacker knows as one says it.
    """
    parts = [
        [
            re.sub(r"^rule |^knowledge (\w+)", lambda x: f"{x[1]} knowledge" if x[1] else "", part)
            for part in label.split(", ")
        ]
        for label in labels
    ]
    common = set(parts[0]).intersection(*parts) if len(parts) > 1 else set()
    said = [
        [p for p in own if p not in common and p != "beta -1" and not p.startswith("attack ")]
        for own in parts
    ]
    return [" ".join(own) or label for own, label in zip(said, labels, strict=True)]


def probability(value: float) -> str:
    """To two digits, never 0 and never 1."""
    return "<0.01" if value < 0.005 else ">0.99" if value >= 0.995 else f"{value:.2f}"


def _printed(numbers: Sequence[tuple[float, float, float]], needed: int) -> str:
    """Means, each with its ends if they differ, with so many digits behind the point."""

    def form(value: float) -> str:
        most = 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
        return f"{value:.0f}" if value in (0, 1) else f"{value:,.{min(needed, most)}f}"

    rows = [tuple(map(form, row)) for row in numbers]
    return ", ".join(m if low == high else f"{m} ({low}–{high})" for m, low, high in rows)


def _places(value: float) -> int:
    """Digits behind the point that a number needs: two of a rate, three of others count."""
    if abs(value) < 1:
        return 2 if value else 0
    return len(f"{value:.3g}".partition(".")[2])


def _of_any_size(value: float) -> str:
    if abs(value) >= 100 or np.asarray(value).dtype.kind == "i":
        return f"{value:,.0f}"
    if 0 < abs(value) < 0.005:
        return f"{value:.0e}" if abs(value) < 0.001 else f"{value:.1g}"
    return f"{value:.2f}"
