"""How exactly products are taken while clients train and models are tried.

float32 everywhere, unless the environment variable ``PDRR_TF32=on`` allows a GPU's tensor cores to
keep ten bits of each factor (TF32): faster, and other models. Rounds trained so have places of
their own in the cache, and provenance says which it was.
"""

from __future__ import annotations

import os

VARIABLE = "PDRR_TF32"


def precision() -> str:
    """Give "float32" or "TF32"; ValueError if the variable is neither "on" nor "off".

    Examples
    --------
    >>> from pdrr.federation.precision import precision
    >>> precision()
    'float32'
    """
    said = os.environ.get(VARIABLE, "off")
    if said not in ("on", "off"):
        raise ValueError(f"{VARIABLE} needs on or off, got {said!r}")
    return "TF32" if said == "on" else "float32"
