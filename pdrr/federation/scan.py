"""Local training as one compiled loop over a client's steps, for several clients at once (JAX).

The plain twin is `training.LocalTrainer`, which calls the library once a step: on a GPU the calls
take far longer than the arithmetic. The steps, their order, batches and weights are the same. Taken
where Keras runs on JAX (``KERAS_BACKEND=jax``).

Each client has kernels of its own after the first step. So a pixel's window is laid out as a row,
and a convolution is a matrix product, which batches over clients.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from pdrr.core.arrays import Array, to_host
from pdrr.federation.precision import precision
from pdrr.federation.training import TRIED, Client, LocalTrainer, steps

WINDOW = 5  # of the convolutions, as in network.cnn
TOGETHER = 10  # clients trained at once: their weights, gradients and windows fit beside a round
PADDED = 16  # steps are filled up to a multiple: one compilation serves clients of many sizes

# on a GPU JAX takes TF32 by default
jax.config.update(
    "jax_default_matmul_precision", "tensorfloat32" if precision() == "TF32" else "highest"
)
# JAX would take three quarters of a GPU's memory before it needs any: CuPy needs some as well
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")


class ScanTrainer(LocalTrainer):
    """`LocalTrainer` with its steps compiled; parameters are the same."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.shapes = tuple(tuple(weight.shape) for weight in self.network.weights)
        self.learning_rate = options["learning_rate"]
        self._images: tuple[np.ndarray, Any] | None = None  # of the last trial

    def train(
        self, start: Array, x: np.ndarray, y: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """As `LocalTrainer.train`."""
        (_, model), *_ = self.groups(start, [(x, y, rng)])
        return np.asarray(model[0])

    def groups(self, start: Array, clients: Sequence[Client]) -> Iterator[tuple[np.ndarray, Any]]:
        """Row numbers of some clients and their models [n, d] on JAX's device, group by group.

        Clients of like size train together, since all of a group wait for the largest.
        """
        work = [list(steps(*client, self.batch, self.epochs)) for client in clients]
        order = np.argsort([len(of_one) for of_one in work], kind="stable")[::-1]
        size, start = min(TOGETHER, len(clients)), on_device(start)
        for first in range(0, len(order), size):
            rows = order[first : first + size]
            most = max(len(work[row]) for row in rows)
            x, y, weight = _laid_out(
                [work[row] for row in rows], size, -(-most // PADDED) * PADDED, self.batch
            )
            models = _train(self.shapes, self.learning_rate, start, x, y, weight, most)
            yield rows, models[: len(rows)]

    def logits(self, model: Array, x: np.ndarray) -> np.ndarray:
        """As `LocalTrainer.logits`; images stay on the device while models are tried on them."""
        if self._images is None or self._images[0] is not x:
            padded = -(-len(x) // TRIED) * TRIED
            filled = np.zeros((padded, *x.shape[1:]), np.float32)
            filled[: len(x)] = x
            self._images = x, jnp.asarray(filled.reshape(-1, TRIED, *x.shape[1:]))
        return np.asarray(_logits(self.shapes, on_device(model), self._images[1]))[: len(x)]


def on_device(model: Array) -> Any:
    """The model as an array of JAX, not copied where both are on the GPU."""
    if hasattr(model, "__cuda_array_interface__") and jax.default_backend() == "gpu":
        return jax.dlpack.from_dlpack(model)
    return jnp.asarray(to_host(model))


def _laid_out(
    work: Sequence[Any], size: int, count: int, batch: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images [count, size, batch, 28, 28, 1], labels and weights; steps not taken weigh 0."""
    x = np.zeros((count, size, batch, 28, 28, 1), np.float32)
    y = np.zeros((count, size, batch), np.int32)
    weight = np.zeros((count, size, batch), np.float32)
    for column, of_one in enumerate(work):
        for row, (images, labels, weights) in enumerate(of_one):
            x[row, column], y[row, column], weight[row, column] = images, labels, weights
    return x, y, weight


@partial(jax.jit, static_argnums=(0, 1))
def _train(
    shapes: Any, learning_rate: float, start: Any, x: Any, y: Any, weight: Any, count: Any
) -> Any:
    """Models [n, d] after `count` SGD steps from `start` [d], each client on its own batches."""
    n, batch = x.shape[1:3]
    models = [jnp.broadcast_to(part, (n, *part.shape)) for part in _split(shapes, start)]

    def loss(parts: Any, x: Any, y: Any, weight: Any) -> Any:
        logits = _forward(parts, x)
        right = jnp.take_along_axis(logits, y[:, None], axis=1)[:, 0]
        return jnp.sum(weight * (jax.nn.logsumexp(logits, axis=1) - right)) / batch

    def step(i: Any, models: Any) -> Any:
        slopes = jax.vmap(jax.grad(loss))(models, x[i], y[i], weight[i])
        return [part - learning_rate * slope for part, slope in zip(models, slopes, strict=True)]

    models = lax.fori_loop(0, count, step, models)
    return jnp.concatenate([part.reshape(n, -1) for part in models], axis=1)


@partial(jax.jit, static_argnums=0)
def _logits(shapes: Any, model: Any, parts: Any) -> Any:
    model = _split(shapes, model)
    return lax.map(lambda x: _forward(model, x), parts).reshape(-1, shapes[-1][0])


def _split(shapes: Any, flat: Any) -> list[Any]:
    ends = np.cumsum([0, *(int(np.prod(shape)) for shape in shapes)])
    return [flat[a:b].reshape(shape) for (a, b), shape in zip(pairwise(ends), shapes, strict=True)]


def _forward(parts: Sequence[Any], x: Any) -> Any:
    """Logits [n, 62] of the LEAF network for images [n, 28, 28, 1], as `network.cnn` has them."""
    for kernel, bias in (parts[0:2], parts[2:4]):
        rows = _windows(x) @ kernel.reshape(-1, kernel.shape[-1])
        x = _pooled(jax.nn.relu(rows + bias))
    hidden = jax.nn.relu(x.reshape(len(x), -1) @ parts[4] + parts[5])
    return hidden @ parts[6] + parts[7]


def _windows(x: Any) -> Any:
    """Of each pixel of [n, h, w, c] its 5 x 5 neighbours: [n, h, w, 25 c], zero outside."""
    height, width = x.shape[1:3]
    edge = WINDOW // 2
    x = jnp.pad(x, [(0, 0), (edge, edge), (edge, edge), (0, 0)])
    shifts = [x[:, i : i + height, j : j + width] for i in range(WINDOW) for j in range(WINDOW)]
    return jnp.concatenate(shifts, axis=-1)


def _pooled(x: Any) -> Any:
    """The largest of each 2 x 2 pixels; of equal ones the first gets the slope."""
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
