"""Command line: ``python -m pdrr`` or ``pdrr``; the Makefile calls the same."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from pdrr import __version__, config
from pdrr.records import RECORDED

NOTEBOOKS = Path("notebooks")
COURSEWORK = NOTEBOOKS / "coursework"


profile_option = click.option(
    "--profile",
    default="quick",
    show_default=True,
    help=f"What to run: {', '.join(config.PROFILES)}.",
)
data_option = click.option(
    "--data",
    "source",
    default="glyphs",
    show_default=True,
    help="'glyphs' (embedded synthetic handwriting), a FEMNIST .npz file or a LEAF folder.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__)
def cli() -> None:
    """Defence against local model poisoning of Byzantine-robust federated learning.

    Re-runs the figures of Lu, Li, Chen, Ma (2022). Run from the repository's top folder.
    """


@cli.command()
@click.argument("stem")
@profile_option
@data_option
@click.option(
    "-p",
    "parameters",
    nargs=2,
    multiple=True,
    metavar="NAME VALUE",
    help="A parameter of the notebook, such as -p c 15. May be repeated.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder for results.  [build/runs/PROFILE]"
)
def run(
    stem: str,
    profile: str,
    source: str,
    parameters: tuple[tuple[str, str], ...],
    out: Path | None,
) -> None:
    """Execute the notebook STEM (fig04, say) with your parameters.

    Prints the tables and writes the executed notebook, an HTML page and the figures.
    """
    from pdrr import notebooks

    path = notebooks.find(NOTEBOOKS, stem)
    values = notebooks.parse(path, {"profile": profile, "data": source}, parameters)
    words = (f"{key}={value}" for key, value in parameters)
    name = "-".join([stem, *words]).replace("/", "_")  # a value may be a path
    notebooks.prepare(path, values)
    target = notebooks.execute(path, values, (out or Path("build/runs") / profile) / name)
    notebooks.report(target)


@cli.command()
@click.argument("stem")
@profile_option
@data_option
@click.argument("target", type=click.Path(path_type=Path))
def page(stem: str, profile: str, source: str, target: Path) -> None:
    """Execute the notebook STEM as a page of the book, written to TARGET."""
    from pdrr import notebooks

    path = notebooks.find(NOTEBOOKS, stem)
    values = notebooks.parse(path, {"profile": profile, "data": source}, ())
    notebooks.prepare(path, values)
    notebooks.execute(path, values, target.with_suffix(""))


@cli.command()
@click.argument("stems", nargs=-1)
@profile_option
@data_option
@click.option("--seeds", help="Seeds, separated by commas.  [smoke 1, quick 1-5, paper 1-3]")
@click.option("--out", type=click.Path(path_type=Path), default=RECORDED, show_default=True)
def record(stems: tuple[str, ...], profile: str, source: str, seeds: str | None, out: Path) -> None:
    """Run the recorded experiments (all, or STEMS) and write them to OUT/PROFILE."""
    from pdrr import recordings

    config.load(profile)  # refuses unknown profiles
    try:
        numbers = [int(seed) for seed in seeds.split(",")] if seeds else recordings.SEEDS[profile]
    except ValueError as error:
        raise ValueError(f"--seeds needs whole numbers like 1,2,3, got {seeds!r}") from error
    recordings.run(stems, profile, source, numbers, out / profile)


@cli.command()
@click.option(
    "--profile", default="smoke", show_default=True, help="Whose records to make once more."
)
@data_option
@click.option("--no-run", is_flag=True, help="Train nothing: verdicts and records as they are.")
@click.option(
    "--records",
    type=click.Path(path_type=Path),
    default=RECORDED,
    show_default=True,
    help="Folder of the recorded results, one folder for each profile.",
)
def check(profile: str, source: str, no_run: bool, records: Path) -> None:
    """Compare the recorded results with the paper, claim by claim, and with themselves.

    Prints a verdict for each claim. Then computes all records' rates from their scores, and runs
    those of PROFILE once more: from nothing for smoke, from the cache for the others. Exit code 1
    if a record of ours cannot be had again; a claim that does not hold is a result.
    """
    from pdrr import regenerate, verdicts
    from pdrr.store import Store

    outcomes = regenerate.recomputed(records)
    click.echo(verdicts.as_text(verdicts.table(records / "paper")))
    click.echo("\nrecords, from their scores")
    for outcome in outcomes:
        click.echo(f"  {outcome}")
    if not no_run:
        with TemporaryDirectory() as empty:
            store = Store(Path(empty)) if profile == "smoke" else Store()
            new = regenerate.again(records, profile, source, store)
        click.echo(f"\nrecords of {profile}, run again")
        for outcome in new:
            click.echo(f"  {outcome}")
        outcomes += new
    if any(outcome.differences for outcome in outcomes):
        sys.exit(1)


@cli.command()
@click.argument("folder", type=click.Path(path_type=Path))
def status(folder: Path) -> None:
    """Describe the executed notebooks in FOLDER and the recorded results, as a page in Markdown."""
    from pdrr import status

    click.echo(status.page(folder, RECORDED), nl=False)


@cli.command()
@profile_option
@data_option
def settings(profile: str, source: str) -> None:
    """Print the settings of a profile as YAML."""
    import yaml

    loaded = config.load(profile, {"data.source": source})
    click.echo(yaml.safe_dump(loaded.as_dict(), sort_keys=False), nl=False)


@cli.command(name="data")
@profile_option
@data_option
def describe_data(profile: str, source: str) -> None:
    """Load a data set and say what is in it."""
    from pdrr import experiments

    click.echo(experiments.dataset(config.load(profile, {"data.source": source})).summary())


@cli.command()
@click.option(
    "--out", type=click.Path(path_type=Path), default="build/assignments", show_default=True
)
@click.option("--book", is_flag=True, help="OUT is a book's folder: add pages and downloads to it.")
def assignments(out: Path, book: bool) -> None:
    """Build the students' versions of the coursework: OUT/NAME/NAME.ipynb."""
    from pdrr import coursework

    coursework.require()
    works = coursework.read(COURSEWORK)
    if book:
        coursework.stage(works, out)
        return
    for path in coursework.release(works, out):
        click.echo(f"wrote {path}")


