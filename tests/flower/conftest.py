"""Tests of Flower's strategies need Flower, and say little."""

import logging

import pytest

pytest.importorskip("flwr.serverapp.strategy")


@pytest.fixture(autouse=True)
def _quiet():
    logging.getLogger("flwr").setLevel(logging.ERROR)
