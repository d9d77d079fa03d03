"""The LEAF network and local training, against a network written in NumPy and float64."""

import os
import subprocess
import sys
from functools import cache

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from helpers import miniature
from pdrr.core.keras import keras
from pdrr.federation.network import PAPER_D, cnn, get_flat, set_flat
from pdrr.federation.scan import ScanTrainer
from pdrr.federation.training import LocalTrainer

FILTERS, UNITS, RATE = (2, 3), 8, 0.5


def shapes(filters, units):
    """Weight shapes of the network in order: two convolutions, two dense layers."""
    first, second = filters
    weights = [(5, 5, 1, first), (5, 5, first, second), (7 * 7 * second, units), (units, 62)]
    return [shape for weight in weights for shape in (weight, weight[-1:])]


def numpy_logits(flat, x):
    """The network's logits [n, 62] in float64, from its definition."""
    ends = np.cumsum([np.prod(shape) for shape in shapes(FILTERS, UNITS)])
    parts = [
        part.reshape(shape)
        for part, shape in zip(np.split(flat, ends[:-1]), shapes(FILTERS, UNITS), strict=True)
    ]
    x = x.astype(np.float64)
    for kernel, bias in (parts[0:2], parts[2:4]):
        windows = sliding_window_view(np.pad(x, [(0, 0), (2, 2), (2, 2), (0, 0)]), (5, 5), (1, 2))
        x = np.maximum(np.einsum("nhwcij,ijco->nhwo", windows, kernel, optimize=True) + bias, 0)
        n, side, _, channels = x.shape
        x = x.reshape(n, side // 2, 2, side // 2, 2, channels).max((2, 4))
    hidden = np.maximum(x.reshape(len(x), -1) @ parts[4] + parts[5], 0)
    return hidden @ parts[6] + parts[7]


def numpy_loss(flat, x, y):
    """Mean cross-entropy."""
    logits = numpy_logits(flat, x)
    return (np.log(np.exp(logits).sum(1)) - logits[np.arange(len(y)), y]).mean()


def numpy_slope(flat, direction, x, y, step=1e-6):
    """Derivative of the loss along `direction`, by central differences."""
    flat = flat.astype(np.float64)
    ahead, behind = (numpy_loss(flat + s * direction, x, y) for s in (step, -step))
    return (ahead - behind) / (2 * step)


KINDS = {
    "step by step": cache(LocalTrainer),
    "one TensorFlow loop": miniature.trainer,
    "one compiled JAX loop": cache(ScanTrainer),
}


@pytest.fixture(scope="module", params=KINDS.values(), ids=KINDS)
def make(request):
    """One of the trainers: all must be what the definitions here say."""
    return request.param


@pytest.fixture(scope="module")
def trainer(make):
    return make(filters=FILTERS, units=UNITS, batch=10, epochs=1, learning_rate=RATE, seed=3)


@pytest.fixture(scope="module")
def images():
    return miniature.dataset().train(0)  # 13 of them


def shuffled(seed=5):
    return np.random.default_rng(seed)


def test_the_paper_s_network_has_the_paper_s_d():
    by_hand = (5 * 5 * 1 + 1) * 32 + (5 * 5 * 32 + 1) * 64 + (7 * 7 * 64 + 1) * 2048 + 2049 * 62
    assert by_hand == PAPER_D == 6_603_710
    network = cnn(filters=(32, 64), units=2048, seed=1)
    assert [w.shape for w in network.weights] == shapes((32, 64), 2048)
    assert get_flat(network).shape == (PAPER_D,)


def test_the_network_computes_what_its_definition_says(trainer, images):
    x, _ = images
    flat = trainer.initial + np.float32(0.01) * shuffled().standard_normal(len(trainer.initial))
    set_flat(trainer.network, flat.astype(np.float32))
    logits = trainer.logits(flat.astype(np.float32), x)
    np.testing.assert_allclose(logits, numpy_logits(flat.astype(np.float32), x), atol=2e-6)


def test_flat_vectors_go_in_and_come_out_bit_for_bit():
    network = cnn(filters=FILTERS, units=UNITS, seed=1)
    flat = shuffled().standard_normal(network.count_params(), dtype=np.float32)
    set_flat(network, flat)
    assert get_flat(network).dtype == np.float32
    assert get_flat(network).tobytes() == flat.tobytes()


@pytest.mark.parametrize("length", [0, 1946, 1948])
def test_a_vector_of_another_length_is_refused(length):
    network = cnn(filters=FILTERS, units=UNITS, seed=1)
    with pytest.raises(ValueError, match=rf"vector \[1947\], got \({length},\)"):
        set_flat(network, np.zeros(length, np.float32))


def test_initial_weights_follow_the_seed_alone():
    keras.utils.set_random_seed(0)
    first = get_flat(cnn(filters=FILTERS, units=UNITS, seed=1))
    keras.utils.set_random_seed(99)
    again, other = (get_flat(cnn(filters=FILTERS, units=UNITS, seed=s)) for s in (1, 2))
    assert first.tobytes() == again.tobytes()
    assert (first != other).mean() > 0.9


def test_initial_weights_are_glorot_uniform_and_biases_zero():
    weights = cnn(filters=(32, 64), units=256, seed=1).get_weights()
    for weight, bias in zip(weights[0::2], weights[1::2], strict=True):
        assert not bias.any()
        window = int(np.prod(weight.shape[:-2]))
        limit = np.sqrt(6 / (window * sum(weight.shape[-2:])))
        assert 0.98 * limit < np.abs(weight).max() <= limit
        assert weight.std() == pytest.approx(limit / np.sqrt(3), rel=0.06)
    corners = [weight.ravel()[:50] / np.abs(weight).max() for weight in weights[0::2]]
    correlations = np.corrcoef(corners)[np.triu_indices(4, 1)]
    assert np.abs(correlations).max() < 0.6  # the layers do not share their draws


@pytest.mark.parametrize("n", [10, 3, 1], ids=["a whole batch", "three images", "one image"])
def test_one_step_goes_down_the_mean_gradient_of_the_real_images(trainer, images, n):
    x, y = (part[:n] for part in images)
    start = trainer.initial
    moved = (start - trainer.train(start, x, y, shuffled())) / RATE  # a gradient
    d = len(start)
    rng = shuffled(n)
    directions = [*np.eye(d)[rng.choice(d, 40, replace=False)], rng.standard_normal(d), moved]
    largest = np.abs(moved).max()
    assert largest > 0.01
    for direction in directions:
        expected = numpy_slope(start, direction, x, y)
        tolerance = 1e-4 * float(largest * np.linalg.norm(direction))
        assert moved @ direction == pytest.approx(expected, abs=tolerance)


def test_a_last_batch_of_three_counts_as_three_images(trainer, images):
    x, y = images
    order = shuffled().permutation(len(y))
    ten, three = order[:10], order[10:]
    after_ten = trainer.train(trainer.initial, x[ten], y[ten], shuffled())
    expected = trainer.train(after_ten, x[three], y[three], shuffled())
    found = trainer.train(trainer.initial, x, y, shuffled())
    step = np.abs(expected - after_ten).max()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * step)


