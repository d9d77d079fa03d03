"""Our own results as the prose states them, held to the records: ``statements.yaml``.

In the prose a tag stands behind each sentence that states a result, ``<!-- holds: its-id -->``.
A statement holds if every cell of each of its checks meets the condition.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from pdrr.claims import (
    beyond_measures,  # noqa: F401, the checks call their measures
    parts,
    round_measures,  # noqa: F401
    statement_measures,  # noqa: F401
    verdicts,
)
from pdrr.claims.expected import STRICT, Check, Text, can_be_judged
from pdrr.experiments.records import Records

Load = Callable[[str, str], Records]
"""Profile, stem -> records."""

TAG = re.compile(r"<!-- holds: ([\w-]+) -->")
ENDS = re.compile(r"(?:[.:!?][*)\]\"]*|\|) $|^(?:[-*>] |\d+\. |: |#+ .*\n)?$")  # before a sentence


@dataclass(frozen=True, config=STRICT, kw_only=True)
class Held(Check):
    """A check of a statement; `profile` is the folder of its records."""

    profile: str = "paper"


@dataclass(frozen=True, config=STRICT, kw_only=True)
class Statement:
    """A sentence of the prose.

    Attributes
    ----------
    id, text : str
        Its name; the sentence as it stands in the prose, on one line.
    checks : list
        What the records have to show.
    computed : str
        In place of checks: the table that the page itself computes and that shows it. A test runs
        the same call.
    """

    id: Text
    text: Text
    checks: list[Held] = field(default_factory=list)
    computed: str = ""


@cache
def statements() -> dict[str, Statement]:
    """All of ``statements.yaml`` by id, checked."""
    return parse(resources.files("pdrr.claims").joinpath("statements.yaml").read_text("utf-8"))


def parse(text: str) -> dict[str, Statement]:
    """Statements from YAML; ValueError in one line, naming the statement, if they are wrong."""
    try:
        content = yaml.safe_load(text)["statements"]
        found = TypeAdapter(list[Statement]).validate_json(json.dumps(content))
    except yaml.YAMLError as error:
        raise ValueError(f"statements.yaml: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        first = error.errors()[0]
        place, *path = first["loc"] or (0,)
        name = content[int(place)].get("id", place)
        where = ".".join(map(str, [name, *path]))
        raise ValueError(f"statements.yaml: {where}: {first['msg'].lower()}") from error
    for statement in found:
        where = f"statements.yaml: {statement.id}"
        if bool(statement.checks) == bool(statement.computed):
            raise ValueError(f"{where}: needs either checks or the table that shows it")
        for check in statement.checks:
            can_be_judged(check, where)
    named = {statement.id: statement for statement in found}
    if len(named) < len(found):
        raise ValueError("statements.yaml: two statements have the same id")
    return named


# against the records


def loader(root: Path) -> Load:
    """Reads each recording of ``root/<profile>`` once."""
    return cache(lambda profile, stem: parts.load(root / profile, stem))


def measured(check: Held, load: Load) -> tuple[pd.Series, pd.Series]:
    """Cells of a check, and which of them meet its condition."""
    cells, met, _ = verdicts.cells_of(check, lambda stem: load(check.profile, stem))
    return cells, pd.Series(met, index=cells.index)


def against(statement: Statement, load: Load) -> list[str]:
    """What of a statement the records do not show: a line for each check that fails."""
    found = []
    for check in statement.checks:
        try:
            cells, met = measured(check, load)
        except parts.NotMeasuredError as reason:
            found.append(f"{check.measure}: {reason}")
            continue
        if not met.all():
            wrong = ", ".join(f"{label}: {value:.4g}" for label, value in cells[~met].items())
            wanted = str(check.condition) or "to hold"
            found.append(f"{check.measure} should be {wanted}, but is not for {wrong}")
    return found


def check(root: Path) -> list[str]:
    """Every statement against the records in `root`, one folder for each profile.

    Returns
    -------
    list of str
        A line for each statement that does not hold: its id, its text, the numbers.
    """
    load = loader(root)
    return [line for each in statements().values() for line in _lines(each, load)]


def _lines(statement: Statement, load: Load) -> Iterator[str]:
    numbers = against(statement, load)
    if numbers:
        yield f"{statement.id}: {statement.text!r} does not hold: {'; '.join(numbers)}"


# in the prose


def prose(page: Path) -> list[str]:
    """The Markdown of a page: a chapter whole, a notebook cell by cell."""
    text = page.read_text("utf-8")
    if page.suffix != ".ipynb":
        return [text]
    cells: list[dict[str, Any]] = json.loads(text)["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]


def tagged(markdown: str) -> Iterator[tuple[str, str]]:
    """Id of each tag, and the text before it: of its paragraph, from the last tag on, one line."""
    for paragraph in paragraphs(markdown):
        begin = 0
        for tag in TAG.finditer(paragraph):
            yield tag[1], paragraph[begin : tag.start()].strip()
            begin = tag.end()


def paragraphs(markdown: str) -> Iterator[str]:
    """Paragraphs, list items, rows of tables and headings, each on one line; code is left out."""
    plain = re.sub(r"^( *)(```+).*?^\1\2$", "", markdown, flags=re.M | re.S)
    plain = re.sub(r"^:(::.*|[\w-]+:.*)$", "", plain, flags=re.M)  # directives and their options
    for block in re.split(r"\n\s*\n|\n(?=\s*(?:[-*>:] |\||#+ |\d+\. ))", plain):
        if block.strip():
            yield " ".join(block.split())


def misplaced(markdown: str) -> list[str]:
    """Tags that do not stand behind the sentence they name: a line for each."""
    found = []
    for name, before in tagged(markdown):
        if name not in statements():
            found.append(f"no statement {name!r}, it is tagged behind {before!r}")
        elif not _ends_with(before, statements()[name].text):
            found.append(
                f"{name}: {statements()[name].text!r} is not what stands before: {before!r}"
            )
    return found


def _ends_with(before: str, sentence: str) -> bool:
    """Whether a text ends with a sentence that begins where a sentence can begin."""
    return before.endswith(sentence) and bool(ENDS.search(before.removesuffix(sentence)))


def wrong(page: Path, load: Load) -> list[str]:
    """Everything that is wrong with the tags of a page: misplaced, or no longer so."""
    found = []
    for markdown in prose(page):
        found += misplaced(markdown)
        for name, _ in tagged(markdown):
            if name in statements():
                found += _lines(statements()[name], load)
    return found
