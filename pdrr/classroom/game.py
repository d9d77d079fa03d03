"""A federation small enough for a classroom: digits, NumPy only, a second for 20 rounds.

Thirty synthetic writers train a network with one hidden layer on their own digits, of 10 x 10
pixels. It shows what the paper's large federation shows: the attacks ruin it, PDRR finds them. It
is made for coursework, and no number of the paper is measured on it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from pdrr.data.glyphs import glyphs
from pdrr.types import Round

Aggregate = Callable[[Round], np.ndarray]
"""What the server does: the observed round in, the next global model [d] out."""
Attack = Callable[[Round, np.ndarray, np.random.Generator], np.ndarray]
"""What attackers do: honest round, mask of their clients [k], randomness in; their c models
[c, d] out."""

WRITERS = 40  # of one fixed draw; a seed chooses who of them trains and who is tested on
DIGITS = 10
PIXELS = 100
HIDDEN = 24
SHAPES = ((PIXELS, HIDDEN), (HIDDEN,), (HIDDEN, DIGITS), (DIGITS,))
RATE, BATCH, EPOCHS = 0.3, 20, 3


@dataclass(frozen=True, eq=False)
class Game:
    """What happened in some rounds.

    Attributes
    ----------
    model : array [d] float32
        The global model after the last round.
    accuracies : array [rounds + 1] float64
        Of the global model, before the first round and after each.
    rounds : tuple of Round
        What the server observed.

    Examples
    --------
    >>> from pdrr.classroom import Classroom
    >>> room = Classroom(seed=1, k=5, c=2)
    >>> game = room.play(lambda observed: pdrr.mean(observed.clients), rounds=2)
    >>> game.model.shape, game.accuracies.shape, [observed.number for observed in game.rounds]
    ((2674,), (3,), [1, 2])
    """

    model: np.ndarray
    accuracies: np.ndarray
    rounds: tuple[Round, ...]


class Classroom:
    """A federation of k writers of digits, c of them compromised.

    Parameters
    ----------
    seed : int >= 0
        Chooses the writers, the compromised ones among them, the initial model and the order in
        which images are trained on. The same seed gives the same rounds.
    k : int, 3 to 35
        Clients; all take part in each round. The other writers' digits measure accuracy.
    c : int, 1 to k - 1
        Compromised clients.

    Attributes
    ----------
    byzantine : array [k] bool
        The compromised clients. A defence must not look at it.
    initial : array [d] float32
        The first global model, d = 2674.

    Examples
    --------
    >>> from pdrr.classroom import Classroom
    >>> room = Classroom(seed=1, k=5, c=2)
    >>> int(room.byzantine.sum()), room.initial.shape
    (2, (2674,))
    """

    def __init__(self, seed: int, *, k: int = 30, c: int = 12) -> None:
        if seed < 0 or not 3 <= k <= WRITERS - 5 or not 1 <= c < k:
            raise ValueError(
                f"Classroom needs seed >= 0, 3 <= k <= {WRITERS - 5} and 1 <= c < k,"
                f" got seed={seed}, k={k}, c={c}"
            )
        self.seed, self.k, self.c = seed, k, c
        rng = np.random.default_rng([seed, 0])
        images, labels, writer = _digits()
        order = rng.permutation(WRITERS)
        self._own = [(images[writer == i], labels[writer == i]) for i in order[:k]]
        tested = np.isin(writer, order[k:])
        self._test = images[tested], labels[tested]
        self.byzantine = np.isin(np.arange(k), rng.permutation(k)[:c])
        self.initial = np.concatenate(
            [
                rng.normal(0, np.sqrt(2 / shape[0]), int(np.prod(shape)))
                if len(shape) == 2
                else np.zeros(shape)
                for shape in SHAPES
            ]
        ).astype(np.float32)

    def accuracy(self, model: np.ndarray) -> float:
        """Share of the digits of writers outside the federation that `model` [d] reads right.

        Examples
        --------
        >>> from pdrr.classroom import Classroom
        >>> room = Classroom(seed=1, k=5, c=2)
        >>> round(room.accuracy(np.zeros(2674)), 2)  # it takes every digit for a 0
        0.1
        """
        images, labels = self._test
        _, scores = _forward(_layers(model), images)
        return float((np.argmax(scores, axis=1) == labels).mean())

    def honest_round(self, previous: np.ndarray, number: int) -> Round:
        """The round in which all k clients train from `previous` [d] as they should.

        Examples
        --------
        >>> from pdrr.classroom import Classroom
        >>> room = Classroom(seed=1, k=5, c=2)
        >>> honest = room.honest_round(room.initial, number=1)
        >>> honest.clients.shape, bool((honest.previous == room.initial).all())
        ((5, 2674), True)
        """
        previous = np.asarray(previous, np.float32)
        clients = [
            _train(previous, images, labels, np.random.default_rng([self.seed, number, i]))
            for i, (images, labels) in enumerate(self._own)
        ]
        return Round(np.stack(clients), previous, number)

    def attacked(self, honest: Round, attack: Attack) -> Round:
        """The round as the server observes it when the compromised clients run `attack`.

        Examples
        --------
        >>> from pdrr.classroom import Classroom
        >>> room = Classroom(seed=1, k=5, c=2)
        >>> honest = room.honest_round(room.initial, number=1)
        >>> observed = room.attacked(honest, lambda honest, byzantine, rng: np.zeros((2, honest.d)))
        >>> (observed.clients == 0).all(axis=1).tolist() == room.byzantine.tolist()
        True
        """
        # a generator that does not tell the classroom's seed
        state = np.random.SeedSequence([self.seed, honest.number, self.k]).generate_state(4)
        rng = np.random.default_rng(state)
        crafted = attack(_copy(honest), self.byzantine.copy(), rng)
        with np.errstate(over="ignore"):  # infinite then, as the server would receive it
            models = np.asarray(crafted).astype(np.float32)
        needed = (int(self.byzantine.sum()), honest.d)
        if models.shape != needed:
            raise ValueError(f"attacked needs models of shape {needed}, got {models.shape}")
        clients = np.array(honest.clients)
        clients[self.byzantine] = models
        return Round(clients, honest.previous, honest.number)

    def play(
        self,
        aggregate: Aggregate,
        *,
        rounds: int,
        attack: Attack | None = None,
        start: np.ndarray | None = None,
        first: int = 1,
    ) -> Game:
        """Run the federation for some rounds.

        Parameters
        ----------
        aggregate : function
            The observed `Round` in, the next global model [d] out.
        rounds : int >= 1
        attack : function, optional
            ``attack(honest, byzantine, rng)`` gives the c models [c, d] that the compromised
            clients send instead of their own. Nobody attacks by default.
        start : array [d], optional
            The global model to start from; `initial` by default.
        first : int >= 1
            Number of the first round.

        Examples
        --------
        >>> from pdrr.classroom import Classroom
        >>> room = Classroom(seed=1, k=5, c=2)
        >>> def turned(honest, byzantine, rng):
        ...     return -honest.clients[byzantine]
        >>> quiet = room.play(lambda seen: pdrr.mean(seen.clients), rounds=3)
        >>> attacked = room.play(lambda seen: pdrr.mean(seen.clients), rounds=3, attack=turned)
        >>> bool(quiet.accuracies[-1] > attacked.accuracies[-1])
        True
        """
        model = self.initial if start is None else start
        accuracies, seen = [self.accuracy(model)], []
        for number in range(first, first + rounds):
            observed = self.honest_round(model, number)
            if attack is not None:
                observed = self.attacked(observed, attack)
            model = np.asarray(aggregate(_copy(observed)), np.float32)
            if model.shape != (observed.d,):
                raise ValueError(f"play needs a model of shape [{observed.d}], got {model.shape}")
            accuracies.append(self.accuracy(model))
            seen.append(observed)
        return Game(model, np.array(accuracies), tuple(seen))


def _copy(told: Round) -> Round:
    """The same round in arrays of its own: what is done to them changes nothing here."""
    return Round(np.array(told.clients), np.array(told.previous), told.number)


@cache
def _digits() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ink [n, 100] float32 in [0, 1], labels [n] and writers [n] of all digits drawn."""
    data = glyphs(WRITERS, 0)
    digit = data.labels < DIGITS
    ink = 1 - data.images[digit, 4:24, 4:24].astype(np.float32) / 255  # little is outside
    ink = ink.reshape(-1, 10, 2, 10, 2).mean(axis=(2, 4)).reshape(-1, PIXELS)
    return ink, data.labels[digit].astype(int), data.writer[digit]


