"""Claims judged on a made-up world, Table 4's words, and records that were tampered with."""

import re
import shutil
from dataclasses import replace
from importlib import resources
from itertools import product
from math import comb
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup

from helpers import miniature
from helpers.made_up import evaluation_records, trials
from pdrr.book import verdicts_html
from pdrr.claims import chance, expected, table4, verdicts, words
from pdrr.claims import parts as parts_of_records
from pdrr.claims.measures import MEASURES
from pdrr.cli.main import main
from pdrr.experiments import recordings, regenerate, scene, tries
from pdrr.experiments.records import Records, each_run
from pdrr.experiments.schemes import papers, usual
from pdrr.federation.store import Store

ROOT = Path(__file__).parents[2]
CLAIMS = {claim.id: claim for claim in expected.expected().claims}
TABLES = expected.expected().tables
NOISE, OTHER = expected.expected().noise
ORIGIN = {
    "profile": "paper", "data": "letters", "synthetic": False, "sha256": "0", "d": 6_603_710,
    "seconds": 1.5, "device": "abacus",
}  # fmt: skip
K, C = 50, 20
BYZANTINE = np.arange(K) < C


def clients(key, statistic, flagged, c=C):
    byzantine = np.arange(K) < c
    return pd.DataFrame(
        {
            **key, "client": np.arange(1, K + 1), "byzantine": byzantine,
            "statistic": statistic, "score": statistic, "flagged": flagged,
        }
    )  # fmt: skip


def pdrr(key, low, high, q=0.9, c=C):
    """PDRR's run with the given range of q: rows and the row of `runs`."""
    score = np.where(np.arange(K) < c, high, low)
    score[0] = 1.0
    table = clients(key, score, score >= q, c)
    return table, {**key, "q": q, "q_low": low, "q_high": high, "far": 0.0, "mar": 0.0}


def baseline(key, misses):
    """A scheme that flags c models and misses so many."""
    flagged = BYZANTINE.copy()
    flagged[:misses], flagged[C : C + misses] = False, True
    rates = {"far": misses / (K - C), "mar": misses / C}
    return clients(key, flagged.astype(float), flagged), {**key, **rates}


def records(pairs):
    tables, runs = zip(*pairs, strict=True)
    return Records(pd.concat(tables, ignore_index=True), pd.DataFrame(list(runs)), ORIGIN)


def q_of(rule, number, knowledge, beta):
    """Fig. 11 as the text describes it."""
    if rule == "krum":
        return (0.3 if knowledge == "full" else 0.1), 1.0
    exceptions = {"trimmed_mean": [10], "median": [10, 50]}[rule]
    low = 0.7 if number in exceptions else 0.2
    low = 0.5 if knowledge == "full" else low
    return low - (0.1 if beta == 20 else 0), 1.0 if knowledge == "full" else 0.95


def evaluation(rule, cells):
    """Table 1 or 2 as printed; at round 10 as at round 1."""
    settings = {
        "krum": [(np.nan, NOISE), (np.nan, OTHER)],
        "trimmed_mean": [(10, ""), (20, "")],
        "median": [(np.nan, "")],
    }[rule]
    pairs = []
    for beta, noise in settings:
        for number in (1, 10, 20, 50, 100):
            for knowledge in ("partial", "full"):
                key = {
                    "scheme": "PDRR", "reading": "default", "rule": rule, "seed": 1,
                    "round": number, "knowledge": knowledge, "c": C, "beta": beta, "noise": noise,
                }  # fmt: skip
                pairs.append(pdrr(key, *q_of(rule, number, knowledge, beta)))
                column = TABLES.rounds.index(1 if number == 10 else number)
                for scheme in ("DAGMM", "VAE", "ERR", "LFR"):
                    misses = round(cells[scheme]["MAR"][column] * C)
                    pairs.append(baseline({**key, "scheme": scheme}, misses))
    made = records(pairs)
    more = {
        "succeeded": True, "selected": "malicious", "lambda": 0.1,
        "accuracy": 0.5, "accuracy_attacked": 0.4, "accuracy_defended": 0.6,
    }  # fmt: skip
    return replace(made, runs=made.runs.assign(**more))


def detections(rule, settings, low, high):
    pairs = []
    for seed in (1, 2):
        for c, beta, noise in settings:
            for knowledge in ("full", "partial"):
                key = {
                    "rule": rule, "seed": seed, "round": 1, "knowledge": knowledge, "c": c,
                    "beta": beta, "noise": noise,
                }  # fmt: skip
                pairs.append(pdrr(key, low, high, c=c))
    made = records(pairs)
    return replace(made, runs=made.runs.assign(succeeded=True, selected="malicious"))


def positions():
    rng = np.random.default_rng(0)
    benign = rng.uniform([-1, -1], [-0.1, -0.1], (30, 2))
    benign[:5, 0] *= -1  # some at the right bottom
    malicious = 0.5 + rng.uniform(-1e-6, 1e-6, (20, 2))
    points = np.concatenate([malicious, benign, [[0, 0], [-0.2, -0.2]], malicious[:1]]) + 3
    names = ["malicious"] * 20 + ["benign"] * 30
    names += ["previous global", "next global", "next global, attacked"]
    table = pd.DataFrame({"seed": 1, "model": names, "first": points[:, 0], "second": points[:, 1]})
    return Records(table, pd.DataFrame([{"seed": 1, "round": 2, "c": C}]), ORIGIN)


def timing():
    seconds = {**TABLES.table3, "LFR": TABLES.table3["ERR"]}
    rows = [
        {"scheme": scheme, "rule": rule, "seed": 1, "repeat": i, "seconds": value}
        for scheme, row in seconds.items()
        for rule, value in row.items()
        for i in (1, 2, 3)
    ]
    table = pd.DataFrame(rows)
    found = table.groupby(["scheme", "rule", "seed"], sort=False)["seconds"]
    runs = found.agg(median_s="median", low_s="min", high_s="max").reset_index()
    return Records(table, runs.assign(setup_s=0.0), ORIGIN)


def the_papers_world():
    """Records in which all is as the paper says; where it contradicts itself, as it is printed."""
    nan = np.nan
    median = detections("median", [(10, nan, ""), (20, nan, "")], 0.5, 0.99)
    score = median.table["score"]
    counts = median.table.assign(statistic=100 * (1 - score))  # few are suspicious
    both = [(c, nan, noise) for noise in (NOISE, OTHER) for c in (10, 20)]
    betas = [(10, 5, ""), (20, 10, ""), (20, 20, "")]
    mixed = detections("trimmed_mean", betas, 0.5, 0.99)
    late = mixed.table["client"] == K  # a benign model that stands above malicious ones
    mixed.table.loc[late, ["statistic", "score"]] = 0.995
    mixed.table.loc[late, "flagged"] = True
    mixed.runs[["q_low", "q_high"]] = nan
    mixed.runs["far"] = 1 / (K - mixed.runs["c"])
    return {
        "fig02": positions(),
        "fig04": detections("krum", both, 0.05, 0.99),
        "fig05": mixed,
        "fig06": detections("trimmed_mean", betas, 0.5, 0.99),
        "fig07": replace(median, table=counts),
        "table1": evaluation("krum", TABLES.table1),
        "table2": evaluation("trimmed_mean", TABLES.table2),
        "table2b": evaluation("median", TABLES.table2),
        "table3": timing(),
    }


