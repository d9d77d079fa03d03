"""The open contest of the coursework: evade PDRR, or improve it. Both are scored by a formula.

Neither score can be had for nothing. An attack that does nothing does no damage; a detector that
flags everybody, or nobody, or flips a coin, scores 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import numpy as np

from pdrr.aggregators import trimmed_mean
from pdrr.attacks import trimmed_mean_attack
from pdrr.classroom.game import Attack, Classroom
from pdrr.core.directions import middle_direction
from pdrr.defenses import PDRR
from pdrr.metrics import far, mar
from pdrr.types import Round

Detector = Callable[[Round], np.ndarray]
"""The observed round in, bool [k] out: the models declared malicious."""

SEEDS = (1, 2)  # to practise on; marks are given on others
BETA, Q = 12, 0.95  # of the server's trimmed mean and its PDRR; beta is the classroom's c
WARM, ROUNDS = 5, 5  # honest rounds before the contest, and rounds of it
PATIENCE = (0.5, 1.0)  # how far the patient attack goes, in standard deviations
EVASION_STEPS = (0.08, 0.12, 0.15, 0.19, 0.25)
DETECTION_STEPS = (0.5, 0.6, 0.7, 0.8, 0.9)


def plain_attack(honest: Round, byzantine: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The trimmed-mean attack with full knowledge: the c models [c, d] it sends."""
    crafted = trimmed_mean_attack(honest, byzantine, knowledge="full", rng=rng, beta=BETA)
    return np.asarray(crafted.observed.clients[byzantine])


