"""Answers with one classic mistake each, what they cost, and words that name the mistake.

Each is typed into the student's version in place of the reference's answer; everything else stays
right. The cells named in `lost` lose so many points, all others none.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from textwrap import dedent


@dataclass(frozen=True)
class Mistake:
    """One wrong answer.

    Attributes
    ----------
    name : str
    assignment : str
    cell : str
        grade_id of the answer.
    code : str
    lost : mapping of str to int
        Points by the grade_id of the check.
    message : str
        In the message of one of these checks.
    """

    name: str
    assignment: str
    cell: str
    code: str
    lost: Mapping[str, int]
    message: str


def mistake(name, where, code, lost, message):
    assignment, cell = where.split("/")
    return Mistake(name, assignment, cell, dedent(code).strip(), lost, message)


MISTAKES = [
    mistake(
        "mean of each model",
        "robust_aggregation/mean",
        """
        def mean(clients):
            return clients.mean(axis=1)
        """,
        {"test-mean": 2},
        "over the clients: axis=0",
    ),
    mistake(
        "ready-made",
        "robust_aggregation/mean",
        """
        from pdrr import mean
        """,
        {"test-mean": 2},
        "pdrr's own",
    ),
    mistake(
        "lie of k - 1",
        "robust_aggregation/lie",
        """
        def lie(others, target):
            return len(others) * target - others.sum(axis=0)
        """,
        {"test-lie": 2},
        "you count k - 1 models",
    ),
    mistake(
        "sort along the parameters",
        "robust_aggregation/trimmed-mean",
        """
        def trimmed_mean(clients, *, beta):
            return np.sort(clients)[beta : len(clients) - beta].mean(axis=0)
        """,
        {"test-trimmed-mean": 3, "test-trimmed-mean-edges": 1},
        "np.sort takes the last axis",
    ),
    mistake(
        "empty slice",
        "robust_aggregation/trimmed-mean",
        """
        def trimmed_mean(clients, *, beta):
            return np.sort(clients, axis=0)[beta:-beta].mean(axis=0)
        """,
        {"test-trimmed-mean-edges": 1},
        "[beta : -beta] is empty",
    ),
    mistake(
        "sorted in place",
        "robust_aggregation/trimmed-mean",
        """
        def trimmed_mean(clients, *, beta):
            clients.sort(axis=0)
            return clients[beta : len(clients) - beta].mean(axis=0)
        """,
        {"test-trimmed-mean": 3, "test-trimmed-mean-edges": 1},
        "work on a copy",
    ),
    mistake(
        "upper median",
        "robust_aggregation/median",
        """
        def median(clients):
            return np.sort(clients, axis=0)[len(clients) // 2]
        """,
        {"test-median-even": 1},
        "for even k you take the upper middle value",
    ),
    mistake(
        "cancellation",
        "robust_aggregation/distances",
        """
        def squared_distances(clients):
            squares = (clients**2).sum(axis=1)
            return squares[:, None] + squares[None, :] - 2 * clients @ clients.T
        """,
        {"test-distances-digits": 1},
        "your distances lose digits",
    ),
    mistake(
        "not squared",
        "robust_aggregation/distances",
        """
        def squared_distances(clients):
            models = clients.astype(np.float64)
            return np.array([np.linalg.norm(models - model, axis=1) for model in models])
        """,
        {"test-distances": 2, "test-distances-digits": 1},
        "are not squared",
    ),
    mistake(
        "self-distance",
        "robust_aggregation/krum-scores",
        """
        def krum_scores(distances, *, c):
            return np.sort(distances, axis=1)[:, : len(distances) - c - 2].sum(axis=1)
        """,
        {"test-krum-scores": 3},
        "counts a model's distance to itself",
    ),
    mistake(
        "k - c - 1 neighbours",
        "robust_aggregation/krum-scores",
        """
        def krum_scores(distances, *, c):
            return np.sort(distances, axis=1)[:, 1 : len(distances) - c].sum(axis=1)
        """,
        {"test-krum-scores": 3},
        "sums the k - c - 1 nearest, the paper k - c - 2",
    ),
    mistake(
        "number instead of model",
        "robust_aggregation/select",
        """
        def select(clients, scores):
            return np.argmin(scores)
        """,
        {"test-select": 1},
        "returns the number of the client",
    ),
    mistake(
        "half of even k",
        "robust_aggregation/breakdown",
        """
        def breakdown(rule, k, beta):
            return {"mean": 1, "trimmed_mean": beta + 1, "median": k // 2 + 1}[rule]
        """,
        {"test-breakdown": 2},
        "one of the middle two is theirs",
    ),
    mistake(
        "towards",
        "poison_it/direction",
        """
        def change_direction(models, previous, rule):
            return np.sign(previous - rule(models.astype(np.float64) - previous) - previous)
        """,
        {"test-direction": 3, "test-direction-still": 1},
        "your direction points back",
    ),
    mistake(
        "mean first",
        "poison_it/direction",
        """
        def change_direction(models, previous, rule):
            return np.sign(rule(models) - previous)
        """,
        {"test-direction-still": 1},
        "subtract w_p first",
    ),
    mistake(
        "updates",
        "poison_it/full",
        """
        def extreme_models(honest, byzantine, direction, *, b, rng):
            updates = honest.updates[~byzantine]
            edge = np.where(direction < 0, updates.max(axis=0), updates.min(axis=0))
            outer = np.where((direction < 0) == (edge > 0), b * edge, edge / b)
            drawn = edge + (outer - edge) * rng.random((byzantine.sum(), honest.d))
            return honest.previous + np.where(direction == 0, 0, drawn)
        """,
        {"test-full": 3, "test-full-negative": 2},
        "the attack acts on weights, not updates",
    ),
    mistake(
        "negative maximum",
        "poison_it/full",
        """
        def extreme_models(honest, byzantine, direction, *, b, rng):
            benign = honest.clients[~byzantine]
            edge = np.where(direction < 0, benign.max(axis=0), benign.min(axis=0))
            outer = np.where(direction < 0, b * edge, edge / b)
            drawn = edge + (outer - edge) * rng.random((byzantine.sum(), honest.d))
            return np.where(direction == 0, honest.previous, drawn)
        """,
        {"test-full-negative": 2},
        "divide by b there",
    ),
    mistake(
        "sample deviation",
        "poison_it/partial",
        """
        def estimated_models(honest, byzantine, direction, *, rng):
            own = honest.clients[byzantine]
            reach = 3 + rng.random(own.shape)
            drawn = own.mean(axis=0) - direction * reach * own.std(axis=0, ddof=1)
            return np.where(direction == 0, honest.previous, drawn)
        """,
        {"test-partial": 3},
        "ddof=0",
    ),
    mistake(
        "halving only",
        "poison_it/search",
        """
        def largest_lambda(accepts, bound):
            while bound >= 1e-9 and not accepts(bound):
                bound /= 2
            return bound if bound >= 1e-9 else 0.0
        """,
        {"test-search-width": 1},
        "you only halve",
    ),
    mistake(
        "endless",
        "poison_it/search",
        """
        def largest_lambda(accepts, bound):
            while not accepts(bound):
                bound /= 2
            return bound
        """,
        {"test-search": 2, "test-search-width": 1},
        "does not end",
    ),
    mistake(
        "found instead of missed",
        "poison_it/damage",
        """
        def damage(before, after, flagged, byzantine):
            return max(0, 1 - after / before) * np.mean(flagged[byzantine])
        """,
        {"test-damage": 2},
        "count those that were not",
    ),
    mistake(
        "NaN",
        "find_the_poisoner/correlation",
        """
        def sign_correlation(observed, *, c):
            target = np.sign(krum(observed.clients, c=c) - observed.previous)
            return [np.corrcoef(np.sign(u), target)[0, 1] for u in observed.updates]
        """,
        {"test-correlation-still": 1},
        "its correlation is 0, not NaN",
    ),
    mistake(
        "updates instead of signs",
        "find_the_poisoner/correlation",
        """
        def sign_correlation(observed, *, c):
            target = krum(observed.clients, c=c) - observed.previous
            rho = [np.corrcoef(u, target)[0, 1] if u.any() else 0.0 for u in observed.updates]
            return np.array(rho)
        """,
        {"test-correlation": 2, "test-correlation-still": 1},
        "correlate their signs",
    ),
    mistake(
        "argsort",
        "find_the_poisoner/trimmed",
        """
        def trimmed_counts(observed, *, beta):
            x = observed.clients
            x = x[:, trimmed_mean(x, beta=beta) != observed.previous]
            place = np.argsort(np.argsort(x, axis=0, kind="stable"), axis=0)
            return ((place < beta) | (place >= len(x) - beta)).sum(axis=1)
        """,
        {"test-trimmed-ties": 2},
        "you sorted with argsort",
    ),
    mistake(
        "all coordinates",
        "find_the_poisoner/remained",
        """
        def remained_counts(observed):
            x, k = observed.clients, len(observed.clients)
            below = (x[:, None] > x).sum(axis=1)
            equal = (x[:, None] == x).sum(axis=1)
            beta = (k - 1) // 2
            kept = np.minimum(below + equal, k - beta) - np.maximum(below, beta)
            return (np.clip(kept, 0, None) / equal).sum(axis=1)
        """,
        {"test-remained": 1, "test-remained-ties": 1},
        "leave out those where w_pag equals w_p",
    ),
    mistake(
        "median upright",
        "find_the_poisoner/scores",
        """
        def suspicion(statistic, rule):
            return statistic / statistic.max()
        """,
        {"test-scores": 2},
        "few remained values are suspicious",
    ),
    mistake(
        "share of all",
        "find_the_poisoner/far",
        """
        def false_alarm_rate(flagged, byzantine):
            return np.mean(flagged & ~byzantine)
        """,
        {"test-far": 1},
        "divides by all k models",
    ),
    mistake(
        "range the wrong way",
        "find_the_poisoner/q-range",
        """
        def q_range(scores, byzantine):
            low, high = max(0, scores[~byzantine].min()), scores[byzantine].max()
            return (low, high) if low < high else None
        """,
        {"test-q-range": 2},
        "your range spans all scores",
    ),
]
