"""A whole class in one command: assign, hand in 30 notebooks, grade, and check what they got.

Some of them loop, crash or flood; see `tests/helpers/made_up_class.py`.
"""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

import click

sys.path.insert(0, "tests")
from helpers import made_up_class as made_up
from pdrr.grading import assignments, classes, reports
from pdrr.grading.sandbox import Limits

SOURCES = Path("notebooks/coursework")


@click.command(help=__doc__)
@click.option("--out", type=click.Path(path_type=Path), default="build/demo-class")
@click.option("--jobs", type=int, default=2, show_default=True)
def main(out: Path, jobs: int) -> None:
    assignments.require()
    started = time.perf_counter()
    if out.exists():
        shutil.rmtree(out)
    works = assignments.read(SOURCES)
    assignments.release(works, out / "assignments")
    scripts = [
        script
        for work in works.values()
        for kind in (made_up.honest, made_up.erring, made_up.misbehaving)
        for script in kind(work)
    ]
    for script in scripts:
        made_up.hand_in(out / "submissions", script, works[script.assignment])
    for student, text in {
        "broken": "{",
        "wrong": (SOURCES / "../fig04.ipynb").read_text("utf-8"),
    }.items():
        path = out / "submissions" / student / "poison_it.ipynb"
        path.parent.mkdir(parents=True)
        path.write_text(text, "utf-8")
    report = classes.grade_class(out / "submissions", works, out / "grades", Limits(), jobs)
    click.echo(reports.as_text(report, out / "grades"))

    wrong = 0
    for script in scripts:
        of = report.marks.query("student == @script.student and assignment == @script.assignment")
        for cell, points, most in zip(of["cell"], of["points"], of["max"], strict=True):
            if points != most - script.lost.get(cell, 0):
                wrong += 1
                click.echo(f"{script.student}, {script.assignment}, {cell}: {points:g} of {most:g}")
    took = time.perf_counter() - started
    click.echo(f"\n{report.graded} notebooks in {took:.0f} s, {wrong} marks other than expected")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
