"""The summary counts what the table of verdicts holds."""

import pandas as pd

from pdrr.book import summary


def judged(**more):
    verdicts = ["reproduced", "not", "reproduced", "partly", "by construction"]
    return pd.DataFrame({"verdict": verdicts, **more})


def test_every_claim_is_counted():
    assert summary.results(judged()) == (
        "Of 5 claims 2 are reproduced, 1 partly and 1 not; 1 is by construction."
    )


def test_what_is_part_of_another_claim_is_not_counted():
    assert summary.results(judged(part_of=["", None, "another", "", ""])) == (
        "Of 4 claims 1 is reproduced, 1 partly and 1 not; 1 is by construction."
    )
