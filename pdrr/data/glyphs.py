"""Synthetic writers drawn from an atlas of handwriting fonts, for work without FEMNIST.

Nobody wrote these characters. They imitate what makes FEMNIST federated: every client has its own
hand (fonts, size, slant, pen width, habits of each letter), its own number of samples and its own
mix of classes. Results on them are results on synthetic data and have to be labelled so.

An atlas glyph becomes a map of signed distances to its outline. A character is that map, looked up
along a bent grid and thresholded at the writer's pen width, then reduced with the Lanczos filter
that LEAF applies to the scans of NIST Special Database 19.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pdrr.data.dataset import CLASSES, FederatedDataset, split_within_writers
from pdrr.data.formats import Format

NAME = "synthetic handwriting (embedded glyphs)"
ATLAS = Path(__file__).with_name("atlas")
_MENDING = "reinstall pdrr, or rebuild it with scripts/build_atlas.py"

Floats = npt.NDArray[np.float64]

# The form that the writers of SD19 filled in: 13 of each digit, one of each letter, and a text.
_FORM = np.array([13] * 10 + [1] * 52)
_TEXT = (
    "We, the People of the United States, in order to form a more perfect Union, establish "
    "Justice, insure domestic Tranquility, provide for the common Defense, promote the general "
    "Welfare, and secure the Blessings of Liberty to ourselves and our posterity, do ordain and "
    "establish this CONSTITUTION for the United States of America."
)

_SIDE = 48  # the canvas, at two canvas pixels to one image pixel: 24 of the 28 image pixels
_MARGIN = 6  # white atlas pixels added around each cell, which has 3 of its own
_REACH = 8.0  # atlas pixels, the largest distance kept: no pen is wider
_TALLEST = 16.5  # image pixels of a stroke's box, before bending


def glyphs(writers: int = 192, seed: int = 0) -> FederatedDataset:
    """Draw synthetic writers.

    Parameters
    ----------
    writers : int
        Number of clients. The first of them do not depend on how many follow.
    seed : int
        Same seed, same images.

    Returns
    -------
    FederatedDataset
        About 166 images for each writer, of all 62 classes, a tenth of each writer's held out.

    Raises
    ------
    FileNotFoundError, ValueError
        If the atlas is missing or damaged; `writers` < 1 or `seed` < 0.
    """
    if writers < 1 or seed < 0:
        raise ValueError(f"glyphs needs writers >= 1 and seed >= 0, got {writers} and {seed}")
    atlas = _read_atlas(ATLAS)
    images, labels, test = [], [], []
    for i in range(writers):
        rng = np.random.default_rng([seed, i])
        mine = np.repeat(np.arange(len(CLASSES)), _class_counts(rng))
        rng.shuffle(mine)
        images.append(_write(mine, atlas, rng))
        labels.append(mine.astype(np.uint8))
        test.append(split_within_writers(np.zeros(len(mine), dtype=np.int32), rng))
    return FederatedDataset(
        name=NAME,
        synthetic=True,
        images=np.concatenate(images),
        labels=np.concatenate(labels),
        writer=np.repeat(np.arange(writers, dtype=np.int32), [len(part) for part in labels]),
        writer_ids=tuple(f"glyphs{seed}_{i:03d}" for i in range(writers)),
        test=np.concatenate(test),
    )


def _class_counts(rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Draw how many characters of each class one writer leaves behind, [62].

    Nearly all of FEMNIST's writers filled in a form, of which segmentation lost some fields; some
    lost most of one alphabet; a few wrote the text instead, and so hundreds of letters.
    """
    kinds = ("form", "no capitals", "no small", "digits", "text")
    kind = rng.choice(kinds, p=(0.92, 0.03, 0.03, 0.005, 0.015))
    kept = np.repeat([1 - rng.beta(1.2, 10.5), *rng.beta(11, 1.4, 2)], [10, 26, 26])
    if kind in ("no capitals", "digits"):
        kept[10:36] *= 0.15 * rng.random()
    if kind in ("no small", "digits"):
        kept[36:] *= 0.15 * rng.random()
    counts = rng.binomial(_FORM, kept)
    counts[10:] += rng.binomial(1, 0.05 * kept[10:])  # a letter read twice
    if kind == "text":
        letters = [CLASSES.index(c) for c in _TEXT.upper() if c in CLASSES]
        capital = rng.random(len(letters)) < rng.uniform(0.2, 0.8)
        written = np.where(capital, letters, np.array(letters) + 26)
        counts[:10] = rng.binomial(counts[:10], 0.75)
        counts += np.bincount(written[rng.random(len(letters)) < 0.8], minlength=len(CLASSES))
    return counts


