"""FLDetector: clients whose updates are not what those of the round before foretell.

Zhang, Cao, Jia, Gong, KDD 2022 (arXiv 2207.09209).
"""

from __future__ import annotations

from collections import deque

import numpy as np

from pdrr.beyond.gap_statistic import groups, upper_of_two
from pdrr.beyond.judging import Judge, Judgement
from pdrr.core.arrays import Array, array_namespace, blocks, float64, like, to_host
from pdrr.core.checks import check_int
from pdrr.methods import Scheme
from pdrr.types import Round

BENT = 1e-12  # a pair whose curvature is less, relative, is left out: rounding divided by rounding


class FLDetector(Judge):
    """Compares each update with the client's last one, carried on by an estimated Hessian.

    An update is foretold as the last one plus H (w_t - w_{t-1}); H is L-BFGS's, from the changes
    of the global model and of the global update in the rounds before. The distances of a round are
    divided by their sum; scores are their means over the last `window` rounds. If the gap statistic
    finds more than one group of scores, whoever is in the upper one of two is flagged. (The paper
    then stops, and trains anew without them; here they have no weight in the round. Public code
    takes the logarithm of the mean spread in the gap statistic, not the mean of the logarithms.)

    It is meant for rounds in which all clients take part. Every call of `detect` or `aggregate` is
    a round of its own, in order, and the round before is kept: its arrays must not change. Clients
    are known by `Round.ids`, or by their rows where there are none. Nobody is flagged, and a note
    says why, until `window` rounds could be compared, and in a round with somebody who was not in
    the one before. If a round's number is not the next one, the history begins anew.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws the gap statistic's reference samples.
    window : int >= 1
        Rounds whose distances are averaged, and pairs of changes that H is made of.

    Examples
    --------
    >>> from pdrr.beyond.rivals.fldetector import FLDetector
    >>> detector = FLDetector(rng=np.random.default_rng(0), window=1)
    >>> model, jumps = np.zeros(1), (0.0, 0.0, 0.0, 0.5)  # the last client does as it likes
    >>> for t in (1, 2, 3):
    ...     clients = model + (1 - model) / 2 + np.array([[jump * (-1) ** t] for jump in jumps])
    ...     model, found = detector.aggregate(pdrr.Round(clients, model, t))
    >>> found.scores.round(2).tolist(), found.flagged.tolist()
    ([0.13, 0.13, 0.13, 0.6], [False, False, False, True])
    """

    def __init__(self, *, rng: np.random.Generator, window: int = 10) -> None:
        if check_int("FLDetector", "window", window) < 1:
            raise ValueError(f"FLDetector needs window >= 1, got {window}")
        self.rng, self.window = rng, window
        self.reset()

    def reset(self) -> None:
        """Forget all rounds."""
        self._last: Round | None = None
        self._models: deque[Array] = deque(maxlen=self.window + 2)
        self._distances: deque[dict[int, float]] = deque(maxlen=self.window)

    def judge(self, observed: Round) -> Judgement:
        """As `Judge.judge`, and remembers the round."""
        k, notes = observed.k, []
        if self._last is not None and observed.number != self._last.number + 1:
            notes.append(
                f"round {observed.number} does not follow round {self._last.number}: begun anew"
            )
            self.reset()
        ids = _ids(observed)
        self._models.append(
            array_namespace(observed.previous).asarray(observed.previous, copy=True)
        )
        known = self._compare(observed, ids)
        self._last = observed

        scores = np.array([self._mean(client, 1 / k) for client in ids])
        flagged = np.zeros(k, dtype=bool)
        if known < k:
            notes.append(f"{k - known} of {k} clients have no update before: nobody is flagged")
        elif len(self._distances) < self.window:
            compared = f"{len(self._distances)} of {self.window} rounds are compared"
            notes.append(f"{compared}: nobody is flagged")
        elif groups(scores, self.rng) > 1:
            flagged = upper_of_two(scores)
        return Judgement(scores, flagged, ~flagged / (k - flagged.sum()), tuple(notes))

    def _mean(self, client: int, neutral: float) -> float:
        """Mean of a client's distances in the window; `neutral` where there are none."""
        found = [each[client] for each in self._distances if client in each]
        return float(np.mean(found)) if found else neutral

    def _compare(self, observed: Round, ids: list[int]) -> int:
        """Keep the distances of this round; how many clients have an update before."""
        if self._last is None:
            return 0
        before = {client: row for row, client in enumerate(_ids(self._last))}
        rows = np.array([row for row, client in enumerate(ids) if client in before], dtype=int)
        if rows.size and len(self._models) > 2:
            last_rows = np.array([before[ids[row]] for row in rows])
            found = self._surprises(observed, rows, self._last, last_rows)
            share = found / found.sum() if found.sum() else np.full(len(rows), 1 / len(rows))
            clients = (ids[row] for row in rows)
            self._distances.append(dict(zip(clients, share.tolist(), strict=True)))
        return len(rows)

    def _surprises(
        self, now: Round, rows: np.ndarray, last: Round, last_rows: np.ndarray
    ) -> np.ndarray:
        """Distances [n] of the updates of some rows to what their last ones foretell."""
        products = np.zeros((len(self._models) - 1,) * 2)
        for cols in blocks(now.d, now.k):
            steps = self._steps(cols)
            products += to_host(steps @ steps.T)
        amounts = hessian_product(products)
        squared = np.zeros(len(rows))
        for cols in blocks(now.d, now.k):
            xp, steps = array_namespace(now.clients), self._steps(cols)
            change = sum(a * steps[i, :] for i, a in enumerate(amounts.tolist()))
            surprise = _updates(now, rows, cols) - _updates(last, last_rows, cols) - change
            squared += to_host(xp.sum(surprise * surprise, axis=1))
        return np.sqrt(squared)

    def _steps(self, cols: slice) -> Array:
        """The global model's changes [n, m] float64, oldest first; the last leads to w_p."""
        models = [float64(model[cols]) for model in self._models]
        x = array_namespace(*models).stack(models)
        return x[1:, :] - x[:-1, :]


