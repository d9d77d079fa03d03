"""FoolsGold: clients whose updates, summed up over the rounds, point the same way lose weight.

Fung, Yoon, Beschastnikh, RAID 2020.
"""

from __future__ import annotations

import numpy as np

from pdrr.beyond.judging import Judge, Judgement
from pdrr.core.arrays import Array, array_namespace, blocks, float64, to_host
from pdrr.core.checks import check_pairs
from pdrr.core.round_passes import cosines_of
from pdrr.methods import Scheme
from pdrr.types import Round

ALIKE = 1e-9  # a weight below it is rounding: where all are copies, nobody is told from the others
CONFIDENT = 0.99  # what a weight of 1 becomes, whose logit is infinite


class FoolsGold(Judge):
    """Weighs each client by how unlike all others its sum of updates is.

    Every call of `detect` or `aggregate` is a round of its own, in order. Clients are known by
    `Round.ids`, or by their rows where there are none. A client's sum is kept as float32 [d] for
    as long as the detector lives, whether or not it is drawn again. Scores are 1 - weight; flagged
    is whoever has weight 0.

    Parameters
    ----------
    total : bool
        Add up the weighted updates, as the paper does with gradient steps. By default they are
        averaged: of k models that were trained for epochs, a sum would be a step k times too long.

    Examples
    --------
    >>> from pdrr.beyond.rivals.foolsgold import FoolsGold
    >>> clients = np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 2], [0, 0, 3]])
    >>> model, found = FoolsGold().aggregate(pdrr.Round(clients, np.zeros(3)))
    >>> model.tolist(), found.scores.tolist(), found.notes  # the last two point the same way
    ([0.5, 0.5, 0.0], [0.0, 0.0, 1.0, 1.0], ('4 of 4 clients are here for the first time',))
    """

    def __init__(self, *, total: bool = False) -> None:
        self.total = total
        self._sums: dict[int, Array] = {}

    def reset(self) -> None:
        """Forget all clients."""
        self._sums.clear()

    def judge(self, observed: Round) -> Judgement:
        """As `Judge.judge`, and remembers the round."""
        k = observed.k
        check_pairs(k)
        ids = np.arange(k) if observed.ids is None else to_host(observed.ids)
        new = sum(int(client) not in self._sums for client in ids)
        notes = [f"{new} of {k} clients are here for the first time"] if new else []
        weights = client_weights(cosines_of(self._added(observed, ids)))
        together = weights.sum()
        if not together:
            notes.append("all clients point the same way: nothing is left")
        shares = weights if self.total or not together else weights / together
        return Judgement(1 - weights, weights == 0, shares, tuple(notes))

    def _added(self, observed: Round, ids: np.ndarray) -> np.ndarray:
        """Inner products [k, k] of the clients' sums, this round included."""
        xp, k, d = array_namespace(observed.clients), observed.k, observed.d
        for client in ids.tolist():
            if client not in self._sums:
                self._sums[client] = xp.zeros_like(observed.previous, dtype=xp.float32)
            elif tuple(self._sums[client].shape) != (d,):
                raise ValueError(
                    f"FoolsGold needs models of one length, got {d} after"
                    f" {self._sums[client].shape[0]}; reset() begins anew"
                )
        sums = [self._sums[client] for client in ids.tolist()]
        inner = np.zeros((k, k))
        for cols in blocks(d, k):
            update = float64(observed.clients[:, cols]) - float64(observed.previous[cols])[None, :]
            for row, kept in enumerate(sums):
                kept[cols] = xp.astype(float64(kept[cols]) + update[row, :], xp.float32)
            x = float64(xp.stack([kept[cols] for kept in sums]))
            inner += to_host(x @ x.T)
        return inner


def client_weights(cosines: np.ndarray) -> np.ndarray:
    """Weights [k] in [0, 1] from the cosines [k, k] of the clients' sums; all 0 if all are alike.

    Examples
    --------
    >>> from pdrr.beyond.rivals.foolsgold import client_weights
    >>> client_weights(np.array([[1.0, 0.4, 0.1], [0.4, 1.0, 0.1], [0.1, 0.1, 1.0]])).round(3)
    array([0.97, 0.97, 1.  ])
    """
    similar = cosines.copy()
    np.fill_diagonal(similar, 0)
    most = similar.max(axis=1)
    # an honest client that resembles a sybil is forgiven: the sybil resembles others more
    pardoned = most[:, None] < most[None, :]
    ratio = np.divide(most[:, None], most[None, :], out=np.ones_like(similar), where=pardoned)
    weights = (1 - (similar * ratio).max(axis=1)).clip(0, 1)
    if weights.max() < ALIKE:
        return np.zeros(len(cosines))
    weights /= weights.max()
    weights[weights == 1] = CONFIDENT
    with np.errstate(divide="ignore"):
        logit = np.log(weights / (1 - weights))
    return np.asarray((logit + 0.5).clip(0, 1))


SCHEME = Scheme(
    "FoolsGold",
    lambda _server: FoolsGold(),
    axis="1 - weight",
    reference="Fung, Yoon, Beschastnikh, RAID 2020",
    flags="own",
    needs=frozenset({"history"}),
)
