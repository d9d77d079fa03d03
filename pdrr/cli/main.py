"""The command `pdrr`: its parts, and how every command ends when something is wrong."""

from __future__ import annotations

import sys
from typing import Any

import click

from pdrr import __version__
from pdrr.cli import book, coursework, data, models
from pdrr.cli.missing import advice

INTERRUPTED = 130  # exit code of what Ctrl-C ended, as shells have it


class Commands(click.Group):
    """Commands that end without a traceback, or `Aborted!`, when somebody presses Ctrl-C."""

    def invoke(self, context: click.Context) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(context)
        except KeyboardInterrupt:
            if sys.stderr is not None and sys.stderr.isatty():
                click.echo(err=True)  # a terminal has written ^C, without a new line
            click.echo("pdrr: interrupted", err=True)
            context.exit(INTERRUPTED)


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__)
def cli() -> None:
    """Defence against local model poisoning of Byzantine-robust federated learning.

    `detect` and `aggregate` work on models from files, anywhere. The others re-run the figures of
    Lu, Li, Chen, Ma (2022) and are run from the repository's top folder.
    """


for command in (*models.COMMANDS, *book.COMMANDS, *data.COMMANDS, *coursework.COMMANDS):
    cli.add_command(command)


def main(arguments: list[str] | None = None) -> Any:
    """Run the command line.

    Bad input ends in one line on standard error and exit code 2, and so does a library that is
    not installed: the line names the extra that brings it. Ctrl-C ends in one line and code 130.
    """
    try:
        return cli.main(args=arguments, standalone_mode=True)
    except ModuleNotFoundError as error:
        if not error.name or error.name.partition(".")[0] == "pdrr":
            raise  # a module of ours that is missing is a fault of ours
        click.echo(f"pdrr: {advice(error.name)}", err=True)
    except (ValueError, TypeError, OSError) as error:
        click.echo(f"pdrr: {_one_line(str(error))}", err=True)
    sys.exit(2)


def _one_line(text: str) -> str:
    """The text, with its line ends and what else no terminal should get written as escapes."""
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)
