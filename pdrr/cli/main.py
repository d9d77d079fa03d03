"""The command `pdrr`: its parts, and how every command ends when something is wrong."""

from __future__ import annotations

import sys
from typing import Any

import click

from pdrr import __version__
from pdrr.cli import book, coursework


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__)
def cli() -> None:
    """Defence against local model poisoning of Byzantine-robust federated learning.

    Re-runs the figures of Lu, Li, Chen, Ma (2022). Run from the repository's top folder.
    """


for command in (*book.COMMANDS, *coursework.COMMANDS):
    cli.add_command(command)


def main(arguments: list[str] | None = None) -> Any:
    """Run the command line.

    Bad input ends in one line on standard error and exit code 2, and so does a library that is
    not installed: the line names what brings it.
    """
    try:
        return cli.main(args=arguments, standalone_mode=True)
    except ModuleNotFoundError as error:
        if not error.name or error.name.partition(".")[0] == "pdrr":
            raise  # a module of ours that is missing is a fault of ours
        extras = "'pdrr[kernels,experiments,docs,coursework]'"
        click.echo(
            f"pdrr: this needs {error.name}, which is not here: pip install {extras}", err=True
        )
    except (ValueError, TypeError, OSError) as error:
        click.echo(f"pdrr: {error}", err=True)
    sys.exit(2)
