"""A client: softmax regression on data of its own; the first sites of the federation attack."""

import argparse

import numpy as np
import nvflare.client as flare

CLASSES, FEATURES = 4, 50


def data(site, samples=200):
    """Samples around the four centres that all sites share."""
    centres = np.random.default_rng(0).normal(size=(CLASSES, FEATURES))
    rng = np.random.default_rng(site)
    labels = rng.integers(CLASSES, size=samples)
    return centres[labels] + 1.5 * rng.normal(size=(samples, FEATURES)), labels


def train(weights, x, labels, steps=20, rate=0.2):
    """A few steps of gradient descent."""
    target = np.eye(CLASSES)[labels]
    for _ in range(steps):
        scores = x @ weights.T
        shares = np.exp(scores - scores.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        weights = weights - rate * (shares - target).T @ x / len(x)
    return weights


def main():
    """Train as often as the server asks."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--malicious", type=int, default=3)
    arguments = parser.parse_args()
    flare.init()
    site = int(flare.get_site_name().rpartition("-")[2])
    x, labels = data(site)
    while flare.is_running():
        received = flare.receive()
        (key, sent), *_ = received.params.items()
        sent = np.asarray(sent, np.float64)
        trained = train(sent, x, labels)
        accuracy = float(((x @ sent.T).argmax(axis=1) == labels).mean())
        if site <= arguments.malicious:  # the other way, each with some noise of its own
            noise = np.random.default_rng(site).normal(size=sent.shape)
            trained = sent - 3 * (trained - sent) + 0.01 * noise
        flare.send(
            flare.FLModel(params={key: trained.astype(np.float32)}, metrics={"accuracy": accuracy})
        )


if __name__ == "__main__":
    main()
