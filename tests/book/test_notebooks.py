"""Notebooks: clean, agreeing with the code and the book, and safe to run with other parameters."""

import ast
import json
import os
import re
import shutil
import sys
from pathlib import Path

import nbformat
import papermill
import pytest
import yaml
from bs4 import BeautifulSoup

from helpers import miniature
from helpers.made_up import evaluation_records, timing_records
from pdrr import config, experiments
from pdrr.book import contents, figures, notebooks, sketches, tables
from pdrr.cli.main import main
from pdrr.core.files import RECORDED
from pdrr.core.rules import DEFENDED
from pdrr.experiments import attacking, scene
from pdrr.experiments.alone import detection
from pdrr.experiments.records import Records, recorded
from pdrr.federation.graph import GraphTrainer
from pdrr.federation.store import Store

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "notebooks"
PATHS = sorted(FOLDER.glob("*.ipynb"))
FIGURES = [path for path in PATHS if path.stem.startswith("fig")]
TABLES = [path for path in PATHS if path.stem.startswith("table")]
COMPARED = {"table1", "table2", "table2b"}
DRAW = "figures|sketches|in_passing|over_rounds|performance|roofline|ranks|cotrimming"
RECORDED_FOR = {  # the rest shows its own recordings, or none
    "fig01": set(),
    "fig08": {"table1"},
    "fig09": {"table2"},
    "fig10": {"table2b"},
    "fig11": COMPARED,
    **{stem: {stem, "refits"} for stem in COMPARED},
    "table3": {"table3", "coordinates"},
    "table4": {*COMPARED, "table3"},
}


def stems(paths):
    return [path.stem for path in paths]


@pytest.fixture(params=PATHS, ids=stems(PATHS))
def path(request):
    return request.param


@pytest.fixture(params=FIGURES, ids=stems(FIGURES))
def figure(request):
    return request.param


@pytest.fixture(params=TABLES, ids=stems(TABLES))
def table(request):
    return request.param


@pytest.fixture(params=FIGURES + TABLES, ids=stems(FIGURES + TABLES))
def page(request):
    """A figure or a table of the paper."""
    return request.param


def read(path):
    return nbformat.read(path, as_version=4)


def code(path):
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def parameters(path):
    return [cell for cell in code(path) if "parameters" in cell.metadata.get("tags", [])]


def python(cell):
    """The cell's source without magics."""
    return "\n".join(line for line in cell.source.splitlines() if not line.startswith("%"))


# as they lie in the repository


def test_there_are_notebooks():
    assert stems(FIGURES) == [f"fig{number:02}" for number in range(1, 12)]
    assert stems(TABLES) == ["table1", "table2", "table2b", "table3", "table4"]
    assert len(PATHS) > len(FIGURES + TABLES)


def test_notebooks_are_valid_and_hold_no_results(path):
    notebook = read(path)
    nbformat.validate(notebook)
    for cell in code(path):
        assert cell.outputs == []
        assert cell.execution_count is None
    assert notebook.metadata.kernelspec.name == "python3"
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)


def test_cells_are_short_and_only_show(path):
    first = read(path).cells[0]
    assert first.cell_type == "markdown"
    assert first.source.startswith("# ")
    for cell in read(path).cells:
        assert len(cell.source.splitlines()) <= 10, cell.source
    defined = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    for cell in code(path):
        assert not [node for node in ast.walk(ast.parse(python(cell))) if isinstance(node, defined)]


def test_a_figure_has_words_before_and_after_it(figure):
    cells = read(figure).cells
    shown = [i for i, cell in enumerate(cells) if f".{figure.stem}(" in cell.source]
    for words in ("**What it shows.**", "**What it does not.**"):
        assert words in "".join(c.source for c in cells[shown[0] :])
    for i in shown:
        assert len(cells[i].metadata["mystnb"]["image"]["alt"]) > 30
    assert f".{figure.stem}(records)" in cells[shown[-1]].source  # of this page's parameters


