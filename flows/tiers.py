"""Connect the tiers that the settings name: a registry's repository or an S3 bucket, behind one Protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

import xxhash

from ..cache.complete import Complete
from ..cache.presence import Remembered
from ..cache.signed import Signed, Signer
from ..cache.tiered import Tier
from ..cache.verified import Verified
from ..errors import SettingsError
from .wiring import tier_reference

if TYPE_CHECKING:
    from ..cache.artifacts import RegistryStore
    from ..cache.s3 import S3Store
    from .wiring import Workspace

WORKSPACE = "workspace"
GLOBAL = "global"


def connect(workspace: Workspace) -> tuple[Tier, ...]:
    """The remote tiers, nearest first. Raises SettingsError."""
    own = workspace.settings
    places = ((WORKSPACE, own.workspace, own.workspace_writers), (GLOBAL, own.global_, own.global_writers))
    return tuple(_tier(name, place, trusted, workspace) for name, place, trusted in places if place)


def _tier(name: str, place: str, trusted: tuple[str, ...], workspace: Workspace) -> Tier:
    store = _store(name, place, workspace)
    seen = workspace.local.root / "presence" / xxhash.xxh3_64_hexdigest(place.encode())
    blobs = Remembered(Verified(store), seen)
    key = workspace.settings.signing_key
    signed = Signed(store, Signer.from_file(key) if key else None, trusted)
    return Tier(name, blobs, Complete(signed, blobs.missing), store, writable=name == WORKSPACE)


def tier_of(name: str, workspace: Workspace) -> Tier:
    """The remote tier that is called so. Raises SettingsError if the settings name none."""
    for tier in workspace.remote:
        if tier.name == name:
            return tier
    hint = f"set `{name}` in prebake.toml, or PREBAKE_{name.upper()}"
    raise SettingsError(f"there is no {name} tier", hint=hint)


def _store(name: str, place: str, workspace: Workspace) -> RegistryStore | S3Store:
    if place.startswith("s3://"):
        from ..cache.bucket import Bucket
        from ..cache.s3 import S3Store

        return S3Store(Bucket.parse(place))
    from ..cache.artifacts import RegistryStore

    reference = tier_reference(name, place)
    return RegistryStore(workspace.repository(reference), workspace.origins(reference))
