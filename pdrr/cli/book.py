"""Commands that re-run, record and check the paper's experiments."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from pdrr.core.files import RECORDED, check_writable

NOTEBOOKS = Path("notebooks")

profile_option = click.option(
    "--profile",
    default="quick",
    show_default=True,
    help="What to run: smoke, quick or paper.",
)
data_option = click.option(
    "--data",
    "source",
    default="glyphs",
    show_default=True,
    help="'glyphs' (embedded synthetic handwriting), or FEMNIST: an .npz, .parquet or .h5 file, "
    "a folder of LEAF JSON or of pictures.",
)


@click.command()
@click.argument("name", metavar="STEM")
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
    name: str,
    profile: str,
    source: str,
    parameters: tuple[tuple[str, str], ...],
    out: Path | None,
) -> None:
    """Execute the notebook STEM (fig04, say) with your parameters.

    STEM may also be a section of the paper: sec4 stands for all its notebooks, one after the other.
    Prints the tables and writes the executed notebook, an HTML page and the figures.
    """
    from pdrr import config
    from pdrr.book import contents, notebooks

    paths = [notebooks.find(NOTEBOOKS, stem) for stem in contents.stems(name)]
    always = {"profile": profile, "data": source}
    todo = [(path, notebooks.parse(path, always, parameters)) for path in paths]
    words = [f"{key}={value}" for key, value in parameters]
    config.load(profile)  # refuses unknown profiles
    folder = out or Path("build/runs") / profile
    check_writable(folder)
    for path, values in todo:
        notebooks.prepare(path, values)
        label = "-".join([path.stem, *words]).replace("/", "_")  # a value may be a path
        target = notebooks.execute(path, values, folder / label)
        notebooks.report(target)


@click.command()
@click.argument("stem")
@profile_option
@data_option
@click.argument("target", type=click.Path(path_type=Path))
def page(stem: str, profile: str, source: str, target: Path) -> None:
    """Execute the notebook STEM as a page of the book, written to TARGET.

    Prints the seconds that took. Refuses a page on which text from standard error would stand.
    """
    started = time.perf_counter()
    from pdrr.book import notebooks

    path = notebooks.find(NOTEBOOKS, stem)
    values = notebooks.parse(path, {"profile": profile, "data": source}, ())
    check_writable(target.parent)
    try:
        notebooks.prepare(path, values)
    except (ValueError, TypeError, OSError) as error:
        raise ValueError(f"{stem}: {error}") from error
    made = notebooks.execute(path, values, target.with_suffix(""), page=True)
    seconds = time.perf_counter() - started
    notebooks.note(made, seconds)
    click.echo(f"{stem:<12}{seconds:7.1f} s")


@click.command()
@click.argument("stems", nargs=-1)
@profile_option
@data_option
@click.option("--seeds", help="Seeds, separated by commas.  [smoke 1, quick 1-5, paper 1-3]")
@click.option("--out", type=click.Path(path_type=Path), default=RECORDED, show_default=True)
def record(stems: tuple[str, ...], profile: str, source: str, seeds: str | None, out: Path) -> None:
    """Run the recorded experiments (all, or STEMS) and write them to OUT/PROFILE."""
    from pdrr import config
    from pdrr.experiments import recordings

    config.load(profile)  # refuses unknown profiles
    try:
        numbers = [int(seed) for seed in seeds.split(",")] if seeds else recordings.SEEDS[profile]
    except ValueError as error:
        raise ValueError(f"--seeds needs whole numbers like 1,2,3, got {seeds!r}") from error
    check_writable(out / profile)
    recordings.run(stems, profile, source, numbers, out / profile)


@click.command()
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

    Prints a verdict for each claim, and the sentences of the book that the records do not back.
    Then computes all records' rates from their scores, and runs those of PROFILE once more: from
    nothing for smoke, from the cache for the others. Exit code 1 if a sentence of ours is not
    backed or a record of ours cannot be had again; a claim that does not hold is a result.
    """
    from pdrr.claims import statements, verdicts
    from pdrr.experiments import regenerate
    from pdrr.federation.store import Store

    outcomes = regenerate.recomputed(records)
    click.echo(verdicts.as_text(verdicts.table(records / "paper")))
    unbacked: list[str] = []
    if records.resolve() == RECORDED.resolve():  # the book's sentences speak of these records
        unbacked = statements.check(records)
        click.echo("\nsentences of the book, against the records")
        for line in unbacked or [f"all {len(statements.statements())} hold"]:
            click.echo(f"  {line}")
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
    if unbacked or any(outcome.differences for outcome in outcomes):
        sys.exit(1)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
def status(folder: Path) -> None:
    """Describe the executed notebooks in FOLDER and the recorded results, as a page in Markdown."""
    from pdrr.book import status as made

    click.echo(made.page(folder, RECORDED), nl=False)


@click.command()
@profile_option
@data_option
def settings(profile: str, source: str) -> None:
    """Print the settings of a profile as YAML."""
    import yaml

    from pdrr import config

    loaded = config.load(profile, {"data.source": source})
    click.echo(yaml.safe_dump(loaded.as_dict(), sort_keys=False), nl=False)


COMMANDS = (run, page, record, check, status, settings)