def test_what_is_recorded_comes_first_then_the_reader_s_own_run(page):
    """Box, recorded figure or table, words, then parameters and what they change."""
    cells = read(page).cells
    where = {
        name: next(i for i, cell in enumerate(cells) if found in cell.source)
        for name, found in {
            "run": "## Run it yourself",
            "parameters": "profile: str",
            "fresh": " = experiments.",
            "origin": "## Where this comes from",
        }.items()
    }
    boxed = [i for i, cell in enumerate(cells) if "boxes.box(" in cell.source]
    assert boxed == ([] if page.stem == "fig01" else [1])
    assert f"make {page.stem} ARGS=" in cells[where["run"]].source
    if page.stem == "fig01":  # nothing recorded to show: it would be people's handwriting
        assert where["parameters"] < where["fresh"] < where["run"] < where["origin"]
    else:
        first = next(i for i, cell in enumerate(cells) if "paper_scale = " in cell.source)
        assert first < where["run"] < where["parameters"] < where["fresh"] < where["origin"]
    assert cells[-1].source.startswith("provenance(")


def test_no_cell_has_a_toggle_of_its_own(path):
    """Their code is in one fold: book/_ext/notebook_pages.py."""
    for cell in code(path):
        assert not {"hide-input", "remove-input"} & set(cell.metadata.get("tags", []))


def test_the_title_of_a_page_says_what_was_found(page):
    title = read(page).cells[0].source.splitlines()[0]
    number = int(re.findall(r"\d+", page.stem)[0])
    kind = "Figure" if page in FIGURES else "Table"
    assert re.match(rf"# {kind} {number}b?: [\w ,]", title)
    if page.stem != "fig01":  # shows a round; nothing is found
        assert f"<!-- holds: title-{page.stem} -->" in title


def test_every_figure_has_its_description_and_brings_its_numbers(path):
    for cell in code(path):
        alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
        if alt:
            last = cell.source.splitlines()[-1]
            assert len(alt) > 20, cell.id
            assert re.match(rf"({DRAW})\.\w+\(|(strip|of|error_by_q)\(", last), last


def test_every_table_has_a_caption(path):
    for cell in code(path):
        last = ast.parse(python(cell)).body[-1] if python(cell).strip() else None
        call = getattr(last, "value", None)
        words = ast.unparse(call) if isinstance(last, ast.Expr) else ""
        if re.search(r"_table\b", words) and "HTML(" not in words:
            assert cell.metadata["pdrr"]["caption"], cell.id


def test_a_table_has_words_before_and_after_it(table):
    cells = read(table).cells
    words = [i for i, cell in enumerate(cells) if "**What it shows.**" in cell.source]
    shown = [i for i, cell in enumerate(cells) if re.search(r"^tables\.\w+\(", cell.source, re.M)]
    assert shown[0] < words[0] < shown[-1]
    assert "**What it does not.**" in cells[words[0]].source


def test_what_is_recorded_says_on_which_data(page):
    for cell in code(page):
        if "recorded(" in cell.source and "paper_scale =" in cell.source:
            assert "captions.caption(" in cell.source


def test_every_figure_is_shown_in_the_same_way():
    magics = {
        tuple(line for cell in code(figure) for line in cell.source.splitlines() if line[:1] == "%")
        for figure in FIGURES
    }
    assert len(magics) == 1, magics  # without the inline backend a figure is a line of text


def test_papermill_reads_every_parameter(page, capfd):
    (cell,) = parameters(page)
    written = ast.parse(cell.source).body
    found = papermill.inspect_notebook(str(page))
    assert capfd.readouterr().err == ""
    assert all(isinstance(statement, ast.AnnAssign) for statement in written)
    assert list(found) == [statement.target.id for statement in written]
    assert {"profile", "data", "seed"} <= set(found)
    for entry in found.values():
        default = ast.literal_eval(entry["default"])
        assert type(default).__name__ == entry["inferred_type_name"]
    for line in cell.source.splitlines():
        assert line.count("=") == 1, f"papermill cannot parse {line!r}"