WORLD = the_papers_world()
TRIALS = trials()
WHOLE = {"paper": WORLD | TRIALS["paper"], "quick": TRIALS["quick"]}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Records of the paper's figures and tables; a folder for each profile."""
    folder = tmp_path_factory.mktemp("records")
    for stem, made in WORLD.items():
        made.save(folder / "paper", stem)
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Records of all that there are claims about."""
    folder = tmp_path_factory.mktemp("whole")
    for profile, world in WHOLE.items():
        for stem, made in world.items():
            made.save(folder / profile, stem)
    return folder


def judged(claim, folder):
    return verdicts.judge(CLAIMS[claim], folder)["verdict"]


def tried(name, folder):
    """The verdict on a claim as if our numbers could be compared with the paper's."""
    claim = replace(CLAIMS[name], comparable=True, reason="")
    return verdicts.judge(claim, folder)["verdict"]


def saved(name, change, folder):
    """The records of a claim, with a change of its world; the folder to judge it on."""
    claim = CLAIMS[name]
    world = WHOLE[claim.profile]
    for stem in claim.records:
        ({**world, **change(world)})[stem].save(folder / claim.profile, stem)
    return folder / "paper"


# judging


CONTRADICTIONS = {
    "lfr-median": "not",  # Table 2 and "similar" against "completely"
    "transfer": "not",  # "LFR 0.58 on Krum" against LFR's row of Table 1
    "beta-rates": "not",  # section 6 against Table 2
    "beta-rates-paper": "not",
    "beta-sampled": "not",
    "beta-middle": "not",
    "beta-middle-paper": "not",
    "table4-dagmm": "partly",  # words of stability that no spread between attacks gives
    "table4-vae": "partly",
    "table4-err": "partly",
    "table4-lfr": "partly",
}
CHANCE = {  # of the paper's own numbers, each within 2 misses, by counting sets of 20 of 50
    "table1-err": 0.21,
    "table1-err-other": 0.21,
    "table2-vae": 0.36,
    "table2-err": 0.07,
}


def test_in_the_papers_world_all_is_reproduced_but_where_it_contradicts_itself(whole):
    for name, claim in CLAIMS.items():
        expected = "not measured" if claim.measure is None else "reproduced"
        expected = "by construction" if claim.by_construction else expected
        expected = "not distinguishable from chance" if name in CHANCE else expected
        assert tried(name, whole / "paper") == CONTRADICTIONS.get(name, expected), name
        assert claim.comparable or judged(name, whole / "paper") == "not comparable"


def runs(stem, change, **where):
    """A change of the runs of `stem` that have the given values."""

    def changed(world):
        made = world[stem].runs.copy()
        chosen = (made[list(where)] == pd.Series(where)).all(axis=1)
        assert chosen.any()
        for column, value in change.items():
            made[column] = made[column].where(~chosen, value)
        return {stem: replace(world[stem], runs=made)}

    return changed


def rows(stem, change, **where):
    """The same for the rows of the table."""

    def changed(world):
        made = replace(world[stem], runs=world[stem].table)
        found = runs(stem, change, **where)({stem: made})[stem]
        return {stem: replace(world[stem], table=found.runs)}

    return changed


def moved(found):
    """One malicious model away from the others."""
    table = found.table.copy()
    table.loc[0, "first"] += 0.1
    return replace(found, table=table)


FIG4 = {"c": 10, "knowledge": "full", "noise": NOISE}
FALSE = {  # one claim for each measure, and a world in which it is not so
    "fig02-cluster": lambda world: {"fig02": moved(world["fig02"])},
    "fig02-quadrant": rows("fig02", {"first": 3.4, "second": 3.4}, model="benign"),
    "fig02-opposite": rows("fig02", {"first": 3.4}, model="benign"),
    "fig02-selected": rows("fig02", {"first": 2.8}, model="next global, attacked"),
    "krum-attack-succeeds": runs("fig04", {"selected": "benign"}, seed=2),
    "fig04-benign": rows("fig04", {"statistic": 0.1}, client=K, **FIG4),
    "fig04-malicious": rows("fig04", {"statistic": 0.95}, client=2, **FIG4),
    "fig04-range": runs("fig04", {"q_low": 0.11}, **FIG4),
    "fig05-mixed": runs("fig05", {"q_low": 0.5, "q_high": 0.9}, beta=5),
    "fig06-separate": runs("fig06", {"q_low": np.nan}, beta=5),
    "fig06-subequal": rows("fig06", {"statistic": 0.95}, beta=5, client=2),
    "fig07-none": rows("fig07", {"statistic": 2.5}, client=2),
    "d": lambda world: {
        "fig04": replace(world["fig04"], provenance={**ORIGIN, "d": 1_690_046})
    },
    "flag-c": rows("table1", {"flagged": True}, scheme="LFR", client=K, round=1),
    "fig08-pdrr": runs("fig04", {"far": 0.1}, c=20, seed=1),
    "fig08-better": runs("table1", {"mar": 1.0, "far": 0.6}, scheme="LFR", round=1),
    "fig09-poor": runs("table2", {"mar": 0.25, "far": 0.25}, scheme="LFR", round=1, beta=10),
    "fig10-only": runs("table2b", {"mar": 0.05}, scheme="PDRR", round=1),
    "table1-lfr": runs("table1", {"mar": 0.26}, scheme="LFR", round=20),
    "table2-pdrr": runs("table2", {"far": 0.11}, scheme="PDRR", round=100, beta=10),
    "sampled-trimmed-20": runs("table2", {"far": 0.1}, scheme="PDRR", round=100, beta=20),
    "abstract-5": runs("table2b", {"far": 0.1}, scheme="PDRR"),
    "table1-pdrr": runs("table1", {"far": 0.11}, scheme="PDRR", round=100),
    "pdrr-lowest": runs("table1", {"far": 0.01}, scheme="PDRR", round=1),
    "pdrr-stable": runs("table1", {"far": 0.6, "mar": 0.6}, scheme="PDRR"),
    "median-similar": runs("table2b", {"far": 0.5}, scheme="DAGMM", round=50),
    "fig03": runs("anatomy", {"against": 0.5}, rule="trimmed_mean", knowledge="full"),
    "krum-similar": runs("anatomy", {"alike_benign": 1.0}, rule="krum"),
    "dense": runs("anatomy", {"density": 0.9}, knowledge="full"),
    "epsilon": runs("by_epsilon", {"selected": "malicious"}, knowledge="full"),
    "success-by-c": runs("by_count", {"selected": "malicious"}, knowledge="full"),
    "clones": runs("alike", {"mar": 0.0}, pairs=1),
    "benign-impact": rows("table2", {"score": -1.0}, scheme="LFR", round=1, byzantine=False),
    "auxiliary-choice": runs("by_auxiliary", {"mar": 0.5}, scheme="LFR"),
    "pdrr-krum": runs("every_round", {"wrong": 1}, rule="krum", knowledge="full"),
    "harm-median": rows("every_round", {"accuracy_attacked": 0.9}, rule="median", round=2),
    "upper-bound-accuracy": rows("every_round", {"accuracy_attacked": 0.7}, knowledge="full"),
    "fig11-longer-krum": runs("table1", {"q_low": 0.31}, knowledge="partial", round=10),
    "fig11-longer-median": runs("table2b", {"q_low": 0.6}, knowledge="partial", round=20),
    "fig11-exception-median": runs("table2b", {"q_low": 0.2}, knowledge="partial", round=50),
    "fig11-max-krum": runs("table1", {"q_high": 0.99}, round=100),
    "fig11-max-partial": runs("table2", {"q_high": 0.996}, round=1, knowledge="partial"),
    "table3-dagmm": runs("table3", {"median_s": 13.0}, scheme="DAGMM", rule="krum"),
    "table3-same": runs("table3", {"median_s": 36.0}, scheme="LFR", rule="krum"),
    "table3-fastest": runs("table3", {"median_s": 6.3}, scheme="PDRR", rule="krum"),
    "table3-slowest": runs("table3", {"median_s": 32.2}, scheme="VAE", rule="krum"),
    "table3-order": runs("table3", {"median_s": 6.0}, scheme="ERR", rule="krum"),
    "table3-pdrr": runs("table3", {"median_s": 1.7}, scheme="PDRR", rule="trimmed_mean"),
    "table4-pdrr": runs("table3", {"median_s": 60.0}, scheme="PDRR"),
    "beta-range": runs("table2", {"q_low": 0.05}, scheme="PDRR", beta=10, round=1),
}  # fmt: skip
TRUE = {  # what no world of the paper has: the other side of its contradictions
    "lfr-median": runs("table2b", {"far": 0.0, "mar": 0.0}, scheme="LFR"),
    "transfer": runs("table2b", {"far": 0.0, "mar": 0.0}, scheme="LFR"),
    "beta-sampled": runs("table2", {"far": 0.1}, scheme="PDRR", beta=10),
    "beta-rates": rows("every_round", {"missed": 20}, beta=10),
}


