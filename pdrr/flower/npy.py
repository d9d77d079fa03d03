"""The bytes of one array, as a client sent them: nothing is believed that they do not hold.

A header may promise terabytes, a pickle may run code, an archive may unpack to anything. So the
header is read as text of exactly the form that NumPy writes, the size has to be that of the bytes
received, and the values stay where they are.
"""

from __future__ import annotations

import math
import re

import numpy as np

MAGIC = b"\x93NUMPY"
LONGEST = 4096  # bytes of a header; NumPy writes 118 for arrays of few dimensions
HEADER = re.compile(
    r"\{'descr': '([<>=|][a-zA-Z]\d{1,4})', 'fortran_order': (True|False), "
    r"'shape': (\(\)|\(\d{1,19},\)|\(\d{1,19}(?:, \d{1,19}){1,31}\)), \} *\n"
)


def read(data: bytes) -> np.ndarray:
    """The array that these bytes hold, without a copy and read-only.

    Parameters
    ----------
    data : bytes
        What ``numpy.save`` writes, versions 1 to 3 of the format.

    Returns
    -------
    array of real numbers or truth values, of any shape and byte order.

    Raises
    ------
    ValueError
        If they are anything else: archives, pickles, Python objects, records, text, complex
        numbers, and files that are longer or shorter than their header says.

    References
    ----------
    NumPy Enhancement Proposal 1, the .npy format.

    Examples
    --------
    >>> import io
    >>> from pdrr.flower import npy
    >>> file = io.BytesIO()
    >>> np.save(file, np.array([[1.0, 2.0]]))
    >>> npy.read(file.getvalue())
    array([[1., 2.]])
    >>> npy.read(file.getvalue()[:-1])
    Traceback (most recent call last):
    ValueError: an array of shape (1, 2) and float64 needs 16 bytes, got 15
    """
    if not isinstance(data, bytes):
        raise ValueError(f"an array needs bytes, got {type(data).__name__}")
    descr, fortran, shape, start = _header(data)
    dtype = np.dtype(descr)
    if dtype.kind not in "fiub" or str(dtype.str) != descr:
        raise ValueError(f"an array needs real numbers or truth values, got type {descr!r}")
    needed, got = math.prod(shape) * dtype.itemsize, len(data) - start
    if needed != got:
        raise ValueError(f"an array of shape {shape} and {dtype} needs {needed} bytes, got {got}")
    values = np.frombuffer(data, dtype, offset=start) if needed else np.empty(0, dtype)
    return values.reshape(shape, order="F" if fortran else "C")


def _header(data: bytes) -> tuple[str, bool, tuple[int, ...], int]:
    """Type, order and shape as the header says, and where the values begin."""
    if data[:6] != MAGIC or data[6:8] not in (b"\1\0", b"\2\0", b"\3\0"):
        raise ValueError(f"an array needs the form of .npy, got bytes {data[:8]!r}")
    wide = 2 if data[6] == 1 else 4
    length = int.from_bytes(data[8 : 8 + wide], "little")
    start = 8 + wide + length
    if length > LONGEST or start > len(data):
        raise ValueError(f"an array needs a whole header of at most {LONGEST} bytes, got {length}")
    found = HEADER.fullmatch(data[8 + wide : start].decode("latin1"))
    if found is None:
        raise ValueError("an array needs a header of one plain type, as NumPy writes it")
    descr, fortran, shape = found.groups()
    try:
        np.dtype(descr)
    except TypeError:
        raise ValueError(f"an array needs a type that exists, got {descr!r}") from None
    return descr, fortran == "True", tuple(int(n) for n in re.findall(r"\d+", shape)), start
