"""Tests of Flower's strategies say little."""

import logging

import pytest


@pytest.fixture(autouse=True)
def _quiet():
    logging.getLogger("flwr").setLevel(logging.ERROR)
