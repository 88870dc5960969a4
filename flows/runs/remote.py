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
    try:
        run = follow(api, run, progress.step)
    except KeyboardInterrupt:
        print(_goes_on(run), file=sys.stderr)
        raise
    build = ended(api, run).build
    assert build
    return build


def _goes_on(run: Run) -> str:
    short = run.id[:8]
    return (
        f"the run goes on; `prebake runs logs {short} -f` follows it, `prebake runs cancel {short}` ends it"
    )
