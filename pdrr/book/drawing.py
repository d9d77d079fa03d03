"""Figures as the pages show them: SVG that follows the page, a panel each, with its numbers.

``%load_ext pdrr.book.drawing`` makes a notebook show every matplotlib figure so.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from io import BytesIO, StringIO
from typing import Any
from zlib import crc32

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

from pdrr.book.style import DARK, INK

GAP = 12  # pixels between panels of one picture
WIDE = 480  # pixels; a panel that needs more is moved sideways on a phone
GROWTH = 1.2  # a panel becomes at most so many times as wide as it was drawn
FONT = re.compile(r"(font: (?:[\w.]+ )*?[\d.]+px) '[^;\"]*|;? ?font-family: [^;\"]*")
COLOUR = re.compile("|".join(DARK))
USELESS = re.compile(r"\s*<metadata>.*?</metadata>|<!--.*?-->|<style.*?</style>", re.S)
SIZE = re.compile(r'((?:width|height)="[\d.]+)pt')  # in the units of the picture around it
NAMED = re.compile(r'(\bid="|url\(#|href="#)')
ID = re.compile(r' id="([^"]*)"')
LOOK = "fill: var(--c-000000, #000000); stroke-linejoin: round; stroke-linecap: butt"
NIGHT = "".join(f"--c-{light[1:]}:{dark};" for light, dark in DARK.items())


@dataclass(frozen=True)
class Drawing:
    """One figure of a page.

    Attributes
    ----------
    panels : mapping
        What each shows -> matplotlib figure; they stand side by side where there is room.
    data : DataFrame, optional
        The numbers that are drawn.
    title : str
        What all panels have in common.
    key : sequence of (str, str, str)
        Glyph, colour and words of the marks that no label explains.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from pdrr.book.drawing import Drawing
    >>> sorted(Drawing({"nothing": Figure()})._repr_mimebundle_())
    ['image/png', 'image/svg+xml', 'text/html', 'text/plain']
    """

    panels: Mapping[str, Figure]
    data: pd.DataFrame | None = None
    title: str = ""
    key: Sequence[tuple[str, str, str]] = field(default=())

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        """For IPython: a page's HTML, one SVG file, one PNG, and the numbers as CSV."""
        shown = {
            "text/html": self.html(),
            "image/svg+xml": self.svg(),
            "image/png": base64.b64encode(self.png()).decode(),
            "text/plain": f"figure: {', '.join(self.panels)}",
        }
        if self.data is not None:
            shown["text/csv"] = self.data.to_csv(index=False, float_format="%.9g")
        return shown

    def html(self) -> str:
        """Panels side by side, one below the other on a phone, in colours of the page."""
        least = max(panel.get_figwidth() for panel in self.panels.values()) * 96 * 0.74
        wide, reach = (" wide", ' tabindex="0"') if least > WIDE else ("", "")
        alone = len(self.panels) == 1
        columns = "1fr" if alone else f"repeat(auto-fit, minmax(min(100%, {least:.0f}px), 1fr))"
        title = f'<p class="head">{escape(self.title)}</p>' if self.title else ""
        panels = "".join(
            _opened(
                _page_svg(panel, f"-{i}"),
                'font-family="inherit"',
                f"; width: 100%; height: auto; max-width: {GROWTH * _size(panel)[0] * 4 / 3:.0f}px",
            )
            for i, panel in enumerate(self.panels.values())
        )
        words = "; ".join(part for part in (self.title, ", ".join(self.panels)) if part)
        return (
            f'<div class="pdrr-drawing{wide}">{title}<div class="panels" role="img"'
            f' aria-label="{escape(words)}"{reach} style="display: grid; gap: .6rem 1rem;'
            f' grid-template-columns: {columns}">{panels}</div>{self._key()}</div>'
        )

    def svg(self) -> str:
        """All panels in one picture, dark where the reader's system is."""
        places, (width, height) = self._places([_size(panel) for panel in self.panels.values()])
        parts = [
            _opened(SIZE.sub(r"\1", _page_svg(panel, f"-{i}")), f'x="{x:.1f}" y="{y:.1f}"')
            for i, (panel, (x, y)) in enumerate(zip(self.panels.values(), places, strict=True))
        ]
        words, height = self._words(height)
        return (
            '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
            f' width="{width:.0f}pt" height="{height:.0f}pt" viewBox="0 0 {width:.0f} {height:.0f}"'
            ' font-family="sans-serif">'
            f"<style>@media (prefers-color-scheme: dark) {{ svg {{ {NIGHT} }} }}</style>"
            '<rect width="100%" height="100%" style="fill: var(--c-ffffff, #ffffff)"/>'
            f"{''.join(parts)}{words}</svg>"
        )

    def _words(self, top: float) -> tuple[str, float]:
        """Title and key as lines of text below `top`, and where they end."""
        marks = "   ".join(
            f'<tspan style="fill: {_follow(colour)}">{glyph}</tspan> {escape(words)}'
            for glyph, colour, words in self.key
        )
        lines = [line for line in (escape(self.title), marks) if line]
        text = "".join(
            f'<text x="6" y="{top + 18 * i:.0f}" xml:space="preserve" style="font-size: 10.5px;'
            f' fill: {_follow(INK)}">{line}</text>'
            for i, line in enumerate(lines, 1)
        )
        return text, top + 18 * len(lines) + 8 * bool(lines)

    def png(self) -> bytes:
        """All panels in one picture on white."""
        pictures = []
        for panel in self.panels.values():
            panel.savefig(drawn := BytesIO(), format="png")
            pictures.append(Image.open(drawn).convert("RGB"))
        places, size = self._places([(float(p.width), float(p.height)) for p in pictures])
        whole = Image.new("RGB", (round(size[0]), round(size[1])), "white")
        for picture, (x, y) in zip(pictures, places, strict=True):
            whole.paste(picture, (round(x), round(y)))
        whole.save(written := BytesIO(), "PNG", optimize=True)
        return written.getvalue()

    def _places(
        self, sizes: Sequence[tuple[float, float]]
    ) -> tuple[list[tuple[float, float]], tuple[float, float]]:
        """Left upper corners in rows of two, or of three if there are just three; whole size."""
        columns = {1: 1, 3: 3}.get(len(sizes), 2)
        width = max(width for width, _ in sizes) + GAP
        places, top = [], 0.0
        for first in range(0, len(sizes), columns):
            row = sizes[first : first + columns]
            places += [(i * width, top) for i in range(len(row))]
            top += max(height for _, height in row) + GAP
        return places, (min(columns, len(sizes)) * width - GAP, top - GAP)

    def _key(self) -> str:
        marks = "".join(
            '<span style="white-space: nowrap"><span aria-hidden="true"'
            f' style="color: {_follow(colour)}">{glyph}</span> {escape(words)}</span> '
            for glyph, colour, words in self.key
        )
        return f'<p class="key">{marks.strip()}</p>' if marks else ""


