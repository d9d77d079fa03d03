"""PDRR: a defence against local model poisoning of Byzantine-robust federated learning.

The public names. Importing this package needs NumPy and array-api-compat only.
"""

from pdrr.aggregators import AGGREGATORS, bulyan, krum, mean, median, trimmed_mean
from pdrr.attacks import ATTACKS, krum_attack, median_attack, trimmed_mean_attack
from pdrr.defenses import PDRR
from pdrr.metrics import Lots, auc, by_lot, error_rate, far, mar, q_range
from pdrr.types import Crafted, Detection, Round

__version__ = "0.1.0"

__all__ = [
    "AGGREGATORS",
    "ATTACKS",
    "PDRR",
    "Crafted",
    "Detection",
    "Lots",
    "Round",
    "auc",
    "bulyan",
    "by_lot",
    "error_rate",
    "far",
    "krum",
    "krum_attack",
    "mar",
    "mean",
    "median",
    "median_attack",
    "q_range",
    "trimmed_mean",
    "trimmed_mean_attack",
]
