"""FLTrust: trust in the direction of the server's own update, trained on a few images of its own.

Cao, Fang, Liu, Gong, NDSS 2021 (arXiv:2012.13995).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pdrr.beyond.judging import Judge, Judgement
from pdrr.core.arrays import like, to_host
from pdrr.core.directions import lengths
from pdrr.methods import Scheme
from pdrr.types import Round

if TYPE_CHECKING:
    from pdrr.federation.training import LocalTrainer

    Images = tuple[np.ndarray, np.ndarray]

ROOT = 100  # images that the server trains on


class FLTrust(Judge):
    """Weighs each update by its cosine with the server's own, and throws out those below 0.

    The server trains its root images from w_p as a client does. Kept updates are scaled to the
    length of its own and averaged with the cosines as weights; where none points its way, the model
    stays.

    Parameters
    ----------
    network : LocalTrainer
    auxiliary : (array [n, 28, 28, 1] float32, int array [n])
        Images and labels; the root images are drawn from them, all if there are no more.
    rng : numpy.random.Generator
        Draws and shuffles the root images.
    bias : float in [0, 1], optional
        Draw this share of the root images from one class, itself drawn as often as it occurs, and
        the rest from the others: the bias probability of its authors. All alike by default.

    Raises
    ------
    ValueError
        If there are no images, or `bias` is none.

    Examples
    --------
    A network that adds 1 to each weight stands for a real one.

    >>> from types import SimpleNamespace
    >>> from pdrr.beyond.rivals.fl_trust import FLTrust
    >>> toy = SimpleNamespace(train=lambda model, x, y, rng: model + 1)
    >>> auxiliary = np.zeros((4, 28, 28, 1)), np.zeros(4, int)
    >>> trust = FLTrust(network=toy, auxiliary=auxiliary, rng=np.random.default_rng(0))
    >>> observed = pdrr.Round(np.array([[9.0, 9.0], [-1.0, -1.0]]), np.zeros(2))
    >>> model, found = trust.aggregate(observed)
    >>> found.scores.round(2).tolist(), model.round(2).tolist()
    ([0.0, 2.0], [1.0, 1.0])
    """

    def __init__(
        self,
        *,
        network: LocalTrainer,
        auxiliary: Images,
        rng: np.random.Generator,
        bias: float | None = None,
    ) -> None:
        if not len(auxiliary[0]) == len(auxiliary[1]) > 0:
            raise ValueError(
                f"FLTrust needs one label per image and at least one, got {len(auxiliary[0])}"
                f" images and {len(auxiliary[1])} labels"
            )
        if bias is not None and not 0 <= bias <= 1:
            raise ValueError(f"FLTrust needs a bias in [0, 1], got {bias}")
        self.network, self.auxiliary, self.rng, self.bias = network, auxiliary, rng, bias

    def judge(self, observed: Round) -> Judgement:
        """As `Judge.judge`; scores are 1 - cosine, and flagged is who has no trust at all."""
        x, y = self.auxiliary
        root = root_images(y, self.rng, bias=self.bias)
        start = to_host(observed.previous)
        trained = self.network.train(start.astype(np.float32), x[root], y[root], self.rng)
        own = (trained - start).astype(start.dtype)
        rows, direction = np.arange(observed.k), like(own, observed.clients)
        squared, product = lengths(observed, rows, direction)
        length, reference = np.sqrt(squared), float(np.linalg.norm(own.astype(np.float64)))
        nowhere = np.zeros(observed.k)
        scale = length * reference
        cosine = np.divide(product, scale, out=nowhere.copy(), where=scale > 0).clip(-1, 1)
        trust = np.maximum(cosine, 0)
        weights = np.divide(trust * reference, length, out=nowhere, where=trust > 0)
        return Judgement(1 - cosine, trust == 0, weights / (trust.sum() or 1.0))


def root_images(
    labels: np.ndarray, rng: np.random.Generator, *, bias: float | None = None, n: int = ROOT
) -> np.ndarray:
    """Row numbers of up to `n` images, drawn without replacement; see `FLTrust`.

    A class, or the rest, that has too few of them gives all it has.

    Examples
    --------
    >>> from pdrr.beyond.rivals.fl_trust import root_images
    >>> labels = np.array([0, 1, 2, 1, 0, 1])
    >>> labels[root_images(labels, np.random.default_rng(0), bias=1.0, n=2)].tolist()
    [1, 1]
    """
    n = min(n, len(labels))
    if bias is None:
        return rng.choice(len(labels), n, replace=False)
    chosen = labels == labels[rng.integers(len(labels))]
    one, rest = np.flatnonzero(chosen), np.flatnonzero(~chosen)
    many = min(round(bias * n), len(one))
    few = min(n - round(bias * n), len(rest))
    return np.concatenate([rng.permutation(one)[:many], rng.permutation(rest)[:few]])


def _scheme(name: str, bias: float | None) -> Scheme:
    return Scheme(
        name,
        lambda server: FLTrust(
            network=server.network, auxiliary=server.auxiliary(), rng=server.rng(), bias=bias
        ),
        axis="1 - cosine with the server's update",
        reference="Cao, Fang, Liu, Gong, NDSS 2021",
        flags="own",
        needs=frozenset({"auxiliary"}),
    )


SCHEME = (_scheme("FLTrust", None), _scheme("FLTrust biased", 0.5))
