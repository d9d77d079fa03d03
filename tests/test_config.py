"""Profiles: the paper's numbers in one place, differences elsewhere, mistakes in one line."""

from dataclasses import FrozenInstanceError
from importlib import resources

import pytest
import yaml

from pdrr import config

PAPER = {  # section 5.1; beta is "2 beta = 20"
    "data.writers": 192,
    "model.filters": [32, 64],
    "model.units": 2048,
    "federation.k": 50,
    "federation.c": 20,
    "attack.epsilon": 1e-7,
    "attack.noise": "ball",
    "attack.b": 1.05,
    "defense.beta": 10,
    "evaluation.rounds": [1, 10, 20, 50, 100],  # Fig. 11; the tables leave 10 out
}
OPEN = {  # what the paper leaves open
    "profile": "paper",
    "seed": 1,
    "data.source": "glyphs",
    "data.deduplicate": False,
    "training.batch": 10,
    "training.epochs": 1,
    "training.learning_rate": 0.06,
    "baselines.snapshots": 50,
    "baselines.coordinates": 10_000,
    "baselines.epochs": 200,
    "baselines.samples": 10,
}
THRESHOLDS = {"defense.q.krum", "defense.q.trimmed_mean", "defense.q.median"}  # calibrated


def flat(tree, path=()):
    """A nested mapping with dotted keys."""
    if not isinstance(tree, dict):
        return {".".join(path): tree}
    return {k: v for key, below in tree.items() for k, v in flat(below, (*path, key)).items()}


def profile_file(name):
    return yaml.safe_load(
        resources.files("pdrr").joinpath(f"profiles/{name}.yaml").read_text("utf-8")
    )


def test_the_paper_profile_holds_section_5_1():
    found = flat(config.load("paper").as_dict())
    thresholds = [found.pop(name) for name in THRESHOLDS]
    assert found == PAPER | OPEN
    assert all(0 < q < 1 for q in thresholds)


@pytest.mark.parametrize("name", ["quick", "smoke"])
def test_other_profiles_name_only_what_differs_from_the_paper(name):
    own, paper = profile_file(name), flat(profile_file("paper"))
    assert own.pop("base") == "paper"
    differences = flat(own)
    assert differences
    for key, value in differences.items():
        assert key in paper
        assert value != paper[key], key
    loaded = flat(config.load(name).as_dict())
    assert loaded == {**paper, **differences, "profile": name}


def test_quick_is_the_paper_s_federation_with_a_narrower_network():
    compared = {"baselines.coordinates", "evaluation.rounds"}
    assert set(flat(profile_file("quick"))) == {"base", "model.units"} | compared
    assert config.load("quick").model.units == 512


def test_overrides_change_what_they_name_and_nothing_else():
    before = flat(config.load("smoke").as_dict())
    changes = {"federation.c": 3, "defense.q.median": 0.25, "data.source": "x.npz", "seed": 7}
    assert flat(config.load("smoke", changes).as_dict()) == before | changes
    assert flat(config.load("smoke").as_dict()) == before


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("federation.z", 1, "settings have no key 'federation.z'"),
        ("z.c", 1, "settings have no key 'z.c'"),
        ("z", 1, "settings have no key 'z'"),
        ("seed.c", 1, "settings have no key 'seed.c'"),
        ("defense.q.krumm", 0.5, "settings have no key 'defense.q.krumm'"),
        ("federation.c", "4", "federation.c: input should be a valid integer, got '4'"),
        ("federation.c", 4.0, "federation.c: input should be a valid integer, got 4.0"),
        ("federation.c", True, "federation.c: input should be a valid integer, got True"),
        ("data.source", 3, "data.source: input should be a valid string, got 3"),
        ("data.deduplicate", 1, "data.deduplicate: input should be a valid boolean, got 1"),
        ("federation", 3, "federation: input should be an object, got 3"),
        ("model.filters", [32], "model.filters: .*at least 2.*, got \\[32\\]"),
        ("attack.noise", "x", "attack.noise: input should be 'ball' or 'coordinate', got 'x'"),
        ("seed", -1, "seed: .*greater than or equal to 0, got -1"),
        ("data.writers", 0, "data.writers: .*greater than or equal to 1, got 0"),
        ("federation.c", 0, "federation.c: .*greater than or equal to 1, got 0"),
        ("federation.c", 50, "federation.c needs to be below federation.k=50, got 50"),
        ("federation.k", 2, "federation.k: .*greater than or equal to 3, got 2"),
        ("federation.k", 193, "federation.k needs at most data.writers=192 clients, got 193"),
        ("attack.epsilon", -1.0, "attack.epsilon: .*greater than or equal to 0, got -1.0"),
        ("attack.b", 1.0, "attack.b: .*greater than 1, got 1.0"),
        ("training.learning_rate", 0, "training.learning_rate: .*greater than 0, got 0"),
        ("defense.beta", -1, "defense.beta: .*greater than or equal to 0, got -1"),
        ("defense.q.krum", 1.5, "defense.q.krum: .*less than or equal to 1, got 1.5"),
        ("defense.q.krum", float("nan"), "defense.q.krum: .*, got nan"),
        ("attack.epsilon", float("nan"), "attack.epsilon: .*finite number, got nan"),
        ("attack.b", float("inf"), "attack.b: .*finite number, got inf"),
        ("training.learning_rate", float("inf"), "training.learning_rate: .*finite.*, got inf"),
    ],
)
def test_mistakes_are_one_line_with_what_was_needed_and_given(path, value, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        config.load("quick", {path: value})


def test_several_mistakes_share_the_line():
    with pytest.raises(ValueError, match=r"^federation\.c: [^;\n]+; attack\.b: [^;\n]+$"):
        config.load("smoke", {"federation.c": 0, "attack.b": 0.5})


@pytest.mark.parametrize("name", ["huge", "../paper", "", None])
def test_unknown_profiles_are_refused_with_the_known_ones(name):
    with pytest.raises(ValueError, match=r"^profile needs to be one of smoke, quick, paper, got "):
        config.load(name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("base: paper\ntraining: {momentum: 0.9}", "settings have no key 'training.momentum'"),
        ("base: paper\nrounds: 5", "settings have no key 'rounds'"),
        ("base: paper\ndefense: {q: {mean: 0.5}}", "settings have no key 'defense.q.mean'"),
        ("seed: 1", "settings need the key 'data'.*settings need the key 'evaluation'"),
    ],
)
def test_a_profile_file_is_read_as_strictly(tmp_path, monkeypatch, text, message):
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "paper.yaml").write_text(
        yaml.safe_dump(profile_file("paper")), "utf-8"
    )
    (tmp_path / "profiles" / "quick.yaml").write_text(text, "utf-8")
    monkeypatch.setattr(resources, "files", lambda _package: tmp_path)
    assert config.load("paper").federation.k == 50
    with pytest.raises(ValueError, match=f"^{message}$"):
        config.load("quick")


@pytest.mark.parametrize("path", ["", "data", "model", "training", "federation", "attack"])
def test_settings_are_frozen(path):
    loaded = config.load("smoke")
    node = getattr(loaded, path) if path else loaded
    for name in node.__dataclass_fields__:
        with pytest.raises(FrozenInstanceError):
            setattr(node, name, None)
