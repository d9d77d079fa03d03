"""The task: writers' digits, a small network in NumPy, and what malicious clients send."""

import os
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from pdrr import ATTACKS, Round, data

WRITERS, DIGITS, HIDDEN = 20, 10, 32
Model = dict[str, np.ndarray]


# data


@cache
def digits() -> dict[str, np.ndarray]:
    """Images, labels and writers of all digits; drawn once and kept in the temporary folder."""
    path = Path(tempfile.gettempdir()) / f"pdrr-digits-{WRITERS}.npz"
    if not path.exists():
        drawn = data.load("glyphs", writers=WRITERS)
        rows = drawn.labels < DIGITS
        write(path, images=drawn.images[rows], labels=drawn.labels[rows],
              writer=drawn.writer[rows], test=drawn.test[rows])  # fmt: skip
    with np.load(path) as kept:
        return dict(kept)


def load_data(partition: int, partitions: int) -> tuple[np.ndarray, np.ndarray]:
    """The training images [n, 784] and labels [n] of a client: those of a few writers."""
    kept = digits()
    return pixels(kept, (kept["writer"] % partitions == partition) & ~kept["test"])


def load_test_data() -> tuple[np.ndarray, np.ndarray]:
    """Images that no client trains on."""
    kept = digits()
    return pixels(kept, kept["test"])


def pixels(kept: dict[str, np.ndarray], rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ink as numbers between 0 and 1, one image a row."""
    ink = 1 - kept["images"][rows].astype(np.float32) / 255
    return ink.reshape(len(ink), -1), kept["labels"][rows]


def write(path: Path, **arrays: np.ndarray) -> None:
    """Write an archive so that others find it whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".npz", delete=False) as file:
        np.savez(file, **arrays)
    os.replace(file.name, path)


# the network


def new_model(seed: int = 0) -> Model:
    """Two layers, and a counter of steps such as batch normalization keeps."""
    rng = np.random.default_rng(seed)
    return {
        "hidden.weight": rng.normal(0, 784**-0.5, (784, HIDDEN)).astype(np.float32),
        "hidden.bias": np.zeros(HIDDEN, np.float32),
        "output.weight": rng.normal(0, HIDDEN**-0.5, (HIDDEN, DIGITS)).astype(np.float32),
        "output.bias": np.zeros(DIGITS, np.float32),
        "steps": np.array(0),
    }


def forward(model: Model, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Activations [n, 32] and probabilities [n, 10]."""
    hidden = np.maximum(x @ model["hidden.weight"] + model["hidden.bias"], 0)
    logits = hidden @ model["output.weight"] + model["output.bias"]
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return hidden, odds / odds.sum(axis=1, keepdims=True)


def train(model: Model, x: np.ndarray, y: np.ndarray, epochs: int, rate: float, seed: int) -> Model:
    """The model after some epochs of SGD on a client's images."""
    model, rng = {name: array.copy() for name, array in model.items()}, np.random.default_rng(seed)
    for _ in range(epochs):
        for rows in np.array_split(rng.permutation(len(y)), max(1, len(y) // 16)):
            hidden, odds = forward(model, x[rows])
            odds[np.arange(len(rows)), y[rows]] -= 1
            back = odds @ model["output.weight"].T * (hidden > 0)
            step = np.float32(rate / len(rows))
            model["output.weight"] -= step * hidden.T @ odds
            model["output.bias"] -= step * odds.sum(axis=0)
            model["hidden.weight"] -= step * x[rows].T @ back
            model["hidden.bias"] -= step * back.sum(axis=0)
            model["steps"] = np.asarray(model["steps"] + 1)
    return model


def evaluate(model: Model, x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Loss and accuracy."""
    odds = forward(model, x)[1]
    right = odds[np.arange(len(y)), y]
    return float(-np.log(right + 1e-9).mean()), float((odds.argmax(axis=1) == y).mean())


# the attackers


def crafted(
    sent: Model, number: int, partition: int, partitions: int, malicious: int, attack: str,
    beta: int, epochs: int, rate: float, folder: Path,
) -> Model:  # fmt: skip
    """What a malicious client sends in a round, made from what the malicious ones know: their data.

    Clients 0 to `malicious` - 1 are malicious. Whoever comes first trains all their models, crafts
    all their replies, and leaves them in the folder for the others.
    """
    path = folder / f"round-{number}.npz"
    if not path.exists():
        honest = [
            train(sent, *load_data(i, partitions), epochs, rate, seed=i) for i in range(malicious)
        ]
        previous = flat(sent)
        rows = np.stack([*map(flat, honest), *[previous] * (partitions - malicious)])
        own = {"beta": beta} if attack == "trimmed_mean" else {}
        made = ATTACKS[attack](
            Round(rows, previous, number),  # the benign rows are not known, and not looked at
            np.arange(partitions) < malicious,
            knowledge="partial",
            rng=np.random.default_rng(number),
            **own,
        )
        write(path, rows=made.observed.clients[:malicious])
    with np.load(path) as kept:
        return unflat(kept["rows"][partition], sent)


def flat(model: Model) -> np.ndarray:
    """All weights as one vector, without the counter."""
    return np.concatenate([array.ravel() for name, array in model.items() if name != "steps"])


def unflat(vector: np.ndarray, like: Model) -> Model:
    """The vector as a model of the shapes of another."""
    names = [name for name in like if name != "steps"]
    parts = np.split(vector, np.cumsum([like[name].size for name in names])[:-1])
    shaped = {name: part.reshape(like[name].shape) for name, part in zip(names, parts, strict=True)}
    return {**shaped, "steps": np.asarray(like["steps"] + 1)}
