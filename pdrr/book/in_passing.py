"""What the paper says in passing, tried: one compact table or figure for each remark."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from IPython.display import Markdown, display
from matplotlib.figure import Figure
from pandas.io.formats.style import Styler

from pdrr.book import captions
from pdrr.book.alignment import styled
from pdrr.book.drawing import Drawing, of
from pdrr.book.readings import shown
from pdrr.book.style import BENIGN, BESIDE, GREY, GRID, INK, LINE, MALICIOUS, NONE
from pdrr.claims.words import interval, short, span
from pdrr.core.files import RECORDED
from pdrr.core.rules import DEFENDED, RULES, in_words
from pdrr.experiments.records import Records, recorded

PROFILES = ("paper", "quick")
NOISES = {"ball": "L2 ball", "coordinate": "per coordinate"}
KNOWN = ("partial", "full")
KEY = (  # of the figure by epsilon
    ("■", MALICIOUS, "smallest malicious ρ"),
    ("●", BENIGN, "largest benign ρ"),
    ("╌", INK, "q in use"),
    ("┈", GREY, "the paper's ε"),
    ("×", INK, "Krum selects a benign model"),
)


def kept(stem: str) -> dict[str, Records]:
    """The recordings of a stem, by profile; empty if there is none yet.

    Examples
    --------
    >>> from pdrr.book import in_passing
    >>> in_passing.kept("what nobody recorded")
    {}
    """
    there = [name for name in PROFILES if (RECORDED / name / f"{stem}.json").exists()]
    return {profile: recorded(stem, profile) for profile in there}


def show(stem: str, *draw: Callable[[Records], Any], again: bool = False) -> None:
    """Display what is recorded of a stem, each profile under its caption; or that nothing is.

    What draws may give a list: its parts stand one below the other. `again`: the page has shown a
    part of it, and what holds for all real data is not said once more.
    """
    found = kept(stem)
    if not found:
        display(Markdown("*Nothing is recorded yet.*"))
    for profile, records in found.items():
        data, *more = captions.caption(records).split("\n")
        told = [f"{profile} profile: {data}{_rounds(records)}", *([] if again else more)]
        display(Markdown(f"*{'; '.join(told)}.*"))
        for each in draw:
            made = each(records)
            for drawn in made if isinstance(made, list) else [made]:
                display(of(drawn, records.table) if isinstance(drawn, Figure) else drawn)


def _rounds(records: Records) -> str:
    """The rounds, which a caption names only where they are later ones."""
    first = "round" in records.runs and (records.runs["round"] == 1).all()
    return ", round 1" if first else ""


# an attacked round from inside

ASPECTS: dict[str, dict[str, tuple[str, str]]] = {
    "directions": {
        "moved by s (partial: s̃)": ("density", "{:.2f}"),
        "ρ between malicious models": ("alike_malicious", "{:.4f}"),
        "ρ between benign models": ("alike_benign", "{:.2f}"),
    },
    "distances": {
        "malicious from w_p": ("to_previous_malicious", "{:.2f}"),
        "from the benign mean": ("to_centre_malicious", "{:.2f}"),
        "from the nearest benign model": ("to_nearest_malicious", "{:.2f}"),
        "benign from w_p": ("to_previous_benign", "{:.2f}"),
        "from the mean of the others": ("to_centre_benign", "{:.2f}"),
        "from the nearest other": ("to_nearest_benign", "{:.2f}"),
    },
    "sides": {
        "all malicious on one side": ("all_one_side_malicious_unattacked", "{:.3f}"),
        "all benign on one side": ("all_one_side_benign_unattacked", "{:.3f}"),
        "benign values look normal": ("normal", "{:.2f}"),
        "some benign values are equal": ("tied", "{:.2f}"),
        "aggregate from their mean": ("offset_unattacked", "{:.2f}"),
    },
    "counts": {
        "malicious trimmed": ("trimmed_malicious", "{:.2f}"),
        "benign trimmed": ("trimmed_benign", "{:.2f}"),
        "malicious remained": ("remained_malicious", "{:.4f}"),
        "benign remained": ("remained_benign", "{:.4f}"),
    },
    "effect": {
        "against s": ("against", "{:.2f}"),
        "past w_p": ("reversed", "{:.2f}"),
        "objective": ("objective", "{:.2f}"),
    },
}
"""Aspect -> column of the page -> column of the runs of `experiments.anatomy`, and its form."""


def anatomy_table(aspect: str) -> Callable[[Records], Styler]:
    """A table of one aspect of `experiments.anatomy`; spans where there are several runs."""
    wanted = ASPECTS[aspect]

    def table(records: Records) -> Styler:
        rows = {}
        for (rule, known), own in records.runs.groupby(["rule", "knowledge"], sort=False):
            there = {name: each for name, each in wanted.items() if each[0] in own}
            cells = {name: _span(own[column], form) for name, (column, form) in there.items()}
            if set(cells.values()) != {"–"}:
                rows[f"{in_words(str(rule), own['beta'].iloc[0])}, {known}"] = cells
        return shown(rows)

    return table


def _span(values: pd.Series, form: str = "{:.2f}") -> str:
    values = values.dropna()
    return span(values, form) if len(values) else "–"


# noise of the attack on Krum


def by_epsilon(records: Records) -> Drawing:
    """Correlation of malicious and benign models against epsilon: both noises, both knowledges.

    Parameters
    ----------
    records : Records
        Of `experiments.by_epsilon`. Of several rounds or seeds each is a line.
    """
    runs = records.runs
    ends = runs["epsilon"].min() / 2, runs["epsilon"].max() * 2
    panels = {}
    with mpl.rc_context(BESIDE):
        for (noise, words), known in product(NOISES.items(), KNOWN):
            title = f"{words}, {known} knowledge"
            panels[title] = Figure(figsize=(4.3, 2.9), layout="constrained")
            ax = panels[title].subplots()
            own = runs[(runs["noise"] == noise) & (runs["knowledge"] == known)]
            ax.set(xscale="log", xlim=ends, ylim=(-0.4, 1.12))
            for _, each in own.groupby(["seed", "round"]):
                _correlations(ax, each.sort_values("epsilon"))
            ax.axhline(own["q"].iloc[0], **LINE, zorder=2)
            ax.axvline(1e-7, color=GREY, lw=1, ls=":", zorder=1)
            ax.set_title(title)
            ax.grid(visible=True, axis="y", color=GRID, zorder=0)
            ax.set(xlabel="ε", ylabel="correlation ρ")
    return Drawing(panels, records.table, key=KEY)


def _correlations(ax: Any, runs: pd.DataFrame) -> None:
    """Lines where the attack won; where Krum selects a benign model there is nothing to compare."""
    won = runs[runs["selected"] == "malicious"]
    ax.plot(won["epsilon"], won["rho_malicious"], color=MALICIOUS, marker="s", ms=4, zorder=4)
    ax.plot(won["epsilon"], won["rho_benign"], color=BENIGN, marker="o", ms=4, zorder=3)
    lost = runs.loc[runs["selected"] == "benign", "epsilon"]
    ax.scatter(lost, np.full(len(lost), 1.04), **NONE, zorder=5)


def epsilon_table(records: Records) -> Styler:
    """For each noise and knowledge: up to which epsilon the attack wins, and what PDRR misses."""
    rows = {}
    for (noise, known), own in records.runs.groupby(["noise", "knowledge"], sort=False):
        won = own[own["selected"] == "malicious"]
        wrong = won[(won["far"] > 0) | (won["mar"] > 0)]
        rows[f"{NOISES[str(noise)]}, {known}"] = {
            "ε tried": str(own["epsilon"].nunique()),
            "the attack wins up to": f"{won['epsilon'].max():g}" if len(won) else "–",
            "PDRR errs though it won, from": f"{wrong['epsilon'].min():g}" if len(wrong) else "–",
            "MAR where it won": _span(won["mar"]),
            "MAR where Krum is not fooled": _span(own.loc[own["selected"] == "benign", "mar"]),
        }
    return shown(rows)


# other similarities


def similarities_table(records: Records) -> Styler:
    """PDRR for Krum with each similarity: errors at the q in use, and the q that would suit."""
    rows: dict[str, dict[str, str]] = {}
    for (reading, known), own in records.runs.groupby(["reading", "knowledge"], sort=False):
        cells = rows.setdefault(str(reading), {})
        cells[f"{known}: FAR"] = _rate(own["far"])
        cells[f"{known}: MAR"] = _rate(own["mar"])
        cells[f"{known}: suitable q"] = interval(own["q_low"].max(), own["q_high"].min())
    return shown(rows)


def _rate(values: pd.Series) -> str:
    """A rate, or the smallest and the largest of several runs; a dash where there is none."""
    values = values.dropna()
    ends = [short(x) for x in (values.min(), values.max())] if len(values) else ["–"]
    return "–".join(dict.fromkeys(ends))


# every attack on every rule


def transfer_table(records: Records) -> Styler:
    """Accuracy that each attack costs each rule, and FAR / MAR of PDRR, where the rule has one."""
    rows: dict[str, dict[str, str]] = {}
    groups = records.runs.groupby(["c", "attack", "knowledge"], sort=False)
    for (c, attack, known), own in groups:
        name = f"c = {c}, attack on {in_words(str(attack))}, {known}"
        rows[name if attack in RULES else f"c = {c}, {attack}, {known}"] = {
            in_words(rule): _harm(seen)
            for rule in RULES
            if not (seen := own[own["rule"] == rule]).empty
        }
    return styled(pd.DataFrame(rows).T.fillna("–"), "schemes")


def _harm(runs: pd.DataFrame) -> str:
    cell = span(runs["harm"], "{:+.2f}")
    if runs["far"].isna().all():
        return cell
    return f"{cell}<br><small>{_rate(runs['far'])} / {_rate(runs['mar'])}</small>"


# more attackers, alike clients, auxiliary data


def count_table(records: Records) -> Styler:
    """With each number of attackers: whose model Krum selects, harm, and PDRR's errors."""
    rows: dict[str, dict[str, str]] = {}
    for (rule, known), own in records.runs.groupby(["rule", "knowledge"], sort=False):
        name = f"{RULES[str(rule)].words}, {known}"
        for c, seen in own.groupby("c"):
            cell = _harm(seen)
            if rule == "krum":
                won = int((seen["selected"] == "malicious").sum())
                cell = f"{won} of {len(seen)}<br>{cell}"
            rows.setdefault(name, {})[f"c = {c}"] = cell
    columns = [f"c = {c}" for c in sorted(records.runs["c"].unique())]
    return styled(pd.DataFrame(rows).T.reindex(columns=columns).fillna("–"), "schemes")


