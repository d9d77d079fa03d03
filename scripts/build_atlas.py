"""Render the handwriting atlas that `pdrr.data.glyphs` draws its synthetic writers from.

A developer runs this once, when the choice of fonts changes; nothing here is needed at run time.
It wants a throw-away virtual environment with ``fonttools brotli numpy pillow`` (none of them but
NumPy and Pillow is a dependency of the package), npm, and a scratch folder::

    python -m venv /tmp/atlas-env && /tmp/atlas-env/bin/pip install fonttools brotli numpy pillow
    npm install --ignore-scripts --prefix /tmp/atlas $(python scripts/build_atlas.py --packages)
    /tmp/atlas-env/bin/python scripts/build_atlas.py /tmp/atlas --sheet /tmp/atlas/sheet.png

It writes ``glyphs.png``, ``fonts.json`` and ``LICENSES/`` under ``pdrr/data/atlas``. Look at the
sheet before committing them: a glyph may be present and still be the wrong letter.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import shutil
from pathlib import Path

import numpy as np

VERSION = "5.3.0"  # of every package below
# Chosen by eye from the handwriting families: all 62 characters, capitals that differ from the
# small letters, no ornaments. All-capitals faces (Rock Salt, Permanent Marker) are left out.
FONTS = (
    "annie-use-your-telescope",
    "architects-daughter",
    "bad-script",
    "caveat",
    "covered-by-your-grace",
    "gaegu",
    "gloria-hallelujah",
    "gochi-hand",
    "handlee",
    "homemade-apple",
    "indie-flower",
    "kalam",
    "nanum-pen-script",
    "neucha",
    "patrick-hand",
    "reenie-beanie",
    "schoolbell",
    "shadows-into-light",
    "shantell-sans",
    "short-stack",
    "swanky-and-moo-moo",
    "the-girl-next-door",
    "yomogi",
    "zen-kurenaido",
)
LICENCES = ("OFL-1.1", "Apache-2.0")
CHARACTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
CELL = 64  # pixels a side
INK = 58  # the largest extent of any glyph of a font, so that every cell keeps a white margin
OVERSAMPLING = 8
STEP = 51  # six levels of grey: edges good to a tenth of a pixel, at two thirds of the bytes
ATLAS = Path(__file__).resolve().parent.parent / "pdrr" / "data" / "atlas"


def render(font_file: Path) -> tuple[np.ndarray, str]:
    """Draw the 62 characters of one font, all at the same scale, each centred on its ink.

    Parameters
    ----------
    font_file : Path
        A ``.woff2`` file.

    Returns
    -------
    array [62, 64, 64] uint8
        Ink coverage in steps of 51; 0 is paper, 255 is ink.
    str
        The font's own copyright line.

    Raises
    ------
    ValueError
        If a character is missing, or a capital and its small letter share one glyph.
    """
    from fontTools.ttLib import TTFont
    from PIL import Image, ImageDraw, ImageFont

    font = TTFont(font_file)
    glyph_of = font.getBestCmap()
    missing = [c for c in CHARACTERS if ord(c) not in glyph_of]
    if missing:
        raise ValueError(f"{font_file}: needs all 62 characters, lacks {''.join(missing)}")
    shared = [c for c in CHARACTERS[10:36] if glyph_of[ord(c)] == glyph_of[ord(c.lower())]]
    if shared:
        raise ValueError(f"{font_file}: {''.join(shared)} has the glyph of its small letter")
    owner = str(font["name"].getDebugName(0) or "").strip()
    font.flavor = None
    ttf = io.BytesIO()
    font.save(ttf)

    side = CELL * OVERSAMPLING

    def drawn(size: float) -> list[tuple[Image.Image, tuple[int, int, int, int]]]:
        """Draw each character on an ample canvas, and find the box of its ink."""
        ttf.seek(0)
        pen = ImageFont.truetype(ttf, size, layout_engine=ImageFont.Layout.BASIC)
        pictures = []
        for character in CHARACTERS:
            canvas = Image.new("L", (3 * side, 3 * side), 0)
            ImageDraw.Draw(canvas).text(
                (side, 2 * side), character, fill=255, font=pen, anchor="ls"
            )
            box = canvas.getbbox()
            if box is None:
                raise ValueError(f"{font_file}: no ink for {character}")
            pictures.append((canvas, box))
        return pictures

    # The extent is proportional to the size but for hinting and rounding: two steps.
    size = float(side) / 2
    for _ in range(2):
        boxes = [box for _, box in drawn(size)]
        size *= INK * OVERSAMPLING / max(max(b[2] - b[0], b[3] - b[1]) for b in boxes)

    cells = []
    for canvas, (left, top, right, bottom) in drawn(size):
        x, y = (left + right - side) // 2, (top + bottom - side) // 2
        cells.append(np.asarray(canvas.crop((x, y, x + side, y + side)).reduce(OVERSAMPLING)))
    coverage = np.stack(cells).astype(float)
    return (np.rint(coverage / STEP) * STEP).astype(np.uint8), owner


def build(packages: Path, sheet: Path | None) -> None:
    """Write the atlas from the installed npm packages in `packages`/node_modules.

    Parameters
    ----------
    packages : Path
        The folder given to ``npm install --prefix``.
    sheet : Path, optional
        Where to write a labelled contact sheet for inspection.

    Raises
    ------
    ValueError
        If a package has another version or licence than expected, or a font is unsuitable.
    """
    from PIL import Image, ImageDraw

    licences = ATLAS / "LICENSES"
    shutil.rmtree(licences, ignore_errors=True)
    licences.mkdir(parents=True)
    rows, fonts = [], []
    for name in FONTS:
        package = packages / "node_modules" / "@fontsource" / name
        about = json.loads((package / "package.json").read_text(encoding="utf-8"))
        if about["version"] != VERSION or about["license"] not in LICENCES:
            raise ValueError(
                f"{package}: needs version {VERSION} under {' or '.join(LICENCES)}, "
                f"got {about['version']} under {about['license']}"
            )
        glyphs, owner = render(package / "files" / f"{name}-latin-400-normal.woff2")
        rows.append(np.concatenate(list(glyphs), axis=1))
        fonts.append({"package": about["name"], "version": VERSION, "licence": about["license"]})
        heading = f"{about['name']} {VERSION} ({about['license']})\n{owner}\n\n"
        text = (package / "LICENSE").read_text(encoding="utf-8")
        lines = "\n".join(line.rstrip() for line in (heading + text).splitlines())
        (licences / f"{name}.txt").write_text(lines + "\n", encoding="utf-8")

    ink = np.concatenate(rows)  # [fonts * 64, 62 * 64]
    picture = Image.fromarray(((255 - ink) // STEP).astype(np.uint8)).convert("P")
    picture.putpalette([STEP * level for level in range(255 // STEP + 1) for _ in range(3)])
    picture.save(ATLAS / "glyphs.png", optimize=True)
    index = {
        "cell": CELL,
        "characters": CHARACTERS,
        "sha256": hashlib.sha256((255 - ink).tobytes()).hexdigest(),
        "fonts": fonts,
    }
    (ATLAS / "fonts.json").write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")

    if sheet is not None:
        page = Image.new("L", (ink.shape[1], len(FONTS) * (CELL + 14)), 255)
        draw = ImageDraw.Draw(page)
        for row, name in enumerate(FONTS):
            top = row * (CELL + 14)
            draw.text((2, top), name, fill=0)
            page.paste(Image.fromarray(255 - rows[row]), (0, top + 14))
        for column in range(len(CHARACTERS)):
            draw.line((column * CELL, 0, column * CELL, page.height), fill=200)
        page.save(sheet)
    size = (ATLAS / "glyphs.png").stat().st_size
    print(f"{len(FONTS)} fonts, {ink.shape[1]} x {ink.shape[0]} pixels, {size / 1024:.0f} KB")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Render the handwriting atlas.")
    parser.add_argument("folder", nargs="?", type=Path, help="the folder of npm install --prefix")
    parser.add_argument("--sheet", type=Path, help="also write a contact sheet here")
    parser.add_argument("--packages", action="store_true", help="print what npm is to install")
    given = parser.parse_args()
    if given.packages:
        print(*(f"@fontsource/{name}@{VERSION}" for name in FONTS))
    elif given.folder is None:
        parser.error("needs the folder of npm install --prefix")
    else:
        build(given.folder, given.sheet)


if __name__ == "__main__":
    main()
