"""PDRR: pre-aggregate, detect, remove, re-aggregate (paper, section 4).

The server first aggregates everything it received with its own rule and looks at what the rule
itself has to say about each model:

- Krum: is the sign pattern of a model's update correlated with that of the selected model?
- trimmed mean: in how many coordinates was the model's value trimmed?
- median: in how many coordinates did the model supply a middle value?

Each becomes a suspicion score with maximum 1; models with ``score >= q`` are removed and the rest
is aggregated again. No auxiliary data, no second model, one pass over the stack.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pdrr.core.arrays import Array, array_namespace, blocks, device, like, select, to_host
from pdrr.core.checks import check_beta, check_c, check_finite, check_int, finite_rows
from pdrr.core.dispatch import accelerated
from pdrr.core.distances import krum_choice, pairwise_squared_distances
from pdrr.core.order import (
    checked_middle,
    kept_fraction,
    median_beta,
    sort_clients,
    trimmed_mean_of_sorted,
)
from pdrr.core.rules import DEFENDED, RULES, own_setting
from pdrr.types import Detection, Round

SAME = 1e-12  # statistics that differ by a smaller share of the largest differ in rounding only


class PDRR:
    """The defence for one aggregation rule.

    Parameters
    ----------
    rule : {"krum", "trimmed_mean", "median"}
    q : float in [0, 1]
        Detection threshold: a model is flagged if its score is at least q.
    c : int
        For Krum: how many compromised models it tolerates.
    beta : int
        For the trimmed mean: values trimmed per side. The paper asks for beta >= c (sections 4.2
        and 6) and runs beta = 10 against c = 20 (5.1).
    zero_change : bool
        Also count the coordinates in which the pre-aggregated model equals the previous one
        (Fig. 5). The defence itself leaves them out (Figs. 6, 7): attackers do not move there.

    Raises
    ------
    ValueError, TypeError
        For an unknown rule, q outside [0, 1], or c and beta that the rule does not take.

    Examples
    --------
    >>> observed = pdrr.Round(np.array([[1.0, 2, 3], [2, 3, 1], [3, 1, 2], [9, 9, 9]]), np.zeros(3))
    >>> pdrr.PDRR("trimmed_mean", beta=1, q=0.9).detect(observed).flagged
    array([False, False, False,  True])
    """

    def __init__(
        self,
        rule: str,
        *,
        q: float,
        c: int | None = None,
        beta: int | None = None,
        zero_change: bool = False,
    ) -> None:
        if rule not in DEFENDED:
            raise ValueError(f"PDRR needs a rule of {', '.join(DEFENDED)}, got {rule!r}")
        if not 0 <= q <= 1:
            raise ValueError(f"PDRR needs q in [0, 1], got {q}")
        wanted = RULES[rule].setting
        for name, value in (("c", c), ("beta", beta)):
            if (value is not None) != (name == wanted):
                need, got = ("needs", "none") if name == wanted else ("takes no", value)
                raise TypeError(f"PDRR({rule!r}) {need} {name}, got {got}")
            if value is not None and check_int("PDRR", name, value) < 0:
                raise ValueError(f"PDRR({rule!r}) needs {name} >= 0, got {value}")
        self.rule, self.q, self.c, self.beta, self.zero_change = rule, q, c, beta, zero_change

    def __repr__(self) -> str:
        own = own_setting(self.rule, c=self.c, beta=self.beta)
        words = "".join(f", {name}={value}" for name, value in own.items())
        return f"PDRR({self.rule!r}{words}, q={self.q})"

    def detect(self, observed: Round) -> Detection:
        """Pre-aggregate and detect.

        Parameters
        ----------
        observed : Round
            The k models that the server received. Models with NaN or infinite values are flagged
            first; the others are judged without them, c and beta reduced by their number.

        Returns
        -------
        Detection
            `statistic` is rho_i (Krum), n_i^c (trimmed mean) or n_i^r (median).

        Raises
        ------
        ValueError
            If c or beta do not fit k.

        Examples
        --------
        >>> observed = pdrr.Round(np.array([[1.0, 3], [2, 2], [9, 9]]), np.zeros(2))
        >>> pdrr.PDRR("median", q=0.9).detect(observed).statistic  # middle values supplied
        array([1., 1., 0.])
        """
        return self._detect(observed)[0]

    def _detect(self, observed: Round) -> tuple[Detection, np.ndarray | None]:
        """The detection and, for Krum, the squared distances [k, k] that it took."""
        self._check(observed.k)
        distances, counted = None, None
        if self.rule == "krum":  # the distances tell which models are finite
            distances = pairwise_squared_distances(observed.clients, observed.previous)
            finite = ~np.isnan(np.diag(distances))
        else:
            counted = self._count(observed, np.arange(observed.k))
            finite = np.full(observed.k, True)
            if not counted[2]:
                finite = to_host(finite_rows(observed.clients))
        rows = np.flatnonzero(finite)
        statistic, scores = np.full(observed.k, np.nan), np.ones(observed.k)
        pre_aggregate, notes = observed.previous, []
        if not finite.all():
            notes.append(f"models {np.flatnonzero(~finite).tolist()} are not finite: flagged")
        if self._reduced(observed.k, len(rows)) is None:
            notes.append(f"{len(rows)} finite models are too few for {self.rule}: all flagged")
        else:
            if distances is not None:
                pre_aggregate, statistic[rows] = self._select(observed, rows, distances)
            else:
                if counted is None or not finite.all():  # anew, without the rows that are not
                    counted = self._count(observed, rows)
                pre_aggregate, statistic[rows] = counted[:2]
            scores[rows] = suspicion(self.rule, statistic[rows])
            if not scores[rows].any():
                notes.append("the statistic tells no two models apart: all scores are 0")
        detection = Detection(
            statistic=like(statistic, observed.clients),
            scores=like(scores, observed.clients),
            flagged=like(scores >= self.q, observed.clients),
            pre_aggregate=pre_aggregate,
            notes=tuple(notes),
        )
        return detection, distances

    def aggregate(self, observed: Round) -> tuple[Array, Detection]:
        """Detect, remove what is flagged, and aggregate the rest with the same rule.

        c and beta shrink by the number of removed models, but stay where the rule is defined.
        Parameters and errors as in `detect`.

        Returns
        -------
        model : array [d]
            The new global model; the previous one if too few models remain (the notes say so).
        detection : Detection

        Examples
        --------
        >>> observed = pdrr.Round(np.array([[1.0, 3], [2, 2], [9, 9]]), np.zeros(2))
        >>> pdrr.PDRR("median", q=0.9).aggregate(observed)[0]  # without the third model
        array([1.5, 2.5])
        """
        return self._reaggregate(observed, *self._detect(observed))

    def reaggregate(self, observed: Round, detection: Detection) -> tuple[Array, Detection]:
        """The last two steps of `aggregate`, for a detection made before: remove, re-aggregate."""
        return self._reaggregate(observed, detection, None)

    def _reaggregate(
        self, observed: Round, detection: Detection, distances: np.ndarray | None
    ) -> tuple[Array, Detection]:
        rows = np.flatnonzero(~to_host(detection.flagged))
        reduced = self._reduced(observed.k, len(rows))
        if reduced is None:
            note = f"{len(rows)} models remain, too few for {self.rule}: previous model kept"
            kept = array_namespace(observed.previous).asarray(observed.previous, copy=True)
            return kept, replace(detection, notes=(*detection.notes, note))
        if self.rule == "krum":
            if distances is None:
                distances = pairwise_squared_distances(observed.clients, observed.previous)
                check_finite(repr(self), observed.clients, rows)
            return krum_of_rows(observed, rows, distances, **reduced), detection
        beta = reduced.get("beta", median_beta(len(rows)))
        model, clean = checked_middle(observed.clients, beta, rows)
        if not clean:
            check_finite(repr(self), observed.clients, rows)
        return model, detection

    def _check(self, k: int) -> None:
        if self.rule == "krum":
            check_c(repr(self), k, self.c)
        elif self.rule == "trimmed_mean":
            check_beta(repr(self), k, self.beta)

    def _reduced(self, k: int, remaining: int) -> dict[str, int] | None:
        """The rule's own settings for `remaining` of k models; None if it is not defined there."""
        removed = k - remaining
        if remaining < RULES[self.rule].least:
            return None
        if self.c is not None:
            return {"c": max(0, min(self.c - removed, remaining - 3))}
        if self.beta is not None:
            return {"beta": max(0, min(self.beta - removed, median_beta(remaining)))}
        return {}

    def _select(
        self, observed: Round, rows: np.ndarray, distances: np.ndarray
    ) -> tuple[Array, np.ndarray]:
        """Krum's w_pag [d] of the given rows, and the statistic of each of them."""
        settings = self._reduced(observed.k, len(rows))
        assert settings is not None
        pre_aggregate = krum_of_rows(observed, rows, distances, **settings)
        return pre_aggregate, sign_correlation(observed, rows, pre_aggregate)

    def _count(self, observed: Round, rows: np.ndarray) -> tuple[Array, np.ndarray, bool]:
        """w_pag [d] of the given rows, the statistic of each, and whether all values are finite."""
        settings = self._reduced(observed.k, len(rows))
        assert settings is not None
        beta = settings.get("beta", median_beta(len(rows)))
        model, trimmed, remained, clean = checked_count(observed, rows, beta, self.zero_change)
        return model, trimmed if self.rule == "trimmed_mean" else remained, clean


