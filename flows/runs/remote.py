"""Follow what was submitted to its end, as `build --remote` and `runs submit --wait` do."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from .api import PATIENT, connect
from .following import ended, follow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..progress import Progress
    from ..wiring import Workspace
    from .api import Api
    from .client import Run
    from .submitting import Submitted


def result(submitted: Submitted, workspace: Workspace, progress: Progress) -> Mapping[str, Any]:
    """What `build --json` prints; the run's log is told as it comes. Raises the run's error.

    Whoever interrupts it leaves the run going, and is told how to go on.
    """
    if submitted.note:
        progress.step(submitted.note)
    if submitted.built:
        return submitted.built.to_json()
    assert submitted.run
    api, run = connect(workspace, PATIENT), submitted.run
    progress.step(f"run {run.id}")
    build = ended(api, run if run.is_final else _followed(api, run, progress)).build
    assert build
    return build


def _followed(api: Api, run: Run, progress: Progress) -> Run:
    try:
        return follow(api, run, progress.step)
    except KeyboardInterrupt:
        short = run.id[:8]
        ways = f"`prebake runs logs {short} -f` follows it, `prebake runs cancel {short}` ends it"
        print(f"the run goes on: {ways}", file=sys.stderr)
        raise
