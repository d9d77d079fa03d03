"""VAE: models whose weights an autoencoder finds improbable (paper, section 5.1)."""

from __future__ import annotations

from typing import Any

import numpy as np

from pdrr.baselines.flagging import verdict
from pdrr.baselines.layers import HALF_LOG_2PI, _dense, _fit, _seed
from pdrr.baselines.surrogate import FLOOR, _Surrogate
from pdrr.core.checks import whole
from pdrr.core.keras import keras, ops
from pdrr.types import Detection, Round

LATENT = 100  # of VAE


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
        Passes over the snapshots, snapshots per step of Adam. Without a pass the network is as it
        was initialised: enough to time it.

    References
    ----------
    An and Cho 2015, algorithm 4; Li et al. 2020, arXiv:2002.00211; Lu et al. 2022, section 5.1.

    Examples
    --------
    >>> from pdrr.baselines import VAE
    >>> rng = np.random.default_rng(0)
    >>> vae = VAE(rng.normal(size=(8, 3)), c=2, rng=rng, epochs=1)
    >>> found = vae.detect(pdrr.Round(rng.normal(size=(5, 3)), np.zeros(3)))
    >>> int(found.flagged.sum())
    2
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

        Examples
        --------
        >>> from pdrr.baselines import VAE
        >>> rng = np.random.default_rng(0)
        >>> vae = VAE(rng.normal(size=(8, 3)), c=1, rng=rng, epochs=1)
        >>> found = vae.detect(pdrr.Round(rng.normal(size=(5, 3)), np.zeros(3)))
        >>> bool(found.flagged[found.scores.argmax()]), found.pre_aggregate.tolist()
        (True, [0.0, 0.0, 0.0])
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
