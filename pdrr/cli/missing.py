"""What to install where a library is missing: one of the package's extras, if it brings it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib import metadata

EXTRAS = (
    "kernels",
    "experiments",
    "data",
    "docs",
    "coursework",
    "gpu",
    "pages",
    "flower",
    "flare",
    "peers",
)
ALSO = {  # packages named otherwise than what is imported, or that another one brings along
    "PIL": "pillow",
    "bs4": "beautifulsoup4",
    "cupy": "cupy-cuda12x",
    "llvmlite": "numba",
    "nbclient": "papermill",
    "nbformat": "papermill",
    "yaml": "pyyaml",
    "zmq": "pyzmq",
}


def advice(module: str) -> str:
    """One line on the missing `module`, with the extra that brings it."""
    library = module.partition(".")[0]
    try:
        required = metadata.requires("pdrr") or []
    except metadata.PackageNotFoundError:  # not installed, but run from its folder
        extra = "experiments,docs,coursework"
    else:
        extra = _bringing(required).get(_canonical(ALSO.get(library, library)), "")
    if not extra:
        return f"this needs {library}, which is not here and which no extra of pdrr brings"
    return f"this needs {library}, which is not here: pip install '.[{extra}]'"


def _bringing(required: Iterable[str]) -> dict[str, str]:
    """The extra that brings a package, from what the package's metadata require."""
    found: dict[str, str] = {}
    for extra in EXTRAS:
        for text in required:
            if re.search(rf"extra == ['\"]{extra}['\"]", text):
                found.setdefault(_canonical(re.split(r"[^\w.-]", text, maxsplit=1)[0]), extra)
    return found


def _canonical(package: str) -> str:
    """A package's name as the index spells it."""
    return re.sub(r"[-_.]+", "-", package).lower()
