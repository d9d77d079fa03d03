"""One picture of why a count of trimmed values cannot see attackers in the middle."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from pdrr.book.style import BENIGN, LINE, MALICIOUS, STYLE
from pdrr.experiments.attacking import NOBODY, attacks
from pdrr.experiments.records import Records

TRIMMED: dict[str, Any] = {"color": "black", "alpha": 0.22, "lw": 0}


def ranks_picture(records: Records) -> Figure:
    """Who stands where in the sorted values of a coordinate, over all coordinates; a panel each.

    The trimmed places are shaded; the dashed line is where everybody would stand by chance.

    Parameters
    ----------
    records : Records
        Of `experiments.placed`.
    """
    groups = list(records.table.groupby(["attack", "knowledge"], sort=False))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 3.1), layout="constrained")
        panels = figure.subplots(1, len(groups), sharey=True, squeeze=False)[0]
        for ax, ((attack, knowledge), own) in zip(panels, groups, strict=True):
            run = records.where(attack=attack, knowledge=knowledge).runs.iloc[0]
            k, beta, c = (int(run[name]) for name in ("k", "beta", "c"))
            for low, high in ((0.5, beta + 0.5), (k - beta + 0.5, k + 0.5)):
                ax.axvspan(low, high, **TRIMMED, zorder=4)
            ax.bar(own["place"], own["malicious"], width=0.8, color=MALICIOUS, zorder=2)
            rest = 1 - own["malicious"]
            ax.bar(own["place"], rest, 0.8, own["malicious"], color=BENIGN, alpha=0.45, zorder=2)
            ax.axhline(c / k, **LINE, zorder=3)
            ax.set(xlim=(0.5, k + 0.5), ylim=(0, 1), xlabel="place in the sorted values")
            kinds = ("malicious", "benign") if attack != NOBODY else ("the first c", "others")
            trimmed = (run["trimmed_malicious"], run["trimmed_benign"])
            told = [f"{kind} {share:.0%}" for kind, share in zip(kinds, trimmed, strict=True)]
            ax.set_title(f"{_title(str(attack), str(knowledge))}\ntrimmed: {', '.join(told)}")
        panels[0].set_ylabel("share of coordinates")
        handles = [
            Patch(color=MALICIOUS, label="malicious"),
            Patch(color=BENIGN, alpha=0.45, label="benign"),
            Patch(**TRIMMED, label="trimmed"),
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


def _title(attack: str, knowledge: str) -> str:
    if attack == NOBODY:
        return "nobody attacks"
    return f"{attacks()[attack].words}, {knowledge}"
