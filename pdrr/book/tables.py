"""One function per kind of table: records in, styled table out. Only means are computed here."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pandas as pd
from pandas.io.formats.style import Styler

from pdrr.book.alignment import styled
from pdrr.book.cells import drawn, lots_in_words, mean, spread_in_words
from pdrr.claims.chance import expected_rates
from pdrr.claims.words import bounds, interval
from pdrr.core.rules import DEFENDED, in_words
from pdrr.experiments.records import Records
from pdrr.experiments.schemes import OURS, in_order, known

Numbers = Mapping[str, Mapping[str, Any]]  # of a table of the paper: scheme -> column -> value(s)
RATES = {"FAR": "far", "MAR": "mar"}


# the schemes beside each other


def rates_table(
    records: Records, paper: Numbers | None = None, rounds: Sequence[int] = ()
) -> Styler:
    """FAR and MAR of each scheme at each round: as in the paper's Table 1; lots as expectations.

    Parameters
    ----------
    records : Records
        Of `experiments.rounds`: one reading, one setting, any number of seeds.
    paper : mapping, optional
        The paper's numbers: scheme -> "FAR" and "MAR" -> a number for each of `rounds`.
    rounds : sequence of int
        Those of the paper's columns.
    """
    runs = _one_setting(expected_rates(records).runs, "scheme", "round", "seed")
    printed = {
        (scheme, rate, number): value
        for scheme, rates in (paper or {}).items()
        for rate, values in rates.items()
        for number, value in zip(rounds, values, strict=True)
    }
    rows = {
        scheme: [
            _beside(_rate(at, column), printed.get((scheme, rate, number)))
            for rate, column in RATES.items()
            for number in _seeds(runs)
            for at in [found[found["round"] == number]]
        ]
        for scheme, found in _in_order(runs)
    }
    columns, name = _rounds(runs)
    table = _wide(rows, columns, name, best=columns)
    return table.set_caption(
        spread_in_words(runs.groupby(["scheme", "round"]).size())
        + (" In grey: the paper's." if printed else "")
        + (" Bold: the smallest of a column." if "num best" in table.to_html() else "")
        + lots_in_words(runs)
        + _gaps_in_words(rows)
    )


def readings_table(records: Records) -> Styler:
    """FAR and MAR of the paper's other readings beside ours, over the runs that have both."""
    runs = _one_setting(expected_rates(records).runs, "scheme", "reading", "round", "seed")
    others = runs[runs["reading"] != "default"]
    if others.empty:
        raise ValueError("records have no other reading than the default one")
    runs = runs[runs["seed"].isin(others["seed"]) & runs["scheme"].isin(others["scheme"])]
    rows = {
        f"{scheme}, {'as decided' if reading == 'default' else reading}": [
            _rate(part[part["round"] == number], column)
            for column in RATES.values()
            for number in _seeds(runs)
        ]
        for scheme, found in _in_order(runs)
        for reading in readings_of(scheme, found)
        if not (part := found[found["reading"] == reading]).empty
    }
    return _wide(rows, *_rounds(runs)).set_caption(
        spread_in_words(runs.groupby(["scheme", "reading", "round"]).size()) + lots_in_words(runs)
    )


def accuracy_table(records: Records) -> Styler:
    """Accuracy before the round, under attack without a defence, and after PDRR's re-aggregation.

    For Krum also whose model the undefended rule selects, over all seeds.
    """
    runs = records.runs.drop_duplicates(["seed", "round", "knowledge"])
    runs = runs.assign(selected=runs["selected"].where(runs["succeeded"].astype(bool), "no attack"))
    known = [word for word in ("partial", "full") if (runs["knowledge"] == word).any()]
    at = {
        (number, word): runs[(runs["round"] == number) & (runs["knowledge"] == word)]
        for number in _seeds(runs)
        for word in known
    }
    columns: dict[tuple[str, str], list[str]] = {
        ("before the round", ""): [
            mean(at[number, known[0]]["accuracy"]) for number in _seeds(runs)
        ]
    }
    for title, name in (("attacked", "accuracy_attacked"), ("with PDRR", "accuracy_defended")):
        for word in known:
            columns[title, word] = [mean(at[number, word][name]) for number in _seeds(runs)]
    if (runs["rule"] == "krum").all():
        for word in known:
            columns["Krum selects", word] = [
                " or ".join(sorted(at[number, word]["selected"].unique())) or "–"
                for number in _seeds(runs)
            ]
    rows = {
        f"round {number}, n = {n}": [column[i] for column in columns.values()]
        for i, (number, n) in enumerate(_seeds(runs).items())
    }
    return _wide(rows, list(columns), "knowledge").set_caption(
        spread_in_words(runs.groupby(["round", "knowledge"]).size())
    )


