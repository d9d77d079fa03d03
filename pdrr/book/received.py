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


def figure(verdict: Verdict) -> Figure:
    """Scores as bars, orange for the flagged, and the threshold q if there is one."""
    scores = np.asarray(verdict.detection.scores)
    places = np.arange(len(scores))
    with mpl.rc_context(STYLE):
        drawn = Figure(figsize=(9, 3.6), layout="constrained")
        ax = drawn.subplots()
        colours = [MALICIOUS if bad else BENIGN for bad in verdict.detection.flagged]
        ax.bar(places, scores, color=colours, width=0.8, zorder=3)
        handles: list[Artist] = [
            Patch(color=MALICIOUS, label="flagged"),
            Patch(color=BENIGN, label="kept"),
        ]
        q = verdict.settings["q"]
        if q is not None:
            handles.append(ax.axhline(q, **LINE, zorder=4, label=f"q = {q:g}"))
        step = -(-len(places) // 50)
        names = [ascii(name)[1:-1].replace("$", r"\$") for name in verdict.names[::step]]
        ax.set_xticks(places[::step], names, rotation=90, fontsize="x-small")
        ax.set_ylabel("score")
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
