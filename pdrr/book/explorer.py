"""What the explorer shows: every recorded round with a score for each client.

The paper's attacks are at its size, those beyond the paper in the quick profile's smaller network.

The page's script (``book/_extra/explorer/explore.js``) reads it from one file of constants: nothing
is fetched, so the page works from ``file://`` too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pdrr import beyond
from pdrr.claims.expected import expected
from pdrr.core.files import RECORDED
from pdrr.core.rules import DEFENDED, RULES
from pdrr.experiments.attacking import NOBODY
from pdrr.experiments.records import Records, each_run
from pdrr.experiments.schemes import OURS, known, papers
from pdrr.methods import Attack

LARGEST = 250_000  # bytes that the file may have
COMPROMISED = 20  # c of the paper's evaluation
OWN = "own"
"""The attack that was made for the server's rule."""
BEYOND = "beyond"
"""The attacker whose attacks are not the paper's."""

KEYS = ("rule", "attacker", "attack", "beta", "noise", "round", "seed", "scheme")
"""What tells a run from the others, in the order in which a reader chooses."""

COLUMNS = (*KEYS, "q", "far", "mar", "scores")
TABLES = {"krum": "table1", "trimmed_mean": "table2", "median": "table2b"}
STEMS = {  # by profile
    "paper": (*TABLES.values(), "fig04", "unattacked", "transfer", "by_epsilon"),
    "quick": ("client_scores",),
}
AXES = {
    "krum": "correlation ρᵢ over the largest",
    "trimmed_mean": "trimmed values nᵢᶜ over the most",
    "median": "1 − remained values nᵢʳ over the most",
}
FEWEST = 4  # digits of a score, as many as the page shows
STEPS = np.arange(1001) / 1000  # thresholds that the page's slider can be set to


def payload(folder: Path = RECORDED) -> dict[str, Any]:
    """All that the page needs.

    Parameters
    ----------
    folder : Path
        Recorded results, one folder for each profile.

    Returns
    -------
    dict
        ``runs`` has a list in the order of ``columns`` for each run; ``scores`` [k] are higher for
        the more suspicious, the first c clients are the malicious ones (none where the attacker is
        "nobody"), ``far`` and ``mar`` as they were recorded. The rest are names and the paper's
        own numbers.

    Raises
    ------
    ValueError
        If records are missing or damaged, or other clients than the first c are malicious.

    Examples
    --------
    >>> from pdrr.book import explorer
    >>> made = explorer.payload()
    >>> run = dict(zip(made["columns"], made["runs"][0], strict=True))
    >>> run["rule"], run["attacker"], len(run["scores"])
    ('krum', 'partial', 50)
    """
    runs: dict[tuple[Any, ...], list[Any]] = {}
    origin = {}
    for profile, stems in STEMS.items():
        for stem in stems:
            records = Records.load(folder / profile, stem)
            origin[profile] = f"{records.provenance['data']}, d = {records.provenance['d']:,}"
            for key, rest in _runs(stem, records):
                runs.setdefault(key, [*key, *rest])  # the same round may be recorded twice
    tables = expected().tables
    paper = {"krum": tables.table1, "trimmed_mean": tables.table2}
    order = sorted(runs, key=_place)
    return {
        "data": origin,
        "k": len(runs[order[0]][-1]),
        "c": COMPROMISED,
        "ours": OURS,
        "schemes": list(papers()),
        "rules": {rule: RULES[rule].words for rule in DEFENDED},
        "beyond": {name: attack.words for name, attack in _attacks().items()},
        "axes": {"PDRR": AXES, **{name: _axis(name) for name in papers() if name != OURS}},
        "paper": {"rounds": tables.rounds, **paper},
        "columns": list(COLUMNS),
        "runs": [runs[key] for key in order],
    }


