"""Says how often what was tried."""

from helpers.hostile_models import TRIED
from helpers.small_book import TRIALS


def pytest_terminal_summary(terminalreporter):
    """The counts by name, and their sums."""
    for what, counts in (("hostile models", TRIED), ("faults of machines", TRIALS)):
        if counts:
            terminalreporter.section(f"{counts.total():,} cases of {what}")
            for name, n in sorted(counts.items()):
                terminalreporter.write_line(f"{n:>9,}  {name}")
