"""What the explorer shows is what was recorded."""

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pdrr import beyond
from pdrr.book import explorer, style
from pdrr.core.files import RECORDED
from pdrr.core.rules import DEFENDED
from pdrr.experiments.records import Records
from pdrr.experiments.schemes import OURS, papers
from pdrr.metrics import by_lot, far, mar, q_range

EXTRA = Path(__file__).parents[2] / "book" / "_extra" / "explorer"
SHEET = Path(__file__).parents[2] / "book" / "_static" / "figures.css"  # front.css uses its colours
VENDORED = {  # D3 7.9.2 and Observable Plot 0.6.17, as npm has them
    "d3.min.js": "912111098ea99503a6f4967361d2bbdc9dbf58cf9c678c8e27e5b02d1a07f0c1",
    "d3.LICENSE.txt": "2a6d2d5f32ba0b755ddbc1c833f766e30cdbe6ebe9a6d4e3e24427721f0b63d3",
    "plot.umd.min.js": "4358086467740777dd788d6b27a95cebdbaefdd50c730a3060117073bd7134cb",
    "plot.LICENSE.txt": "4b295e011e0e046170041b5b46f1349393aeceb95797793a55bd21dbb543363a",
}


@pytest.fixture(scope="module")
def made():
    return explorer.payload()


@pytest.fixture(scope="module")
def runs(made):
    found = [dict(zip(made["columns"], run, strict=True)) for run in made["runs"]]
    for run in found:
        run["scores"] = np.array(run["scores"], float)
        malicious = made["c"] if run["attacker"] != "nobody" else 0
        run["byzantine"] = np.arange(len(run["scores"])) < malicious
    return found


def recorded(stem, profile="paper"):
    return Records.load(RECORDED / profile, stem)


def test_the_rates_at_the_recorded_q_are_the_recorded_ones(runs):
    ours = [run for run in runs if run["scheme"] == OURS]
    assert len(ours) > 100
    for run in ours:
        flagged = run["scores"] >= run["q"]
        assert far(flagged, run["byzantine"]) == pytest.approx(run["far"], abs=1e-12), run
        if run["attacker"] != "nobody":
            assert mar(flagged, run["byzantine"]) == pytest.approx(run["mar"], abs=1e-12), run
        else:
            assert run["mar"] is None


def test_every_threshold_of_the_slider_flags_as_the_records_do(runs):
    """Fewer digits than were recorded move no client over a threshold that a reader can choose."""
    keys = ["attack", "rule", "round"]
    full = dict(iter(recorded("client_scores", "quick").table.groupby(keys)["score"]))
    table = recorded("table2").where(reading="default", scheme=OURS, seed=1).table
    full |= {
        (*key, "paper"): scores
        for key, scores in table.groupby(["knowledge", "beta", "round"])["score"]
    }
    compared = 0
    for run in runs:
        if run["attacker"] == explorer.BEYOND:
            key = run["attack"], run["rule"], run["round"]
        elif (run["rule"], run["attack"], run["scheme"], run["seed"]) == (
            "trimmed_mean",
            "own",
            OURS,
            1,
        ):
            key = run["attacker"], run["beta"], run["round"], "paper"
        else:
            continue
        wanted = full[key].to_numpy()
        for q in explorer.STEPS:
            assert np.array_equal(run["scores"] >= q, wanted >= q), (key, q)
        compared += 1
    assert compared > 170


def test_every_attack_beyond_the_paper_meets_every_rule_in_the_smaller_network(made, runs):
    found = [run for run in runs if run["attacker"] == explorer.BEYOND]
    places = {(run["attack"], run["rule"], run["round"]) for run in found}
    assert places == {
        (a, rule, n) for a in beyond.all_attacks() for rule in DEFENDED for n in (1, 5)
    }
    assert made["beyond"] == {name: each.words for name, each in beyond.all_attacks().items()}
    kept = recorded("client_scores", "quick")
    assert made["data"]["quick"].endswith(f"d = {kept.provenance['d']:,}")
    assert made["data"]["quick"] != made["data"]["paper"]
    rates = kept.runs.set_index(["attack", "rule", "round"])
    for run in found:
        wanted = rates.loc[(run["attack"], run["rule"], run["round"])]
        assert (run["far"], run["mar"], run["q"]) == pytest.approx(
            (wanted["far"], wanted["mar"], wanted["q"])
        )


def test_the_rates_of_the_others_are_the_recorded_ones_where_no_lot_is_drawn(made, runs):
    others = [run for run in runs if run["scheme"] != OURS]
    assert len(others) > 200
    tied = 0
    for run in others:
        lots = by_lot(run["scores"], run["byzantine"], made["c"])
        if lots.tied:
            tied += 1
            room = lots.drawn / min(made["c"], len(run["scores"]) - made["c"])
            assert abs(run["mar"] - lots.mar) <= room
        else:
            assert (lots.far, lots.mar) == pytest.approx((run["far"], run["mar"]), abs=1e-12), run
    assert 0 < tied < len(others) / 2


