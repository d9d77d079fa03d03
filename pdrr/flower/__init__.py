"""PDRR in a Flower federation: `PDRR` takes a strategy's place, `PDRRFilter` stands before one.

Both are strategies of `flwr.serverapp`, for the Message API of Flower 1.30 and newer.
"""

from __future__ import annotations

try:
    import flwr.serverapp.strategy as _strategies
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "pdrr.flower needs Flower 1.30 or newer: pip install 'pdrr[flower]'", name=error.name
    ) from error

from pdrr.flower.filter import PDRRFilter
from pdrr.flower.strategy import PDRR
from pdrr.serving.verdict import Verdict

__all__ = ["PDRR", "PDRRFilter", "Verdict"]

del _strategies
