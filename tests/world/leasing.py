"""Many processes at once that share leases, each running the same lines of Python."""

import sys
from pathlib import Path

from world.tools import run_command

# Forked after the slow imports, and let go together, so that they really meet.
_DRIVER = """
import os, random, sys, time, traceback
import psycopg, sqlalchemy.dialects.postgresql, sqlalchemy.dialects.sqlite
from pathlib import Path
from prebake.cache.leases import Leases
from prebake.cache.single_flight import once

count, lines, url, folder = int(sys.argv[1]), sys.argv[2], sys.argv[3], Path(sys.argv[4])
gate, bolt = os.pipe()
children = []
for number in range(count):
    children.append(os.fork())
    if children[-1] == 0:
        os.close(bolt)
        os.read(gate, 1)
        try:
            exec(lines)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
os.close(bolt)
sys.exit(any([os.waitpid(child, 0)[1] for child in children]))
"""


def at_once(count: int, lines: str, url: str, folder: Path) -> None:
    """Run `lines` in `count` processes; they see `number`, `url`, `folder` and what is imported above.

    Raises ToolFailed with the traceback if one of them raised.
    """
    run_command([sys.executable, "-c", _DRIVER, str(count), lines, url, str(folder)])
