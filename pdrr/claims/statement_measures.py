"""What the statements of the prose are held to, beside `measures`: records in, a value a cell out.

A cell is a run, or what is compared. Costs are read from the benchmark's tables.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pdrr.claims.expected import expected
from pdrr.claims.measures import measure
from pdrr.core.rules import DEFENDED
from pdrr.experiments.clock import lines
from pdrr.experiments.records import KEYS, Records, each_run
from pdrr.experiments.schemes import OURS


def _each(records: Records, value: Callable[[pd.DataFrame, pd.Series], Any]) -> pd.Series:
    return pd.Series({label: value(rows, run) for label, rows, run in each_run(records)})


def _named(cells: Any) -> pd.Series:
    """Labels of several levels in one line."""
    labels = [x if isinstance(x, tuple) else (x,) for x in cells.index]
    return pd.Series(list(cells), index=[" ".join(map(str, label)) for label in labels])


# one run


@measure
def run_value(records: Records, *, of: str) -> pd.Series:
    """A column of the runs, of each run."""
    return _each(records, lambda _, run: run[of])


@measure
def missed(records: Records) -> pd.Series:
    """Number of malicious models that were not flagged."""
    return _each(records, lambda rows, _: int((rows["byzantine"] & ~rows["flagged"]).sum()))


@measure
def flagged(records: Records) -> pd.Series:
    """Number of flagged models."""
    return _each(records, lambda rows, _: int(rows["flagged"].sum()))


@measure
def set_apart(records: Records) -> pd.Series:
    """Whether every malicious score reaches q and no benign one does."""

    def apart(rows: pd.DataFrame, run: pd.Series) -> bool:
        return bool(((rows["score"] >= run["q"]) == rows["byzantine"]).all())

    return _each(records, apart)


@measure
def zero_impacts(records: Records, *, of_malicious: bool = False) -> pd.Series:
    """How many models' statistic is exactly 0, of all or of the malicious ones."""

    def zeros(rows: pd.DataFrame, _: pd.Series) -> int:
        counted = rows[rows["byzantine"]] if of_malicious else rows
        return int((counted["statistic"] == 0).sum())

    return _each(records, zeros)


@measure
def found_by_number(records: Records, *, last: bool) -> pd.Series:
    """Malicious models among the c largest statistics, if the client's number breaks the ties.

    `last`: as if the malicious clients had the highest numbers.
    """

    def found(rows: pd.DataFrame, run: pd.Series) -> int:
        number = rows["client"] * (-1 if last else 1)
        order = np.lexsort((number, -rows["statistic"]))[: int(run["c"])]
        return int(rows["byzantine"].to_numpy()[order].sum())

    return _each(records, found)


@measure
def nearest_benign(records: Records) -> pd.Series:
    """Distance of the nearest benign model from the malicious ones, in widths of their cluster."""

    def widths(rows: pd.DataFrame, _: pd.Series) -> float:
        points = rows.set_index("model")[["first", "second"]]
        malicious, benign = points.loc["malicious"], points.loc["benign"]
        away = np.linalg.norm(benign - malicious.mean(), axis=1)
        return float(away.min() / np.ptp(malicious.to_numpy(), axis=0).max())

    return _each(records, widths)


# several runs


@measure
def number_of_runs(records: Records) -> pd.Series:
    """How many runs there are."""
    return pd.Series({"runs": len(records.runs)})


@measure
def extremes(records: Records, *, of: str, by: str) -> pd.Series:
    """Smallest value of a column minus 0, and 1 minus the largest one, for each value of `by`.

    All 0 if the column reaches both ends of the rates.
    """
    found = records.runs.groupby(by)[of]
    return _named(pd.concat({"from 0": found.min(), "from 1": 1 - found.max()}))


@measure
def gap(
    records: Records, *, key: str, of: Any, over: Any, what: str, ratio: bool = False
) -> pd.Series:
    """What one value of a column has minus what another has (or their ratio), all else being equal.

    `what`: a column of the runs, or "q_length".
    """
    runs = records.runs
    runs = runs.assign(q_length=runs["q_high"] - runs["q_low"]) if "q_high" in runs else runs
    rest = [name for name in KEYS if name in runs and name != key]
    rest = [name for name in rest if len(runs[name].unique()) > 1] or ["rule"]
    found: Any = runs.set_index([key, *rest])[what]
    first, second = found.loc[of].align(found.loc[over], join="inner")
    return _named(first / second if ratio else first - second)


@measure
def gap_falls(
    records: Records, *, key: str, of: Any, over: Any, what: str, along: str, to: Any
) -> pd.Series:
    """Whether a gap, either way, is smaller where the column `along` has the value `to`."""
    halves = [
        gap(Records(records.table, own, records.provenance), key=key, of=of, over=over, what=what)
        for own in (
            records.runs[records.runs[along] != to],
            records.runs[records.runs[along] == to],
        )
    ]
    return halves[1].abs() < halves[0].abs()


def _by_reading(records: Records) -> Any:
    """MAR of each run in each reading that it was tried in."""
    return records.runs.pivot_table("mar", ["scheme", "rule", "seed", "round"], "reading")


@measure
def readings_compared(records: Records, *, of: str, over: str) -> pd.Series:
    """In how many runs one reading misses fewer malicious models than another, more, or as many."""
    found = _by_reading(records)
    difference = (found[of] - found[over]).dropna()
    counts = {
        "better": (difference < 0).sum(),
        "worse": (difference > 0).sum(),
        "same": (difference == 0).sum(),
    }
    return pd.Series(counts)