@pytest.mark.parametrize("name", FALSE)
def test_a_claim_that_is_not_so_is_not_reproduced(name, tmp_path):
    assert tried(name, saved(name, FALSE[name], tmp_path)) in ("partly", "not")


@pytest.mark.parametrize("name", TRUE)
def test_a_claim_that_is_so_is_reproduced(name, tmp_path):
    assert judged(name, saved(name, TRUE[name], tmp_path)) == "reproduced"


def test_every_measure_has_a_case(monkeypatch, tmp_path):
    used = {CLAIMS[name].measure for name in (*FALSE, *TRUE)}
    homes = [f"pdrr.claims.{name}measures" for name in ("", "cost_", "column_")]
    claims_own = {n for n, each in MEASURES.items() if each.__module__ in homes}
    assert used == claims_own - {"without_auxiliary", *expected.ARITHMETIC}
    WORLD["table2"].save(tmp_path, "table2")
    monkeypatch.setattr(table4, "needs_auxiliary", lambda scheme: scheme not in ("LFR", "PDRR"))
    assert judged("auxiliary", tmp_path) == "partly"


def test_partly_is_some_and_not_is_none(tmp_path):
    for seeds, verdict in (([2], "partly"), ([1, 2], "not")):
        world = WORLD
        for seed in seeds:
            world = {**world, **runs("fig04", {"far": 0.1}, seed=seed)(world)}
        world["fig04"].save(tmp_path, "fig04")
        row = verdicts.judge(CLAIMS["fig08-pdrr"], tmp_path)
        assert (row["verdict"], row["ours"]) == (
            verdict,
            f"{2 - len(seeds)} of 2 runs without error"
            + "; not met by seed 2" * (verdict == "partly"),
        )  # fmt: skip


@pytest.mark.parametrize(
    ("value", "met"), [(0.43, True), (0.431, False), (0.23, True), (np.nan, False)]
)
def test_a_cell_may_be_off_by_the_tolerance_and_no_more(value, met):
    assert expected.Condition(within=0.1).met(value, 0.33) == met


def test_a_factor_counts_both_ways():
    factor = expected.Condition(factor=2)
    assert [factor.met(x, 10.0) for x in (4.9, 5.0, 20.0, 20.1)] == [False, True, True, False]


def test_the_row_shows_the_numbers_beside_the_papers(root):
    row = verdicts.judge(CLAIMS["table1-lfr"], root / "paper")
    assert row["paper"] == "MAR 0, 0.15, 0.20, 0.30"
    assert row["ours"].startswith(f"{row['paper']}; 4 of 4 runs")
    assert row["tolerance"].startswith("within 0.1 of the paper’s: 2 of 20")
    row = verdicts.judge(CLAIMS["table3-pdrr"], root / "paper")
    assert row["ours"] == "Krum 0.42, trimmed mean 0.84, median 0.63 s; abacus"


def two_seeds(world, **second):
    """The same runs again as seed 2, with some columns changed."""
    other = Records(world.table.assign(seed=2), world.runs.assign(seed=2, **second), ORIGIN)
    return Records.concat([world, other])


def test_seeds_are_judged_before_their_mean_and_shown_beside_it(tmp_path):
    # the mean of each cell, 0.1, is within 0.1 of the paper's 0; that of seed 2 is not
    two_seeds(WORLD["table1"], far=0.2, mar=0.2).save(tmp_path, "table1")
    row = verdicts.judge(CLAIMS["table1-pdrr"], tmp_path)
    cells = ", ".join(["0.10 (0–0.20)"] * 4)
    assert row["verdict"] == "partly"
    assert row["ours"].startswith(
        f"FAR {cells}; MAR {cells}; not met by FAR at round 1 (seed 2), FAR at round 20 (seed 2)"
    )
    assert row["runs"] == "8"


def test_partly_names_the_fewer_cells_and_not_more_than_five(tmp_path):
    both = two_seeds(WORLD["table1"])
    where = {"scheme": "PDRR", "knowledge": "partial", "noise": NOISE}
    for seeds, rounds, said in (
        ([1], [50], "not met by seed 1 round 50"),
        ([1, 2], [1, 20, 50], "met only by seed 1 round 100, seed 2 round 100"),
    ):
        made = both.runs.copy()
        chosen = (made[list(where)] == pd.Series(where)).all(axis=1)
        made.loc[chosen & made["seed"].isin(seeds) & made["round"].isin(rounds), "far"] = 0.1
        replace(both, runs=made).save(tmp_path, "table1")
        row = verdicts.judge(CLAIMS["sampled-krum"], tmp_path)
        assert row["ours"].endswith(f"; {said}")
    assert words.some(list("abcdefg")) == "a, b, c, d, e and 2 more"


def test_labels_of_runs_say_it_as_one_speaks():
    labels = ["rule median, attack krum, knowledge full, beta -1", "rule median, knowledge partial"]
    assert words.apart(labels) == ["full knowledge", "partial knowledge"]
    assert words.apart(labels[:1]) == ["median full knowledge"]


def test_numbers_stand_apart_from_labels_and_from_each_other():
    assert words.each(pd.Series({"Krum": 0.5, "median": 1})) == "Krum 0.50, median 1.00"
    assert words.each(pd.Series({"share 0.5": 0.0})) == "share 0.5: 0.00"
    assert words.row({"krum": 1, "median": 0.5}) == "Krum 1, median 0.50"
    assert words.row({"FAR 1": 0, "FAR 2": 0.5, "MAR 1": 1}) == "FAR 0, 0.50; MAR 1"
    assert words.row({"s 1": 4.1, "s 2": 5.02, "s 3": 61.5}) == "s 4.10, 5.02, 61.5"
    assert words.row({"krum": 5.02, "median": 4.1}) == "Krum 5.02, median 4.10"
    assert words.row({"FAR 1": [0, 0.25], "FAR 2": 0.5}) == "FAR 0.12 (0–0.25), 0.50"


