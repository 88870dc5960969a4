"""Image references: `registry/repo[:tag][@digest]`.

Short names follow Docker's rules (distribution/reference): `python` is `docker.io/library/python:latest`.

    >>> str(Reference.parse("python"))
    'docker.io/library/python:latest'
    >>> Reference.parse("127.0.0.1:5000/team/env:v1").repository
    'team/env'
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..errors import SettingsError
from .digest import Digest

if TYPE_CHECKING:
    from collections.abc import Collection

_REPOSITORY = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
_REGISTRY = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]+)?")
_LOOPBACK = re.compile(r"(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True)
class Reference:
    """A name of an image; `digest` wins over `tag` when both are there."""

    registry: str
    repository: str
    tag: str | None = None
    digest: Digest | None = None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Read a reference. Raises SettingsError naming the part that is wrong."""
        rest, at, digest = text.partition("@")
        head, slash, tail = rest.rpartition("/")
        tail, colon, tag = tail.partition(":")
        registry, repository = _split_registry(head + slash + tail)
        if not _REGISTRY.fullmatch(registry):
            raise _invalid(text, f"registry `{registry}`", "a host name or address, with :PORT or without")
        if not _REPOSITORY.fullmatch(repository):
            raise _invalid(text, f"repository `{repository}`", "lower-case letters, digits, `.`, `_`, `-`")
        if colon and not _TAG.fullmatch(tag):
            raise _invalid(text, f"tag `{tag}`", "letters, digits, `_`, `.`, `-`; 128 at most")
        if at and not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
            raise _invalid(text, f"digest `{digest}`", "sha256: and 64 hex digits")
        pinned = Digest.parse(digest) if digest else None
        return cls(registry, repository, tag or (None if pinned else "latest"), pinned)

    @property
    def name(self) -> str:
        """Registry and repository, without tag and digest."""
        return f"{self.registry}/{self.repository}"

    @property
    def selector(self) -> str:
        """What a manifest request asks for: the digest, or else the tag."""
        return str(self.digest) if self.digest else self.tag or "latest"

    def at(self, digest: Digest) -> Reference:
        """The same reference pinned to `digest`."""
        return replace(self, digest=digest)

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.name}{tag}{digest}"


def _split_registry(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        registry, repository = first, rest
    else:
        registry, repository = "docker.io", name
    if registry in ("docker.io", "index.docker.io"):
        return "docker.io", repository if "/" in repository else f"library/{repository}"
    return registry, repository


def _invalid(text: str, found: str, allowed: str) -> SettingsError:
    return SettingsError(
        f"`{text}` is not an image reference",
        facts={"found": found, "allowed": allowed},
        hint="write registry/repo:tag or registry/repo@sha256:...",
    )


def base_url(registry: str, insecure: Collection[str] = ()) -> str:
    """Where a registry's API is; plain HTTP on loopback and for `insecure` registries alone.

    >>> base_url("docker.io"), base_url("localhost:5000")
    ('https://registry-1.docker.io', 'http://localhost:5000')
    """
    host = "registry-1.docker.io" if registry == "docker.io" else registry
    plain = registry in insecure or _LOOPBACK.fullmatch(registry)
    return f"{'http' if plain else 'https'}://{host}"
