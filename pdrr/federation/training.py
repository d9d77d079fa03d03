"""What one client does in a round: plain SGD on its own images, from the global model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from pdrr.core.arrays import Array, to_host
from pdrr.core.keras import keras
from pdrr.federation.network import cnn, get_flat, set_flat
from pdrr.metrics import error_rate

TRIED = 300  # images in one forward pass at most

Client = tuple[np.ndarray, np.ndarray, np.random.Generator]
"""Images [n, 28, 28, 1] and labels [n] of one client, and what shuffles them."""


def steps(
    x: np.ndarray, y: np.ndarray, rng: np.random.Generator, batch: int, epochs: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Images, labels and weights of each SGD step of a client, shuffled anew each epoch.

    The last batch is filled up with images of weight zero: all steps have one shape.
    """
    n = len(y)
    for _ in range(epochs):
        order = rng.permutation(n)
        for first in range(0, n, batch):
            rows = order[first : first + batch]
            real = len(rows)
            # the loss is averaged over the whole batch: weigh the real images up again
            weight = np.zeros(batch, np.float32)
            weight[:real] = batch / real
            rows = np.resize(rows, batch)
            yield x[rows], y[rows], weight


class LocalTrainer:
    """Trains one client after the other with one compiled network.

    Parameters
    ----------
    filters, units : see `network.cnn`
    batch : int
        Images per SGD step.
    epochs : int
        Passes over a client's images.
    learning_rate : float
    seed : int
        Of the initial model.

    Notes
    -----
    SGD without momentum keeps no state, so nothing but the weights has to be reset between
    clients. All steps have one shape, so that the network is compiled once. Fast twins:
    `graph.GraphTrainer` for TensorFlow, `scan.ScanTrainer` for JAX.
    """

    def __init__(
        self,
        *,
        filters: tuple[int, int],
        units: int,
        batch: int,
        epochs: int,
        learning_rate: float,
        seed: int,
    ) -> None:
        self.batch, self.epochs = batch, epochs
        self.network = cnn(filters=filters, units=units, seed=seed)
        self.network.compile(
            optimizer=keras.optimizers.SGD(learning_rate),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            jit_compile=False,  # measured: XLA is no faster on a CPU, and costs compile time
        )
        self.initial = get_flat(self.network)  # [d] float32

    def train(
        self, start: Array, x: np.ndarray, y: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """The local model after training from `start`.

        Parameters
        ----------
        start : array [d] float32
            The global model, of NumPy or CuPy.
        x : array [n, 28, 28, 1] float32
            Images in [0, 1].
        y : int array [n]
            Labels 0..61.
        rng : numpy.random.Generator
            Shuffles the images, anew each epoch.

        Returns
        -------
        array [d] float32.
        """
        set_flat(self.network, to_host(start))
        for images, labels, weight in steps(x, y, rng, self.batch, self.epochs):
            self.network.train_on_batch(images, labels, sample_weight=weight)
        return get_flat(self.network)

    def groups(self, start: Array, clients: Sequence[Client]) -> Iterator[tuple[np.ndarray, Any]]:
        """Row numbers of some clients and their models [n, d]: here one client after the other."""
        start = to_host(start)
        for row, client in enumerate(clients):
            yield np.array([row]), self.train(start, *client)[np.newaxis]

    def logits(self, model: Array, x: np.ndarray) -> np.ndarray:
        """Outputs [n, 62] float32 of the flat `model` [d] for images `x` [n, 28, 28, 1], n >= 1.

        The model may be NumPy's or CuPy's; the outputs are NumPy's.
        """
        set_flat(self.network, to_host(model))
        parts = np.array_split(x, -(-len(x) // TRIED))  # equal sizes: the network is traced once
        return np.concatenate([self.network.predict_on_batch(part) for part in parts])

    def error(self, model: Array, x: np.ndarray, y: np.ndarray) -> float:
        """Error rate of the flat `model` [d] on images `x` with labels `y`."""
        return error_rate(np.argmax(self.logits(model, x), axis=1), y)