# one stem everywhere


def test_each_figure_has_one_function_and_each_function_a_notebook():
    drawn = [name for module in (figures, sketches) for name in vars(module)]
    functions = sorted(name for name in drawn if re.fullmatch(r"(fig|table)\d+\w*", name))
    assert functions == stems(FIGURES)


def recordings_of(page):
    return set(re.findall(r"recorded\(\"(\w+)\"", "\n".join(cell.source for cell in code(page))))


def test_a_figure_calls_its_own_function(figure):
    source = "\n".join(cell.source for cell in code(figure))
    calls = re.findall(r"(?:figures|sketches)\.((?:fig|table)\d+)\(", source)
    assert set(calls) == {figure.stem}


def test_a_page_shows_its_own_recordings(page):
    assert recordings_of(page) == RECORDED_FOR.get(page.stem, {page.stem})


def test_the_book_lists_every_notebook_once():
    contents = (ROOT / "book" / "_toc.yml").read_text("utf-8")
    yaml.safe_load(contents)
    assert sorted(re.findall(r"file: notebooks/(\w+)$", contents, re.M)) == stems(PATHS)


# sections of the paper


def test_the_sections_hold_every_figure_and_table_once():
    found = contents.sections(ROOT / contents.TOC)
    assert list(found) == ["sec2", "sec3", "sec4", "sec5"]
    assert found["sec4"] == ["fig04", "fig05", "fig06", "fig07"]
    ours = ["every_round", "thresholds"]  # no figure of the paper's, but about its evaluation
    every = [stem for pages in found.values() for stem in pages]
    assert sorted(every) == sorted([*stems(FIGURES + TABLES), *ours])


def test_make_offers_the_sections_that_the_book_has():
    makefile = (ROOT / "Makefile").read_text("utf-8")
    (offered,) = re.findall(r"^SECTIONS := (.*)$", makefile, re.M)
    assert offered.split() == list(contents.sections(ROOT / contents.TOC))


def test_a_page_is_in_its_section_once_the_book_lists_it(tmp_path):
    toc = yaml.safe_load((ROOT / contents.TOC).read_text("utf-8"))
    (part,) = [part for part in toc["parts"] if part["caption"] == contents.PART]
    (chapter,) = [each for each in part["chapters"] if each["file"] == "attacks"]
    chapter["sections"].append({"file": "notebooks/another"})
    (tmp_path / "toc.yml").write_text(yaml.safe_dump(toc), "utf-8")
    assert contents.stems("sec3", tmp_path / "toc.yml") == ["fig02", "fig03", "another"]


def test_a_name_is_a_section_or_a_notebook_s_stem():
    assert contents.stems("fig04") == contents.stems("fig04", Path("nowhere")) == ["fig04"]
    with pytest.raises(ValueError, match=r"no section 'sec9' in .*_toc.yml, .* sec2, .*, sec5$"):
        contents.stems("sec9", ROOT / contents.TOC)


def test_committed_records_serve_every_notebook():
    quick = {"refits"}
    for stem in set().union(*map(recordings_of, FIGURES + TABLES)) - quick:
        found = Records.load(ROOT / RECORDED / "paper", stem)
        assert found.provenance["d"] == 6_603_710
        assert not found.provenance["synthetic"]


# what is prepared is what is asked for


