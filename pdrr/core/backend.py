"""Which library trains the networks, told without loading one."""

from __future__ import annotations

import os
import sys


def backend() -> str:
    """Keras' backend: of the Keras in memory, or what KERAS_BACKEND names, or TensorFlow.

    A ``keras.json`` in somebody's home decides nothing: two machines with the same settings would
    compute different numbers.
    """
    loaded = sys.modules.get("keras")
    if loaded is not None and hasattr(loaded, "backend"):
        return str(loaded.backend.backend())
    return os.environ.get("KERAS_BACKEND") or "tensorflow"