def _size(panel: Figure) -> tuple[float, float]:
    """Width and height in points."""
    return panel.get_figwidth() * 72, panel.get_figheight() * 72


def _page_svg(panel: Figure, place: str = "") -> str:
    """A figure as an SVG element: the page's font and colours, and names that no other has."""
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "pdrr"}):
        panel.savefig(written := StringIO(), format="svg", facecolor="none")
    text = USELESS.sub("", written.getvalue())
    text = " ".join(text[text.index("<svg ") :].split())
    text = FONT.sub(lambda found: f"{found[1]} sans-serif" if found[1] else "", text)
    text = COLOUR.sub(lambda found: _follow(found.group()), text)
    used = set(re.findall(r'#([\w.-]+)[")]', text))
    text = ID.sub(lambda found: found.group() if found[1] in used else "", text)
    return NAMED.sub(rf"\g<1>f{crc32(text.encode()):08x}{place}-", text)


def _opened(svg: str, attributes: str, style: str = "") -> str:
    return svg.replace("<svg ", f'<svg {attributes} style="{LOOK}{style}" ', 1)


def _follow(colour: str) -> str:
    """A colour that is another one on a dark page."""
    return f"var(--c-{colour[1:]}, {colour})" if colour in DARK else colour


def of(figure: Figure, data: pd.DataFrame | None = None) -> Drawing:
    """A whole matplotlib figure with its numbers."""
    return Drawing({"figure": figure}, data)


def load_ipython_extension(ipython: Any) -> None:
    """Let a notebook show matplotlib figures like drawings."""
    ipython.display_formatter.mimebundle_formatter.for_type(
        Figure, lambda figure, **_: of(figure)._repr_mimebundle_()
    )
