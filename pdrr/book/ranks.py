"""One picture of why a count of trimmed values cannot see attackers in the middle."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from pdrr.book.drawing import Drawing
from pdrr.book.style import BENIGN, BESIDE, GREY, INK, LINE, MALICIOUS, PAPER
from pdrr.experiments.attacking import NOBODY, attacks
from pdrr.experiments.records import Records

TOP = 1.12  # of the axis: what is trimmed stands above the shares
KEY = (
    ("■", MALICIOUS, "malicious"),
    ("■", BENIGN, "benign"),
    ("■", GREY, "trimmed"),
    ("╌", INK, "by chance"),
)


def ranks_picture(records: Records) -> Drawing:
    """Who stands where in the sorted values of a coordinate, over all coordinates; a panel each.

    A grey bar is above the trimmed places; the dashed line is where everybody would stand by
    chance.

    Parameters
    ----------
    records : Records
        Of `experiments.placed`.
    """
    groups = list(records.table.groupby(["attack", "knowledge"], sort=False))
    panels = {}
    with mpl.rc_context(BESIDE):
        for (attack, knowledge), own in groups:
            title = _title(str(attack), str(knowledge))
            panels[title] = Figure(figsize=(3.1, 3.1), layout="constrained")
            ax = panels[title].subplots()
            run = records.where(attack=attack, knowledge=knowledge).runs.iloc[0]
            k, beta, c = (int(run[name]) for name in ("k", "beta", "c"))
            for low, high in ((0.5, beta + 0.5), (k - beta + 0.5, k + 0.5)):
                ax.axvspan(low, high, 1.03 / TOP, color=GREY, lw=0)
                ax.vlines((low, high), 0, 1, color=PAPER, lw=1.2, zorder=3)
            places = np.append(own["place"] - 0.5, k + 0.5)
            shares: dict[str, Any] = {"edges": places, "fill": True, "lw": 0, "zorder": 2}
            ax.stairs(own["malicious"], color=MALICIOUS, **shares)
            ax.stairs(np.ones(k), baseline=own["malicious"], color=BENIGN, **shares)
            ax.axhline(c / k, color=PAPER, lw=3, zorder=3)  # dashes are not seen on every colour
            ax.axhline(c / k, **LINE, zorder=4)
            ax.set(xlim=(0.5, k + 0.5), ylim=(0, TOP), xlabel="place in the sorted values")
            ax.set_yticks(np.linspace(0, 1, 6))
            ax.set_ylabel("share of coordinates")
            kinds = ("malicious", "benign") if attack != NOBODY else ("the first c", "others")
            trimmed = (run["trimmed_malicious"], run["trimmed_benign"])
            told = [f"{kind} {share:.0%}" for kind, share in zip(kinds, trimmed, strict=True)]
            head = title.replace(", ", "\n") if ", " in title else f"{title}\n"
            ax.set_title(f"{head}\ntrimmed: {', '.join(told)}", fontsize=9)
    return Drawing(panels, records.table, key=KEY)


def _title(attack: str, knowledge: str) -> str:
    if attack == NOBODY:
        return "nobody attacks"
    return f"{attacks()[attack].words}, {knowledge}"
