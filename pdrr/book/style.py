"""Colours and marks: orange malicious, blue benign, as in the paper's figures."""

from __future__ import annotations

from typing import Any

import seaborn as sns

BENIGN, MALICIOUS, GREEN = sns.color_palette("colorblind")[:3]
RED = "#c1121f"
STYLE: dict[Any, Any] = {
    "axes.grid.axis": "y",
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": "medium",
    "figure.dpi": 144,
    "font.size": 10,
    "legend.frameon": False,
}
LINE: dict[str, Any] = {"color": "black", "lw": 1, "ls": "--"}
FLAGGED: dict[str, Any] = {"color": "black", "ls": "", "marker": "v", "ms": 3.5}
NONE: dict[str, Any] = {"color": "black", "marker": "x", "s": 25, "lw": 1.2}
