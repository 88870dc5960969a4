"""Where base images are read from."""

from __future__ import annotations

import pytest

from prebake.builders.pin import Registries
from prebake.cache.reference import Reference
from prebake.cache.registry import Repository

DIGEST = f"sha256:{'5f' * 32}"


def nobody(reference: Reference) -> Repository:
    raise AssertionError(f"{reference} was asked for")


@pytest.mark.parametrize(
    ("image", "place"),
    [
        ("debian:12", "mirror.example:5000/hub/debian:12"),
        (f"docker.io/library/debian@{DIGEST}", f"mirror.example:5000/hub/debian@{DIGEST}"),
        ("docker.io/bitnami/spark", "docker.io/bitnami/spark:latest"),
        ("quay.io/library/debian:12", "quay.io/library/debian:12"),
    ],
)
def test_a_mirror_serves_what_its_prefix_names(image: str, place: str) -> None:
    registries = Registries(nobody, mirrors=(("docker.io/library/", "mirror.example:5000/hub"),))
    assert str(registries.place(image)) == place
