"""What a correct function does: one published contract for the coursework and for this package.

Each check calls a function on small cases with known answers and raises an AssertionError if an
answer is wrong. The message names the mistake where it is a known one: "your Krum counts a
model's distance to itself". The package's own tests hold its own functions to the same contracts.

>>> from pdrr import krum
>>> from pdrr.contracts import check_aggregator
>>> check_aggregator(krum, "krum")
"""

from pdrr.contracts.aggregation import (
    check_aggregator,
    check_breakdown,
    check_edges,
    check_lie,
    check_selection,
)
from pdrr.contracts.attacking import (
    check_damage,
    check_direction,
    check_lambda_search,
    check_simulation,
    check_zero_change,
)
from pdrr.contracts.detection import check_far, check_mar, check_q_range, check_scores
from pdrr.contracts.extremes import check_extremes
from pdrr.contracts.judging import check_own_work
from pdrr.contracts.krum import check_distances, check_krum_scores, check_precision
from pdrr.contracts.statistics import check_statistic, check_ties

__all__ = [
    "check_aggregator",
    "check_breakdown",
    "check_damage",
    "check_direction",
    "check_distances",
    "check_edges",
    "check_extremes",
    "check_far",
    "check_krum_scores",
    "check_lambda_search",
    "check_lie",
    "check_mar",
    "check_own_work",
    "check_precision",
    "check_q_range",
    "check_scores",
    "check_selection",
    "check_simulation",
    "check_statistic",
    "check_ties",
    "check_zero_change",
    "passed",
]


def passed() -> None:
    """Say that a check passes, on a line of its own: the last line of the coursework's checks.

    >>> from pdrr.contracts import passed
    >>> passed()
    This check passes.
    """
    print("This check passes.")
