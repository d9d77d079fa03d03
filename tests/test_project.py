"""The project's own rules: one list of requirements, rooms, no places of one machine."""

import ast
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

ROOMS = {  # imports go to the same or a lower number
    "types": 0,
    "arrays": 0,
    "distances": 1,
    "kernels": 1,
    "aggregators": 2,
    "leave_one_out": 2,
    "attacks": 2,
    "knowledge": 2,
    "defenses": 2,
    "metrics": 2,
    "data": 3,
    "config": 3,
    "store": 3,
    "models": 3,
    "training": 3,
    "federation": 3,
    "baselines": 3,
    "spectral": 3,
    "records": 4,
    "experiments": 4,
    "schemes": 4,
    "evaluation": 4,
    "scaling": 4,
    "figures": 5,
    "diagrams": 5,
    "dashboard": 5,
    "tables": 5,
    "readings": 5,
    "trials": 5,
    "status": 5,
    "recordings": 5,
    "functionality": 5,
    "measures": 5,
    "verdicts": 5,
    "regenerate": 5,
    "notebooks": 5,
    "performance": 5,
    "stages": 5,
    "classroom": 3,
    "contest": 4,
    "contracts": 4,
    "classroom_figures": 5,
    "coursework": 5,
    "submissions": 5,
    "guard": 5,
    "sandbox": 5,
    "marking": 5,
    "grading": 5,
    "cli": 5,
    "__main__": 5,
}


def room(dotted):
    """The room of ``pdrr.<name>...``."""
    return ROOMS[dotted.split(".")[1]]


def dotted(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


@pytest.fixture(params=MODULES, ids=map(dotted, MODULES))
def module(request):
    return request.param


def imports(path):
    """Full names of what a module imports, at its top or in its functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: relative import"
            found |= {f"{node.module}.{name.name}" for name in node.names}
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
        "kernels", "experiments", "docs", "coursework", "test", "gpu"
    )
    plain = [part for part in environment["dependencies"] if isinstance(part, str)]
    assert f"python{PROJECT['requires-python']}" in plain


def test_the_lock_pins_every_requirement_with_hashes():
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    pinned = dict(re.findall(r"^([\w.-]+)==(\S+)[^\n]*\\\n    --hash=sha256:", lock, re.M))
    for text in requirements("kernels", "experiments", "docs", "coursework", "test"):
        wanted = Requirement(text)
        version = pinned.get(canonicalize_name(wanted.name))
        assert version is not None, f"{text}: make lock"
        assert wanted.specifier.contains(version), f"{text} is pinned to {version}: make lock"


def test_the_version_is_the_same_everywhere():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert PROJECT["version"] == pdrr.__version__ == str(citation["version"])


def test_the_changelog_knows_the_version():
    assert PROJECT["version"] in (ROOT / "CHANGELOG.md").read_text("utf-8")


# rooms


def test_every_module_has_a_room():
    inside = {dotted(path).split(".")[1] for path in MODULES} - {"__init__"}
    assert inside <= set(ROOMS)


def test_imports_go_to_the_same_or_a_lower_room(module):
    if module == PACKAGE / "__init__.py":
        pytest.skip("the front door")
    own = room(dotted(module))
    for name in imports(module):
        if name.startswith("pdrr.") and name.split(".")[1] in ROOMS:
            assert room(name) <= own, f"{dotted(module)} imports {name}"


def test_only_arrays_knows_the_array_libraries(module):
    backends = {"cupy", "array_api_compat", "array_api_strict", "numba"}
    used = {name.split(".")[0] for name in imports(module)} & backends
    assert not used or module == PACKAGE / "arrays.py" or "kernels" in module.parts


DRAWING = ("figures", "diagrams", "performance", "classroom_figures")


def test_only_figures_and_diagrams_draw(module):
    drawing = {"matplotlib", "seaborn"} & {name.split(".")[0] for name in imports(module)}
    assert not drawing or module.stem in DRAWING
    if module.stem not in DRAWING:
        assert not re.search(r"\bplt\.|\bpyplot\b", module.read_text("utf-8"))


def test_only_models_and_training_know_keras(module):
    keras = {"keras", "tensorflow"} & {name.split(".")[0] for name in imports(module)}
    assert not keras or module.stem in ("models", "training", "baselines", "spectral")
    assert "tensorflow" not in keras


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


def test_no_file_names_a_place_on_one_machine():
    places = re.compile("|".join(f"/{name}/" for name in ("work", "home", "root", "Users")))
    paths = tracked()
    assert len(paths) > 50
    for path in paths:
        content = path.read_bytes()
        if b"\0" not in content:
            found = places.search(content.decode("utf-8"))
            assert found is None, f"{path.relative_to(ROOT)}: {found[0]}"
