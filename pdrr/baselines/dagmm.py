"""DAGMM: models that are improbable in an autoencoder's latent space (paper, section 5.1)."""

from __future__ import annotations

from typing import Any

import numpy as np

from pdrr.baselines.flagging import verdict
from pdrr.baselines.layers import HALF_LOG_2PI, _dense, _fit, _seed
from pdrr.baselines.surrogate import _Surrogate
from pdrr.core.checks import whole
from pdrr.core.keras import keras, ops
from pdrr.types import Detection, Round


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

    Examples
    --------
    >>> from pdrr.baselines import DAGMM
    >>> rng = np.random.default_rng(0)
    >>> dagmm = DAGMM(rng.normal(size=(8, 3)), c=2, rng=rng, epochs=1)
    >>> found = dagmm.detect(pdrr.Round(rng.normal(size=(5, 3)), np.zeros(3)))
    >>> int(found.flagged.sum())
    2
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

        Examples
        --------
        >>> from pdrr.baselines import DAGMM
        >>> rng = np.random.default_rng(0)
        >>> dagmm = DAGMM(rng.normal(size=(8, 3)), c=1, rng=rng, epochs=1)
        >>> found = dagmm.detect(pdrr.Round(rng.normal(size=(5, 3)), np.zeros(3)))
        >>> bool(found.flagged.argmax() == found.statistic.argmax())  # of the largest energy
        True
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

    Examples
    --------
    One standard normal density, 1 / sqrt(2 pi) at its centre: log sqrt(2 pi) = 0.919.

    >>> from pdrr.baselines import mixture_energy
    >>> energy = mixture_energy(np.zeros((1, 1)), np.ones(1), np.zeros((1, 1)), np.ones((1, 1, 1)))
    >>> round(float(energy[0]), 3)
    0.919
    """
    z, phi, mu, sigma = (ops.convert_to_tensor(part) for part in (z, phi, mu, sigma))
    r = z.shape[1]
    root = ops.cholesky(sigma + 1e-6 * ops.eye(r, dtype=sigma.dtype))
    offset = ops.transpose(z[None, :, :] - mu[:, None, :], (0, 2, 1))  # [m, r, n]
    white = ops.solve_triangular(root, offset, lower=True)
    log_root = ops.sum(ops.log(ops.diagonal(root, axis1=1, axis2=2)), axis=1)
    constant = ops.log(phi) - log_root - r * HALF_LOG_2PI  # [m]
    return -ops.logsumexp(constant[:, None] - ops.sum(ops.square(white), axis=1) / 2, axis=0)
