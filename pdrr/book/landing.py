"""The parts of the landing page that are made from the records when the book is built."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from pdrr.book.explorer import AXES, COMPROMISED
from pdrr.book.verdicts_html import BADGES, badge, badges
from pdrr.claims import verdicts
from pdrr.claims.words import typeset
from pdrr.core.files import RECORDED
from pdrr.core.rules import DEFENDED, RULES, in_words
from pdrr.experiments.chains import ORACLE
from pdrr.experiments.records import Records

KEY = "lu2022defense"
ROUND = {"seed": 1, "round": 1, "c": COMPROMISED, "knowledge": "partial"}  # of the picture
# the recording of each rule, and what is the paper's there
PICTURE: dict[str, tuple[str, dict[str, Any]]] = {
    "krum": ("fig04", {"noise": "ball"}),
    "trimmed_mean": ("fig06", {"beta": 10}),
    "median": ("fig07", {}),
}
ACCURACIES = {  # columns of the chain of every round
    "accuracy": "before",
    "accuracy_attacked": "attacked",
    "accuracy_defended": "with PDRR",
    "accuracy_unattacked": "nobody attacking",
}
BETA = 10
UNITS = {  # of the number on each tile
    "abstract-1": "schemes are as the paper says",
    "abstract-2": "times the seconds of the fastest other",
    "abstract-3": "cells have no better scheme",
    "abstract-4": "others vary more",
    "abstract-5": "is the share of runs without error",
    "abstract-6": "is DAGMM's time over PDRR's",
}
NUMBER = re.compile(r"\d+ of \d+|\d+\.\d+")
WIDTH, HEIGHT, LEFT, TOP = 560, 190, 34, 8  # of the picture


def parts(
    records: Path = RECORDED,
    citation: Path = Path("CITATION.cff"),
    book: Path = Path("book"),
    links: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The parts by name, each as HTML.

    Parameters
    ----------
    records : Path
        Folder of the recorded results, one folder for each profile.
    citation : Path
        Who wrote the paper.
    book : Path
        Folder with ``references.bib``.
    links : mapping, optional
        Where else the project is: name -> address.

    Raises
    ------
    ValueError
        If records are missing or damaged, the bibliography has no entry of the paper, or a link is
        not a whole address.
    """
    judged = verdicts.table(records / "paper")
    bibliography = (book / "references.bib").read_text("utf-8")
    paper = yaml.safe_load(citation.read_text("utf-8"))["preferred-citation"]
    return {
        "paper": paper_html(paper, bibliography, links or {}),
        "picture": picture(records / "paper"),
        "tiles": tiles(judged),
        "harm": harm(Records.load(records / "paper", "every_round")),
        "bar": bar(judged["verdict"][judged["counted"]]),
    }


def paper_html(
    paper: Mapping[str, Any], bibliography: str, links: Mapping[str, str] | None = None
) -> str:
    """The paper's title, authors, year and DOI, how to cite it, and where else the project is.

    Parameters
    ----------
    paper : mapping
        ``preferred-citation`` of CITATION.cff.
    bibliography : str
        BibTeX with an entry `KEY`.
    links : mapping, optional
        Name -> address.
    """
    more = ""
    for name, address in (links or {}).items():
        if not re.match(r"https?://[^/]", address):
            raise ValueError(f"{name} needs a whole address like https://..., got {address!r}")
        more += f' <a href="{escape(address)}">{escape(name)}</a>'
    entry = re.search(rf"^@\w+{{{KEY},$.*?^}}$", bibliography, re.M | re.S)
    if entry is None:
        raise ValueError(f"the landing page needs {KEY} in references.bib")
    authors = ", ".join(
        f"{each['given-names']} {each['family-names']}" for each in paper["authors"]
    )
    doi = escape(paper["doi"])
    return (
        f'<div class="paper-line"><p><cite>{escape(paper["title"])}</cite>, {escape(authors)},'
        f" {escape(paper['journal'])}, {paper['year']}</p>"
        f'<p class="paper-links"><a href="https://doi.org/{doi}">Paper: doi {doi}</a>'
        f' <a href="reference.html">Code</a> <a href="data.html">Data</a>{more}</p>'
        '<details class="cite"><summary>Cite</summary>'
        f'<pre tabindex="0">{escape(entry[0])}</pre></details></div>'
    )


def picture(folder: Path) -> str:
    """One recorded round for each rule: scores, threshold, who is flagged; a script moves q."""
    shown = []
    for rule in DEFENDED:
        stem, own = PICTURE[rule]
        found = Records.load(folder, stem).where(**ROUND, **own)
        shown.append(_round(rule, found.table, found.runs.iloc[0]))
    options = "".join(
        f'<option value="{rule}">{in_words(rule, BETA)}</option>' for rule in DEFENDED
    )
    return (
        '<figure class="live-picture" id="live-picture">'
        f'<p class="live-controls" hidden><label>The server\'s rule <select>{options}</select>'
        '</label> <label>threshold q <input type="range" min="0" max="1" step="0.001"></label>'
        " <output></output></p>"
        f'{"".join(shown)}<p class="live-key"><span><i class="square malicious"></i> malicious'
        '</span> <span><i class="circle benign"></i> honest</span> <span>filled: flagged</span>'
        ' <span><i class="band"></i> thresholds without an error</span></p></figure>'
    )


