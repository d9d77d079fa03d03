"""Where each layer of the LEAF network lies in a model as a vector: known without Keras."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod

import numpy as np

from pdrr.data.dataset import CLASSES


def shapes(filters: Sequence[int], units: int) -> tuple[tuple[int, ...], ...]:
    """The shapes of the network's weights and biases, in Keras' order; see `network.cnn`.

    Examples
    --------
    >>> from pdrr.federation.layers import shapes
    >>> shapes((32, 64), 2048)[:4]
    ((5, 5, 1, 32), (32,), (5, 5, 32, 64), (64,))
    """
    first, second = filters
    flat = 7 * 7 * second  # of 28 x 28 pixels, pooled twice
    weights: tuple[tuple[int, ...], ...] = (
        (5, 5, 1, first),
        (5, 5, first, second),
        (flat, units),
        (units, len(CLASSES)),
    )
    return tuple(shape for weight in weights for shape in (weight, weight[-1:]))


def layers(filters: Sequence[int], units: int) -> tuple[tuple[int, int, int], ...]:
    """(start, stop, dimensions) of each of them in a vector [d].

    Examples
    --------
    >>> from pdrr.federation.layers import layers
    >>> layers((32, 64), 2048)[:2], layers((32, 64), 2048)[-1]
    (((0, 800, 4), (800, 832, 1)), (6603648, 6603710, 1))
    """
    own = shapes(filters, units)
    ends = np.cumsum([0, *map(prod, own)]).tolist()
    places = zip(pairwise(ends), own, strict=True)
    return tuple((start, stop, len(shape)) for (start, stop), shape in places)
