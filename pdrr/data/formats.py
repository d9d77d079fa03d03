"""How a data format introduces itself, and which formats there are.

A format is one file of this folder: a reader, and an entry ``FORMAT = Format(...)`` at its end.
Nothing else has to be told of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules

from pdrr.data.dataset import FederatedDataset


@dataclass(frozen=True)
class Format:
    """One format.

    Attributes
    ----------
    words : str
        What a source of this format is, for messages: "a path ending in .npz".
    takes : callable
        ``takes(source)``: whether a source, as somebody typed it, looks like one.
    read : callable
        ``read(source, writers=, seed=, deduplicate=) -> FederatedDataset``; it may return more
        writers than asked for, and returns all where `writers` is None.
    licence : str
        What is known of the terms of data that come in this format.
    """

    words: str
    takes: Callable[[str], bool]
    read: Callable[..., FederatedDataset]
    licence: str = "not told by the file: ask where it came from"


def formats() -> list[Format]:
    """The formats of all files in this folder, by the files' names."""
    folder = import_module("pdrr.data").__path__
    modules = [import_module(f"pdrr.data.{found.name}") for found in iter_modules(folder)]
    return [module.FORMAT for module in modules if hasattr(module, "FORMAT")]