def script(made: Mapping[str, Any]) -> str:
    """The payload as a classic script, .5 for 0.5; ValueError if it is larger than `LARGEST`.

    Examples
    --------
    >>> from pdrr.book import explorer
    >>> explorer.script({"runs": []})
    'window.PDRR = {"runs":[]};\\n'
    """
    text = json.dumps(made, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    text = re.sub(r"(?<=[\[,])(-?)0\.", r"\1.", text)
    found = f"window.PDRR = {text};\n"
    if len(found.encode()) > LARGEST:
        size = len(found.encode())
        raise ValueError(f"the explorer's data need at most {LARGEST:,} bytes, got {size:,}")
    return found


def _runs(stem: str, records: Records) -> Iterator[tuple[tuple[Any, ...], list[Any]]]:
    """Keys and values of the runs of a recording that the page can show."""
    usual = records.provenance["settings"]["defense"]["beta"]  # where nobody attacks
    others = _attacks()
    for _, rows, run in each_run(_shown(records)):
        scores = rows["score"].to_numpy(float)
        attacker = "nobody" if run["attack"] == NOBODY else run["knowledge"]
        attacker = BEYOND if run["attack"] in others else attacker
        first = np.arange(len(rows)) < (0 if attacker == "nobody" else COMPROMISED)
        if not np.array_equal(rows["byzantine"].to_numpy(bool), first):
            raise ValueError(f"{stem} needs the first {COMPROMISED} clients to be malicious")
        scheme = run.get("scheme", OURS)
        attack = "" if attacker == "nobody" else _attack(run)
        beta, q = run.get("beta", usual), _number(run.get("q"))
        beta = _number(beta) if run["rule"] == "trimmed_mean" else None
        noise = run.get("noise", "") if attack == OWN or "e-" in attack else ""
        key = (run["rule"], attacker, attack, beta, noise, run["round"], run["seed"], scheme)
        written = shorter(scores, STEPS if scheme == OURS else ())
        mar = _number(run.get("mar"))
        yield key, [q, _number(run["far"]), mar, [_number(score) for score in written]]


def _shown(records: Records) -> Records:
    """Without other readings, schemes that the paper does not compare, and other c."""
    table, runs = records.table, records.runs
    wanted: dict[str, list[Any]] = {
        "reading": ["default"],
        "scheme": [*papers()],
        "c": [COMPROMISED],
        "rule": [*DEFENDED],
    }
    for name, kept in wanted.items():
        if name in table:
            table, runs = table[table[name].isin(kept)], runs[runs[name].isin(kept)]
    return Records(table, runs, records.provenance)


def _attack(run: pd.Series) -> str:
    """As the page names it: made for the rule, for another one, or with copies farther apart."""
    epsilon = run.get("epsilon")
    if epsilon is not None and epsilon > 1e-7:
        return f"{epsilon:.0e}"
    return OWN if run["attack"] == run["rule"] else str(run["attack"])


def _axis(scheme: str) -> str:
    """Its statistic in plain text."""
    words = {"VAE": "−log p of reconstruction"}
    return words.get(scheme, known()[scheme].label("krum"))


def _number(value: Any) -> float | int | None:
    """As JSON has it: whole numbers without a point, nothing for NaN."""
    if value is None or value != value:
        return None
    number = float(value)
    return int(number) if number.is_integer() else number


def _place(key: tuple[Any, ...]) -> tuple[Any, ...]:
    rule, attacker, attack, beta, noise, number, seed, scheme = key
    attackers = ("partial", "full", BEYOND, "nobody")
    schemes = (OURS, *papers())
    own = ("", OWN, *DEFENDED, *_attacks())
    return (
        DEFENDED.index(rule),
        attackers.index(attacker),
        own.index(attack) if attack in own else len(own),
        attack,
        beta or 0,
        noise,
        number,
        seed,
        schemes.index(scheme),
    )


def _attacks() -> dict[str, Attack]:
    """Those beyond the paper by name."""
    return beyond.all_attacks()


def shorter(scores: np.ndarray, edges: Sequence[float] | np.ndarray = ()) -> np.ndarray:
    """Scores [k] with as few digits from `FEWEST` on as change nothing that the page tells.

    No two change places, meet or part, and each stays on its side of all `edges`, in rising order.

    Examples
    --------
    >>> import numpy as np
    >>> from pdrr.book import explorer
    >>> explorer.shorter(np.array([0.123456789, 0.5])).tolist()
    [0.1235, 0.5]
    >>> explorer.shorter(np.array([0.123456789, 0.123458])).tolist()
    [0.123457, 0.123458]
    >>> explorer.shorter(np.array([0.123456789, 0.5]), [0.1234999]).tolist()
    [0.12346, 0.5]
    """

    def told(some: np.ndarray) -> tuple[list[int], list[int]]:
        order = np.unique(some, return_inverse=True)[1]
        return order.tolist(), np.searchsorted(edges, some, side="right").tolist()

    wanted = told(scores)
    for digits in range(FEWEST, 9):
        short = np.array([float(f"{score:.{digits}g}") for score in scores])
        if told(short) == wanted:
            return short
    return scores