def suspicion(rule: str, statistic: np.ndarray) -> np.ndarray:
    """Scores [k] from the statistic [k] of a rule; with them ``score >= q`` is the paper's test.

    Krum: rho_i / max rho (lambda_D = q max rho, section 4.1). Trimmed mean: n_i^c / max n^c
    (4.2). Median: 1 - n_i^r / max n^r (lambda_D = (1 - q) max n^r, 4.3). All 0 where the maximum
    is not positive, and where all statistics are equal, as of clients that sent the same model:
    then nothing tells the models apart, and nobody is flagged.
    """
    largest = statistic.max()
    if largest <= 0 or largest - statistic.min() <= SAME * largest:
        return np.zeros_like(statistic)
    # one division: a score at the threshold is not rounded to below it
    return np.asarray((largest - statistic if rule == "median" else statistic) / largest)


def krum_of_rows(observed: Round, rows: np.ndarray, distances: np.ndarray, *, c: int) -> Array:
    """Krum among the given rows of a round, from the squared distances [k, k] of all models."""
    among = distances[np.ix_(rows, rows)]
    neighbours = len(rows) - c - 2
    best = krum_choice(observed.clients, observed.previous, rows, among, neighbours)
    return array_namespace(observed.clients).asarray(
        observed.clients[int(rows[best]), :], copy=True
    )


