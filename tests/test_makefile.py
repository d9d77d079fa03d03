"""make hands over what somebody typed as it stands, wherever the checkout lies; a stub computes."""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from helpers.signals import heard

ROOT = Path(__file__).parents[1]
# started by a shell, since what follows "#!" ends at the first space
STUB = f"""#!/bin/sh
'''exec' "{sys.executable}" "$0" "$@"
' '''
import json, os, runpy, sys
words = sys.argv[1:]
if words[:1] == ["-c"] and not words[1]:
    sys.exit(0)
if words and words[0].startswith("scripts/") and "demo" not in words[0]:
    sys.argv = words
    runpy.run_path(words[0], run_name="__main__")
    sys.exit(0)
with open("calls.jsonl", "a", encoding="utf-8") as file:
    file.write(json.dumps(words) + "\\n")
if "page" in words or "reference" in words:
    os.makedirs(os.path.dirname(words[4]), exist_ok=True)
    open(words[4], "w").close()
if words[:1] == ["-c"]:
    folder = words[words.index("--path-output") + 1] + "/_build/html"
    os.makedirs(folder)
    for name in ("index.html", "reference.html"):
        open(f"{{folder}}/{{name}}", "w").close()
        os.path.exists("stop") and sys.exit(1)
"""
ODD = ["plain", "with space", "it's", 'a"b', "a$b", "a;touch X", "a(b)", "a&b", "a`touch X`", "é"]
TYPED = [
    "$(touch X)", "$(shell touch X)", "`touch X`", "a;touch X", "a b", "*", "a:b", "'", '"', "-x",
    "#a", "a%b", "~", "é", "a\\b", "x" * 5000,
]  # fmt: skip


@pytest.fixture
def checkout(tmp_path):
    """A checkout with a notebook or two, in a folder of any name, whose Python is a stub."""

    def made(name="plain"):
        top = tmp_path / name
        for folder in ("notebooks/coursework", "book/records", "pdrr", ".venv/bin"):
            (top / folder).mkdir(parents=True)
        shutil.copytree(ROOT / "scripts", top / "scripts")
        for file in ("Makefile", "_config.yml", "CHANGELOG.md"):
            shutil.copy(ROOT / file, top)
        for file in ("requirements.lock", "pyproject.toml", "book/_toc.yml"):
            (top / file).write_text("", "utf-8")
        for stem in ("fig01", "fig04"):
            (top / f"notebooks/{stem}.ipynb").write_text("{}", "utf-8")
        python = top / ".venv/bin/python"
        python.write_text(STUB, "utf-8")
        python.chmod(0o755)
        (top / ".venv/.ready").write_text(f"{top.resolve()}\n", "utf-8")
        return top

    return made


def make(top, *words, **more):
    # the tests themselves may have been started by make
    outer = ("PROFILE", "DATA", "ARGS", "SUBMISSIONS", "KERAS_BACKEND", "PDRR_CACHE")
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MAKE", "MFLAGS")) and name not in outer
    }
    run = ["make", *words]
    return subprocess.run(
        run, cwd=top, env={**environment, **more}, capture_output=True, text=True, check=False
    )


def calls(top):
    path = top / "calls.jsonl"
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize("data", TYPED)
def test_data_reaches_the_program_as_one_word_and_nothing_runs_it(checkout, data):
    top = checkout()
    done = make(top, "fig04", f"DATA={data}")
    assert done.returncode == 0, done.stderr
    expected = ["-m", "pdrr", "run", "fig04", "--profile", "quick", "--data", data]
    assert calls(top) == [expected]
    assert not (top / "X").exists()


@pytest.mark.parametrize("folder", TYPED)
def test_submissions_reach_the_program_as_one_word_or_from_the_environment(checkout, folder):
    top = checkout()
    assert make(top, "grade", f"SUBMISSIONS={folder}").returncode == 0
    assert make(top, "grade", SUBMISSIONS=folder).returncode == 0
    assert calls(top) == 2 * [["-m", "pdrr", "grade", folder]]
    assert not (top / "X").exists()


