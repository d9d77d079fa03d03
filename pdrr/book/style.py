"""Colours and marks: orange squares malicious, blue circles benign, on light and on dark pages."""

from __future__ import annotations

from typing import Any

BENIGN, MALICIOUS, GREEN = "#4a96d2", "#b84a00", "#029e73"
RED = "#c1121f"
INK, PAPER, GRID = "#000000", "#ffffff", "#dddddd"
ON_LIGHT, ON_DARK = "#010101", "#fefefe"  # on a coloured cell: the same on every page
PAGES = {"light": "#ffffff", "dark": "#121212"}  # backgrounds of the theme

DARK = {  # what stands for a colour on a dark page; others stay as they are
    BENIGN: "#4481b4",
    MALICIOUS: "#ffb000",
    GREEN: "#3fc99a",
    RED: "#ff7b86",
    INK: "#ced6dd",
    PAPER: PAGES["dark"],
    "#1b1f24": "#ced6dd",
    "#555555": "#b4bec8",
    "#777777": "#9aa4b0",
    "#8a8a8a": "#8f98a4",
    "#999999": "#7d8794",
    "#9aa3ad": "#6b7683",
    "#a3a3a3": "#76808c",
    "#b8b8b8": "#5b6673",
    "#bbbbbb": "#5b6673",
    "#cccccc": "#4a5562",
    "#d0d4d9": "#303843",
    GRID: "#39424e",
    "#e8e8e8": "#2a313b",
    "#eeeeee": "#2a313b",
    "#f3f4f6": "#1f252d",
    "#9ad5b5": "#1f6b4c",
    "#0173b2": "#2a8fd0",
}
WORDS = {  # what stands for a mark's colour in words on a light page: they need more contrast
    BENIGN: "#2a6fa8",
    GREEN: "#017353",
    "#8a8a8a": "#6b6b6b",
}

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
BESIDE: dict[Any, Any] = {**STYLE, "font.size": 11.5}  # of panels that stand beside each other
LINE: dict[str, Any] = {"color": INK, "lw": 1, "ls": "--"}
NONE: dict[str, Any] = {"color": INK, "marker": "x", "s": 25, "lw": 1.2}
MARKS: dict[bool, dict[str, Any]] = {  # by whether a model is malicious
    False: {"color": BENIGN, "marker": "o", "ms": 4.2, "mew": 1.2, "ls": "", "zorder": 4},
    True: {"color": MALICIOUS, "marker": "s", "ms": 4.6, "mew": 1.2, "ls": "", "zorder": 5},
}
KEY = (  # glyph, colour, words; below figures of clients
    ("■", MALICIOUS, "malicious"),
    ("●", BENIGN, "benign"),
    ("■ ●", INK, "filled: flagged"),
    ("□ ○", INK, "hollow: not flagged"),
)
