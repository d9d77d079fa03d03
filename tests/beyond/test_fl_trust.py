"""FLTrust: trust in the direction of the server's own update."""

import array_api_strict
import numpy as np
import pytest

from pdrr import Round
from pdrr.beyond.rivals.fl_trust import FLTrust, root_images

D = 60
OWN = np.random.default_rng(5).normal(size=D).astype(np.float32)  # the server's update
LABELS = np.repeat(np.arange(10), [200, *[20] * 9])
AUXILIARY = (
    np.arange(380.0, dtype=np.float32).reshape(-1, 1, 1, 1) * np.ones((1, 28, 28, 1)),
    LABELS,
)


class Toy:
    """A network that moves as it is told, and keeps what it was given."""

    def __init__(self, move=OWN):
        self.move = move

    def train(self, start, x, y, rng):
        self.start, self.x, self.y, self.rng = start, x, y, rng
        return start + self.move


def trust(network=None, **more):
    options = {"network": network or Toy(), "auxiliary": AUXILIARY}
    return FLTrust(**options | more, rng=np.random.default_rng(0))


def moved(updates):
    previous = np.linspace(-1, 1, D).astype(np.float32)
    return Round((previous + updates).astype(np.float32), previous)


def test_models_that_go_the_server_s_way_are_cut_to_its_length():
    seen = moved(np.outer([0.5, 1, 7], OWN))
    model, found = trust().aggregate(seen)
    np.testing.assert_allclose(found.scores, 0, atol=1e-6)
    assert not found.flagged.any()
    np.testing.assert_allclose(model, seen.previous + OWN, rtol=1e-5, atol=1e-5)


def test_a_model_that_goes_the_other_way_has_no_trust():
    seen = moved(np.outer([1, -1, -9], OWN))
    model, found = trust().aggregate(seen)
    np.testing.assert_allclose(found.scores, [0, 2, 2], atol=1e-6)
    assert found.flagged.tolist() == [False, True, True]
    np.testing.assert_allclose(model, seen.previous + OWN, rtol=1e-5, atol=1e-5)


def test_the_aggregate_is_the_mean_of_scaled_updates_weighted_by_trust():
    updates = np.random.default_rng(1).normal(size=(7, D)) + 0.1 * OWN
    seen = moved(updates)
    u, own = seen.clients.astype(float) - seen.previous, OWN.astype(float)
    cosine = u @ own / np.linalg.norm(u, axis=1) / np.linalg.norm(own)
    score = np.maximum(cosine, 0)
    assert 0 < (score == 0).sum() < 7
    scaled = u * np.linalg.norm(own) / np.linalg.norm(u, axis=1)[:, None]
    model, found = trust().aggregate(seen)
    np.testing.assert_allclose(found.scores, 1 - cosine, atol=1e-6)
    assert found.flagged.tolist() == (score == 0).tolist()
    expected = seen.previous + score @ scaled / score.sum()
    np.testing.assert_allclose(model, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("updates", "move"), [(-OWN, OWN), (OWN, 0 * OWN), (0 * OWN, OWN)])
def test_where_nobody_has_trust_the_model_stays(updates, move):
    seen = moved(np.tile(updates, (3, 1)))
    model, found = trust(Toy(move)).aggregate(seen)
    assert found.flagged.all()
    np.testing.assert_array_equal(model, seen.previous)


def test_the_server_trains_from_the_previous_model_on_a_hundred_of_its_images():
    network, seen = Toy(), moved(np.outer([1, 2], OWN))
    detector = trust(network)
    detector.detect(seen)
    np.testing.assert_array_equal(network.start, seen.previous)
    rows = network.x[:, 0, 0, 0].astype(int)
    assert len(set(rows.tolist())) == 100
    np.testing.assert_array_equal(network.y, LABELS[rows])
    assert network.rng is detector.rng
    few = AUXILIARY[0][:7], LABELS[:7]
    trust(network, auxiliary=few).detect(seen)
    assert sorted(network.x[:, 0, 0, 0].tolist()) == list(range(7))


def test_root_images_are_drawn_from_all_alike_or_half_of_them_from_one_class():
    shares, classes = [], set()
    for seed in range(40):
        rows = root_images(LABELS, np.random.default_rng(seed))
        assert len(set(rows.tolist())) == 100
        shares.append((LABELS[rows] == 0).mean())
        rows = root_images(LABELS, np.random.default_rng(seed), bias=0.5)
        counts = np.bincount(LABELS[rows], minlength=10)
        assert len(set(rows.tolist())) == counts.sum()
        if counts[0] == 50:  # the one class with enough images
            classes.add("large")
            assert counts.sum() == 100
        else:
            classes.add("small")
            assert 20 in counts[1:]
            assert counts.sum() == 70
    assert abs(np.mean(shares) - 200 / 380) < 0.03
    assert classes == {"large", "small"}


@pytest.mark.parametrize(("bias", "of_one"), [(0.0, 0), (0.1, 10), (1.0, 100)])
def test_the_bias_is_the_share_of_one_class(bias, of_one):
    labels = np.repeat([3, 4], 150)
    rows = root_images(labels, np.random.default_rng(1), bias=bias)
    assert sorted([of_one, 100 - of_one]) == sorted(np.bincount(labels[rows], minlength=5)[3:])


@pytest.mark.parametrize(
    "wrong",
    [
        {"auxiliary": (AUXILIARY[0][:0], LABELS[:0])},
        {"auxiliary": (AUXILIARY[0], LABELS[1:])},
        {"bias": 1.5},
    ],
)
def test_what_it_cannot_work_with_is_refused(wrong):
    with pytest.raises(ValueError, match="FLTrust needs .*got"):
        trust(**wrong)


def test_the_scale_of_an_update_makes_no_difference():
    updates = np.random.default_rng(2).normal(size=(6, D))
    one, other = (trust().aggregate(moved(scale * updates)) for scale in (1, 4))
    np.testing.assert_allclose(one[0], other[0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(one[1].scores, other[1].scores, atol=1e-6)


def test_dtypes_and_array_libraries_give_one_verdict():
    seen = moved(np.random.default_rng(3).normal(size=(6, D)))
    model, found = trust().aggregate(seen)
    assert model.dtype == np.float32
    for kind in (lambda x: x.astype(float), array_api_strict.asarray):
        there = Round(kind(seen.clients), kind(seen.previous))
        other_model, other = trust().aggregate(there)
        np.testing.assert_allclose(np.asarray(other.scores), found.scores, atol=1e-6)
        assert np.asarray(other.flagged).tolist() == found.flagged.tolist()
        np.testing.assert_allclose(np.asarray(other_model), model, rtol=1e-5, atol=1e-6)