@cli.command()
@click.argument("submissions", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), default="build/grades", show_default=True)
@click.option(
    "--sources",
    type=click.Path(path_type=Path),
    default=COURSEWORK,
    show_default=True,
    help="Folder of the assignments' sources.",
)
@click.option("--cell-seconds", default=30.0, show_default=True, help="For each cell.")
@click.option("--total-seconds", default=300.0, show_default=True, help="For each submission.")
@click.option("--memory", default=4.0, show_default=True, help="GiB of address space.")
@click.option("-j", "--jobs", type=int, help="Submissions at the same time.  [number of cores]")
def grade(
    submissions: Path,
    out: Path,
    sources: Path,
    cell_seconds: float,
    total_seconds: float,
    memory: float,
    jobs: int | None,
) -> None:
    """Grade the notebooks SUBMISSIONS/STUDENT/ASSIGNMENT.ipynb.

    Writes marks.csv, totals.csv and a page of feedback for each student and assignment to OUT. A
    killed run goes on where it was; what has not changed is not graded again.
    """
    from pdrr import coursework

    coursework.require()
    from pdrr import grading
    from pdrr.sandbox import Limits

    limits = Limits(cell=cell_seconds, total=total_seconds, memory=memory)
    works = coursework.read(sources)
    report = grading.grade_class(submissions, works, out, limits, jobs or os.cpu_count() or 1)
    click.echo(grading.as_text(report, out))


def main(arguments: list[str] | None = None) -> Any:
    """Run the command line; bad input ends in one line on standard error and exit code 2."""
    try:
        return cli.main(args=arguments, standalone_mode=True)
    except (ValueError, TypeError, OSError) as error:
        click.echo(f"pdrr: {error}", err=True)
        sys.exit(2)