def test_the_rules_of_a_notebook_are_those_it_calls(page):
    needs = read(page).metadata["pdrr"]
    called = {"detection": [], "rounds": [], "one_round": [], "timing": []}
    for cell in code(page):
        for node in ast.walk(ast.parse(python(cell))):
            name = getattr(getattr(node, "func", None), "attr", "")
            if name in called:
                called[name].append([ast.literal_eval(rule) for rule in node.args])
    assert called["detection"] in ([], [needs.get("train")])
    assert [rule for (rule,) in called["rounds"] + called["one_round"]] == needs.get("evaluate", [])
    if called["timing"]:
        assert {*needs.get("train", []), *needs.get("evaluate", [])} == set(DEFENDED)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def test_everything_is_computed_before_the_kernel_starts(page, cache, monkeypatch):
    """With other values than the profile's: a wrong rule, c or beta computes other rounds."""
    monkeypatch.setenv("PDRR_CACHE", str(cache))
    miniature.use(monkeypatch)
    wanted = {"number": "2", "c": "5", "beta": "12", "rule": "krum", "knowledge": "full"}
    known = papermill.inspect_notebook(str(page))
    given = [(name, text) for name, text in wanted.items() if name in known]
    values = notebooks.parse(page, {"profile": "smoke"}, given)
    notebooks.prepare(page, values)

    def compute(*_arguments, **_options):
        raise AssertionError(f"{page.stem} computes what was not prepared")

    def timing(*, profile, source, seed, c, beta, **_options):
        chosen = scene.settings(profile, source, seed, c=c, beta=beta)
        for rule in DEFENDED:
            miniature.honest_round(chosen, rule, 1, Store())
        return timing_records()

    monkeypatch.setattr(GraphTrainer, "train", compute)
    monkeypatch.setattr(scene, "attacked", attacking.attacked if page in FIGURES[:7] else compute)
    monkeypatch.setattr(experiments, "timing", timing)
    names = dict(values)
    for cell in code(page):
        if "parameters" not in cell.metadata.get("tags", []):
            exec(python(cell), names)
        if "records" in names:
            break
    runs = names["records"].runs
    if "number" in known:
        assert (runs["round"] == 2).all()
    if "c" in known and page.stem != "table3":
        assert (runs["c"] == 5).all()


# parameters from a command line

FIG04 = FOLDER / "fig04.ipynb"


def test_defaults_are_replaced_and_converted():
    values = notebooks.parse(FIG04, {"profile": "smoke"}, [("c", "15"), ("q", "0.48")])
    assert values == {
        "profile": "smoke",
        "data": "glyphs",
        "seed": 1,
        "number": 1,
        "knowledge": "full",
        "c": 15,
        "noise": "ball",
        "q": 0.48,
    }
    kinds = [type(value) for value in values.values()]
    assert kinds == [str, str, int, int, str, int, str, float]


def test_what_every_notebook_is_given_is_left_out_where_it_has_no_use():
    assert notebooks.parse(FOLDER / "verdicts.ipynb", {"profile": "smoke"}, []) == {}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("nope", "1", "fig04 has no parameter 'nope', it has: profile, data, seed, .*, q$"),
        ("c", "many", "fig04: c needs .*int.*, got 'many'"),
        ("c", "1.5", "fig04: c needs .*int.*, got '1.5'"),
        ("q", "high", "fig04: q needs .*float.*, got 'high'"),
    ],
)
def test_unknown_names_and_wrong_types_are_refused(name, text, message):
    with pytest.raises(ValueError, match=message):
        notebooks.parse(FIG04, {}, [(name, text)])


def test_an_unknown_notebook_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"no notebook 'fig99' in .*, which has: .*fig01, fig02"):
        notebooks.find(FOLDER, "fig99")


def test_the_command_of_a_page_names_what_differs_from_its_defaults():
    always = {"profile": "smoke", "data": "some/where/letters.npz"}
    plain = notebooks.parse(FIG04, always, [])
    assert notebooks.command(FIG04, plain) == "make fig04 PROFILE=smoke DATA=letters.npz"
    given = notebooks.parse(FIG04, always, [("c", "15"), ("q", "0.48"), ("knowledge", "partial")])
    assert notebooks.command(FIG04, given) == (
        'make fig04 PROFILE=smoke DATA=letters.npz ARGS="-p knowledge partial -p c 15"'
    )
    assert notebooks.command(FOLDER / "verdicts.ipynb", {}) == "make verdicts"


# execution


