"""What VAE and DAGMM look at: snapshots of models that count as normal, and some coordinates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from pdrr.core.arrays import Array, array_namespace, like, to_host
from pdrr.core.checks import check_finite, check_stack, whole

if TYPE_CHECKING:
    from pdrr.federation.training import LocalTrainer


def snapshots(
    network: LocalTrainer,
    auxiliary: tuple[np.ndarray, np.ndarray],
    *,
    count: int,
    rng: np.random.Generator,
    start: np.ndarray | None = None,
) -> np.ndarray:
    """Weights of the network on its way through training on the server's own images.

    Parameters
    ----------
    network : LocalTrainer
    auxiliary : (array [m, 28, 28, 1] float32, int array [m])
    count : int >= 1
        Snapshots. Before each the network trains on a new random half of the images.
    rng : numpy Generator
        Chooses and shuffles the images.
    start : array [d] float32, optional
        Where training starts; the network's initial model by default.

    Returns
    -------
    array [count, d] float32.

    Examples
    --------
    A network that adds the number of its images to each weight stands for a real one.

    >>> from types import SimpleNamespace
    >>> from pdrr.baselines import snapshots
    >>> toy = SimpleNamespace(initial=np.zeros(2), train=lambda model, x, y, rng: model + len(y))
    >>> auxiliary = np.zeros((4, 28, 28, 1)), np.zeros(4, int)
    >>> snapshots(toy, auxiliary, count=3, rng=np.random.default_rng(0)).tolist()
    [[2.0, 2.0], [4.0, 4.0], [6.0, 6.0]]
    """
    if whole("snapshots", "count", count) < 1 or len(auxiliary[1]) < 2:
        raise ValueError(
            f"snapshots needs count >= 1 and two images, got {count} and {len(auxiliary[1])}"
        )
    x, y = auxiliary
    model = network.initial if start is None else start
    taken = np.empty((count, len(model)), np.float32)
    for row in tqdm(range(count), desc="snapshots", unit="snapshot", disable=None):
        half = rng.choice(len(y), len(y) // 2, replace=False)
        model = taken[row] = network.train(model, x[half], y[half], rng)
    return taken


FLOOR = 0.1  # least standard deviation of VAE's output, and of a coordinate relative to the RMS
LIMIT = 1e6  # standardised values are clipped here, so that every finite model has a finite score


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
        self.exponent = int(np.frexp(np.abs(x).max())[1])  # so that no square overflows
        x = np.ldexp(x, -self.exponent)
        self.centre, spread = x.mean(0), x.std(0)
        self.scale = np.maximum(spread, FLOOR * np.sqrt(np.mean(spread**2)))

    def __call__(self, models: Array) -> np.ndarray:
        """[n, p] float32 of finite models [n, d]."""
        if models.shape[1] != self.d:
            raise ValueError(f"{self.who} needs models [k, {self.d}], got {tuple(models.shape)}")
        check_finite(self.who, models)
        chosen = array_namespace(models).take(models, like(self.chosen, models), axis=1)
        with np.errstate(over="ignore"):  # clipped
            x = np.ldexp(to_host(chosen).astype(np.float64), -self.exponent)
            x = (x - self.centre) / self.scale
        return np.asarray(np.clip(x, -LIMIT, LIMIT), np.float32)
