"""What runs first in the Python process that executes a submission: brakes against accidents.

None of it stops somebody who wants to get round it; the limits of `pdrr.sandbox` are outside.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NoReturn

from ipykernel.iostream import OutStream
from ipykernel.kernelapp import IPKernelApp
from IPython.core.interactiveshell import InteractiveShell


class OutputLimit(RuntimeError):
    """A cell has printed too much."""


class Meter:
    """Counts what a cell prints and ends it at a limit."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.printed = 0

    def reset(self, *_info: Any) -> None:
        """Start counting anew."""
        self.printed = 0

    def limited(self, write: Callable[[OutStream, str], int]) -> Callable[[OutStream, str], int]:
        """`write`, but refusing what goes over the limit."""

        def limited_write(stream: OutStream, text: str) -> int:
            self.printed += len(text)
            if self.printed > self.limit:
                raise OutputLimit(f"the cell printed more than {self.limit:,} characters")
            return write(stream, text)

        return limited_write


def install(shell: InteractiveShell, limit: int) -> None:
    """Limit what each cell prints, and let exit() end a cell instead of the process."""
    meter = Meter(limit)
    # of the class: IPython gives the streams a `write` of their own for the time of a cell
    OutStream.write = meter.limited(OutStream.write)
    shell.events.register("pre_run_cell", meter.reset)
    shell.ask_exit = _leave


def main(limit: str, *arguments: str) -> None:
    """Be the process of a submission: ``python -m pdrr.guard LIMIT -f connection.json``."""
    application = IPKernelApp.instance()
    application.initialize(list(arguments))
    install(application.shell, int(limit))
    application.start()


def _leave() -> NoReturn:
    raise SystemExit("the cell called exit()")


if __name__ == "__main__":
    main(*sys.argv[1:])
