"""What one hostile client of ten can do to a Flower run: kinds of replies, and what each ends in.

python -m benchmarks.hostile [--record]

Each kind runs for two rounds in a federation without processes, under stock FedAvg, under PDRR, and
under FedAvg behind PDRRFilter.
"""

from __future__ import annotations

import argparse
import csv
import io
import logging
import sys
import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Error, Message, MetricRecord, RecordDict
from flwr.app.exception import AppExitException
from flwr.serverapp.strategy import FedAvg, Strategy

from benchmarks.fake_grid import FakeGrid, Silent, arrays_of, honest, rounds
from pdrr.core.files import RECORDED, atomic
from pdrr.flower import PDRR, PDRRFilter

RECORD = RECORDED / "flower" / "hostile.csv"
CLIENTS, HOSTILE, ROUNDS = 10, 7, 2
ENDS = (ArithmeticError, AttributeError, EOFError, LookupError, MemoryError, RuntimeError,
        TypeError, ValueError, AppExitException)  # fmt: skip
MODEL = {
    "weight": np.linspace(-1, 1, 48, dtype=np.float32).reshape(8, 6),
    "bias": np.zeros(6, np.float32),
    "scale": np.array(1.0, np.float32),
    "half": np.ones(4, np.float16),
    "batches": np.array(5),
    "mask": np.array([True, False, True]),
}
STRATEGIES: dict[str, Callable[[], Strategy]] = {
    "FedAvg": FedAvg,
    "PDRR": lambda: PDRR("trimmed_mean", beta=0.3, q=0.9),
    "PDRRFilter": lambda: PDRRFilter(FedAvg(), "trimmed_mean", beta=0.3, q=0.9),
}
Reply = RecordDict | list[Message]


def npy(array: Any, **how: Any) -> bytes:
    """What numpy.save writes."""
    file = io.BytesIO()
    np.save(file, array, **how)
    return file.getvalue()


def header(text: str, values: bytes = b"", version: int = 1) -> bytes:
    """An .npy file whose header is `text`."""
    line = text.encode("latin1") + b"\n"
    return b"\x93NUMPY" + bytes([version, 0]) + len(line).to_bytes(2, "little") + line + values


def promise(shape: str, descr: str = "'<f4'") -> bytes:
    """An .npy file without values whose header promises some."""
    return header(f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}")


def npz(**arrays: Any) -> bytes:
    """What numpy.savez writes."""
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def first(content: RecordDict, kind: type) -> Any:
    """The record of a kind."""
    return next(record for record in content.values() if isinstance(record, kind))


def data(made: Callable[[np.ndarray], bytes], key: str = "weight") -> Callable[..., Reply]:
    """Other bytes in place of an array's."""

    def hostile(content: RecordDict, _: Message) -> Reply:
        array = first(content, ArrayRecord)[key]
        array.data = made(array.numpy())
        return content

    return hostile


def values(made: Callable[[np.ndarray], Any], *keys: str) -> Callable[..., Reply]:
    """Other values in place of an array's, or of all floating-point ones."""

    def hostile(content: RecordDict, _: Message) -> Reply:
        record = first(content, ArrayRecord)
        for key in keys or [k for k, v in MODEL.items() if v.dtype.kind == "f"]:
            record[key] = Array(np.asarray(made(record[key].numpy())))
        return content

    return hostile


def metric(**told: Any) -> Callable[..., Reply]:
    """Other metrics; None leaves one out. Types that Flower refuses to make are made anyway."""

    def hostile(content: RecordDict, _: Message) -> Reply:
        for name, value in told.items():
            inside = first(content, MetricRecord).__dict__["_data"]
            inside.pop(name.replace("_", "-"), None)
            if value is not None:
                inside[name.replace("_", "-")] = value
        return content

    return hostile


def records(change: Callable[[RecordDict], Any]) -> Callable[..., Reply]:
    """Other records."""

    def hostile(content: RecordDict, _: Message) -> Reply:
        change(content)
        return content

    return hostile


def claims(content: RecordDict, _: Message) -> Reply:
    """An array whose description is another than its bytes."""
    array = first(content, ArrayRecord)["weight"]
    array.dtype, array.shape = "object", (10**9, 10**9)
    return content


def twice(content: RecordDict, message: Message) -> Reply:
    """Two replies to one message."""
    return [Message(content, reply_to=message), Message(content, reply_to=message)]


def stranger(content: RecordDict, message: Message) -> Reply:
    """The reply, and another one of a node that nobody asked."""
    other = Message(content, reply_to=message)
    other.metadata.__dict__["_src_node_id"] = 999
    return [Message(content, reply_to=message), other]


def fails(_: RecordDict, message: Message) -> Reply:
    """An error in place of a reply."""
    return [Message(Error(2, "no" * 10**5), reply_to=message)]


