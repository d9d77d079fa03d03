"""Named arrays of any shapes and types, and the one vector that a rule sees of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

SHOWN = 40  # characters of a name that came from outside


class Place(NamedTuple):
    """Where an array stands: its name, its form, and its columns in the vector."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    columns: slice


class Layout:
    """How the arrays of one model become a vector, and how a vector becomes a model again.

    Floating-point arrays make up the vector, in the model's order. Arrays of whole numbers or
    truth values (counters, masks) stay out of it: no rule can average them, see `settle`.

    Parameters
    ----------
    model : mapping from str to numpy array
        The model that the server sends; its values do not matter.

    Attributes
    ----------
    d : int
        Coordinates of the vector.
    dtype : numpy dtype
        Of the vector: float64 if an array of the model is wider than float32, else float32.
    floating, whole : tuple of Place

    Raises
    ------
    TypeError
        If an array holds something else than real numbers.
    ValueError
        If no array is floating-point.

    Examples
    --------
    >>> from pdrr.serving.layout import Layout
    >>> layout = Layout({"w": np.ones((2, 2), np.float32), "seen": np.array(3)})
    >>> layout.d, layout.dtype, [place.name for place in layout.whole]
    (4, dtype('float32'), ['seen'])
    """

    def __init__(self, model: Mapping[str, np.ndarray]) -> None:
        floating, whole, end = [], [], 0
        for name, array in model.items():
            dtype = array.dtype.newbyteorder("=")
            if dtype.kind == "f":
                floating.append(Place(name, array.shape, dtype, slice(end, end + array.size)))
                end += array.size
            elif dtype.kind in "iub":
                whole.append(Place(name, array.shape, dtype, slice(0, 0)))
            else:
                raise TypeError(f"a model needs arrays of real numbers, got {name!r} of {dtype}")
        if not end:
            raise ValueError("a model needs floating-point values, got none")
        wide = any(place.dtype.itemsize > 4 for place in floating)
        self.floating, self.whole, self.d = tuple(floating), tuple(whole), end
        self.dtype = np.dtype(np.float64 if wide else np.float32)
        self.names = tuple(model)

    @property
    def key(self) -> tuple[tuple[Place, ...], tuple[Place, ...]]:
        """Equal for equal layouts."""
        return self.floating, self.whole

    def trouble(self, model: Mapping[str, np.ndarray]) -> str:
        """Why these arrays are not a model of this layout, in words; "" if they are one.

        Floating-point arrays may have any width, since they are converted; whole numbers need
        the very type.

        Examples
        --------
        >>> from pdrr.serving.layout import Layout
        >>> Layout({"w": np.ones(2)}).trouble({"w": np.ones(3)})
        "array 'w' needs shape (2,), got (3,)"
        """
        if set(model) != set(self.names):
            wrong = sorted(set(model) ^ set(self.names))
            return f"needs {len(self.names)} arrays as sent, differs in {shown(wrong[0])}"
        for place in (*self.floating, *self.whole):
            got = model[place.name]
            if got.shape != place.shape:
                return f"array {place.name!r} needs shape {place.shape}, got {got.shape}"
            dtype = got.dtype.newbyteorder("=")
            if dtype != place.dtype and not dtype.kind == place.dtype.kind == "f":
                return f"array {place.name!r} needs {place.dtype}, got {dtype}"
        return ""

    def fill(self, row: np.ndarray, model: Mapping[str, np.ndarray]) -> None:
        """Write a model of this layout into `row` [d].

        What the model's own type cannot hold becomes infinite.
        """
        for place in self.floating:
            values = model[place.name]
            with np.errstate(over="ignore", invalid="ignore"):
                if values.dtype.newbyteorder("=") != place.dtype:
                    values = values.astype(place.dtype)
                row[place.columns].reshape(place.shape)[...] = values

    def counters(self, model: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Copies of the arrays that stay out of the vector."""
        return {place.name: _whole(model[place.name], place.dtype) for place in self.whole}

    def unpack(
        self, vector: np.ndarray, counters: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """The model of a vector [d] and the arrays that stay out of it, in the model's order.

        Examples
        --------
        >>> from pdrr.serving.layout import Layout
        >>> layout = Layout({"w": np.ones((1, 2), np.float32), "seen": np.array(3)})
        >>> layout.unpack(np.array([5.0, 6.0], np.float32), {"seen": np.array(4)})
        {'w': array([[5., 6.]], dtype=float32), 'seen': array(4)}
        """
        found = {
            place.name: vector[place.columns].reshape(place.shape).astype(place.dtype, copy=False)
            for place in self.floating
        }
        return {name: found[name] if name in found else counters[name] for name in self.names}

    def settle(
        self, kept: Sequence[Mapping[str, np.ndarray]], previous: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """The next whole-number arrays: of each element the lower median of the kept models.

        It is a value that a kept model sent, of the exact type. Without a kept model, the
        previous arrays.

        Examples
        --------
        >>> from pdrr.serving.layout import Layout
        >>> layout = Layout({"w": np.ones(1), "seen": np.array(0)})
        >>> layout.settle([{"seen": np.array(n)} for n in (7, 9, 2**62, 8)], {})
        {'seen': array(8)}
        """
        if not kept:
            return {place.name: previous[place.name] for place in self.whole}
        middle = (len(kept) - 1) // 2
        return {
            place.name: np.asarray(
                np.sort(np.stack([model[place.name] for model in kept]), axis=0)[middle]
            )
            for place in self.whole
        }


def _whole(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    if dtype.kind == "b":  # any byte may have been sent as a truth value
        return np.array(values.view(np.uint8) != 0, order="C")
    return np.array(values, dtype=dtype, order="C")


def shown(text: str) -> str:
    """A name that came from outside, fit for a line of a log."""
    return repr(text if len(text) <= SHOWN else text[:SHOWN] + "...")