def patient_attack(honest: Round, byzantine: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Against the change direction, but within the spread of the benign models.

    Parameters
    ----------
    honest : Round
        All k models as trained.
    byzantine : bool array [k]
        The c compromised clients.
    rng : numpy Generator

    Returns
    -------
    array [c, d] float64
        mu - z s sigma, with mu and sigma of the benign models and z drawn uniformly in [0.5, 1)
        for each client and coordinate. So benign values lie further out.

    References
    ----------
    After Baruch, Baruch and Goldberg, "A little is enough", NeurIPS 2019, arXiv:1902.06156.

    Examples
    --------
    The benign models are 12 to 29: mu = 20.5 and sigma = 5.2, moving up.

    >>> from pdrr.classroom.contest import patient_attack
    >>> honest = pdrr.Round(np.arange(30.0)[:, None], np.zeros(1))
    >>> sent = patient_attack(honest, np.arange(30) < 12, np.random.default_rng(0))
    >>> sent.shape, bool(sent.min() > 20.5 - 5.2 and sent.max() < 20.5 - 2.5)
    ((12, 1), True)
    """
    benign = honest.clients[~byzantine].astype(np.float64)
    far_out = rng.uniform(*PATIENCE, (int(byzantine.sum()), honest.d))
    direction = middle_direction(honest, BETA)
    return np.asarray(benign.mean(axis=0) - far_out * direction * benign.std(axis=0))


def evasion(attack: Attack, seeds: Iterable[int] = SEEDS) -> float:
    """Damage that an attack does to a federation that PDRR defends.

    A server with trimmed mean (beta = 12) and PDRR (q = 0.95) has run 5 honest rounds and runs 5
    more, with 12 of its 30 clients compromised. If its accuracy is then a, and a_0 had nobody
    attacked, the damage is 1 - a / a_0, at least 0; averaged over the seeds.

    Parameters
    ----------
    attack : function
        ``attack(honest, byzantine, rng)`` gives the c models [c, d] of the compromised clients.
    seeds : ints

    Returns
    -------
    float in [0, 1]. Doing nothing gives 0.

    Examples
    --------
    >>> from pdrr.classroom.contest import evasion
    >>> evasion(lambda honest, byzantine, rng: honest.clients[byzantine], seeds=[1])  # no attack
    0.0
    """
    damage = []
    for seed in seeds:
        room, start, quiet, _ = _stage(2 * seed)
        game = room.play(_defended, rounds=ROUNDS, attack=attack, start=start, first=WARM + 1)
        damage.append(max(0.0, 1 - game.accuracies[-1] / quiet))
    return float(np.mean(damage))


def detection(detector: Detector, seeds: Iterable[int] = SEEDS) -> float:
    """How well a detector tells attackers from honest clients, and quiet rounds from attacks.

    The server of `evasion` shows its rounds 6 to 10: each without an attack, under
    `plain_attack` and under `patient_attack`, in an order drawn by lot. An attacked round counts
    max(0, 1 - FAR - MAR), an honest one 1 - FAR. The score is the mean over the attacked rounds
    times the mean over the honest ones, averaged over the seeds.

    Parameters
    ----------
    detector : function
        The observed `Round` in, bool [k] out. It is not told who is compromised, nor how many.
    seeds : ints

    Returns
    -------
    float in [0, 1]. Flagging nobody, everybody, or at random gives 0 or little more.

    Examples
    --------
    >>> from pdrr.classroom.contest import detection
    >>> detection(lambda observed: np.zeros(observed.k, dtype=bool), seeds=[1])  # nobody is flagged
    0.0
    """
    scores = []
    for seed in seeds:
        room, _, _, rounds = _stage(2 * seed + 1)
        shown = [(honest, attack) for honest in rounds for attack in ATTACKS]
        attacked, quiet = [], []
        for index in np.random.default_rng(seed).permutation(len(shown)):
            honest, attack = shown[index]
            if attack is None:
                quiet.append(1 - _verdict(detector, honest).mean())
                continue
            flagged = _verdict(detector, room.attacked(honest, attack))
            wrong = far(flagged, room.byzantine) + mar(flagged, room.byzantine)
            attacked.append(max(0.0, 1 - wrong))
        scores.append(np.mean(attacked) * np.mean(quiet))
    return float(np.mean(scores))


def pdrr_detector(observed: Round) -> np.ndarray:
    """The detector to beat: PDRR for the trimmed mean, as the contest's server runs it."""
    flagged: np.ndarray = PDRR("trimmed_mean", beta=BETA, q=Q).detect(observed).flagged
    return flagged


def points(score: float, steps: Iterable[float]) -> int:
    """One point for each step that a score reaches."""
    return sum(score >= step for step in steps)


def report(attack: Attack, detector: Detector, seeds: Iterable[int] = SEEDS) -> int:
    """Score both entries of a student, print what they earn, and return the better's points.

    An entry that is not written yet, and so raises NotImplementedError, earns nothing.
    """
    seeds = tuple(seeds)
    best = 0
    entries: list[tuple[str, Callable[[], float], tuple[float, ...]]] = [
        ("evade", lambda: evasion(attack, seeds), EVASION_STEPS),
        ("detect", lambda: detection(detector, seeds), DETECTION_STEPS),
    ]
    for name, score, steps in entries:
        try:
            found = score()
        except NotImplementedError:
            print(f"{name}: no entry")
            continue
        earned = points(found, steps)
        print(f"{name}: {found:.3f}, {earned} of {len(steps)} points")
        best = max(best, earned)
    return best


ATTACKS: tuple[Attack | None, ...] = (None, plain_attack, patient_attack)


def _defended(observed: Round) -> np.ndarray:
    return np.asarray(PDRR("trimmed_mean", beta=BETA, q=Q).aggregate(observed)[0])


@cache
def _stage(number: int) -> tuple[Classroom, np.ndarray, float, tuple[Round, ...]]:
    """A classroom, its model after the first rounds, and what follows if nobody attacks.

    That is: the accuracy under the defence, and the honest rounds of the rule alone. Evasion and
    detection have classrooms of their own, so that one entry cannot tell the other anything.
    """
    room = Classroom(number)

    def rule(observed: Round) -> np.ndarray:
        return np.asarray(trimmed_mean(observed.clients, beta=BETA))

    start = room.play(rule, rounds=WARM).model
    after: dict[str, Any] = {"rounds": ROUNDS, "start": start, "first": WARM + 1}
    quiet = room.play(_defended, **after).accuracies[-1]
    return room, start, float(quiet), room.play(rule, **after).rounds


def _verdict(detector: Detector, observed: Round) -> np.ndarray:
    """What the detector says of its own copy of a round; ValueError unless that is bool [k]."""
    told = Round(np.array(observed.clients), np.array(observed.previous), observed.number)
    flagged = np.asarray(detector(told))
    if flagged.dtype != bool or flagged.shape != (observed.k,):
        raise ValueError(
            f"detection needs a bool array [{observed.k}] from the detector,"
            f" got {flagged.dtype} of shape {flagged.shape}"
        )
    return flagged
