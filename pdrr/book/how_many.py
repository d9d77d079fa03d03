"""How many attackers each detector bears, and what a wrong number costs."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pandas.io.formats.style import Styler

from pdrr.book.alignment import styled
from pdrr.book.drawing import Drawing
from pdrr.book.readings import shown
from pdrr.book.style import BENIGN, BESIDE, MALICIOUS
from pdrr.claims.words import short, span
from pdrr.core.rules import in_words
from pdrr.experiments.attacking import NOBODY
from pdrr.experiments.records import Records
from pdrr.experiments.schemes import OURS

ALIE = "alie"
NOWHERE = "nowhere"
ATTACKS = {"paper's": "the paper's attacks", ALIE: "ALIE"}
SILENT = "NNM"  # flags nobody
KEY = (
    ("✕", MALICIOUS, "MAR, attackers missed"),
    ("▲", BENIGN, "FAR, honest models flagged"),
)


def by_count(records: Records) -> pd.DataFrame:
    """FAR and MAR of each detector where the server expects the true c.

    A row for each scheme, k, kind of attack (`ATTACKS`; both where nobody attacks) and c: of
    several attacks, rounds and seeds the largest of each rate, and whether any is `wrong`.
    """
    table = records.table
    table = table[_true(table) & _usual(table) & (table["scheme"] != SILENT)]
    kinds = [
        table[
            (table["attack"] != ALIE) if kind != ALIE else table["attack"].isin((ALIE, NOBODY))
        ].assign(kind=kind)
        for kind in ATTACKS
    ]
    every = pd.concat(kinds)
    every = every.assign(wrong=(every["far"] > 0) | (every["mar"] > 0))
    keys = ["scheme", "k", "kind", "c"]
    worst = {name: (name, "max") for name in ("far", "mar", "wrong")}
    return (
        every.groupby(keys, sort=False).agg(**worst).reset_index().sort_values("c", kind="stable")
    )


def counts(records: Records) -> Drawing:
    """Largest FAR and MAR against the number of attackers, a panel for each detector.

    Above each half, the paper's attacks and ALIE, stands at which c no error was made. Whole rounds
    only.

    Parameters
    ----------
    records : Records
        Of `experiments.how_many`.
    """
    found = by_count(records)
    found = found[found["k"] == found["k"].max()]
    panels = {}
    with mpl.rc_context(BESIDE):
        for scheme in found["scheme"].unique():
            panels[scheme] = Figure(figsize=(4.3, 2.5), layout="constrained")
            panels[scheme].suptitle(scheme, weight="bold", ha="left", x=0.02)
            halves = panels[scheme].subplots(1, len(ATTACKS), sharey=True)
            for (kind, words), ax in zip(ATTACKS.items(), halves, strict=True):
                own = found[(found["scheme"] == scheme) & (found["kind"] == kind)]
                _panel(ax, own)
                ax.set_title(f"{words}\nno error: {_right(own)}", fontsize=10)
            panels[scheme].supxlabel(f"attackers c among {found['k'].max()}", fontsize=10)
    return Drawing(panels, records.table, key=KEY)


def _panel(ax: Axes, own: pd.DataFrame) -> None:
    some = own["c"] > 0
    ax.fill_between(own["c"], own["far"], color=BENIGN, alpha=0.2, lw=0)
    ax.plot(own["c"], own["far"], color=BENIGN, marker="^", ms=3, lw=1.2)
    ax.plot(own.loc[some, "c"], own.loc[some, "mar"], color=MALICIOUS, marker="x", ms=4, lw=1.2)
    ax.set(ylim=(-0.05, 1.05), yticks=[0, 0.5, 1])


def _right(own: pd.DataFrame) -> str:
    """At which c nothing was wrong: "0, 5–24"."""
    return _stretches(own["c"].tolist(), (~own["wrong"]).tolist())


def _stretches(values: Sequence[int], true: Sequence[bool]) -> str:
    """Runs of neighbouring values that are true, as words."""
    runs: list[list[int]] = []
    before = False
    for value, good in zip(values, true, strict=True):
        if good and before:
            runs[-1].append(value)
        elif good:
            runs.append([value])
        before = good
    words = [f"{r[0]}–{r[-1]}" if len(r) > 1 else f"{r[0]}" for r in runs]
    return ", ".join(words) or NOWHERE


def sizes_table(records: Records) -> Styler:
    """At which c each detector makes no error, by the number of models in the round."""
    rows: dict[str, dict[str, str]] = {}
    for (scheme, kind, k), own in by_count(records).groupby(["scheme", "kind", "k"], sort=False):
        cells = rows.setdefault(f"{scheme}, {ATTACKS[str(kind)]}", {})
        cells[f"k = {k}"] = _right(own)
    columns = [f"k = {k}" for k in sorted(records.table["k"].unique())]
    return styled(pd.DataFrame(rows).T.reindex(columns=columns).fillna("–"), "schemes")


def trims(records: Records) -> pd.DataFrame:
    """What the trimmed mean's beta does: means by attack, c and beta, whole rounds only.

    Columns: moved (of the rule's own aggregate), far, mar and auc of PDRR.
    """
    words = in_words("trimmed_mean")
    keys = ["attack", "c", "beta", "seed", "round", "k"]
    moved = records.runs[records.runs["rule"] == words]
    judged = records.table[records.table["scheme"] == f"{OURS} ({words})"]
    both = judged[[*keys, "far", "mar", "auc"]].merge(moved[[*keys, "moved"]], on=keys)
    both = both[both["k"] == both["k"].max()]
    several = both.groupby("c")["beta"].transform("nunique") > 1
    both = both[several & (both["attack"] != NOBODY)]
    measures = ["moved", "far", "mar", "auc"]
    means = both.groupby(["attack", "c", "beta"])[measures].mean()
    return pd.DataFrame(means).reset_index()


def trims_table(records: Records) -> Styler:
    """How far the trimmed mean is moved, and PDRR's FAR / MAR, by what is trimmed per side."""
    rows: dict[str, dict[str, str]] = {}
    for row in trims(records).to_dict("records"):
        words = "ALIE" if row["attack"] == ALIE else "the rule's own attack"
        rates = " / ".join(short(round(row[name], 2)) for name in ("far", "mar"))
        cell = f"{row['moved']:.2f}<br><small>{rates}</small>"
        rows.setdefault(f"c = {row['c']}, {words}", {})[f"β = {row['beta']:.0f}"] = cell
    return styled(pd.DataFrame(rows).T.fillna("–"), "schemes")


def expectations(records: Records) -> pd.DataFrame:
    """How far aggregates that are told c are moved: means by rule, expected and true c.

    Krum under the attack on it, the others under that on the trimmed mean; whole rounds only.
    `few` where the server expects fewer attackers than there are.
    """
    runs = records.runs
    runs = runs[(runs["k"] == runs["k"].max()) & runs["expected"].notna() & (runs["c"] > 0)]
    krum = in_words("krum")
    own = np.where(runs["rule"] == krum, "krum", "trimmed_mean")
    runs = runs[runs["attack"] == own]
    means = runs.groupby(["rule", "expected", "c"], sort=False)["moved"].mean().reset_index()
    return pd.DataFrame(means.assign(few=means["expected"] < means["c"]))


def expected_table(records: Records) -> Styler:
    """The same as a table: a row for each aggregate and expectation, a column for each c."""
    wrong = _varied(expectations(records))
    columns = sorted(wrong["c"].unique())
    rows: dict[str, dict[str, str]] = {}
    for (rule, expected), own in wrong.groupby(["rule", "expected"], sort=False):
        moved = dict(zip(own["c"], own["moved"], strict=True))
        rows[f"{rule}, {expected:.0f} expected"] = {
            f"c = {c}": f"{moved[c]:.2f}" if c in moved else "–" for c in columns
        }
    return shown(rows)


def findings(records: Records) -> str:
    """What the numbers say, in sentences, as Markdown: first, at which c no error was made."""
    found = by_count(records)
    whole = found[found["k"] == found["k"].max()]
    lines = []
    for scheme, own in whole.groupby("scheme", sort=False):
        told = []
        for kind, words in ATTACKS.items():
            right = _right(own[own["kind"] == kind])
            some = "an error at every c" if right == NOWHERE else f"no error at c = {right}"
            told.append(f"{some} under {words}")
        lines.append(f"- **{scheme}**, {own['k'].max()} models: {', '.join(told)}.")
    return "\n".join([*lines, *_krum(records), *_beta(records), *_expected(records)])


def _krum(records: Records) -> list[str]:
    """Where the attack on Krum finds a model and Krum takes a benign one."""
    runs, table = records.runs, records.table
    krum = in_words("krum")
    keys = ["seed", "round", "k", "c", "expected"]
    made = runs[(runs["rule"] == krum) & (runs["attack"] == "krum") & (runs["succeeded"] == 1)]
    made = made[_true(made)]
    judged = table[(table["scheme"] == f"{OURS} ({krum})") & (table["attack"] == "krum")]
    lost = made[made["selected"] == "benign"].merge(judged[[*keys, "far", "mar"]], on=keys)
    if made.empty:
        return []
    where = [
        f"k = {k}, c = {', '.join(map(str, sorted(own['c'].unique())))}"
        for k, own in lost.groupby("k")
    ]
    only = int(((lost["mar"] == 1) & (lost["far"] > 0)).sum())
    told = (
        f"- **The attack on {krum}** finds a model in {len(made)} rounds; in {len(lost)} of them"
        f" {krum} takes a benign one"
    )
    places = f" ({'; '.join(where)})" if where else ""
    return [f"{told}{places}. In {only} of these {OURS} flags benign models only."]


def _beta(records: Records) -> list[str]:
    lines = []
    for attack, own in trims(records).groupby("attack"):
        few = own["beta"] < own["c"]
        if few.all() or not few.any():
            continue
        words = "ALIE" if attack == ALIE else "the attack on it"
        parts = [
            f"{name} by {span(seen['moved'])} lengths of its step"
            f" ({OURS}'s AUC {span(seen['auc'])})"
            for name, seen in (("with β < c", own[few]), ("with β ≥ c", own[~few]))
        ]
        lines.append(f"- **The trimmed mean** is moved by {words} {parts[0]}, {parts[1]}.")
    return lines


def _expected(records: Records) -> list[str]:
    lines = []
    for rule, own in _varied(expectations(records)).groupby("rule", sort=False):
        if own["few"].all() or not own["few"].any():
            continue
        few, enough = (span(own.loc[own["few"] == kind, "moved"]) for kind in (True, False))
        lines.append(
            f"- **{rule}** that expects too few attackers is moved by {few} lengths of its step;"
            f" if it expects enough, or more, {enough}."
        )
    return lines


# parts


def _varied(found: pd.DataFrame) -> pd.DataFrame:
    """Where the server expects one number while c varies."""
    return found[found.groupby(["rule", "expected"])["c"].transform("nunique") > 1]


def _true(frame: pd.DataFrame) -> pd.Series:
    """Where the server expects the true c, or a method does not ask."""
    right = frame["expected"].isna() | (frame["expected"] == np.maximum(frame["c"], 1))
    return pd.Series(right)


def _usual(frame: pd.DataFrame) -> pd.Series:
    """Where a fifth of the models is trimmed per side, or a method does not ask."""
    return pd.Series(frame["beta"].isna() | (frame["beta"] == frame["k"] // 5))
