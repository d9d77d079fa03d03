"""A Flower federation without processes: a grid whose clients are functions.

Messages of newer Flowers name the task that makes them, and the class of its identity is private: a
Flower that keeps it elsewhere cannot be tried so.
"""

from __future__ import annotations

import logging

import numpy as np
from flwr.app import Array, ArrayRecord, Error, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid


def identify():
    """Say which task makes messages here."""
    try:
        from flwr.supercore.task_identity import TaskIdentity as identity  # noqa: N813
    except ModuleNotFoundError:  # older ones ask nobody
        return
    identity.run_id, identity.node_id, identity.task_id = 1, 0, 1


class Silent(Exception):  # noqa: N818
    """Raised by a client that never answers."""


class FakeGrid(Grid):
    """`clients`, a mapping from node ids to functions ``f(message) -> RecordDict | [Message]``.

    A client that raises `Silent` does not answer, another error becomes an error reply. Replies
    arrive in a shuffled order.
    """

    def __init__(self, clients, seed=0):
        identify()
        self.clients, self.rng = clients, np.random.default_rng(seed)
        self.arrived = []

    run = property(lambda _: None)

    def set_run(self, run):
        raise NotImplementedError

    def create_message(self, *args, **kwargs):
        raise NotImplementedError

    def push_messages(self, messages):
        raise NotImplementedError

    def pull_messages(self, message_ids):
        raise NotImplementedError

    def get_node_ids(self):
        return list(self.clients)

    def send_and_receive(self, messages, *, timeout=None):  # noqa: ARG002
        replies = []
        for message in messages:
            try:
                answer = self.clients[message.metadata.dst_node_id](message)
            except Silent:
                continue
            except (RuntimeError, ValueError) as error:
                answer = [Message(Error(2, str(error)), reply_to=message)]
            if isinstance(answer, RecordDict):
                answer = [Message(answer, reply_to=message)]
            replies += answer
        self.rng.shuffle(replies)
        self.arrived = replies
        return replies


def reply(model, weight=10, **more):
    """The content of an honest reply: arrays and metrics, other records in `more`."""
    arrays = ArrayRecord({name: Array(np.asarray(array)) for name, array in model.items()})
    return RecordDict({"arrays": arrays, "metrics": MetricRecord({"num-examples": weight}), **more})


def arrays_of(record):
    """The arrays of an ArrayRecord by name."""
    return {name: array.numpy() for name, array in record.items()}


def honest(model, seed, scale=0.1):
    """A client that moves each floating-point value a little up, and counts."""

    def train(message):
        if message.metadata.message_type == "evaluate":
            return RecordDict({"metrics": MetricRecord({"num-examples": 10, "loss": 1.0})})
        got = arrays_of(next(iter(message.content.array_records.values())))
        assert set(got) == set(model)
        rng = np.random.default_rng([seed, message.content["config"]["server-round"]])
        return reply({name: trained(value, rng, scale) for name, value in got.items()})

    return train


def trained(value, rng, scale):
    """What an honest client makes of an array."""
    if value.dtype.kind == "f":
        return (value + scale * (0.2 + rng.normal(size=value.shape))).astype(value.dtype)
    return np.asarray(value + 1).astype(value.dtype) if value.dtype.kind in "iu" else value


def rounds(strategy, grid, model, number=1, **more):
    """What `number` rounds of a strategy come to."""
    logging.getLogger("flwr").setLevel(logging.WARNING)
    record = ArrayRecord({name: Array(np.asarray(array)) for name, array in model.items()})
    return strategy.start(grid, record, num_rounds=number, **more)
