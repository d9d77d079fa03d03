"""Give records a column `attack` beside `rule`; every other cell stays as it is written.

    python scripts/add_attack_column.py book/records/*/*.json
    python scripts/add_attack_column.py --check REVISION book/records/*/*.json

Records of one rule's own attack had its name in `rule` alone. The second form compares the files,
cell by cell, with those that git has at a revision, and ends with 1 if any other cell differs.
"""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

NOBODY = {"unattacked", "coordinates"}  # recordings of rounds that nobody attacked
FIXED_RULE = {"fig02": "krum", "coordinates": "krum"}  # recordings that did not name it


def attack_of(stem: str, rule: str) -> str:
    """The attack under which a recording saw a rule."""
    return "none" if stem in NOBODY else rule


def new_table(stem: str, text: str) -> str:
    """The table with the column, before `rule`; one without rules gets none."""
    rows = list(csv.reader(io.StringIO(text)))
    if "rule" not in rows[0] or "attack" in rows[0]:
        return text
    place = rows[0].index("rule")
    out = io.StringIO()
    write = csv.writer(out, lineterminator="\n")
    write.writerow([*rows[0][:place], "attack", *rows[0][place:]])
    for row in rows[1:]:
        write.writerow([*row[:place], attack_of(stem, row[place]), *row[place:]])
    return out.getvalue()


def new_runs(stem: str, content: dict[str, Any]) -> dict[str, Any]:
    """The runs with the column, before `rule`; with `rule` itself where it was not named."""
    runs = []
    for run in content["runs"]:
        if "attack" in run:
            return content
        if "rule" not in run:
            rule = FIXED_RULE[stem]
            runs.append({"attack": attack_of(stem, rule), "rule": rule, **run})
            continue
        items = list(run.items())
        place = list(run).index("rule")
        added = ("attack", attack_of(stem, run["rule"]))
        runs.append(dict([*items[:place], added, *items[place:]]))
    return {**content, "runs": runs}


def dumped(content: dict[str, Any]) -> str:
    """As records are written."""
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def migrate(path: Path) -> bool:
    """Rewrite ``path`` (.json) and its .csv; whether anything changed."""
    table = path.with_suffix(".csv")
    old_runs, old_table = path.read_text("utf-8"), table.read_text("utf-8")
    content = json.loads(old_runs)
    if dumped(content) != old_runs:
        raise ValueError(f"{path} is not written as records are: its cells could change")
    runs, cells = dumped(new_runs(path.stem, content)), new_table(path.stem, old_table)
    path.write_text(runs, "utf-8")
    table.write_text(cells, "utf-8")
    return (runs, cells) != (old_runs, old_table)


def differences(path: Path, old_runs: str, old_table: str) -> tuple[list[str], int]:
    """What differs beside the new columns, and how many cells were compared."""
    wrong, compared = [], 0
    old, new = json.loads(old_runs), json.loads(path.read_text("utf-8"))
    if old["provenance"] != new["provenance"] or len(old["runs"]) != len(new["runs"]):
        wrong.append("provenance, or number of runs")
    for i, (before, now) in enumerate(zip(old["runs"], new["runs"], strict=False)):
        added = set(now) - set(before)
        rule = now["rule"]
        if added - {"attack", "rule"} or now["attack"] != attack_of(path.stem, rule):
            wrong.append(f"run {i}: added {now}")
        wrong += [f"run {i}: {name}" for name in before if before[name] != now.get(name)]
        compared += len(now)
    tables = old_table, path.with_suffix(".csv").read_text("utf-8")
    before, now = ([*csv.DictReader(io.StringIO(text))] for text in tables)
    if len(before) != len(now):
        wrong.append("number of rows")
    for i, (row, other) in enumerate(zip(before, now, strict=False)):
        attack = {"attack": attack_of(path.stem, row["rule"])} if "rule" in row else {}
        if {**row, **attack} != other:
            wrong.append(f"row {i}: {row} became {other}")
        compared += len(other)
    return wrong, compared


def main(words: list[str]) -> None:
    """Migrate, or check."""
    if words[:1] != ["--check"]:
        for path in map(Path, words):
            print(f"{path}: {'written' if migrate(path) else 'has it'}")
        return
    revision, total = words[1], 0
    for path in map(Path, words[2:]):
        old = [
            subprocess.run(
                ["git", "show", f"{revision}:{name.as_posix()}"], capture_output=True, check=True
            ).stdout.decode("utf-8")
            for name in (path, path.with_suffix(".csv"))
        ]
        wrong, compared = differences(path, *old)
        total += compared
        if wrong:
            sys.exit(f"{path}: {len(wrong)} differences, first {wrong[0]}")
    print(f"{total:,} cells are as they were, but for the new columns")


if __name__ == "__main__":
    main(sys.argv[1:])
