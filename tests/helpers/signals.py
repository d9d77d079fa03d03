"""Children that hear Ctrl-C."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def heard() -> Iterator[None]:
    """Programs started in here can be interrupted, also where the tests run as a background job.

    Such a job ignores Ctrl-C and hands that on; a signal that is handled is set back when a
    program starts. ``preexec_fn`` would fork Python, and JAX, loaded by other tests, warns of it.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
