"""A definition as plain JSON and back, without loss; what the database and exports hold.

The keys are those of an environment file, so that people can read it. It is not read by the loader:
`-r` and `-c` lines are spliced in already and name no files any more.

>>> from_json(to_json(Definition(image="debian:12"))).image
'debian:12'
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..definition import BuildContext, CondaSpec, Definition, InferenceConfig, Route, SparkSpec

if TYPE_CHECKING:
    from collections.abc import Mapping


def to_json(definition: Definition) -> dict[str, Any]:
    """The definition; what it does not have is left out."""
    build, conda, inference = definition.build, definition.conda, definition.inference_config
    spark = definition.spark
    given = {
        "image": definition.image,
        "build": {"path": str(build.path), "dockerfile_path": build.dockerfile_path} if build else None,
        "conda_file": _conda(conda) if conda else None,
        "environment_variables": dict(definition.environment_variables) or None,
        "inference_config": asdict(inference) if inference else None,
        "os_type": definition.os_type,
        "spark": _spark(spark) if spark else None,
    }
    return {key: value for key, value in given.items() if value is not None}


def from_json(given: Mapping[str, Any]) -> Definition:
    """What `to_json` wrote. Raises KeyError, TypeError or ValueError for anything else."""
    names = ("build", "conda_file", "inference_config", "spark")
    build, conda, inference, spark = (given.get(key) for key in names)
    return Definition(
        image=given.get("image"),
        build=BuildContext(Path(build["path"]), build["dockerfile_path"]) if build else None,
        conda=_spec(conda) if conda is not None else None,
        environment_variables=tuple(given.get("environment_variables", {}).items()),
        inference_config=InferenceConfig(**{key: Route(**route) for key, route in inference.items()})
        if inference
        else None,
        os_type=given["os_type"],
        spark=_spark_spec(spark) if spark else None,
    )


def _spark(spec: SparkSpec) -> dict[str, Any]:
    return {
        "packages": list(spec.packages),
        "repositories": list(spec.repositories),
        "precachePackages": spec.precache_packages,
    }


def _spark_spec(given: Mapping[str, Any]) -> SparkSpec:
    return SparkSpec(
        tuple(given["packages"]), tuple(given["repositories"]), precache_packages=given["precachePackages"]
    )


def _conda(spec: CondaSpec) -> dict[str, Any]:
    pip = [{"pip": list(spec.pip)}] if spec.pip else []
    given = {
        "channels": list(spec.channels),
        "dependencies": [*spec.specs, *pip],
        "variables": dict(spec.variables),
    }
    return {key: value for key, value in given.items() if value}


def _spec(given: Mapping[str, Any]) -> CondaSpec:
    dependencies = given.get("dependencies", [])
    pip = [line for entry in dependencies if isinstance(entry, dict) for line in entry["pip"]]
    return CondaSpec(
        tuple(given.get("channels", ())),
        tuple(entry for entry in dependencies if isinstance(entry, str)),
        tuple(pip),
        tuple(given.get("variables", {}).items()),
    )
