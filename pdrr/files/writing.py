"""The new global model, in the format, keys, shapes and types that the round came in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pdrr.core.files import atomic
from pdrr.files.entries import shown
from pdrr.files.rounds import FORMATS, Survey


def check_target(target: Path, found: Survey, *, force: bool) -> None:
    """ValueError unless a model of this round may be written to `target`."""
    if target.suffix.lower() != found.suffix:
        raise ValueError(
            f"{shown(target)}: needs a name that ends in {found.suffix}, as the round's files do"
        )
    if target.is_dir():
        raise ValueError(f"{shown(target)}: needs the name of a file, got a folder")
    if target.parent.resolve() == found.path.resolve():
        raise ValueError(f"{shown(target)}: would be a client of the next run, write it elsewhere")
    if target.exists() and target.samefile(found.path):
        raise ValueError(f"{shown(target)}: is the round itself")
    if target.exists() and not force:
        raise ValueError(f"{shown(target)}: exists already (--force writes over it)")


def write(target: Path, found: Survey, model: np.ndarray, kept: Sequence[int]) -> None:
    """Write a model [d] whole or not at all; the same model gives the same bits.

    Parameters
    ----------
    target : path of a file
    found : Survey
        Of the round.
    model : array [d]
    kept : sequence of int
        The clients that it was made of. Counters are their lower median: a value that somebody
        sent, whatever a minority sends.
    """
    pieces = found.layout.arrays(model, lambda entry: found.counter(entry, kept))
    with atomic(target) as aside, aside.open("wb") as file:
        FORMATS[found.suffix].write(file, pieces, found.layout.metadata)
