"""`pdrr detect` and `pdrr aggregate`: what they print, write, and how they end."""

import json
import re

import numpy as np
import pytest
from click.testing import CliRunner

from helpers import made_up_models
from pdrr import PDRR, files
from pdrr.cli import models
from pdrr.cli.main import cli, main
from pdrr.core.rules import DEFENDED

FLAGGED = [f"client-{client}.npz" for client in range(made_up_models.C)]


@pytest.fixture
def top(tmp_path, monkeypatch):
    """A folder with a round and the model that had been sent."""
    monkeypatch.chdir(tmp_path)
    made_up_models.write_round(tmp_path, ".npz")
    return tmp_path


@pytest.fixture
def pdrr(capfd):
    """Run a command in this process: exit code, standard output, standard error."""

    def call(*arguments):
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        return ended.value.code or 0, *capfd.readouterr()

    return call


MEDIAN = ("--rule", "median", "round", "--previous", "previous.npz")


@pytest.mark.usefixtures("top")
def test_the_table_names_everybody_and_the_last_line_the_flagged(pdrr):
    code, out, err = pdrr("detect", *MEDIAN)
    assert (code, err) == (1, "")
    lines = out.splitlines()
    assert lines[0].split() == ["client", "kept", "values", "score"]
    assert [line.split()[0] for line in lines[1:11]] == [f"client-{i}.npz" for i in range(10)]
    assert ["flagged" in line for line in lines[1:11]] == [True] * 3 + [False] * 7
    assert lines[-2] == "note: q = 0.71 is the default, found on other data"
    assert lines[-1] == f"3 of 10 flagged: {', '.join(FLAGGED)}"


@pytest.mark.usefixtures("top")
def test_the_most_suspicious_may_stand_first(pdrr):
    _, out, _ = pdrr("detect", "--rule", "median", "round/", "--previous", "previous.npz", "--sort")
    scores = [float(line.split()[2]) for line in out.splitlines()[1:11]]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.usefixtures("top")
def test_json_says_the_same(pdrr):
    code, out, _ = pdrr("detect", *MEDIAN, "--q", "0.6", "--json")
    found = json.loads(out)
    assert code == 1
    assert found["flagged"] == FLAGGED
    assert (found["q"], found["q_is_default"], found["rule"]) == (0.6, False, "median")
    assert (found["k"], found["d"], found["notes"]) == (10, 200, [])
    with files.survey("round", "previous.npz").read() as observed:
        wanted = PDRR("median", q=0.6).detect(observed)
    assert [client["score"] for client in found["clients"]] == wanted.scores.tolist()
    assert [client["statistic"] for client in found["clients"]] == wanted.statistic.tolist()


def test_models_that_are_not_finite_are_flagged_by_name(top, pdrr):
    np.savez(top / "round" / "client-5.npz", **{
        key: values * (np.nan if values.dtype.kind == "f" else 1)
        for key, values in made_up_models.previous_model(".npz").items()
    })  # fmt: skip
    code, out, _ = pdrr("detect", *MEDIAN, "--json")
    found = json.loads(out)
    assert code == 1
    assert found["notes"] == ["not finite, so flagged: client-5.npz"]
    assert found["clients"][5] == {
        "name": "client-5.npz", "statistic": None, "score": 1.0, "flagged": True,
    }  # fmt: skip


def test_the_exit_code_is_0_where_nobody_is_flagged(top, pdrr):
    rng = np.random.default_rng(0)
    np.save(top / "stack.npy", rng.normal(size=(12, 300)))
    code, out, _ = pdrr("detect", "--rule", "median", "stack.npy", "--previous", "median",
                        "--detector", "improved")  # fmt: skip
    assert code == 0
    assert out.endswith("0 of 12 flagged\n")
    assert "note: the previous model is not known: the round's median stands in for it" in out


@pytest.mark.usefixtures("top")
def test_bars_are_as_long_as_the_scores_and_show_q(pdrr):
    _, out, _ = pdrr("detect", *MEDIAN, "--plot")
    bars = [line for line in out.splitlines() if "|" in line]
    assert len(bars) == 10
    assert all(line.index("|") == bars[0].index("|") for line in bars)
    assert [line.count("#") for line in bars] == [39, 39, 39] + [0] * 7
    for line in bars[3:]:
        assert abs(line.count("-", 10) - 40 * float(line.split()[-1])) <= 1
    assert out.isascii()


