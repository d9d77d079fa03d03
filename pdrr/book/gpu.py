"""What the GPU runs told: the lines of ``gpu.jsonl`` read and laid out beside their targets.

`benchmarks/gpu.sh` writes such lines on a machine with a GPU, `benchmarks.gpu_record` keeps them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from pandas.io.formats.style import Styler

from pdrr.book.alignment import styled
from pdrr.book.performance import RECORDED, RULES
from pdrr.claims.words import digits

FILE = "gpu.jsonl"
DRY = "no GPU: a dry run"
Line = dict[str, Any]

SMALL, LARGE, HUGE = 4, 12, 40  # in reads of the stack: k = 10, k = 200, k = 1000
TARGETS = {
    **{(rule, k): most for rule in RULES for k, most in ((10, SMALL), (1000, HUGE))},
    **{(rule, 200): LARGE for rule in ("trimmed_mean", "median", "krum")},
    **{("mean", 50): 1.3, ("trimmed_mean", 50): 2.5, ("median", 50): 2.5, ("krum", 50): 5},
    **{("PDRR trimmed_mean", 50): 3, ("PDRR median", 50): 3, ("PDRR krum", 50): 6},
    ("bulyan", 50): 12,
}
"""How many reads of the stack a case should cost, by rule and k."""


def read(path: Path) -> list[Line]:
    """All lines of a file; ValueError naming the first that is none of ours."""
    lines = []
    for number, text in enumerate(path.read_text("utf-8").splitlines(), 1):
        try:
            line = json.loads(text)
            whole = all(isinstance(line[name], str) for name in ("section", "commit", "device"))
        except (KeyError, TypeError, ValueError):
            whole = False
        if not whole:
            raise ValueError(
                f"{path} needs JSON objects with section, commit and device, got in line {number}:"
                f" {text[:60]}"
            )
        lines.append(line)
    return lines


def run_of(line: Line) -> tuple[str, str]:
    """Commit and device of a line."""
    return line["commit"], line["device"]


def latest(folder: Path = RECORDED) -> list[Line]:
    """The lines of the run that was recorded last."""
    lines = read(folder / FILE)
    return [line for line in lines if run_of(line) == run_of(lines[-1])]


def titled(lines: Sequence[Line]) -> str:
    """The device and the commit that was measured on it."""
    commit, device = run_of(lines[0])
    return f"{device} at {commit}"


def caption(lines: Sequence[Line]) -> str:
    """Which device, which commit, and with what."""
    told: Line = next((line["versions"] for line in lines if "versions" in line), {})
    versions = ", ".join(f"{name} {version}" for name, version in told.items())
    return f"{titled(lines)}: {versions}"


def kernels(lines: Sequence[Line]) -> pd.DataFrame:
    """A row for each case that was timed, kernels on or off: case, k, d, ms, min_ms, floors."""
    table = pd.DataFrame([line for line in lines if line["section"] == "kernels" and "ms" in line])
    return table[table["case"].isin(["read", *RULES])].reset_index(drop=True)


def kernels_table(lines: Sequence[Line]) -> Styler:
    """Milliseconds of each rule and k; below them reads of the stack, and the target."""
    table = kernels(lines)
    on = table[(table["kernels"] == "on") | (table["case"] == "read")]
    rows: dict[str, dict[str, str]] = {}
    for row in on.to_dict("records"):
        name = RULES.get(row["case"], "one read of the stack")
        words = f"{digits(row['ms'])} ms"
        if row["case"] == "read":
            words += f"<br><small>{digits(row['tb_s'])} TB/s</small>"
        else:
            target = TARGETS.get((row["case"], row["k"]))
            wanted = f"<br>target {target:g}" if target else ""
            words += f"<br><small>{digits(row['floors'])} reads{wanted}</small>"
        rows.setdefault(name, {})[f"k = {row['k']}"] = words
    columns = [f"k = {k}" for k in sorted(on["k"].unique())]
    order = ["one read of the stack", *RULES.values()]
    shown = pd.DataFrame(rows).T.reindex(index=[name for name in order if name in rows])
    d = int(on["d"].iloc[0])
    return styled(shown[columns].fillna("–"), "schemes").set_caption(
        f"{caption(lines)}. d = {d:,}, float32, models on the GPU. A read: the time of reading the"
        " stack once, measured in the same run."
    )


def others_table(lines: Sequence[Line]) -> Styler:
    """Attacks, other libraries, and whatever else was timed: milliseconds."""
    rows = []
    for line in lines:
        if "ms" not in line or line["section"] == "kernels":
            continue
        if line["section"] == "attacks":
            name = RULES.get(f"attack on {line['attack']}", f"attack on the {line['attack']}")
            rows.append((f"{name}, {line['knowledge']} knowledge", line["ms"]))
        elif line["section"] == "peers":
            rule = RULES.get(line["case"], "one pass")
            rows.append((f"{rule}: {line['implementation']}", line["ms"]))
        else:
            what = line.get("what") or f"{line['detector']}, {RULES[line['rule']]}"
            rows.append((f"{line['section']}: {what}", line["ms"]))
    shown = pd.DataFrame({"ms": [digits(ms) for _, ms in rows]}, [name for name, _ in rows])
    sizes = sorted({line["k"] for line in lines if line["section"] in ("attacks", "peers")})
    return styled(shown, "schemes").set_caption(
        f"{caption(lines)}. k = {', '.join(map(str, sizes))}; other libraries work in float32."
    )
