"""What the learning rate, which the paper does not state, does to the attacks and to PDRR."""

from __future__ import annotations

from itertools import product

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pandas.io.formats.style import Styler

from pdrr.book.drawing import Drawing
from pdrr.book.over_rounds import ALARM, MISS
from pdrr.book.readings import shown
from pdrr.book.style import BENIGN, BESIDE, GRID, MALICIOUS
from pdrr.claims.words import listed, short, span
from pdrr.core.rules import DEFENDED, in_words
from pdrr.experiments.attacking import NOBODY
from pdrr.experiments.chains import ORACLE
from pdrr.experiments.records import Records

COLUMNS = {"partial": "partial knowledge", "full": "full knowledge", NOBODY: "nobody attacks"}
KEY = (
    ("▲", BENIGN, "FAR, honest models flagged"),
    ("✕", MALICIOUS, "MAR, attackers missed"),
)


def errors(records: Records) -> pd.DataFrame:
    """Counts over the recorded rounds of the oracle-defended chain.

    A row for each rule, knowledge ("none" where nobody attacks) and learning rate: rounds, in how
    many the attack found a model (`succeeded`) and Krum selected a malicious one (`malicious_won`),
    models and errors, and the accuracy of the un-attacked aggregate at the last round.
    """
    table = records.table[records.table["chain"] == ORACLE].sort_values("round", kind="stable")
    table = table.assign(one=1, won=table["selected"] == "malicious")
    keys = ["rule", "knowledge", "learning_rate"]
    sums = {"rounds": "one", "succeeded": "succeeded", "malicious_won": "won"}
    sums |= {name: name for name in ("benign", "false_alarms", "malicious", "missed")}
    named = {name: (column, "sum") for name, column in sums.items()}
    last = {"last_round": ("round", "max"), "accuracy": ("accuracy_unattacked", "last")}
    return table.groupby(keys, sort=True).agg(**named, **last).reset_index()


def rates_table(records: Records) -> Styler:
    """The same as a table: did PDRR succeed, and did the attack?

    A row is one line on a phone: rule, the first word of what is known, learning rate.
    """
    found = errors(records)
    rows = {}
    for rule in DEFENDED:
        for known, words in COLUMNS.items():
            own = found[(found["rule"] == rule) & (found["knowledge"] == known)]
            for row in own.to_dict("records"):
                attacked = known != NOBODY
                krum = attacked and rule == "krum"
                name = f"{in_words(rule)}, {words.partition(' ')[0]}, {row['learning_rate']:g}"
                rows[name] = {
                    "FAR": short(row["false_alarms"] / row["benign"]),
                    "MAR": short(row["missed"] / row["malicious"]) if attacked else "–",
                    "accuracy": f"{row['accuracy']:.2f}",
                    "rounds": str(row["rounds"]),
                    "attack finds a model": f"{row['succeeded']}" if attacked else "–",
                    "Krum selects a malicious one": f"{row['malicious_won']}" if krum else "–",
                }
    return shown(rows, "runs")


def by_rate(records: Records) -> Drawing:
    """FAR and MAR of PDRR against the learning rate: a panel for each rule and attack.

    Above each rate in how many rounds the attack found a model; of Krum, took an attacker's.
    """
    found = errors(records)
    rules = [rule for rule in DEFENDED if (found["rule"] == rule).any()]
    rates = sorted(found["learning_rate"].unique())
    panels = {}
    with mpl.rc_context(BESIDE):
        for rule, (known, words) in product(rules, COLUMNS.items()):
            title = f"{in_words(rule)}, {words}"
            panels[title] = Figure(figsize=(3.1, 2.5), layout="constrained")
            ax = panels[title].subplots()
            own = found[(found["rule"] == rule) & (found["knowledge"] == known)]
            _panel(ax, own, [rates.index(rate) for rate in own["learning_rate"]])
            ax.set_xticks(range(len(rates)), [f"{rate:g}" for rate in rates])
            ax.set_xlim(-0.5, len(rates) - 0.5)
            ax.set(xlabel="learning rate", ylabel="share of models")
            ax.set_title(title.replace(", ", "\n"))
    return Drawing(panels, records.table, key=KEY)


def _panel(ax: Axes, own: pd.DataFrame, x: list[int]) -> None:
    ax.plot(x, own["false_alarms"] / own["benign"], **{**ALARM, "ls": "-", "ms": 7})
    if own["malicious"].any():
        ax.plot(x, own["missed"] / own["malicious"], **{**MISS, "ls": "-", "ms": 7})
        krum = (own["rule"] == "krum").all()
        won = own["malicious_won" if krum else "succeeded"]
        for at, number, rounds in zip(x, won, own["rounds"], strict=True):
            ax.annotate(f"{number}/{rounds}", (at, -0.2), ha="center", va="center", fontsize=10)
    ax.set(ylim=(-0.3, 1.08), yticks=np.linspace(0, 1, 3))
    ax.grid(visible=True, axis="y", color=GRID, zorder=0)


def findings(records: Records) -> str:
    """What the rates do, in sentences, as Markdown: one for each rule."""
    found = errors(records)
    lines = []
    for rule in DEFENDED:
        own = found[(found["rule"] == rule) & (found["knowledge"] != NOBODY)]
        quiet = found[(found["rule"] == rule) & (found["knowledge"] == NOBODY)]
        if own.empty:
            continue
        wrong = own["false_alarms"] + own["missed"] > 0
        never = own[wrong].groupby("learning_rate").size().index
        right = [rate for rate in own["learning_rate"].unique() if rate not in never]
        attacked = "attacked, it errs at each of these rates, with full or partial knowledge."
        if right:
            rates = listed(f"{rate:g}" for rate in right)
            attacked = f"no error, attacked with either knowledge, at {rates}."
        flagged = quiet["false_alarms"] / quiet["benign"]
        lines.append(
            f"- **{in_words(rule)}**: {attacked}"
            f" Nobody attacking, it flags {span(flagged, '{:.0%}')} of the models"
            f"{_each(quiet['learning_rate'], flagged)}."
        )
    return "\n".join(lines)


def _each(rates: pd.Series, shares: pd.Series) -> str:
    seen = shares.map("{:.0%}".format)
    if len(set(seen)) == 1 < len(seen):
        return " at each of them"
    each = (f"{share} at {rate:g}" for rate, share in zip(rates, seen, strict=True))
    return f": {', '.join(each)}"
