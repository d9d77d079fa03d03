"""What is run: from settings to records.

Each notebook makes one call here and one in `pdrr.book`.
"""

from pdrr.experiments.alike import alike_clients
from pdrr.experiments.alone import detection, first_parameters
from pdrr.experiments.arms import survival
from pdrr.experiments.chains import errors_by_q, every_round
from pdrr.experiments.client_scores import client_scores
from pdrr.experiments.clock import by_coordinates, timing
from pdrr.experiments.collusion import colluders, sided
from pdrr.experiments.comparison import compare, one_round, rounds, unattacked
from pdrr.experiments.counting import how_many
from pdrr.experiments.dissection import anatomy
from pdrr.experiments.evasion import evading
from pdrr.experiments.likeness import similarities
from pdrr.experiments.matrix import against
from pdrr.experiments.placement import placed
from pdrr.experiments.quiet import silence
from pdrr.experiments.records import Records, recorded
from pdrr.experiments.retrained import refits
from pdrr.experiments.scene import dataset, settings
from pdrr.experiments.servers_data import by_auxiliary, data_facts
from pdrr.experiments.sketches import attacked_coordinate, round_values
from pdrr.experiments.transfer import crossed
from pdrr.experiments.variations import by_count, by_epsilon

__all__ = [
    "Records",
    "against",
    "alike_clients",
    "anatomy",
    "attacked_coordinate",
    "by_auxiliary",
    "by_coordinates",
    "by_count",
    "by_epsilon",
    "client_scores",
    "colluders",
    "compare",
    "crossed",
    "data_facts",
    "dataset",
    "detection",
    "errors_by_q",
    "evading",
    "every_round",
    "first_parameters",
    "how_many",
    "one_round",
    "placed",
    "recorded",
    "refits",
    "round_values",
    "rounds",
    "settings",
    "sided",
    "silence",
    "similarities",
    "survival",
    "timing",
    "unattacked",
]
