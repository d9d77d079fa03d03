"""Run a command while nobody else holds its lock: python scripts/alone.py LOCK COMMAND...

The lock goes with the process, however that ends.
"""

import fcntl
import os
import sys
from pathlib import Path

lock, *command = sys.argv[1:]
Path(lock).parent.mkdir(parents=True, exist_ok=True)
handle = os.open(lock, os.O_CREAT | os.O_RDWR, 0o644)
try:
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    print("another make is at work in this checkout: waiting for it", file=sys.stderr, flush=True)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
    except KeyboardInterrupt:
        sys.exit(130)
os.set_inheritable(handle, True)
os.execvp(command[0], command)