def _write(
    labels: npt.NDArray[np.int64], atlas: _Atlas, rng: np.random.Generator
) -> npt.NDArray[np.uint8]:
    """Draw all characters of one writer, [m, 28, 28] uint8."""
    from scipy.ndimage import map_coordinates

    m, k = len(labels), len(CLASSES)
    # The writer: a main font, a fifth of the characters from others, one slant, size, pen width
    # and, for each character, a habitual distortion.
    font = np.full(k, rng.integers(atlas.fonts))
    borrowed = rng.random(k) < 0.2
    font[borrowed] = rng.integers(atlas.fonts, size=int(borrowed.sum()))
    height = rng.normal(10.0, 1.35)  # of the writer's digits, image pixels
    aspect = rng.normal(0.06, 0.11)  # logarithm of width
    slant = rng.normal(0.06, 0.16)
    pen = 1.5 * np.exp(rng.normal(0.0, 0.13))  # image pixels
    habit = rng.normal(0.0, _BEND[:, np.newaxis] * 0.7, (2, len(_BEND), k))
    habitual_size = rng.normal(0.0, 0.06, k)

    # The sample: everything again, a little.
    size = height * np.exp(habitual_size[labels] + rng.normal(0.0, 0.10, m))
    log_width = aspect + rng.normal(0.0, 0.08, m)
    turn = rng.normal(0.0, 0.08, m)
    shear = slant + rng.normal(0.0, 0.06, m)
    width = pen * np.exp(rng.normal(0.0, 0.08, m))
    bend = habit[:, :, labels] + rng.normal(0.0, _BEND[:, np.newaxis] * 0.5, (2, len(_BEND), m))
    bend = bend.transpose(2, 0, 1)  # [m, 2, modes]
    offset = np.stack((np.full(m, 0.06), rng.normal(0.02, 0.2, m)), axis=1)  # down, right

    # Linear part, from glyph to image pixels (y down, x right): aspect, slant, then rotation.
    glyph = font[labels] * k + labels
    scale = size / atlas.digit_height[font[labels]]
    one, zero = np.ones(m), np.zeros(m)
    stretch = np.array([[one, zero], [-shear, np.exp(log_width)]]).transpose(2, 0, 1)
    rotate = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    linear = scale[:, np.newaxis, np.newaxis] * (rotate.transpose(2, 0, 1) @ stretch)

    # Where that puts the outline decides the centre of the box, and shrinks what would not fit.
    outline = atlas.outline[glyph] @ linear.transpose(0, 2, 1)  # [m, points, 2]
    low, high = outline.min(axis=1), outline.max(axis=1)
    shrink = np.minimum(1.0, (_TALLEST - width[:, np.newaxis]) / (high - low)).min(axis=1)
    linear *= shrink[:, np.newaxis, np.newaxis]
    centre = shrink[:, np.newaxis] * (low + high) / 2 - offset

    # Look up the distance map along the inverse, bent: [m, 2, 48 * 48] glyph coordinates.
    grid, modes = _canvas()
    back = np.linalg.inv(linear)
    there = back @ (grid + centre[:, :, np.newaxis])
    there += (size / scale)[:, np.newaxis, np.newaxis] * (bend @ modes)
    middle = (atlas.cell - 1) / 2
    there = np.clip(there + middle, 0.0, atlas.cell - 1.0)
    there[:, 0] += glyph[:, np.newaxis] * atlas.cell
    distance = map_coordinates(
        atlas.distance, there.transpose(1, 0, 2), order=1, mode="nearest", output=np.float64
    )
    # In image pixels, moved so that the stroke has the wanted width; never thinned to nothing.
    pixel = scale * shrink
    native = atlas.stroke[glyph]
    thicken = np.maximum((width / pixel - native) / 2, -0.3 * native)
    inside = 0.5 - 2.0 * pixel[:, np.newaxis] * (distance - thicken[:, np.newaxis])
    ink = np.rint(255 * np.clip(inside, 0.0, 1.0)).reshape(m, _SIDE, _SIDE)
    # Whole numbers in float64: the sums are exact, whatever order a BLAS takes them in.
    reduce = _lanczos()
    paper = 255 - np.rint(reduce @ ink @ reduce.T / _UNIT**2)
    images: npt.NDArray[np.uint8] = np.clip(paper, 0, 255).astype(np.uint8)
    return images


_BEND = np.array([0.03, 0.03, 0.03, 0.025, 0.025, 0.02, 0.02, 0.02, 0.02])
_UNIT = 1 << 14  # the filter's weights are whole multiples of its reciprocal


@cache
def _canvas() -> tuple[Floats, Floats]:
    """Canvas points in image pixels from the centre, [2, 2304], and bending modes, [9, 2304]."""
    axis = (np.arange(_SIDE) - (_SIDE - 1) / 2) / 2
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij")).reshape(2, -1)
    y, x = grid / 5.0  # of order one at the border of a character
    # Smooth and bounded: far from the character nothing may fold back into view.
    damp = 1 / (1 + 0.1 * (x * x + y * y) ** 2)
    modes = [y * y, x * x, x * y, np.sin(2 * x), np.sin(2 * y), np.cos(3 * x), np.cos(3 * y)]
    modes += [np.sin(2 * x + 2 * y), np.sin(2 * x - 2 * y)]
    return grid, np.stack(modes) * damp


