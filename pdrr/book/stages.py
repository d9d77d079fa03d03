"""Times of whole stages beside the benchmark's table: first calls, training, models on disk."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from pandas.io.formats.style import Styler

from pdrr.book.alignment import styled
from pdrr.book.performance import OWN, RECORDED, RULES
from pdrr.claims.words import seconds
from pdrr.experiments.records import Records

STEM = "stages"
COLUMNS = ["part", "stage", "variant", "median_s", "low_s", "high_s", "repeats", "note"]


def stages_table(part: str, folders: tuple[Path, ...] = (OWN, RECORDED)) -> Styler:
    """One part of the stages, a variant a column, from the first folder that has it.

    Parameters
    ----------
    part : str
        "first call", "training and trials" or "models on disk".
    folders : Paths
        Where to look.

    Returns
    -------
    Styler
        Medians. A note on most of the stages stands below, and so does one on a single stage;
        where each stage has a note of its own they are a column.

    Raises
    ------
    ValueError
        If no folder has the part.
    """
    there = [Records.load(f, STEM) for f in folders if (f / f"{STEM}.json").exists()]
    found = next((each for each in there if part in each.provenance), None)
    if found is None:
        raise ValueError(f"no table of stages has a part {part!r}")
    origin, table = found.provenance[part], found.table[found.table["part"] == part]
    table = table.assign(note=table["note"].astype(object).fillna(""))
    stages = list(dict.fromkeys(table["stage"]))
    wide = table.pivot_table(index="stage", columns="variant", values="median_s")
    wide = wide.loc[stages, list(dict.fromkeys(table["variant"]))].map(seconds)
    notes = {stage: _notes(own) for stage, own in table.groupby("stage")}
    every = [note for own in notes.values() for note in own]
    below = [n for n in dict.fromkeys(every) if n and every.count(n) > len(stages) / 2]
    own = {stage: "; ".join(n for n in notes[stage] if n and n not in below) for stage in stages}
    if all(own.values()):
        wide["note"] = [own[stage] for stage in stages]
    else:
        below += [f"{RULES.get(stage, stage)}: {note}" for stage, note in own.items() if note]
    wide.index = pd.Index([RULES.get(stage, stage) for stage in stages])
    shown = styled(wide.rename_axis(columns=None), "schemes")
    return shown.set_caption(f"{'; '.join([*below, origin['device'], origin['date']])}.")


def _notes(rows: pd.DataFrame) -> list[str]:
    """The notes of a stage; each with its variant, where they differ."""
    found = rows[rows["note"] != ""].drop_duplicates("note")
    if len(found) < 2 or found["variant"].duplicated().any():
        return list(dict.fromkeys(rows["note"]))
    return [
        f"{variant}: {note}" for variant, note in zip(found["variant"], found["note"], strict=True)
    ]
