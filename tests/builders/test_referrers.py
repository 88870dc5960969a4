"""Artifacts attached to an image, in a registry without the referrers API and in one that has it."""

from __future__ import annotations

import json
import urllib.request
from typing import TYPE_CHECKING

import pytest

from prebake.builders.referrers import Artifact, attach, read_artifact, referrers
from prebake.cache.digest import Digest
from prebake.cache.oci import INDEX, MANIFEST, Descriptor
from prebake.cache.reference import Reference
from prebake.cache.registry import Repository
from prebake.cache.transport import Transport
from prebake.errors import RegistryError
from world.faults import Fault, proxy

if TYPE_CHECKING:
    from conftest import SampleWorld

SBOM = Artifact("application/vnd.cyclonedx+json", b'{"bomFormat":"CycloneDX"}', "sbom.cdx.json")
LOCK = Artifact("application/vnd.example.lock", b"version: 1\n", "lock.yml", {"org.example.note": "yes"})


@pytest.fixture
def repository(world: SampleWorld) -> Repository:
    return Repository.of(Transport(lambda registry: None), Reference.parse(world.base))


def subject(repository: Repository, tag: str) -> Descriptor:
    document = repository.manifest(tag)
    assert document
    return Descriptor(MANIFEST, document.digest, len(document.data))


def test_attached_artifacts_are_listed_and_read(repository: Repository) -> None:
    image = subject(repository, "12")
    assert attach(image, SBOM, repository) > 0
    assert attach(image, LOCK, repository) > 0
    listed = {each["artifactType"]: each for each in referrers(image.digest, repository)}
    assert listed.keys() == {SBOM.artifact_type, LOCK.artifact_type}
    assert listed[LOCK.artifact_type]["annotations"] == LOCK.annotations
    digest = Digest.parse(listed[SBOM.artifact_type]["digest"])
    assert read_artifact(digest, repository) == SBOM.data
    assert attach(image, SBOM, repository) == 0, "twice is once"


def test_any_client_finds_them_by_the_tag_schema(world: SampleWorld, repository: Repository) -> None:
    """https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#referrers-tag-schema"""
    image = subject(repository, "12-patched")
    attach(image, SBOM, repository)
    index = _get(world, f"manifests/sha256-{image.digest.hex}", INDEX)
    (listed,) = index["manifests"]
    manifest = _get(world, f"manifests/{listed['digest']}", MANIFEST)
    assert manifest["subject"] == image.to_json()
    assert manifest["layers"][0]["annotations"] == {"org.opencontainers.image.title": "sbom.cdx.json"}


def test_a_registry_with_the_api_needs_no_tag(world: SampleWorld) -> None:
    """docker-registry 2.8 has no such API: the answer that the specification wants is put before it."""
    with proxy(world.registry) as front:
        empty = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": []}).encode()
        api = Fault(lambda seen: "/referrers/" in seen.path, 200, {"Content-Type": INDEX}, empty, times=9)
        front.faults.append(api)
        there = Repository.of(Transport(lambda registry: None), Reference.parse(f"{front.host}/debian:12"))
        image = subject(there, "12-hasprefix")
        attach(image, SBOM, there)
        assert referrers(image.digest, there) == []
        assert not [seen for seen in front.seen if seen.path.endswith(f"sha256-{image.digest.hex}")]


def test_an_artifact_that_is_gone(repository: Repository) -> None:
    with pytest.raises(RegistryError, match="an artifact is gone"):
        read_artifact(Digest("0" * 64), repository)


def _get(world: SampleWorld, path: str, media_type: str) -> dict[str, object]:
    request = urllib.request.Request(
        f"http://{world.registry}/v2/debian/{path}", headers={"Accept": media_type}
    )
    with urllib.request.urlopen(request) as answer:
        assert answer.headers["Content-Type"] == media_type
        return dict(json.load(answer))