@cache
def _lanczos() -> Floats:
    """Reduce 48 canvas pixels to 28 image pixels, [28, 48], in units of ``1 / _UNIT``."""
    canvas = (np.arange(_SIDE) - (_SIDE - 1) / 2) / 2
    image = np.arange(28) - 13.5
    x = image[:, np.newaxis] - canvas
    weights = np.sinc(x) * np.sinc(x / 3) * (np.abs(x) < 3)
    weights[[0, 1, 26, 27]] = 0  # FEMNIST's outer two rows and columns are white
    units: Floats = np.rint(_UNIT * weights / weights[14].sum())
    return units


@dataclass(frozen=True, eq=False)
class _Atlas:
    """What drawing needs of the atlas; lengths in atlas pixels."""

    fonts: int
    cell: int  # side of a padded cell
    distance: npt.NDArray[np.float32]  # [fonts * 62 * cell, cell], signed, positive outside ink
    outline: Floats  # [fonts * 62, 32, 2] extreme points (y, x) from the centre of the cell
    stroke: Floats  # [fonts * 62] mean width
    digit_height: Floats  # [fonts]


@cache
def _read_atlas(folder: Path) -> _Atlas:
    """Read and check the atlas, and turn its glyphs into distance maps."""
    from PIL import Image, UnidentifiedImageError

    picture, index = folder / "glyphs.png", folder / "fonts.json"
    for file in (picture, index):
        if not file.is_file():
            raise FileNotFoundError(f"{file}: the glyph atlas is missing; {_MENDING}")
    try:
        about = json.loads(index.read_text(encoding="utf-8"))
        with Image.open(picture) as opened:
            pixels = np.asarray(opened.convert("L"))
        if about["sha256"] != hashlib.sha256(pixels.tobytes()).hexdigest():
            raise ValueError("its pixels have another hash than fonts.json states")
        if about["characters"] != CLASSES:
            raise ValueError("its characters are not the 62 classes in order")
        cell, fonts = int(about["cell"]), len(about["fonts"])
        cells = pixels.reshape(fonts, cell, len(CLASSES), cell).swapaxes(1, 2)
    # Pillow reports a broken PNG stream as SyntaxError
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, KeyError, TypeError) as fault:
        raise ValueError(f"{folder}: the glyph atlas is damaged ({fault}); {_MENDING}") from fault
    return _measure(1.0 - cells.reshape(-1, cell, cell) / 255.0, fonts)


def _measure(ink: Floats, fonts: int) -> _Atlas:
    """Turn ink coverage, [fonts * 62, side, side], into distances, outlines and sizes."""
    from scipy.ndimage import distance_transform_edt

    ink = np.pad(ink, ((0, 0), (_MARGIN, _MARGIN), (_MARGIN, _MARGIN)))
    cell = ink.shape[1]
    dark = ink >= 0.5
    distance = np.empty(ink.shape, dtype=np.float32)
    for font in np.split(np.arange(len(ink)), fonts):  # a font at a time stays in the cache
        coverage, inked = ink[font].reshape(-1, cell), dark[font].reshape(-1, cell)
        signed = np.empty(coverage.shape)
        # Distance to the nearest pixel of the other kind, and from its centre on to the outline,
        # which the coverage of that pixel tells.
        for here, sign in ((~inked, 1.0), (inked, -1.0)):
            far, nearest = distance_transform_edt(here, return_indices=True)
            edge = coverage[nearest[0], nearest[1]]
            signed[here] = (sign * far + (0.5 - edge))[here]
        distance[font] = np.clip(signed, -_REACH, _REACH).reshape(-1, cell, cell)

    angle = 2 * np.pi * np.arange(32) / 32
    directions = np.stack((np.sin(angle), np.cos(angle)))  # [2, 32]
    outline, stroke, height = [], [], []
    for cell_dark, cell_distance in zip(dark, distance, strict=True):
        points = np.argwhere(cell_dark)
        centred = points - (cell - 1) / 2
        outline.append(centred[(centred @ directions).argmax(axis=0)])
        # Across a band of width w the depth is w / 4 on average.
        stroke.append(-4 * cell_distance[cell_dark].mean(dtype=np.float64))
        height.append(np.ptp(points[:, 0]) + 1)
    return _Atlas(
        fonts=fonts,
        cell=cell,
        distance=distance.reshape(-1, cell),
        outline=np.stack(outline).astype(np.float64),
        stroke=np.array(stroke),
        digit_height=np.array(height, dtype=np.float64).reshape(fonts, -1)[:, :10].mean(axis=1),
    )


def _read(_source: str, *, writers: int | None, seed: int, **_: object) -> FederatedDataset:
    return glyphs(192 if writers is None else writers, seed)


FORMAT = Format(
    "'glyphs'", "glyphs".__eq__, _read, "fonts under the OFL-1.1 and Apache-2.0, with the package"
)
