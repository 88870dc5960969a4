"""Watch base tags: look at each now and then, at once when a registry tells of a push; follow what moved.

Azure's base triggers fire twice, or never (github.com/Azure/acr/issues/300). Here polls and notifications
only say which tag to look at; `follow` finds out whether there is anything to do.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from ...errors import PrebakeError
from .dependents import dependents
from .follow import follow, settled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ...cache.reference import Reference
    from ..progress import Progress
    from ..wiring import Workspace
    from .follow import Policy, Result

# docker-registry tells of a push when it has stored the manifest, and moves the tag after that (see
# PutManifest in registry/handlers/manifests.go): who looks at once may see the old image, and hears no more
# of it.
_LOOK_AGAIN = 3.0
_LONGEST_NAP = 60.0  # environments that are new are noticed after as many seconds


@dataclass(frozen=True)
class Pace:
    """Between how many seconds a tag is looked at: at random, so that a fleet does not ask in step.

    Azure polls public registries every 10 to 60 minutes.
    """

    least: float = 600.0
    most: float = 3600.0

    def next(self, now: float) -> float:
        """When to look again."""
        return now + random.uniform(self.least, self.most)


@dataclass(frozen=True, eq=False, repr=False)
class Watch:
    """The tags to look at: those told of in `heard`, and those that are due."""

    workspace: Workspace
    pace: Pace = Pace()
    heard: SimpleQueue[tuple[str, str]] = field(default_factory=SimpleQueue)
    due: dict[Reference, float] = field(default_factory=dict)

    def hear(self, repository: str, tag: str) -> None:
        """A registry says that a tag was pushed. Called from other threads."""
        self.heard.put((repository, tag))

    def turn(self) -> set[Reference]:
        """Wait until something is due or heard of, a minute at most; returns the tags to look at."""
        watched = {each.base for each in dependents(self.workspace) if each.follows}
        for base in watched:
            self.due.setdefault(base, 0.0)
        now = time.time()
        soon = min((self.due[base] for base in watched), default=now + _LONGEST_NAP)
        told = set(self._told(max(0.0, min(soon - now, _LONGEST_NAP))))
        now = time.time()
        chosen = {base for base in watched if self.due[base] <= now or _name(base) in told}
        for base in chosen:
            self.due[base] = now + _LOOK_AGAIN if _name(base) in told else self.pace.next(now)
        return chosen

    def _told(self, seconds: float) -> Iterator[tuple[str, str]]:
        """All that is heard of, at least one if it comes within `seconds`."""
        try:
            yield self.heard.get(timeout=seconds) if seconds else self.heard.get_nowait()
            while True:
                yield self.heard.get_nowait()
        except Empty:
            return


def _name(base: Reference) -> tuple[str, str]:
    """As notifications name it; they know the registry by another name than its users, often."""
    return base.repository, base.tag or "latest"


def watch(
    watched: Watch,
    policy: Policy,
    progress: Progress,
    tell: Callable[[list[Result]], None],
    stopped: Callable[[], bool] = lambda: False,
) -> None:
    """Follow what moves until `stopped`; `tell` hears what became of it. What fails is due again later."""
    while not stopped():
        for base in sorted(watched.turn(), key=str):
            try:
                skip = settled(watched.workspace)
                tell(follow(base, watched.workspace, policy, progress, skip))
            except PrebakeError as error:
                progress.step(f"warning: {base}: {error}")
