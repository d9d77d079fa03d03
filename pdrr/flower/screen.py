"""Which replies are models of this federation at all: what is looked at before any statistics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from flwr.app import Message, MetricRecord, RecordDict

from pdrr.flower import npy
from pdrr.serving.layout import Layout, shown

STYPE = "numpy.ndarray"  # how Flower says that the bytes of an array are those of .npy
HEAVIEST = 2.0**53  # examples that a client may claim; sums of them stay finite
SECAGG = "secaggplus_configs"  # the record by which SecAgg+ talks

Form = tuple[str, str, frozenset[tuple[str, int | None]]]


class Reply(NamedTuple):
    """A well-formed reply: who sent it, the message, its arrays in place, and its weight."""

    node: int
    message: Message
    arrays: dict[str, np.ndarray]
    weight: float


@dataclass
class Screened:
    """The replies of a round.

    Attributes
    ----------
    replies : list of Reply
        The well-formed ones, in the order of their node ids.
    refused : dict from int to str
        What is wrong with the others.
    strangers : dict from int to str
        Replies of nodes that were not asked; they take no part in anything.
    failed : dict from int to str
        Nodes that reported an error.
    missing : list of int
        Nodes that did not answer.
    errors : list of Message
        The error replies themselves.
    """

    replies: list[Reply] = field(default_factory=list)
    refused: dict[int, str] = field(default_factory=dict)
    strangers: dict[int, str] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)
    missing: list[int] = field(default_factory=list)
    errors: list[Message] = field(default_factory=list)


def screen(
    replies: Iterable[Message], asked: Collection[int], weighted_by: str, layout: Layout | None
) -> Screened:
    """Sort the replies of one round by what they are.

    A well-formed reply comes from a node that was asked, once. It has one MetricRecord, with a
    weight that is finite and positive, and metrics of the form that most others have; and, if a
    `layout` is given, one ArrayRecord with exactly its arrays.

    Examples
    --------
    >>> from pdrr.flower.screen import screen
    >>> screen([], asked=[8, 3], weighted_by="num-examples", layout=None).missing
    [3, 8]
    """
    found, forms = Screened(), dict[int, Form]()
    messages = list(replies)
    times = Counter(message.metadata.src_node_id for message in messages)
    for message in sorted(messages, key=lambda message: message.metadata.src_node_id):
        node = message.metadata.src_node_id
        if node not in asked:
            found.strangers[node] = "was not asked"
        elif times[node] > 1:
            found.refused[node] = f"needs to reply once, got {times[node]} replies"
        elif message.has_error():
            found.failed[node] = _told(str(message.error.reason))
            found.errors.append(message)
        else:
            try:
                reply, forms[node] = _read(message, weighted_by, layout)
                found.replies.append(reply)
            except ValueError as error:
                found.refused[node] = str(error)
    found.missing = sorted(set(asked) - set(times))
    _same_form(found, forms)
    return found


def _told(reason: str) -> str:
    """The last line of an error, fit for a line of a log."""
    last = ([line for line in reason.splitlines() if line.strip()] or [""])[-1]
    return "".join(letter for letter in last if letter.isprintable())[:200]


def _same_form(found: Screened, forms: dict[int, Form]) -> None:
    """Refuse those whose records or metrics are named otherwise than in most replies."""
    if not forms:
        return
    form, often = Counter(forms.values()).most_common(1)[0]
    if 2 * often <= len(forms):
        return
    for reply in found.replies:
        if forms[reply.node] != form:
            found.refused[reply.node] = "names its records or metrics otherwise than most replies"
    found.replies = [reply for reply in found.replies if reply.node not in found.refused]


def _read(message: Message, weighted_by: str, layout: Layout | None) -> tuple[Reply, Form]:
    """A reply and the form of its records; ValueError if it is none."""
    if not message.has_content():
        raise ValueError("needs content, got none")
    content, name, arrays = message.content, "", dict[str, np.ndarray]()
    if SECAGG in content.config_records:
        raise ValueError("is masked by SecAgg+, which hides single models from the server")
    if layout is not None:
        name, record = _only(content.array_records, "ArrayRecord")
        for key, array in record.items():
            if array.stype != STYPE:
                raise ValueError(
                    f"array {shown(key)} needs to be {STYPE}, got {shown(array.stype)}"
                )
            arrays[key] = npy.read(array.data)
        if trouble := layout.trouble(arrays):
            raise ValueError(trouble)
    told, metrics = _only(content.metric_records, "MetricRecord")
    weight = _weight(metrics, weighted_by)
    return Reply(message.metadata.src_node_id, message, arrays, weight), (
        name,
        told,
        frozenset(
            (key, len(value) if isinstance(value, list) else None) for key, value in metrics.items()
        ),
    )


def _only(records: Any, kind: str) -> tuple[str, Any]:
    if len(records) != 1:
        raise ValueError(f"needs one {kind}, got {len(records)}")
    name, record = next(iter(records.items()))
    return str(name), record


def _weight(metrics: MetricRecord, name: str) -> float:
    value = metrics.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"needs a number as {name}, got {type(value).__name__}")
    if not 0 < value <= HEAVIEST:  # nor is NaN
        raise ValueError(f"needs {name} above 0 and at most 2^53, got {shown(str(value))}")
    return float(value)


def shared_metrics(replies: Iterable[Message], weighted_by: str) -> list[RecordDict]:
    """The contents of well-formed replies with those metrics only that all of them have."""
    contents = [message.content for message in replies]
    records = [next(iter(content.metric_records.items())) for content in contents]
    forms = [
        {(key, len(v) if isinstance(v, list) else None) for key, v in record.items()}
        for _, record in records
    ]
    shared = {key for key, _ in set.intersection(*forms)} | {weighted_by} if forms else set()
    return [
        replaced(content, {name: MetricRecord({k: v for k, v in record.items() if k in shared})})
        for content, (name, record) in zip(contents, records, strict=True)
    ]


def replaced(content: RecordDict, records: dict[str, Any]) -> RecordDict:
    """The records of a reply, some of them replaced; the reply itself stays as it is."""
    return RecordDict({name: records.get(name, record) for name, record in content.items()})


def in_configs(message: Message, key: str, kinds: Callable[[Any], bool]) -> Any:
    """What a reply says of itself in a ConfigRecord; None if it says nothing of these kinds."""
    if not message.has_content():
        return None
    for record in message.content.config_records.values():
        if key in record and kinds(record[key]):
            return record[key]
    return None
