"""Models from files: a round in .npy, .npz or .safetensors is judged, and its model written.

`survey` looks at headers only; `Survey.read` gives the `Round`; `Verdict` names who is flagged;
`write` puts an aggregate into a file like those that came in. Needs the base dependencies only.
"""

from pdrr.files.rounds import MEDIAN, Survey, survey
from pdrr.files.verdict import THRESHOLDS, Verdict, check_k, detector, statistic
from pdrr.files.writing import check_target, write

__all__ = [
    "MEDIAN",
    "THRESHOLDS",
    "Survey",
    "Verdict",
    "check_k",
    "check_target",
    "detector",
    "statistic",
    "survey",
    "write",
]
