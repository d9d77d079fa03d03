"""What every test shares: the array libraries, and reproducible hypothesis runs."""

import atexit
import importlib
import os
import shutil
import tempfile

import pytest
from hypothesis import settings

# a cache of their own: what tests train in miniature must never serve the reader's book
os.environ["PDRR_CACHE"] = tempfile.mkdtemp(prefix="pdrr-tests-")
atexit.register(shutil.rmtree, os.environ["PDRR_CACHE"], ignore_errors=True)

settings.register_profile("pdrr", deadline=None, derandomize=True, max_examples=50, database=None)
settings.load_profile("pdrr")


@pytest.fixture(params=["numpy", "array_api_strict"])
def xp(request):
    """An array library: the same test must pass on each."""
    return importlib.import_module(request.param)