def test_a_figure_is_drawn(top, pdrr):
    pdrr("detect", *MEDIAN, "--figure", "scores.svg")
    drawn = (top / "scores.svg").read_text("utf-8")
    assert "<svg" in drawn
    width = float(re.search(r'width="([\d.]+)pt"', drawn)[1])
    assert width <= 5 * 72, "as wide as the figures of the book: a phone shows it whole"
    code, out, err = pdrr("detect", *MEDIAN, "--figure", "scores.txt")
    assert (code, out) == (2, "")
    assert err == "pdrr: a figure needs a name that ends in .png, .svg, .pdf, got scores.txt\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--rule", "krum", "round"), "needs the model that you had sent, --previous FILE, or"
         " --previous median to take the median of the round's models in its place"),
        (("--rule", "krum", "--previous", "median", "gone"), "krum needs c, got none"),
        (("--rule", "krum", "--c", "8", "--previous", "median", "round"),
         "krum needs c >= 0 and k >= c + 3, got c=8 for k=10"),
        (("--rule", "trimmed_mean", "--beta", "5", "--previous", "median", "round"),
         "trimmed_mean needs 0 <= 2*beta < k, got beta=5 for k=10"),
        (("--rule", "median", "--q", "2", "--previous", "p.npz", "round"),
         "PDRR needs q in [0, 1], got 2.0"),
        (("--rule", "median", "--q", "nan", "--previous", "p.npz", "round"),
         "PDRR needs q in [0, 1], got nan"),
        (("--rule", "median", "--previous", "gone.npz", "round"),
         "gone.npz: No such file or directory"),
        (("--rule", "median", "--previous", "median", "round"),
         "PDRR for the median counts where it moved, so it needs the model that you had sent;"
         " the improved detector does without"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("top")
def test_what_is_wrong_is_said_in_one_line_before_a_number_is_read(
    words, message, pdrr, monkeypatch
):
    monkeypatch.setattr(files.Survey, "read", None)
    for command in (("detect",), ("aggregate", "--out", "new.npz")):
        assert pdrr(*command, *words) == (2, "", f"pdrr: {message}\n")


def test_aggregate_writes_the_model_without_the_flagged(top, pdrr):
    code, out, err = pdrr("aggregate", *MEDIAN, "--out", "new/model.npz")
    assert (code, err) == (0, "")
    assert out.splitlines()[-2:] == [
        f"3 of 10 flagged: {', '.join(FLAGGED)}",
        "wrote new/model.npz from the other 7 models",
    ]
    with files.survey("round", "previous.npz").read() as observed:
        wanted, _ = PDRR("median", q=0.71).aggregate(observed)
    written = made_up_models.load(top / "new" / "model.npz")
    np.testing.assert_array_equal(written["dense/kernel"], wanted[:192].reshape(16, 12))
    assert written["batches"] == 106
    before = (top / "new" / "model.npz").read_bytes()
    code, out, err = pdrr("aggregate", *MEDIAN, "--out", "new/model.npz")
    assert (code, out) == (2, "")
    assert err == "pdrr: new/model.npz: exists already (--force writes over it)\n"
    code, out, _ = pdrr("aggregate", *MEDIAN, "--out", "new/model.npz", "--force", "--json")
    assert (code, json.loads(out)["out"]) == (0, "new/model.npz")
    assert (top / "new" / "model.npz").read_bytes() == before


def test_names_that_an_output_cannot_show_do_not_end_a_run(top):
    (top / "round" / "client-0.npz").rename(top / "round" / "J\udcf6rg-é\x1b[2J.npz")
    for form in ((), ("--json",)):
        done = CliRunner(charset="ascii").invoke(cli, ["detect", *MEDIAN, *form])
        assert done.exit_code == 1, done.output
        assert "\x1b" not in done.output
        assert "J\\udcf6rg" in done.output


def test_the_help_tells_exit_codes_rules_and_thresholds():
    text = CliRunner().invoke(cli, ["detect", "--help"]).output
    assert all(f" {code}: " in text for code in (0, 1, 2))
    told = " ".join(text.split())
    thresholds = [f"{rule} {q:.2f}".replace(" 0.", " .") for rule, q in files.THRESHOLDS.items()]
    assert f"[{', '.join(thresholds)}]" in told
    (rule,) = [option for option in models.detect.params if option.name == "rule"]
    assert tuple(rule.type.choices) == DEFENDED