def time_table(records: Records, paper: Numbers | None = None) -> Styler:
    """Seconds of one detection under each attack, and how many times PDRR's that is (Table 3).

    Parameters
    ----------
    records : Records
        Of `experiments.timing`.
    paper : mapping, optional
        The paper's seconds: scheme -> rule -> seconds.
    """
    runs, printed = records.runs, paper or {}
    rules = [rule for rule in DEFENDED if (runs["rule"] == rule).any()]
    medians = runs.pivot_table("median_s", "scheme", "rule", aggfunc="median")
    rows = {}
    for scheme, found in _in_order(runs):
        cells = []
        for rule in rules:
            own, theirs = found[found["rule"] == rule], printed.get(scheme, {}).get(rule)
            low, high = own["low_s"].min(), own["high_s"].max()
            median, ours = medians[rule][scheme], medians[rule][OURS]
            seconds = f"{median:.2f}<br><small>{bounds(low, high)}</small>"
            cells.append(_beside(seconds, theirs))
            ratio = theirs / printed[OURS][rule] if theirs else None
            cells.append(_beside(f"{median / ours:.2f}", ratio))
        setup = found["setup_s"].max()
        rows[scheme] = [*cells, f"{setup:.2f}" if setup else "–"]
    columns = [(in_words(rule), what) for rule in rules for what in ("seconds", f"× {OURS}")]
    repeats = " or ".join(str(n) for n in sorted(runs["repeats"].unique()))
    timed = [column for column in columns if column[1] == "seconds"]
    return _wide(rows, [*columns, ("set-up", "seconds")], f"n = {repeats}", timed).set_caption(
        f"Median of {repeats} detections of all clients of round 1, below it the smallest and the"
        " largest; bold: the smallest of a column. Set-up: training before any round, once, not in"
        " the seconds."
    )


def functionality_table(derived: pd.DataFrame, paper: Numbers | None = None) -> Styler:
    """The words of `table4.derive`, the paper's beside them (Table 4)."""
    table = derived.copy()
    for scheme, column in ((s, c) for s in derived.index for c in derived.columns):
        printed = (paper or {}).get(str(scheme), {}).get(str(column))
        table.loc[scheme, column] = _beside(str(derived.loc[scheme, column]), printed)
    return styled(table, "schemes")


def measured_table(measured: pd.DataFrame) -> Styler:
    """The numbers behind Table 4, from `table4.measured`."""
    shown = measured.rename_axis(None).map("{:.3g}".format)
    rates = ["error", "spread"]
    shown[rates] = measured[rates].map("{:.3f}".format)
    return styled(shown, "schemes")


# PDRR alone


def runs_table(records: Records) -> Styler:
    """What was run and what came out, a row per run."""
    rows = [f"seed {seed}" for seed in records.runs["seed"]]
    return styled(_table(records.runs), "runs").relabel_index(rows, axis="index")


def seeds_table(records: Records) -> Styler:
    """The same over all seeds: the largest FAR and MAR, and the q that suit every run."""
    worst: Any = {
        "q": "first",
        "far": "max",
        "mar": "max",
        "q_low": lambda low: low.max(skipna=False),
        "q_high": lambda high: high.min(skipna=False),
        "lambda": "min",
        "selected": lambda whose: " or ".join(sorted(set(whose))),
        "detection_s": "median",
    }
    keys = ["rule", "noise", "c", "beta", "knowledge"]
    groups = records.runs.groupby(keys, dropna=False, sort=False)
    runs = groups.agg(worst).reset_index()
    runs["q_low"] = runs["q_low"].where(runs["q_low"] < runs["q_high"])  # none suits every run
    table = _table(runs)
    rows = table.pop("knowledge").tolist()
    table.insert(len(table.columns) - 1, "seeds", groups.size().astype(str).tolist())
    return styled(table, "runs").relabel_index(rows, axis="index")


