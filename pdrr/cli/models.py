"""Commands on models from files: who is flagged, and the new global model."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np

FLAGGED = 1  # exit code of `detect` if somebody is flagged


class Asked(NamedTuple):
    """The options that both commands have."""

    path: Path
    rule: str
    detector: str
    c: int | None
    beta: int | None
    q: float | None
    previous: str | None
    as_json: bool
    plot: bool
    figure: Path | None
    by_score: bool


OPTIONS = (
    click.argument("path", type=click.Path(path_type=Path)),
    click.option(
        "--rule",
        required=True,
        type=click.Choice(["krum", "trimmed_mean", "median"]),
        help="The rule that your server aggregates with.",
    ),
    click.option("--c", type=int, help="For krum: compromised clients that it tolerates."),
    click.option("--beta", type=int, help="For trimmed_mean: values trimmed on each side."),
    click.option(
        "--q", type=float, help="Threshold of the score.  [krum .48, trimmed_mean .99, median .71]"
    ),
    click.option(
        "--detector",
        type=click.Choice(["paper", "improved"]),
        default="paper",
        show_default=True,
        help="PDRR, or Co-trimming, which has no threshold.",
    ),
    click.option(
        "--previous",
        metavar="FILE",
        help="The global model that you had sent; 'median': the round's median in its place.",
    ),
    click.option("--json", "as_json", is_flag=True, help="Print one JSON object."),
    click.option("--plot", is_flag=True, help="Print the scores as bars."),
    click.option(
        "--figure", type=click.Path(path_type=Path), help="Draw them to a .png, .svg or .pdf."
    ),
    click.option("--sort", "by_score", is_flag=True, help="The most suspicious first."),
)


def options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command what both have."""
    for each in reversed(OPTIONS):
        command = each(command)
    return command


@click.command()
@options
def detect(**given: Any) -> None:
    """Say which models of a round are suspicious.

    PATH is a folder with one model a file (.npy, .npz or .safetensors, all of one format), or one
    file that holds a stack [k, d].

    Exit code 0: nobody is flagged. 1: somebody is. 2: something is wrong, in one line.
    """
    asked = Asked(**given)
    found, judge = prepared(asked)
    with found.read() as observed:
        detection = judge.detect(observed)
    tell(asked, verdict_of(asked, found, judge, detection))
    if np.any(detection.flagged):
        sys.exit(FLAGGED)


@click.command()
@options
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="The new global model: a file like those of the round.",
)
@click.option("--force", is_flag=True, help="Write over a file that exists.")
def aggregate(out: Path, force: bool, **given: Any) -> None:
    """Write the global model of a round without the models that are flagged.

    PATH is what `pdrr detect` takes. OUT has the format, keys, shapes and types of the round's
    files; whole numbers, such as counters, are the lower median of those that were kept.

    Exit code 0: OUT is written. 2: something is wrong, in one line, and nothing is written.
    """
    from pdrr import files

    asked = Asked(**given)
    found, judge = prepared(asked)
    files.check_target(out, found, force=force)
    with found.read() as observed:
        model, detection = judge.aggregate(observed)
    files.write(out, found, np.asarray(model), np.flatnonzero(~detection.flagged).tolist())
    tell(asked, verdict_of(asked, found, judge, detection), out)


def prepared(asked: Asked) -> tuple[Any, Any]:
    """The round's survey and the detector, after everything that can be refused early."""
    from pdrr import files

    if asked.previous is None:
        raise ValueError(
            "needs the model that you had sent, --previous FILE, or --previous median to take"
            " the median of the round's models in its place"
        )
    if asked.figure is not None:
        from pdrr.book import received

        received.check_name(asked.figure)
    known = asked.previous != files.MEDIAN
    own = {"c": asked.c, "beta": asked.beta}
    judge = files.detector(asked.detector, asked.rule, q=asked.q, previous_known=known, **own)
    found = files.survey(asked.path, asked.previous)
    files.check_k(asked.rule, found.k, **own)
    return found, judge


def verdict_of(asked: Asked, found: Any, judge: Any, detection: Any) -> Any:
    """The verdict by names, with the settings that a reader has to know."""
    from pdrr import files

    settings = {
        "rule": asked.rule,
        "detector": asked.detector,
        "c": asked.c,
        "beta": asked.beta,
        "q": getattr(judge, "q", None),
        "q_is_default": asked.q is None and asked.detector == "paper",
        "previous": asked.previous,
        "k": found.k,
        "d": found.layout.d,
        "statistic": files.statistic(asked.detector, asked.rule),
    }
    return files.Verdict(found.names, detection, settings)


def tell(asked: Asked, verdict: Any, out: Path | None = None) -> None:
    """Print the verdict as it was asked for, and draw it."""
    if asked.figure is not None:
        from pdrr.book import received

        received.save(verdict, asked.figure)
    if asked.as_json:
        click.echo(verdict.as_json(**({} if out is None else {"out": str(out)})))
        return
    click.echo(verdict.as_text(by_score=asked.by_score))
    if asked.plot:
        click.echo("\n" + verdict.bars(by_score=asked.by_score))
    click.echo()
    for note in (*verdict.remarks, *verdict.notes):
        click.echo(f"note: {note}")
    click.echo(verdict.summary())
    if out is not None:
        click.echo(f"wrote {out} from the other {verdict.kept} models")


COMMANDS = (detect, aggregate)
