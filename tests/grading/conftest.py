"""The tiny assignment, and marks without a process for each submission."""

import pytest

from helpers import tiny_assignment
from pdrr.grading import assignments, sandbox


@pytest.fixture(scope="session")
def tiny():
    return assignments.assignment("tiny", tiny_assignment.source())


@pytest.fixture
def here(monkeypatch):
    """Cells of submissions run in this process."""
    monkeypatch.setattr(sandbox, "run", tiny_assignment.run_here)
