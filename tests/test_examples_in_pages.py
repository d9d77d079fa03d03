"""What the pages tell a reader to type: Python that runs and prints so, commands that exist."""

import ast
import importlib.util
import io
import re
import shlex
from contextlib import redirect_stdout
from itertools import pairwise
from pathlib import Path

import papermill
import pytest

from pdrr import config
from pdrr.book import contents

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "book").glob("*.md"))]
TEXTS = {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in PAGES}
# the others show excerpts
SELF_CONTAINED = ("README.md", "book/use.md", "book/federation.md", "book/threshold.md")
NOTEBOOKS = {path.stem: path for path in sorted((ROOT / "notebooks").glob("*.ipynb"))}
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")


def blocks(text, *languages):
    """The fenced blocks of a page in these languages; "" for none."""
    fenced = re.findall(r"^```([^\n]*)\n(.*?)^```$", text, re.M | re.S)
    return [content for language, content in fenced if language in languages]


# Python


def device_at_hand():
    """Whether CuPy is there, and a device for it."""
    if importlib.util.find_spec("cupy") is None:
        return False
    import cupy

    try:
        return cupy.cuda.runtime.getDeviceCount() > 0
    except cupy.cuda.runtime.CUDARuntimeError:
        return False


def runnable(block):
    """The block itself; without CuPy or a device, another library stands in for CuPy."""
    if "import cupy\n" in block and not device_at_hand():
        pytest.importorskip("array_api_strict")
        return block.replace("import cupy\n", "import array_api_strict as cupy\n")
    return block


def run(block, names):
    """Run a block in `names`; what each print statement with a comment printed, and the comment."""
    lines = block.encode().splitlines()
    shown = []
    for node in ast.parse(block).body:
        printed = io.StringIO()
        with redirect_stdout(printed):
            exec(compile(ast.Module([node], []), "<page>", "exec"), names)
        rest = lines[node.end_lineno - 1][node.end_col_offset :].decode()
        comment = re.fullmatch(r"\s*#\s*(.*)", rest)
        if comment and ast.unparse(node).startswith("print("):
            shown.append((" ".join(printed.getvalue().split()), " ".join(comment[1].split())))
    return shown


@pytest.mark.parametrize("page", SELF_CONTAINED)
def test_the_python_of_a_page_runs_and_prints_what_it_says(page):
    names, shown = {}, []
    for block in blocks(TEXTS[page], "python"):
        shown += run(runnable(block), names)
    assert shown, "no print has a comment that says what it prints"
    for printed, promised in shown:
        assert printed == promised


def test_arrays_of_another_library_come_back_as_what_they_were():
    names = {}
    *before, last = blocks(TEXTS["book/use.md"], "python")
    assert "cupy" in last
    for block in (*before, last):
        run(runnable(block), names)
    theirs = type(names["received"].clients)
    assert theirs.__module__.split(".")[0] in ("cupy", "array_api_strict")
    assert type(names["model"]) is type(names["detection"].flagged) is theirs


# commands


def commands(text):
    """Commands of make, in blocks for a shell and within sentences."""
    lines = re.findall(r"^make .*", "\n".join(blocks(text, "", "bash")), re.M)
    inline = re.findall(r"`(make\s[^`]*)`", text)
    told = [shlex.join(shlex.split(line, comments=True)) for line in (*lines, *inline)]
    return list(dict.fromkeys(told))


EXPORTED = set(re.search(r"^export ([A-Z ]+)$", MAKEFILE, re.M)[1].split())
COMMANDS = [(page, command) for page, text in TEXTS.items() for command in commands(text)]
TARGETS = {
    target
    for line in re.findall(r"^([a-z][\w -]*):(?!=)", MAKEFILE, re.M)
    for target in line.split()
} | set(contents.sections(ROOT / contents.TOC))


@pytest.mark.parametrize(("page", "command"), COMMANDS)
def test_commands_name_targets_and_parameters_that_exist(page, command):
    words = shlex.split(command)[1:]
    given = dict(word.split("=", 1) for word in words if "=" in word)
    targets = [word for word in words if "=" not in word]
    for target in targets:
        assert target in TARGETS or target in NOTEBOOKS, f"{page}: no target {target}"
    for name in given:
        assert name in EXPORTED, f"{page}: no variable {name}"
    assert given.get("PROFILE", "quick") in config.PROFILES, page
    for flag, name in pairwise(shlex.split(given.get("ARGS", ""))):
        if flag == "-p":
            known = papermill.inspect_notebook(str(NOTEBOOKS[targets[0]]))
            assert name in known, f"{page}: {targets[0]} has no parameter {name}"


def test_commands_are_found():
    assert {"README.md", "book/rerun.md", "book/instructors.md"} <= {page for page, _ in COMMANDS}
    assert {"book", "test", "check", "record", "sec5"} <= TARGETS
    told = [command for page, command in COMMANDS if page == "README.md"]
    assert any("-p beta 10" in command for command in told)


@pytest.mark.parametrize("page", [page for page in TEXTS if page.startswith("book/")])
def test_a_comment_stands_above_its_command_where_a_phone_would_break_the_line(page):
    assert re.findall(r"^[^#\n]*\S +# .*", "\n".join(blocks(TEXTS[page], "", "bash")), re.M) == []


@pytest.mark.parametrize("page", TEXTS)
def test_pages_name_tests_that_exist(page):
    for path in re.findall(r"pytest (\S+\.py)", TEXTS[page]):
        assert (ROOT / path).is_file(), path
