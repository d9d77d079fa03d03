"""What the paper's other readings give, from recorded runs: records in, styled tables out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler

from pdrr.book.alignment import styled
from pdrr.book.cells import drawn, lots_in_words
from pdrr.book.tables import RATES, readings_of
from pdrr.claims.chance import expected_rates
from pdrr.claims.expected import expected
from pdrr.claims.words import interval, short, span
from pdrr.core.rules import in_words
from pdrr.experiments.clock import lines
from pdrr.experiments.records import Records
from pdrr.experiments.schemes import OURS, in_order, known

Numbers = Mapping[str, Mapping[str, Any]]  # of a table of the paper: scheme -> column -> value(s)

WORDS = {"c": "c = {}", "beta": "β = {}", "round": "round {}"}  # other columns speak for themselves


def separation_table(
    parts: Mapping[str, Records], by: Sequence[str] = ("c", "knowledge"), value: str = "score"
) -> Styler:
    """How far PDRR tells the two kinds of model apart, one reading of the paper below the other.

    Parameters
    ----------
    parts : mapping
        Name of a reading -> records of PDRR, of any number of runs.
    by : sequence of str
        Columns of the runs: the runs that agree in them share a row.
    value : {"score", "statistic"}
        What to show of the clients.

    Returns
    -------
    Styler
        Smallest and largest value of the malicious clients, largest of the benign ones, the q that
        suit all runs of the row, and the largest FAR and MAR.
    """
    by, rows = list(by), {}
    runs = pd.concat([part.runs.assign(part=name) for name, part in parts.items()])
    clients = pd.concat([part.table.assign(part=name) for name, part in parts.items()])
    for _, alike in runs.groupby(by, sort=False):
        for name, own in alike.groupby("part", sort=False):
            seen = clients.merge(own[["part", *by]].drop_duplicates())
            malicious = seen.loc[seen["byzantine"], value]
            low, high = own["q_low"].max(skipna=False), own["q_high"].min(skipna=False)
            setting = [WORDS.get(column, "{}").format(own[column].iloc[0]) for column in by]
            rows[": ".join(filter(None, [", ".join(setting), str(name)]))] = {
                "malicious": span(malicious),
                "benign up to": f"{seen.loc[~seen['byzantine'], value].max():.2f}",
                "suitable q": interval(low, high),
                "FAR": f"{own['far'].max():.2f}",
                "MAR": f"{own['mar'].max():.2f}",
            }
    return shown(rows, "runs").set_caption(
        "Extremes over all runs of a row; FAR and MAR: the largest."
    )


def missed_table(
    parts: Mapping[str, Records],
    paper: Mapping[str, Numbers] | None = None,
    schemes: Sequence[str] | None = None,
) -> Styler:
    """MAR of each scheme, as decided and in other readings, over several settings and rounds.

    Rates that lots decide are their expectation, and marked.

    Parameters
    ----------
    parts : mapping
        Title of a group of columns -> records of `experiments.rounds` under one setting.
    paper : mapping, optional
        The same titles -> the paper's table of that setting, where it has one.
    schemes : sequence of str, optional
        Rows; by default all that were run. Those that do not flag exactly c models have a row for
        FAR, too.
    """
    numbers = expected().tables.rounds
    columns = [
        (title, int(number))
        for title, part in parts.items()
        for number in sorted(part.runs["round"].unique())
    ]
    lots = {title: expected_rates(part).runs for title, part in parts.items()}
    runs = pd.concat([own.assign(part=title) for title, own in lots.items()])
    rows: dict[str, list[str]] = {}
    for scheme in in_order(runs["scheme"] if schemes is None else schemes):
        found = runs[runs["scheme"] == scheme]
        there = readings_of(scheme, found)
        exactly_c = scheme in known() and known()[scheme].flags == "c"
        rates = {"": "mar"} if exactly_c else RATES
        for (rate, column), reading in product(rates.items(), there):
            own = found[found["reading"] == reading]
            cells = dict(iter(own.groupby(["part", "round"])))
            words = reading if reading != "default" else "as decided" if len(there) > 1 else ""
            name = ", ".join(filter(None, [scheme, words, rate]))
            rows[name] = [
                drawn(short(cells[at][column].mean()), cells[at]) if at in cells else "–"
                for at in columns
            ]
        printed = {
            (title, number): f'<small class="paper">{short(value)}</small>'
            for title, table in (paper or {}).items()
            for number, value in zip(numbers, table.get(scheme, {}).get("MAR", []), strict=False)
        }
        if printed:
            rows[f"{scheme}, the paper"] = [printed.get(at, "") for at in columns]
    header = pd.MultiIndex.from_tuples([(t, str(n)) for t, n in columns], names=[None, "round"])
    frame = pd.DataFrame(list(rows.values()), list(rows), header)
    return styled(frame, "schemes numbers").set_caption(f"–: not recorded.{lots_in_words(runs)}")


def order_table(records: Records) -> Styler:
    """What ERR and LFR would find if client numbers broke their ties, and not the lot.

    Parameters
    ----------
    records : Records
        Of `experiments.rounds`; one seed, one kind of knowledge. Default readings are shown.
    """
    rows = {}
    table = records.table[records.table["reading"] == "default"]
    for (scheme, number), seen in table.groupby(["scheme", "round"]):
        if scheme not in ("ERR", "LFR"):
            continue
        client, impact = seen["client"].to_numpy(), seen["statistic"].to_numpy()
        bad, c = seen["byzantine"].to_numpy(), int(seen["c"].iloc[0])
        first = np.lexsort((client, -impact))[:c]
        last = np.lexsort((-client, -impact))[:c]
        rows[f"{scheme}, round {number}"] = {
            "impacts of exactly 0": f"{(impact == 0).sum()} of {len(impact)}",
            "found by lot": f"{(seen['flagged'] & bad).sum()} of {bad.sum()}",
            "by number": f"{bad[first].sum()} of {bad.sum()}",
            "by number, attackers last": f"{bad[last].sum()} of {bad.sum()}",
        }
    return shown(rows)


def coordinates_table(records: Records) -> Styler:
    """Seconds of VAE and DAGMM by the number of coordinates that they look at, and PDRR's beside.

    Parameters
    ----------
    records : Records
        Of `experiments.by_coordinates`, one seed.

    Returns
    -------
    Styler
        A column per scheme, for a phone to show all of them; the last rows are the fitted line
        (`clock.lines`) and where it is at all d coordinates, which nobody measured but of PDRR.
    """
    every = f"all {records.provenance['d']:,}"
    found = lines(records)
    columns: dict[str, dict[str, str]] = {}
    for scheme, own in records.runs[records.runs["scheme"] != OURS].groupby("scheme", sort=False):
        seconds = own.set_index("coordinates")["median_s"]
        line = found.loc[str(scheme)]
        columns[str(scheme)] = {f"{n:,}": f"{each:.2f} s" for n, each in seconds.items()}
        columns[str(scheme)] |= {
            "line, its start": f"{line['start_s']:.2f} s",
            "line, per million": f"{line['million_s']:.1f} s",
            f"{every}, by the line": f"{line['all_s']:.0f} s",
        }
    ours = records.runs[records.runs["scheme"] == OURS]["median_s"]
    columns[OURS] = {f"{every}, measured": f"{span(ours, '{:.1f}')} s"}
    return styled(pd.DataFrame(columns).fillna("–"), "schemes")


def refits_table(records: Records) -> Styler:
    """FAR and MAR of one round by trainings of VAE and DAGMM: what one training decides.

    Parameters
    ----------
    records : Records
        Of `experiments.refits`, one rule.

    Returns
    -------
    Styler
        A row per scheme and rate, a column per training and one for their span.
    """
    rows = {}
    for scheme, own in records.runs.groupby("scheme", sort=False):
        for rate in ("far", "mar"):
            values = own.sort_values("draw")[rate]
            each = {f"training {i}": f"{value:.2f}" for i, value in enumerate(values, 1)}
            rows[f"{scheme}, {rate.upper()}"] = {**each, "span": span(values)}
    return shown(rows)


def unattacked_table(records: Records) -> Styler:
    """How many clients PDRR flags in rounds that nobody attacked, and what that costs.

    Parameters
    ----------
    records : Records
        Of `experiments.unattacked`, any rules, seeds and rounds.

    Returns
    -------
    Styler
        A row for each rule and round: flagged clients, fewest to most over the seeds, and mean
        accuracy of the rule's aggregate and of PDRR's.
    """
    rows = {}
    keys = ["rule", "round"]
    for (rule, number), own in records.runs.groupby(keys, sort=False):
        seen = records.table.merge(own[[*keys, "seed"]])
        flagged = seen.groupby("seed")["flagged"].sum()
        rows[f"{in_words(str(rule))}, round {number}"] = {
            "flagged": f"{span(flagged, '{:.0f}')} of {seen['client'].max()}",
            "accuracy of the rule": f"{own['accuracy_rule'].mean():.2f}",
            f"of {OURS}": f"{own['accuracy_defended'].mean():.2f}",
            "q": f"{own['q'].iloc[0]:g}",
            "seeds": str(len(own)),
        }
    return shown(rows)


def printed_records() -> tuple[list[Records], Records]:
    """The paper's own Tables 1 to 3 as records, for `table4.derive`.

    The median's are those of the trimmed mean and LFR's seconds those of ERR: the paper leaves
    both out and says that they are alike.
    """
    tables = expected().tables
    evaluations = []
    for rule, table in (
        ("krum", tables.table1),
        ("trimmed_mean", tables.table2),
        ("median", tables.table2),
    ):
        key = {"rule": rule, "reading": "default", "knowledge": "partial", "noise": ""}
        runs = [
            {**key, "scheme": scheme, "beta": np.nan, "round": number, "far": far, "mar": mar}
            for scheme, rates in table.items()
            for number, far, mar in zip(tables.rounds, rates["FAR"], rates["MAR"], strict=True)
        ]
        evaluations.append(Records(pd.DataFrame(), pd.DataFrame(runs), {}))
    seconds = {**tables.table3, "LFR": tables.table3["ERR"]}
    timing = [
        {"scheme": scheme, "rule": rule, "median_s": value, "setup_s": 0.0}
        for scheme, by_rule in seconds.items()
        for rule, value in by_rule.items()
    ]
    return evaluations, Records(pd.DataFrame(), pd.DataFrame(timing), {})


# parts


def shown(rows: Mapping[str, Mapping[str, str]], kind: str = "schemes") -> Styler:
    """A table of texts, row -> column -> text; `kind` is its class in the style sheet."""
    frame = pd.DataFrame(list(rows.values()), list(rows))
    return styled(frame, kind)