def sign_correlation(observed: Round, rows: np.ndarray, pre_aggregate: Array) -> np.ndarray:
    """Pearson correlation of Sgn(w_i - w_p) with Sgn(w_pag - w_p) for the given rows.

    Returns
    -------
    numpy array [len(rows)] float64 in [-1, 1]; 0 (no correlation) where a sign vector is constant.

    References
    ----------
    Lu et al. 2022, section 4.1.
    """
    sum_x, sum_xx, sum_xy, sum_y, sum_yy = sign_sums(observed, rows, pre_aggregate)
    covariance = observed.d * sum_xy - sum_x * sum_y
    variance = (observed.d * sum_xx - sum_x**2) * (observed.d * sum_yy - sum_y**2)
    varies = variance > 0
    return np.where(varies, covariance / np.sqrt(np.where(varies, variance, 1)), 0.0)


@accelerated
def sign_sums(
    observed: Round, rows: np.ndarray, pre_aggregate: Array
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float, float]:
    """Sums of x, x^2, x y [n], y and y^2, where x = Sgn(w_i - w_p) and y = Sgn(w_pag - w_p)."""
    xp = array_namespace(observed.clients)
    n = len(rows)
    sum_x, sum_xx, sum_xy, sum_y, sum_yy = np.zeros(n), np.zeros(n), np.zeros(n), 0.0, 0.0
    for cols in blocks(observed.d, observed.k):
        base = observed.previous[cols]
        x = signs(select(observed.clients[:, cols], rows), base)  # [n, m]
        y = signs(pre_aggregate[cols], base)  # [m]
        # sums of a block of signs are small whole numbers, exact in float32
        sum_x += to_host(xp.sum(x, axis=1))
        sum_xx += to_host(xp.sum(x * x, axis=1))
        sum_xy += to_host(xp.sum(x * y, axis=1))
        sum_y += float(xp.sum(y))
        sum_yy += float(xp.sum(y * y))
    return sum_x, sum_xx, sum_xy, sum_y, sum_yy


def signs(x: Array, base: Array) -> Array:
    """Sgn(x - base) as float32, compared instead of subtracted: nothing can overflow."""
    xp = array_namespace(x)
    return xp.astype(x > base, xp.float32) - xp.astype(x < base, xp.float32)


@accelerated
def checked_count(
    observed: Round, rows: np.ndarray, beta: int, zero_change: bool
) -> tuple[Array, np.ndarray, np.ndarray, bool]:
    """Trimmed mean of the given rows, and how often each was trimmed and kept on the way.

    Parameters
    ----------
    observed : Round
    rows : int array [n]
    beta : int
        Values trimmed per side; `median_beta(n)` counts for the median.
    zero_change : bool
        Count the coordinates with w_pag = w_p as well.

    Returns
    -------
    w_pag : array [d]
    trimmed, remained : numpy arrays [n] float64
        n_i^c and n_i^r; they add up to the number of counted coordinates. Real numbers, because
        ties count in expectation (`kept_fraction`).
    finite : bool
        Whether all that was read is finite. If not, `finite_rows` decides.

    References
    ----------
    Lu et al. 2022, sections 4.2 and 4.3.
    """
    xp = array_namespace(observed.clients)
    trimmed, remained, parts, finite = np.zeros(len(rows)), np.zeros(len(rows)), [], True
    for cols in blocks(observed.d, observed.k):
        x = select(observed.clients[:, cols], rows)
        finite = finite and bool(xp.all(xp.isfinite(x)))
        ordered = sort_clients(x)
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            part = xp.astype(trimmed_mean_of_sorted(ordered, beta), x.dtype)
            kept = kept_fraction(x, beta, ordered)
        counted = xp.ones(part.shape, dtype=xp.bool, device=device(part))
        if not zero_change:
            counted = part != observed.previous[cols]
        remained += to_host(xp.sum(xp.where(counted[None, :], kept, 0.0), axis=1))
        trimmed += to_host(xp.sum(xp.where(counted[None, :], 1 - kept, 0.0), axis=1))
        parts.append(part)
    return xp.concat(parts), trimmed, remained, finite