def silent(_: RecordDict, __: Message) -> Reply:
    """No reply at all."""
    raise Silent


def renamed(content: RecordDict, old: str) -> None:
    """A record under another name."""
    content["other"] = content[old]
    del content[old]


def without(content: RecordDict, key: str) -> None:
    """A record less."""
    del content[key]


def shifted(content: RecordDict) -> None:
    """An array under another name."""
    record = first(content, ArrayRecord)
    record["other"] = record.pop("weight")


SINGLE = ("weight", "bias", "scale")
KINDS: dict[str, Callable[..., Reply]] = {
    # bytes
    "bytes cut off": data(lambda x: npy(x)[:-4]),
    "more bytes than announced": data(lambda x: npy(x) + b"more"),
    "header promises 4 TB": data(lambda _: promise("(1000000000000,)")),
    "header promises the right shape, no values": data(lambda _: promise("(8, 6)")),
    "header has a negative size": data(lambda _: promise("(-8, -6)")),
    "header is nested 150 deep": data(lambda _: header("(" * 150 + ")" * 150)),
    "header is no Python": data(lambda _: header("import os")),
    "unknown version of the format": data(lambda x: npy(x)[:6] + b"\x09" + npy(x)[7:]),
    "pickled object": data(lambda _: npy(np.array([{}], object), allow_pickle=True)),
    "type of Python objects": data(lambda _: promise("(8, 6)", "'|O'") + bytes(384)),
    "records": data(lambda x: npy(np.zeros(x.shape, [("a", "f4"), ("b", "O")]), allow_pickle=True)),
    "plain records": data(lambda x: npy(np.zeros(x.shape, [("a", "f4")]))),
    "an archive (.npz)": data(lambda x: npz(a=x)),
    "no bytes": data(lambda _: b""),
    "some text": data(lambda _: b"hello"),
    "complex numbers": data(lambda x: npy(x.astype(complex))),
    "text": data(lambda x: npy(np.full(x.shape, "a"))),
    "dates": data(lambda x: npy(np.zeros(x.shape, "M8[s]"))),
    "unknown serialization": records(
        lambda c: setattr(first(c, ArrayRecord)["weight"], "stype", "pickle")
    ),
    "description differs from the bytes": claims,
    # values
    "one NaN": values(lambda x: np.where(np.arange(x.size).reshape(x.shape), x, np.nan), "weight"),
    "all NaN": values(lambda x: x * np.nan),
    "one infinite value": values(lambda x: x + np.array([np.inf, 0, 0, 0, 0, 0], "f4"), "bias"),
    "1e38 everywhere": values(lambda x: np.full(x.shape, 1e38, "f4"), *SINGLE),
    "-3e38 everywhere": values(lambda x: np.full(x.shape, -3e38, "f4"), *SINGLE),
    "1e300 as float64": values(lambda x: np.full(x.shape, 1e300), *SINGLE),
    "60000 in float16": values(lambda x: np.full(x.shape, 60000, "f2"), "half"),
    "all zeros": values(np.zeros_like),
    "minus the model, ten times": values(lambda x: -10 * x),
    # types
    "wider type (float64)": values(lambda x: x.astype("f8")),
    "narrower type (float16)": values(lambda x: x.astype("f2")),
    "widest type (longdouble)": values(lambda x: x.astype("g")),
    "big-endian": values(lambda x: x.astype(">f4")),
    "Fortran order": values(np.asfortranarray, "weight"),
    "whole numbers for weights": values(lambda x: x.astype("i4"), "weight"),
    "truth values for weights": values(lambda x: x > 0, "weight"),
    # shapes
    "transposed": values(np.transpose, "weight"),
    "flat": values(np.ravel, "weight"),
    "one row, to be broadcast": values(lambda x: x[:1], "weight"),
    "one number for a matrix": values(lambda x: x[0, 0], "weight"),
    "one dimension more": values(lambda x: x[None], "weight"),
    "no rows": values(lambda x: x[:0], "weight"),
    # whole-number arrays
    "counter at 2^62": values(lambda _: np.array(2**62), "batches"),
    "counter below zero": values(lambda _: np.array(-(2**63)), "batches"),
    "counter as float": values(lambda _: np.array(np.nan), "batches"),
    "counter as int32": values(lambda _: np.array(6, "i4"), "batches"),
    "mask of other bytes": data(lambda x: npy(x)[:-3] + b"\x02\x07\xff", "mask"),
    # arrays and records
    "array missing": records(lambda c: first(c, ArrayRecord).pop("bias")),
    "array more": records(lambda c: first(c, ArrayRecord).update(more=Array(np.ones(3)))),
    "array renamed": records(shifted),
    "no arrays": records(lambda c: first(c, ArrayRecord).clear()),
    "no ArrayRecord": records(lambda c: without(c, "arrays")),
    "two ArrayRecords": records(lambda c: c.update(more=ArrayRecord([np.ones(3)]))),
    "ArrayRecord renamed": records(lambda c: renamed(c, "arrays")),
    "no MetricRecord": records(lambda c: without(c, "metrics")),
    "two MetricRecords": records(lambda c: c.update(more=MetricRecord({"a": 1}))),
    "MetricRecord renamed": records(lambda c: renamed(c, "metrics")),
    "nothing": records(lambda c: c.clear()),
    "a ConfigRecord more": records(lambda c: c.update(more=ConfigRecord({"a": "b"}))),
    "masked by SecAgg+": records(lambda c: c.update(secaggplus_configs=ConfigRecord())),
    # metrics
    "weight 0": metric(num_examples=0),
    "weight -100": metric(num_examples=-100),
    "weight -90, the others' sum": metric(num_examples=-90),
    "weight NaN": metric(num_examples=float("nan")),
    "weight infinite": metric(num_examples=float("inf")),
    "weight 1e308": metric(num_examples=1e308),
    "weight 10^400": metric(num_examples=10**400),
    "weight true": metric(num_examples=True),
    "weight a list": metric(num_examples=[1, 2]),
    "weight a text": metric(num_examples="10"),
    "weight missing": metric(num_examples=None),
    "metric more": metric(secret=1.0),
    "metric a list": metric(loss=[1.0, 2.0]),
    "metric missing": metric(loss=None),
    "metric NaN": metric(loss=float("nan")),
    # protocol
    "replies twice": twice,
    "replies for another node too": stranger,
    "reports an error": fails,
    "never replies": silent,
}
EVALUATION = {
    "evaluation: weight missing": KINDS["weight missing"],
    "evaluation: weight -90, the others' sum": KINDS["weight -90, the others' sum"],
    "evaluation: metric a list": KINDS["metric a list"],
    "evaluation: two MetricRecords": KINDS["two MetricRecords"],
    "evaluation: replies twice": twice,
}