def _layers(model: np.ndarray) -> list[np.ndarray]:
    """Weights and biases of the two layers: views of `model` [d]."""
    ends = np.cumsum([int(np.prod(shape)) for shape in SHAPES])
    parts = np.split(model, ends[:-1])
    return [part.reshape(shape) for part, shape in zip(parts, SHAPES, strict=True)]


def _forward(layers: list[np.ndarray], x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Hidden values [n, 24] after ReLU, and the scores of the digits [n, 10]."""
    first, bias, second, offset = layers
    with np.errstate(over="ignore", invalid="ignore"):  # a poisoned model may overflow
        hidden = np.maximum(x @ first + bias, 0)
        return hidden, hidden @ second + offset


def _train(start: np.ndarray, x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A copy of `start` [d] after stochastic gradient descent on cross-entropy."""
    model = start.copy()
    layers = first, bias, second, offset = _layers(model)
    for _ in range(EPOCHS):
        order = rng.permutation(len(y))
        for rows in np.split(order, range(BATCH, len(y), BATCH)):
            hidden, scores = _forward(layers, x[rows])
            error = np.exp(scores - scores.max(axis=1, keepdims=True))
            error /= error.sum(axis=1, keepdims=True)
            error[np.arange(len(rows)), y[rows]] -= 1
            error *= RATE / len(rows)
            back = (error @ second.T) * (hidden > 0)
            second -= hidden.T @ error
            offset -= error.sum(axis=0)
            first -= x[rows].T @ back
            bias -= back.sum(axis=0)
    return model
