"""Which attack, which defence: one table, and behind each cell the rounds that it stands for."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from pdrr.book.cotrimming import without_gaps, words_of
from pdrr.claims.words import short, typeset
from pdrr.core.rules import in_words
from pdrr.experiments.attacking import NOBODY
from pdrr.experiments.records import Records

OURS = "Co-trimming"
RANK_ONLY = ("NNM", "RFA")  # aggregators that flag nobody
FEW = 0.01  # of the models, FAR and MAR: as good as none
MARKS = {  # what a cell says, best first
    "sees": "finds all, flags nobody else",
    "ranks": "ranks attackers first, but flags too many or too few",
    "blind": "no better than a guess",
    "inverted": "takes the honest for the attackers",
}
ROUND_BY_ROUND = "Each detector, round by round"
SHOWN = {"sees": "●", "ranks": "◐", "blind": "○", "inverted": "✕"}


def verdict(far: float, mar: float, auc: float) -> str:
    """One of `MARKS`, from means over rounds.

    Examples
    --------
    >>> from pdrr.book.door import verdict
    >>> verdict(0, 0, 1), verdict(0.2, 0, 1), verdict(0.4, 0.6, 0.5), verdict(0.6, 1, 0.02)
    ('sees', 'ranks', 'blind', 'inverted')
    """
    if far <= FEW and mar <= FEW:
        return "sees"
    if auc >= 0.9:
        return "ranks"
    return "inverted" if auc <= 0.1 else "blind"


def cells(records: Records) -> pd.DataFrame:
    """A row for each attack as it was tried and scheme: means over rounds, and the verdict."""
    table = tried(records)
    means = table.groupby(["attack", "knowledge", "noise", "scheme"], sort=False)
    found = means[["far", "mar", "auc"]].mean().assign(rounds=means.size()).reset_index()
    marks = [verdict(*row) for row in found[["far", "mar", "auc"]].itertuples(index=False)]
    return found.assign(mark=marks)


def tried(records: Records) -> pd.DataFrame:
    """Rows of the rounds in which an attack found something to send."""
    place = ["attack", "knowledge", "noise", "seed", "round"]
    runs = without_gaps(records.runs)
    sent = runs.loc[runs["succeeded"].astype(bool) & (runs["attack"] != NOBODY), place]
    return without_gaps(records.table).merge(sent.drop_duplicates(), on=place)


def _keys(frame: pd.DataFrame) -> list[tuple[str, str, str]]:
    columns = frame[["attack", "knowledge", "noise"]]
    return [(str(a), str(b), str(c)) for a, b, c in columns.itertuples(index=False)]


def door(records: Records) -> str:
    """The table as HTML: attacks down, schemes across, a mark in each cell that leads to rounds."""
    found = cells(records)
    schemes = list(dict.fromkeys(found["scheme"]))
    worst = {
        scheme: max(own["mark"], key=list(MARKS).index) for scheme, own in found.groupby("scheme")
    }
    head = "".join(f"<th scope='col'>{escape(name)}</th>" for name in schemes)
    lines = []
    keyed = found.assign(key=pd.Series(_keys(found), index=found.index))
    for key in dict.fromkeys(keyed["key"]):
        place, name, own = _place(*key), words_of(*key), keyed[keyed["key"] == key]
        row = own.set_index("scheme")
        inner = "".join(_cell(row.loc[scheme], place) for scheme in schemes)
        lines.append(f"<tr><th scope='row'><a href='#{place}'>{escape(name)}</a></th>{inner}</tr>")
    last = "".join(f"<td>{_mark(worst[scheme])}</td>" for scheme in schemes)
    lines.append(f"<tr class='worst'><th scope='row'>the worst of these</th>{last}</tr>")
    legend = ", ".join(f"{SHOWN[mark]} {words}" for mark, words in MARKS.items())
    return (
        f"<table class='door'><caption>{legend}.</caption><thead><tr><th></th>"
        f"{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
    )


def _cell(cell: pd.Series, place: str) -> str:
    name = str(cell.name)
    title = f"{name}: {_rates(name, cell.to_dict())}, {cell['rounds']} rounds"
    return f"<td><a href='#{place}' title='{escape(title)}'>{_mark(cell['mark'])}</a></td>"


def _mark(mark: str) -> str:
    return f"<span class='{mark}' aria-label='{escape(MARKS[mark])}'>{SHOWN[mark]}</span>"


def _place(attack: str, knowledge: str, noise: str) -> str:
    return "-".join(part for part in ("rounds", attack, knowledge, noise) if part)


def rounds_behind(records: Records, *, addressed: bool = True) -> str:
    """For each attack, folded, its rounds: rates of each scheme, damage, the command.

    Only those that the table leads to have addresses.
    """
    table, runs = tried(records), without_gaps(records.runs)
    parts = []
    for attack, knowledge, noise in dict.fromkeys(_keys(table)):
        own, ran = (
            frame[
                (frame["attack"] == attack)
                & (frame["knowledge"] == knowledge)
                & (frame["noise"] == noise)
            ]
            for frame in (table, runs)
        )
        rounds = own[["seed", "round"]].drop_duplicates()
        columns = [f"seed {s}, round {n}" for s, n in rounds.itertuples(index=False)]
        head = "".join(f"<th scope='col'>{column}</th>" for column in columns)
        lines = []
        for scheme, of_scheme in own.groupby("scheme", sort=False):
            texts = "".join(
                f"<td>{_rates(str(scheme), row)}</td>" for row in of_scheme.to_dict("records")
            )
            lines.append(f"<tr><th scope='row'>{escape(str(scheme))}</th>{texts}</tr>")
        damage = _damage(ran)
        place = f" id='{_place(attack, knowledge, noise)}'" if addressed else ""
        parts.append(
            f"<details class='rounds'{place}>"
            f"<summary>{escape(words_of(attack, knowledge, noise))}</summary><p>{damage}</p>"
            f"<table><caption>{ROUND_BY_ROUND}</caption><thead><tr><th></th>{head}</tr></thead>"
            f"<tbody>{''.join(lines)}</tbody></table></details>"
        )
    return "".join(parts)


def _rates(scheme: str, row: Mapping[Any, Any]) -> str:
    if scheme in RANK_ONLY:
        return f"AUC {short(row['auc'])}"
    return f"FAR {short(row['far'])}, MAR {short(row['mar'])}, AUC {short(row['auc'])}"


def _damage(runs: pd.DataFrame) -> str:
    """What the attack does to each rule that is not defended."""
    moved = runs.groupby("rule", sort=False)["moved"].mean()
    lost = (runs["accuracy_spared"] - runs["accuracy"]).groupby(runs["rule"], sort=False).mean()
    words = [
        f"{in_words(str(rule))} by {moved[rule]:.2f} steps (accuracy {-lost[rule]:+.3f})"
        for rule in moved.index
        if np.isfinite(moved[rule])
    ]
    return f"Undefended it moves: {escape(typeset('; '.join(words)))}."


def findings(records: Records) -> str:
    """Who wins, first; then what PDRR cannot see, as Markdown."""
    found = cells(records)
    judged = found[~found["scheme"].isin(RANK_ONLY)]
    many = judged.groupby("scheme", sort=False).size()
    seen = (judged["mark"] == "sees").groupby(judged["scheme"], sort=False).sum()
    order = seen.sort_values(ascending=False, kind="stable")
    best = order.iloc[:4].to_dict()
    top = ", ".join(f"{name} {count} of {many.to_dict()[name]}" for name, count in best.items())
    lines = [f"- **Most attacks found without an error**, of those that were tried: {top}."]
    better = []
    keyed = judged.assign(key=pd.Series(_keys(judged), index=judged.index))
    marks = dict(zip(zip(keyed["key"], keyed["scheme"], strict=True), keyed["mark"], strict=True))
    for key in dict.fromkeys(keyed["key"]):
        if marks.get((key, OURS), "sees") != "sees":
            seeing = keyed[(keyed["key"] == key) & (keyed["mark"] == "sees")]
            others = ", ".join(seeing["scheme"])
            better += [f"{words_of(*key)} ({others})"] if others else []
    lines.append(
        f"- **Where others do better than {OURS}**: "
        + ("; ".join(better) if better else "under none of these attacks")
        + "."
    )
    paper = judged[judged["scheme"].str.startswith("PDRR") & (judged["mark"] == "inverted")]
    for scheme, own in paper.groupby("scheme", sort=False):
        names = "; ".join(words_of(*key) for key in _keys(own))
        lines.append(f"- **{scheme} takes the honest for the attackers** under: {names}.")
    return "\n".join(lines)
