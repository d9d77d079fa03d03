"""The summary counts what the table of verdicts holds."""

import pandas as pd

from pdrr.book import summary


def judged(**more):
    verdicts = ["reproduced", "not", "reproduced", "partly", "by construction"]
    sections = ["3 Attacks", "3 Attacks", "4 PDRR", "4 PDRR", "4 PDRR"]
    return pd.DataFrame({"verdict": verdicts, "section": sections, **more})


def test_every_claim_is_counted_in_all_and_in_its_section():
    first, _, *sections = summary.results(judged()).splitlines()
    assert first == "Of 5 claims 2 are reproduced, 1 partly and 1 not; 1 is by construction."
    assert sections == [
        "- 3 Attacks: 1 reproduced, 1 not.",
        "- 4 PDRR: 1 reproduced, 1 partly, 1 by construction.",
    ]


def test_what_is_part_of_another_claim_is_not_counted():
    first = summary.results(judged(part_of=["", None, "another", "", ""])).splitlines()[0]
    assert first == "Of 4 claims 1 is reproduced, 1 partly and 1 not; 1 is by construction."