def _round(rule: str, table: pd.DataFrame, run: pd.Series) -> str:
    """A panel: the SVG and the sentence under it."""
    low, q = min(0.0, float(table["score"].min())), float(run["q"])
    step = (WIDTH - LEFT - 6) / len(table)

    def y(score: float) -> float:
        return round(TOP + (1 - score) / (1 - low) * HEIGHT, 1)

    marks = []
    for client, bad, score in zip(table["client"], table["byzantine"], table["score"], strict=True):
        x, top = round(LEFT + (client - 0.5) * step, 1), y(score)
        kind = "malicious" if bad else "benign"
        shape = (
            f'<rect x="{x - 3.5:.1f}" y="{top - 3.5:.1f}" width="7" height="7"/>'
            if bad
            else f'<circle cx="{x}" cy="{top}" r="4"/>'
        )
        flagged = " flagged" if score >= q else ""
        marks.append(
            f'<g class="{kind}{flagged}" data-score="{score:.9g}"><path d="M{x} {y(0)}V{top}"/>'
            f"{shape}</g>"
        )
    edges = run["q_low"], run["q_high"]
    band = (
        f'<rect class="band" x="{LEFT}" width="{WIDTH - LEFT}" y="{y(edges[1])}"'
        f' height="{max(y(edges[0]) - y(edges[1]), 1.5):.1f}"/>'
        if pd.notna(edges[0])
        else ""
    )
    ticks = "".join(
        f'<path class="grid" d="M{LEFT} {y(at)}H{WIDTH}"/>'
        f'<text x="{LEFT - 6}" y="{y(at) + 4:.1f}" text-anchor="end">{at:g}</text>'
        for at in (0, 0.5, 1)
    )
    line = (
        f'<path class="q" d="M{LEFT} 0H{WIDTH}" transform="translate(0 {y(q)})"'
        f' data-top="{TOP}" data-height="{HEIGHT}" data-low="{low:.9g}"/>'
    )
    name = in_words(rule, BETA)
    said = told(table, q)
    return (
        f'<div class="live-round" data-rule="{rule}" data-q="{q:g}">'
        f'<p class="live-name">{escape(name)}</p>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT + 2 * TOP}" role="img" aria-label="Suspicion of'
        f" 50 clients, {escape(name)} ({escape(AXES[rule])}); dashed the threshold."
        f' {escape(said)}">{band}{ticks}{"".join(marks)}{line}</svg>'
        f'<p class="live-said" role="status">{escape(said)}</p></div>'
    )


def told(table: pd.DataFrame, q: float) -> str:
    """What a threshold makes of a round, as the page's script says it for any other."""
    flagged, bad = table["score"] >= q, table["byzantine"].astype(bool)
    honest = int((flagged & ~bad).sum())
    wronged = "no honest client" if not honest else f"{honest} honest client" + "s" * (honest > 1)
    return (
        f"At q = {q:.3f} the server drops {int((flagged & bad).sum())} of {int(bad.sum())}"
        f" attackers and {wronged}."
    )


def tiles(judged: pd.DataFrame) -> str:
    """The abstract's claims in its order: a number, the mark, and the way to the evidence."""
    rows = judged[judged["id"].str.match(r"abstract-\d+$")]
    made = []
    for row in rows.to_dict("records"):
        clauses = str(row["ours"]).split("; ")
        number = NUMBER.search(clauses[0])
        cells = [clause for clause in clauses[:2] if ":" in clause]
        more = cells[0] if cells else f"the paper: {row['paper']}"
        made.append(
            f'<li><a href="notebooks/{row["figure"]}.html"><span class="said">'
            f"{escape(str(row['claim']))}</span> <strong>{escape(number[0]) if number else '–'}"
            f" <small>{escape(typeset(UNITS[row['id']]))}</small></strong></a>"
            f' <span class="ours">{escape(more)}</span>'
            f" {badge(row['verdict'], row['verdict'])}</li>"
        )
    return f'<ol class="tiles">{"".join(made)}</ol>'


def harm(records: Records) -> str:
    """What an attack costs and what PDRR brings back: accuracies as bars, means over rounds."""
    table = records.table
    usual = table["beta"].isna() | (table["beta"] == BETA)
    kept = table[(table["chain"] == ORACLE) & (table["knowledge"] == "partial") & usual]
    blocks, most = [], kept.groupby("rule")[[*ACCURACIES]].mean().to_numpy().max()
    for rule in DEFENDED:
        rows = kept[(kept["rule"] == rule) & (kept["seed"] == 1)]
        if rows.empty:
            raise ValueError(f"the harm strip needs attacked rounds of {rule}, got none")
        means = rows[[*ACCURACIES]].mean()
        bars = "".join(
            f'<div class="{column.removeprefix("accuracy").strip("_") or "before"}">'
            f'<dt>{words}</dt><dd><span class="room"><span style="width:'
            f'{100 * means[column] / most:.1f}%"></span></span>{means[column]:.2f}</dd></div>'
            for column, words in ACCURACIES.items()
        )
        blocks.append(
            f"<section><h3>{RULES[rule].words[0].upper()}{in_words(rule, BETA)[1:]}"
            f" <small>{len(rows)} rounds</small></h3><dl>{bars}</dl></section>"
        )
    return f'<div class="harm">{"".join(blocks)}</div>'


def bar(counted: pd.Series) -> str:
    """How the claims were judged, as one stacked bar that leads to the page of verdicts."""
    numbers = {name: int((counted == name).sum()) for name in BADGES}
    segments = "".join(
        f'<span class="sd-bg-{BADGES[name]} sd-bg-text-{BADGES[name]}" style="flex-grow:{n}"'
        f' title="{n} {name}">{n}</span>'
        for name, n in numbers.items()
        if n
    )
    return (
        '<div class="claims-bar"><a href="notebooks/verdicts.html"><span class="stack"'
        f' aria-hidden="true">{segments}</span>All {len(counted)} claims with their verdicts</a>'
        f"<p>{badges(counted)}</p></div>"
    )
