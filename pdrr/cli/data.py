"""Commands that fetch, convert and describe data sets."""

from __future__ import annotations

from pathlib import Path

import click

from pdrr.cli.book import data_option, profile_option

writers_option = click.option(
    "--writers", type=int, help="Keep so many writers, chosen by the seed.  [all]"
)
limit_option = click.option(
    "--limit",
    type=int,
    help="Keep at most so many training and as many test images of each writer.  [all]",
)
seed_option = click.option(
    "--seed",
    type=int,
    default=0,
    show_default=True,
    help="Of the choice, and of the split where the source has none.",
)


@click.group(invoke_without_command=True)
@profile_option
@data_option
@click.pass_context
def data(context: click.Context, profile: str, source: str) -> None:
    """Load a data set and say what is in it; or fetch, convert or inspect one."""
    if context.invoked_subcommand is not None:
        return
    from pdrr import config
    from pdrr.experiments import scene

    click.echo(scene.dataset(config.load(profile, {"data.source": source})).summary())


@data.command()
@click.argument("path")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--sheet",
    type=click.Path(path_type=Path),
    help="Write a contact sheet, some characters of some writers, to this .png file.",
)
def inspect(path: str, as_json: bool, sheet: Path | None) -> None:
    """Print a data card of PATH: a file, a folder or 'glyphs'."""
    import json

    from pdrr.data import card, format_of, read
    from pdrr.data.sheet import check_name, write_sheet

    if sheet is not None:
        check_name(sheet)
    kind = format_of(path)
    found = read(path)
    told = card.facts(found, path, kind.words, kind.licence)
    if sheet is not None:
        write_sheet(found, sheet)
    click.echo(json.dumps(told, indent=1) if as_json else card.as_text(told))


@data.command()
@click.argument("source")
@click.argument("target", type=click.Path(path_type=Path))
@writers_option
@limit_option
@seed_option
def convert(source: str, target: Path, writers: int | None, limit: int | None, seed: int) -> None:
    """Write SOURCE, in any format, to one .npz file TARGET, which is fast to load."""
    from pdrr.data.fetching import converted

    converted(source, target, writers=writers, limit=limit, seed=seed)
    click.echo(f"wrote {target} ({target.stat().st_size:,} bytes)")


@data.command()
@click.argument("name", metavar="femnist")
@click.option(
    "--from",
    "origin",
    default="huggingface",
    show_default=True,
    help="huggingface (flwrlabs/femnist) or tff (TensorFlow Federated's archive).",
)
@click.option(
    "--to",
    "folder",
    type=click.Path(path_type=Path),
    help="Folder for the data.  [$PDRR_CACHE/data, or that in the user's cache folder]",
)
@writers_option
@limit_option
@seed_option
def fetch(
    name: str,
    origin: str,
    folder: Path | None,
    writers: int | None,
    limit: int | None,
    seed: int,
) -> None:
    """Download FEMNIST, check it, convert it once, and print the path of the .npz file."""
    from pdrr.data import fetching

    if name != "femnist":
        raise ValueError(f"fetch needs 'femnist', the only data set it knows, got {name!r}")
    folder = folder or fetching.default_folder()
    made = fetching.fetch(origin, folder, writers=writers, limit=limit, seed=seed)
    click.echo(made)


COMMANDS = (data,)