@pytest.mark.parametrize(
    "profile", ["", "../../x", "quick paper", "Quick", "$(shell touch X)", "quick;touch X"]
)
def test_an_unknown_profile_is_refused_in_a_line(checkout, profile):
    top = checkout()
    done = make(top, "fig04", f"PROFILE={profile}")
    assert done.returncode == 2
    assert "PROFILE needs smoke, quick or paper, got '" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (top / "X").exists()


def test_args_are_words_and_quotes_keep_them_together(checkout):
    top = checkout()
    make(top, "fig04", "ARGS=-p c 15 -p data 'a b' -p x $(touch X)`touch X`")
    (words,) = calls(top)
    assert words[8:] == [
        "-p",
        "c",
        "15",
        "-p",
        "data",
        "a b",
        "-p",
        "x",
        "$(touch",
        "X)`touch",
        "X`",
    ]
    assert not (top / "X").exists()
    done = make(top, "fig04", "ARGS=-p c 'open")
    assert "ARGS needs words and closed quotes, got" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ODD)
def test_the_book_is_built_in_a_folder_of_any_name(checkout, name):
    top = checkout(name)
    done = make(top, "book", "PROFILE=smoke")
    assert done.returncode == 0, done.stderr
    *_, site = calls(top)
    assert site[site.index("--toc") + 1] == f"{top.resolve()}/build/book/_toc.yml"
    assert done.stdout.splitlines()[-1] == (
        f"The book is at file://{top.resolve()}/build/site/_build/html/index.html"
    )
    assert not list(top.rglob("X"))


def test_a_book_that_failed_half_way_is_not_taken_for_one_and_the_old_one_stays(checkout):
    top = checkout()
    (top / "stop").touch()
    assert make(top, "book", "PROFILE=smoke").returncode == 2
    assert not (top / "build/site").exists()
    (top / "stop").unlink()
    assert make(top, "book", "PROFILE=smoke").returncode == 0
    assert (top / "build/site/_build/html/reference.html").exists()
    (top / "stop").touch()
    os.utime(top / "_config.yml")
    assert make(top, "book", "PROFILE=smoke").returncode == 2
    assert (top / "build/site/_build/html/reference.html").exists()


def pages(top):
    """How many pages have been computed so far, and how many sites built."""
    return sum("page" in words for words in calls(top)), sum(w[0] == "-c" for w in calls(top))


def test_pages_are_computed_again_when_what_they_depend_on_has_changed_and_only_then(checkout):
    top = checkout()
    data = top / "leaf"
    (data / "train").mkdir(parents=True)
    (data / "train/a.json").write_text("{}", "utf-8")
    book = ["book", "PROFILE=smoke", f"DATA={data}"]
    make(top, *book)
    assert pages(top) == (2, 1)
    make(top, *book)
    assert pages(top) == (2, 1)
    (data / "train/a.json").write_text("{ }", "utf-8")
    make(top, *book)
    assert pages(top) == (4, 2)
    make(top, *book, KERAS_BACKEND="jax")
    assert pages(top) == (6, 3)
    make(top, "book", "PROFILE=quick", f"DATA={data}", KERAS_BACKEND="jax")
    assert pages(top) == (8, 4)
    make(top, *book, KERAS_BACKEND="jax")
    assert pages(top) == (8, 5)  # the pages of this profile were still there


@pytest.mark.parametrize("file", ["pdrr/a.py", "book/a.md", "book/records/a.csv"])
def test_a_source_put_back_with_an_older_time_makes_a_new_book(checkout, file):
    top = checkout()
    source = top / file
    source.write_text("new", "utf-8")
    make(top, "book", "PROFILE=smoke")
    first = pages(top)
    source.write_text("old", "utf-8")
    os.utime(source, (1e9, 1e9))
    make(top, "book", "PROFILE=smoke")
    assert pages(top)[1] == first[1] + 1
    assert pages(top)[0] == first[0] + (0 if file == "book/a.md" else 2)
    make(top, "book", "PROFILE=smoke")
    assert pages(top)[1] == first[1] + 1