def test_measured_numbers_have_three_digits_each():
    assert [words.digits(value) for value in (4.1, 4.82, 61.0, 1234.4)] == [
        *("4.10", "4.82", "61.0"),
        "1,234",
    ]
    assert (words.seconds(0.06), words.seconds(2.0)) == ("60.0 ms", "2.00 s")


def test_apostrophes_are_round_but_not_in_code():
    said = words.typeset("the paper's, the attackers' <code>it's</code>, DAGMM&#x27;s; 'a'")
    assert said == "the paper’s, the attackers’ <code>it's</code>, DAGMM’s; 'a'"
    assert words.machine_readable("the paper’s") == "the paper's"


def test_a_span_shows_counts_whole_and_small_numbers_as_powers():
    assert words.wide_span(pd.Series([1, 21])) == "1 to 21"
    assert words.wide_span([0.5, 1234.0]) == "0.50 to 1,234"
    assert words.wide_span([0.0, 0.002]) == "0.00 to 0.002"
    assert (
        words.typeset(words.wide_span([3e-5, 8e-4])) == "3\u00a0×\u00a010⁻⁵ to 8\u00a0×\u00a010⁻⁴"
    )


# chance, lots, counts


def count_misses(c=C, k=K):
    """How likely c of k drawn at random miss m of c: sets counted, not a library's distribution."""
    return [comb(c, c - m) * comb(k - c, m) / comb(k, c) for m in range(c + 1)]


def test_chance_is_counted_sets():
    likely = count_misses()
    assert chance.misses(K, C, C) == pytest.approx(likely)
    assert sum(m * p for m, p in enumerate(likely)) / C == pytest.approx(0.6)
    near = sum(likely[m] for m in (11, 12, 13, 14, 15))
    assert chance.near(K, C, 0.65, 0.1) == pytest.approx(near)
    alike = sum(
        likely[a] * likely[b] for a in range(C + 1) for b in range(C + 1) if abs(a - b) <= 2
    )
    assert chance.alike(K, C, 0.1) == pytest.approx(alike)


def test_as_many_cells_are_met_by_chance_as_an_enumeration_says():
    chances = [0.5, 0.25, 0.9]
    for met in range(4):
        exact = sum(
            np.prod([p if hit else 1 - p for p, hit in zip(chances, which, strict=True)])
            for which in product((True, False), repeat=3)
            if sum(which) >= met
        )
        assert chance.as_good(chances, met) == pytest.approx(exact)


@pytest.mark.parametrize("name", CHANCE)
def test_what_chance_meets_as_well_is_called_so(name, root):
    row = verdicts.judge(CLAIMS[name], root / "paper")
    likely = count_misses()
    papers = CLAIMS[name].expected["MAR"]
    exact = np.prod(
        [sum(p for m, p in enumerate(likely) if abs(m - 20 * mar) < 2.01) for mar in papers]
    )
    assert exact == pytest.approx(CHANCE[name], abs=0.005)
    assert row["verdict"] == "not distinguishable from chance"
    assert f"chance does as well with probability {exact:.2f}" in row["ours"]


def test_what_chance_does_not_meet_is_reproduced_and_the_chance_is_told(root):
    row = verdicts.judge(CLAIMS["table1-lfr"], root / "paper")
    assert (row["verdict"], row["runs"]) == ("reproduced", "4")
    assert row["ours"].endswith("chance does as well with probability <0.01")


def all_equal(found, scheme, luck):
    """Records in which all scores of a scheme are 0 and `luck` malicious models were drawn."""
    table, made = found.table.copy(), found.runs.copy()
    table.loc[table["scheme"] == scheme, ["statistic", "score"]] = 0.0
    own = made["scheme"] == scheme
    made.loc[own, "far"], made.loc[own, "mar"] = (C - luck) / (K - C), (C - luck) / C
    return replace(found, table=table, runs=made)


def test_lots_count_by_their_expectation_whatever_was_drawn(tmp_path):
    for luck in (0, 20):
        all_equal(WORLD["table1"], "ERR", luck).save(tmp_path, "table1")
        row = verdicts.judge(CLAIMS["table1-err"], tmp_path)
        # 0.6 is within 0.1 of the paper's 0.65, 0.6, 0.65, not of 0.75
        assert row["ours"].startswith(
            "MAR 0.60, 0.60, 0.60, 0.60; 3 of 4 runs; not met by MAR at round 100; chance"
        )
        assert row["ours"].endswith("4 of 4 detections by lot")
        assert row["verdict"] == "not distinguishable from chance"


def test_scores_without_ties_keep_the_rates_that_were_recorded():
    made = WORLD["table1"]
    found = chance.expected_rates(made)
    pd.testing.assert_frame_equal(found.runs.drop(columns="by_lot"), made.runs)
    assert not found.runs["by_lot"].any()
    assert chance.expected_rates(WORLD["table3"]) is WORLD["table3"]
    assert chance.expected_rates(WORLD["fig04"]) is WORLD["fig04"]


def test_a_union_is_by_lot_where_one_of_its_two_is():
    made = all_equal(evaluation("krum", TABLES.table1), "LFR", 3)
    union = made.runs[made.runs["scheme"] == "ERR"].assign(scheme="Union", far=0.25)
    whole = replace(made, runs=pd.concat([made.runs, union], ignore_index=True))
    found = chance.expected_rates(whole).runs.groupby("scheme")["by_lot"].agg(["all", "any"])
    assert found.loc[["LFR", "Union"]].all(axis=None)
    assert not found.drop(index=["LFR", "Union"]).any(axis=None)


@pytest.mark.parametrize(
    ("met", "number", "low", "high"),
    [
        (8, 8, 0.025 ** (1 / 8), 1),  # by hand: all of n
        (0, 8, 0, 1 - 0.025 ** (1 / 8)),  # 0.369: no error in 8 runs leaves room for 37%
        (1, 2, 1 - 0.975 ** (1 / 2), 0.975 ** (1 / 2)),
    ],
)
def test_the_interval_of_a_share_of_runs_is_exact(met, number, low, high):
    assert chance.exact_interval(met, number) == pytest.approx((low, high))


def test_only_claims_about_runs_have_an_interval(root):
    table = verdicts.table(root / "paper").set_index(pd.Index(CLAIMS))
    assert table.loc["sampled-krum", ["runs", "interval"]].tolist() == ["4", "0.40–1.00"]
    for name in ("pdrr-stable", "table3-err", "d", "flag-c", "fang-lfr"):
        assert table.loc[name, "interval"] == ""
    assert table.loc["pdrr-stable", "runs"] == "12"  # four rounds of three attacks
    assert table.loc["table3-err", "runs"] == "3"
    assert table.loc["fang-lfr", "runs"] == ""
    assert table.loc["five-days", "runs"] == ""


def test_the_six_claims_of_the_abstract_lead(root):
    table = verdicts.table(root / "paper")
    first = table[table["section"] == "The abstract"]
    assert first.index.tolist() == list(range(6))
    assert list(CLAIMS)[:6] == [f"abstract-{i}" for i in range(1, 7)]


