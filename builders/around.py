"""Who hears of the pieces of work that a build is made of, and may run them its own way.

A piece is a solve, a layer, an assembly, a push. Here each is simply done; a flow makes a task of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Around(Protocol):
    """Runs a piece of work; called from several threads."""

    def __call__(self, title: str, work: Callable[[], T]) -> T:
        """What `work` returns; raises what it raises. `title` names it to people."""


def directly(title: str, work: Callable[[], T]) -> T:
    """Just do it."""
    return work()