@pytest.mark.parametrize("folder", ["notebooks", "notebooks/coursework"])
def test_a_notebook_put_back_with_an_older_time_is_executed_again_and_no_other(checkout, folder):
    top = checkout()
    source = top / folder / "fig01.ipynb"
    source.write_text("new", "utf-8")
    make(top, "book", "PROFILE=smoke")
    before = len(calls(top))
    source.write_text("old", "utf-8")
    os.utime(source, (1e9, 1e9))
    make(top, "book", "PROFILE=smoke")
    (done,) = [words for words in calls(top)[before:] if {"page", "reference"} & set(words[:3])]
    assert done[2:4] == ["page" if folder == "notebooks" else "reference", "fig01"]
    before = len(calls(top))
    make(top, "book", "PROFILE=smoke")
    assert len(calls(top)) == before


@pytest.mark.parametrize(("file", "again"), [("pdrr/a.py", 1), ("pdrr/book/a.py", 0)])
def test_the_coursework_is_drawn_again_when_a_source_was_put_back(checkout, file, again):
    top = checkout()
    for name in (file, "notebooks/coursework/find.ipynb"):
        (top / name).parent.mkdir(exist_ok=True)
        (top / name).write_text("new", "utf-8")
    make(top, "book", "PROFILE=smoke")
    (top / file).write_text("old", "utf-8")
    os.utime(top / file, (1e9, 1e9))
    make(top, "book", "PROFILE=smoke")
    assert sum("reference" in words for words in calls(top)) == 1 + again


def test_pages_of_a_clock_that_was_ahead_are_made_again(checkout):
    top = checkout()
    make(top, "book", "PROFILE=smoke")
    ahead = time.time() + 86_400
    for path in (top / "build").rglob("*"):
        os.utime(path, (ahead, ahead))
    (top / "notebooks/fig01.ipynb").write_text("{ }", "utf-8")  # now, before what was made of it
    assert make(top, "book", "PROFILE=smoke").returncode == 0
    assert pages(top) == (4, 2)
    make(top, "book", "PROFILE=smoke")
    assert pages(top) == (4, 2)


@pytest.mark.parametrize("trial", range(5))
def test_a_make_that_is_killed_leaves_nothing_that_passes_for_a_book(checkout, trial):
    top = checkout()
    with subprocess.Popen(
        ["make", "book", "PROFILE=smoke"], cwd=top, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as killed:  # fmt: skip
        time.sleep(0.1 + 0.12 * trial)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(killed.pid, signal.SIGKILL)
    site = top / "build/site/_build/html"
    assert not site.exists() or (site / "reference.html").exists()
    assert make(top, "book", "PROFILE=smoke").returncode == 0
    assert (site / "reference.html").exists()


def test_a_second_make_waits_for_the_first(checkout):
    top = checkout()
    (top / "build").mkdir()
    with open(top / "build/.lock", "w", encoding="utf-8") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        run = ["make", "book", "PROFILE=smoke"]
        with subprocess.Popen(run, cwd=top, stderr=subprocess.PIPE, text=True) as second:
            assert second.stderr.readline().startswith("another make is at work in this checkout")
            assert calls(top) == []
            fcntl.flock(held, fcntl.LOCK_UN)
            assert second.wait(60) == 0
    assert pages(top) == (2, 1)


def test_a_moved_environment_and_one_whose_python_is_gone_are_not_ready(checkout):
    top = checkout()
    moved = top.rename(top.with_name("moved"))
    make(moved, "help")
    assert not (moved / ".venv/.ready").exists()
    other = checkout("other")
    (other / ".venv/bin/python").unlink()
    (other / ".venv/bin/python").symlink_to("/nowhere/python3")
    make(other, "help")
    assert not (other / ".venv/.ready").exists()


def test_ctrl_c_while_waiting_ends_without_a_traceback(checkout):
    top = checkout()
    (top / "build").mkdir()
    with open(top / "build/.lock", "w", encoding="utf-8") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        run = [sys.executable, "scripts/alone.py", "build/.lock", "true"]
        with heard(), subprocess.Popen(run, cwd=top, stderr=subprocess.PIPE, text=True) as second:
            second.stderr.readline()
            time.sleep(0.1)
            second.send_signal(signal.SIGINT)
            try:
                assert second.wait(30) == 130
                assert "Traceback" not in second.stderr.read()
            finally:
                second.kill()
