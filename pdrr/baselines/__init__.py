"""The detectors the paper compares PDRR with: VAE, DAGMM, ERR and LFR (section 5.1).

All four need images of the server's own, which PDRR does not: ERR and LFR try models on them, VAE
and DAGMM learn what weights trained on them look like. All flag the c models with the largest
score, as the paper did; ties are broken at random. They need finite models and refuse others.

Keras is loaded when VAE or DAGMM is first asked for, and not before.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pdrr.baselines.flagging import flag_largest
from pdrr.baselines.jackknife import leave_one_out
from pdrr.baselines.rejection import ERR, LFR, Rejection, err_and_lfr, union
from pdrr.baselines.surrogate import snapshots

if TYPE_CHECKING:
    from pdrr.baselines.dagmm import DAGMM, mixture_energy
    from pdrr.baselines.vae import VAE

__all__ = [
    "DAGMM",
    "ERR",
    "LFR",
    "VAE",
    "Rejection",
    "err_and_lfr",
    "flag_largest",
    "leave_one_out",
    "mixture_energy",
    "snapshots",
    "union",
]

_NEED_KERAS = {
    "DAGMM": "pdrr.baselines.dagmm",
    "VAE": "pdrr.baselines.vae",
    "mixture_energy": "pdrr.baselines.dagmm",
}


def __getattr__(name: str) -> Any:
    """The names that need Keras, looked up when they are asked for."""
    if name not in _NEED_KERAS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_NEED_KERAS[name]), name)
