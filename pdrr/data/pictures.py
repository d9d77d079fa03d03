"""Decode one small picture, refusing what is none: with Pillow, header first."""

from __future__ import annotations

import struct
import warnings
import zlib
from io import BytesIO

import numpy as np
import numpy.typing as npt

LARGEST = 1 << 20  # bytes of one encoded picture of 28 x 28 pixels
_KINDS = ("PNG", "JPEG", "BMP")
_MODES = ("1", "L", "LA", "P", "RGB", "RGBA")


def decoded(content: bytes, where: str) -> npt.NDArray[np.uint8]:
    """The grey levels of a picture, [28, 28] uint8; transparent is white.

    Parameters
    ----------
    content : bytes
        A PNG, JPEG or BMP file.
    where : str
        Names the picture in messages.

    Returns
    -------
    array [28, 28] uint8

    Raises
    ------
    ValueError
        If it is no such picture, is damaged or has another size. The size stands in its first
        bytes: nothing is unpacked before it is known.
    """
    from PIL import Image, UnidentifiedImageError

    if len(content) > LARGEST:
        raise ValueError(f"{where}: needs at most {LARGEST:,} bytes, got {len(content):,}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # Pillow's word for a bomb that is not quite one
            with Image.open(BytesIO(content), formats=_KINDS) as picture:
                if picture.size != (28, 28):
                    width, height = picture.size
                    raise ValueError(f"needs 28 x 28 pixels, got {width} x {height}: resize it")
                if picture.mode not in _MODES:
                    raise ValueError(f"needs 8 bits a channel, got mode {picture.mode}")
                if picture.mode in ("LA", "RGBA") or "transparency" in picture.info:
                    white = Image.new("RGBA", (28, 28), "white")
                    return np.array(
                        Image.alpha_composite(white, picture.convert("RGBA")).convert("L")
                    )
                return np.array(picture.convert("L"))
    except UnidentifiedImageError as fault:
        raise ValueError(f"{where}: needs a PNG, JPEG or BMP picture") from fault
    except (
        ValueError,
        OSError,
        SyntaxError,
        EOFError,
        zlib.error,
        struct.error,
        Warning,
        Image.DecompressionBombError,
    ) as fault:
        raise ValueError(f"{where}: {fault}") from fault
