"""What stands above the tables and figures of a page: their data, and their chain of rounds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from pdrr.core.files import RECORDED
from pdrr.data import FederatedDataset
from pdrr.experiments.records import Records

COUNTED = RECORDED / "femnist.json"  # of the real data; scripts/count_femnist.py writes it
MANY = 300  # images of a writer
PAPERS = {"test": 4004, "auxiliary": 2002}  # section 5.1
CHAINS = {
    "oracle-defended": "between measured rounds attackers are left out by label",
    "PDRR in the loop": "in every round the server aggregates what PDRR leaves",
    "undefended": "every round is attacked and nobody defends",
    "nobody attacks": "no round is attacked",
}


def caption(records: Records) -> str:
    """The data of records, then a line on their chain of rounds, and one on FEMNIST if it is real.

    Examples
    --------
    >>> import pandas as pd
    >>> from pdrr.book import captions
    >>> from pdrr.experiments import Records
    >>> runs = pd.DataFrame({"seed": [1, 1], "round": [1, 20]})
    >>> told = {"data": "glyphs", "synthetic": True, "d": 1947}
    >>> print(captions.caption(Records(runs, runs, told)))
    glyphs (synthetic data), d = 1,947, seed 1
    round 20 of the oracle-defended chain: between measured rounds attackers are left out by label
    """
    lines = [records.caption, *_chains(records)]
    if COUNTED.exists() and records.provenance.get("sha256") == (told := counted())["sha256"]:
        lines.append(_short(told))
    return "\n".join(lines)


def _chains(records: Records) -> list[str]:
    """A line for each chain that later rounds than the first belong to."""
    runs = records.runs
    if "round" not in runs:
        return []
    later = runs[runs["round"] > 1]
    if "chain" not in later:
        later = later.assign(chain="oracle-defended")
    lines = []
    for chain, rounds in later.groupby("chain", sort=False)["round"]:
        if len(numbers := sorted(rounds.unique())) > 10:
            listed = f"rounds {numbers[0]} to {numbers[-1]}"
        else:
            listed = f"round{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers))}"
        why = f": {CHAINS[str(chain)]}" if chain in CHAINS else ""
        lines.append(f"{listed} of the {chain} chain{why}")
    return lines


# the real data


def count(dataset: FederatedDataset) -> dict[str, Any]:
    """What has to be said of the real data wherever it is used, and its hash."""
    images = np.bincount(dataset.writer.astype(np.intp), minlength=len(dataset))
    return {
        "sha256": dataset.sha256,
        "writers": len(dataset),
        "images": len(dataset.labels),
        "test": int(dataset.test.sum()),
        "auxiliary": len(dataset.auxiliary()[1]),
        "digits": round(float((dataset.labels < 10).mean()), 4),
        "writers_of_many": int((images > MANY).sum()),
    }


def counted() -> dict[str, Any]:
    """What `count` found in the data that the records were made from."""
    return dict(json.loads(COUNTED.read_text("utf-8")))


def sentence(told: Mapping[str, Any]) -> str:
    """The counts in the prose's words.

    Examples
    --------
    >>> from pdrr.book import captions
    >>> captions.sentence(captions.counted())[-44:]
    'and 2 of its 192 writers have more than 300.'
    """
    return (
        f"The FEMNIST of the recorded runs has {told['test']:,} test images,"
        f" {told['auxiliary']:,} of them auxiliary (the paper's has {PAPERS['test']:,} and"
        f" {PAPERS['auxiliary']:,}); {told['digits']:.0%} of its images are digits, and"
        f" {told['writers_of_many']} of its {told['writers']} writers have more than {MANY}."
    )


def _short(told: Mapping[str, Any]) -> str:
    return (
        f"{told['test']:,} test images, {told['auxiliary']:,} of them auxiliary (the paper:"
        f" {PAPERS['test']:,} and {PAPERS['auxiliary']:,}); {told['digits']:.0%} digits;"
        f" {told['writers_of_many']} of {told['writers']} writers with more than {MANY} images"
    )