def alike_table(records: Records) -> Styler:
    """PDRR against the attack on Krum where the clients' data are alike."""
    rows = {}
    for row in records.runs.to_dict("records"):
        mixed = f"{row['share']:.0%} of the images mixed"
        clones = f"{row['pairs']} pair{'s' * (row['pairs'] > 1)} of clones"
        data = clones if row["pairs"] else mixed
        several = f", seed {row['seed']}" if len(records.runs["seed"].unique()) > 1 else ""
        rows[f"{data}, {row['knowledge']}{several}"] = {
            "FAR / MAR": f"{short(row['far'])} / {short(row['mar'])}",
            "smallest malicious ρ": f"{row['rho_malicious']:.2f}",
            "largest benign ρ": f"{row['rho_benign']:.2f}",
            "ρ of benign pairs, mean": f"{row['alike_benign']:.2f}",
            "largest": f"{row['closest_benign']:.2f}",
            "Krum selects": row["selected"],
        }
    return shown(rows)


def auxiliary_table(records: Records) -> Styler:
    """MAR of ERR and LFR by the auxiliary set; over several sets the smallest and the largest."""
    rows: dict[str, dict[str, str]] = {}
    for (choice, _), own in records.runs.groupby(["choice", "portion"], sort=False):
        images = _span(own["images"], "{:,.0f}")
        named = f"{choice}, {images} images" if choice != "drawn" else f"{images} images drawn"
        for (rule, scheme), seen in own.groupby(["rule", "scheme"], sort=False):
            lots = " by lot" if seen["by_lot"].all() else ""
            cell = f"{_rate(seen['mar'])}{lots}"
            rows.setdefault(named, {})[f"{scheme}, {in_words(str(rule))}"] = cell
    order = [f"{s}, {in_words(rule)}" for rule in DEFENDED for s in ("ERR", "LFR")]
    frame = pd.DataFrame(rows).T
    return styled(frame[[name for name in order if name in frame]].fillna("–"), "schemes")


PAPERS: Mapping[str, str] = {
    "clients": "192",
    "test": "4,004",
    "auxiliary": "2,002",
    "classes": "62",
    "d": "6,603,710",
}
"""Section 5.1."""


def data_table(records: Records) -> Styler:
    """Clients and images, beside what the paper says it has."""
    run = records.runs.iloc[0]
    words = {
        **{name: name for name in ("clients", "images", "training", "test", "auxiliary")},
        **{"classes": "classes", "over_300": "clients with more than 300 images", "d": "d"},
    }
    rows = {
        text: {"here": f"{int(run[name]):,}", "the paper": PAPERS.get(name, "–")}
        for name, text in words.items()
    }
    shares = {name: f"{run[name]:.0%}" for name in ("digits", "capitals", "small")}
    rows |= {
        f"share of {name.replace('small', 'small letters')}": {"here": share, "the paper": "–"}
        for name, share in shares.items()
    }
    return shown(rows)
