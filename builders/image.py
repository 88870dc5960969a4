"""`assemble`: layers and a pinned base become an image config and a manifest; the base's bytes stay away.

OCI image spec v1.1.0, "config" and "manifest". The env step lives here: it costs no blob but the config.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..cache.digest import Digest
from ..cache.oci import CONFIG, Descriptor, Layer, Manifest, to_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .plan import Plan

# Packages set variables in activate.d (SSL_CERT_FILE, GDAL_DATA, ...); the shell sources them and hands over.
ACTIVATE = 'for f in "$CONDA_PREFIX"/etc/conda/activate.d/*.sh; do [ -r "$f" ] && . "$f"; done; exec "$@"'
_EPOCH = "1980-01-01T00:00:00Z"
BASE_DIGEST = "org.opencontainers.image.base.digest"


def assemble(
    plan: Plan, layers: Sequence[Layer], below: Mapping[str, Any], *, activates: bool
) -> tuple[Manifest, bytes]:
    """Manifest and config of the image; the latter starts from the config `below`.

    `activates` says whether a package has activation scripts.
    """
    base = plan.resolved.base
    config = to_bytes(_config(plan, layers, below, activates=activates))
    descriptor = Descriptor(CONFIG, Digest.of(config), len(config))
    blobs = (*base.manifest.layers, *(layer.descriptor for layer in layers))
    annotations = {"io.prebake.key": str(plan.key)}
    if base.manifest.layers:  # `scratch` is no image
        annotations[BASE_DIGEST] = str(base.digest)
    return Manifest(descriptor, blobs, annotations), config


def _config(
    plan: Plan, layers: Sequence[Layer], below: Mapping[str, Any], *, activates: bool
) -> dict[str, Any]:
    config = dict(below) | {"config": _runtime(plan, below.get("config") or {}, activates=activates)}
    if plan.resolved.base.build:  # its config tells of its layers already
        return config
    history = [{"created": _EPOCH, "created_by": f"prebake {layer.title}"} for layer in plan.layers]
    diff_ids = [*below["rootfs"]["diff_ids"], *(str(layer.diff_id) for layer in layers)]
    rootfs = below["rootfs"] | {"diff_ids": diff_ids}
    return config | {"history": [*below.get("history", []), *history], "rootfs": rootfs}


def _runtime(plan: Plan, base: Mapping[str, Any], *, activates: bool) -> dict[str, Any]:
    own = plan.resolved.config_inputs()
    env, labels = own["env"], own["labels"]
    assert isinstance(env, dict) and isinstance(labels, dict)
    prefix = plan.recipe.prefix if any(layer.step in ("conda", "pip") for layer in plan.layers) else ""
    config = dict(base) | {"Env": _environ(base.get("Env") or [], env, prefix)}
    if labels:
        config["Labels"] = dict(base.get("Labels") or {}) | labels
    if activates:
        entry = ["/bin/sh", "-c", ACTIVATE, "prebake"]
        config["Entrypoint"] = entry + list(base.get("Entrypoint") or [])
    return config


def _environ(base: Iterable[str], own: Mapping[str, str], prefix: str) -> list[str]:
    """The base's variables with the prefix in front of PATH; the user's win."""
    variables = dict(item.partition("=")[::2] for item in base)
    if prefix:
        path = variables.get("PATH") or "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        variables |= {"PATH": f"{prefix}/bin:{path}", "CONDA_PREFIX": prefix}
    return [f"{name}={value}" for name, value in (variables | dict(sorted(own.items()))).items()]
