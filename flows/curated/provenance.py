"""How an image came to be: an in-toto statement with a SLSA v1 predicate. Nothing about machines or people.

https://slsa.dev/spec/v1.0/provenance
"""

from __future__ import annotations

import json
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, cast

from ...cache.digest import Digest
from ...cache.oci import to_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ...builders.lock import CondaPackage, Wheel
    from ...builders.results import ImageResult
    from .prepare import Prepared

MEDIA_TYPE = "application/vnd.in-toto+json"
_BUILD_TYPE = "urn:prebake:curated:1"
_TOOLS = ("prebake", "py-rattler", "uv", "conda-lock")


def provenance(prepared: Prepared, image: ImageResult, repository: str) -> bytes:
    """The statement; the same image and solve give the same bytes."""
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": repository, "digest": {"sha256": image.digest.hex}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": _definition(prepared, image),
            "runDetails": {
                "builder": {
                    "id": "urn:prebake:builder",
                    "version": {name: version(name) for name in _TOOLS},
                },
            },
        },
    }
    return to_bytes(statement)


def answers(statement: bytes) -> list[dict[str, Any]]:
    """What the templates stood for, of such a statement."""
    definition = json.loads(statement)["predicate"]["buildDefinition"]
    return list(definition["externalParameters"]["templates"])


def _definition(prepared: Prepared, image: ImageResult) -> dict[str, Any]:
    plan, asked = prepared.plan, cast("Mapping[str, Any]", prepared.asked["inputs"])
    return {
        "buildType": _BUILD_TYPE,
        "externalParameters": {
            "environment": prepared.curated.name,
            "definition": asked["definition"],
            "target": asked["target"],
            "templates": [answer.to_json() for answer in prepared.answers],
        },
        "internalParameters": {
            "recipe": asked["recipe"],
            "key": str(plan.key),
            "layers": [{"recipe": each.inputs["recipe"], "key": str(each.key)} for each in plan.layers],
            "solvedAt": plan.resolved.solved_at,
        },
        "resolvedDependencies": list(_dependencies(prepared, image)),
    }


def _dependencies(prepared: Prepared, image: ImageResult) -> Iterator[dict[str, Any]]:
    lock, base = prepared.lock, image.base
    packages: tuple[CondaPackage | Wheel, ...] = (*lock.conda, *lock.pip)
    yield {"name": "base", "uri": str(base.reference), "digest": {"sha256": base.digest.hex}}
    yield {"name": "lock", "digest": {"sha256": Digest.of(lock.to_bytes()).hex}}
    for package in packages:
        yield {"name": package.name, "uri": package.url, "digest": {"sha256": package.sha256.hex}}
