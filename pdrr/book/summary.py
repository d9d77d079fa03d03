"""The results of the reproducibility summary that opens the page of verdicts, in numbers."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

ORDER = ("reproduced", "partly", "not")  # verdicts about a claim; all others say why there is none


def results(judged: pd.DataFrame) -> str:
    """Counts of verdicts in a sentence.

    Parameters
    ----------
    judged : DataFrame
        Of `verdicts.table`. Rows with something in `part_of` are not counted.

    Examples
    --------
    >>> import pandas as pd
    >>> from pdrr.book import summary
    >>> summary.results(pd.DataFrame({"verdict": ["not", "reproduced", "not measured"]}))
    'Of 3 claims 1 is reproduced, 0 partly and 1 not; 1 is not measured.'
    """
    if "part_of" in judged:
        again = judged["part_of"].notna() & (judged["part_of"] != "")
        judged = judged[~again]
    found = _counts(judged)
    verb = "is" if found["reproduced"] == 1 else "are"
    return (
        f"Of {len(judged)} claims {found['reproduced']} {verb} reproduced, {found['partly']} partly"
        f" and {found['not']} not{_others(found)}."
    )


def _counts(judged: pd.DataFrame) -> dict[str, int]:
    names = [*ORDER, *sorted(set(judged["verdict"]) - set(ORDER))]
    return {name: int((judged["verdict"] == name).sum()) for name in names}


def _others(found: Mapping[str, int]) -> str:
    parts = [
        f"{n} {'is' if n == 1 else 'are'} {name}" for name, n in found.items() if name not in ORDER
    ]
    return f"; {', '.join(parts)}" if parts else ""
