"""ERR and LFR: whose model does harm, tried on images of the server's own (section 5.1).

They need finite models and refuse others.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from pdrr.aggregators import AGGREGATORS
from pdrr.baselines.flagging import verdict
from pdrr.baselines.jackknife import RULES, chosen_without, equal, first_equal, leave_one_out
from pdrr.core.arrays import Array
from pdrr.core.checks import check_finite, whole
from pdrr.core.rules import own_setting
from pdrr.metrics import error_rate
from pdrr.types import Detection, Round

if TYPE_CHECKING:
    from pdrr.federation.training import LocalTrainer


def union(err: Detection, lfr: Detection) -> Array:
    """Flagged by ERR or by LFR: bool [k] ("Union" of Fang et al. 2020, arXiv:1911.11815).

    Examples
    --------
    >>> from pdrr.baselines import union
    >>> nothing = np.zeros(3)
    >>> err = pdrr.Detection(nothing, nothing, np.array([True, False, False]), nothing)
    >>> lfr = pdrr.Detection(nothing, nothing, np.array([True, True, False]), nothing)
    >>> union(err, lfr)
    array([ True,  True, False])
    """
    return err.flagged | lfr.flagged


class Rejection:
    """What ERR and LFR share: the impact of each model on a measure of harm. Use one of the two.

    Parameters
    ----------
    rule : {"mean", "krum", "trimmed_mean", "median"}
        Aggregation rule of the server.
    network : LocalTrainer
        Tries models.
    auxiliary : (array [n, 28, 28, 1] float32, int array [n])
        Images and labels of the server, ``FederatedDataset.auxiliary()``.
    c : int
        Models to flag, and what Krum tolerates.
    rng : numpy Generator
        Breaks ties.
    beta : int
        For the trimmed mean only: values trimmed per side.
    leave_out : {"rule", "mean", "others"}
        What aggregates the models, with and without each: the rule (Fang et al.'s words), or
        their mean, as public code has it whatever the rule. "others" tries each model alone.

    Examples
    --------
    A network whose two weights are the scores of two labels, whatever the image, stands for a
    real one. The third model takes every image for a 1; three of four are a 0.

    >>> from types import SimpleNamespace
    >>> from pdrr.baselines import ERR
    >>> toy = SimpleNamespace(logits=lambda model, x: np.tile(model, (len(x), 1)))
    >>> auxiliary = np.zeros((4, 28, 28, 1)), np.array([0, 0, 0, 1])
    >>> options = {"network": toy, "auxiliary": auxiliary, "rng": np.random.default_rng(0)}
    >>> observed = pdrr.Round(np.array([[2.0, 0.0], [2.0, 0.0], [0.0, 9.0]]), np.zeros(2))
    >>> ERR("mean", c=1, **options).detect(observed).flagged
    array([False, False,  True])
    """

    column: int  # of `_harm`

    def __init__(
        self,
        rule: str,
        *,
        network: LocalTrainer,
        auxiliary: tuple[np.ndarray, np.ndarray],
        c: int,
        rng: np.random.Generator,
        beta: int | None = None,
        leave_out: str = "rule",
    ) -> None:
        who = type(self).__name__
        if rule not in RULES:
            raise ValueError(f"{who} needs a rule of {', '.join(RULES)}, got {rule!r}")
        if leave_out not in ("rule", "mean", "others"):
            raise ValueError(f"{who} needs leave_out rule, mean or others, got {leave_out!r}")
        if (beta is not None) != (rule == "trimmed_mean"):
            raise TypeError(f"{who} needs beta for the trimmed mean only, got {beta} for {rule}")
        if not len(auxiliary[0]) == len(auxiliary[1]) > 0:
            raise ValueError(
                f"{who} needs one label per image and at least one, got "
                f"{len(auxiliary[0])} images and {len(auxiliary[1])} labels"
            )
        self.rule, self.alone = rule if leave_out != "mean" else "mean", leave_out == "others"
        self.settings = own_setting(self.rule, c=c, beta=beta)
        self.network, self.auxiliary, self.c, self.rng = network, auxiliary, whole(who, "c", c), rng

    def detect(self, observed: Round) -> Detection:
        """Flag the c models without which the aggregate does best.

        Returns
        -------
        Detection
            Statistic and scores: harm of the aggregate of all models minus that of all but i; or
            harm of model i minus that of w_p. `pre_aggregate` is the aggregate of all. Equal
            models are tried once.

        Raises
        ------
        ValueError
            If a model is not finite, or c or beta do not fit k - 1 models.

        Examples
        --------
        The network is that of `Rejection`. Only without the third model the mean is right for three
        images of four instead of one.

        >>> from types import SimpleNamespace
        >>> from pdrr.baselines import ERR
        >>> toy = SimpleNamespace(logits=lambda model, x: np.tile(model, (len(x), 1)))
        >>> auxiliary = np.zeros((4, 28, 28, 1)), np.array([0, 0, 0, 1])
        >>> options = {"network": toy, "auxiliary": auxiliary, "rng": np.random.default_rng(0)}
        >>> observed = pdrr.Round(np.array([[2.0, 0.0], [2.0, 0.0], [0.0, 9.0]]), np.zeros(2))
        >>> ERR("mean", c=1, **options).detect(observed).scores
        array([0. , 0. , 0.5])
        """
        return self.detect_both(observed)[self.column]

    def detect_both(self, observed: Round) -> tuple[Detection, Detection]:
        """What ERR and LFR find, from the same trials."""
        check_finite(type(self).__name__, observed.clients)
        near = {"previous": observed.previous} if self.rule == "krum" else {}
        everyone = AGGREGATORS[self.rule](observed.clients, **self.settings, **near)
        start = observed.previous if self.alone else everyone
        base, harm = self._harm(start), []
        known: dict[int, tuple[float, float]] = {}
        for row, model in self._tried(observed):
            if row not in known:
                known[row] = base if equal(model, start) else self._harm(model)
            harm.append(known[row])
        impact = np.array(harm) - base if self.alone else np.array(base) - harm
        err = verdict(observed, impact[:, ERR.column], self.c, self.rng, everyone)
        lfr = verdict(observed, impact[:, LFR.column], self.c, self.rng, everyone)
        return err, lfr

    def _tried(self, observed: Round) -> Iterator[tuple[int, Array]]:
        """The model to try for each client; two with the same number are equal."""
        first = first_equal(observed.clients)
        if self.alone or self.rule == "krum":
            rows = range(observed.k) if self.alone else chosen_without(observed, self.settings["c"])
            return ((first[row], observed.clients[row, :]) for row in rows)
        # without equal models the same aggregate is left
        return zip(first, leave_one_out(observed, self.rule, **self.settings), strict=True)

    def _harm(self, model: Array) -> tuple[float, float]:
        """Error rate and mean cross-entropy in nats; one that overflows is the largest float."""
        x, y = self.auxiliary
        logits = self.network.logits(model, x).astype(np.float64)
        with np.errstate(invalid="ignore", over="ignore"):
            losses = np.logaddexp.reduce(logits, axis=1) - logits[np.arange(len(y)), y]
            loss = np.nan_to_num(losses.mean(), nan=np.finfo(np.float64).max)
        return error_rate(np.argmax(logits, axis=1), y), float(loss)


class ERR(Rejection):
    """Error-rate-based rejection: the impact on the error rate. Parameters: see `Rejection`.

    References
    ----------
    Fang et al., USENIX Security 2020, arXiv:1911.11815, section 5; Lu et al. 2022, section 5.1.

    Examples
    --------
    The network is that of `Rejection`; each model is tried alone, on four images of label 0.

    >>> from types import SimpleNamespace
    >>> from pdrr.baselines import ERR
    >>> toy = SimpleNamespace(logits=lambda model, x: np.tile(model, (len(x), 1)))
    >>> auxiliary = np.zeros((4, 28, 28, 1)), np.zeros(4, int)
    >>> options = {"network": toy, "auxiliary": auxiliary, "rng": np.random.default_rng(0)}
    >>> observed = pdrr.Round(np.array([[2.0, 0.0], [2.0, 0.0], [0.0, 9.0]]), np.zeros(2))
    >>> ERR("mean", c=1, leave_out="others", **options).detect(observed).scores
    array([0., 0., 1.])
    """

    column = 0


class LFR(Rejection):
    """Loss-function-based rejection: the impact on the mean cross-entropy, in nats.

    Parameters: see `Rejection`. A loss that overflows counts as the largest float.

    References
    ----------
    Fang et al., USENIX Security 2020, arXiv:1911.11815, section 5; Lu et al. 2022, section 5.1.

    Examples
    --------
    The network is that of `Rejection`. w_p gives the right label a probability of 1/2, the first
    model 3/4, the second 1/4: losses of log 2, log 4/3 and log 4.

    >>> from types import SimpleNamespace
    >>> from pdrr.baselines import LFR
    >>> toy = SimpleNamespace(logits=lambda model, x: np.tile(model, (len(x), 1)))
    >>> auxiliary = np.zeros((1, 28, 28, 1)), np.array([0])
    >>> options = {"network": toy, "auxiliary": auxiliary, "rng": np.random.default_rng(0)}
    >>> observed = pdrr.Round(np.array([[np.log(3), 0.0], [0.0, np.log(3)]]), np.zeros(2))
    >>> LFR("mean", c=1, leave_out="others", **options).detect(observed).scores.round(3)
    array([-0.405,  0.693])
    """

    column = 1


def err_and_lfr(observed: Round, rule: str, **settings: Any) -> tuple[Detection, Detection]:
    """ERR's and LFR's detections, for the price of one: both try the same aggregates.

    `settings` are the keyword parameters of either (see `Rejection`).

    Examples
    --------
    The network is that of `Rejection`.

    >>> from types import SimpleNamespace
    >>> from pdrr.baselines import err_and_lfr
    >>> toy = SimpleNamespace(logits=lambda model, x: np.tile(model, (len(x), 1)))
    >>> auxiliary = np.zeros((4, 28, 28, 1)), np.array([0, 0, 0, 1])
    >>> options = {"network": toy, "auxiliary": auxiliary, "rng": np.random.default_rng(0)}
    >>> observed = pdrr.Round(np.array([[2.0, 0.0], [2.0, 0.0], [0.0, 9.0]]), np.zeros(2))
    >>> [np.flatnonzero(d.flagged).tolist() for d in err_and_lfr(observed, "mean", c=1, **options)]
    [[2], [2]]
    """
    return ERR(rule, **settings).detect_both(observed)
