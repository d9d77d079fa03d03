"""Small Keras networks: layers with seeds, and a training loop. Keras 3 only, any backend."""

from __future__ import annotations

import numpy as np

from pdrr.core.checks import whole
from pdrr.core.keras import keras

HALF_LOG_2PI = float(np.log(2 * np.pi) / 2)


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**31))


def _dense(units: int, activation: str | None, rng: np.random.Generator) -> keras.layers.Dense:
    glorot = keras.initializers.GlorotUniform(seed=_seed(rng))
    return keras.layers.Dense(units, activation=activation, kernel_initializer=glorot)


def _fit(
    network: keras.Model, x: np.ndarray, epochs: int, batch: int, rng: np.random.Generator
) -> None:
    """Minimise the losses that `network` adds, by Adam; `rng` shuffles x [n, p] anew each epoch."""
    if whole("training", "epochs", epochs) < 0 or whole("training", "batch", batch) < 2:
        raise ValueError(f"training needs epochs >= 0, batch >= 2, got {epochs} and {batch}")
    network.compile(optimizer=keras.optimizers.Adam(1e-3), jit_compile=False)
    for _ in range(epochs):
        for rows in np.array_split(rng.permutation(len(x)), -(-len(x) // batch)):
            network.train_on_batch(x[rows])
