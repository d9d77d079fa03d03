"""Seconds and memory of one round's aggregation in Flower: PDRR beside Flower's own rules.

python -m benchmarks.flower [--k 50] [--d 6603710] [--repeat 3] [--record]

Each strategy runs in a process of its own, one after the other. What is measured is one whole
`aggregate_train`: reading the replies, the rule, detection where there is one, and the new model.
The first round of a process tells the memory: it begins with the replies in place, and nobody else
holds them. Rounds after it are timed.
"""

from __future__ import annotations

import argparse
import csv
import gc
import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp.strategy import Bulyan, FedAvg, FedMedian, FedTrimmedAvg, Krum, Strategy

import pdrr
from benchmarks.fake_grid import FakeGrid
from benchmarks.measure import HostPeak, resident
from benchmarks.runner import threads
from pdrr.core.dispatch import kernels_for
from pdrr.core.files import RECORDED, atomic
from pdrr.experiments.provenance import commit, device
from pdrr.flower import PDRR, PDRRFilter

RECORD = RECORDED / "bench" / "flower.json"
ATTACKERS = 0.2  # share of the replies
PAPER = ((5, 5, 1, 32), (32,), (5, 5, 32, 64), (64,), (3136, 2048), (2048,), (2048, 62), (62,))


class Nobody:
    """Flags nobody: what is left is the plain rule."""

    def detect(self, observed: pdrr.Round) -> pdrr.Detection:
        """Nobody, with scores of 0."""
        none = np.zeros(observed.k)
        return pdrr.Detection(none, none, none > 0, observed.previous)


def strategies(c: int, k: int) -> dict[str, Callable[[], Strategy]]:
    """What is measured; rules that should give equal results share the word in brackets."""
    share = c / k
    return {
        "Flower FedAvg [mean]": FedAvg,
        "Flower Krum [krum]": lambda: Krum(num_malicious_nodes=c),
        "Flower FedTrimmedAvg [trimmed mean]": lambda: FedTrimmedAvg(beta=share),
        "Flower FedMedian [median]": FedMedian,
        "Flower Bulyan": lambda: Bulyan(num_malicious_nodes=c),
        "plain krum [krum]": lambda: PDRR("krum", c=c, detector=Nobody()),
        "plain trimmed mean [trimmed mean]": lambda: PDRR(
            "trimmed_mean", beta=c, detector=Nobody()
        ),
        "plain median [median]": lambda: PDRR("median", detector=Nobody()),
        "PDRR krum": lambda: PDRR("krum", c=c, q=0.5),
        "PDRR trimmed mean": lambda: PDRR("trimmed_mean", beta=c, q=0.9),
        "PDRR median": lambda: PDRR("median", q=0.7),
        "PDRRFilter trimmed mean, FedAvg": lambda: PDRRFilter(
            FedAvg(), "trimmed_mean", beta=c, q=0.9
        ),
    }


