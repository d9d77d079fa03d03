"""PDRR on every round: where q would have been suitable, where it errs, what the attack did."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pandas.io.formats.style import Styler
from scipy import stats

from pdrr.book.drawing import Drawing
from pdrr.book.readings import shown
from pdrr.book.style import BENIGN, BESIDE, GREY, GRID, INK, LINE, MALICIOUS, PAPER
from pdrr.claims.chance import exact_interval
from pdrr.claims.words import bounds, listed, short, span
from pdrr.core.rules import in_words
from pdrr.experiments.attacking import NOBODY
from pdrr.experiments.chains import LOOP, ORACLE
from pdrr.experiments.records import Records
from pdrr.experiments.schemes import OURS

KNOWN = ("full", "partial")
BAND = "#bbbbbb"  # rounds in which no q is suitable
SUITABLE = "#9ad5b5"
ALARM: dict[str, Any] = {"color": BENIGN, "ls": "", "marker": "^", "ms": 5, "mec": INK, "mew": 0.5}
MISS: dict[str, Any] = {"color": MALICIOUS, "ls": "", "marker": "x", "ms": 5, "mew": 1.4}
KEY = (
    ("─", MALICIOUS, "smallest malicious score"),
    ("─", BENIGN, "largest benign score"),
    ("■", SUITABLE, "suitable q"),
    ("╌", INK, "q in use"),
    ("▲", BENIGN, "false alarm"),
    ("✕", MALICIOUS, "attacker missed"),
    ("■", BAND, "no q is suitable"),
)
HARM_KEY = (
    ("○", INK, "full knowledge"),
    ("■", INK, "partial knowledge"),
    ("━", INK, "95% interval of the mean"),
    ("•", GREY, "one round"),
)
STRIP = 0.24  # of a panel's height, below the scores, for the marks of errors


def judged(table: pd.DataFrame) -> pd.DataFrame:
    """Attacked rounds of `experiments.every_round`, with what is wrong in each.

    `wrong`: PDRR errs; `no_q`: no threshold would have made no error.
    """
    attacked = table[table["attack"] != NOBODY]
    return attacked.assign(
        wrong=(attacked["false_alarms"] > 0) | (attacked["missed"] > 0),
        no_q=attacked["benign_high"] >= attacked["malicious_low"],
    )


# the ranges of suitable q


def ranges(records: Records) -> Drawing:
    """The range of suitable q in every round, with marks where PDRR errs.

    A panel for each rule and beta with full and with partial knowledge. Then those of PDRR in the
    loop whose chain has parted from the oracle-defended one.

    Parameters
    ----------
    records : Records
        Of `experiments.every_round`, one seed.

    Raises
    ------
    ValueError
        For several seeds.
    """
    table = judged(records.table)
    if len(seeds := table["seed"].unique()) != 1:
        raise ValueError(f"ranges shows one seed, got {sorted(seeds)}")
    panels = {}
    with mpl.rc_context(BESIDE):
        for chain in (ORACLE, LOOP):
            for (rule, beta), group in _by_rule(table[table["chain"] == chain]):
                for known in KNOWN:
                    seen = group[group["knowledge"] == known].sort_values("round")
                    if seen.empty or (chain == LOOP and not seen["apart"].any()):
                        continue
                    title = f"{in_words(rule, beta)}, {known}{', in the loop' * (chain == LOOP)}"
                    panels[title] = Figure(figsize=(4.3, 2.7), layout="constrained")
                    ax = panels[title].subplots()
                    _range(ax, seen)
                    _limits(ax, group)
                    ax.set_title(f"{title}\n{_errors(seen)}", fontsize=10.5)
                    ax.set(xlabel="round", ylabel="score")
    return Drawing(panels, records.table, key=KEY)


def _by_rule(table: pd.DataFrame) -> Any:
    """Groups by rule and beta, in the order of the paper; beta is NaN where there is none."""
    return table.groupby(["rule", "beta"], dropna=False, sort=False)


def _range(ax: Axes, seen: pd.DataFrame) -> None:
    x, low, high = (seen[name].to_numpy() for name in ("round", "benign_high", "malicious_low"))
    for number in seen.loc[seen["no_q"], "round"]:
        ax.axvspan(number - 0.5, number + 0.5, color=BAND, lw=0, zorder=0)
    band: dict[str, Any] = {"color": SUITABLE, "lw": 0, "zorder": 1}
    ax.fill_between(x, low, np.maximum(low, high), **band)
    ax.plot(x, high, color=MALICIOUS, lw=1.4, zorder=3)
    ax.plot(x, low, color=BENIGN, lw=1.4, zorder=3)
    ax.axhline(seen["q"].iloc[0], **LINE, zorder=4)
    over: dict[str, Any] = {"transform": ax.get_xaxis_transform(), "zorder": 5}
    for name, mark, height in (("false_alarms", ALARM, 0.14), ("missed", MISS, 0.05)):
        at = x[seen[name] > 0]
        ax.plot(at, np.full(len(at), height), **mark, **over)
    ax.set_xlim(0, x.max() + 1)
    ax.grid(visible=True, axis="y", color=GRID, zorder=0)


def _limits(ax: Axes, group: pd.DataFrame) -> None:
    """One scale for both kinds of knowledge, with room for the marks below."""
    low = float(min(group["benign_high"].min(), group["malicious_low"].min()))
    room = (1 - low) * STRIP / (1 - STRIP)
    ax.set_ylim(low - room, 1 + 0.04 * (1 - low))


def _errors(seen: pd.DataFrame) -> str:
    """What a panel shows, in a few words."""
    if not seen["wrong"].any():
        return f"no error in {len(seen)} rounds"
    text = f"errors in {seen['wrong'].sum()} of {len(seen)} rounds"
    return f"{text}, no suitable q in {seen['no_q'].sum()}"


# errors as counts


def errors_table(records: Records) -> Styler:
    """Rounds with an error, with their exact interval, and errors as counts of models.

    A row for each rule, beta and knowledge, two where the chains differ. Several seeds are summed,
    and stand below one by one.
    """
    rows = {}
    for (rule, beta, known), group in _settings(judged(records.table)):
        chains = dict(iter(group.groupby("chain", sort=False)))
        if LOOP in chains and not chains[LOOP]["apart"].any():
            chains = {"both chains": chains[ORACLE]}
        for chain, own in chains.items():
            name = f"{in_words(rule, beta)}, {known}"
            wrong = int(own["wrong"].sum())
            low, high = exact_interval(wrong, len(own))
            rows[f"{name}, {chain}" if chain != "both chains" else name] = {
                "rounds": _by_seed(own.assign(one=1), "one"),
                "with an error": _by_seed(own, "wrong"),
                "95%": bounds(low, high),
                "no suitable q": _by_seed(own, "no_q"),
                "false alarms": f"{own['false_alarms'].sum()} of {own['benign'].sum():,}",
                "missed": f"{own['missed'].sum()} of {own['malicious'].sum():,}",
            }
    return shown(rows)


def _settings(table: pd.DataFrame) -> Any:
    return table.groupby(["rule", "beta", "knowledge"], dropna=False, sort=False)


def _by_seed(rounds: pd.DataFrame, name: str) -> str:
    """The sum, and below it that of each seed if there are several."""
    each = rounds.groupby("seed")[name].sum()
    below = f"<br><small>{', '.join(map(str, each))}</small>" if len(each) > 1 else ""
    return f"{each.sum()}{below}"


def findings(records: Records) -> str:
    """The same in sentences, as Markdown: where PDRR errs, and how sure it is that it does not."""
    lines, clean = [], []
    for (rule, beta, known), group in _settings(judged(records.table)):
        for chain, own in group.groupby("chain", sort=False):
            wrong = int(own["wrong"].sum())
            if not wrong:
                clean.append(len(own))
                continue
            low, high = exact_interval(wrong, len(own))
            lines.append(
                f"- {in_words(rule, beta)}, {known} knowledge, {chain}: an error in {wrong} of"
                f" {len(own)} rounds (95% interval {short(low)} to {short(high)}). In"
                f" {int(own['no_q'].sum())} of them no q would have made none;"
                f" in {int((own['missed'] == own['malicious']).sum())} all attackers are missed."
            )
    if clean:
        bound = [exact_interval(0, number)[1] for number in (max(clean), min(clean))]
        lines.append(
            f"- The {len(clean)} other combinations of rule, β, knowledge and chain: no error in"
            f" {span(clean, '{:.0f}')} rounds each. The interval of each ends at"
            f" {span(bound)}: that much is not excluded."
        )
    return "\n".join(lines)


# where nobody attacks


def nobody_table(records: Records) -> Styler:
    """Whom PDRR flags where nobody attacks, and what that does to the accuracy."""
    table = records.table[records.table["attack"] == NOBODY]
    rows = {}
    for (rule, beta), own in _by_rule(table):
        change = own["accuracy_defended"] - own["accuracy_unattacked"]
        rows[in_words(rule, beta)] = {
            "rounds": _by_seed(own.assign(one=1), "one"),
            "with a false alarm": _by_seed(own.assign(some=own["false_alarms"] > 0), "some"),
            "models flagged": f"{own['false_alarms'].sum()} of {own['benign'].sum():,}",
            "in one round": f"{span(own['false_alarms'], '{:.0f}')} of {own['benign'].max()}",
            f"accuracy, {OURS} less the rule": _mean(change),
        }
    return shown(rows)


# harm


def differences(records: Records) -> pd.DataFrame:
    """Accuracy of a round under attack less that of the same round un-attacked: mean, interval.

    A row for each rule, beta and knowledge of the oracle-defended chain: `attacked` and `defended`,
    `low` and `high` of the 95% t interval over the rounds, which takes them to be independent.
    """
    table = judged(records.table)
    table = table[table["chain"] == ORACLE]
    rows = []
    for (rule, beta, known), own in _settings(table):
        for who in ("attacked", "defended"):
            change = own[f"accuracy_{who}"] - own["accuracy_unattacked"]
            mean, half = _interval(change)
            key = {"rule": rule, "beta": beta, "knowledge": known, "who": who}
            ends = {"mean": mean, "low": mean - half, "high": mean + half}
            rows.append({**key, "rounds": len(own), **ends, "each": change.to_numpy()})
    return pd.DataFrame(rows)


def harm_in_words(records: Records) -> str:
    """Which knowledge costs more accuracy, and what is left with the defence, in a sentence."""
    found = differences(records)
    attacked, defended = (found[found["who"] == who] for who in ("attacked", "defended"))
    more = []
    for (rule, beta), own in _by_rule(attacked):
        cost = own.set_index("knowledge")["mean"]
        if set(KNOWN) <= set(cost.index) and cost["partial"] < cost["full"]:
            more.append(in_words(rule, beta))
    return (
        f"On average an attack costs {span(-attacked['mean'], '{:.3f}')} of accuracy in its round."
        f" Partial knowledge costs more than full under {listed(more or ['no rule'])}. With"
        f" {OURS} the mean difference is {span(defended['mean'], '{:+.3f}')}."
    )


def harm(records: Records) -> Drawing:
    """What attack and defence do to a round's accuracy, beside the same round un-attacked."""
    found = differences(records)
    names = [in_words(rule, beta) for (rule, beta), _ in _by_rule(found)]
    drawn: list[Any] = [*found["each"], found["low"].dropna(), found["high"].dropna(), [0]]
    every = np.concatenate(drawn)
    margin = 0.05 * np.ptp(every) or 0.05
    panels = {}
    with mpl.rc_context({**BESIDE, "axes.grid.axis": "x"}):
        titles = {"attacked": "attacked, no defence", "defended": f"attacked, {OURS} defends"}
        for who, title in titles.items():
            panels[title] = Figure(figsize=(4.3, 0.62 * len(names) + 0.9), layout="constrained")
            ax = panels[title].subplots()
            for known, shift, mark in (("full", -0.17, "o"), ("partial", 0.17, "s")):
                own = found[(found["who"] == who) & (found["knowledge"] == known)]
                for row in own.to_dict("records"):
                    y = names.index(in_words(row["rule"], row["beta"])) + shift
                    each = np.full(len(row["each"]), y)
                    ax.scatter(row["each"], each, color=GREY, s=4, lw=0, zorder=1)
                    ax.plot([row["low"], row["high"]], [y, y], color=INK, lw=2, zorder=2)
                    face = INK if known == "partial" else PAPER
                    mean = ax.plot(row["mean"], y, marker=mark, ms=6, ls="", zorder=3)
                    mean[0].set(mfc=face, mec=INK)
            ax.axvline(0, color=INK, lw=1, zorder=0)
            ax.set_title(title)
            ax.set_xlabel("accuracy less\nthe un-attacked round's")
            ax.grid(visible=True, axis="x", color=GRID, zorder=0)
            ax.set(xlim=(every.min() - margin, every.max() + margin))
            ax.set_yticks(range(len(names)), [name.replace(" (", "\n(") for name in names])
            ax.invert_yaxis()
    return Drawing(panels, records.table, key=HARM_KEY)


def _interval(values: pd.Series) -> tuple[float, float]:
    """Mean, and half of its 95% t interval; NaN for one value."""
    n = len(values)
    if n < 2:
        return float(values.mean()), float("nan")
    return float(values.mean()), float(stats.t.ppf(0.975, n - 1) * values.std(ddof=1) / np.sqrt(n))


def _mean(values: pd.Series) -> str:
    mean, half = (round(value, 3) + 0.0 for value in _interval(values))  # no minus before 0
    return f"{mean:.3f}<br><small>± {half:.3f}</small>"
