"""A class of made-up students: one knows everything, some err as classes do, some misbehave."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import nbformat

from helpers.classic_mistakes import MISTAKES
from pdrr.grading.assignments import Assignment

INNOCENT = {  # answers that nothing but their own checks needs, and these checks
    "robust_aggregation": ("mean", ("test-mean",)),
    "poison_it": ("damage", ("test-damage",)),
    "find_the_poisoner": ("far", ("test-far",)),
}
MISCHIEF = {
    "loops": "while True: pass",
    "stubborn": "import time\nwhile True:\n    try:\n        while True: time.sleep(0.01)\n"
    "    except KeyboardInterrupt: pass",
    "leaves": "import os\nos._exit(1)",
    "floods": "while True: print('flood' * 1000)",
    "hoards": "hoard = [bytearray(2**30) for _ in range(100)]",
}


@dataclass
class Script:
    """What one student hands in for one assignment, and what it must get.

    Attributes
    ----------
    student, assignment : str
    answers : dict
        Their texts by grade_id; those that are not there stay unanswered.
    lost : dict
        Points lost by the grade_id of the check; the others give all.
    messages : dict
        By the name of a mistake: the checks it fails, and what one of them must say.
    """

    student: str
    assignment: str
    answers: dict[str, str]
    lost: dict[str, float] = field(default_factory=dict)
    messages: dict[str, tuple[tuple[str, ...], str]] = field(default_factory=dict)


def honest(work: Assignment) -> list[Script]:
    """The reference's solution, and the student's version untouched."""
    return [
        Script("reference", work.name, work.solutions),
        Script("blank", work.name, {}, dict(work.points)),
    ]


def erring(work: Assignment) -> list[Script]:
    """All classic mistakes of an assignment, at most one in each answer: few students make many."""
    by_answer = defaultdict(list)
    for mistake in MISTAKES:
        if mistake.assignment == work.name:
            by_answer[mistake.cell].append(mistake)
    scripts = []
    for i in range(max(map(len, by_answer.values()))):
        script = Script(f"errs-{i + 1}", work.name, dict(work.solutions))
        for mistake in (mistakes[i] for mistakes in by_answer.values() if i < len(mistakes)):
            script.answers[mistake.cell] = mistake.code
            script.lost |= mistake.lost
            script.messages[mistake.name] = (tuple(mistake.lost), mistake.message)
        scripts.append(script)
    return scripts


def misbehaving(work: Assignment) -> list[Script]:
    """Right answers, one of which does something first that nobody wants."""
    answer, checks = INNOCENT[work.name]
    return [
        Script(
            student,
            work.name,
            work.solutions | {answer: f"{code}\n{work.solutions[answer]}"},
            {check: work.points[check] for check in checks},
        )
        for student, code in MISCHIEF.items()
    ]


def hand_in(folder: Path, script: Script, work: Assignment) -> None:
    """Write a script as its student's notebook."""
    path = folder / script.student / f"{work.name}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(work.filled(script.answers), path)