def test_parts_and_what_is_true_by_construction_are_not_counted(root):
    table = verdicts.table(root / "paper").set_index(pd.Index(CLAIMS))
    free = {name for name, claim in CLAIMS.items() if claim.part_of or claim.by_construction}
    free |= {name for name, claim in CLAIMS.items() if claim.measure in expected.ARITHMETIC}
    assert set(table.index[~table["counted"]]) == free
    assert {"fig08-pdrr", "fig09-pdrr", "fig10-pdrr", "table1-pdrr", "table2-pdrr"} <= free
    assert {"d", "flag-c", "auxiliary", "abstract-1"} <= free
    assert sum(verdicts.counts(table).values()) == len(CLAIMS) - len(free)


def test_a_claim_that_is_true_by_construction_is_not_if_it_fails(tmp_path):
    made = WORLD["fig04"]
    replace(made, provenance={**ORIGIN, "d": 7}).save(tmp_path, "fig04")
    row = verdicts.judge(CLAIMS["d"], tmp_path)
    assert (row["verdict"], row["counted"]) == ("not", False)


def test_what_cannot_be_compared_shows_its_numbers_and_the_reason(root):
    row = verdicts.judge(CLAIMS["abstract-6"], root / "paper")
    assert row["verdict"] == "not comparable"
    assert row["ours"].startswith("Krum 15 times; VAE and DAGMM look at 10,000 coordinates here")


# what is not there


def test_a_claim_without_records_is_not_measured(tmp_path):
    table = verdicts.table(tmp_path)
    assert set(table["verdict"][table["part_of"] != "arithmetic"]) == {"not measured"}
    assert "no records of table1 yet" in set(table["ours"])


def until(made, number, scheme=None):
    """Records without later rounds, of one scheme or of all."""
    parts = [
        part[(part["round"] <= number) | (scheme is not None and part["scheme"] != scheme)]
        for part in (made.table, made.runs)
    ]
    return replace(made, table=parts[0], runs=parts[1])


def test_a_claim_is_judged_on_the_rounds_that_are_recorded_and_says_so(tmp_path):
    until(WORLD["table1"], 20).save(tmp_path, "table1")
    row = verdicts.judge(CLAIMS["table1-dagmm"], tmp_path)
    assert (row["verdict"], row["runs"]) == ("reproduced", "2")
    assert row["ours"].startswith("MAR 0, 0.50; 2 of 2 runs; chance")
    assert row["ours"].endswith("; Table 1: rounds 50, 100 not recorded")
    row = verdicts.judge(CLAIMS["table1-pdrr"], tmp_path)  # a row of two rates
    assert row["ours"] == "FAR 0, 0; MAR 0, 0; Table 1: rounds 50, 100 not recorded"
    assert judged("fig08-better", tmp_path) == "reproduced"


def test_a_round_that_one_scheme_of_several_lacks_is_left_out_for_all(tmp_path):
    until(WORLD["table1"], 20, "VAE").save(tmp_path, "table1")
    for stem in ("table2", "table2b"):
        WORLD[stem].save(tmp_path, stem)
    row = verdicts.judge(CLAIMS["abstract-3"], tmp_path)
    # two cells, FAR and MAR, of two rounds of one table and four of the other two
    assert row["ours"].startswith("20 of 20 cells")
    assert "; Table 1: rounds 50, 100 not recorded" in row["ours"]
    row = verdicts.judge(CLAIMS["table1-lfr"], tmp_path)
    assert (row["runs"], "not recorded" in row["ours"]) == ("4", False)


def test_a_claim_of_which_no_round_is_recorded_is_not_measured(tmp_path):
    table1 = WORLD["table1"]
    kept = [part[part["scheme"] == "PDRR"] for part in (table1.table, table1.runs)]
    replace(table1, table=kept[0], runs=kept[1]).save(tmp_path, "table1")
    for name in ("table1-vae", "abstract-3"):
        row = verdicts.judge(CLAIMS[name], tmp_path)
        assert row["verdict"] == "not measured"
        assert re.match(rf"table1 has no scheme .*VAE.* \(noise {NOISE}, ", row["ours"])
    one = [part[part["round"] == 10] for part in (table1.table, table1.runs)]
    replace(table1, table=one[0], runs=one[1]).save(tmp_path, "table1")
    assert judged("table1-vae", tmp_path) == "not measured"


def test_a_statement_of_ours_needs_all_of_its_rounds(tmp_path):
    until(WORLD["table1"], 20).save(tmp_path, "table1")
    with pytest.raises(parts_of_records.NotMeasuredError, match="no round 50, 100"):
        verdicts.cells_of(
            CLAIMS["table1-dagmm"], lambda stem: parts_of_records.load(tmp_path, stem)
        )


def test_a_claim_of_another_profile_is_judged_beside_and_says_so(whole, tmp_path):
    row = verdicts.judge(CLAIMS["one-client"], whole / "paper")
    assert row["ours"].endswith("accuracy changes by −0.40 in the round (quick profile)")
    TRIALS["quick"]["transfer"].save(tmp_path / "paper", "transfer")
    row = verdicts.judge(CLAIMS["one-client"], tmp_path / "paper")
    assert row["ours"] == "no records of transfer yet (quick profile)"


def test_a_rule_that_was_not_timed_leaves_table_4_unmeasured(tmp_path):
    for stem in ("table1", "table2", "table2b"):
        WORLD[stem].save(tmp_path, stem)
    timed = WORLD["table3"]
    less = replace(timed, runs=timed.runs[timed.runs["rule"] != "median"])
    less.save(tmp_path, "table3")
    row = verdicts.judge(CLAIMS["table4-vae"], tmp_path)
    assert row["verdict"] == "not measured"
    assert "the timing of DAGMM under the attack on median" in row["ours"]


@pytest.mark.parametrize("suffix", ["csv", "json"])
def test_damaged_records_are_an_error(tmp_path, suffix):
    WORLD["fig04"].save(tmp_path, "fig04")
    (tmp_path / f"fig04.{suffix}").write_text("", "utf-8")
    with pytest.raises(ValueError, match="cannot read the records .*fig04"):
        verdicts.table(tmp_path)
    (tmp_path / f"fig04.{suffix}").unlink()
    with pytest.raises(ValueError, match="cannot read the records .*fig04"):
        verdicts.table(tmp_path)


def test_records_that_do_not_fit_together_are_an_error(tmp_path):
    WORLD["fig04"].save(tmp_path, "fig04")
    (tmp_path / "fig04.csv").write_text("nothing\n1\n", "utf-8")
    with pytest.raises(ValueError, match="damaged records .*fig04: .*no column in common"):
        verdicts.table(tmp_path)


# expected.yaml


TEXT = resources.files("pdrr.claims").joinpath("expected.yaml").read_text("utf-8")
TRIED = {stem for world in TRIALS.values() for stem in world}
PAGES = {f"fig{i:02}" for i in range(1, 12)} | {"table1", "table2", "table2b", "table3", "table4"}
PAGES |= {"every_round", "in_passing"}


def test_every_claim_leads_to_a_page_and_says_why():
    assert {claim.page for claim in CLAIMS.values()} <= PAGES
    assert {stem for claim in CLAIMS.values() for stem in claim.records} <= PAGES | TRIED
    assert {*tries.STEMS, "every_round"} - {"refits"} == TRIED  # refits judge no claim
    assert {claim.profile for claim in CLAIMS.values()} == {"paper", "quick"}
    assert all(claim.measure in MEASURES or claim.measure is None for claim in CLAIMS.values())
    assert all(len(claim.why) > 5 for claim in CLAIMS.values())


