"""Tests of Flower's strategies need Flower, and the class that names the task of a message."""

import logging

import pytest

pytest.importorskip("flwr.serverapp.strategy")
pytest.importorskip("flwr.supercore.task_identity")


@pytest.fixture(autouse=True)
def _quiet():
    logging.getLogger("flwr").setLevel(logging.ERROR)
