"""Where curated images are: `HOST/REPOSITORY/NAME`, immutable versions `20261124.1`, and `latest`.

Invariant: `latest` moves last. What it names was tested, has its referrers and is in the global tier; a
prebuild that is killed leaves it where it was, and the next one finds what was pushed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...builders.latest import order
from ...builders.referrers import referrers
from ...cache.reference import Reference
from ...errors import SettingsError

if TYPE_CHECKING:
    from ...cache.digest import Digest
    from ...cache.registry import Repository
    from ..wiring import Workspace

LATEST = "latest"
_VERSION = re.compile(r"\d{8}\.\d+")


@dataclass(frozen=True)
class Shelf:
    """One environment's repository."""

    repository: Repository

    def __str__(self) -> str:
        return str(self.repository)

    def latest(self) -> Digest | None:
        """Digest of the last good image."""
        return self.repository.head(LATEST)

    def versions(self) -> list[str]:
        """All versions, newest first."""
        return sorted(filter(_VERSION.fullmatch, self.repository.tags()), key=order, reverse=True)

    def version_of(self, digest: Digest) -> str:
        """The newest version that is this image; empty if none is."""
        return next((each for each in self.versions() if self.repository.head(each) == digest), "")

    def next_version(self, digest: Digest, day: str) -> str:
        """A new version of that day (`20261124`), or the newest if it is this image already.

        A prebuild that was killed before it moved `latest` has left one.
        """
        versions = self.versions()
        if versions and self.repository.head(versions[0]) == digest:
            return versions[0]
        counts = [int(each.partition(".")[2]) for each in versions if each.startswith(f"{day}.")]
        return f"{day}.{max(counts, default=0) + 1}"

    def attached(self, digest: Digest) -> dict[str, str]:
        """Digests of what is attached to an image, by type."""
        return {str(each["artifactType"]): str(each["digest"]) for each in referrers(digest, self.repository)}


def shelf_of(name: str, workspace: Workspace) -> Shelf:
    """Where environment `name` is published. Raises SettingsError if the settings do not say."""
    place = workspace.settings.curated
    if not place:
        hint = "set `curated` in prebake.toml, or PREBAKE_CURATED, to HOST/REPOSITORY"
        raise SettingsError("nothing says where curated images go", hint=hint)
    try:
        named = Reference.parse(place).name
    except SettingsError as error:
        error.facts = {"where": "setting `curated`"} | error.facts
        raise
    if place != named:
        facts = {"where": "setting `curated`", "found": place}
        hint = "write HOST/REPOSITORY"
        raise SettingsError("curated images go to HOST/REPOSITORY, without a tag", facts=facts, hint=hint)
    return Shelf(workspace.repository(Reference.parse(f"{place}/{name}")))
