"""What tests of experiments share: the miniature federation, and a cache for each module."""

import pytest

from helpers import miniature
from pdrr.federation.store import Store


@pytest.fixture
def small(monkeypatch):
    """Every experiment trains on the miniature."""
    miniature.use(monkeypatch)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("cache"))