def test_one_line_says_which_reading_of_epsilon_counts():
    first, other = expected.expected().noise
    assert first == table4.NOISE
    assert not re.search(r"noise: (coordinate|ball)", TEXT)
    line = f"noise: [&noise {first}, &other_noise {other}]"
    assert line in TEXT
    turned = expected.parse(TEXT.replace(line, f"noise: [&noise {other}, &other_noise {first}]"))
    for claim, same in zip(turned.claims, CLAIMS.values(), strict=True):
        for stem, own in claim.records.items():
            was = same.records[stem].get("noise")
            assert own.get("noise") == {first: other, other: first, None: None}[was]


def test_ratios_of_times_are_those_of_table_3():
    for scheme in ("DAGMM", "VAE", "ERR"):
        for rule, ratio in CLAIMS[f"table3-{scheme.lower()}"].expected.items():
            exact = TABLES.table3[scheme][rule] / TABLES.table3["PDRR"][rule]
            assert ratio == pytest.approx(exact, rel=0.01)


def test_the_papers_cells_are_whole_numbers_of_models():
    for table in (TABLES.table1, TABLES.table2):
        for row in table.values():
            for far, mar in zip(row["FAR"], row["MAR"], strict=True):
                assert far == pytest.approx(round(mar * 20) / 30, abs=0.005)


WRONG = {
    "unknown key": (("why: the paper's own bound", "why: x\n    wy: x"), r"fig04-benign\.wy: "),
    "missing key": (("    why: the paper's own bound\n", ""), r"fig04-benign\.why: .*required"),
    "unknown measure": (("measure: benign_largest", "measure: nope"), "benign: no measure 'nope'"),
    "wrong argument": (("{low: 0.1, high: 0.99}", "{lo: 0.1}"), "fig04-range: q_covers: missing"),
    "no condition": (("    condition: {below: 0.1}\n", ""), "needs records and a condition"),
    "text for a number": (("{below: 0.1}", "{below: low}"), r"fig04-benign\.condition\.below: "),
    "twice": (("id: fig05-mixed", "id: fig04-benign"), "fig04-benign: two claims have this id"),
    "no such whole": (("part_of: pdrr-median", "part_of: nobody"), "pdrr: part_of .*'nobody'"),
    "part of a part": (("part_of: pdrr-median", "part_of: fig09-pdrr"), "fig10-pdrr: part_of"),
    "no reason": (("      comparable: false\n", "      comparable: true\n"), "needs a reason if"),
    "no YAML": (("claims:", "claims: ["), "expected.yaml: while parsing"),
    "nothing": ((TEXT, ""), "expected.yaml: "),
}  # fmt: skip


@pytest.mark.parametrize(("change", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_data_file_is_refused_in_one_line(change, message):
    assert change[0] in TEXT
    with pytest.raises(ValueError, match=message) as caught:
        expected.parse(TEXT.replace(*change, 1))
    assert "\n" not in str(caught.value)


# Table 4


def parts(world=WORLD):
    return [world[stem] for stem in ("table1", "table2", "table2b")], world["table3"]


def test_the_rules_give_the_papers_words_for_its_numbers_but_for_these():
    derived = table4.derive(*parts())
    papers = pd.DataFrame(TABLES.table4).T.loc[derived.index, derived.columns]
    other = {
        (s, column) for column in papers for s in papers.index[derived[column] != papers[column]]
    }
    assert other == {
        ("LFR", "detection ability"),  # error 0.26 if the median's are like the trimmed mean's
        ("DAGMM", "detection stability"),
        ("VAE", "detection stability"),
        ("ERR", "detection stability"),
    }


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (0.0, "strongest"),
        (0.049, "strongest"),
        (0.05, "relatively strong"),
        (0.249, "relatively strong"),
        (0.25, "relatively weak"),
        (0.449, "relatively weak"),
        (0.45, "weak"),
        (0.9, "weak"),
    ],
)
def test_ability_is_a_matter_of_the_error(error, word):
    world = WORLD
    for stem in ("table1", "table2", "table2b"):
        world = {**world, **runs(stem, {"far": error, "mar": error}, scheme="VAE")(world)}
    derived = table4.derive(*parts(world)).loc["VAE"]
    assert derived["detection ability"] == word
    assert derived["detection stability"] == "stable"


@pytest.mark.parametrize(
    ("apart", "word"),
    [
        (0.04, "stable"),
        (0.06, "relatively stable"),
        (0.24, "relatively stable"),
        (0.26, "unstable"),
    ],
)
def test_stability_is_a_matter_of_the_spread_between_the_attacks(apart, word):
    world = {**WORLD, **runs("table2b", {"far": apart, "mar": apart}, scheme="PDRR")(WORLD)}
    assert table4.derive(*parts(world)).loc["PDRR", "detection stability"] == word


def test_rounds_weigh_the_same_however_many_seeds_they_have():
    # by hand: round 1 has errors 0 and 0.2 (two seeds), round 2 has 0.5: (0.1 + 0.5) / 2
    rates = pd.DataFrame({"round": [1, 1, 2], "far": [0, 0.2, 0.4], "mar": [0, 0.2, 0.6]})
    assert table4.mean_error(rates.assign(scheme="VAE"), "scheme")["VAE"] == pytest.approx(0.3)
    evaluations, timed = parts()
    first = evaluations[0].runs[evaluations[0].runs["round"] == 1]
    more = [first.assign(seed=seed) for seed in (2, 3, 4)]
    often = replace(evaluations[0], runs=pd.concat([evaluations[0].runs, *more]))
    pd.testing.assert_frame_equal(
        table4.measured([often, *evaluations[1:]], timed), table4.measured(evaluations, timed)
    )


def test_the_time_is_the_sum_over_the_attacks_without_the_set_up():
    evaluations, timed = parts()
    dear = replace(timed, runs=timed.runs.assign(setup_s=(timed.runs["scheme"] == "PDRR") * 1e6))
    numbers = table4.measured(evaluations, dear)
    assert numbers.loc["PDRR", "detection seconds"] == pytest.approx(0.42 + 0.84 + 0.63)
    assert numbers.loc["PDRR", "set-up seconds"] == 1e6
    assert table4.derive(evaluations, dear).loc["PDRR", "time cost"] == "lowest"
    swapped = replace(timed, runs=timed.runs.replace({"scheme": {"VAE": "DAGMM", "DAGMM": "VAE"}}))
    words = table4.derive(evaluations, swapped)["time cost"]
    assert words[["DAGMM", "VAE"]].tolist() == ["highest", "relatively low"]


def test_other_readings_and_full_knowledge_do_not_count():
    table1 = WORLD["table1"]
    other = table1.runs.assign(reading="high", far=1.0, mar=1.0)
    full = table1.runs.assign(
        far=np.where(table1.runs["knowledge"] == "full", 1.0, table1.runs["far"])
    )
    noisy = {**WORLD, "table1": replace(table1, runs=pd.concat([full, other], ignore_index=True))}
    pd.testing.assert_frame_equal(table4.measured(*parts(noisy)), table4.measured(*parts()))


