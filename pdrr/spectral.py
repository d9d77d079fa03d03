"""Spectral anomaly detection, two of the paper's baselines: VAE and DAGMM (section 5.1).

Both learn from the server's own images what weights trained on them look like, and flag the c
models that look least like that. Keras 3 only: any of its backends will do.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from pdrr.arrays import Array, array_namespace, check_finite, check_int, check_stack, like, to_host
from pdrr.types import Detection, Round

LATENT = 100  # of VAE
FLOOR = 0.1  # least standard deviation of VAE's output, and of a coordinate relative to the RMS
LIMIT = 1e6  # standardised values are clipped here, so that every finite model has a finite score
HALF_LOG_2PI = float(np.log(2 * np.pi) / 2)


def flag_largest(scores: Array, c: int, rng: np.random.Generator) -> np.ndarray:
    """The c largest scores: bool [k].

    Ties are broken by `rng`: a sort would flag equal scores by index, and attackers come first.
    ValueError unless 0 <= c <= k and no score is NaN.
    """
    scores = to_host(scores)
    if not 0 <= check_int("flag_largest", "c", c) <= len(scores):
        raise ValueError(f"flag_largest needs 0 <= c <= k, got c={c} for k={len(scores)}")
    if np.isnan(scores).any():
        raise ValueError(f"flag_largest needs scores, got NaN for {np.isnan(scores).sum()} models")
    order = np.lexsort((rng.random(len(scores)), -scores))
    return np.isin(np.arange(len(scores)), order[:c])


def verdict(
    observed: Round,
    scores: np.ndarray,
    c: int,
    rng: np.random.Generator,
    pre_aggregate: Array | None = None,
) -> Detection:
    """Flag the c largest scores; without a pre-aggregated model the previous one stands there."""
    return Detection(
        statistic=like(scores, observed.clients),
        scores=like(scores, observed.clients),
        flagged=like(flag_largest(scores, c, rng), observed.clients),
        pre_aggregate=observed.previous if pre_aggregate is None else pre_aggregate,
    )


class _Surrogate:
    """Some coordinates of a model, standardised over the snapshots, in the place of all d.

    Dense layers of 500 units at both ends of the paper's 6.6 million weights would need 26 GB.
    """

    def __init__(
        self,
        who: str,
        models: np.ndarray,
        coordinates: int | np.ndarray,
        rng: np.random.Generator,
    ) -> None:
        check_stack(who, models)
        check_finite(who, models)
        n, d = models.shape
        if n < 2:
            raise ValueError(f"{who} needs two snapshots, got {n}")
        self.who, self.d = who, d
        if isinstance(coordinates, np.ndarray):
            self.chosen = np.unique(coordinates)
            if not np.isin(self.chosen, np.arange(d)).all() or not self.chosen.size:
                raise ValueError(f"{who} needs coordinates from 0 to {d - 1}, got {coordinates}")
        elif whole(who, "coordinates", coordinates) < 1:
            raise ValueError(f"{who} needs coordinates >= 1, got {coordinates}")
        else:
            self.chosen = np.sort(rng.choice(d, min(d, coordinates), replace=False))
        x = np.asarray(models[:, self.chosen], np.float64)
        if not np.ptp(x, axis=0).any():
            raise ValueError(f"{who} needs snapshots that differ, got {n} equal ones")
        self.centre, spread = x.mean(0), x.std(0)
        self.scale = np.maximum(spread, FLOOR * np.sqrt(np.mean(spread**2)))

    def __call__(self, models: Array) -> np.ndarray:
        """[n, p] float32 of finite models [n, d]."""
        if models.shape[1] != self.d:
            raise ValueError(f"{self.who} needs models [k, {self.d}], got {tuple(models.shape)}")
        check_finite(self.who, models)
        chosen = array_namespace(models).take(models, like(self.chosen, models), axis=1)
        x = (to_host(chosen).astype(np.float64) - self.centre) / self.scale
        return np.asarray(np.clip(x, -LIMIT, LIMIT), np.float32)


class VAE:
    """Variational autoencoder: models whose weights it reconstructs with low probability.

    Parameters
    ----------
    snapshots : array [n, d] float32
        Weights that count as normal; see `baselines.snapshots`.
    c : int
        Models to flag.
    rng : numpy Generator
        Chooses the coordinates, seeds and trains the network, draws the noise, breaks ties.
    samples : int
        L, latent vectors that the score averages over; their noise is the same for all models.
    coordinates : int or int array
        Weights of each model that are looked at: so many, drawn by `rng` (all if d is smaller), or
        those with the given indices.
    epochs, batch : int
        Passes over the snapshots, snapshots per step of Adam.

    References
    ----------
    An and Cho 2015, algorithm 4; Li et al. 2020, arXiv:2002.00211; Lu et al. 2022, section 5.1.
    """

    def __init__(
        self,
        snapshots: np.ndarray,
        *,
        c: int,
        rng: np.random.Generator,
        samples: int = 10,
        coordinates: int | np.ndarray = 10_000,
        epochs: int = 200,
        batch: int = 32,
    ) -> None:
        if whole("VAE", "samples", samples) < 1:
            raise ValueError(f"VAE needs samples >= 1, got {samples}")
        self.c, self.rng = whole("VAE", "c", c), rng
        self.surrogate = _Surrogate("VAE", snapshots, coordinates, rng)
        x = self.surrogate(snapshots)
        self.network = _Variational(x.shape[1], rng)
        _fit(self.network, x, epochs, batch, rng)
        self.noise = rng.standard_normal((samples, LATENT), dtype=np.float32)

    def detect(self, observed: Round) -> Detection:
        """Flag the c models with the largest score.

        Statistic and scores are minus the mean of log p(x | z) over z of q(z | x), in nats.
        Nothing is aggregated: `pre_aggregate` is the previous model. ValueError for models that
        are not finite, or not of the d of the snapshots.
        """
        x = self.surrogate(observed.clients)
        mean, deviation = self.network.encode(x)
        total = np.zeros(len(x))
        for noise in self.noise:
            again, sigma = (
                ops.convert_to_numpy(part).astype(np.float64)
                for part in self.network.decode(mean + deviation * ops.convert_to_tensor(noise))
            )
            total += (((x - again) / sigma) ** 2 / 2 + np.log(sigma) + HALF_LOG_2PI).sum(1)
        return verdict(observed, total / len(self.noise), self.c, self.rng)


class _Variational(keras.Model):  # type: ignore[misc]
    """Dense 500-500 encoder and decoder around LATENT Gaussian variables; Gaussian output [p]."""

    def __init__(self, p: int, rng: np.random.Generator) -> None:
        super().__init__(name="vae")
        self.noise = keras.random.SeedGenerator(_seed(rng))
        self.encoder = keras.Sequential([_dense(500, "relu", rng), _dense(500, "relu", rng)])
        self.decoder = keras.Sequential([_dense(500, "relu", rng), _dense(500, "relu", rng)])
        self.latent, self.gaussian = _dense(2 * LATENT, None, rng), _dense(2 * p, None, rng)

    def encode(self, x: Any) -> tuple[Any, Any]:
        """Mean and standard deviation [n, LATENT] of q(z | x)."""
        mean, raw = ops.split(self.latent(self.encoder(x)), 2, axis=-1)
        return mean, ops.softplus(raw) + 1e-4  # grows no faster than x: nothing overflows

    def decode(self, z: Any) -> tuple[Any, Any]:
        """Mean and standard deviation [n, p] of p(x | z)."""
        mean, raw = ops.split(self.gaussian(self.decoder(z)), 2, axis=-1)
        return mean, ops.softplus(raw) + FLOOR

    def call(self, x: Any) -> Any:
        """Add the negative evidence lower bound, but for a constant, to the losses."""
        mean, deviation = self.encode(x)
        noise = keras.random.normal(ops.shape(mean), seed=self.noise)
        again, sigma = self.decode(mean + deviation * noise)
        missed = ops.sum(ops.square((x - again) / sigma) / 2 + ops.log(sigma), axis=1)
        prior = ops.sum((mean**2 + deviation**2 - 1) / 2 - ops.log(deviation), axis=1)
        self.add_loss(ops.mean(missed + prior))
        return again


class DAGMM:
    """Deep autoencoding Gaussian mixture: models whose code has a high energy.

    The code z is the 2 latent values of an autoencoder with 128 units, the relative Euclidean
    distance and the cosine similarity of input and reconstruction.

    Parameters
    ----------
    snapshots, c, rng, coordinates, epochs, batch : as in `VAE`
    components : int
        Gaussians in the mixture.

    References
    ----------
    Zong et al., ICLR 2018; Lu et al. 2022, section 5.1.
    """

    def __init__(
        self,
        snapshots: np.ndarray,
        *,
        c: int,
        rng: np.random.Generator,
        components: int = 2,
        coordinates: int | np.ndarray = 10_000,
        epochs: int = 200,
        batch: int = 32,
    ) -> None:
        if whole("DAGMM", "components", components) < 1:
            raise ValueError(f"DAGMM needs components >= 1, got {components}")
        self.c, self.rng = whole("DAGMM", "c", c), rng
        self.surrogate = _Surrogate("DAGMM", snapshots, coordinates, rng)
        x = self.surrogate(snapshots)
        self.network = _Autoencoding(x.shape[1], components, rng)
        _fit(self.network, x, epochs, batch, rng)
        z, _ = self.network.encode(x)
        # once more on all snapshots and without dropout; from here on the mixture is fixed
        self.mixture = [
            ops.convert_to_numpy(part) for part in mixture(z, self.network.estimator(z))
        ]

    def detect(self, observed: Round) -> Detection:
        """Flag the c models with the largest energy, which is the statistic and the score.

        `pre_aggregate` and errors as in `VAE.detect`.
        """
        z, _ = self.network.encode(self.surrogate(observed.clients))
        energy = ops.convert_to_numpy(mixture_energy(z, *self.mixture))
        return verdict(observed, energy.astype(np.float64), self.c, self.rng)


class _Autoencoding(keras.Model):  # type: ignore[misc]
    """DAGMM's compression and estimation networks, trained together."""

    def __init__(self, p: int, components: int, rng: np.random.Generator) -> None:
        super().__init__(name="dagmm")
        # tanh keeps the code small, so that 1e-6 I makes its covariance regular in float32
        self.encoder = keras.Sequential([_dense(128, "tanh", rng), _dense(2, "tanh", rng)])
        self.decoder = keras.Sequential([_dense(128, "tanh", rng), _dense(p, None, rng)])
        hidden = [
            layer
            for _ in range(2)
            for layer in (_dense(32, "tanh", rng), keras.layers.Dropout(0.5, seed=_seed(rng)))
        ]
        self.estimator = keras.Sequential([*hidden, _dense(components, "softmax", rng)])

    def encode(self, x: Any) -> tuple[Any, Any]:
        """The code z [n, 4] and the reconstruction [n, p]."""
        latent = self.encoder(x)
        again = self.decoder(latent)
        size, size_again, missed = (
            ops.sqrt(ops.sum(ops.square(v), axis=1, keepdims=True) + 1e-12)
            for v in (x, again, x - again)
        )
        cosine = ops.sum(x * again, axis=1, keepdims=True) / (size * size_again)
        return ops.concatenate([latent, missed / size, cosine], axis=1), again

    def call(self, x: Any, training: bool = False) -> Any:
        """Add reconstruction + 0.1 mean energy + 0.005 sum of 1 / Sigma_jj to the losses."""
        z, again = self.encode(x)
        phi, mu, sigma = mixture(z, self.estimator(z, training=training))
        self.add_loss(ops.mean(ops.sum(ops.square(x - again), axis=1)))
        self.add_loss(0.1 * ops.mean(mixture_energy(z, phi, mu, sigma)))
        self.add_loss(0.005 * ops.sum(1 / (ops.diagonal(sigma, axis1=1, axis2=2) + 1e-6)))
        return again


