"""What is remembered of a round, in memory and as lines of a file."""

import json

import pytest

from pdrr.serving.verdict import Ledger, Verdict


def test_a_line_holds_everything_and_keeps_every_digit_of_an_id():
    big = 2**64 - 1
    verdict = Verdict(
        3, (4, big), (float("nan"), 1.0), flagged=(big,), refused={big: "is\nno model"},
        failed={9: "died"}, missing=(8,), notes=("a note",), seconds=0.25,
        partitions={4: 0}, truth={4: False, big: True},
    )  # fmt: skip
    line = verdict.line()
    assert "\n" not in line
    told = json.loads(line)
    assert told["nodes"] == ["4", str(big)]
    assert told["scores"] == [None, 1.0]
    assert told["refused"] == {str(big): "is\nno model"}
    assert told["truth"] == {"4": False, str(big): True}
    assert (told["far"], told["mar"], told["number"]) == (0.0, 0.0, 3)


def test_rates_are_those_of_the_clients_whose_truth_is_known():
    verdict = Verdict(1, (1, 2, 3, 4), (1,) * 4, flagged=(1, 2), truth={1: True, 2: False, 3: True})
    assert (verdict.far, verdict.mar) == (1.0, 0.5)
    assert "far" not in json.loads(Verdict(1, (1,), (0.5,)).line())


def test_a_file_begins_anew_with_each_run_and_grows_a_line_a_round(tmp_path):
    path = tmp_path / "verdicts.jsonl"
    path.write_text("an older run\n", encoding="utf-8")
    ledger = Ledger(path)
    assert path.read_text("utf-8") == "an older run\n"
    for number in (1, 2):
        ledger.add(Verdict(number, (), ()))
        lines = path.read_text("utf-8").splitlines()
        assert [json.loads(line)["number"] for line in lines] == list(range(1, number + 1))


def test_a_path_that_cannot_be_written_is_refused_before_anything_runs(tmp_path):
    for path in (tmp_path, tmp_path / "none" / "verdicts.jsonl"):
        with pytest.raises(ValueError, match="a file in a folder that exists"):
            Ledger(path)