@measure
def better_where_worst(records: Records, *, of: str, over: str, from_mar: float) -> pd.Series:
    """Whether a reading misses fewer than another just where that one misses `from_mar` or more."""
    found = _by_reading(records)
    return _named((found[of] < found[over]) == (found[over] >= from_mar))


@measure
def papers_distance(records: Records, *, table: str, scheme: str) -> pd.Series:
    """How far MAR is from the paper's at its rounds, either way; means over the seeds."""
    tables = expected().tables
    paper = pd.Series(getattr(tables, table)[scheme]["MAR"], index=tables.rounds)
    found = records.runs.groupby(["reading", "round"])["mar"].mean()
    printed = paper[found.index.get_level_values("round")].to_numpy()
    return _named((found - printed).abs())


@measure
def farthest_from_paper(records: Records, *, table: str, scheme: str) -> pd.Series:
    """The largest of these distances, for each reading."""
    cells = papers_distance(records, table=table, scheme=scheme)
    return cells.groupby([label.rpartition(" ")[0] for label in cells.index]).max()


@measure
def papers_gap(records: Records, *, table: str, scheme: str) -> pd.Series:
    """MAR minus the paper's at its rounds; means over the seeds."""
    tables = expected().tables
    paper = pd.Series(getattr(tables, table)[scheme]["MAR"], index=tables.rounds)
    return _named((records.runs.groupby("round")["mar"].mean() - paper).rename("round {}".format))


# costs


@measure
def told(records: Records, *, of: str, words: str) -> pd.Series:
    """Whether the provenance says `words` of something."""
    return pd.Series({of: words in str(records.provenance[of])})


@measure
def seconds_of_papers(records: Records, *, scheme: str) -> pd.Series:
    """Seconds of one detection as a share of the paper's, under each attack."""
    paper = pd.Series(expected().tables.table3[scheme])
    runs: Any = records.runs[records.runs["scheme"] == scheme].set_index("rule")["median_s"]
    share: pd.Series = runs / paper[runs.index]
    return share


@measure
def seconds_spent(records: Records, *, of: Sequence[str]) -> pd.Series:
    """Seconds of some stages of each run, summed."""
    return _named(records.runs[list(of)].sum(axis=1))


@measure
def line_over_pdrr(records: Records) -> pd.Series:
    """Seconds of VAE and DAGMM by their lines at all d, over PDRR's largest in the same run."""
    ours = records.runs[records.runs["scheme"] == OURS]["median_s"]
    over: pd.Series = lines(records)["all_s"] / ours.max()
    return over


def _seconds(records: Records, implementation: str) -> Any:
    """Seconds of the benchmark [k and d, rules]."""
    table = records.table[records.table["implementation"] == implementation]
    return table.pivot_table("median_s", ["k", "d"], "rule")


@measure
def cost_over_rule(records: Records, *, rules: Sequence[str]) -> pd.Series:
    """Seconds of PDRR's detection over those of the rule alone, both compiled, for each size."""
    found = _seconds(records, "pdrr")
    return _named(pd.concat({rule: found[f"PDRR {rule}"] / found[rule] for rule in rules}))


@measure
def cost_over_papers(records: Records, *, scheme: str) -> pd.Series:
    """Seconds of each detection in the benchmark as a share of the paper's."""
    paper = expected().tables.table3[scheme]
    found = _seconds(records, "pdrr")
    return _named(pd.concat({rule: found[f"PDRR {rule}"] / paper[rule] for rule in DEFENDED}))


@measure
def times_as_fast(records: Records, *, rules: Sequence[str]) -> pd.Series:
    """Seconds of the plain definitions over those of the compiled loops, for each size."""
    found = _seconds(records, "pdrr, plain") / _seconds(records, "pdrr")
    return _named(pd.concat({rule: found[rule] for rule in rules}))


@measure
def growth(records: Records, *, along: str, rules: Sequence[str]) -> pd.Series:
    """Seconds at the larger of two sizes over those at the smaller one, compiled."""
    found = _seconds(records, "pdrr")[list(rules)].sort_index(level=along)
    if len(found) != 2:
        raise KeyError(f"two sizes, but {len(found)}")
    ratio: pd.Series = found.iloc[1] / found.iloc[0]
    return ratio


@measure
def fewest_passes(records: Records) -> pd.Series:
    """The smallest number of passes that any rule of any implementation takes, for each size."""
    rules = records.table[records.table["rule"] != "pass"]
    return _named(rules.groupby(["k", "d"])["passes"].min())


@measure
def over_the_floor(records: Records, *, stack_mb: float) -> pd.Series:
    """The fastest of all rows at each size, over the time in which memory can be read.

    Only sizes of at least so many MB, which no cache holds; the speed of memory is that of the
    fastest pass over them.
    """
    large = records.runs[records.runs["stack_mb"] >= stack_mb]
    rules = records.table[records.table["rule"] != "pass"]
    fastest: Any = rules.groupby(["k", "d"])["median_s"].min()
    sizes = pd.MultiIndex.from_frame(large[["k", "d"]])
    floor = 4 * (large["k"] * large["d"]).to_numpy() / (large["pass_gb_s"].max() * 1e9)
    return _named(fastest[sizes] / floor)


@measure
def stage_ratio(
    records: Records, *, stages: Sequence[str], of: str, over: str, times: Sequence[float] = (1,)
) -> pd.Series:
    """Seconds of one variant of stages over those of another, the stages summed.

    `times`: how often each stage is counted; once if there is one number.
    """
    found = records.table.pivot_table("median_s", "stage", "variant").loc[list(stages)]
    weights = np.broadcast_to(times, len(stages))
    total = found.mul(weights, axis=0)[[of, over]].sum(skipna=False)
    return pd.Series({", ".join(stages): total[of] / total[over]})
