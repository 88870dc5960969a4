"""What must not change between two digests of a base for layers made for the one to stand on the other.

Layers hold what was solved for a glibc and an architecture, at a prefix (see builders/resolve.py, `_target`);
that nothing else of the base enters them is why a patched base costs a manifest. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...builders.facts import BaseFacts


def broken(old: BaseFacts, new: BaseFacts) -> str:
    """What changed, in words; empty if the layers can stay."""
    if new.platform != old.platform:
        return f"its platform was {old.platform} and is {new.platform}"
    if new.glibc != old.glibc:
        return f"its glibc was {old.glibc or 'none'} and is {new.glibc or 'none'}"
    if new.owns_prefix:
        return f"it has {new.owns_prefix} where the environment goes"
    return ""
