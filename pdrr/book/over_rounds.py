"""PDRR on every round: where q would have been suitable, where it errs, what the attack did."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from pandas.io.formats.style import Styler
from scipy import stats

from pdrr.book.readings import shown
from pdrr.book.style import BENIGN, LINE, MALICIOUS, STYLE
from pdrr.claims.chance import exact_interval
from pdrr.claims.words import bounds, short, span
from pdrr.core.rules import in_words
from pdrr.experiments.attacking import NOBODY
from pdrr.experiments.chains import LOOP, ORACLE
from pdrr.experiments.records import Records
from pdrr.experiments.schemes import OURS

KNOWN = ("full", "partial")
BAND = "#e8e8e8"  # rounds in which no q is suitable
SUITABLE = "#9ad5b5"
ALARM: dict[str, Any] = {"color": BENIGN, "ls": "", "marker": "^", "ms": 4.5}
MISS: dict[str, Any] = {"color": MALICIOUS, "ls": "", "marker": "x", "ms": 5, "mew": 1.4}
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


def ranges(records: Records) -> Figure:
    """The range of suitable q in every round, with marks where PDRR errs.

    A row for each rule and beta, full and partial knowledge side by side; PDRR in the loop has a
    row of its own where its chain has parted from the oracle-defended one.

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
    rows = list(_rows(table))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 1.75 * len(rows) + 0.8), layout="constrained")
        panels = figure.subplots(len(rows), len(KNOWN), sharey="row", squeeze=False)
        for (name, chain, group), line in zip(rows, panels, strict=True):
            for ax, known in zip(line, KNOWN, strict=True):
                seen = group[group["knowledge"] == known].sort_values("round")
                if seen.empty:
                    ax.axis("off")
                elif chain == LOOP and not seen["apart"].any():
                    ax.axis("off")
                    ax.text(0.5, 0.5, "as above, bit for bit", ha="center", transform=ax.transAxes)
                else:
                    _range(ax, seen)
                where = f", {chain}" if chain == LOOP else ""
                ax.set_title(f"{name}, {known}{where}\n{_errors(seen)}" if len(seen) else "")
            line[1].tick_params(labelleft=not line[0].axison)
            _limits(line, group)
            line[0].set_ylabel("score")
        for ax in panels[-1]:
            ax.set_xlabel("round")
        _legend(figure)
    return figure


def _rows(table: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Rule in words, chain, and rounds of each line of panels."""
    for (rule, beta), group in _by_rule(table):
        for chain, rounds in group.groupby("chain", sort=False):
            if chain == ORACLE or rounds["apart"].any():
                yield in_words(rule, beta), str(chain), rounds


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
    ax.grid(visible=True, axis="y", color="#dddddd", zorder=0)


def _limits(line: Any, group: pd.DataFrame) -> None:
    """One scale for a row of panels, with room for the marks below."""
    low = float(min(group["benign_high"].min(), group["malicious_low"].min()))
    room = (1 - low) * STRIP / (1 - STRIP)
    line[0].set_ylim(low - room, 1 + 0.04 * (1 - low))


def _errors(seen: pd.DataFrame) -> str:
    """What a panel shows, in a few words."""
    if not seen["wrong"].any():
        return f"no error in {len(seen)} rounds"
    text = f"errors in {seen['wrong'].sum()} of {len(seen)} rounds"
    return f"{text}, no suitable q in {seen['no_q'].sum()}"


def _legend(figure: Figure) -> None:
    handles = [
        Line2D([], [], color=MALICIOUS, lw=1.4, label="smallest malicious score"),
        Line2D([], [], color=BENIGN, lw=1.4, label="largest benign score"),
        Patch(color=SUITABLE, label="suitable q"),
        Line2D([], [], **LINE, label="q in use"),
        Line2D([], [], **ALARM, label="false alarm"),
        Line2D([], [], **MISS, label="attacker missed"),
        Patch(color=BAND, label="no q is suitable"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4)


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
                "95 %": bounds(low, high),
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
                f" {len(own)} rounds (95 % interval {short(low)} to {short(high)}). In"
                f" {int(own['no_q'].sum())} of them no q would have made none;"
                f" {int((own['missed'] == own['malicious']).sum())} times all attackers are missed."
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
            "false alarms": f"{own['false_alarms'].sum()} of {own['benign'].sum():,} models",
            "in one round": f"{span(own['false_alarms'], '{:.0f}')} of {own['benign'].max()}",
            f"accuracy, {OURS} less the rule": _mean(change),
        }
    return shown(rows)


# harm


def differences(records: Records) -> pd.DataFrame:
    """Accuracy of a round under attack less that of the same round un-attacked: mean, interval.

    A row for each rule, beta and knowledge of the oracle-defended chain: `attacked` and `defended`,
    `low` and `high` of the 95 % t interval over the rounds, which takes them to be independent.
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
        f" Partial knowledge costs more than full under {', '.join(more) or 'no rule'}. With {OURS}"
        f" the mean difference is {span(defended['mean'], '{:+.3f}')}."
    )


