"""The command line: help for every command, and bad input that ends in one line and code 2."""

import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import numpy as np
import pytest
import yaml

from helpers import miniature
from helpers.signals import heard
from pdrr import __version__, config
from pdrr.cli.main import cli, main
from pdrr.experiments import scene
from pdrr.experiments.records import Records
from pdrr.federation.store import Store

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """A cache with the rounds that the commands below need: nothing but them is under test."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        miniature.use(patch)
        for rule, c, beta in (("krum", 10, None), ("trimmed_mean", 25, 25)):
            chosen = scene.settings("smoke", "letters.npz", 1, c=c, beta=beta)
            miniature.honest_round(chosen, rule, 1, Store(folder))
    return folder


@pytest.fixture(autouse=True)
def top(tmp_path, cache, monkeypatch):
    """A top folder with the notebooks, a small data set and some that are not."""
    monkeypatch.setenv("PDRR_CACHE", str(cache))
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "notebooks", "notebooks")
    Path("book").mkdir()
    shutil.copy(ROOT / "book" / "_toc.yml", "book")
    Path("book/records").symlink_to(ROOT / "book" / "records")  # the boxes judge them
    whole = miniature.write_npz(Path("letters.npz"), 60).read_bytes()
    Path("truncated.npz").write_bytes(whole[: len(whole) // 2])
    Path("text.npz").write_text("images, labels", encoding="utf-8")
    np.savez("incomplete.npz", images=np.zeros((1, 28, 28), np.uint8))
    Path("empty.npz").touch()
    Path("leaf").mkdir()
    return tmp_path


@pytest.fixture
def pdrr(capfd):
    """Run a command in this process: exit code, standard output, standard error."""

    def call(*arguments):
        with pytest.raises(SystemExit) as end:
            main([str(argument) for argument in arguments])
        shown = capfd.readouterr()
        return end.value.code, shown.out, shown.err

    return call


@pytest.mark.parametrize("command", [None, *cli.commands])
def test_help_says_what_a_command_does(pdrr, command):
    code, out, err = pdrr(*filter(None, [command]), "--help")
    assert (code, err) == (0, "")
    assert out.startswith("Usage: ")
    if command is None:
        shown = [name for name, command in cli.commands.items() if not command.hidden]
        assert all(re.search(rf"^  {name} +\w", out, re.M) for name in shown)
    else:
        options = re.findall(r"^  (?:-\w, )?--([\w-]+)", out, re.M)
        assert set(options) >= {
            name.strip("-")
            for parameter in cli.commands[command].params
            for name in parameter.opts
            if name.startswith("--")
        }
        assert cli.commands[command].help.partition("\n")[0].split()[0] in out


def test_the_version_is_the_package_s(pdrr):
    assert __version__ in pdrr("--version")[1]


def test_settings_are_printed_as_they_can_be_read(pdrr):
    code, out, err = pdrr("settings", "--profile", "paper", "--data", "x.npz")
    assert (code, err) == (0, "")
    assert yaml.safe_load(out) == config.load("paper", {"data.source": "x.npz"}).as_dict()


def test_data_describes_what_is_there(pdrr):
    code, out, err = pdrr("data", "--profile", "smoke", "--data", "letters.npz")
    assert (code, err) == (0, "")
    assert f"60 writers, {60 * 14} images" in out
    assert f"train {60 * 13}, test 60" in out


RUN = ("run", "fig04", "--profile", "smoke", "--data", "letters.npz")
BAD = {
    "unknown notebook": (("run", "fig99"), "no notebook 'fig99' in notebooks/, which has: .*fig01"),
    "unknown section": (("run", "sec9"), "no section 'sec9' in book/_toc.yml, which has: sec2, "),
    "unknown parameter of a section": (
        ("run", "sec4", *RUN[2:], "-p", "beta", "5"),
        "fig04 has no parameter 'beta'",
    ),
    "unknown parameter": ((*RUN, "-p", "nope", "1"), "fig04 has no parameter 'nope', it has: "),
    "wrong type": ((*RUN, "-p", "c", "many"), "c needs .*, got 'many'"),
    "unknown profile": (("run", "fig04", "--profile", "huge"), "smoke, quick, paper, got 'huge'"),
    "profile of settings": (("settings", "--profile", "huge"), "smoke, quick, paper, got 'huge'"),
    "c too large": ((*RUN, "-p", "c", "50"), "federation.c needs .* got 50"),
    "c negative": ((*RUN, "-p", "c", "-1"), "federation.c: .*greater than or equal to 1, got -1"),
    "seed negative": ((*RUN, "-p", "seed", "-1"), "seed: .*, got -1"),
    "round 0": ((*RUN, "-p", "number", "0"), "a run needs number >= 1, got 0"),
    "q out of range": ((*RUN, "-p", "q", "1.5"), "q.*1.5"),
    "q is NaN": ((*RUN, "-p", "q", "nan"), "q.*nan"),
    "2 beta = k": (
        ("run", "fig06", *RUN[2:], "-p", "beta", "25", "-p", "c", "25"),
        "beta=25 for k=50",
    ),
    "missing file": (("data", "--data", "gone.npz"), "gone.npz: no such file"),
    "missing folder": (("data", "--data", "gone/leaf"), "gone/leaf"),
    "no data set": (("data", "--data", "letters"), "needs 'glyphs', .* folder .*, got 'letters'"),
    "truncated": (("data", "--data", "truncated.npz"), "truncated.npz: damaged"),
    "not an archive": (("data", "--data", "text.npz"), "text.npz: "),
    "empty file": (("data", "--data", "empty.npz"), "empty.npz: damaged"),
    "incomplete": (("data", "--data", "incomplete.npz"), "incomplete.npz: .*lacks labels"),
    "empty LEAF folder": (("data", "--data", "./leaf"), "leaf"),
    "too few writers": (("data", "--data", "letters.npz"), "has 60: take a larger share"),
    "a folder as a file": (("data", "--data", "folder.npz"), "folder.npz"),
    "no records": (("check", "--records", "nowhere"), "no records in nowhere"),
    "unknown recording": (("record", "fig99", "--profile", "smoke"), "no recording of 'fig99'"),
    "seeds": (("record", "--seeds", "1,x"), "--seeds needs whole numbers like 1,2,3, got '1,x'"),
    "profile of a recording": (("record", "fig02", "--profile", "huge"), "got 'huge'"),
    "page of no data": (
        ("page", "fig04", "--profile", "smoke", "--data", "gone.npz", "out.ipynb"),
        "fig04: gone.npz: no such file",
    ),
    "page of nothing": (("page", "fig99", "out.ipynb"), "no notebook 'fig99'"),
}


@pytest.mark.parametrize(("arguments", "message"), BAD.values(), ids=BAD)
def test_bad_input_ends_in_one_line_and_code_2(pdrr, top, arguments, message):
    Path("folder.npz").mkdir()
    before = sorted(top.rglob("*"))
    code, out, err = pdrr(*arguments)
    assert code == 2
    assert out == ""
    assert re.fullmatch(rf"pdrr: .*{message}.*\n", err), err
    assert sorted(path for path in top.rglob("*") if path.is_file() or path in before) == before


def test_a_missing_atlas_says_how_to_mend_it(pdrr, monkeypatch, top):
    monkeypatch.setenv("PDRR_CACHE", str(top / "fresh"))
    monkeypatch.setattr("pdrr.data.glyphs.ATLAS", top / "gone")
    code, _, err = pdrr("data", "--profile", "smoke")
    assert code == 2
    assert re.fullmatch(r"pdrr: .*gone.*the glyph atlas is missing; reinstall pdrr.*\n", err), err


def test_the_module_behaves_like_the_function():
    done = subprocess.run(
        [sys.executable, "-m", "pdrr", "run", "fig99"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"pdrr: no notebook 'fig99' .*\n", done.stderr)


def test_record_writes_where_it_is_told(pdrr):
    arguments = ("--profile", "smoke", "--data", "letters.npz", "--seeds", "4,5", "--out", "kept")
    code, out, err = pdrr("record", "fig02", *arguments)
    assert (code, err) == (0, "")
    assert "wrote kept/smoke/fig02.csv and .json (2 runs)" in out
    assert Records.load(Path("kept/smoke"), "fig02").runs["seed"].tolist() == [4, 5]


def test_page_writes_the_executed_notebook(pdrr):
    arguments = ("--profile", "smoke", "--data", "letters.npz")
    code, out, err = pdrr("page", "fig01", *arguments, "pages/fig01.ipynb")
    assert (code, err) == (0, "")
    assert re.fullmatch(r"fig01 +\d+\.\d s\n", out)
    assert [path.name for path in Path("pages").iterdir()] == ["fig01.ipynb"]
    assert "image/png" in Path("pages/fig01.ipynb").read_text(encoding="utf-8")


def test_a_section_is_run_notebook_by_notebook(pdrr, monkeypatch):
    done = []

    def execute(notebook, values, target, **_options):
        done.append((notebook.stem, values["profile"], values["seed"], target.name))
        return target

    monkeypatch.setattr("pdrr.book.notebooks.prepare", lambda *_arguments: None)
    monkeypatch.setattr("pdrr.book.notebooks.execute", execute)
    monkeypatch.setattr("pdrr.book.notebooks.report", lambda _target: None)
    code, _, err = pdrr("run", "sec3", "--profile", "smoke", "-p", "seed", "2")
    assert (code, err) == (0, "")
    assert done == [(stem, "smoke", 2, f"{stem}-seed=2") for stem in ("fig02", "fig03")]


CTRL_C = {
    "run": (("run", "fig04"), "pdrr.book.notebooks.prepare"),
    "page": (("page", "fig04", "out.ipynb"), "pdrr.book.notebooks.execute"),
    "record": (("record", "fig02"), "pdrr.experiments.recordings.run"),
    "check": (("check",), "pdrr.experiments.regenerate.recomputed"),
}


@pytest.mark.parametrize(("arguments", "place"), CTRL_C.values(), ids=CTRL_C)
def test_ctrl_c_ends_in_one_line_and_code_130(pdrr, monkeypatch, arguments, place):
    def pressed(*_arguments, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr("pdrr.book.notebooks.prepare", lambda *_arguments: None)
    monkeypatch.setattr(place, pressed)
    assert pdrr(*arguments) == (130, "", "pdrr: interrupted\n")


def test_a_notebook_that_runs_is_interrupted_with_its_kernel():
    cell = "from pathlib import Path; Path('started').touch(); from time import sleep; sleep(600)"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell)])
    nbformat.write(notebook, "notebooks/slow.ipynb")
    command = [sys.executable, "-m", "pdrr", "page", "slow", "out.ipynb"]
    with heard(), subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as run:
        try:
            waiting_until = time.monotonic() + 60
            while not Path("started").exists():
                assert run.poll() is None
                assert time.monotonic() < waiting_until
                time.sleep(0.1)
            run.send_signal(signal.SIGINT)
            _, err = run.communicate(timeout=60)
        finally:
            run.kill()
    assert (run.returncode, err) == (130, "pdrr: interrupted\n")
    assert not Path("out.ipynb").exists()
