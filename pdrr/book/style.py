"""Colours and marks: orange squares malicious, blue circles benign, on light and on dark pages."""

from __future__ import annotations

from typing import Any

from matplotlib.colors import LinearSegmentedColormap, to_rgba

BENIGN, MALICIOUS, GREEN = "#4a96d2", "#b84a00", "#029e73"
RED = "#c1121f"
INK, PAPER, GRID = "#000000", "#ffffff", "#dddddd"
ON_CELL = "#010101"  # words and marks on a coloured cell
GREY = "#8a8a8a"  # of what stands in the background and has to be seen all the same
TRIMMED = "#d0d4d9"  # a band below marks
COOL, WARM, PURPLE, AMBER = "#2f7ab5", "#d0452f", "#8e63b8", "#b16100"  # ends of scales
RUST, SAND, SKY = "#d55e00", "#a8743f", "#2a8fd0"  # of methods and attacks, as the next two
PINK, OLIVE = "#bf62ad", "#8a8000"
PAGES = {"light": "#ffffff", "dark": "#121212"}  # backgrounds of the theme

DARK = {  # what stands for a colour on a dark page; others stay as they are
    BENIGN: "#4481b4",
    MALICIOUS: "#ffb000",
    GREEN: "#3fc99a",
    RED: "#ff7b86",
    INK: "#ced6dd",
    ON_CELL: "#fefefe",
    PAPER: PAGES["dark"],
    "#1b1f24": "#ced6dd",
    "#555555": "#b4bec8",
    "#777777": "#9aa4b0",
    GREY: "#8f98a4",
    "#929292": "#76808c",
    "#bbbbbb": "#5b6673",
    TRIMMED: "#303843",
    GRID: "#39424e",
    "#f3f4f6": "#1f252d",
    "#9ad5b5": "#1f6b4c",
}
WORDS = {  # what stands for a mark's colour in words on a light page: they need more contrast
    BENIGN: "#2a6fa8",
    GREEN: "#017353",
    GREY: "#6b6b6b",
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


def fading(low: str, high: str) -> LinearSegmentedColormap:
    """A scale whose middle is the page itself, light or dark: far from it is strong on both."""
    ends = to_rgba(low), (*to_rgba(low)[:3], 0), (*to_rgba(high)[:3], 0), to_rgba(high)
    return LinearSegmentedColormap.from_list(
        "fading", list(zip((0, 0.5, 0.5, 1), ends, strict=True))
    )
