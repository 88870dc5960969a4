"""What of a definition decides the image, in one spelling: the inputs of its key.

Sets are sorted (match specs, variables, requirements between two pip options); what has an order keeps it
(channels, pip options). Identity, comments and file names do not enter; the content of a build context
enters where it is digested.
"""

from __future__ import annotations

from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING, Any, TypeAlias

from .match_spec import canonical_spec
from .pip_line import canonical_line, option

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .definition import CondaSpec, Definition, SparkSpec

Json: TypeAlias = "str | int | bool | list[Json] | dict[str, Json] | None"


def definition_inputs(definition: Definition) -> dict[str, Json]:
    """A plain JSON value, equal for definitions that mean the same."""
    inference, spark = definition.inference_config, definition.spark
    return {
        "image": definition.image,
        "dockerfile_path": definition.build.dockerfile_path if definition.build else None,
        "conda": spec_inputs(definition.conda) if definition.conda else None,
        "environment_variables": _pairs(definition.environment_variables),
        "inference_config": asdict(inference) if inference else None,
        "os_type": definition.os_type,
        # only where there is one: keys of the others are older than this field
        **({"spark": spark_inputs(spark)} if spark else {}),
    }


def spec_inputs(spec: CondaSpec) -> dict[str, Json]:
    """The conda and pip part of it."""
    return {
        "channels": [*spec.channels],
        "specs": [*sorted({canonical_spec(text) for text in spec.specs})],
        "pip": [*_pip(spec.pip)],
        "variables": _pairs(spec.variables),
    }


def definition_of(inputs: Mapping[str, Any]) -> Definition:
    """A definition that means the same as the one `inputs` was made of, which had no `build`."""
    from .definition import CondaSpec, Definition, InferenceConfig, Route, SparkSpec

    conda, inference, spark = inputs["conda"], inputs["inference_config"], inputs.get("spark")
    lists = {name: tuple(conda[name]) for name in ("channels", "specs", "pip")} if conda else {}
    routes = {name: Route(**route) for name, route in (inference or {}).items()}
    return Definition(
        image=inputs["image"],
        conda=CondaSpec(**lists, variables=_tuples(conda["variables"])) if conda else None,
        environment_variables=_tuples(inputs["environment_variables"]),
        spark=SparkSpec(**{name: _plain(value) for name, value in spark.items()}) if spark else None,
        inference_config=InferenceConfig(**routes) if routes else None,
        os_type=inputs["os_type"],
    )


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _tuples(pairs: list[list[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in pairs)


def spark_inputs(spec: SparkSpec) -> dict[str, Json]:
    """The part for Spark."""
    return {
        "packages": [*sorted(set(spec.packages))],
        "repositories": [*spec.repositories],
        "precache_packages": spec.precache_packages,
    }


def _pip(lines: tuple[str, ...]) -> list[str]:
    """Options where they stand, requirements between two of them as a set."""
    runs = groupby(map(canonical_line, lines), key=_is_ordered)
    return [line for ordered, run in runs for line in (run if ordered else sorted(set(run)))]


def _is_ordered(line: str) -> bool:
    named = option(line)
    return named is not None and named[0] not in {"--constraint", "--editable"}


def _pairs(pairs: tuple[tuple[str, str], ...]) -> Json:
    return [[name, value] for name, value in sorted(pairs)]
