"""Tidy results: how they are kept and read back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pdrr.core.files import RECORDED, atomic


@dataclass(frozen=True, eq=False)
class Records:
    """A tidy table and where it comes from.

    Attributes
    ----------
    table : DataFrame
        One row per observation, the varying parameters in its first columns.
    runs : DataFrame
        One row per run: parameters, measures, seconds.
    provenance : mapping
        Profile, settings, data set and hash, versions, device, seconds, commit.

    Examples
    --------
    >>> import pandas as pd
    >>> from pdrr.experiments import Records
    >>> table = pd.DataFrame({"seed": [1, 1, 2, 2], "score": [0.5, 1.0, 0.25, 1.0]})
    >>> runs = pd.DataFrame({"seed": [1, 2], "far": [0.5, 0.0]})
    >>> records = Records(table, runs, {"data": "glyphs", "synthetic": True, "d": 1947})
    >>> [len(part.table) for part in (records, records.where(seed=2))]
    [4, 2]
    """

    table: pd.DataFrame
    runs: pd.DataFrame
    provenance: Mapping[str, Any]

    @property
    def caption(self) -> str:
        """What the results were computed on, in one line; never mixes synthetic and real.

        Examples
        --------
        >>> import pandas as pd
        >>> from pdrr.experiments import Records
        >>> runs = pd.DataFrame({"seed": [1, 2], "far": [0.5, 0.0]})
        >>> Records(runs, runs, {"data": "glyphs", "synthetic": True, "d": 1947}).caption
        'glyphs (synthetic data), d = 1,947, seeds 1, 2'
        """
        p = self.provenance
        kind = "synthetic" if p["synthetic"] else "real"
        seeds = self.runs["seed"].unique().tolist()
        named = f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {', '.join(map(str, seeds))}"
        return f"{p['data']} ({kind} data), d = {p['d']:,}, {named}"

    def where(self, **values: Any) -> Records:
        """The part with the given values in the columns of both tables.

        Examples
        --------
        >>> import pandas as pd
        >>> from pdrr.experiments import Records
        >>> runs = pd.DataFrame({"seed": [1, 2], "far": [0.5, 0.0]})
        >>> Records(runs, runs, {}).where(seed=2).runs["far"].tolist()
        [0.0]
        """
        table, runs = self.table, self.runs
        for name, value in values.items():
            table, runs = table[table[name] == value], runs[runs[name] == value]
        if table.empty:
            raise ValueError(f"records have no run with {values}")
        return Records(table, runs, self.provenance)

    def save(self, folder: Path, stem: str) -> None:
        """Write ``stem.csv`` (table) and ``stem.json`` (runs, provenance) into `folder`.

        Examples
        --------
        >>> import pandas as pd, pathlib, tempfile
        >>> from pdrr.experiments import Records
        >>> runs = pd.DataFrame({"seed": [1, 2], "far": [0.5, 0.0]})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Records(runs, runs, {}).save(pathlib.Path(folder), "mine")
        ...     sorted(path.name for path in pathlib.Path(folder).iterdir())
        ['mine.csv', 'mine.json']
        """
        with atomic(folder / f"{stem}.csv") as path:
            self.table.to_csv(path, index=False, float_format="%.9g")
        content = {
            "provenance": dict(self.provenance),
            "runs": [
                {name: None if pd.isna(value) else value for name, value in run.items()}
                for run in self.runs.to_dict(orient="records")
            ],
        }
        with atomic(folder / f"{stem}.json") as path:
            path.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", "utf-8")

    @classmethod
    def load(cls, folder: Path, stem: str) -> Records:
        """Read what `save` wrote; ValueError naming the file if it is missing or damaged.

        Examples
        --------
        >>> import pandas as pd, pathlib, tempfile
        >>> from pdrr.experiments import Records
        >>> runs = pd.DataFrame({"seed": [1, 2], "far": [0.5, 0.0]})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Records(runs, runs, {}).save(pathlib.Path(folder), "mine")
        ...     again = Records.load(pathlib.Path(folder), "mine")
        >>> again.runs.to_dict("list")
        {'seed': [1, 2], 'far': [0.5, 0.0]}
        """
        try:
            content = json.loads((folder / f"{stem}.json").read_text("utf-8"))
            table = pd.read_csv(folder / f"{stem}.csv")
            runs = pd.DataFrame(content["runs"])
            gaps = [name for name in runs if runs[name].isna().any()]  # null where there was NaN
            return cls(table, runs.astype(dict.fromkeys(gaps, float)), content["provenance"])
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"cannot read the records {folder / stem}.*: {error}") from error

    @classmethod
    def concat(cls, parts: Iterable[Records]) -> Records:
        """Several runs as one; the provenance tells the total, and all that differs in origin."""
        parts = list(parts)
        told = [p.provenance for p in parts]
        merged = {
            name: "; ".join(dict.fromkeys(str(p[name]) for p in told if name in p))
            for name in ("device", "commit", "date", "command")
            if name in told[-1]
        }
        merged["seconds"] = round(sum(p["seconds"] for p in told), 2)
        return cls(
            pd.concat([p.table for p in parts], ignore_index=True),
            pd.concat([p.runs for p in parts], ignore_index=True),
            {**told[-1], **merged},
        )


def recorded(stem: str, profile: str = "paper") -> Records:
    """The committed results of a full run, from ``book/records/<profile>``.

    The provenance also has the command that makes them again.

    Examples
    --------
    >>> from pdrr import experiments
    >>> experiments.recorded("table1").runs["seed"].unique().tolist()
    [1, 2, 3]
    """
    found = Records.load(RECORDED / profile, stem)
    seeds = ",".join(str(seed) for seed in found.runs["seed"].unique())
    source = found.provenance["settings"]["data"]["source"]
    command = f'make record PROFILE={profile} DATA={source} ARGS="--seeds {seeds} {stem}"'
    return Records(found.table, found.runs, {**found.provenance, "command": command})


KEYS = (
    *("scheme", "reading", "attack", "rule", "seed", "round", "knowledge", "c", "beta", "noise"),
    *("epsilon", "share", "pairs", "choice", "portion", "draw", "coordinates"),
    *("chain", "learning_rate", "arm"),
)


def each_run(records: Records) -> Iterator[tuple[str, pd.DataFrame, pd.Series]]:
    """Every run: what tells it from the others, its rows of the table, its row of `runs`.

    ValueError if a run has no rows, two runs have the same parameters, or rows no run.
    """
    keys = [key for key in KEYS if key in records.runs and key in records.table]
    if not keys:
        raise ValueError("table and runs have no column in common")
    table, runs = (
        frame.assign(
            **{key: pd.to_numeric(frame[key]).fillna(-1) for key in keys if key == "beta"},
            **{key: frame[key].astype(object).fillna("") for key in keys if key == "noise"},
        )
        for frame in (records.table, records.runs)
    )
    rows = dict(iter(table.groupby(keys, sort=False)))
    telling = [key for key in keys if runs[key].unique().size > 1] or keys[:1]
    seen = set()
    for _, run in runs.iterrows():
        key = tuple(run[keys])
        label = ", ".join(f"{name} {run[name]:g}" if isinstance(run[name], float)
                          else f"{name} {run[name]}" for name in telling)  # fmt: skip
        if key not in rows or key in seen:
            raise ValueError(f"{'two runs' if key in seen else 'no rows'} of {label}")
        seen.add(key)
        yield label, rows[key], run
    if len(seen) < len(rows):
        raise ValueError(f"rows of {len(rows) - len(seen)} runs that are not listed")
