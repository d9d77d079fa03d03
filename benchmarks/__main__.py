"""Time our rules, PDRR and their peers side by side, in units of one pass over the models.

Results go to build/bench as they come; --record keeps them with the book.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from benchmarks import stages
from benchmarks.cases import Problem, implementations
from benchmarks.runner import Plan, Run
from pdrr.book import performance
from pdrr.core.dispatch import kernels_for

USUAL = Plan(k=(10, 50, 200), d=(10_000, 100_000, 1_000_000, 6_603_710), repeat=5, budget=400)
QUICK = Plan(k=(10, 50), d=(10_000, 100_000), repeat=3, budget=45)


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    """The command line; refuses to record what is not the whole table."""
    parser = argparse.ArgumentParser(
        prog="make bench ARGS=...",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="a small table in under a minute")
    parser.add_argument("--record", action="store_true", help="write to book/records/bench")
    parser.add_argument("--k", type=int, nargs="+", help="numbers of models (10 50 200)")
    parser.add_argument("--d", type=int, nargs="+", help="coordinates (10000 ... 6603710)")
    parser.add_argument("--repeat", type=int, help="counted runs of each case (5)")
    parser.add_argument("--budget", type=float, help="seconds for the whole run (400)")
    parser.add_argument(
        "--only", nargs="+", default=(), help="words of rules or implementations: krum numpy"
    )
    given = parser.parse_args(words)
    for name in ("k", "d", "repeat", "budget"):
        values = getattr(given, name)
        for value in values if isinstance(values, list) else [values]:
            if value is not None and value <= 0:
                parser.error(f"--{name} needs to be positive, got {value:g}")
    if given.record and (given.quick or given.k or given.d or given.only):
        parser.error("--record needs the whole table, got a part of it")
    return given


def main(words: list[str] | None = None) -> int:
    """Run what the command line asks for, and print a summary."""
    given = arguments(words)
    usual = QUICK if given.quick else USUAL
    plan = Plan(
        k=given.k or usual.k,
        d=given.d or usual.d,
        repeat=given.repeat or usual.repeat,
        budget=given.budget or usual.budget,
        only=given.only,
    )
    folder: Path = performance.RECORDED if given.record else performance.OWN
    started = time.monotonic()
    run = Run(plan, folder, implementations())
    found = run.everything()
    if given.quick or given.only:
        print("first calls: not measured in a part of the table")
    elif kernels_for(Problem.make(1, 1).clients) is None:
        print("first calls: nothing to compile without the kernels")
    else:
        stages.add(folder, stages.FIRST, stages.first_calls(), found.provenance)
    print(performance.summary(found))
    print(f"\nwrote {folder / performance.STEM}.csv in {time.monotonic() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