def mixture(z: Any, gamma: Any) -> tuple[Any, Any, Any]:
    """phi [m], mu [m, r] and Sigma [m, r, r] of codes z [n, r] with memberships gamma [n, m]."""
    total = ops.sum(gamma, axis=0) + 1e-12
    share = ops.transpose(gamma / total)  # [m, n]
    mu = ops.matmul(share, z)
    offset = z[None, :, :] - mu[:, None, :]  # [m, n, r]
    sigma = ops.matmul(ops.transpose(offset * share[:, :, None], (0, 2, 1)), offset)
    return total / ops.sum(total), mu, sigma


def mixture_energy(z: Any, phi: Any, mu: Any, sigma: Any) -> Any:
    """Minus the log density, in nats, of a Gaussian mixture with covariances Sigma + 1e-6 I.

    Parameters
    ----------
    z : array [n, r]
    phi, mu, sigma : arrays [m], [m, r], [m, r, r]
        As `mixture` returns them; all of one dtype.

    Returns
    -------
    tensor [n] of the Keras backend.

    References
    ----------
    Zong et al. 2018, eq. (6), without its inverse and determinant.
    """
    z, phi, mu, sigma = (ops.convert_to_tensor(part) for part in (z, phi, mu, sigma))
    r = z.shape[1]
    root = ops.cholesky(sigma + 1e-6 * ops.eye(r, dtype=sigma.dtype))
    offset = ops.transpose(z[None, :, :] - mu[:, None, :], (0, 2, 1))  # [m, r, n]
    white = ops.solve_triangular(root, offset, lower=True)
    log_root = ops.sum(ops.log(ops.diagonal(root, axis1=1, axis2=2)), axis=1)
    constant = ops.log(phi) - log_root - r * HALF_LOG_2PI  # [m]
    return -ops.logsumexp(constant[:, None] - ops.sum(ops.square(white), axis=1) / 2, axis=0)


def whole(who: str, name: str, value: Any) -> int:
    """`value` as an int; an error unless it is an integer >= 0."""
    if check_int(who, name, value) < 0:
        raise ValueError(f"{who} needs {name} >= 0, got {value}")
    return int(value)


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**31))


def _dense(units: int, activation: str | None, rng: np.random.Generator) -> keras.layers.Dense:
    glorot = keras.initializers.GlorotUniform(seed=_seed(rng))
    return keras.layers.Dense(units, activation=activation, kernel_initializer=glorot)


def _fit(
    network: keras.Model, x: np.ndarray, epochs: int, batch: int, rng: np.random.Generator
) -> None:
    """Minimise the losses that `network` adds, by Adam; `rng` shuffles x [n, p] anew each epoch."""
    if whole("training", "epochs", epochs) < 1 or whole("training", "batch", batch) < 2:
        raise ValueError(f"training needs epochs >= 1, batch >= 2, got {epochs} and {batch}")
    network.compile(optimizer=keras.optimizers.Adam(1e-3), jit_compile=False)
    for _ in range(epochs):
        for rows in np.array_split(rng.permutation(len(x)), -(-len(x) // batch)):
            network.train_on_batch(x[rows])
