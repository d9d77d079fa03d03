"""What runs first in the Python process that executes a submission: brakes against accidents.

None of it stops somebody who wants to get round it; the limits of `sandbox` are outside.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from ipykernel.iostream import OutStream
from ipykernel.kernelapp import IPKernelApp
from IPython.core.interactiveshell import InteractiveShell
from jupyter_client.jsonutil import json_clean, json_default
from jupyter_client.session import json_packer

Write = Callable[[OutStream, str], int | None]


class OutputLimitError(RuntimeError):
    """A cell has printed too much."""


class Meter:
    """Counts what a cell prints and ends it at a limit."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.printed = 0

    def reset(self, *_info: Any) -> None:
        """Start counting anew."""
        self.printed = 0

    def limited(self, write: Write) -> Write:
        """`write`, but refusing what goes over the limit."""

        def limited_write(stream: OutStream, text: str) -> int | None:
            self.printed += len(text)
            if self.printed > self.limit:
                raise OutputLimitError(f"the cell printed more than {self.limit:,} characters")
            return write(stream, text)

        return limited_write


def install(shell: InteractiveShell, limit: int) -> None:
    """Limit what each cell prints, and let exit() end a cell instead of the process."""
    meter = Meter(limit)
    # of the class: IPython gives the streams a `write` of their own for the time of a cell
    OutStream.write = meter.limited(OutStream.write)  # type: ignore[assignment, method-assign]
    shell.events.register("pre_run_cell", meter.reset)
    shell.events.register("pre_run_cell", lambda _info: _whole(shell))
    shell.ask_exit = _leave  # type: ignore[attr-defined]


def packed(found: Any) -> bytes:
    """A message as bytes, also where it holds halves of characters: no error may go unsaid."""
    try:
        return bytes(json_packer(found))
    except UnicodeEncodeError:
        return json.dumps(json_clean(found), default=json_default).encode("ascii")


def main(limit: str, *arguments: str) -> None:
    """Be the process of a submission: ``python -m pdrr.grading.guard LIMIT -f connection.json``."""
    application = IPKernelApp.instance()
    application.initialize(list(arguments))
    assert application.shell is not None
    application.session.pack = packed
    install(application.shell, int(limit))
    application.start()


def _whole(shell: InteractiveShell) -> None:
    """Give back what IPython itself needs, in case a cell has deleted all names."""
    if "_oh" not in shell.user_ns:
        shell.init_user_ns()


def _leave() -> NoReturn:
    raise SystemExit("the cell called exit()")


if __name__ == "__main__":
    main(*sys.argv[1:])
