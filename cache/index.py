"""What a registry answers with, and which image of an index is meant."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from ..errors import RegistryError
from .digest import Digest
from .oci import Platform


@dataclass(frozen=True)
class Document:
    """A manifest or an index as a registry keeps it; `digest` was compared with `data`."""

    media_type: str
    digest: Digest
    data: bytes


def pick(index: Document, platform: Platform, where: str) -> Digest:
    """The first manifest for `platform` in an index. Raises RegistryError listing what there is."""
    offered: dict[Platform, str] = {}
    for entry in parse_json(index.data, where).get("manifests") or []:
        its = entry.get("platform") or {}
        found = Platform(its.get("os", ""), its.get("architecture", ""))
        offered.setdefault(found, entry.get("digest", ""))
    if platform in offered:
        return Digest.parse(offered[platform])
    # BuildKit lists attestations as unknown/unknown.
    names = sorted({str(each) for each in offered} - {"unknown/unknown", "/"})
    raise RegistryError(
        f"no image for {platform}",
        facts={"image": where, "offered": ", ".join(names) or "none"},
        hint="choose an image that is built for this platform",
    )


def parse_json(data: bytes, where: object) -> dict[str, Any]:
    """A registry's JSON. Raises RegistryError."""
    try:
        return dict(json.loads(data))
    except (ValueError, TypeError) as error:
        facts = {"where": where, "reason": error}
        raise RegistryError("a registry's answer is no JSON document", facts=facts) from None