def shapes(d: int) -> tuple[tuple[int, ...], ...]:
    """The paper's layers, or one matrix and one vector for another d."""
    if d == 6_603_710:
        return PAPER
    return ((d // 11, 10), (d - d // 11 * 10,))


class Replies:
    """The replies of one round; the same in every process."""

    def __init__(self, k: int, d: int) -> None:
        self.k, self.shapes = k, shapes(d)
        self.sent = np.random.default_rng(0).normal(0, 0.05, d).astype(np.float32)

    def arrays(self, vector: np.ndarray) -> dict[str, np.ndarray]:
        """A vector as layers."""
        parts = np.split(vector, np.cumsum([np.prod(shape) for shape in self.shapes])[:-1])
        return {
            str(i): part.reshape(shape)
            for i, (part, shape) in enumerate(zip(parts, self.shapes, strict=True))
        }

    def model(self, row: int) -> dict[str, np.ndarray]:
        """What one client sends; the first ones lie."""
        update = np.random.default_rng([1, row]).standard_normal(len(self.sent), np.float32)
        update *= np.float32(1e-2)
        if row < ATTACKERS * self.k:
            update -= np.float32(0.05)
        return self.arrays(self.sent + update)

    def contents(self) -> list[ArrayRecord]:
        """All of them, serialised."""
        return [
            ArrayRecord({name: Array(array) for name, array in self.model(row).items()})
            for row in range(self.k)
        ]


def again(records: list[ArrayRecord]) -> list[ArrayRecord]:
    """Other records of the same bytes."""
    return [
        ArrayRecord({n: Array(a.dtype, a.shape, a.stype, a.data) for n, a in record.items()})
        for record in records
    ]


def one(name: str, k: int, d: int, repeat: int, result: Path) -> dict[str, Any]:
    """Measure one strategy in this process; its first model goes to `result`."""
    logging.getLogger("flwr").setLevel(logging.ERROR)
    strategy, replies = strategies(round(ATTACKERS * k), k)[name](), Replies(k, d)
    warm(name)
    grid = FakeGrid(dict.fromkeys(range(1, k + 1), None))
    sent = ArrayRecord({n: Array(array) for n, array in replies.arrays(replies.sent).items()})

    def asked() -> list[Message]:
        return list(strategy.configure_train(1, sent, ConfigRecord(), grid))

    def answered(records: list[ArrayRecord], messages: list[Message]) -> list[Message]:
        told = {"num-examples": 10}
        messages = sorted(messages, key=lambda message: message.metadata.dst_node_id)
        return [
            Message(RecordDict({"arrays": r, "metrics": MetricRecord(told)}), reply_to=m)
            for r, m in zip(records, messages, strict=True)
        ]

    messages = answered(replies.contents(), asked())
    before = resident()
    with HostPeak() as peak:
        model, _ = strategy.aggregate_train(1, messages)
    vector = np.concatenate([array.numpy().ravel() for array in model.values()])
    np.save(result, vector)
    found = getattr(strategy, "verdicts", None)
    flagged = len(found[0].flagged) if found else None
    del model, vector, messages
    kept, seconds = replies.contents(), []
    for _ in range(repeat):
        messages = answered(again(kept), asked())
        gc.collect()
        began = time.perf_counter()
        strategy.aggregate_train(1, messages)
        seconds.append(time.perf_counter() - began)
    return {
        "strategy": name,
        "median_s": statistics.median(seconds),
        "low_s": min(seconds),
        "high_s": max(seconds),
        "repeats": repeat,
        "peak_mb": (before + peak.extra) / 2**20,
        "extra_mb": peak.extra / 2**20,
        "flagged": flagged,
    }


def warm(name: str) -> None:
    """A small round first: libraries are loaded, and compiled loops are there."""
    strategy, replies = strategies(2, 10)[name](), Replies(10, 2000)
    grid = FakeGrid(dict.fromkeys(range(1, 11), None))
    sent = ArrayRecord({n: Array(array) for n, array in replies.arrays(replies.sent).items()})
    asked = strategy.configure_train(1, sent, ConfigRecord(), grid)
    metrics = MetricRecord({"num-examples": 10})
    contents = zip(replies.contents(), asked, strict=True)
    strategy.aggregate_train(
        1, [Message(RecordDict({"a": r, "m": metrics}), reply_to=m) for r, m in contents]
    )


def everything(k: int, d: int, repeat: int, only: list[str]) -> list[dict[str, Any]]:
    """One process a strategy; results of one rule are compared."""
    rows, models = [], dict[str, np.ndarray]()
    with tempfile.TemporaryDirectory() as folder:
        for name in strategies(round(ATTACKERS * k), k):
            if only and not any(word in name for word in only):
                continue
            path = Path(folder) / "model.npy"
            words = ["--one", name, "--k", str(k), "--d", str(d), "--repeat", str(repeat)]
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.flower", *words, "--result", str(path)],
                check=True, stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
            row = json.loads(done.stdout.splitlines()[-1])
            rule = name.partition("[")[2].rstrip("]")
            row["differs"] = None
            if rule:
                model = np.load(path)
                first = models.setdefault(rule, model)
                row["differs"] = float(np.abs(model - first).max()) if first is not model else None
            rows.append(row)
            print(
                f"{name:36} {row['low_s']:8.2f} s {row['peak_mb'] / 1024:6.2f} GiB"
                f"  {row['differs'] if row['differs'] is not None else ''}",
                flush=True,
            )
    return rows


def write(told: dict[str, Any], path: Path) -> None:
    """Everything as JSON, and beside it the table that the page shows."""
    with atomic(path) as new:
        new.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    table = [("strategy", "seconds", "peak, GiB", "flagged", "differs")]
    for row in told["rows"]:
        differs = "" if row["differs"] is None else f"{row['differs']:.2g}"
        flagged = "" if row["flagged"] is None else str(row["flagged"])
        peak = f"{row['peak_mb'] / 1024:.2f}"
        table.append((row["strategy"], f"{row['low_s']:.2f}", peak, flagged, differs))
    with (
        atomic(path.with_suffix(".csv")) as new,
        new.open("w", newline="", encoding="utf-8") as file,
    ):
        csv.writer(file, lineterminator="\n").writerows(table)


def main(words: list[str] | None = None) -> int:
    """Measure, print, and keep it with the book if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--k", type=int, default=50, help="replies (50)")
    parser.add_argument("--d", type=int, default=6_603_710, help="coordinates (6603710)")
    parser.add_argument("--repeat", type=int, default=3, help="timed rounds of each (3)")
    parser.add_argument("--only", nargs="+", default=[], help="words of strategies")
    parser.add_argument("--record", action="store_true", help=f"write to {RECORD}")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--result", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args(words)
    if given.one:
        print(json.dumps(one(given.one, given.k, given.d, given.repeat, given.result)))
        return 0
    if given.record and given.only:
        parser.error("--record needs the whole table, got a part of it")
    rows = everything(given.k, given.d, given.repeat, given.only)
    if given.record:
        told = {
            "k": given.k,
            "d": given.d,
            "replies_mb": 4 * given.k * given.d / 2**20,
            "date": date.today().isoformat(),
            "device": device(),
            "threads": threads(),
            "load": round(os.getloadavg()[0], 1),  # of other work too, while this was measured
            "kernels": "on" if kernels_for(np.zeros((2, 2), np.float32)) else "off",
            "versions": {name: version(name) for name in ("flwr", "numpy", "pdrr")},
            "commit": commit(),
            "rows": rows,
        }
        write(told, RECORD)
    return 0


if __name__ == "__main__":
    sys.exit(main())
