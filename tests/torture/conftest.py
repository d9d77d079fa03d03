"""Says how often what was tried, over all processes that ran tests."""

from collections import Counter

import pytest

from helpers.hostile_models import TRIED
from helpers.small_book import TRIALS

COUNTED = {"hostile models": TRIED, "faults of machines": TRIALS}


def pytest_sessionfinish(session):
    """A worker hands its counts to the process that prints the summary."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["tried"] = {what: dict(n) for what, n in COUNTED.items()}


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_testnodedown(node):
    """The counts of a worker that has ended; one that was killed has none."""
    for what, counts in getattr(node, "workeroutput", {}).get("tried", {}).items():
        COUNTED[what].update(Counter(counts))


def pytest_terminal_summary(terminalreporter):
    """The counts by name, and their sums."""
    for what, counts in COUNTED.items():
        if counts:
            terminalreporter.section(f"{counts.total():,} cases of {what}")
            for name, n in sorted(counts.items()):
                terminalreporter.write_line(f"{n:>9,}  {name}")
