"""A data card: what a data set holds, for a person to read and for a program."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from pdrr.data.dataset import CLASSES, FederatedDataset, without_repeats
from pdrr.data.orientation import height_to_width, lies_on_its_side

_GROUPS = (("digits", 0, 10), ("capitals", 10, 36), ("small letters", 36, 62))


def facts(
    data: FederatedDataset, source: str | os.PathLike[str], words: str, licence: str
) -> dict[str, Any]:
    """What a card tells, as plain values.

    Parameters
    ----------
    data : FederatedDataset
        What was read.
    source : str or path
        Where from; the size on disk is told of what lies there.
    words, licence : str
        What the format says of itself.

    Returns
    -------
    dict of str
        Numbers, words, and lists and dicts of them: what JSON can hold.

    Examples
    --------
    >>> from pdrr import data
    >>> from pdrr.data import card
    >>> told = card.facts(data.load("glyphs", writers=2), "glyphs", "'glyphs'", "OFL-1.1")
    >>> told["writers"], told["licence"], told["orientation"][:7]
    (2, 'OFL-1.1', 'upright')
    """
    sizes = np.bincount(data.writer.astype(np.intp), minlength=len(data))
    counts = np.bincount(data.labels, minlength=len(CLASSES))
    kept = without_repeats(data.images, data.writer, data.test)
    return {
        "name": data.name,
        "format": words,
        "bytes": _bytes(Path(source)),
        "licence": licence,
        "writers": len(data),
        "images": len(data.labels),
        "images_per_writer": {
            "min": int(sizes.min()),
            "median": float(np.median(sizes)),
            "max": int(sizes.max()),
        },
        "classes": int((counts > 0).sum()),
        "images_per_class": {
            CLASSES[label]: int(counts[label]) for label in np.flatnonzero(counts)
        },
        "split": {"train": int((~data.test).sum()), "test": int(data.test.sum())},
        "values": [int(data.images.min()), int(data.images.max())],
        "background": "white (255)",
        "orientation": _orientation(data),
        "repeats_within_a_writer": len(data.labels) - len(kept),
        "notes": list(data.notes),
        "sha256": data.sha256,
    }


def _bytes(path: Path) -> int | None:
    """What a file or all files of a folder take on disk; None for what is in the package."""
    if path.is_dir():
        files = (Path(top) / name for top, _, names in os.walk(path) for name in names)
        return sum(file.stat().st_size for file in files if file.is_file())
    return path.stat().st_size if path.is_file() else None


def _orientation(data: FederatedDataset) -> str:
    told = f"ink {height_to_width(data.images):.2f} times as high as wide"
    if lies_on_its_side(data.images):
        return f"ON ITS SIDE: {told}; refused where it is loaded"
    return f"upright: {told}" if len(data.labels) >= 200 else f"too few images to say: {told}"


def as_text(told: dict[str, Any]) -> str:
    """The card as lines for a terminal.

    Parameters
    ----------
    told : dict
        What `facts` returned.

    Returns
    -------
    str
        A line for each fact.
    """
    sizes, split, counts = told["images_per_writer"], told["split"], told["images_per_class"]
    n = told["images"]
    lines = {
        "format": told["format"],
        "on disk": "in the package" if told["bytes"] is None else f"{told['bytes']:,} bytes",
        "licence": told["licence"],
        "writers": f"{told['writers']:,}",
        "images": f"{n:,}: {sizes['min']} to {sizes['max']} a writer, median {sizes['median']:g}",
        "split": f"train {split['train']:,}, test {split['test']:,} ({split['test'] / n:.0%})",
        "classes": f"{told['classes']} of {len(CLASSES)}",
    }
    for group, first, last in _GROUPS:
        own = {c: counts[c] for c in CLASSES[first:last] if c in counts}
        lines[group] = f"{sum(own.values()):,} ({sum(own.values()) / n:.0%})"
        if own:
            least, most = min(own, key=own.__getitem__), max(own, key=own.__getitem__)
            lines[group] += f", from {own[least]:,} of {least} to {own[most]:,} of {most}"
    lines |= {
        "values": "{} to {}".format(*told["values"]),
        "background": told["background"],
        "orientation": told["orientation"],
        "repeats": f"{told['repeats_within_a_writer']:,} within a writer",
        "sha256": told["sha256"],
    }
    shown = [told["name"], *(f"  {name:<14}{text}" for name, text in lines.items())]
    return "\n".join([*shown, *(f"  {'note':<14}{note}" for note in told["notes"])])
