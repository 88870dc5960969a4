"""What an image consists of, as CycloneDX 1.6: every locked package with purl, digest and licence."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...builders.lock import CondaPackage, Lock, Wheel
    from ...builders.results import ImageResult
    from .prepare import Prepared
    from .trial import Licences

MEDIA_TYPE = "application/vnd.cyclonedx+json"


def sbom(prepared: Prepared, image: ImageResult, licences: Licences) -> bytes:
    """The document; the same image and solve give the same bytes."""
    name = prepared.curated.name
    about = Component(
        name=name,
        version=str(image.digest),
        type=ComponentType.CONTAINER,
        bom_ref=name,
        hashes=[_sha256(image.digest.hex)],
        properties=[Property(name="prebake:base", value=str(image.base.reference.at(image.base.digest)))],
    )
    solved = datetime.fromtimestamp(prepared.plan.resolved.solved_at, UTC)
    document = Bom(
        components=_components(prepared.lock, licences),
        serial_number=uuid.uuid5(uuid.NAMESPACE_OID, str(image.digest)),
        metadata=BomMetaData(component=about, timestamp=solved),
    )
    document.register_dependency(about, document.components)
    return JsonV1Dot6(document).output_as_string(indent=1).encode()


def _components(lock: Lock, licences: Licences) -> Iterator[Component]:
    for package in lock.conda:
        yield _component(_conda_purl(package), package, licences.conda.get(package.name))
    for wheel in lock.pip:
        yield _component(
            PackageURL("pypi", None, wheel.name, wheel.version), wheel, licences.pypi.get(wheel.name)
        )


def _component(purl: PackageURL, package: CondaPackage | Wheel, licence: str | None) -> Component:
    return Component(
        name=package.name,
        version=package.version,
        type=ComponentType.LIBRARY,
        bom_ref=str(purl),
        purl=purl,
        hashes=[_sha256(package.sha256.hex)],
        licenses=[LicenseFactory().make_from_string(licence)] if licence else [],
        properties=[Property(name="prebake:url", value=package.url)],
    )


def _conda_purl(package: CondaPackage) -> PackageURL:
    """https://github.com/package-url/purl-spec, "conda"."""
    channel = package.channel.rstrip("/").rpartition("/")[2]
    told = {"build": package.build, "channel": channel, "subdir": package.subdir}
    return PackageURL("conda", None, package.name, package.version, told)


def _sha256(digest: str) -> HashType:
    return HashType(alg=HashAlgorithm.SHA_256, content=digest)