def hessian_product(products: np.ndarray) -> np.ndarray:
    """How much of each step L-BFGS's B times the last step is: [n] float64.

    The pairs are (step j, step j + 1 - step j): a step is also the global update of its round.
    B is symmetric of either sign: updates run against gradients, so that it is negative here.

    Parameters
    ----------
    products : array [n, n] float64
        Inner products of the steps, oldest first; n >= 2.
    """
    n = len(products)
    unit = np.eye(n)  # vectors are written as sums of steps
    pairs = [(unit[j], unit[j + 1] - unit[j]) for j in range(n - 1)]
    scale = 0.0
    terms: list[tuple[np.ndarray, float]] = []  # each adds vector (vector . v) / curvature

    def times(v: np.ndarray) -> np.ndarray:
        result = scale * v
        for vector, curvature in terms:
            result = result + vector * (vector @ products @ v) / curvature
        return result

    usable = [(s, y) for s, y in pairs if _bent(s, y, products)]
    if usable:
        s, y = usable[-1]
        scale = (s @ products @ y) / (s @ products @ s)
    for s, y in usable:
        moved = times(s)
        if _bent(s, moved, products):
            terms += [(moved, -(s @ products @ moved)), (y, s @ products @ y)]
    return times(unit[-1])


def _bent(s: np.ndarray, y: np.ndarray, products: np.ndarray) -> bool:
    sizes = (s @ products @ s) * (y @ products @ y)
    return bool(abs(s @ products @ y) > BENT * np.sqrt(max(sizes, 0)))


def _updates(observed: Round, rows: np.ndarray, cols: slice) -> Array:
    x = array_namespace(observed.clients).take(  # in this order: `select` keeps that of the block
        observed.clients[:, cols], like(rows, observed.clients), axis=0
    )
    return float64(x) - float64(observed.previous[cols])[None, :]


def _ids(observed: Round) -> list[int]:
    ids = np.arange(observed.k) if observed.ids is None else to_host(observed.ids)
    return [int(client) for client in ids]


SCHEME = Scheme(
    "FLDetector",
    lambda server: FLDetector(rng=server.rng()),
    axis="distance to the foretold",
    reference="Zhang, Cao, Jia, Gong, KDD 2022",
    flags="own",
    needs=frozenset({"history"}),
)
