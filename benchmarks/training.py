"""Time local training, the trials of ERR and LFR and leave-one-out means, beside their floors.

python -m benchmarks.training [--profile paper] [--data PATH] [--repeat 7] [--record]

A floor is what the arithmetic takes at the speed of a large matrix product, or what the memory
traffic takes at the speed of a copy, both measured in the same rounds. All pieces take turns, so
that they share what else the machine is busy with.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

from benchmarks.stages import add
from pdrr import config
from pdrr.baselines.jackknife import kept_values, mean_without
from pdrr.book import performance
from pdrr.core.files import digest
from pdrr.core.keras import keras
from pdrr.core.kernels.pieces import processors
from pdrr.experiments import provenance, scene
from pdrr.federation.network import get_flat, set_flat
from pdrr.federation.store import Store
from pdrr.federation.training import LocalTrainer

PART = "training and trials"
SPEEDS = 4  # how often a round looks at the machine's speed: only the best counts
PEAK = 2048  # rows and columns of the matrices whose product shows the speed of arithmetic


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", choices=config.PROFILES, default="paper")
    parser.add_argument("--data", default="glyphs", help="glyphs (default), or where FEMNIST lies")
    parser.add_argument("--repeat", type=int, default=7, help="counted rounds (7)")
    parser.add_argument("--record", action="store_true", help="write to book/records/bench")
    given = parser.parse_args()
    if given.repeat < 1:
        parser.error(f"--repeat needs to be positive, got {given.repeat}")
    return given


def taking_turns(
    work: Mapping[Any, Callable[[], object]], repeat: int
) -> dict[Any, tuple[float, ...]]:
    """Seconds of each piece in `repeat` rounds, after one that does not count."""
    times: dict[Any, list[float]] = {name: [] for name in work}
    for _ in range(repeat + 1):
        for name, run in work.items():
            started = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - started)
    return {name: tuple(sorted(seconds[1:])) for name, seconds in times.items()}


def forward_flops(network: keras.Model) -> list[int]:
    """Multiplications and additions for one image, layer by layer."""
    weighed = [layer for layer in network.layers if layer.weights]
    flops = []
    for layer in weighed:
        places = np.prod(layer.output.shape[1:-1], dtype=int)  # of a filter; 1 for a dense layer
        flops.append(int(2 * places * np.prod(layer.kernel.shape)))
    return flops


def with_kernels(how: str, work: Callable[[], object]) -> Callable[[], object]:
    """`work` with PDRR_KERNELS set for the time being."""

    def run() -> object:
        os.environ["PDRR_KERNELS"] = how
        try:
            return work()
        finally:
            del os.environ["PDRR_KERNELS"]

    return run


def copying(values: np.ndarray) -> Callable[[], object]:
    """A copy of `values` by as many threads as there are processors."""
    threads = processors()
    pool, out = ThreadPoolExecutor(threads), np.empty_like(values)
    pairs = list(zip(np.array_split(out, threads), np.array_split(values, threads), strict=True))
    return lambda: list(pool.map(lambda pair: np.copyto(*pair), pairs))


def main() -> None:
    """Measure, print the table, keep it."""
    given, started = arguments(), time.monotonic()
    settings = scene.settings(given.profile, given.data, 1)
    data, k = scene.dataset(settings, Store()), settings.federation.k
    training, beta = settings.training, settings.defense.beta
    trainer = LocalTrainer(
        filters=(settings.model.filters[0], settings.model.filters[1]),
        units=settings.model.units,
        batch=training.batch,
        epochs=training.epochs,
        learning_rate=training.learning_rate,
        seed=settings.seed,
    )
    model, rng = trainer.initial, np.random.default_rng(0)
    d, client, (auxiliary, _) = len(model), data.train(0), data.auxiliary()
    steps = training.epochs * -(-len(client[1]) // training.batch)
    clients = model + np.float32(0.01) * rng.standard_normal((k, d), dtype=np.float32)
    edges, total = kept_values(clients, beta)
    square = keras.ops.convert_to_tensor(rng.standard_normal((PEAK, PEAK), dtype=np.float32))

    copied = copying(model)

    def product() -> object:
        return keras.ops.convert_to_numpy(keras.ops.matmul(square, square))

    def load_and_read() -> None:
        set_flat(trainer.network, model)
        get_flat(trainer.network)

    def kept() -> object:
        return kept_values(clients, beta)

    def without() -> object:
        return mean_without(clients, 0, beta, edges, total)

    sort, mean = "leave one out: what all need", "leave one out: one mean"
    step, trial = "training: one step", "ERR and LFR: trial of one aggregate"
    moved, named = "training: load and read a model", "ERR and LFR: is this aggregate known?"
    times = taking_turns(
        {
            **{("peak", n): product for n in range(SPEEDS)},
            **{("copy", n): copied for n in range(SPEEDS)},
            (step, "now"): lambda: trainer.train(model, *client, np.random.default_rng(0)),
            (moved, "now"): load_and_read,
            (trial, "now"): lambda: trainer.logits(model, auxiliary),
            (named, "now"): lambda: digest(model),
            (sort, "plain"): with_kernels("off", kept),
            (sort, "now"): with_kernels("on", kept),
            (mean, "plain"): with_kernels("off", without),
            (mean, "now"): with_kernels("on", without),
        },
        given.repeat,
    )
    # per second, at their best
    arithmetic = 2 * PEAK**3 / min(times.pop(("peak", n))[0] for n in range(SPEEDS))
    memory = 2 * model.nbytes / min(times.pop(("copy", n))[0] for n in range(SPEEDS))
    away = statistics.median(times[moved, "now"])
    times[step, "now"] = tuple((seconds - away) / steps for seconds in times[step, "now"])

    flops, size = forward_flops(trainer.network), model.nbytes
    backward = 2 * sum(flops) - flops[0]  # nobody asks for the gradient of the images
    least = {  # seconds, and what they are made of
        (step, "arithmetic"): training.batch * (sum(flops) + backward) / arithmetic,
        # weights read forward and backward, gradients written and read, weights read and written
        (step, "memory"): 6 * size / memory,
        (moved, "memory"): 4 * size / memory,
        (trial, "arithmetic"): len(auxiliary) * sum(flops) / arithmetic,
        (sort, "memory"): (clients.nbytes + edges.nbytes + total.nbytes) / memory,
        (mean, "memory"): (2 * size + edges.nbytes + total.nbytes) / memory,
    }
    note = f"k = {k}, d = {d:,}; {training.batch} images a step, {len(auxiliary):,} a trial"
    rows = [_row(*name, seconds, note) for name, seconds in times.items()]
    for name in ("plain", "now"):
        parts = {
            place: statistics.median(times.get((part, name), times[part, "now"])) * often
            for part, place, often in (
                (sort, "sort", 1),
                (mean, "means", k),
                (trial, "trials", k + 1),
                (named, "fingerprints", k + 1),
            )
        }
        words = ", ".join(f"{place} {seconds:.3g} s" for place, seconds in parts.items())
        rows.append(_row("ERR and LFR: one round", name, (sum(parts.values()),), f"sum of {words}"))
    speeds = f"at {arithmetic / 1e9:.0f} GFLOP/s and {memory / 1e9:.1f} GB/s"
    for (stage, what), seconds in least.items():
        rows.append(_row(stage, f"least: {what}", (seconds,), speeds))
    order = list(dict.fromkeys(row["stage"] for row in rows))
    rows.sort(key=lambda row: order.index(row["stage"]))

    origin = provenance.provenance(settings, data, d, time.monotonic() - started)
    folder: Path = performance.RECORDED if given.record else performance.OWN
    add(folder, PART, rows, origin)
    shown = [
        (row["stage"], row["variant"], *(1e3 * row[s] for s in ("median_s", "low_s", "high_s")))
        for row in rows
    ]
    print(f"{note}; {speeds}\n")
    print(tabulate(shown, ("", "", "median ms", "low", "high"), floatfmt=".1f"))


def _row(stage: str, variant: str, seconds: tuple[float, ...], note: str) -> dict[str, Any]:
    return {
        "stage": stage,
        "variant": variant,
        "median_s": statistics.median(seconds),
        "low_s": min(seconds),
        "high_s": max(seconds),
        "repeats": len(seconds),
        "note": note,
    }


if __name__ == "__main__":
    main()
