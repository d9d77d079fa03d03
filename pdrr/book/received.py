"""The verdict on a round from files, drawn: a bar for each client's score."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from pdrr.book.style import BENIGN, LINE, MALICIOUS, STYLE
from pdrr.core.files import atomic

if TYPE_CHECKING:
    from pdrr.files import Verdict

FORMATS = (".png", ".svg", ".pdf")
MOST = 50  # rows that have a name; of more clients only some are named
LONGEST = 24  # letters of a name, the last of a longer one: they leave the bars room


def figure(verdict: Verdict) -> Figure:
    """Scores as bars, orange for the flagged, and the threshold q if there is one.

    A row for each client, so that its name is read as it stands and a phone shows all of it.
    """
    scores = np.asarray(verdict.detection.scores)
    places = np.arange(len(scores))
    with mpl.rc_context({**STYLE, "axes.grid.axis": "x"}):
        drawn = Figure(figsize=(5, 1.4 + 0.17 * min(len(places), MOST)), layout="constrained")
        ax = drawn.subplots()
        colours = [MALICIOUS if bad else BENIGN for bad in verdict.detection.flagged]
        ax.barh(places, scores, color=colours, height=0.8, zorder=3)
        handles: list[Artist] = [
            Patch(color=MALICIOUS, label="flagged"),
            Patch(color=BENIGN, label="kept"),
        ]
        q = verdict.settings["q"]
        if q is not None:
            handles.append(ax.axvline(q, **LINE, zorder=4, label=f"q = {q:g}"))
        step = -(-len(places) // MOST)
        names = [ascii(name)[1:-1] for name in verdict.names[::step]]
        names = [name if len(name) <= LONGEST else f"…{name[1 - LONGEST :]}" for name in names]
        names = [name.replace("$", r"\$") for name in names]
        ax.set_yticks(places[::step], names, fontsize="small")
        ax.set(xlabel="score", ylim=(len(places) - 0.4, -0.6))
        ax.set_title(f"{len(verdict.flagged)} of {len(places)} flagged")
        drawn.legend(handles=handles, loc="outside lower center", ncols=3)
    return drawn


def check_name(path: Path) -> None:
    """ValueError unless a figure can be written to `path`."""
    if path.suffix.lower() not in FORMATS:
        raise ValueError(f"a figure needs a name that ends in {', '.join(FORMATS)}, got {path}")


def save(verdict: Verdict, path: Path) -> None:
    """Write the figure whole or not at all."""
    drawn = figure(verdict)
    with atomic(path) as aside:
        drawn.savefig(aside)
