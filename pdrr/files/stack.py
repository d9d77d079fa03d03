"""The stack [k, d] of a round's models: in memory, or where it is too large on disk."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from pdrr.core.arrays import progress

IN_MEMORY = 2**30
"""Bytes of a stack that is kept in memory; a larger one lies in a temporary file."""

PARTS = 4  # of memory: a detection holds about so many vectors as long as a model


@contextmanager
def stacked(
    rows: Iterable[np.ndarray], shape: tuple[int, int], dtype: np.dtype[Any]
) -> Iterator[np.ndarray]:
    """The stack [k, d] of rows that arrive one by one; its file has no name and never stays."""
    arriving = progress(rows, shape[0])
    if shape[0] * shape[1] * dtype.itemsize <= IN_MEMORY:
        stack = np.empty(shape, dtype)
        for place, row in enumerate(arriving):
            stack[place] = row
        yield stack
        return
    with tempfile.TemporaryFile(prefix="pdrr-") as file:
        try:
            for row in arriving:
                file.write(np.ascontiguousarray(row, dtype).data)
            file.flush()
        except OSError as fault:
            raise OSError(f"{tempfile.gettempdir()}: {fault.strerror}") from fault
        yield np.memmap(file, dtype, "r", shape=shape)


def check_space(
    shape: tuple[int, int], dtype: np.dtype[Any], counter: int, *, mapped: bool
) -> None:
    """ValueError, in one line, where a round is too large for this machine.

    `counter` is the size of the largest counter in bytes; `mapped`, that there will be no copy.
    """
    k, d = shape
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    model = d * dtype.itemsize
    if PARTS * model > memory:
        raise ValueError(
            f"a model of {size(model)} needs {size(PARTS * model)} of memory, got {size(memory)}"
        )
    if k * counter > memory:
        raise ValueError(f"{k} counters need {size(k * counter)} of memory, got {size(memory)}")
    if mapped or k * model <= IN_MEMORY:
        return
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    if k * model > free:
        raise ValueError(
            f"{k} models need {size(k * model)} in {folder} (TMPDIR names another folder),"
            f" got {size(free)}"
        )


def size(count: int) -> str:
    """Bytes in words.

    Examples
    --------
    >>> from pdrr.files.stack import size
    >>> size(4 * 10**12), size(512)
    ('4.0 TB', '512 bytes')
    """
    for power, unit in ((4, "TB"), (3, "GB"), (2, "MB")):
        if count >= 1000**power:
            return f"{count / 1000**power:,.1f} {unit}"
    return f"{count} bytes"
