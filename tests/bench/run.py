"""What `make bench` runs: every part in a process of its own, then the table of goals.

    PYTHONPATH=tests python -m bench.run [PART...]

Ends with 1 if a part failed; the parts after it still run.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
_IN_WORLD = ("hit", "tiers", "cold_profile")
PARTS = ("hit", "tiers", "cold_profile", "scale", "crowd", "curated20", "versus", "versus_page", "goals")


def main() -> int:
    failed = [part for part in sys.argv[1:] or PARTS if not _run(part)]
    if failed:
        print(f"error: failed: {', '.join(failed)}", file=sys.stderr)
    return bool(failed)


def _run(part: str) -> bool:
    start = time.monotonic()
    command = [sys.executable, "-m", f"bench.{part}"]
    if part in _IN_WORLD:
        command = [sys.executable, "tests/world/up.py", "--run", *command]
    environ = os.environ | {"PYTHONPATH": str(ROOT / "tests")}
    code = subprocess.run(command, cwd=ROOT, env=environ, check=False).returncode
    print(f"bench {part}: {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
    return code == 0


if __name__ == "__main__":
    sys.exit(main())
