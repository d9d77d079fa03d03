"""Keras, imported without the lines that TensorFlow writes while it starts.

Whatever needs Keras takes it from here. The lines come from C++ before TensorFlow looks at any
setting, so they stop only where file descriptor 2 leads elsewhere during the import. Those that
would come later, when a processor is first used, the environment variable TF_CPP_MIN_LOG_LEVEL
stops; it is set here, unless it is set already. With TF_CPP_MIN_LOG_LEVEL=0 all of it is shown.
"""

from __future__ import annotations

import logging
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from pdrr.core.backend import backend

LEVEL = "TF_CPP_MIN_LOG_LEVEL"
START_UP = re.compile(  # information, warnings and errors of TensorFlow's own log, old and new form
    rb"^(?:[IWE]\d{4} |\d{4}-\d\d-\d\d [\d:.]+: [IWE] |WARNING: All log messages before absl::"
    rb"|To enable the following instructions: ).*(?:\n|\Z)",
    re.MULTILINE,
)


@contextmanager
def without_start_up_lines() -> Iterator[None]:
    """Keep TensorFlow's start-up lines off standard error while the block runs.

    Whatever else is written there is shown at the end of the block, and everything is if the block
    fails. Where standard error is closed there is nothing to do.
    """
    asked = os.environ.setdefault(LEVEL, "3") == "0"
    everything = True
    try:
        stderr = os.dup(2)
    except OSError:
        yield
        return
    try:
        with tempfile.TemporaryFile() as written:
            try:
                os.dup2(written.fileno(), 2)
                yield
                everything = asked
            except KeyboardInterrupt:
                everything = asked
                raise
            finally:
                os.dup2(stderr, 2)
                written.seek(0)
                text = written.read()
                with suppress(OSError), open(2, "wb", closefd=False) as out:
                    out.write(text if everything else START_UP.sub(b"", text))
    finally:
        os.close(stderr)


os.environ["KERAS_BACKEND"] = backend()
with without_start_up_lines():
    import keras as keras
    from keras import ops as ops

# whatever a keras.json says
keras.config.set_floatx("float32")
keras.config.set_image_data_format("channels_last")


# five networks compiled in one process are enough for TensorFlow to take them for a mistake
logging.getLogger("tensorflow").addFilter(
    lambda record: "tf.function retracing" not in str(record.msg)
)


def tensorflow() -> Any:
    """TensorFlow, where Keras runs on it; it is loaded by then, without its lines."""
    import tensorflow

    return tensorflow
