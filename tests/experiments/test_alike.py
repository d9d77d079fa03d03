"""Data sets made alike, and the round that they give."""

import numpy as np
import pytest

from helpers import miniature
from pdrr import experiments
from pdrr.experiments import alike

RNG = np.random.default_rng


def test_half_mixed_keeps_half_of_each_writer_s_training_images_and_all_test_images():
    data = miniature.dataset(12)
    new = alike.mixed(data, 0.5, RNG(1))
    same = (new.images == data.images).all(axis=(1, 2))
    assert same[data.test].all()
    for name in ("writer", "test", "writer_ids"):
        np.testing.assert_array_equal(getattr(new, name), getattr(data, name))
    for writer in range(12):
        kept = same[(data.writer == writer) & ~data.test].sum()
        assert kept >= miniature.TRAINED - round(0.5 * miniature.TRAINED)
    # what came in is somebody's training image with its own label
    pool = {(image.tobytes(), label) for image, label in _training(data)}
    assert all((image.tobytes(), label) in pool for image, label in _training(new))
    assert 0.4 < 1 - same[~data.test].mean() <= 0.5
    assert new.sha256 != data.sha256


def _training(data):
    return zip(data.images[~data.test], data.labels[~data.test], strict=True)


def test_nothing_mixed_is_the_same_data_and_a_seed_mixes_always_alike():
    data = miniature.dataset(12)
    assert alike.mixed(data, 0.0, RNG(1)).sha256 == data.sha256
    assert alike.mixed(data, 1.0, RNG(1)).sha256 == alike.mixed(data, 1.0, RNG(1)).sha256
    assert alike.mixed(data, 1.0, RNG(1)).sha256 != alike.mixed(data, 1.0, RNG(2)).sha256


def test_a_clone_trains_on_the_images_of_the_original():
    data = miniature.dataset(12)
    new = alike.cloned(data, 3, 7)
    for part in (0, 1):
        np.testing.assert_array_equal(new.train(7)[part], data.train(3)[part])
        for other in (0, 3, 11):
            np.testing.assert_array_equal(new.train(other)[part], data.train(other)[part])
        np.testing.assert_array_equal(new.evaluation()[part], data.evaluation()[part])


@pytest.mark.usefixtures("small")
def test_clones_are_much_alike_and_the_plain_round_is_the_usual_one(store):
    options = {"profile": "smoke", "knowledge": "full", "store": store}
    plain = experiments.alike_clients(**options)
    usual = experiments.detection("krum", **options)
    np.testing.assert_array_equal(plain.table["statistic"], usual.table["statistic"])
    for name in ("far", "mar", "q_low", "q_high"):
        assert plain.runs[name].equals(usual.runs[name])
    twins = experiments.alike_clients(pairs=15, **options).runs.iloc[0]
    assert twins["closest_benign"] > plain.runs["closest_benign"][0]
    mixed = experiments.alike_clients(share=1.0, **options).runs.iloc[0]
    assert (mixed["share"], mixed["pairs"]) == (1, 0)
    assert mixed["alike_benign"] != plain.runs["alike_benign"][0]


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"share": 1.5}, r"share needs to be in \[0, 1\], got 1.5"),
        ({"pairs": 16}, "pairs need 0 <= pairs <= 15, got 16"),
    ],
)
def test_what_cannot_be_is_refused(store, options, message):
    with pytest.raises(ValueError, match=message):
        experiments.alike_clients(profile="smoke", store=store, **options)