def _table(runs: pd.DataFrame) -> pd.DataFrame:
    """Only the columns that say something, in the words of the book.

    The setting, then the errors: a phone shows no more.
    """
    krum = (runs["rule"] == "krum").all()
    table = pd.DataFrame({"knowledge": runs["knowledge"], "c": runs["c"]})
    if runs["beta"].notna().any():
        table["β"] = runs["beta"].astype(int)
    if krum:
        table["noise"] = runs["noise"]
    table["FAR"] = runs["far"].map("{:.2f}".format)
    table["MAR"] = runs["mar"].map("{:.2f}".format)
    table["suitable q"] = [
        interval(low, high)
        for low, high in zip(runs["q_low"].astype(float), runs["q_high"].astype(float), strict=True)
    ]
    table["q"] = runs["q"].map("{:g}".format)
    if krum:
        table["λ"] = [f"{x:.1e}" if x > 0 else "none" for x in runs["lambda"]]
        table["selects"] = runs["selected"]
    table["time [s]"] = runs["detection_s"].map("{:.1f}".format)
    return table


# where numbers come from


# parts


def _one_setting(runs: pd.DataFrame, *keys: str) -> pd.DataFrame:
    """The runs, if there is one for each value of the keys."""
    if runs.duplicated(list(keys)).any():
        raise ValueError("a table shows one setting, got several: choose with where")
    return runs


def _seeds(runs: pd.DataFrame) -> dict[int, int]:
    """Round -> how many seeds it was measured with."""
    numbers = sorted(int(number) for number in runs["round"].unique())
    return {number: int(runs["seed"][runs["round"] == number].nunique()) for number in numbers}


def _in_order(runs: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """The runs of each scheme, in the order of the paper's tables."""
    return [(scheme, runs[runs["scheme"] == scheme]) for scheme in in_order(runs["scheme"])]


def readings_of(scheme: str, runs: pd.DataFrame) -> list[str]:
    """The readings of a scheme that some runs have, the default first."""
    others = known()[scheme].readings if scheme in known() else ()
    return [name for name in ("default", *others) if (runs["reading"] == name).any()]


def _rate(runs: pd.DataFrame, column: str) -> str:
    return drawn(mean(runs[column]), runs)


def _gaps_in_words(rows: Mapping[str, Sequence[str]]) -> str:
    """What a dash means, if there is one; begins with a blank."""
    gaps = any(cell.startswith("–") for row in rows.values() for cell in row)
    return " –: not recorded." if gaps else ""


def _beside(ours: str, paper: float | str | None) -> str:
    """Our cell with the paper's number or words below, if it has any."""
    if paper is None:
        return ours
    theirs = paper if isinstance(paper, str) else f"{paper:.2f}"
    return f'{ours}<br><small class="paper"><span>paper </span>{theirs}</small>'


def _wide(
    rows: Mapping[str, Sequence[str]],
    columns: Sequence[tuple[str, ...]],
    name: str,
    best: Collection[tuple[str, ...]] = (),
) -> Styler:
    """A table with several header lines; `name` is what the second one lists."""
    names = [None, name or None, None][: len(columns[0])]
    header = pd.MultiIndex.from_tuples(columns, names=names)
    return styled(pd.DataFrame(list(rows.values()), list(rows), header), "schemes numbers", best)


def _rounds(runs: pd.DataFrame) -> tuple[list[tuple[str, ...]], str]:
    """Header of FAR and MAR at each round, and what its second line lists, with the seeds.

    A line more says how many seeds there are where rounds differ in that.
    """
    sizes = _seeds(runs)
    least, same = min(sizes.values()), len(set(sizes.values())) == 1
    columns = [
        (rate, f"{number}", *([] if same else [f"n = {n}"]))
        for rate in RATES
        for number, n in sizes.items()
    ]
    seeds = "one seed" if least == 1 else f"{least} seeds"
    return columns, f"round ({seeds})" if same else "round"
