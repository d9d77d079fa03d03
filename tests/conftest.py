"""What every test shares: the array libraries, and reproducible hypothesis runs."""

import importlib

import pytest
from hypothesis import settings

settings.register_profile("pdrr", deadline=None, derandomize=True, max_examples=50, database=None)
settings.load_profile("pdrr")


@pytest.fixture(params=["numpy", "array_api_strict"])
def xp(request):
    """An array library: the same test must pass on each."""
    return importlib.import_module(request.param)
