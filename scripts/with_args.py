"""Run a command with the words of $ARGS behind its own: python scripts/with_args.py COMMAND...

make hands ARGS over in the environment, so that no shell ever reads what somebody typed; quotes
keep words together as in a shell.
"""

import os
import shlex
import sys

try:
    words = shlex.split(os.environ.get("ARGS", ""))
except ValueError as error:
    sys.exit(f"ARGS needs words and closed quotes, got {os.environ['ARGS']!r} ({error})")
os.execvp(sys.argv[1], [*sys.argv[1:], *words])