def test_every_run_of_the_paper_s_tables_is_there(runs):
    for rule, stem in explorer.TABLES.items():
        wanted = recorded(stem).runs
        wanted = wanted[(wanted["reading"] == "default") & wanted["scheme"].isin(papers())]
        keys = ["knowledge", "beta", "noise", "round", "seed", "scheme"]
        names = ["attacker", *keys[1:]]
        there = pd.DataFrame(
            [run for run in runs if run["rule"] == rule and run["attack"] == "own"]
        )
        for frame, columns in ((wanted, keys), (there, names)):
            frame["key"] = (
                frame[columns].astype(object).fillna("").astype(str).agg("|".join, axis=1)
            )
        whole = {key.replace(".0", "") for key in wanted["key"]}
        assert whole <= {key.replace(".0", "") for key in there["key"]}


def test_every_attack_beyond_the_table_is_there(runs):
    attacks = {(run["rule"], run["attack"]) for run in runs}
    assert {("krum", "median"), ("median", "krum"), ("trimmed_mean", "krum")} <= attacks
    assert {attack for rule, attack in attacks if rule == "krum"} >= {"1e-06", "1e-03", "1e-02"}
    nobody = [run for run in runs if run["attacker"] == "nobody"]
    assert len(nobody) == len(recorded("unattacked").runs)


def test_the_range_of_thresholds_is_the_recorded_one(runs):
    wanted = recorded("table2").runs
    wanted = wanted[(wanted["scheme"] == OURS) & (wanted["reading"] == "default")]
    for row in wanted.to_dict("records"):
        (run,) = [
            run
            for run in runs
            if run["rule"] == "trimmed_mean"
            and (run["attack"], run["scheme"], run["attacker"]) == ("own", OURS, row["knowledge"])
            and (run["beta"], run["round"], run["seed"]) == (row["beta"], row["round"], row["seed"])
        ]
        assert q_range(run["scores"], run["byzantine"]) == pytest.approx(
            (row["q_low"], row["q_high"]), abs=0.5e-4
        )


def test_no_two_runs_have_the_same_keys(made):
    places = [tuple(run[: len(explorer.KEYS)]) for run in made["runs"]]
    assert len(set(places)) == len(places)


def test_shorter_scores_keep_who_is_before_whom(runs):
    table = recorded("table2").table
    kept = table[(table["reading"] == "default") & (table["beta"] == 10)]
    keys = ["scheme", "knowledge", "round", "seed"]
    full = {key: rows["score"].to_numpy() for key, rows in kept.groupby(keys)}
    compared = 0
    for run in runs:
        key = (run["scheme"], run["attacker"], run["round"], run["seed"])
        if (run["rule"], run["attack"], run["beta"]) == ("trimmed_mean", "own", 10):
            order = [np.unique(x, return_inverse=True)[1] for x in (full[key], run["scores"])]
            assert np.array_equal(*order)
            compared += 1
    assert compared > 60


def test_the_data_are_a_script_of_250_kilobytes_at_most(made):
    text = explorer.script(made)
    assert len(text.encode()) <= 250_000
    text = re.sub(r"(?<=[\[,-])\.", "0.", text)
    assert json.loads(text.removeprefix("window.PDRR = ").removesuffix(";\n")) == made
    with pytest.raises(ValueError, match=r"at most 250,000 bytes, got"):
        explorer.script({"runs": [made, made]})


def test_other_clients_than_the_first_are_refused(tmp_path):
    for profile, stem in [(p, stem) for p, stems in explorer.STEMS.items() for stem in stems]:
        records = recorded(stem, profile)
        if stem == "fig04":
            records.table["byzantine"] = records.table["client"] > 30
        records.save(tmp_path / profile, stem)
    with pytest.raises(ValueError, match="fig04 needs the first 20 clients to be malicious"):
        explorer.payload(tmp_path)


@pytest.mark.parametrize("name", VENDORED)
def test_what_comes_from_others_is_as_they_published_it(name):
    assert hashlib.sha256((EXTRA / name).read_bytes()).hexdigest() == VENDORED[name]


# colours


def colours(theme):
    """Variables of the style sheet, by name."""
    start = 'html[data-theme="dark"] {' if theme == "dark" else "html {"
    start += " --pdrr-malicious"
    line = next(x for x in SHEET.read_text("utf-8").splitlines() if x.startswith(start))
    pairs = [part.split(":", 1) for part in line.partition("{")[2].rstrip("} ").split(";") if part]
    return {name.strip(): value.strip() for name, value in pairs if value}


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def contrast(one, other):
    dark, light = sorted([luminance(one), luminance(other)])
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize(("theme", "ground"), [("light", "#ffffff"), ("dark", "#14181e")])
def test_both_kinds_stand_out_and_differ_in_lightness(theme, ground):
    found = colours(theme)
    bad, good = found["--pdrr-malicious"], found["--pdrr-benign"]
    assert contrast(bad, ground) >= 3
    assert contrast(good, ground) >= 3
    assert contrast(bad, good) >= 1.5


def test_the_colours_are_those_of_the_figures():
    dark = getattr(style, "DARK", None)
    if dark is None:
        pytest.skip("the figures have no colours of their own for dark pages")
    light = {"--pdrr-malicious": style.MALICIOUS, "--pdrr-benign": style.BENIGN}
    for name, colour in light.items():
        assert colours("light")[name] == colour
        assert colours("dark")[name] == dark[colour]