def test_a_table_with_two_header_lines_is_printed_with_one():
    html = tables.rates_table(evaluation_records(schemes=["PDRR"])).to_html()
    text = notebooks._as_text(BeautifulSoup(html, "html.parser").table)
    header, _, row, caption = text.splitlines()
    assert re.split("  +", header) == ["round (one seed)", "FAR 1", "FAR 2", "MAR 1", "MAR 2"]
    assert re.split("  +", row.strip()) == ["PDRR", "0.51", "0.51", "0.10", "0.20"]
    assert caption == "One seed."


@pytest.fixture
def top(tmp_path, cache, monkeypatch):
    """A top folder with the notebooks, a small data set, and nothing built yet."""
    shutil.copytree(FOLDER, tmp_path / "notebooks")
    miniature.write_npz(tmp_path / "letters.npz", 60)
    monkeypatch.setenv("PDRR_CACHE", str(cache))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def words(text):
    return " ".join(text.split())


def test_fig04_runs_from_the_command_line(top, capsys):
    run = detection("krum", profile="smoke", source="letters.npz", c=10)
    run.save(RECORDED / "paper", "fig04")
    assert len(recorded("fig04").runs) == 1
    arguments = ["run", "fig04", "--profile", "smoke", "--data", "letters.npz", "-p", "c", "12"]
    with pytest.raises(SystemExit) as end:
        main(arguments)
    shown = capsys.readouterr()
    assert end.value.code == 0, shown.err
    results = top / "build" / "runs" / "smoke"
    files = [f"{number}.{ending}" for number in (1, 2) for ending in ("csv", "png", "svg")]
    names = {"fig04-c=12.ipynb", "fig04-c=12.html", *(f"fig04-c=12-{file}" for file in files)}
    assert {path.name for path in results.iterdir()} == names
    for name in names:
        assert f"wrote build/runs/smoke/{name}" in shown.out
    assert re.search(r"knowledge +c +.* FAR +MAR .*\n-.*\nseed 1 +full +12 +ball", shown.out)
    assert 'again make fig04 PROFILE=smoke DATA=letters.npz ARGS="-p c 12"' in words(shown.out)
    kept = 'again make record PROFILE=paper DATA=letters.npz ARGS="--seeds 1 fig04"'
    assert kept in words(shown.out)
    pictures = [path.read_bytes() for path in sorted(results.glob("*.png"))]
    assert all(picture.startswith(b"\x89PNG") for picture in pictures)
    assert pictures[0] != pictures[1]
    page = (results / "fig04-c=12.html").read_text("utf-8")
    assert page.count('class="pdrr-drawing"') == page.count("<svg ") == 2
    executed = read(results / "fig04-c=12.ipynb")
    assert any("c = 12" in cell.source for cell in executed.cells)
    assert [out for cell in executed.cells for out in cell.get("outputs", [])]


