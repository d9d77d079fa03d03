"""Keras on JAX: precision, models that lie elsewhere, and a recording from start to end."""

import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from helpers import miniature
from pdrr.experiments import cache, provenance, scene
from pdrr.experiments.records import Records
from pdrr.federation import scan
from pdrr.federation.precision import VARIABLE, precision
from pdrr.federation.rounds import Federation
from pdrr.federation.scan import ScanTrainer
from pdrr.federation.store import Store


def run(*words, **environment):
    return subprocess.run(
        [sys.executable, *words],
        env={**os.environ, "KERAS_BACKEND": "jax", **environment},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


@pytest.fixture(scope="module")
def trainer():
    return ScanTrainer(filters=(2, 3), units=8, batch=10, epochs=1, learning_rate=0.1, seed=3)


# precision


def test_products_are_taken_in_float32_unless_tf32_is_asked_for():
    asked = (
        "from pdrr.federation import scan; import jax, os; "
        "print(jax.config.jax_default_matmul_precision, "
        "os.environ['XLA_PYTHON_CLIENT_PREALLOCATE'])"
    )
    assert run("-c", asked).split() == ["highest", "false"]
    assert run("-c", asked, **{VARIABLE: "on"}).split() == ["tensorfloat32", "false"]


def test_a_word_for_the_precision_that_is_none_is_refused(monkeypatch):
    assert precision() == "float32"
    monkeypatch.setenv(VARIABLE, "yes")
    with pytest.raises(ValueError, match="PDRR_TF32 needs on or off, got 'yes'"):
        precision()


def test_rounds_and_records_of_tf32_have_a_place_of_their_own(tmp_path, monkeypatch):
    miniature.use(monkeypatch)
    store, settings, seen = Store(tmp_path), miniature.settings(), []
    monkeypatch.setattr(store, "folder", lambda _, key: seen.append(key) or tmp_path)
    (tmp_path / "run.json").write_text('{"provenance": {}, "runs": []}', "utf-8")
    (tmp_path / "run.csv").write_text("a\n1\n", "utf-8")
    store.save_json(tmp_path / "sha256.json", cache._sums(tmp_path))
    options = {"profile": "smoke", "source": "glyphs", "seed": 1}
    for said in ("off", "on"):
        monkeypatch.setenv(VARIABLE, said)
        federation = Federation(settings, miniature.dataset(), "mean", store)
        del seen[:]
        cache.cached(scene.scene, options, store)
        found = provenance.provenance(settings, miniature.dataset(), 5, 1.0)
        if said == "off":
            assert "precision" not in federation.training_key  # what was cached before is found
            assert "precision" not in seen[-1]
            assert found["precision"] == "float32"
        else:
            assert federation.training_key["precision"] == "TF32"
            assert seen[-1]["precision"] == "TF32"
            assert found["precision"] == "TF32"


# where models lie


class OnGPU:
    """An array of CuPy, as far as a trainer sees it; whoever copies it to the host is found."""

    def __init__(self, values):
        self.values, self.__cuda_array_interface__ = values, {}

    def get(self):
        raise AssertionError("copied to the host")


def test_a_model_on_the_gpu_is_taken_as_it_lies_there(trainer, monkeypatch):
    taken = []
    gpu = SimpleNamespace(from_dlpack=lambda x: taken.append(x) or scan.jnp.asarray(x.values))
    monkeypatch.setattr(scan.jax, "default_backend", lambda: "gpu")
    monkeypatch.setattr(scan.jax, "dlpack", gpu)
    x, y = miniature.dataset().train(0)
    model = OnGPU(trainer.initial)
    np.testing.assert_array_equal(trainer.logits(model, x), trainer.logits(trainer.initial, x))
    found = trainer.train(model, x, y, np.random.default_rng(1))
    same = trainer.train(trainer.initial, x, y, np.random.default_rng(1))
    np.testing.assert_array_equal(found, same)
    assert taken == [model] * 2


def test_images_stay_where_they_are_tried_until_others_come(trainer, monkeypatch):
    (x, _), (other, _) = miniature.dataset().train(0), miniature.dataset().train(1)
    first, second = trainer.logits(trainer.initial, x), trainer.logits(trainer.initial, other)
    assert not np.array_equal(first, second)
    moved = []
    monkeypatch.setattr(
        scan,
        "jnp",
        SimpleNamespace(asarray=lambda a: moved.append(a.ndim) or scan.jax.numpy.asarray(a)),
    )
    for images, expected in ((x, first), (x, first), (other, second), (x, first)):
        np.testing.assert_array_equal(trainer.logits(trainer.initial, images), expected)
    assert moved.count(5) == 3  # parts of images; the models are flat


# a recording


def test_a_recording_is_made_under_jax_from_a_file(tmp_path):
    data = scene.dataset(scene.settings("smoke", "glyphs", 1), Store(tmp_path))
    parts = {name: getattr(data, name) for name in ("images", "labels", "writer", "writer_ids")}
    np.savez(tmp_path / "carried.npz", **parts, split=data.test)
    words = ["-m", "pdrr", "record", "fig07", "--profile", "smoke", "--seeds", "1"]
    words += ["--data", str(tmp_path / "carried.npz"), "--out", str(tmp_path / "records")]
    run(*words, PDRR_CACHE=str(tmp_path / "cache"))
    found = Records.load(tmp_path / "records" / "smoke", "fig07")
    assert len(found.runs) == 4
    assert len(found.table) == 4 * 50
    told = found.provenance
    assert told["sha256"] == data.sha256
    assert told["precision"] == "float32"
    assert "jax" in told["versions"]
    assert "tensorflow" not in told["versions"]
