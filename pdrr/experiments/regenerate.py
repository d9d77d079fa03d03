"""Whether our own records can be had again: from their scores, and from nothing.

`recomputed` needs no training: what the runs claim must follow from the clients' scores.
`again` runs a profile's recordings once more and compares, column by column.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from pdrr import config
from pdrr.core.files import listed
from pdrr.experiments import outside, recordings, scene
from pdrr.experiments.chains import summary
from pdrr.experiments.records import KEYS, Records, each_run
from pdrr.experiments.schemes import OURS, known
from pdrr.federation.store import Store
from pdrr.metrics import far, mar, q_range

DIGITS = 1e-6  # what nine written digits leave of a rate or a score


@dataclass(frozen=True)
class Tolerance:
    """How far a column may be off when another machine records it again."""

    part: str  # "table" or "runs"
    column: str
    absolute: float = 0.0
    relative: float = 0.0
    schemes: str = "all"  # those that flag from a "threshold" on, "VAE", or the "others"


# Another processor rounds differently, and training carries that on.
TOLERANCES = (
    Tolerance("table", "score", absolute=0.02, schemes="threshold"),
    Tolerance("table", "flagged", schemes="threshold"),
    Tolerance("runs", "far", schemes="threshold"),
    Tolerance("runs", "mar", schemes="threshold"),
    # ranks among the c largest change with the last digits of a score
    Tolerance("runs", "far", absolute=0.15, schemes="others"),
    Tolerance("runs", "mar", absolute=0.15, schemes="others"),
    # trained on two threads with one seed VAE gave MAR .65 and 1.00 for the same round: the order
    # of additions in its widest layers changes, and hundreds of steps carry that on
    Tolerance("runs", "far", absolute=0.30, schemes="VAE"),
    Tolerance("runs", "mar", absolute=0.40, schemes="VAE"),
    Tolerance("runs", "lambda", relative=0.01),
    Tolerance("runs", "succeeded"),
    Tolerance("runs", "selected"),
    Tolerance("runs", "accuracy", absolute=0.05),
    Tolerance("runs", "accuracy_attacked", absolute=0.05),
    Tolerance("runs", "accuracy_defended", absolute=0.05),
    Tolerance("table", "false_alarms", absolute=1),  # chains: an error more or less at the edge
    Tolerance("table", "missed", absolute=1),
    Tolerance("table", "benign_high", absolute=0.02),
    Tolerance("table", "malicious_low", absolute=0.02),
    Tolerance("table", "first", absolute=1e-3),
    Tolerance("table", "second", absolute=1e-3),
)


@dataclass(frozen=True)
class Outcome:
    """What came of one recording."""

    name: str  # profile/stem
    differences: Sequence[str]
    number: int  # of runs looked at

    def __str__(self) -> str:
        if not self.differences:
            return f"{self.name}: regenerated ({self.number} runs)"
        more = f" (and {len(self.differences) - 1} more)" if len(self.differences) > 1 else ""
        return f"{self.name}: differs, {self.differences[0]}{more}"


# from the scores


def recomputed(root: Path) -> list[Outcome]:
    """FAR, MAR, q range and times of all records under `root`, from their own tables.

    Those that keep no client's score (`outside.RATES`) are left out.

    Raises
    ------
    ValueError
        If there are no records, or one is damaged.
    """
    paths = [path for name in config.PROFILES for path in listed(root / name, "*.json")]
    paths = [path for path in paths if path.stem not in outside.RATES]
    if not paths:
        raise ValueError(f"no records in {root}")
    with tqdm(paths, unit="record", desc="from the scores", disable=None, leave=False) as bar:
        return [_recomputed(path) for path in bar]


def _recomputed(path: Path) -> Outcome:
    records = Records.load(path.parent, path.stem)
    name = f"{path.parent.name}/{path.stem}"
    try:
        runs = list(each_run(records))
        wrong = [word for label, rows, run in runs for word in _of_run(label, rows, run)]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"damaged records {path}: {error}") from error
    return Outcome(name, wrong, len(runs))


def _of_run(label: str, rows: pd.DataFrame, run: pd.Series) -> Iterator[str]:
    """What the run says that its rows do not."""
    if "seconds" in rows:
        facts = {"median_s": "median", "low_s": "min", "high_s": "max"}
        found = {name: float(rows["seconds"].agg(how)) for name, how in facts.items()}
    elif "rounds" in run and "round" in rows:
        counts = summary(rows).iloc[0]
        names = ("rounds", "wrong", "no_q", "false_alarms", "missed")
        found = {name: float(counts[name]) for name in names}
    elif "score" not in rows or rows["score"].isna().all():  # Fig. 2; a rule without a detector
        found = {}
    else:
        flagged, byzantine = (rows[name].to_numpy(bool) for name in ("flagged", "byzantine"))
        found = {"far": far(flagged, byzantine)}
        if attacked := byzantine.any():
            found["mar"] = mar(flagged, byzantine)
        scores = rows["score"].to_numpy(float)
        flags = known()[run.get("scheme", OURS)].flags
        if flags == "threshold":
            if attacked:
                low, high = q_range(scores, byzantine) or (np.nan, np.nan)
                found |= {"q_low": low, "q_high": high}
            wrong = (flagged != (scores >= run["q"])) & (np.abs(scores - run["q"]) > DIGITS)
        elif flags == "votes":
            wrong = flagged != (scores >= 1)
        else:  # the c largest, whoever wins a tie
            edge = np.sort(scores)[-int(run["c"])]
            wrong = np.where(flagged, scores < edge, scores > edge)
            if flagged.sum() != run["c"]:
                yield f"{label}: flags {flagged.sum()} models, not c = {run['c']}"
        if wrong.any():
            clients = ", ".join(map(str, rows["client"][wrong]))
            yield f"{label}: the scores do not flag as recorded, clients {clients}"
    for name, value in found.items():
        if not np.isclose(run[name], value, rtol=DIGITS, atol=DIGITS, equal_nan=True):
            yield f"{label}: {name} is recorded as {run[name]:.6g}, its rows give {value:.6g}"


# from nothing


def again(root: Path, profile: str, source: str, store: Store) -> list[Outcome]:
    """Record a profile once more, with the seeds that were recorded, and compare.

    Parameters
    ----------
    root : Path
        Folder of the records; those in ``root/profile`` are compared.
    profile, source : str
        As they were recorded: the profile, and "glyphs" or where the data set lies.
    store : Store
        Cache: an empty one trains everything, the usual one takes the rounds that are there.

    Returns
    -------
    list of Outcome
        One for each recording but that of seconds.

    Raises
    ------
    ValueError
        If nothing is recorded, a file is damaged, or the data are not the recorded ones.
    """
    if profile not in config.PROFILES:
        raise ValueError(
            f"profile needs to be one of {', '.join(config.PROFILES)}, got {profile!r}"
        )
    kept = {
        path.stem: Records.load(path.parent, path.stem)
        for path in listed(root / profile, "*.json")
        if path.stem in recordings.STEMS
        and path.stem not in recordings.TIMES  # nobody gets the same seconds twice
    }
    if not kept:
        raise ValueError(f"no records in {root / profile} to regenerate")
    data = scene.dataset(scene.settings(profile, source, 1), store)
    for stem, records in kept.items():
        recorded = records.provenance
        if data.name != recorded["data"] or (
            data.sha256 != recorded["sha256"] and not data.synthetic
        ):
            raise ValueError(
                f"{profile}/{stem} needs the data it was recorded with, {recorded['data']},"
                f" got {data.name}"
            )
    by_seeds: dict[tuple[int, ...], list[str]] = {}
    for stem, records in kept.items():
        seeds = tuple(int(seed) for seed in sorted(records.runs["seed"].unique()))
        by_seeds.setdefault(seeds, []).append(stem)
    folder = store.root / "regenerated" / profile
    for seeds, stems in by_seeds.items():
        with contextlib.redirect_stdout(io.StringIO()):  # where it writes to is nobody's interest
            recordings.run(stems, profile, source, seeds, folder, store)
    return [
        Outcome(
            f"{profile}/{stem}",
            list(differences(records, Records.load(folder, stem))),
            len(records.runs),
        )
        for stem, records in kept.items()
    ]


def differences(recorded: Records, new: Records) -> Iterator[str]:
    """Where `new` is not `recorded` to within TOLERANCES: a line for each column."""
    for part in ("table", "runs"):
        old, got = getattr(recorded, part), getattr(new, part)
        keys = [k for k in (*KEYS, "client", "model", "byzantine") if k in old and k in got]
        if len(old) != len(got) or not _same(old[keys], got[keys]).all(axis=None):
            yield f"{part}: other {', '.join(keys)}: {len(got)} rows for {len(old)}"
            return
        for rule in TOLERANCES:
            if rule.part != part or rule.column not in old:
                continue
            if rule.column not in got:
                yield f"{part}: no column {rule.column}"
                continue
            rows = _rows(old, rule.schemes)
            yield from _compared(old[rows], got[rows], rule)


def _rows(frame: pd.DataFrame, schemes: str) -> np.ndarray:
    """bool: the rows of the schemes that a tolerance speaks of."""
    if schemes == "all":
        return np.ones(len(frame), bool)
    names = frame["scheme"] if "scheme" in frame else pd.Series(OURS, frame.index)
    kinds = {
        name: name if name == "VAE" else flags if flags == "threshold" else "others"
        for name in names.unique()
        for flags in (known()[name].flags,)
    }
    return (names.map(kinds) == schemes).to_numpy()


def _same(old: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    """Equal values or both missing; "" was written as a gap."""
    blank = [
        frame.astype(object).where(frame.notna(), "").reset_index(drop=True) for frame in (old, new)
    ]
    return blank[0] == blank[1]


def _compared(old: pd.DataFrame, new: pd.DataFrame, rule: Tolerance) -> Iterator[str]:
    before, now = (frame[rule.column].reset_index(drop=True) for frame in (old, new))
    if rule.absolute or rule.relative:
        near = np.isclose(
            now.astype(float), before.astype(float), rule.relative, rule.absolute, equal_nan=True
        )
    else:
        near = _same(before.to_frame(), now.to_frame()).to_numpy()[:, 0]
    if near.all():
        return
    first = int(np.flatnonzero(~near)[0])
    row = old.iloc[first]
    names = [k for k in (*KEYS, "client") if k in old and old[k].unique().size > 1]
    where = ", ".join(f"{k} {row[k]}" for k in names)
    gap = ""
    if rule.absolute or rule.relative:
        apart = (now.astype(float) - before.astype(float)).abs()
        gap = f", at most {apart.max():.2g} apart"
    yield (
        f"{rule.column} in {int((~near).sum())} of {len(near)} rows{gap}: first {where}"
        f" {before[first]}, now {now[first]}"
    )