def test_the_result_depends_on_the_arguments_alone(trainer, images):
    first = trainer.train(trainer.initial, *images, shuffled())
    elsewhere = trainer.train(first, *miniature.dataset().train(1), shuffled(6))
    again = trainer.train(trainer.initial, *images, shuffled())
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != elsewhere.tobytes()
    assert first.dtype == np.float32


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="torch compiles nothing")
def test_the_network_is_compiled_once_for_all_clients(images, monkeypatch):
    traced, loss = [], keras.Model.compute_loss

    def watched(*args, **kwargs):
        traced.append(1)
        return loss(*args, **kwargs)

    monkeypatch.setattr(keras.Model, "compute_loss", watched)
    fresh = LocalTrainer(
        filters=FILTERS, units=UNITS, batch=10, epochs=1, learning_rate=RATE, seed=3
    )
    fresh.train(fresh.initial, *images, shuffled())
    after_one = len(traced)
    for n in (1, 9, 10, 11):
        fresh.train(fresh.initial, *(part[:n] for part in images), shuffled())
    assert len(traced) == after_one > 0


def test_the_generator_decides_the_order_of_images(trainer, images):
    one, other = (trainer.train(trainer.initial, *images, shuffled(seed)) for seed in (5, 6))
    assert one.tobytes() != other.tobytes()


