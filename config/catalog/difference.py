"""What two definitions differ in, field by field, in words people wrote.

>>> from prebake.config.definition import Definition
>>> was, now = Definition(image="debian:11"), Definition(image="debian:12")
>>> [str(change) for change in changes(meaning(was), meaning(now))]
['image: debian:11 -> debian:12']
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..canonical import definition_inputs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..definition import Definition

Meaning = dict[str, list[str]]


@dataclass(frozen=True)
class Change:
    """A field of which some values went and others came; all of them if only their order changed."""

    field: str
    gone: tuple[str, ...]
    come: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.field}: {self.text}"

    @property
    def text(self) -> str:
        """What changed: `was -> is` for single values, else what went with `-` and what came with `+`."""
        if len(self.gone) == len(self.come) == 1:
            return f"{self.gone[0]} -> {self.come[0]}"
        return "\n".join([*(f"- {item}" for item in self.gone), *(f"+ {item}" for item in self.come)])


def meaning(definition: Definition, context: str = "") -> Meaning:
    """Each field as texts, equal for definitions that mean the same; `context` is its digest.

    Where a build context lies does not count, unless nobody digested it.
    """
    inputs: dict[str, Any] = definition_inputs(definition)
    conda = inputs["conda"] or {"channels": [], "specs": [], "pip": [], "variables": []}
    build = definition.build
    return {
        "image": _one(inputs["image"]),
        "build.path": _one(context or (str(build.path) if build else None)),
        "build.dockerfile_path": _one(inputs["dockerfile_path"]),
        "conda_file.channels": conda["channels"],
        "conda_file.dependencies": conda["specs"],
        "conda_file.pip": conda["pip"],
        "conda_file.variables": _pairs(conda["variables"]),
        "environment_variables": _pairs(inputs["environment_variables"]),
        "inference_config": _routes(inputs["inference_config"]),
        "os_type": _one(inputs["os_type"]),
        # only where there is one: names of anonymous environments are made of this
        **(_spark(inputs["spark"]) if "spark" in inputs else {}),
    }


def changes(was: Meaning, now: Meaning) -> tuple[Change, ...]:
    """The fields that differ, in the order of a definition."""
    pairs = ((field, was.get(field, []), now.get(field, [])) for field in {**was, **now})
    return tuple(_change(field, old, new) for field, old, new in pairs if old != new)


def _change(field: str, was: list[str], now: list[str]) -> Change:
    gone = tuple(item for item in was if item not in now)
    come = tuple(item for item in now if item not in was)
    return Change(field, gone, come) if gone or come else Change(field, tuple(was), tuple(now))


def _one(value: str | None) -> list[str]:
    return [] if value is None else [value]


def _spark(spark: Mapping[str, Any]) -> Meaning:
    return {
        "spark.packages": spark["packages"],
        "spark.repositories": spark["repositories"],
        "spark.precachePackages": [str(spark["precache_packages"]).lower()],
    }


def _pairs(pairs: list[list[str]]) -> list[str]:
    return [f"{name}={value}" for name, value in pairs]


def _routes(inference: Mapping[str, Mapping[str, object]] | None) -> list[str]:
    return [f"{name}: {route['port']}{route['path']}" for name, route in (inference or {}).items()]
