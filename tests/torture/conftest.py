"""Says how many cases were tried."""

from helpers.hostile_models import TRIED


def pytest_terminal_summary(terminalreporter):
    """The number of cases by function."""
    if TRIED:
        told = ", ".join(f"{name} {n}" for name, n in sorted(TRIED.items()))
        terminalreporter.write_line(f"{TRIED.total():,} cases of hostile models: {told}")
