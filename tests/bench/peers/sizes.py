"""What an image weighs, as the registry's manifest tells."""

from __future__ import annotations

import json
from urllib.request import Request, urlopen

_TYPES = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)


def layers_size(reference: str) -> int:
    """Bytes of all layers as stored, the base's included; `reference` is HOST/REPOSITORY:TAG."""
    host, _, path = reference.partition("/")
    repository, _, tag = path.rpartition(":")
    asked = Request(f"http://{host}/v2/{repository}/manifests/{tag}", headers={"Accept": ", ".join(_TYPES)})
    with urlopen(asked) as answer:
        return sum(layer["size"] for layer in json.load(answer)["layers"])