def harm(records: Records) -> Figure:
    """What attack and defence do to a round's accuracy, beside the same round un-attacked."""
    found = differences(records)
    names = [in_words(rule, beta) for (rule, beta), _ in _by_rule(found)]
    with mpl.rc_context({**STYLE, "axes.grid.axis": "x"}):
        figure = Figure(figsize=(9, 0.62 * len(names) + 1.3), layout="constrained")
        panels = figure.subplots(1, 2, sharex=True, sharey=True)
        titles = {"attacked": "attacked, no defence", "defended": f"attacked, {OURS} defends"}
        for ax, (who, title) in zip(panels, titles.items(), strict=True):
            for known, shift, mark in (("full", -0.17, "o"), ("partial", 0.17, "s")):
                own = found[(found["who"] == who) & (found["knowledge"] == known)]
                for row in own.to_dict("records"):
                    y = names.index(in_words(row["rule"], row["beta"])) + shift
                    each = {"color": "#bbbbbb", "s": 4, "lw": 0, "zorder": 1}
                    ax.scatter(row["each"], np.full(len(row["each"]), y), **each)
                    ax.plot([row["low"], row["high"]], [y, y], color="black", lw=2, zorder=2)
                    face = "black" if known == "partial" else "white"
                    style = {"marker": mark, "ms": 6, "mfc": face, "mec": "black"}
                    ax.plot(row["mean"], y, **style, ls="", zorder=3)
            ax.axvline(0, color="black", lw=1, zorder=0)
            ax.set_title(title)
            ax.set_xlabel("accuracy less the un-attacked round's")
            ax.grid(visible=True, axis="x", color="#dddddd", zorder=0)
        panels[0].set(yticks=range(len(names)), yticklabels=names)
        panels[0].invert_yaxis()
        points: dict[str, Any] = {"marker": "o", "ls": "", "ms": 3, "color": "#bbbbbb"}
        handles = [
            Line2D([], [], marker="o", ls="", mfc="white", mec="black", label="full knowledge"),
            Line2D([], [], marker="s", ls="", color="black", label="partial knowledge"),
            Line2D([], [], color="black", lw=2, label="95 % interval of the mean"),
            Line2D([], [], **points, label="one round"),
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=4)
    return figure


def _interval(values: pd.Series) -> tuple[float, float]:
    """Mean, and half of its 95 % t interval; NaN for one value."""
    n = len(values)
    if n < 2:
        return float(values.mean()), float("nan")
    return float(values.mean()), float(stats.t.ppf(0.975, n - 1) * values.std(ddof=1) / np.sqrt(n))


def _mean(values: pd.Series) -> str:
    mean, half = (round(value, 3) + 0.0 for value in _interval(values))  # no minus before 0
    return f"{mean:.3f}<br><small>± {half:.3f}</small>"