def federation(kind: str) -> FakeGrid:
    """Nine honest clients and one that replies in this way."""
    clients = {node: _measuring(honest(MODEL, node)) for node in range(1, CLIENTS + 1)}
    innocent, when = clients[HOSTILE], "evaluate" if kind in EVALUATION else "train"
    change = {**KINDS, **EVALUATION}[kind]

    def hostile(message: Message) -> Reply:
        content = innocent(message)
        return change(content, message) if message.metadata.message_type == when else content

    clients[HOSTILE] = hostile
    return FakeGrid(clients)


def _measuring(client: Callable[[Message], RecordDict]) -> Callable[[Message], RecordDict]:
    def train(message: Message) -> RecordDict:
        content = client(message)
        content["metrics"]["loss"] = 1.0
        return content

    return train


def outcome(strategy: Strategy, kind: str) -> str:
    """What two rounds with such a client come to, in words."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            result = rounds(strategy, federation(kind), MODEL, ROUNDS)
        except ENDS as error:
            return f"ends the run ({type(error).__name__})"
    got = arrays_of(result.arrays)
    if {k: v.shape for k, v in got.items()} != {k: v.shape for k, v in MODEL.items()}:
        return "changes the shape of the model"
    if not all(np.isfinite(value).all() for value in got.values()):
        return "leaves a model that is not finite"
    verdict = getattr(strategy, "verdicts", [None])[-1]
    if verdict is None or kind in EVALUATION:
        return "the run goes on"
    if HOSTILE in verdict.refused:
        return f"refused: {verdict.refused[HOSTILE]}"
    if HOSTILE in verdict.flagged:
        return "flagged by the detector"
    if HOSTILE in verdict.failed or HOSTILE in verdict.missing:
        return "no evidence: not judged"
    return "counts as a model among others"


def table() -> list[dict[str, str]]:
    """One row a kind: what it ends in under each strategy."""
    logging.getLogger("flwr").setLevel(logging.ERROR)
    return [{"reply": kind, **ends(kind)} for kind in (*KINDS, *EVALUATION)]


def ends(kind: str) -> dict[str, str]:
    """What a kind ends in under FedAvg, and under both of ours: said once where they agree."""
    stock, *ours = ((name, outcome(make(), kind)) for name, make in STRATEGIES.items())
    both = " and ".join(name for name, _ in ours)
    alike = len({words for _, words in ours}) == 1
    return dict([stock, (both, ours[0][1] if alike else "; ".join(map(": ".join, ours)))])


def main() -> int:
    """Print the table, and keep it with the book if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--record", action="store_true", help=f"write to {RECORD}")
    given = parser.parse_args()
    rows = table()
    for row in rows:
        print("".join(f"{words:44} " for words in row.values()))
    for name in list(rows[0])[1:]:
        print(name, dict(Counter(row[name].split(" (")[0].split(":")[0] for row in rows)))
    if given.record:
        with atomic(RECORD) as path, path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, rows[0], lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
