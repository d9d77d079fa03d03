"""The LEAF convolutional network in Keras 3, and models as flat vectors [d]."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from pdrr.core.keras import keras

CLASSES = 62
PAPER_D = 6_603_710


def cnn(*, filters: tuple[int, int], units: int, seed: int) -> keras.Model:
    """LEAF's FEMNIST network: two 5x5 convolutions with 2x2 pooling, one dense layer, 62 logits.

    Parameters
    ----------
    filters : (int, int)
        Channels of the convolutions; (32, 64) in the paper.
    units : int
        Width of the dense layer; 2048 in the paper, which makes d = 6,603,710.
    seed : int
        Of the Glorot-uniform initial weights; biases start at 0.

    Returns
    -------
    keras.Model
        From images [n, 28, 28, 1] in [0, 1] to logits [n, 62]; not compiled.

    References
    ----------
    Lu et al. 2022, section 5.1; Caldas et al. 2018, arXiv:1812.01097.
    """
    layers = keras.layers
    seeds = (int(s) for s in np.random.SeedSequence(seed).generate_state(4))

    def glorot() -> keras.initializers.Initializer:
        return keras.initializers.GlorotUniform(seed=next(seeds) % 2**31)

    def convolution(channels: int) -> keras.layers.Layer:
        return layers.Conv2D(
            channels, 5, padding="same", activation="relu", kernel_initializer=glorot()
        )

    model = keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            convolution(filters[0]),
            layers.MaxPooling2D(2),
            convolution(filters[1]),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(units, activation="relu", kernel_initializer=glorot()),
            layers.Dense(CLASSES, kernel_initializer=glorot()),
        ],
        name="leaf_cnn",
    )
    if (tuple(filters), units) == ((32, 64), 2048):
        assert model.count_params() == PAPER_D
    return model


def get_flat(model: keras.Model) -> np.ndarray:
    """All weights of `model` as one vector [d] float32, in Keras' order."""
    return np.concatenate([np.asarray(w, dtype=np.float32).ravel() for w in model.get_weights()])


def set_flat(model: keras.Model, flat: np.ndarray) -> None:
    """Load the vector `flat` [d] into `model`; ValueError if d does not fit."""
    if flat.shape != (model.count_params(),):
        raise ValueError(f"the model needs a vector [{model.count_params()}], got {flat.shape}")
    shapes = [w.shape for w in model.weights]
    ends = np.cumsum([0, *(int(np.prod(s)) for s in shapes)])
    model.set_weights(
        [flat[a:b].reshape(s) for (a, b), s in zip(pairwise(ends), shapes, strict=True)]
    )