def test_epochs_follow_each_other_with_a_new_order(make, trainer, images):
    options = {"filters": FILTERS, "units": UNITS, "batch": 10, "learning_rate": RATE, "seed": 3}
    two = make(**options, epochs=2)
    rng = shuffled()
    after_one = trainer.train(trainer.initial, *images, rng)
    expected = trainer.train(after_one, *images, rng)
    assert two.train(two.initial, *images, shuffled()).tobytes() == expected.tobytes()


def test_clients_that_train_together_get_what_each_gets_alone(trainer):
    data = miniature.dataset()
    sizes = [13, 3, 10, 1, 7, 13, 2, 5, 13, 11, 4, 9]  # more than one group, none in order
    clients = [tuple(part[:n] for part in data.train(i)) for i, n in enumerate(sizes)]
    found = {}
    for rows, models in trainer.groups(
        trainer.initial, [(*c, shuffled(i)) for i, c in enumerate(clients)]
    ):
        found |= dict(zip(rows.tolist(), np.asarray(models), strict=True))
    assert sorted(found) == list(range(len(sizes)))
    for i, client in enumerate(clients):
        alone = trainer.train(trainer.initial, *client, shuffled(i))
        step = np.abs(alone - trainer.initial).max()
        np.testing.assert_allclose(found[i], alone, rtol=0, atol=2e-5 * step)


def test_all_trainers_take_the_same_steps(images):
    options = {"filters": FILTERS, "units": UNITS, "batch": 4, "learning_rate": 0.05, "seed": 3}
    models = [
        make(**options, epochs=2).train(make(**options, epochs=2).initial, *images, shuffled())
        for make in KINDS.values()
    ]
    start = KINDS["step by step"](**options, epochs=2).initial
    step = np.abs(models[0] - start).max()
    assert step > 0.01
    np.testing.assert_array_equal(models[1], models[0])  # one library, the same bits
    np.testing.assert_allclose(models[2], models[0], rtol=0, atol=1e-4 * step)


def test_the_federation_takes_the_compiled_trainer_where_keras_runs_on_jax():
    asked = (
        "from pdrr.federation.rounds import _trainer; "
        "print(type(_trainer(filters=(2, 3), units=8, batch=4, epochs=1, learning_rate=.1, seed=1))"
        ".__name__)"
    )
    for backend, expected in (("jax", "ScanTrainer"), ("tensorflow", "GraphTrainer")):
        done = subprocess.run(
            [sys.executable, "-c", asked],
            env={**os.environ, "KERAS_BACKEND": backend},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == expected


def test_start_is_left_alone(trainer, images):
    start = trainer.initial.copy()
    trainer.train(start, *images, shuffled())
    assert start.tobytes() == trainer.initial.tobytes()


def test_error_is_the_share_of_wrong_labels(trainer, images):
    x, _ = images
    said = numpy_logits(trainer.initial, x).argmax(1)
    wrong = said.copy()
    wrong[:3] = (wrong[:3] + 1) % 62
    assert trainer.error(trainer.initial, x, said) == 0
    assert trainer.error(trainer.initial, x, wrong) == pytest.approx(3 / 13)
