"""The chapter on Flower: its numbers are those of the records, its commands those of the app."""

import csv
import json
import re
import tomllib
from pathlib import Path

import pytest

from benchmarks import flower as overhead
from benchmarks import hostile

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "book" / "federation.md").read_text("utf-8")
README = (ROOT / "examples" / "flower" / "README.md").read_text("utf-8")
SETTINGS = tomllib.loads((ROOT / "examples/flower/pyproject.toml").read_text("utf-8"))["tool"][
    "flwr"
]["app"]["config"]


OURS = "PDRR and PDRRFilter"


def hostile_replies():
    with (ROOT / hostile.RECORD).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_what_the_page_says_of_hostile_replies_is_what_was_recorded():
    rows = hostile_replies()
    ends = sum(row["FedAvg"].startswith("ends") for row in rows)
    broken = sum(row["FedAvg"].startswith(("leaves", "changes")) for row in rows)
    refused = sum(row[OURS].startswith("refused") for row in rows)
    flagged = sum(row[OURS].startswith("flagged") for row in rows)
    words = (
        f"Of {len(rows)} kinds {ends} end the run of stock FedAvg, and {broken} more leave it a"
        " model that is not finite. Under `PDRR` and behind `PDRRFilter` none does either, nor"
        f" changes a shape or a type: {refused} are refused with a reason, {flagged} flagged by the"
        " detector"
    )
    assert words in " ".join(PAGE.split())


def test_both_of_ours_end_alike_in_the_table():
    for row in hostile_replies():
        assert not row[OURS].startswith("PDRR: "), row["reply"]  # told apart


def test_the_table_of_costs_is_the_record():
    told = json.loads((ROOT / overhead.RECORD).read_text("utf-8"))
    with (ROOT / overhead.RECORD).with_suffix(".csv").open(encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert [row["strategy"] for row in table] == [row["strategy"] for row in told["rows"]]
    assert [row["strategy"] for row in table] == list(overhead.strategies(10, 50))
    for shown, row in zip(table, told["rows"], strict=True):
        assert float(shown["seconds"]) == pytest.approx(row["low_s"], abs=0.006)
        assert float(shown["peak, GiB"]) == pytest.approx(row["peak_mb"] / 1024, abs=0.006)
    assert (told["k"], told["d"]) == (50, 6_603_710)


def test_rules_that_should_agree_with_flower_s_do_in_the_record():
    rows = json.loads((ROOT / overhead.RECORD).read_text("utf-8"))["rows"]
    differs = {row["strategy"]: row["differs"] for row in rows if row["differs"] is not None}
    assert set(differs) == {
        "plain krum [krum]", "plain trimmed mean [trimmed mean]", "plain median [median]"
    }  # fmt: skip
    assert differs["plain median [median]"] == differs["plain krum [krum]"] == 0
    assert differs["plain trimmed mean [trimmed mean]"] < 1e-7


@pytest.mark.parametrize("page", [PAGE, README], ids=["chapter", "readme"])
def test_the_settings_that_pages_name_exist(page):
    told = re.findall(r"""--run-config '([^']*)'""", page)
    assert told
    for text in told:
        for name in re.findall(r"([\w-]+)=", text):
            assert name in SETTINGS, name


def test_the_tree_of_the_readme_is_the_folder():
    tree = re.search(r"```\nflower\n(.*?)```", README, re.S)[1]
    named = set(re.findall(r"[\w.]+\.(?:py|toml|md)|LICENSE", tree))
    folder = ROOT / "examples" / "flower"
    there = {
        path.name for path in folder.rglob("*") if path.is_file() and "pycache" not in str(path)
    }
    assert there - {"__init__.py"} == named


def test_the_app_has_this_repository_s_licence():
    assert (ROOT / "examples/flower/LICENSE").read_text("utf-8") == (ROOT / "LICENSE").read_text(
        "utf-8"
    )


def test_the_overhead_of_a_small_round_is_measured(capsys, tmp_path):
    rows = overhead.everything(10, 2000, 1, ["FedMedian", "plain median"])
    assert [row["differs"] for row in rows] == [None, 0.0]
    assert all(row["low_s"] > 0 and row["peak_mb"] > 0 for row in rows)
    overhead.write({"rows": rows, "k": 10}, tmp_path / "flower.json")
    (header, first, _) = (tmp_path / "flower.csv").read_text("utf-8").splitlines()
    assert header.startswith("strategy,seconds")
    assert first.startswith("Flower FedMedian [median],")
    assert "plain median" in capsys.readouterr().out