def test_only_pdrr_can_be_set_up_without_data():
    needs = {scheme: table4.needs_auxiliary(scheme) for scheme in papers()}
    assert needs == {"DAGMM": True, "VAE": True, "ERR": True, "LFR": True, "PDRR": False}


# our own records, from their scores


def outcomes(folder):
    return {outcome.name: outcome for outcome in regenerate.recomputed(folder)}


def test_untouched_records_follow_from_their_scores(root):
    found = outcomes(root)
    assert set(found) == {f"paper/{stem}" for stem in WORLD}
    assert {
        outcome.name: outcome.differences for outcome in found.values() if outcome.differences
    } == {}
    assert str(found["paper/fig04"]) == "paper/fig04: regenerated (16 runs)"


PARTIAL = {"scheme": "PDRR", "round": 1, "knowledge": "partial"}
TAMPERED = {
    "a rate": (
        "fig04",
        runs("fig04", {"far": 0.1}, seed=1, **FIG4),
        "far is recorded as 0.1, its rows give 0",
    ),
    "a range": (
        "table2",
        runs("table2", {"q_high": 0.97}, **PARTIAL),
        "q_high is recorded as 0.97, its rows give 0.95",
    ),
    "a score": (
        "table1",
        rows("table1", {"score": 0.95}, client=K, **PARTIAL),
        "the scores do not flag as recorded, clients 50",
    ),
    "a flag": (
        "table1",
        rows("table1", {"flagged": False}, scheme="VAE", round=1, client=C),
        "flags 19 models, not c = 20",
    ),
    "another flag": (
        "table1",
        rows("table1", {"score": 2.0}, scheme="VAE", round=1, client=1),
        "the scores do not flag as recorded, clients 1",
    ),
    "a time": (
        "table3",
        runs("table3", {"median_s": 0.3}, scheme="PDRR"),
        "median_s is recorded as 0.3",
    ),
}


@pytest.mark.parametrize(("stem", "change", "message"), TAMPERED.values(), ids=TAMPERED)
def test_tampered_records_are_found(tmp_path, stem, change, message):
    {**WORLD, **change(WORLD)}[stem].save(tmp_path / "paper", stem)
    outcome = outcomes(tmp_path)[f"paper/{stem}"]
    assert outcome.differences
    assert any(message in line for line in outcome.differences), outcome.differences
    assert str(outcome).startswith(f"paper/{stem}: differs, ")


def test_rows_and_runs_have_to_fit():
    made = WORLD["fig07"]
    half = made.table[made.table["seed"] == 1]
    with pytest.raises(ValueError, match="no rows of seed 2"):
        list(each_run(replace(made, table=half)))
    with pytest.raises(ValueError, match="rows of 4 runs that are not listed"):
        list(each_run(replace(made, runs=made.runs[made.runs["seed"] == 1])))
    with pytest.raises(ValueError, match="two runs of seed 1"):
        list(each_run(replace(made, runs=pd.concat([made.runs, made.runs]))))