def throw_away(folder):
    """A notebook that fails when it is told to."""
    new = nbformat.v4
    cells = [
        new.new_markdown_cell("# Fails on request"),
        new.new_code_cell("fail: bool = False", metadata={"tags": ["parameters"]}),
        new.new_code_cell("assert not fail, 'on purpose'\nprint('ran')"),
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = new.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    nbformat.write(notebook, folder / "broken.ipynb")
    return folder / "broken.ipynb"


def test_a_failing_notebook_leaves_the_former_result(tmp_path):
    broken = throw_away(tmp_path)
    target = tmp_path / "out" / "page"
    good = notebooks.execute(broken, notebooks.parse(broken, {}, [("fail", "False")]), target)
    assert good == tmp_path / "out" / "page.ipynb"
    former = good.read_bytes()
    (last,) = json.loads(former)["cells"][-1]["outputs"]
    assert last["text"] == ["ran\n"]
    with pytest.raises(ValueError, match=r"^broken, cell \d: AssertionError: on purpose$"):
        notebooks.execute(broken, notebooks.parse(broken, {}, [("fail", "true")]), target)
    assert good.read_bytes() == former
    assert list((tmp_path / "out").iterdir()) == [good]


def test_a_cell_of_a_page_that_writes_to_standard_error_is_refused(tmp_path):
    noisy = throw_away(tmp_path)
    content = read(noisy)
    content.cells[-1].source = "import os, sys, warnings\nwarnings.warn('beware')"
    nbformat.write(content, noisy)
    target = tmp_path / "out" / "noisy"
    with pytest.raises(ValueError, match=r"^broken, cell 2: wrote to standard error: .* beware$"):
        notebooks.execute(noisy, {}, target, page=True)
    assert list((tmp_path / "out").iterdir()) == []
    assert notebooks.execute(noisy, {}, target).exists()


def test_a_bar_writes_nothing_in_a_kernel(tmp_path):
    plain = throw_away(tmp_path)
    content = read(plain)
    content.cells[-1].source = (
        "from pdrr.core.arrays import progress\nfrom time import sleep\n"
        "for _ in progress(range(5), 5): sleep(1)"
    )
    nbformat.write(content, plain)
    executed = read(notebooks.execute(plain, {}, tmp_path / "out" / "plain", page=True))
    assert [out for cell in executed.cells for out in cell.get("outputs", [])] == []


def test_a_kernel_that_dies_is_named(tmp_path):
    dying = throw_away(tmp_path)
    content = read(dying)
    content.cells[-1].source = "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"
    nbformat.write(content, dying)
    with pytest.raises(ValueError, match=r"^broken: Kernel died$"):
        notebooks.execute(dying, {}, tmp_path / "out" / "dying")


def test_no_kernelspec_start_up_file_or_colour_of_a_user_takes_part(tmp_path, monkeypatch):
    plain, home = throw_away(tmp_path), tmp_path / "home"
    spec = home / "share/kernels/python3"
    spec.mkdir(parents=True)
    text = {"argv": ["/nowhere/python"], "display_name": "Mine", "language": "python"}
    (spec / "kernel.json").write_text(json.dumps(text), "utf-8")
    monkeypatch.setenv("JUPYTER_PATH", str(home / "share"))
    monkeypatch.setenv("IPYTHONDIR", str(home / "ipython"))
    start = home / "ipython/profile_default/startup/00.py"
    start.parent.mkdir(parents=True)
    start.write_text("print('hello')\nfail = True", "utf-8")
    colours = home / "matplotlibrc"
    colours.write_text("axes.facecolor: red", "utf-8")
    monkeypatch.setenv("MATPLOTLIBRC", str(colours))
    monkeypatch.setenv("MPLCONFIGDIR", str(home))
    content = read(plain)
    told = "sys.executable, matplotlib.rcParams['axes.facecolor']"
    content.cells[-1].source = f"import sys, matplotlib\nprint({told})"
    nbformat.write(content, plain)
    executed = read(notebooks.execute(plain, {}, tmp_path / "out" / "plain"))
    assert executed.cells[-1].outputs[0].text == f"{sys.executable} white\n"
    assert os.environ["JUPYTER_PATH"] == str(home / "share")
    assert os.environ["IPYTHONDIR"] == str(home / "ipython")
    assert os.environ["MPLCONFIGDIR"] == str(home)
    assert os.environ["MATPLOTLIBRC"] == str(colours)


def test_a_truth_value_is_true_or_false(tmp_path):
    with pytest.raises(ValueError, match="broken: fail needs true or false, got '1'"):
        notebooks.parse(throw_away(tmp_path), {}, [("fail", "1")])


@pytest.mark.parametrize(
    ("stem", "rule"),
    [("fig04", "krum"), ("fig05", "trimmed_mean"), ("fig06", "trimmed_mean"), ("fig07", "median")],
)
def test_a_notebooks_threshold_is_the_profiles(stem, rule):
    default = papermill.inspect_notebook(str(FOLDER / f"{stem}.ipynb"))["q"]["default"]
    assert float(default) == config.load("quick").defense.q[rule]
