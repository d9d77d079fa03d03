"""The project's own rules: requirements, the order of folders, no places."""

import ast
import importlib
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import pdrr

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "pdrr"
MODULES = sorted(PACKAGE.rglob("*.py"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

# Each folder or module may import those before it, and never back; side by side, never each other.
ORDER = (
    ("core",),
    ("types",),
    ("methods",),
    ("aggregators", "metrics"),
    ("attacks", "defenses"),
    ("baselines",),
    ("beyond",),
    ("serving",),
    ("flower", "flare", "files"),
    ("config", "data"),
    ("federation",),
    ("experiments",),
    ("claims",),
    ("book",),
    ("cli",),
)
PLACE = {name: place for place, side_by_side in enumerate(ORDER) for name in side_by_side}
ASIDE = {  # what these may import, beside themselves
    "contracts": {"pdrr.types"},
    "classroom": {f"pdrr.{name}" for name in PLACE if PLACE[name] < PLACE["beyond"]}
    | {"pdrr.data", "pdrr.book.style"},
    "grading": {"pdrr.core.files"},
    "__init__": {f"pdrr.{name}" for name in PLACE if PLACE[name] < PLACE["baselines"]},
    "__main__": {"pdrr.cli"},
}


def dotted(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


@pytest.fixture(params=MODULES, ids=map(dotted, MODULES))
def module(request):
    return request.param


def imports(path, *, at_start=False):
    """Full names of what a module imports; `at_start` leaves out imports within functions.

    Imports for annotations only do not count.
    """
    found = set()
    nodes = [ast.parse(path.read_text("utf-8"))]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if at_start and isinstance(node, (ast.FunctionDef, ast.Lambda)):
            continue
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: relative import"
            found |= {f"{node.module}.{name.name}" for name in node.names}
        nodes += ast.iter_child_nodes(node)
    return found


# requirements


def requirements(*extras):
    listed = list(PROJECT["dependencies"])
    for extra in extras:
        listed += PROJECT["optional-dependencies"][extra]
    return sorted(listed)


def test_conda_users_get_the_same_requirements():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))
    (pip,) = [part["pip"] for part in environment["dependencies"] if isinstance(part, dict)]
    assert sorted(pip) == requirements(
        "kernels", "experiments", "docs", "flower", "data", "coursework", "test", "gpu"
    )
    plain = [part for part in environment["dependencies"] if isinstance(part, str)]
    assert f"python{PROJECT['requires-python']}" in plain


def test_the_lock_pins_every_requirement_with_hashes():
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    pinned = dict(re.findall(r"^([\w.-]+)==(\S+)[^\n]*\\\n    --hash=sha256:", lock, re.M))
    for text in requirements(
        "kernels", "experiments", "docs", "flower", "data", "coursework", "test"
    ):
        wanted = Requirement(text)
        version = pinned.get(canonicalize_name(wanted.name))
        assert version is not None, f"{text}: make lock"
        assert wanted.specifier.contains(version), f"{text} is pinned to {version}: make lock"


def test_the_version_is_the_same_everywhere():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert PROJECT["version"] == pdrr.__version__ == str(citation["version"])


def test_the_changelog_knows_the_version():
    assert PROJECT["version"] in (ROOT / "CHANGELOG.md").read_text("utf-8")


# the order of folders


def inside(path):
    """The folder or module of the package that a file belongs to."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def ours(path, **how):
    return {name for name in imports(path, **how) if name.startswith("pdrr.")}


def test_every_module_has_its_place():
    assert {inside(path) for path in MODULES} <= {*PLACE, *ASIDE}
    assert {name for name in PLACE if name != "beyond"} <= {inside(path) for path in MODULES}


def test_few_modules_lie_at_the_top():
    assert len(list(PACKAGE.glob("*.py"))) <= 12


def test_the_paper_is_read_in_five_files():
    five = ("types", "aggregators", "attacks", "defenses", "metrics")
    texts = [(PACKAGE / f"{name}.py").read_text("utf-8") for name in five]
    assert sum(len(text.splitlines()) for text in texts) <= 1400


def test_imports_go_back_in_the_order_of_folders(module):
    own = inside(module)
    for name in ours(module):
        other = name.split(".")[1]
        if other == own or own == "cli" or (other not in PLACE and other not in ASIDE):
            continue  # or a name of the package itself, such as pdrr.krum
        if own in ASIDE:
            allowed = any(f"{name}.".startswith(f"{each}.") for each in ASIDE[own])
        else:
            allowed = other in PLACE and PLACE[other] < PLACE[own]
        assert allowed, f"{dotted(module)} imports {name}"


def test_no_import_goes_in_a_circle():
    files = {dotted(path).removesuffix(".__init__"): path for path in MODULES}
    needs = {}
    for name, path in files.items():
        wanted = {each if each in files else each.rpartition(".")[0] for each in
                  ours(path, at_start=True)}  # fmt: skip
        needs[name] = {each for each in wanted if each in files} - {name}
    while free := {name for name in needs if not needs[name] & set(needs)}:
        needs = {name: needs[name] for name in needs if name not in free}
    assert not needs, f"these import each other: {sorted(needs)}"


def test_what_is_not_public_is_not_offered(module):
    """Nothing of core, and no name with an underscore, is in anybody's `__all__`."""
    if "\n__all__ = " not in module.read_text("utf-8"):
        return
    assert inside(module) != "core"
    if inside(module) == "flare":
        pytest.importorskip("nvflare", reason="NVIDIA FLARE is not part of the lock")
    package = importlib.import_module(dotted(module).removesuffix(".__init__"))
    for name in package.__all__:
        assert not name.startswith("_")
        assert not getattr(getattr(package, name), "__module__", "").startswith("pdrr.core")


def test_only_core_knows_the_array_libraries(module):
    backends = {"cupy", "array_api_compat", "array_api_strict", "numba"}
    used = {name.split(".")[0] for name in imports(module)} & backends
    assert not used or inside(module) == "core"


def test_only_figures_draw(module):
    drawing = {"matplotlib"} & {name.split(".")[0] for name in imports(module)}
    drawn = module.parent.name in ("book", "classroom")
    assert not drawing or drawn
    if drawing:
        pages = (
            "performance",
            "roofline",
            "thresholds",
            "over_rounds",
            "learning_rates",
            "in_passing",
        )
        commands = ("received",)
        beyond = ("cotrimming", "evasion", "how_many", "matrix", "ranks", "silence", "survival")
        paper = ("style", "drawing", "figures", "sketches", "strip", "suitable")
        assert module.stem in (*paper, *pages, *beyond, *commands)
    else:
        assert not re.search(r"\bplt\.|\bpyplot\b", module.read_text("utf-8"))


def test_keras_is_imported_in_one_place_without_tensorflow_s_start_up_lines(module):
    keras = {"keras", "tensorflow"} & {name.split(".")[0] for name in imports(module)}
    here = module == PACKAGE / "core" / "keras.py"
    assert keras == ({"keras", "tensorflow"} if here else set())


def test_no_error_is_caught_blindly(module):
    for node in ast.walk(ast.parse(module.read_text("utf-8"))):
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None
            caught = {name.id for name in ast.walk(node.type) if isinstance(name, ast.Name)}
            assert not caught & {"Exception", "BaseException"}


def test_no_global_seed_is_set(module):
    assert not re.search(r"random\.seed\(|set_random_seed", module.read_text("utf-8"))


def test_modules_are_read_in_one_sitting(module):
    lines = len(module.read_text("utf-8").splitlines())
    assert lines <= 350
    tree = ast.parse(module.read_text("utf-8"))
    assert ast.get_docstring(tree), "a module says what it is for"


# places


def tracked():
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("needs a git clone")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_text_is_read_and_written_as_utf_8_whatever_the_machine_prefers():
    paths = [path for path in tracked() if path.suffix == ".py"]
    assert len(paths) > 50
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                own = {"read_text": 0, "write_text": 1}.get(node.func.attr)
                said = own is None or len(node.args) > own or node.keywords
                assert said, f"{path}:{node.lineno} needs an encoding"


def test_no_file_names_a_place_on_one_machine():
    places = re.compile("|".join(f"/{name}/" for name in ("work", "home", "root", "Users")))
    paths = tracked()
    assert len(paths) > 50
    for path in paths:
        content = path.read_bytes()
        if b"\0" not in content:
            found = places.search(content.decode("utf-8"))
            assert found is None, f"{path.relative_to(ROOT)}: {found[0]}"