# from nothing


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Fig. 7 of a tiny federation, and the cache of its rounds."""
    with pytest.MonkeyPatch.context() as patch:
        miniature.use(patch)
        store, folder = Store(tmp_path_factory.mktemp("cache")), tmp_path_factory.mktemp("records")
        recordings.run(["fig02", "fig07"], "smoke", "glyphs", [2], folder / "smoke", store)
    return folder, store


def test_a_recording_is_regenerated_with_its_own_seed(recorded, monkeypatch):
    miniature.use(monkeypatch)
    folder, store = recorded
    found = regenerate.again(folder, "smoke", "glyphs", store)
    assert [str(outcome) for outcome in found] == [
        "smoke/fig02: regenerated (1 runs)", "smoke/fig07: regenerated (4 runs)"
    ]  # fmt: skip


def test_every_claim_can_be_judged_on_a_recording(recorded):
    table = verdicts.table(recorded[0] / "smoke")
    measured = table[(table["verdict"] != "not measured") & (table["part_of"] != "arithmetic")]
    assert set(measured["figure"]) == {"fig02", "fig07"}
    assert not measured["ours"].str.contains("nan").any()


def test_other_data_are_refused(recorded, monkeypatch):
    miniature.use(monkeypatch)
    folder, store = recorded
    other = replace(miniature.dataset(60), name="numbers")
    monkeypatch.setattr(scene, "dataset", lambda *_: other)
    with pytest.raises(
        ValueError, match="smoke/fig02 needs the data it was recorded with, .* got numbers"
    ):
        regenerate.again(folder, "smoke", "glyphs", store)


@pytest.mark.parametrize(
    ("profile", "message"), [("quick", "no records in .*quick"), ("huge", "got 'huge'")]
)
def test_what_was_never_recorded_cannot_be_regenerated(recorded, profile, message):
    with pytest.raises(ValueError, match=message):
        regenerate.again(recorded[0], profile, "glyphs", recorded[1])


def off(stem, part, column, by, **where):
    made = WORLD[stem]
    frame = getattr(made, part).copy()
    chosen = (frame[list(where)] == pd.Series(where)).all(axis=1)
    frame.loc[chosen, column] = frame.loc[chosen, column] + by
    return list(regenerate.differences(made, replace(made, **{part: frame})))


ONE = {"round": 1, "knowledge": "partial", "noise": NOISE}
LIMITS = [  # part, column, what is near enough, what is not, whose
    ("table", "score", 0.019, 0.021, "PDRR"),
    ("runs", "far", 0.14, 0.16, "LFR"),
    ("runs", "mar", 0.14, 0.16, "ERR"),
    ("runs", "mar", 0.39, 0.41, "VAE"),
    ("runs", "lambda", 0.0009, 0.0011, "LFR"),
    ("runs", "accuracy_attacked", 0.049, 0.051, "PDRR"),
]


@pytest.mark.parametrize(("part", "column", "near", "far", "scheme"), LIMITS)
def test_a_new_recording_may_be_off_by_the_tolerance(part, column, near, far, scheme):
    assert off("table1", part, column, near, scheme=scheme, **ONE) == []
    (line,) = off("table1", part, column, far, scheme=scheme, **ONE)
    assert line.startswith(f"{column} in ")


def test_pdrr_has_to_flag_the_same_and_seconds_do_not_count():
    made = WORLD["table1"]
    (line,) = regenerate.differences(
        made, rows("table1", {"flagged": True}, scheme="PDRR", client=K, **ONE)(WORLD)["table1"]
    )
    assert re.match(r"flagged in 1 of 1000 rows: first .*client 50 False, now True", line)
    assert off("table1", "table", "score", 0.5, scheme="LFR") == []
    slow = replace(made, runs=made.runs.assign(detection_s=9.0))
    assert list(regenerate.differences(made, slow)) == []
    assert list(regenerate.differences(slow, made)) == []


def test_other_runs_are_a_difference():
    made = WORLD["table1"]
    later = replace(made, table=made.table.assign(round=2))
    assert "table: other scheme" in next(regenerate.differences(made, later))
    less = replace(made, runs=made.runs.iloc[1:])
    assert "runs: other" in next(regenerate.differences(made, less))


# the command


@pytest.fixture
def check(capfd):
    """Run ``pdrr check``: exit code, standard output, standard error."""

    def call(*arguments):
        with pytest.raises(SystemExit) as end:
            main(["check", *map(str, arguments)])
        shown = capfd.readouterr()
        return end.value.code, shown.out, shown.err

    return call


def test_check_prints_a_verdict_for_every_claim_in_the_width_of_the_terminal(
    check, root, monkeypatch
):
    monkeypatch.setenv("COLUMNS", "90")
    code, out, _ = check("--no-run", "--records", root)
    assert code == 0
    assert max(map(len, out.splitlines())) <= 90
    counts = verdicts.counts(verdicts.table(root / "paper"))
    summary = ", ".join(f"{number} {verdict}" for verdict, number in counts.items())
    counted = sum(claim.counted for claim in CLAIMS.values())
    assert f"{counted} claims: {summary} Indented and" in " ".join(out.split())
    assert re.search(r"^Krum, benign +< 0\.1 .* 2 +0\.16–1\.00 +reproduced$", out, re.M)
    a_part = r"^  PDRR on Krum: no +FAR 0, .* 4 +0\.40–1\.00 +reproduced$"
    assert re.search(a_part, out, re.M)
    assert "paper/table3: regenerated" in out


def test_check_fails_on_our_own_records_only(check, tmp_path):
    for stem in ("fig04", "fig06"):
        WORLD[stem].save(tmp_path / "paper", stem)
    assert check("--no-run", "--records", tmp_path)[0] == 0  # claims without records are no failure
    runs("fig06", {"far": 0.5}, seed=1)(WORLD)["fig06"].save(tmp_path / "paper", "fig06")
    code, out, _ = check("--no-run", "--records", tmp_path)
    assert code == 1
    assert "paper/fig06: differs, seed 1, knowledge full" in out
    assert "paper/fig04: regenerated" in out


def test_check_fails_where_the_book_s_own_records_stop_backing_it(check, tmp_path, monkeypatch):
    shutil.copytree(ROOT / "book" / "records", tmp_path / "book" / "records")
    monkeypatch.chdir(tmp_path)
    code, out, _ = check("--no-run")
    assert code == 0
    assert re.search(r"sentences of the book, against the records\n  all \d+ hold\n", out)
    folder = tmp_path / "book" / "records" / "paper"
    kept = Records.load(folder, "table2b")
    ours = kept.runs["scheme"] == "PDRR"
    runs = kept.runs.assign(mar=kept.runs["mar"].where(~ours, 0.05))
    replace(kept, runs=runs).save(folder, "table2b")
    code, out, _ = check("--no-run")
    assert code == 1
    assert "t2b-pdrr: '**PDRR has no error in the rounds of this table" in out


def test_check_runs_the_profile_again(check, recorded, monkeypatch, tmp_path):
    miniature.use(monkeypatch)
    monkeypatch.setenv("PDRR_CACHE", str(recorded[1].root))
    kept = Records.load(recorded[0] / "smoke", "fig07")
    kept.save(tmp_path / "smoke", "fig07")
    (tmp_path / "paper").mkdir()
    assert check("--records", tmp_path)[0] == 0
    moved = kept.table.assign(score=kept.table["score"] * 0.97)
    replace(kept, table=moved, runs=kept.runs).save(tmp_path / "smoke", "fig07")
    code, out, _ = check("--records", tmp_path)
    assert code == 1
    assert re.search(r"smoke/fig07: differs, score in \d+ of 200 rows, at most 0.03 apart", out)


BAD = {
    "no folder": (("--records", "nowhere"), "no records in nowhere"),
    "no such profile": (("--profile", "huge"), "got 'huge'"),
    "damaged": ((), "cannot read the records .*fig04"),
    "a run without rows": ((), "damaged records .*fig04.json: no rows of"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_to_check_ends_in_one_line_and_code_2(check, case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "book/records/paper"
    made = WORLD["fig04"]
    if case == "a run without rows":
        made = replace(made, table=made.table[made.table["seed"] == 1])
    made.save(folder, "fig04")
    if case == "damaged":
        (folder / "fig04.csv").write_text("", "utf-8")
    arguments, message = BAD[case]
    code, _, err = check(*(arguments or ("--no-run",)))
    assert code == 2
    assert re.search(rf"^pdrr: .*{message}.*$", err.splitlines()[-1])


# the book


def test_the_dashboard_counts_links_and_escapes(root):
    table = verdicts.table(root / "paper")
    html = verdicts_html.verdicts_html(table)
    for verdict, number in verdicts.counts(table).items():
        assert (f">{number} {verdict}</span>" in html) == (number > 0)
    assert html.count("<br>↳ <a href") == (~table["counted"]).sum()
    assert '<td role="cell" class="num" data-label="95%:">0.40–1.00</td>' in html
    assert html.count("<h3") == table["section"].nunique()
    parts = table.groupby("section")["counted"].nunique().sum()
    assert html.count("<tbody") == html.count("<caption") == parts
    assert html.count('<a href="./') == len(table)
    assert ">&lt; 0.1</td>" in html
    assert "2 of 20 misses" in html
    assert "2 of 20 misses" not in verdicts_html.verdicts_html(table.drop(columns="tolerance"))


def test_each_claim_has_an_anchor_that_leads_to_it(root):
    page = BeautifulSoup(verdicts_html.verdicts_html(verdicts.table(root / "paper")), "html.parser")
    ids = [row["id"] for row in page.select("tbody tr")]
    assert ids == [f"claim-{claim.id}" for claim in by_section(expected.expected().claims)]
    links = [link["href"] for link in page.select("tbody a.headerlink")]
    assert links == [f"#{name}" for name in ids]
    sections = [section["id"] for section in page.select("section")]
    assert len(set(ids + sections)) == len(ids + sections)
    for row in page.select("tbody tr"):  # what the search on the page goes by
        assert row["data-verdict"] == row.td.span.get_text()


def by_section(claims):
    """Section by section, in each first what counts."""
    order = list(dict.fromkeys(claim.section for claim in claims))
    return sorted(claims, key=lambda claim: (order.index(claim.section), not claim.counted))


def test_the_seconds_that_detections_took_stand_in_for_the_timing():
    made = evaluation_records("krum", rounds=(1, 2, 5))
    seconds = made.runs["round"].map({1: 9.0, 2: 1.0, 5: 2.0})
    made = replace(made, runs=made.runs.assign(detection_s=seconds))
    found = table4.taken([made]).runs.set_index("scheme")
    assert (found["median_s"] == 2.0).all()
    assert found["setup_s"].to_dict() == {
        scheme: 3.0 if scheme in ("DAGMM", "VAE") else 0.0 for scheme in usual()
    }


def test_sections_are_folds_that_are_open_where_conditions_are_told():
    row = {"claim": "x", "paper": "1", "ours": "2", "figure": "fig04", "verdict": "not"}
    row |= {"runs": "3", "interval": "0.10–0.90"}
    table = pd.DataFrame([{**row, "section": section} for section in "ab"])
    folds = BeautifulSoup(verdicts_html.verdicts_html(table), "html.parser").find_all("details")
    assert [fold.summary.h3.get_text() for fold in folds] == ["a", "b"]
    assert not any(fold.has_attr("open") for fold in folds)
    whole = BeautifulSoup(verdicts_html.verdicts_html(table.assign(tolerance="any")), "html.parser")
    folds = whole.find_all("details")
    assert all(fold.has_attr("open") for fold in folds)  # a script closes them
    assert [head.get_text() for head in whole.find_all("h3")] == ["a#", "b#"]
